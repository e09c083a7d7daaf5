// Differences within groups: a value minus the last one of the same group (wrapping), the first of a group minus 0. With the
// symbol as the group, the prices of many instruments in one column are as smooth as those of one.

/** `groups`: a byte a row. `last`: room for 256 i64. `out` may be `src`. Answers 1 where a difference is negative. */
export function groupDifferences(src: usize, groups: usize, count: u32, last: usize, out: usize): u32 {
  memory.fill(last, 0, 2048);
  let signs: i64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const at = last + (<usize>load<u8>(groups + i) << 3);
    const value = load<i64>(src);
    const d = value - load<i64>(at);
    store<i64>(at, value);
    signs |= d;
    store<i64>(out, d);
    src += 8;
    out += 8;
  }
  return signs < 0 ? 1 : 0;
}

// @ts-ignore: decorator
@inline
function sum(values: usize, groups: usize, count: u32, last: usize, zigzagged: bool): void {
  for (let i: u32 = 0; i < count; i++) {
    const at = last + (<usize>load<u8>(groups + i) << 3);
    const d = load<u64>(values);
    const value = load<u64>(at) + (zigzagged ? (d >> 1) ^ (0 - (d & 1)) : d);
    store<u64>(at, value);
    store<u64>(values, value);
    values += 8;
  }
}

/** In place: from differences to values. `zigzagged`: not 0 where they are. `last`: room for 256 i64. */
export function sumGroups(values: usize, groups: usize, count: u32, last: usize, zigzagged: u32): void {
  memory.fill(last, 0, 2048);
  if (zigzagged != 0) sum(values, groups, count, last, true);
  else sum(values, groups, count, last, false);
}
