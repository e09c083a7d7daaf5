// A column as its difference (wrapping) to another one: a second timestamp to the first, ask to bid.

/** `out` may be `src`. */
export function subtract(src: usize, reference: usize, count: u32, out: usize): void {
  let left = count;
  for (; left >= 2; left -= 2) {
    v128.store(out, i64x2.sub(v128.load(src), v128.load(reference)));
    src += 16;
    reference += 16;
    out += 16;
  }
  if (left > 0) store<i64>(out, load<i64>(src) - load<i64>(reference));
}

/** In place. */
export function add(values: usize, reference: usize, count: u32): void {
  let left = count;
  for (; left >= 2; left -= 2) {
    v128.store(values, i64x2.add(v128.load(values), v128.load(reference)));
    values += 16;
    reference += 16;
  }
  if (left > 0) store<i64>(values, load<i64>(values) + load<i64>(reference));
}
