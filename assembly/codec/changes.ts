// A change mask: which values differ from the one before. Bit i mod 8 of byte i / 8 is 1 where value i is kept (the first always
// is), 0 where it is that of the value before it; the last byte's spare bits are zero.

/** Stores the mask and the values it keeps; answers how many. */
export function keepChanges(src: usize, count: u32, mask: usize, out: usize): u32 {
  if (count == 0) return 0;
  const start = out;
  let previous = ~load<u64>(src);
  while (count >= 8) {
    let byte: u32 = 0;
    for (let bit: u32 = 0; bit < 8; bit++) {
      const value = load<u64>(src + (bit << 3));
      const changed = u32(value != previous);
      store<u64>(out, value);
      out += changed << 3;
      byte |= changed << bit;
      previous = value;
    }
    store<u8>(mask, byte);
    mask++;
    src += 64;
    count -= 8;
  }
  if (count > 0) {
    let byte: u32 = 0;
    for (let bit: u32 = 0; bit < count; bit++) {
      const value = load<u64>(src + (bit << 3));
      const changed = u32(value != previous);
      store<u64>(out, value);
      out += changed << 3;
      byte |= changed << bit;
      previous = value;
    }
    store<u8>(mask, byte);
  }
  return <u32>(out - start) >> 3;
}

/** Stores the values that a mask of another column keeps; answers how many, or -1 where this one changes elsewhere too. */
export function keepWhere(src: usize, count: u32, mask: usize, out: usize): i32 {
  if (count == 0) return 0;
  const start = out;
  let previous: u64 = 0;
  let lost: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const kept = <u64>((load<u8>(mask + (i >> 3)) >> (i & 7)) & 1);
    const value = load<u64>(src);
    lost |= (value ^ previous) & (kept - 1);
    store<u64>(out, value);
    out += <usize>(kept << 3);
    previous = value;
    src += 8;
  }
  return lost != 0 ? -1 : <i32>((out - start) >> 3);
}

/** How many values a mask of `count` keeps, or -1 where it drops the first or has spare bits set. */
export function maskCount(mask: usize, count: u32): i32 {
  if (count == 0) return 0;
  if ((load<u8>(mask) & 1) == 0) return -1;
  let sum: u32 = 0;
  const bytes = count >> 3;
  let i: u32 = 0;
  for (; i + 8 <= bytes; i += 8) sum += <u32>popcnt<u64>(load<u64>(mask + i));
  for (; i < bytes; i++) sum += popcnt<u32>(load<u8>(mask + i));
  const spare = count & 7;
  if (spare != 0) {
    const last = <u32>load<u8>(mask + bytes);
    if (last >> spare != 0) return -1;
    sum += popcnt<u32>(last);
  }
  return <i32>sum;
}

/** Restores `count` values from those that the mask keeps, of which there are as many as `maskCount` says. `out` is not `kept`. */
export function spread(mask: usize, count: u32, kept: usize, out: usize): void {
  let at = kept - 8;
  while (count >= 8) {
    const byte = <u32>load<u8>(mask);
    if (byte == 0xff) {
      v128.store(out, v128.load(at, 8));
      v128.store(out, v128.load(at, 24), 16);
      v128.store(out, v128.load(at, 40), 32);
      v128.store(out, v128.load(at, 56), 48);
      at += 64;
    } else if (byte == 0) {
      const same = v128.load64_splat(at);
      v128.store(out, same);
      v128.store(out, same, 16);
      v128.store(out, same, 32);
      v128.store(out, same, 48);
    } else {
      for (let bit: u32 = 0; bit < 8; bit++) {
        at += ((byte >> bit) & 1) << 3;
        store<u64>(out + (bit << 3), load<u64>(at));
      }
    }
    mask++;
    out += 64;
    count -= 8;
  }
  for (let bit: u32 = 0; bit < count; bit++) {
    at += ((<u32>load<u8>(mask) >> bit) & 1) << 3;
    store<u64>(out + (bit << 3), load<u64>(at));
  }
}
