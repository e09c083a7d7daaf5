// The symbol table: append-only, one for all threads, its pages those of a mapped file. Entries are published by moving the
// count, so an id that anyone has seen always has its name.
import { xxh64 } from './checksum';
import {
  CONTROL_SYMBOL_LOCK,
  SYMBOL_BYTES,
  SYMBOL_COUNT,
  SYMBOL_HEADER_BYTES,
  SYMBOL_LENGTH,
  SYMBOL_NAME,
  SYMBOL_NAME_MAX,
  SYMBOLS,
} from './layout';

// @ts-ignore: decorator
@inline
function entryOf(id: u32): usize {
  return <usize>SYMBOLS + SYMBOL_HEADER_BYTES + <usize>id * SYMBOL_BYTES;
}

/** The id of the name, or -1 where it isn't among entries from..to. */
function find(from: u32, to: u32, name: usize, length: u32): i32 {
  for (let id = from; id < to; id++) {
    const entry = entryOf(id);
    if (load<u8>(entry, SYMBOL_LENGTH) == length && memory.compare(entry + SYMBOL_NAME, name, length) == 0) return id;
  }
  return -1;
}

/**
 * The id of the name in the staged entry (its length and bytes in their places, zeros behind), entered if new; -1 where the table
 * of `capacity` entries is full, -2 on a bad length.
 */
export function intern(staged: usize, capacity: u32): i32 {
  const length = <u32>load<u8>(staged, SYMBOL_LENGTH);
  if (length == 0 || length > <u32>SYMBOL_NAME_MAX) return -2;
  let searched: u32 = 0;
  while (true) {
    const count = atomic.load<u32>(SYMBOLS + SYMBOL_COUNT);
    const found = find(searched, count, staged + SYMBOL_NAME, length);
    if (found >= 0) return found;
    if (count >= capacity) return -1;
    searched = count;
    const entry = entryOf(count);
    const hash = xxh64(staged + SYMBOL_LENGTH, SYMBOL_BYTES - SYMBOL_LENGTH, count);
    if (atomic.cmpxchg<i32>(CONTROL_SYMBOL_LOCK, 0, 1) != 0) continue;
    // No loop and no call from here to the release: engines stop a terminated thread at these only, so one that is terminated
    // never leaves the lock held.
    const unchanged = atomic.load<u32>(SYMBOLS + SYMBOL_COUNT) == count;
    if (unchanged) {
      store<u64>(entry, hash);
      store<u64>(entry, load<u64>(staged, 8), 8);
      v128.store(entry, v128.load(staged, 16), 16);
      v128.store(entry, v128.load(staged, 32), 32);
      v128.store(entry, v128.load(staged, 48), 48);
      atomic.store<u32>(SYMBOLS + SYMBOL_COUNT, count + 1);
    }
    atomic.store<i32>(CONTROL_SYMBOL_LOCK, 0);
    if (unchanged) return count;
  }
}

/**
 * Marks the ids of a u32 column in `seen` (a byte an id, all zero before and after) and lists each once in `out`; how many, or -1 where
 * an id is not below `capacity`.
 */
export function distinct(ids: usize, count: u32, seen: usize, capacity: u32, out: usize): i32 {
  let found: u32 = 0;
  let known = true;
  for (let i: u32 = 0; i < count; i++) {
    const id = load<u32>(ids + (<usize>i << 2));
    if (id >= capacity) {
      known = false;
      break;
    }
    if (load<u8>(seen + id) != 0) continue;
    store<u8>(seen + id, 1);
    store<u32>(out + (<usize>found << 2), id);
    found++;
  }
  for (let i: u32 = 0; i < found; i++) store<u8>(seen + load<u32>(out + (<usize>i << 2)), 0);
  return known ? found : -1;
}
