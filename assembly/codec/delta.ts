// Differences of neighbouring i64 values (wrapping): value i minus value i - 1, the first 0; the first value is kept apart. Where
// one is negative, all are zigzagged: d becomes (d << 1) ^ (d >> 63), so that small ones of either sign are small.

/** Answers 1 where a difference is negative. `out` may be `src`. */
export function differences(src: usize, count: u32, out: usize): u32 {
  if (count == 0) return 0;
  let previous = load<i64>(src);
  let signs: i64 = 0;
  let before = i64x2.splat(previous);
  let signs2 = i64x2.splat(0);
  let left = count;
  for (; left >= 2; left -= 2) {
    const two = v128.load(src);
    const d = i64x2.sub(two, v128.shuffle<u64>(before, two, 1, 2));
    signs2 = v128.or(signs2, d);
    v128.store(out, d);
    before = two;
    src += 16;
    out += 16;
  }
  if (left > 0) {
    previous = i64x2.extract_lane(before, 1);
    const d = load<i64>(src) - previous;
    signs |= d;
    store<i64>(out, d);
  }
  signs |= i64x2.extract_lane(signs2, 0) | i64x2.extract_lane(signs2, 1);
  return signs < 0 ? 1 : 0;
}

/** In place. */
export function zigzag(values: usize, count: u32): void {
  const end = values + (<usize>count << 3);
  for (; values + 16 <= end; values += 16) {
    const two = v128.load(values);
    v128.store(values, v128.xor(i64x2.shl(two, 1), i64x2.shr_s(two, 63)));
  }
  if (values < end) {
    const one = load<i64>(values);
    store<i64>(values, (one << 1) ^ (one >> 63));
  }
}

// @ts-ignore: decorator
@inline
function sum(values: usize, count: u32, first: i64, zigzagged: bool): void {
  let total = first;
  for (const end = values + (<usize>count << 3); values < end; values += 8) {
    const d = load<u64>(values);
    total += zigzagged ? <i64>((d >> 1) ^ (0 - (d & 1))) : <i64>d;
    store<i64>(values, total);
  }
}

/** In place: from differences to values. `zigzagged`: not 0 where they are. */
export function sumDifferences(values: usize, count: u32, first: i64, zigzagged: u32): void {
  if (zigzagged != 0) sum(values, count, first, true);
  else sum(values, count, first, false);
}
