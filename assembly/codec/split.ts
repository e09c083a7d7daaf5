// Values as quotient and remainder by a divisor: prices by their tick, timestamps by the resolution of their clock. Where the
// divisor is the greatest common one of the values less their base, all remainders are zero.
//
//   value = base + quotient * divisor + remainder, wrapping; base is the least value, 0 <= remainder < divisor

/** Values less the base have to be exact as doubles. */
const EXACT: u64 = 1 << 52;

/**
 * Stores quotients and remainders. Answers 1 where a remainder is not 0, 0 where all are, and -1 where a value less the base is
 * not below 2^52: then it is no use. `divisor`: 2 to 2^52.
 */
export function split(src: usize, count: u32, base: i64, divisor: i64, quotients: usize, remainders: usize): i32 {
  // A multiplication by the reciprocal, off by one at most, and set right: a 64-bit division takes some 5 ns.
  const reciprocal = 1.0 / <f64>divisor;
  let large: u64 = 0;
  let any: i64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const value = load<i64>(src) - base;
    large |= <u64>value;
    let quotient = <i64>(<f64>(value & <i64>(EXACT - 1)) * reciprocal);
    let remainder = value - quotient * divisor;
    const under = i64(remainder < 0);
    quotient -= under;
    remainder += under * divisor;
    const over = i64(remainder >= divisor);
    quotient += over;
    remainder -= over * divisor;
    any |= remainder;
    store<i64>(quotients, quotient);
    store<i64>(remainders, remainder);
    src += 8;
    quotients += 8;
    remainders += 8;
  }
  if (large >= EXACT) return -1;
  return any != 0 ? 1 : 0;
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
