// A record, 8-aligned, little-endian on every host (as WASM stores are):
//
//   0  u64 checksum     over position, the lane's salt and bytes 8..size
//   8  u32 size         of the whole record, a multiple of 8
//   12 u32 kind         RECORD_DATA or RECORD_PADDING
//   16 i64 timestamp    ns since the Unix epoch
//   24 …  the other fixed-width fields and the lengths of varying ones, at the offsets of the field table, the bytes of
//      presence bits behind them, zero-padded to 8,
//   then the bytes of the varying fields in field order, zero-padded to 8.
import {
  CONTROL_FIELD_COUNT,
  CONTROL_FIELDS,
  FIELD_BITS,
  FIELD_BYTES,
  FIELD_KIND,
  FIELD_MULTIPLIER,
  KIND_BYTES,
  KIND_DECIMAL,
  KIND_F32,
  KIND_F64,
  KIND_I8,
  KIND_I16,
  KIND_I32,
  KIND_SYMBOL,
  KIND_TEXT,
  KIND_U8,
  KIND_U16,
  KIND_U32,
  LANE_ARGUMENTS,
  LANE_SALT,
  RECORD_CHECKSUM,
  RECORD_DATA,
  RECORD_HEADER_BYTES,
  RECORD_SIZE,
  RECORD_TIMESTAMP,
} from './layout';

/** The largest magnitude that a number holds exactly. */
const MAX_SAFE: f64 = 9007199254740991.0;

// The checksum of a record: a multilinear sum of its words, each folded so that its high bits count, then one avalanche.
// Every multiplier is odd, so that any change confined to one word is always seen; anything else goes unseen once in 2^64.
// The sums don't wait for each other (6 ns for 48 bytes, where a serial XXH64 takes 15): this is on the append path.
const MULTIPLIER_FIRST: u64 = 0xc2b2ae3d27d4eb4f;
const MULTIPLIER_STEP: u64 = 0x165667b19e3779f8;
const POSITION_FACTOR: u64 = 0x9e3779b97f4a7c15;
const AVALANCHE: u64 = 0x9fb21c651e98df25;

// @ts-ignore: decorator
@inline
function first(position: u64, salt: u64): u64 {
  return position * POSITION_FACTOR + salt;
}

// @ts-ignore: decorator
@inline
function weigh(word: u64, multiplier: u64): u64 {
  return (word ^ (word >> 32)) * multiplier;
}

// @ts-ignore: decorator
@inline
function avalanche(sum: u64): u64 {
  sum ^= sum >> 32;
  sum *= AVALANCHE;
  return sum ^ (sum >> 29);
}

// @ts-ignore: decorator
@inline
export function recordChecksum(record: usize, size: u32, position: u64, salt: u64): u64 {
  let sum = first(position, salt);
  let multiplier = MULTIPLIER_FIRST;
  const end = record + size;
  for (let at = record + RECORD_SIZE; at < end; at += 8) {
    sum += weigh(load<u64>(at), multiplier);
    multiplier += MULTIPLIER_STEP;
  }
  return avalanche(sum);
}

/** Copies the record at `record` to `out`; false where its checksum is not that of what was copied. */
// @ts-ignore: decorator
@inline
export function copyRecord(record: usize, size: u32, position: u64, salt: u64, out: usize): bool {
  let sum = first(position, salt);
  let multiplier = MULTIPLIER_FIRST;
  for (let at: usize = RECORD_SIZE; at < size; at += 8) {
    const word = load<u64>(record + at);
    store<u64>(out + at, word);
    sum += weigh(word, multiplier);
    multiplier += MULTIPLIER_STEP;
  }
  const checksum = load<u64>(record, RECORD_CHECKSUM);
  store<u64>(out, checksum, RECORD_CHECKSUM);
  return checksum == avalanche(sum);
}

// @ts-ignore: decorator
@inline
function isWhole(value: f64, low: f64, high: f64): bool {
  return value >= low && value <= high && floor(value) == value;
}

/** From here on doubles lie further apart than a thousandth: the product says no more which decimal a value is nearest to. */
const COARSE: f64 = 8796093022208.0;

/** `rounded`, or a neighbour of it, of which `value` is the nearest double; NaN where there is none. */
function exactDecimal(value: f64, multiplier: f64, rounded: f64): f64 {
  // The largest share their doubles: one that may be kept is tried before one that may not.
  rounded = min<f64>(max<f64>(rounded, -MAX_SAFE), MAX_SAFE);
  if (rounded / multiplier == value) return rounded;
  if ((rounded - 1) / multiplier == value) return rounded - 1;
  if ((rounded + 1) / multiplier == value) return rounded + 1;
  return NaN;
}

/** Answer of `encode` for a record that is whole. */
export const ENCODED: i32 = -1;

