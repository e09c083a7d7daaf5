// A record, 8-aligned, little-endian on every host (as WASM stores are):
//
//   0  u64 checksum     over position, the lane's salt and bytes 8..size
//   8  u32 size         of the whole record, a multiple of 8
//   12 u32 kind         RECORD_DATA or RECORD_PADDING
//   16 i64 timestamp    ns since the Unix epoch
//   24 …  the other fixed-width fields and the lengths of varying ones, at the offsets of the field table, zero-padded to 8,
//   then the bytes of the varying fields in field order, zero-padded to 8.
import {
  CONTROL_FIELD_COUNT,
  CONTROL_FIELDS,
  FIELD_BYTES,
  FIELD_KIND,
  FIELD_MULTIPLIER,
  FIELD_OFFSET,
  KIND_BYTES,
  KIND_DECIMAL,
  KIND_F32,
  KIND_F64,
  KIND_I8,
  KIND_I16,
  KIND_I32,
  KIND_I64,
  KIND_SYMBOL,
  KIND_TEXT,
  KIND_TIMESTAMP,
  KIND_U8,
  KIND_U16,
  KIND_U32,
  KIND_U64,
  LANE_ARGUMENTS,
  RECORD_CHECKSUM,
  RECORD_SIZE,
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
export function recordChecksum(record: usize, size: u32, position: u64, salt: u64): u64 {
  let sum = position * POSITION_FACTOR + salt;
  let multiplier = MULTIPLIER_FIRST;
  const end = record + size;
  for (let at = record + RECORD_SIZE; at < end; at += 8) {
    const word = load<u64>(at);
    sum += (word ^ (word >> 32)) * multiplier;
    multiplier += MULTIPLIER_STEP;
  }
  sum ^= sum >> 32;
  sum *= AVALANCHE;
  return sum ^ (sum >> 29);
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
  if (rounded / multiplier == value) return rounded;
  if ((rounded - 1) / multiplier == value) return rounded - 1;
  if ((rounded + 1) / multiplier == value) return rounded + 1;
  return NaN;
}

/** Stores a number into field `field` of the record; false where the field can't hold it exactly. */
// @ts-ignore: decorator
@inline
export function putNumber(record: usize, field: usize, value: f64): bool {
  const at = record + load<u32>(field, FIELD_OFFSET);
  switch (<i32>load<u8>(field, FIELD_KIND)) {
    case KIND_SYMBOL: {
      store<u32>(at, <u32>value);
      return true;
    }
    case KIND_DECIMAL: {
      const multiplier = load<f64>(field, FIELD_MULTIPLIER);
      const scaled = value * multiplier;
      let rounded = nearest(scaled);
      // Within a thousandth of the last place: arithmetic noise passes, a value with more places than the field doesn't.
      if (!(abs(scaled - rounded) <= 0.001) || abs(rounded) >= COARSE) {
        rounded = exactDecimal(value, multiplier, rounded);
        if (!(abs(rounded) <= MAX_SAFE)) return false;
      }
      store<i64>(at, <i64>rounded);
      return true;
    }
    case KIND_F64: {
      store<f64>(at, value);
      return true;
    }
    case KIND_F32: {
      store<f32>(at, <f32>value);
      return true;
    }
    case KIND_U8: {
      if (!isWhole(value, 0, 255)) return false;
      store<u8>(at, <u8>(<i32>value));
      return true;
    }
    case KIND_U16: {
      if (!isWhole(value, 0, 65535)) return false;
      store<u16>(at, <u16>(<i32>value));
      return true;
    }
    case KIND_U32: {
      if (!isWhole(value, 0, 4294967295)) return false;
      store<u32>(at, <u32>value);
      return true;
    }
    case KIND_I8: {
      if (!isWhole(value, -128, 127)) return false;
      store<i8>(at, <i8>(<i32>value));
      return true;
    }
    case KIND_I16: {
      if (!isWhole(value, -32768, 32767)) return false;
      store<i16>(at, <i16>(<i32>value));
      return true;
    }
    case KIND_I32: {
      if (!isWhole(value, -2147483648, 2147483647)) return false;
      store<i32>(at, <i32>value);
      return true;
    }
    default:
      return false;
  }
}

/**
 * Stores every field from the lane's argument words (f64 for numbers, symbol ids and lengths; 64-bit integers as they are).
 * Answers -1, or the number of the field that was refused.
 */
export function putArguments(lane: usize, record: usize): i32 {
  const count = load<u32>(CONTROL_FIELD_COUNT);
  let field: usize = CONTROL_FIELDS;
  let argument = lane + LANE_ARGUMENTS;
  for (let i: u32 = 0; i < count; i++) {
    const at = record + load<u32>(field, FIELD_OFFSET);
    switch (<i32>load<u8>(field, FIELD_KIND)) {
      case KIND_TIMESTAMP:
      case KIND_I64:
      case KIND_U64: {
        store<u64>(at, load<u64>(argument));
        break;
      }
      case KIND_TEXT:
      case KIND_BYTES: {
        store<u32>(at, <u32>load<f64>(argument));
        break;
      }
      default: {
        if (!putNumber(record, field, load<f64>(argument))) return i;
      }
    }
    field += FIELD_BYTES;
    argument += 8;
  }
  return -1;
}

// @ts-ignore: decorator
@inline
export function seal(record: usize, size: u32, position: u64, salt: u64): void {
  store<u64>(record, recordChecksum(record, size, position, salt), RECORD_CHECKSUM);
}
