// A column of one value.

/** Stores `value` `count` times. */
export function fill(out: usize, count: u32, value: i64): void {
  const two = i64x2.splat(value);
  let left = count;
  for (; left >= 2; left -= 2) {
    v128.store(out, two);
    out += 16;
  }
  if (left > 0) store<i64>(out, value);
}