/**
 * Writes the record at `record`, of `size` bytes and at `position`, from the lane's argument words (f64 for numbers, symbol ids and
 * lengths; 64-bit integers as they are; the timestamp as an argument of its own). Varying bytes are in their place already. Answers
 * ENCODED, or the number of the field that can't hold its value exactly. `scaled`: the argument of a decimal is a whole number of its
 * last place; a constant, so that either kind of append has code of its own.
 *
 * Fields come in the order in which they lie in the record, so that each word is put together in a register, stored once and
 * summed as it goes. Storing field by field and summing what was stored takes 27 % longer on Node and Bun and 11 % on Deno: a load of
 * a word that was stored in parts waits for the stores.
 */
// @ts-ignore: decorator
@inline
export function encode(lane: usize, record: usize, size: u32, position: u64, timestamp: u64, scaled: bool): i32 {
  let sum = first(position, load<u64>(lane, LANE_SALT));
  let multiplier = MULTIPLIER_FIRST;
  const header = <u64>size | (<u64>RECORD_DATA << 32);
  store<u64>(record, header, RECORD_SIZE);
  sum += weigh(header, multiplier);
  multiplier += MULTIPLIER_STEP;
  store<u64>(record, timestamp, RECORD_TIMESTAMP);
  sum += weigh(timestamp, multiplier);
  multiplier += MULTIPLIER_STEP;

  let at = record + RECORD_TIMESTAMP + 8;
  let word: u64 = 0;
  let filled: u64 = 0;
  const count = load<u32>(CONTROL_FIELD_COUNT);
  let field: usize = CONTROL_FIELDS;
  let argument = lane + LANE_ARGUMENTS;
  for (let i: u32 = 1; i < count; i++) {
    field += FIELD_BYTES;
    argument += 8;
    const value = load<f64>(argument);
    let bits: u64 = 0;
    switch (<i32>load<u8>(field, FIELD_KIND)) {
      case KIND_DECIMAL: {
        if (scaled) {
          if (!isWhole(value, -MAX_SAFE, MAX_SAFE)) return i;
          bits = <u64>(<i64>value);
          break;
        }
        const multiplier = load<f64>(field, FIELD_MULTIPLIER);
        const scaled = value * multiplier;
        let rounded = nearest(scaled);
        // Within a thousandth of the last place: arithmetic noise passes, a value with more places than the field doesn't.
        if (!(abs(scaled - rounded) <= 0.001) || abs(rounded) >= COARSE) {
          rounded = exactDecimal(value, multiplier, rounded);
          if (!(abs(rounded) <= MAX_SAFE)) return i;
        }
        bits = <u64>(<i64>rounded);
        break;
      }
      case KIND_F64: {
        bits = reinterpret<u64>(value);
        break;
      }
      case KIND_F32: {
        bits = reinterpret<u32>(<f32>value);
        break;
      }
      case KIND_SYMBOL:
      case KIND_TEXT:
      case KIND_BYTES: {
        bits = <u32>value;
        break;
      }
      case KIND_U8: {
        if (!isWhole(value, 0, 255)) return i;
        bits = <u32>value;
        break;
      }
      case KIND_U16: {
        if (!isWhole(value, 0, 65535)) return i;
        bits = <u32>value;
        break;
      }
      case KIND_U32: {
        if (!isWhole(value, 0, 4294967295)) return i;
        bits = <u32>value;
        break;
      }
      case KIND_I8: {
        if (!isWhole(value, -128, 127)) return i;
        bits = <u64>(<i32>value & 0xff);
        break;
      }
      case KIND_I16: {
        if (!isWhole(value, -32768, 32767)) return i;
        bits = <u64>(<i32>value & 0xffff);
        break;
      }
      case KIND_I32: {
        if (!isWhole(value, -2147483648, 2147483647)) return i;
        bits = <u32>(<i32>value);
        break;
      }
      default: {
        // i64 and u64.
        bits = load<u64>(argument);
      }
    }
    word |= bits << filled;
    filled += <u64>load<u8>(field, FIELD_BITS);
    if (filled == 64) {
      store<u64>(at, word);
      sum += weigh(word, multiplier);
      multiplier += MULTIPLIER_STEP;
      at += 8;
      word = 0;
      filled = 0;
    }
  }
  if (filled != 0) {
    store<u64>(at, word);
    sum += weigh(word, multiplier);
    multiplier += MULTIPLIER_STEP;
    at += 8;
  }
  for (const end = record + size; at < end; at += 8) {
    sum += weigh(load<u64>(at), multiplier);
    multiplier += MULTIPLIER_STEP;
  }
  store<u64>(record, avalanche(sum), RECORD_CHECKSUM);
  return ENCODED;
}

// @ts-ignore: decorator
@inline
export function sealPadding(record: usize, position: u64, salt: u64): void {
  store<u64>(record, recordChecksum(record, RECORD_HEADER_BYTES, position, salt), RECORD_CHECKSUM);
}
