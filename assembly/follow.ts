// Reads a lane that another process may be writing at the same time. Nothing is written to the lane, whose window may be mapped
// read-only. So counters are loaded plainly: engines may make an exchange of an atomic load, which is a store. What keeps them in order is an
// exchange in the reader's own memory (this compiler's `atomic.fence` does not pass its validator).
//
// A record's space is given to another record once `head` is past it. So what was copied is believed by its checksum alone, which is
// bound to the position, and no length is followed further than the ring and the limit reach.
import {
  CONTROL_STATE,
  DAMAGED,
  FOLLOW_BYTES,
  FOLLOW_CAPACITY,
  FOLLOW_COPY,
  FOLLOW_FENCE,
  FOLLOW_HEAD,
  FOLLOW_LANE,
  FOLLOW_LIMIT,
  FOLLOW_POSITION,
  FOLLOW_RECALLED,
  FOLLOW_RECORD_BYTES,
  FOLLOW_SALT,
  LANE_HEAD,
  LANE_HEADER_BYTES,
  LANE_SEALED_AT,
  LANE_TAIL,
  LAPPED,
  RECORD_DATA,
  RECORD_HEADER_BYTES,
  RECORD_KIND,
  RECORD_PADDING,
  RECORD_SIZE,
  TAPE_CLOSING,
  TAPE_FAILED,
} from './layout';
import { copyRecord } from './record';

// @ts-ignore: decorator
@inline
function fence(cursors: usize): void {
  atomic.add<u32>(cursors, 1, FOLLOW_FENCE);
}

/**
 * Finds out up to where each of `count` lanes may be read: the cursors' limits. Answers how many have something new; LAPPED where
 * one's `head` is past its cursor.
 *
 * While the tape is open everything before `tail` counts: who closes it says so first, and reads `tail` then. From then on a record
 * counts if it lies before LANE_SEALED_AT, and until that is set nobody knows. `isOver`: the lanes' process is no more, so that is all
 * before `tail`.
 *
 * All tails are loaded before all heads. So no block that is stored after this look has anything further than a ring before a limit, and
 * `recall` finds it.
 */
export function lookAtLanes(cursors: usize, count: u32, isOver: u32): i32 {
  const end = cursors + <usize>count * FOLLOW_BYTES;
  for (let cursor = cursors; cursor < end; cursor += FOLLOW_BYTES) {
    store<u64>(cursor, load<u64>(<usize>load<u32>(cursor, FOLLOW_LANE), LANE_TAIL), FOLLOW_LIMIT);
  }
  fence(cursors);
  const state = load<i32>(CONTROL_STATE);
  const isStopping = isOver == 0 && (state == TAPE_CLOSING || state == TAPE_FAILED);
  fence(cursors);
  let fresh = 0;
  let lapped = false;
  for (let cursor = cursors; cursor < end; cursor += FOLLOW_BYTES) {
    const lane = <usize>load<u32>(cursor, FOLLOW_LANE);
    const position = load<u64>(cursor, FOLLOW_POSITION);
    const sealedAt = load<u64>(lane, LANE_SEALED_AT);
    const head = load<u64>(lane, LANE_HEAD);
    let limit = min<u64>(load<u64>(cursor, FOLLOW_LIMIT), sealedAt);
    if (isStopping && sealedAt == u64.MAX_VALUE) limit = 0;
    limit = max<u64>(limit, position);
    store<u64>(cursor, limit, FOLLOW_LIMIT);
    store<u64>(cursor, head, FOLLOW_HEAD);
    if (head > position) lapped = true;
    if (limit != position) fresh++;
  }
  return lapped ? LAPPED : fresh;
}

/**
 * Copies records from `ring` to the cursor's own, each to the same place, from `position` up to `limit`; `index` takes a u32 pointer to each
 * copy. Moves the cursor (where `moves`, a constant), or says how far it came. Answers how many there were; DAMAGED where there is none at `position`, though it is
 * not at the limit.
 */
// @ts-ignore: decorator
@inline
function walk(cursor: usize, ring: usize, from: u64, limit: u64, index: usize, maxRows: u32, moves: bool): i32 {
  const capacity = load<u32>(cursor, FOLLOW_CAPACITY);
  const least = load<u32>(cursor, FOLLOW_RECORD_BYTES);
  const salt = load<u64>(cursor, FOLLOW_SALT);
  const copy = <usize>load<u32>(cursor, FOLLOW_COPY);
  let position = from;
  let offset = <u32>(position % <u64>capacity);
  let rows: u32 = 0;
  while (position < limit && rows < maxRows) {
    const left = limit - position;
    const rest = capacity - offset;
    let size = rest;
    if (rest >= <u32>RECORD_HEADER_BYTES) {
      const at = ring + offset;
      const out = copy + offset;
      size = load<u32>(at, RECORD_SIZE);
      const kind = load<u32>(at, RECORD_KIND);
      if (size > rest || <u64>size > left || (size & 7) != 0) break;
      if (kind == <u32>RECORD_DATA) {
        // No lane takes a record of more than a quarter of its ring.
        if (size < least || size > capacity >> 2) break;
      } else if (kind != <u32>RECORD_PADDING || size != rest) {
        break;
      }
      const bytes = kind == <u32>RECORD_DATA ? size : <u32>RECORD_HEADER_BYTES;
      if (!copyRecord(at, bytes, position, salt, out)) break;
      // The length that was followed is the one that was copied.
      if (load<u32>(out, RECORD_SIZE) != size || load<u32>(out, RECORD_KIND) != kind) break;
      if (kind == <u32>RECORD_DATA) {
        store<u32>(index + (<usize>rows << 2), <u32>out);
        rows++;
      }
    } else if (<u64>rest > left) {
      break;
    }
    position += size;
    offset = size == rest ? 0 : offset + size;
  }
  if (moves) store<u64>(cursor, position, FOLLOW_POSITION);
  else store<u64>(cursor, position, FOLLOW_RECALLED);
  return rows == 0 && position < limit && position == from ? DAMAGED : <i32>rows;
}

/** The next records of a lane, up to the limit of the last look. */
export function follow(cursor: usize, index: usize, maxRows: u32): i32 {
  const ring = <usize>load<u32>(cursor, FOLLOW_LANE) + LANE_HEADER_BYTES;
  return walk(cursor, ring, load<u64>(cursor, FOLLOW_POSITION), load<u64>(cursor, FOLLOW_LIMIT), index, maxRows, true);
}

/** The copies of records that were followed, from `position` up to `limit`. Each is checked again: it may have been copied over since. */
export function recall(cursor: usize, position: u64, limit: u64, index: usize, maxRows: u32): i32 {
  return walk(cursor, <usize>load<u32>(cursor, FOLLOW_COPY), position, limit, index, maxRows, false);
}
