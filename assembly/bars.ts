// Open, high, low, close, volume and turnover of records that come by time, an accumulator of BAR_BYTES a symbol (layout.ts). Sizes and
// prices that are decimals are added up as whole numbers of their last places, in 128 bits, so that no sum is rounded.
import {
  BAR_BYTES,
  BAR_CLOSE,
  BAR_COUNT,
  BAR_HIGH,
  BAR_LOW,
  BAR_OPEN,
  BAR_TURNOVER,
  BAR_VOLUME,
  BARS_BAD_SLOT,
  BARS_TOO_LARGE,
} from './layout';

/** From here on doubles lie so far apart that the product may be off by one. */
const COARSE: f64 = 8796093022208.0;

/** The whole number n of which `value` is n / multiplier. */
// @ts-ignore: decorator
@inline
function whole(value: f64, multiplier: f64): i64 {
  let rounded = nearest(value * multiplier);
  if (abs(rounded) >= COARSE && rounded / multiplier != value) {
    if ((rounded - 1) / multiplier == value) rounded -= 1;
    else if ((rounded + 1) / multiplier == value) rounded += 1;
  }
  return <i64>rounded;
}

/** The upper 64 bits of the product of two i64. */
// @ts-ignore: decorator
@inline
function highProduct(a: i64, b: i64): i64 {
  const a0 = <u64>a & 0xffffffff;
  const a1 = <u64>a >> 32;
  const b0 = <u64>b & 0xffffffff;
  const b1 = <u64>b >> 32;
  const middle = a1 * b0 + ((a0 * b0) >> 32);
  const carry = (a0 * b1 + (middle & 0xffffffff)) >> 32;
  return <i64>(a1 * b1 + (middle >> 32) + carry) - (a < 0 ? b : 0) - (b < 0 ? a : 0);
}

/** Adds to the i128 at `at`. Answers whether it fits. */
// @ts-ignore: decorator
@inline
function add(at: usize, low: i64, high: i64): bool {
  const sum = load<u64>(at) + <u64>low;
  const before = load<i64>(at, 8);
  const after = before + high + <i64>(sum < <u64>low);
  store<u64>(at, sum);
  store<i64>(at, after, 8);
  // Both of one sign, and the sum of the other.
  return ((before ^ after) & (high ^ after)) >= 0;
}

/**
 * Takes the rows from `from` up to `count`, or to the first whose timestamp is later than `lastNs`, and answers how far it came. `slots`:
 * a u32 a row, the number of its symbol's accumulator, of which there are `slotCount`. Prices and sizes are f64, a row of which either is
 * NaN is left out. Multipliers are 10^scale of decimals (whole numbers: 1), both, or 0 where doubles are added up.
 *
 * An accumulator whose count is 0 begins anew, and its number is entered in `touched`: u32 how many, then the numbers, with room for all.
 * Answers BARS_BAD_SLOT or BARS_TOO_LARGE where a row can't be taken.
 */
export function bars(
  slots: usize,
  times: usize,
  prices: usize,
  sizes: usize,
  from: u32,
  count: u32,
  lastNs: i64,
  accumulators: usize,
  slotCount: u32,
  touched: usize,
  priceMultiplier: f64,
  sizeMultiplier: f64,
): i32 {
  const isExact = priceMultiplier != 0;
  for (let row = from; row < count; row++) {
    if (load<i64>(times + (<usize>row << 3)) > lastNs) return row;
    const slot = load<u32>(slots + (<usize>row << 2));
    if (slot >= slotCount) return BARS_BAD_SLOT;
    const price = load<f64>(prices + (<usize>row << 3));
    const size = load<f64>(sizes + (<usize>row << 3));
    if (price != price || size != size) continue;
    const bar = accumulators + <usize>slot * BAR_BYTES;
    const records = load<u64>(bar, BAR_COUNT);
    if (records == 0) {
      memory.fill(bar, 0, BAR_BYTES);
      const known = load<u32>(touched);
      store<u32>(touched + 4 + (<usize>known << 2), slot);
      store<u32>(touched, known + 1);
      store<f64>(bar, price, BAR_OPEN);
      store<f64>(bar, price, BAR_HIGH);
      store<f64>(bar, price, BAR_LOW);
    } else {
      if (price > load<f64>(bar, BAR_HIGH)) store<f64>(bar, price, BAR_HIGH);
      if (price < load<f64>(bar, BAR_LOW)) store<f64>(bar, price, BAR_LOW);
    }
    store<f64>(bar, price, BAR_CLOSE);
    store<u64>(bar, records + 1, BAR_COUNT);
    if (isExact) {
      const p = whole(price, priceMultiplier);
      const s = whole(size, sizeMultiplier);
      const fits = add(bar + BAR_VOLUME, s, s >> 63) && add(bar + BAR_TURNOVER, p * s, highProduct(p, s));
      if (!fits) return BARS_TOO_LARGE;
    } else {
      store<f64>(bar, load<f64>(bar, BAR_VOLUME) + size, BAR_VOLUME);
      store<f64>(bar, load<f64>(bar, BAR_TURNOVER) + price * size, BAR_TURNOVER);
    }
  }
  return count;
}
