// Frame of reference: i64 values less their least (wrapping), which makes them u64 and small.

/** Adds `base` to each: into the frame with the least value's negative, out of it with the least value. `out` may be `src`. */
export function addConstant(src: usize, count: u32, base: i64, out: usize): void {
  const bases = i64x2.splat(base);
  let left = count;
  for (; left >= 2; left -= 2) {
    v128.store(out, i64x2.add(v128.load(src), bases));
    src += 16;
    out += 16;
  }
  if (left > 0) store<i64>(out, load<i64>(src) + base);
}
