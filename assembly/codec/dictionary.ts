// A dictionary of up to 256 values and an id for each row, of 1, 2, 4 or 8 bits; ids smaller than a byte share one, the first
// in its lowest bits, so that an entropy coder of bytes can go below a bit an id.
import { DICTIONARY_RANGE, DICTIONARY_SLOTS, MAX_DICTIONARY } from '../layout';

const SLOT_BYTES: usize = 16;
const HASH: u64 = 0x9e3779b97f4a7c15;

/**
 * Ids of 8 bits in the order in which values first come, and the values as i64. Answers how many there are, or -1 where there are
 * more than 256. `scratch`: DICTIONARY_SLOTS * 16 bytes.
 */
export function dictionary(src: usize, count: u32, ids: usize, values: usize, scratch: usize): i32 {
  memory.fill(scratch, 0, <usize>DICTIONARY_SLOTS * SLOT_BYTES);
  let known: u32 = 0;
  let previous: u64 = 0;
  let id: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const value = load<u64>(src);
    src += 8;
    if (i == 0 || value != previous) {
      previous = value;
      let slot = <u32>((value * HASH) >> 54);
      for (;;) {
        const at = scratch + <usize>slot * SLOT_BYTES;
        // Ids are kept plus one: 0 is an empty slot.
        const kept = load<u32>(at, 8);
        if (kept == 0) {
          if (known == <u32>MAX_DICTIONARY) return -1;
          id = known++;
          store<u64>(at, value);
          store<u32>(at, id + 1, 8);
          store<u64>(values + (<usize>id << 3), value);
          break;
        }
        if (load<u64>(at) == value) {
          id = kept - 1;
          break;
        }
        slot = (slot + 1) & <u32>(DICTIONARY_SLOTS - 1);
      }
    }
    store<u8>(ids + i, id);
  }
  return <i32>known;
}

/**
 * The same for values from `least` on that are less than DICTIONARY_RANGE above it: a table instead of a hash table. `scratch`:
 * DICTIONARY_RANGE * 2 bytes.
 */
export function rangeDictionary(src: usize, count: u32, least: i64, ids: usize, values: usize, scratch: usize): i32 {
  memory.fill(scratch, 0, <usize>DICTIONARY_RANGE * 2);
  let known: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const value = load<i64>(src);
    src += 8;
    const at = scratch + ((<usize>(value - least) & <usize>(DICTIONARY_RANGE - 1)) << 1);
    // Ids are kept plus one.
    let id = <u32>load<u16>(at);
    if (id == 0) {
      if (known == <u32>MAX_DICTIONARY) return -1;
      store<i64>(values + (<usize>known << 3), value);
      id = ++known;
      store<u16>(at, id);
    }
    store<u8>(ids + i, id - 1);
  }
  return <i32>known;
}

/**
 * Ids of pairs: of `a`, and of `b`, whose ids are below `others`. Answers how many pairs there are, or -1 where there are more
 * than 256. `scratch`: 128 KiB, its first `2 * others * (ids of a)` bytes zero; `out` may be `a`.
 */
export function pairIds(a: usize, b: usize, count: u32, others: u32, scratch: usize, out: usize): i32 {
  let known: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const pair = <u32>load<u8>(a + i) * others + <u32>load<u8>(b + i);
    const at = scratch + (<usize>pair << 1);
    let id = <u32>load<u16>(at);
    if (id == 0) {
      if (known == <u32>MAX_DICTIONARY) return -1;
      id = ++known;
      store<u16>(at, id);
    }
    store<u8>(out + i, id - 1);
  }
  return <i32>known;
}

/** The row (u32) in which each of the `known` ids, all of which come, comes first. */
export function firstRows(ids: usize, count: u32, known: u32, rows: usize): void {
  memory.fill(rows, 0xff, <usize>known << 2);
  for (let i: u32 = 0; i < count && known > 0; i++) {
    const at = rows + (<usize>load<u8>(ids + i) << 2);
    if (load<i32>(at) >= 0) continue;
    store<u32>(at, i);
    known--;
  }
}

/** The values in these rows (u32): what ids stand for in a column, where equal ids come with equal values. */
export function valuesInRows(src: usize, rows: usize, known: u32, values: usize): void {
  for (let i: u32 = 0; i < known; i++) {
    store<u64>(values + (<usize>i << 3), load<u64>(src + (<usize>load<u32>(rows + (<usize>i << 2)) << 3)));
  }
}

/** 1 where every value is the one that the id of its row stands for. */
export function idsSuit(ids: usize, count: u32, values: usize, src: usize): u32 {
  let lost: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    lost |= load<u64>(values + (<usize>load<u8>(ids + i) << 3)) ^ load<u64>(src);
    src += 8;
  }
  return lost == 0 ? 1 : 0;
}

/** Ids of 8 bits to ids of `width` (1, 2, 4, 8) bits. */
export function packIds(ids: usize, count: u32, width: u32, out: usize): void {
  if (width == 8) {
    memory.copy(out, ids, count);
    return;
  }
  const perByte: u32 = 8 / width;
  while (count > 0) {
    let byte: u32 = 0;
    const here = min<u32>(count, perByte);
    for (let k: u32 = 0; k < here; k++) byte |= <u32>load<u8>(ids + k) << (k * width);
    store<u8>(out, byte);
    out++;
    ids += here;
    count -= here;
  }
}

/** Ids of `width` (1, 2, 4, 8) bits to ids of 8 bits. */
export function unpackIds(ids: usize, width: u32, count: u32, out: usize): void {
  if (width == 8) {
    memory.copy(out, ids, count);
    return;
  }
  const mask: u32 = (1 << width) - 1;
  while (count > 0) {
    let byte = <u32>load<u8>(ids);
    const here = min<u32>(count, 8 / width);
    for (let k: u32 = 0; k < here; k++) {
      store<u8>(out, byte & mask);
      byte >>= width;
      out++;
    }
    ids++;
    count -= here;
  }
}

// @ts-ignore: decorator
@inline
function look(values: usize, id: u32, out: usize): void {
  store<u64>(out, load<u64>(values + (<usize>id << 3)));
}

/**
 * Restores values from ids of `width` (1, 2, 4, 8) bits. Answers 0, or -1 where an id is not below `known` or spare bits are set.
 * `values` has room for 256.
 */
export function lookUp(ids: usize, width: u32, count: u32, values: usize, known: u32, out: usize): i32 {
  let most: u32 = 0;
  if (width == 8) {
    for (let i: u32 = 0; i < count; i++) {
      const id = <u32>load<u8>(ids + i);
      most = max<u32>(most, id);
      look(values, id, out);
      out += 8;
    }
    return count > 0 && most >= known ? -1 : 0;
  }
  if (width == 4) {
    for (; count >= 2; count -= 2) {
      const byte = <u32>load<u8>(ids);
      most = max<u32>(most, max<u32>(byte & 15, byte >> 4));
      look(values, byte & 15, out);
      look(values, byte >> 4, out + 8);
      ids++;
      out += 16;
    }
  }
  const mask: u32 = (1 << width) - 1;
  while (count > 0) {
    let byte = <u32>load<u8>(ids);
    const here = min<u32>(count, 8 / width);
    for (let k: u32 = 0; k < here; k++) {
      const id = byte & mask;
      most = max<u32>(most, id);
      look(values, id, out);
      byte >>= width;
      out += 8;
    }
    if (byte != 0) return -1;
    ids++;
    count -= here;
  }
  return most >= known && known < 256 ? -1 : 0;
}
