// A miniblock: up to 128 i64 values minus a base (wrapping), `width` (0..64) bits each, the first value in the lowest bits of
// the first byte:
//
//   value i is bits i * width .. i * width + width - 1, bit b being bit b mod 8 of byte b / 8
//   a full miniblock takes 16 * width bytes, one of k values ceil(k * width / 8), its last bits zero

export const MINIBLOCK: u32 = 128;
const FULL_BYTES: usize = 1024;

// @ts-ignore: decorator
@inline
export function miniblocks(count: u32): u32 {
  return (count >> 7) + u32((count & 127) != 0);
}

// @ts-ignore: decorator
@inline
export function miniblockBytes(count: u32, width: u32): u32 {
  return (count * width + 7) >> 3;
}

// @ts-ignore: decorator
@inline
function lesser(a: v128, b: v128): v128 {
  return v128.bitselect(a, b, i64x2.lt_s(a, b));
}

/** The least value; 0 of none. */
// @ts-ignore: decorator
@inline
export function least(src: usize, count: u32): i64 {
  if (count == 0) return 0;
  let a = i64x2.splat(i64.MAX_VALUE);
  let b = a;
  let c = a;
  let d = a;
  let left = count;
  for (; left >= 8; left -= 8) {
    a = lesser(v128.load(src), a);
    b = lesser(v128.load(src, 16), b);
    c = lesser(v128.load(src, 32), c);
    d = lesser(v128.load(src, 48), d);
    src += 64;
  }
  a = lesser(lesser(a, b), lesser(c, d));
  let result = min<i64>(i64x2.extract_lane(a, 0), i64x2.extract_lane(a, 1));
  for (; left > 0; left--) {
    result = min<i64>(result, load<i64>(src));
    src += 8;
  }
  return result;
}

/** Bits that the widest of `count` values minus `base` needs. */
// @ts-ignore: decorator
@inline
export function widthOf(src: usize, count: u32, base: i64): u32 {
  const bases = i64x2.splat(base);
  let a = i64x2.splat(0);
  let b = a;
  let left = count;
  for (; left >= 4; left -= 4) {
    a = v128.or(a, i64x2.sub(v128.load(src), bases));
    b = v128.or(b, i64x2.sub(v128.load(src, 16), bases));
    src += 32;
  }
  a = v128.or(a, b);
  let bits = i64x2.extract_lane(a, 0) | i64x2.extract_lane(a, 1);
  for (; left > 0; left--) {
    bits |= load<i64>(src) - base;
    src += 8;
  }
  return 64 - <u32>clz<i64>(bits);
}

// Packs 128 values, `perUnit` of which (a constant; perUnit * width <= 64) are joined before they go into the word under way:
// the chain from word to word is what costs. A full miniblock ends with a full word, so storing the word under way after every
// unit never goes past the end.
// @ts-ignore: decorator
@inline
function packUnits(src: usize, base: u64, width: u64, out: usize, perUnit: u32): void {
  const unitBits = width * perUnit;
  const end = src + FULL_BYTES;
  let word: u64 = 0;
  let fill: u64 = 0;
  do {
    let unit = load<u64>(src) - base;
    if (perUnit >= 2) unit |= (load<u64>(src, 8) - base) << width;
    if (perUnit >= 4) {
      const high = (load<u64>(src, 16) - base) | ((load<u64>(src, 24) - base) << width);
      unit |= high << (width * 2);
    }
    if (perUnit >= 8) {
      const low = (load<u64>(src, 32) - base) | ((load<u64>(src, 40) - base) << width);
      const high = (load<u64>(src, 48) - base) | ((load<u64>(src, 56) - base) << width);
      unit |= (low | (high << (width * 2))) << (width * 4);
    }
    src += perUnit << 3;
    word |= unit << fill;
    store<u64>(out, word);
    const next = fill + unitBits;
    // Two shifts, as one by 64 would be one by 0.
    word = next >= 64 ? (unit >> 1) >> (63 - fill) : word;
    out += (<usize>next >> 6) << 3;
    fill = next & 63;
  } while (src != end);
}

/** Packs 128 values. */
// @ts-ignore: decorator
@inline
export function packFull(src: usize, base: i64, width: u32, out: usize): void {
  if (width == 0) return;
  if (width <= 8) packUnits(src, base, width, out, 8);
  else if (width <= 16) packUnits(src, base, width, out, 4);
  else if (width <= 32) packUnits(src, base, width, out, 2);
  else packUnits(src, base, width, out, 1);
}

