// Which values of an optional column there are: a mask, bit i mod 8 of byte i >> 3 for row i, 1 where it has a value. The bits behind
// the last row are zero.

/** The mask of bit `bit` (0 to 7) of each of `count` bytes: (count + 7) >> 3 bytes. */
export function presenceMask(column: usize, count: u32, bit: u32, out: usize): void {
  let left = count;
  for (; left >= 16; left -= 16) {
    // The bit becomes the highest of its byte; what crosses into the next byte is below it.
    store<u16>(out, <u16>i8x16.bitmask(i16x8.shl(v128.load(column), 7 - bit)));
    column += 16;
    out += 2;
  }
  let mask: u32 = 0;
  for (let i: u32 = 0; i < left; i++) mask |= (((<u32>load<u8>(column + i)) >> bit) & 1) << i;
  for (; <i32>left > 0; left -= 8) {
    store<u8>(out, mask);
    mask >>= 8;
    out++;
  }
}

/** A byte a row from a mask, 1 or 0: `count` bytes. Answers how many are 1. */
export function expandMask(mask: usize, count: u32, out: usize): u32 {
  let present: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const bit = ((<u32>load<u8>(mask + (i >> 3))) >> (i & 7)) & 1;
    store<u8>(out + i, bit);
    present += bit;
  }
  return present;
}

// @ts-ignore: decorator
@inline
function keep<T>(column: usize, mask: usize, count: u32, out: usize): u32 {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    // Stored either way, and overwritten where it is not kept: no branch to be guessed. `out` is never ahead of what is read.
    store<T>(out + <usize>kept * sizeof<T>(), load<T>(column + <usize>i * sizeof<T>()));
    kept += ((<u32>load<u8>(mask + (i >> 3))) >> (i & 7)) & 1;
  }
  return kept;
}

/**
 * The values of a column of `width` (1, 2, 4, 8) bytes that the mask has, one after another; `out` may be the column itself, and is
 * written for up to `count` values. Answers how many they are.
 */
export function keepPresent(column: usize, width: u32, mask: usize, count: u32, out: usize): u32 {
  if (width == 8) return keep<u64>(column, mask, count, out);
  if (width == 4) return keep<u32>(column, mask, count, out);
  if (width == 2) return keep<u16>(column, mask, count, out);
  if (width == 1) return keep<u8>(column, mask, count, out);
  return 0;
}

/** Values of 8 bytes back to the rows that the mask has, with zeros in the others. `out` is not `kept`. */
export function spreadPresent(mask: usize, count: u32, kept: usize, out: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    const bit = ((<u64>load<u8>(mask + (i >> 3))) >> (i & 7)) & 1;
    store<u64>(out, load<u64>(kept) & (0 - bit));
    kept += <usize>(bit << 3);
    out += 8;
  }
}
