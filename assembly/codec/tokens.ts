// Bucket tokens of u64 values: a byte that says how large a value is and what its two bits behind the highest are, and the bits
// below those as they are. Only the tokens are worth an entropy coder's time.
//
//   value v < 4                      token v, no low bits
//   otherwise, t = bits of v - 3     token 4 * t + (v >> t), i.e. 4 * (t + 1) + two bits; the low t bits of v
//
// So tokens 0..7 are the values 0..7, and 251 is the last. Low bits follow each other, the first value's in the lowest bits of
// the first byte, the last byte filled up with zeros.

const LAST_TOKEN: u32 = 251;

// Low bits and the bits under way (7 at most) have to fit a word.
const WIDE: u64 = 56;

// @ts-ignore: decorator
@inline
function lowBits(value: u64): u64 {
  return 61 - clz<u64>(value | 4);
}

/**
 * Stores `count` tokens at `tokens` and the low bits at `bits`. Answers the bytes of these; up to 8 more are written behind them.
 */
export function tokenize(src: usize, count: u32, tokens: usize, bits: usize): u32 {
  let at = bits;
  let word: u64 = 0;
  let fill: u64 = 0;
  let i: u32 = 0;
  while (i < count) {
    const a = load<u64>(src);
    const widthA = lowBits(a);
    const lowA = a & ((<u64>1 << widthA) - 1);
    store<u8>(tokens + i, <u8>((widthA << 2) + (a >> widthA)));
    if (i + 1 < count) {
      // In pairs where they fit: the chain from store to store is what costs.
      const b = load<u64>(src, 8);
      const widthB = lowBits(b);
      if (widthA + widthB <= WIDE) {
        store<u8>(tokens + i, <u8>((widthB << 2) + (b >> widthB)), 1);
        word |= (lowA | ((b & ((<u64>1 << widthB) - 1)) << widthA)) << fill;
        fill += widthA + widthB;
        store<u64>(at, word);
        at += <usize>(fill >> 3);
        word >>= fill & 56;
        fill &= 7;
        src += 16;
        i += 2;
        continue;
      }
    }
    // Two steps: 7 + 61 bits don't fit the word.
    let low = lowA;
    let width = widthA >> 1;
    for (let step = 0; step < 2; step++) {
      word |= (low & ((<u64>1 << width) - 1)) << fill;
      fill += width;
      store<u64>(at, word);
      at += <usize>(fill >> 3);
      word >>= fill & 56;
      fill &= 7;
      low >>= width;
      width = widthA - width;
    }
    src += 8;
    i++;
  }
  if (fill > 0) {
    store<u8>(at, <u8>word);
    at++;
  }
  return <u32>(at - bits);
}

/** Bits that the low bits of `count` tokens take, or -1 where one is no token. `count`: at most 2^25. */
export function tokenBits(tokens: usize, count: u32): i32 {
  let sums = i32x4.splat(0);
  let most = i8x16.splat(0);
  const one = i8x16.splat(1);
  let left = count;
  for (; left >= 16; left -= 16) {
    const sixteen = v128.load(tokens);
    most = v128.max<u8>(most, sixteen);
    const widths = v128.sub_sat<u8>(v128.shr<u8>(sixteen, 2), one);
    sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(widths)));
    tokens += 16;
  }
  let sum = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) + i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3);
  let bad = v128.any_true(v128.gt<u8>(most, i8x16.splat(<i8>LAST_TOKEN)));
  for (; left > 0; left--) {
    const token = <u32>load<u8>(tokens);
    if (token > LAST_TOKEN) bad = true;
    sum += token >= 4 ? <i32>(token >> 2) - 1 : 0;
    tokens++;
  }
  return bad ? -1 : sum;
}

// @ts-ignore: decorator
@inline
function valueOf(token: u64, bits: usize, position: u64, width: u64): u64 {
  const exact = token < 4;
  const top = (token & 3) | (exact ? 0 : 4);
  let low = load<u64>(bits + <usize>(position >> 3)) >> (position & 7);
  if (width > WIDE) {
    const half = width >> 1;
    const next = position + half;
    const high = load<u64>(bits + <usize>(next >> 3)) >> (next & 7);
    low = (low & ((<u64>1 << half) - 1)) | (high << half);
  }
  return (top << width) | (low & ((<u64>1 << width) - 1));
}

/**
 * Restores `count` values from tokens whose low bits `tokenBits` found to lie whole at `bits`. Up to 8 bytes past these are
 * read, and don't count.
 */
export function detokenize(tokens: usize, bits: usize, count: u32, out: usize): void {
  let position: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const token = <u64>load<u8>(tokens + i);
    const quarter = token >> 2;
    const width = quarter - u64(quarter != 0);
    store<u64>(out, valueOf(token, bits, position, width));
    position += width;
    out += 8;
  }
}
