/** i64 integers of the last decimal place to doubles: each the one nearest to the decimal, since both operands are exact. */
export function toDecimals(source: usize, count: u32, divisor: f64, out: usize): void {
  const end = source + (<usize>count << 3);
  while (source < end) {
    store<f64>(out, <f64>load<i64>(source) / divisor);
    source += 8;
    out += 8;
  }
}
