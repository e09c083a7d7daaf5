// Values as quotient and remainder by a divisor: prices by their tick, timestamps by the resolution of their clock. Where the
// divisor is the greatest common one of the values less their base, all remainders are zero.
//
//   value = base + quotient * divisor + remainder, wrapping; base is the least value, 0 <= remainder < divisor

/** Values less the base have to be exact as doubles. */
const EXACT: u64 = 1 << 52;
/** The bits of 2^52 as a double: with those of a number below it, the bits of 2^52 and that number. */
const EXPONENT: i64 = 0x4330000000000000;
const TWO_TO_52: f64 = 4503599627370496;

/** Stores two quotients and remainders, or (`both` false, a constant) the first; answers the remainders. */
// @ts-ignore: decorator
@inline
function splitTwo(
  values: v128,
  divisors: v128,
  reciprocals: v128,
  quotients: usize,
  remainders: usize,
  both: bool,
): v128 {
  const exponents = i64x2.splat(EXPONENT);
  const shift = f64x2.splat(TWO_TO_52);
  const ones = f64x2.splat(1);
  const kept = v128.and(values, i64x2.splat(<i64>(EXACT - 1)));
  const whole = f64x2.sub(v128.or(kept, exponents), shift);
  // A multiplication by the reciprocal, as SIMD has no 64-bit division. It may come out one less, not more: below 2^52 the product
  // is nearer to the quotient than 1 / divisor.
  let quotient = f64x2.floor(f64x2.mul(whole, reciprocals));
  let remainder = f64x2.sub(whole, f64x2.mul(quotient, divisors));
  const over = f64x2.ge(remainder, divisors);
  quotient = f64x2.add(quotient, v128.and(over, ones));
  remainder = f64x2.sub(remainder, v128.and(over, divisors));
  const rest = v128.xor(f64x2.add(remainder, shift), exponents);
  const result = v128.xor(f64x2.add(quotient, shift), exponents);
  if (both) {
    v128.store(quotients, result);
    v128.store(remainders, rest);
  } else {
    store<i64>(quotients, i64x2.extract_lane(result, 0));
    store<i64>(remainders, i64x2.extract_lane(rest, 0));
  }
  return rest;
}

/**
 * Stores quotients and remainders. Answers 1 where a remainder is not 0, 0 where all are, and -1 where a value less the base is not
 * below 2^52: then they are of no use. `divisor`: 2 to 2^52. `quotients` may be `src`.
 */
export function split(src: usize, count: u32, base: i64, divisor: i64, quotients: usize, remainders: usize): i32 {
  const bases = i64x2.splat(base);
  const divisors = f64x2.splat(<f64>divisor);
  const reciprocals = f64x2.splat(1 / <f64>divisor);
  let large = i64x2.splat(0);
  let any = i64x2.splat(0);
  let left = count;
  for (; left >= 2; left -= 2) {
    const values = i64x2.sub(v128.load(src), bases);
    large = v128.or(large, values);
    any = v128.or(any, splitTwo(values, divisors, reciprocals, quotients, remainders, true));
    src += 16;
    quotients += 16;
    remainders += 16;
  }
  if (left > 0) {
    const last = load<i64>(src) - base;
    const values = i64x2.replace_lane(i64x2.splat(0), 0, last);
    large = v128.or(large, values);
    any = v128.or(any, splitTwo(values, divisors, reciprocals, quotients, remainders, false));
  }
  if (<u64>(i64x2.extract_lane(large, 0) | i64x2.extract_lane(large, 1)) >= EXACT) return -1;
  return v128.any_true(any) ? 1 : 0;
}

/** Puts values together again, over the quotients. */
export function join(quotients: usize, remainders: usize, count: u32, base: i64, divisor: i64): void {
  const bases = i64x2.splat(base);
  const divisors = i64x2.splat(divisor);
  let left = count;
  for (; left >= 2; left -= 2) {
    const product = i64x2.mul(v128.load(quotients), divisors);
    v128.store(quotients, i64x2.add(i64x2.add(product, bases), v128.load(remainders)));
    quotients += 16;
    remainders += 16;
  }
  if (left > 0) store<i64>(quotients, load<i64>(quotients) * divisor + base + load<i64>(remainders));
}

/** The greatest common divisor of the values less `base`, 0 where all are equal to it. */
export function commonDivisor(src: usize, count: u32, base: i64): u64 {
  let divisor: u64 = 0;
  for (let i: u32 = 0; i < count && divisor != 1; i++) {
    let other = <u64>(load<i64>(src) - base);
    src += 8;
    // Most values are multiples already: one remainder each.
    while (other != 0) {
      const rest = divisor == 0 ? 0 : divisor % other;
      if (divisor == 0) {
        divisor = other;
        break;
      }
      divisor = other;
      other = rest;
    }
  }
  return divisor;
}
