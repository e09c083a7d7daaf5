// Differences of neighbouring i64 values (wrapping), little-endian:
//
//   0  i64 first       the first value, 0 of none
//   8  the other values, each minus the one before it, as a chunk of bitpack.ts:
//      i64 least difference, u8 widths, miniblocks of differences minus the least
//
// The count is not in it. Counts 0 and 1 take 16 bytes.
import { pack, sizeOf, unpack } from './bitpack';

const FIRST_BYTES: u32 = 8;

// @ts-ignore: decorator
@inline
function differencesOf(count: u32): u32 {
  return count == 0 ? 0 : count - 1;
}

/** Bytes that `deltaEncode` will write. */
export function deltaSize(src: usize, count: u32): u32 {
  return FIRST_BYTES + sizeOf(src, differencesOf(count), true);
}

/** `scratch`: room for `count` i64, which may be `src` itself. Answers the bytes written: `deltaSize`, and not one more. */
export function deltaEncode(src: usize, count: u32, scratch: usize, out: usize): u32 {
  const first: i64 = count == 0 ? 0 : load<i64>(src);
  const differences = differencesOf(count);
  let at = scratch;
  let left = differences;
  for (; left >= 2; left -= 2) {
    v128.store(at, i64x2.sub(v128.load(src, 8), v128.load(src)));
    src += 16;
    at += 16;
  }
  if (left > 0) store<i64>(at, load<i64>(src, 8) - load<i64>(src));
  store<i64>(out, first);
  return FIRST_BYTES + pack(scratch, differences, out + FIRST_BYTES);
}

/**
 * Answers the bytes read, or -1, with nothing written, where the chunk is not whole. Reads nothing at or past `srcEnd`, writes
 * nothing but `count` values.
 */
export function deltaDecode(src: usize, srcEnd: usize, count: u32, out: usize): i32 {
  if (srcEnd < src || srcEnd - src < FIRST_BYTES) return -1;
  const size = unpack(src + FIRST_BYTES, srcEnd, differencesOf(count), out + 8);
  if (size < 0 || size > i32.MAX_VALUE - FIRST_BYTES) return -1;
  if (count == 0) return FIRST_BYTES + size;
  let value = load<i64>(src);
  store<i64>(out, value);
  for (let left = count - 1; left > 0; left--) {
    out += 8;
    value += load<i64>(out);
    store<i64>(out, value);
  }
  return FIRST_BYTES + size;
}
