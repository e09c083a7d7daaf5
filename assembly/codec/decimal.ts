// Floats that are decimals: v = n / 10^e for a whole n below 2^53, equal to the bit. What isn't (-0, NaN, infinities, noise, huge
// values) is an exception: its row and its bits are kept, and the n before it stands in its place.
import { KIND_F32 } from '../layout';

const WHOLE: f64 = 9007199254740992;

/** i64 integers of the last decimal place to doubles: each the one nearest to the decimal, since both operands are exact. */
export function toDecimals(source: usize, count: u32, divisor: f64, out: usize): void {
  const end = source + (<usize>count << 3);
  while (source < end) {
    store<f64>(out, <f64>load<i64>(source) / divisor);
    source += 8;
    out += 8;
  }
}

/**
 * The integers of `count` floats (`kind`: f64 or f32, as they are in memory) as i64, for `divisor` = 10^e; exceptions' rows (u32) and
 * bits (u64). Answers the number of exceptions, or -1 where there are more than `most`.
 */
export function decimals(
  src: usize,
  kind: i32,
  count: u32,
  divisor: f64,
  out: usize,
  rows: usize,
  bits: usize,
  most: u32,
): i32 {
  let exceptions: u32 = 0;
  let before: i64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    let value: f64;
    let pattern: u64;
    if (kind == KIND_F32) {
      pattern = load<u32>(src);
      value = <f64>load<f32>(src);
      src += 4;
    } else {
      pattern = load<u64>(src);
      value = load<f64>(src);
      src += 8;
    }
    // Plus zero: -0 becomes 0, which is another pattern, as its integer has no sign.
    const whole = nearest(value * divisor) + 0.0;
    const back = whole / divisor;
    const backPattern = kind == KIND_F32 ? <u64>reinterpret<u32>(<f32>back) : reinterpret<u64>(back);
    // Not of a NaN or an infinity, neither of which is below anything's bound.
    if (abs(whole) < WHOLE && backPattern == pattern) {
      before = <i64>whole;
    } else {
      if (exceptions == most) return -1;
      store<u32>(rows + (<usize>exceptions << 2), i);
      store<u64>(bits + (<usize>exceptions << 3), pattern);
      exceptions++;
    }
    store<i64>(out, before);
    out += 8;
  }
  return <i32>exceptions;
}

/**
 * Floats of `kind` as bit patterns of 64 bits, from integers in place. Answers 0, or -1 where an exception's row is not behind the
 * one before it and below `count`.
 */
export function undecimals(
  values: usize,
  kind: i32,
  count: u32,
  divisor: f64,
  rows: usize,
  bits: usize,
  exceptions: u32,
): i32 {
  let at = values;
  const end = values + (<usize>count << 3);
  if (kind == KIND_F32) {
    for (; at < end; at += 8) store<u64>(at, reinterpret<u32>(<f32>(<f64>load<i64>(at) / divisor)));
  } else {
    for (; at < end; at += 8) store<f64>(at, <f64>load<i64>(at) / divisor);
  }
  let free: u32 = 0;
  for (let i: u32 = 0; i < exceptions; i++) {
    const row = load<u32>(rows + (<usize>i << 2));
    if (row < free || row >= count) return -1;
    store<u64>(values + (<usize>row << 3), load<u64>(bits + (<usize>i << 3)));
    free = row + 1;
  }
  return 0;
}
