// XXH64, as in the xxHash specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md, "XXH64 Algorithm Description").

const PRIME_1: u64 = 0x9e3779b185ebca87;
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME_3: u64 = 0x165667b19e3779f9;
const PRIME_4: u64 = 0x85ebca77c2b2ae63;
const PRIME_5: u64 = 0x27d4eb2f165667c5;

// @ts-ignore: decorator
@inline
function round(accumulator: u64, lane: u64): u64 {
  return rotl<u64>(accumulator + lane * PRIME_2, 31) * PRIME_1;
}

// @ts-ignore: decorator
@inline
function mergeRound(hash: u64, accumulator: u64): u64 {
  return (hash ^ round(0, accumulator)) * PRIME_1 + PRIME_4;
}

/** XXH64 of `length` bytes at `pointer`, of any alignment. */
export function xxh64(pointer: usize, length: usize, seed: u64): u64 {
  // Counts what is left, and compares no addresses: the end of a 4 GiB memory is address 0.
  let left = length;
  let hash: u64;
  if (left >= 32) {
    let a = seed + PRIME_1 + PRIME_2;
    let b = seed + PRIME_2;
    let c = seed;
    let d = seed - PRIME_1;
    do {
      a = round(a, load<u64>(pointer));
      b = round(b, load<u64>(pointer, 8));
      c = round(c, load<u64>(pointer, 16));
      d = round(d, load<u64>(pointer, 24));
      pointer += 32;
      left -= 32;
    } while (left >= 32);
    hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
    hash = mergeRound(hash, a);
    hash = mergeRound(hash, b);
    hash = mergeRound(hash, c);
    hash = mergeRound(hash, d);
  } else {
    hash = seed + PRIME_5;
  }
  hash += length;

  for (; left >= 8; left -= 8) {
    hash = rotl<u64>(hash ^ round(0, load<u64>(pointer)), 27) * PRIME_1 + PRIME_4;
    pointer += 8;
  }
  if (left >= 4) {
    hash = rotl<u64>(hash ^ (<u64>load<u32>(pointer) * PRIME_1), 23) * PRIME_2 + PRIME_3;
    pointer += 4;
    left -= 4;
  }
  for (; left > 0; left--) {
    hash = rotl<u64>(hash ^ (<u64>load<u8>(pointer) * PRIME_5), 11) * PRIME_1;
    pointer++;
  }

  hash ^= hash >> 33;
  hash *= PRIME_2;
  hash ^= hash >> 29;
  hash *= PRIME_3;
  return hash ^ (hash >> 32);
}
