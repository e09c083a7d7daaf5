// Byte planes: the lowest byte of every value, then the next byte of every value, and so on up to `width`. An entropy coder takes
// each plane on its own, so that the sign and exponent of doubles, or the high bytes of ids, cost little beside noise.

/** `width`: 1 to 8; higher bytes of values are left out. */
export function toPlanes(src: usize, width: u32, count: u32, out: usize): void {
  let i: u32 = 0;
  for (; i + 8 <= count; i += 8) {
    for (let plane: u32 = 0; plane < width; plane++) {
      let word: u64 = 0;
      for (let k: u32 = 0; k < 8; k++) {
        word |= <u64>load<u8>(src + ((i + k) << 3) + plane) << (k << 3);
      }
      store<u64>(out + <usize>plane * count + i, word);
    }
  }
  for (; i < count; i++) {
    for (let plane: u32 = 0; plane < width; plane++) {
      store<u8>(out + <usize>plane * count + i, load<u8>(src + (<usize>i << 3) + plane));
    }
  }
}

/** Restores values, their bytes from `width` on zero. */
export function fromPlanes(src: usize, width: u32, count: u32, out: usize): void {
  let i: u32 = 0;
  for (; i < count; i++) {
    let value: u64 = 0;
    for (let plane: u32 = 0; plane < width; plane++) {
      value |= <u64>load<u8>(src + <usize>plane * count + i) << (plane << 3);
    }
    store<u64>(out, value);
    out += 8;
  }
}