/** Packs fewer than 128 values and stores no byte past their last. */
// @ts-ignore: decorator
@inline
export function packPart(src: usize, count: u32, base: i64, width: u32, out: usize): void {
  let word: u64 = 0;
  let fill: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const value: u64 = load<u64>(src) - base;
    src += 8;
    word |= value << fill;
    fill += width;
    if (fill >= 64) {
      store<u64>(out, word);
      out += 8;
      fill -= 64;
      word = fill > 0 ? value >> (width - fill) : 0;
    }
  }
  for (; fill > 0; fill -= min<u32>(fill, 8)) {
    store<u8>(out, word);
    out++;
    word >>= 8;
  }
}

// @ts-ignore: decorator
@inline
function maskOf(width: u32): u64 {
  return width == 0 ? 0 : u64.MAX_VALUE >> (64 - width);
}

// @ts-ignore: decorator
@inline
function fill(out: usize, count: u32, value: i64): void {
  const values = i64x2.splat(value);
  let left = count;
  for (; left >= 2; left -= 2) {
    v128.store(out, values);
    out += 16;
  }
  if (left > 0) store<i64>(out, value);
}

/** Bytes after the start of a full miniblock up to which `unpackFull` reads. */
// @ts-ignore: decorator
@inline
export function unpackReach(width: u32): usize {
  return width == 0 ? 0 : ((127 * width) >> 3) + (width <= 57 ? 8 : 9);
}

// One load of 8 bytes holds a value of up to 57 bits wherever it starts.
// @ts-ignore: decorator
@inline
function unpackOne(src: usize, bit: u32, mask: u64, base: u64): u64 {
  return ((load<u64>(src + (bit >> 3)) >> (bit & 7)) & mask) + base;
}

// @ts-ignore: decorator
@inline
function unpackWide(src: usize, bit: u32, mask: u64, base: u64): u64 {
  const at = src + (bit >> 3);
  const shift = <u64>(bit & 7);
  const high = ((<u64>load<u8>(at, 8)) << 1) << (63 - shift);
  return (((load<u64>(at) >> shift) | high) & mask) + base;
}

/** Unpacks 128 values; reads up to `unpackReach` bytes. */
// @ts-ignore: decorator
@inline
export function unpackFull(src: usize, width: u32, base: i64, out: usize): void {
  if (width == 0) {
    fill(out, MINIBLOCK, base);
    return;
  }
  const mask = maskOf(width);
  const end = out + FULL_BYTES;
  let bit: u32 = 0;
  if (width <= 57) {
    do {
      store<u64>(out, unpackOne(src, bit, mask, base));
      bit += width;
      store<u64>(out, unpackOne(src, bit, mask, base), 8);
      bit += width;
      store<u64>(out, unpackOne(src, bit, mask, base), 16);
      bit += width;
      store<u64>(out, unpackOne(src, bit, mask, base), 24);
      bit += width;
      out += 32;
    } while (out != end);
  } else {
    do {
      store<u64>(out, unpackWide(src, bit, mask, base));
      bit += width;
      store<u64>(out, unpackWide(src, bit, mask, base), 8);
      bit += width;
      out += 16;
    } while (out != end);
  }
}

/**
 * Unpacks `count` values and reads nothing at or past `srcEnd`, which lies at least 8 bytes after something that may be read and
 * no earlier than the miniblock's end.
 */
// @ts-ignore: decorator
@inline
export function unpackPart(src: usize, srcEnd: usize, count: u32, width: u32, base: i64, out: usize): void {
  if (width == 0) {
    fill(out, count, base);
    return;
  }
  const mask = maskOf(width);
  const last = srcEnd - 8;
  let bit: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const at = src + (bit >> 3);
    // A load that would go past the end is made where it ends at the end, and shifted by so many bits more.
    const from = min<usize>(at, last);
    const shift = ((<u32>(at - from)) << 3) + (bit & 7);
    let value = load<u64>(from) >> shift;
    // Only where the value has a bit in a ninth byte, which is then its own.
    if (shift + width > 64) value |= (<u64>load<u8>(from, 8)) << (64 - shift);
    store<u64>(out, (value & mask) + base);
    bit += width;
    out += 8;
  }
}
