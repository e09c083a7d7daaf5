// Frame of reference and bit packing of i64 values, little-endian:
//
//   0  i64 base        the least value, 0 of none
//   8  u8 × m          the width, 0..64, of each of the m = ceil(count / 128) miniblocks
//   8 + m              the miniblocks, one after another: values minus base (wrapping), packed as miniblock.ts says
//
// The count is not in it. Widths are by miniblock, so that one far value costs 128 values bits and no more.
import {
  least,
  MINIBLOCK,
  miniblockBytes,
  miniblocks,
  packFull,
  packPart,
  unpackFull,
  unpackPart,
  unpackReach,
  widthOf,
} from './miniblock';

const BASE_BYTES: u32 = 8;

/** Bytes that `pack` will write. */
export function packedSize(src: usize, count: u32): u32 {
  const base = least(src, count);
  let size = BASE_BYTES + miniblocks(count);
  for (let left = count; left > 0; ) {
    const values = min<u32>(left, MINIBLOCK);
    size += miniblockBytes(values, widthOf(src, values, base));
    src += values << 3;
    left -= values;
  }
  return size;
}

/** Answers the bytes written: `packedSize`, and not one more. */
export function pack(src: usize, count: u32, out: usize): u32 {
  const base = least(src, count);
  store<i64>(out, base);
  let widths = out + BASE_BYTES;
  let at = widths + miniblocks(count);
  for (let left = count; left > 0; ) {
    const values = min<u32>(left, MINIBLOCK);
    const width = widthOf(src, values, base);
    store<u8>(widths, width);
    if (values == MINIBLOCK) packFull(src, base, width, at);
    else packPart(src, values, base, width, at);
    at += miniblockBytes(values, width);
    src += values << 3;
    left -= values;
    widths++;
  }
  return <u32>(at - out);
}

/** Bytes that a chunk of `count` values says it takes, or -1 where a width is over 64 or they reach past `srcEnd`. */
// @ts-ignore: decorator
@inline
function chunkBytes(src: usize, srcEnd: usize, count: u32): i32 {
  const head = BASE_BYTES + miniblocks(count);
  if (srcEnd < src || srcEnd - src < head) return -1;
  const room = min<u64>(srcEnd - src, i32.MAX_VALUE);
  const widths = src + BASE_BYTES;
  // 64 bits: 2^25 miniblocks of 1 KiB don't fit 32.
  let size: u64 = head;
  const full = count >> 7;
  for (let i: u32 = 0; i < full; i++) {
    const width = <u32>load<u8>(widths + i);
    if (width > 64) return -1;
    size += miniblockBytes(MINIBLOCK, width);
  }
  if (count & 127) {
    const width = <u32>load<u8>(widths + full);
    if (width > 64) return -1;
    size += miniblockBytes(count & 127, width);
  }
  return size > room ? -1 : <i32>size;
}

/**
 * Answers the bytes read, or -1, with nothing written, where the chunk is not whole. Reads nothing at or past `srcEnd`, writes
 * nothing but `count` values.
 */
export function unpack(src: usize, srcEnd: usize, count: u32, out: usize): i32 {
  const size = chunkBytes(src, srcEnd, count);
  if (size < 0) return -1;
  const base = load<i64>(src);
  let widths = src + BASE_BYTES;
  let at = widths + miniblocks(count);
  for (let left = count; left > 0; ) {
    const values = min<u32>(left, MINIBLOCK);
    const width = <u32>load<u8>(widths);
    if (values == MINIBLOCK && srcEnd - at >= unpackReach(width)) unpackFull(at, width, base, out);
    else unpackPart(at, srcEnd, values, width, base, out);
    at += miniblockBytes(values, width);
    out += values << 3;
    left -= values;
    widths++;
  }
  return size;
}
