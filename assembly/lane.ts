// A lane: a single-producer single-consumer ring whose pages may be a mapped file. Positions count bytes since the lane was
// made; a record never wraps: a padding record, or nothing where not even its header fits, fills the end of the ring.
//
//   head <= drained <= tail <= head + capacity
//
// A record lies whole in the ring before the one atomic store that moves `tail` past it, so whatever kills the process
// between two instructions, what is before `tail` is whole, and what isn't was never acknowledged.
import {
  CLOSING,
  CONTROL_STATE,
  CURSOR_BYTES,
  CURSOR_LIMIT,
  CURSOR_OFFSET,
  CURSOR_POSITION,
  CURSOR_SIZE,
  CURSOR_TIMESTAMP,
  DAMAGED,
  DRAIN_FILL,
  DRAIN_FULL,
  DRAIN_ROWS,
  FULL,
  LANE_ARGUMENTS,
  LANE_CACHED_HEAD,
  LANE_CAPACITY,
  LANE_DRAINED,
  LANE_DROPS,
  LANE_HEAD,
  LANE_HEADER_BYTES,
  LANE_OFFSET,
  LANE_RECORD_BYTES,
  LANE_RECORDS,
  LANE_SALT,
  LANE_SEALED_AT,
  LANE_TAIL,
  LANE_WAITING,
  RECORD_DATA,
  RECORD_HEADER_BYTES,
  RECORD_KIND,
  RECORD_PADDING,
  RECORD_SIZE,
  RECORD_TIMESTAMP,
  REFUSED,
  TAPE_OPEN,
  TOO_LARGE,
} from './layout';
import { copyRecord, ENCODED, encode, recordChecksum, sealPadding } from './record';

/**
 * Where a record of `size` bytes (a multiple of 8) may be written next; FULL, TOO_LARGE. Moves nothing: a record that is not
 * published is simply overwritten.
 */
// @ts-ignore: decorator
@inline
function place(lane: usize, size: u32): i32 {
  const capacity = load<u32>(lane, LANE_CAPACITY);
  if (size > capacity >> 2) return TOO_LARGE;
  const tail = load<u64>(lane, LANE_TAIL);
  const offset = load<u32>(lane, LANE_OFFSET);
  const rest = capacity - offset;
  const padding: u32 = size > rest ? rest : 0;
  const end = tail + padding + size;
  if (end - load<u64>(lane, LANE_CACHED_HEAD) > capacity) {
    const head = atomic.load<u64>(lane, LANE_HEAD);
    store<u64>(lane, head, LANE_CACHED_HEAD);
    if (end - head > capacity) return FULL;
  }
  const at = lane + LANE_HEADER_BYTES + offset;
  if (padding == 0) return <i32>at;
  if (padding >= <u32>RECORD_HEADER_BYTES) {
    store<u32>(at, padding, RECORD_SIZE);
    store<u32>(at, RECORD_PADDING, RECORD_KIND);
    sealPadding(at, tail, load<u64>(lane, LANE_SALT));
  }
  return <i32>(lane + LANE_HEADER_BYTES);
}

/** Encodes the record at `record`, given by `place`, and moves `tail` past it. Its position, CLOSING, or REFUSED - i. */
// @ts-ignore: decorator
@inline
function publish(lane: usize, record: usize, size: u32, timestamp: u64, scaled: bool): f64 {
  const capacity = load<u32>(lane, LANE_CAPACITY);
  const before = load<u32>(lane, LANE_OFFSET);
  const offset = <u32>(record - lane - LANE_HEADER_BYTES);
  let position = load<u64>(lane, LANE_TAIL);
  if (offset != before) position += capacity - before;
  const refused = encode(lane, record, size, position, timestamp, scaled);
  if (refused != ENCODED) return REFUSED - refused;
  const next = offset + size;
  store<u32>(lane, next == capacity ? 0 : next, LANE_OFFSET);
  store<u64>(lane, load<u64>(lane, LANE_RECORDS) + 1, LANE_RECORDS);
  atomic.store<u64>(lane, position + size, LANE_TAIL);
  // Read after the publish: both are sequentially consistent, so either this sees that the tape is closing, or the closer,
  // which reads `tail` after it said so, sees the record.
  if (atomic.load<i32>(CONTROL_STATE) != TAPE_OPEN) {
    store<u64>(lane, position, LANE_ARGUMENTS);
    return CLOSING;
  }
  return <f64>position;
}

// @ts-ignore: decorator
@inline
function appendGiven(
  lane: usize,
  timestamp: i64,
  a1: f64,
  a2: f64,
  a3: f64,
  a4: f64,
  a5: f64,
  a6: f64,
  a7: f64,
  a8: f64,
  a9: f64,
  a10: f64,
  scaled: bool,
): f64 {
  const size = load<u32>(lane, LANE_RECORD_BYTES);
  const record = place(lane, size);
  if (record < 0) return record;
  store<f64>(lane, a1, LANE_ARGUMENTS + 8);
  store<f64>(lane, a2, LANE_ARGUMENTS + 16);
  store<f64>(lane, a3, LANE_ARGUMENTS + 24);
  store<f64>(lane, a4, LANE_ARGUMENTS + 32);
  store<f64>(lane, a5, LANE_ARGUMENTS + 40);
  store<f64>(lane, a6, LANE_ARGUMENTS + 48);
  store<f64>(lane, a7, LANE_ARGUMENTS + 56);
  store<f64>(lane, a8, LANE_ARGUMENTS + 64);
  store<f64>(lane, a9, LANE_ARGUMENTS + 72);
  store<f64>(lane, a10, LANE_ARGUMENTS + 80);
  return publish(lane, <usize>record, size, timestamp, scaled);
}

/**
 * Appends a record of fixed-width fields without 64-bit integers: the timestamp, then up to ten numbers in field-table order
 * (surplus ones are ignored). Answers its position, FULL, CLOSING (the position is in the argument words), or REFUSED - i for field i.
 */
export function append(
  lane: usize,
  timestamp: i64,
  a1: f64,
  a2: f64,
  a3: f64,
  a4: f64,
  a5: f64,
  a6: f64,
  a7: f64,
  a8: f64,
  a9: f64,
  a10: f64,
): f64 {
  return appendGiven(lane, timestamp, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, false);
}

/** `append` with whole numbers of its last place for each decimal. */
export function appendScaled(
  lane: usize,
  timestamp: i64,
  a1: f64,
  a2: f64,
  a3: f64,
  a4: f64,
  a5: f64,
  a6: f64,
  a7: f64,
  a8: f64,
  a9: f64,
  a10: f64,
): f64 {
  return appendGiven(lane, timestamp, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, true);
}

/** Where a record of `size` bytes goes, for a caller that writes its varying bytes itself and then calls `appendStaged`. */
export function reserve(lane: usize, size: u32): i32 {
  const record = place(lane, size);
  // The zeros behind the last varying byte.
  if (record >= 0) store<u64>(<usize>record + size - 8, 0);
  return record;
}

/** Fills in the fixed part of the record at `record`, given by `reserve`, from the lane's argument words, and publishes it. */
export function appendStaged(lane: usize, record: usize, size: u32): f64 {
  return publish(lane, record, size, load<u64>(lane, LANE_ARGUMENTS), false);
}

/** `appendStaged` with whole numbers of its last place for each decimal. */
export function appendStagedScaled(lane: usize, record: usize, size: u32): f64 {
  return publish(lane, record, size, load<u64>(lane, LANE_ARGUMENTS), true);
}

export function countDrop(lane: usize): void {
  store<u64>(lane, load<u64>(lane, LANE_DROPS) + 1, LANE_DROPS);
}

/**
 * What seems to lie at `position` (its offset in the ring: `offset`) and may reach up to `limit`: bytes to step over to the next record.
 * Positive: a record, whose checksum nobody has looked at; negative: padding; 0: neither, or damaged.
 */
// @ts-ignore: decorator
@inline
function outline(lane: usize, position: u64, offset: u32, limit: u64): i32 {
  const rest = load<u32>(lane, LANE_CAPACITY) - offset;
  if (limit - position < 8) return 0;
  if (rest < <u32>RECORD_HEADER_BYTES) return <u64>rest <= limit - position ? -(<i32>rest) : 0;
  const at = lane + LANE_HEADER_BYTES + offset;
  const size = load<u32>(at, RECORD_SIZE);
  if (size > rest || <u64>size > limit - position || (size & 7) != 0) return 0;
  const kind = load<u32>(at, RECORD_KIND);
  if (kind == RECORD_DATA) return size < load<u32>(lane, LANE_RECORD_BYTES) ? 0 : <i32>size;
  if (kind != RECORD_PADDING || size != rest) return 0;
  const salt = load<u64>(lane, LANE_SALT);
  return load<u64>(at) == recordChecksum(at, RECORD_HEADER_BYTES, position, salt) ? -(<i32>size) : 0;
}

/** `outline` for recovery, which steps through a lane position by position; 0 for a record that is damaged. */
export function probe(lane: usize, position: u64, limit: u64): i32 {
  const offset = <u32>(position % load<u64>(lane, LANE_CAPACITY));
  const step = outline(lane, position, offset, limit);
  if (step <= 0) return step;
  const at = lane + LANE_HEADER_BYTES + offset;
  return load<u64>(at) == recordChecksum(at, step, position, load<u64>(lane, LANE_SALT)) ? step : 0;
}

/** Moves the cursor over padding to the next record, or to its limit (size 0). False where the ring is damaged. */
// @ts-ignore: decorator
@inline
function settle(lane: usize, cursor: usize): bool {
  const limit = load<u64>(cursor, CURSOR_LIMIT);
  while (load<u64>(cursor, CURSOR_POSITION) != limit) {
    const position = load<u64>(cursor, CURSOR_POSITION);
    const offset = load<u32>(cursor, CURSOR_OFFSET);
    const step = outline(lane, position, offset, limit);
    if (step == 0) return false;
    if (step > 0) {
      store<u32>(cursor, step, CURSOR_SIZE);
      store<i64>(cursor, load<i64>(lane + LANE_HEADER_BYTES + offset, RECORD_TIMESTAMP), CURSOR_TIMESTAMP);
      return true;
    }
    store<u64>(cursor, position + <u64>(-step), CURSOR_POSITION);
    store<u32>(cursor, 0, CURSOR_OFFSET);
  }
  store<u32>(cursor, 0, CURSOR_SIZE);
  return true;
}

/**
 * Copies records of all lanes into the row buffer, by timestamp over the lanes and in order within each, and moves their
 * `drained`. `index` takes a u32 pointer a row. Answers the rows copied, or DAMAGED - i.
 */
export function drain(
  lanes: usize,
  stride: u32,
  count: u32,
  cursors: usize,
  state: usize,
  index: usize,
  rowsEnd: usize,
  maxRows: u32,
): i32 {
  for (let i: u32 = 0; i < count; i++) {
    const lane = lanes + <usize>i * stride;
    const cursor = cursors + <usize>i * CURSOR_BYTES;
    store<u32>(cursor, 0, CURSOR_SIZE);
    const capacity = load<u64>(lane, LANE_CAPACITY);
    const drained = load<u64>(lane, LANE_DRAINED);
    store<u64>(cursor, drained, CURSOR_POSITION);
    if (capacity == 0) continue;
    // What was published behind LANE_SEALED_AT was answered with CLOSED.
    const tail = min<u64>(atomic.load<u64>(lane, LANE_TAIL), atomic.load<u64>(lane, LANE_SEALED_AT));
    const head = load<u64>(lane, LANE_HEAD);
    assert(head <= drained && drained <= tail && tail <= head + capacity);
    if (drained == tail) continue;
    store<u64>(cursor, tail, CURSOR_LIMIT);
    store<u32>(cursor, <u32>(drained % capacity), CURSOR_OFFSET);
    if (!settle(lane, cursor)) return DAMAGED - <i32>i;
  }

  const before = load<u32>(state, DRAIN_ROWS);
  let rows = before;
  let fill: usize = load<u32>(state, DRAIN_FILL);
  let full = false;
  while (rows < maxRows && !full) {
    let first: i32 = -1;
    let firstTimestamp: i64 = i64.MAX_VALUE;
    let nextTimestamp: i64 = i64.MAX_VALUE;
    for (let i: u32 = 0; i < count; i++) {
      const cursor = cursors + <usize>i * CURSOR_BYTES;
      if (load<u32>(cursor, CURSOR_SIZE) == 0) continue;
      const timestamp = load<i64>(cursor, CURSOR_TIMESTAMP);
      if (first < 0 || timestamp < firstTimestamp) {
        nextTimestamp = firstTimestamp;
        firstTimestamp = timestamp;
        first = i;
      } else if (timestamp < nextTimestamp) {
        nextTimestamp = timestamp;
      }
    }
    if (first < 0) break;
    const lane = lanes + <usize>first * stride;
    const cursor = cursors + <usize>first * CURSOR_BYTES;
    const capacity = load<u32>(lane, LANE_CAPACITY);
    const salt = load<u64>(lane, LANE_SALT);
    do {
      const size = load<u32>(cursor, CURSOR_SIZE);
      if (fill + size > rowsEnd) {
        full = true;
        break;
      }
      const offset = load<u32>(cursor, CURSOR_OFFSET);
      const position = load<u64>(cursor, CURSOR_POSITION);
      // Looked at as it is copied: the record was in another core's cache, and each word of it is loaded once.
      if (!copyRecord(lane + LANE_HEADER_BYTES + offset, size, position, salt, fill)) return DAMAGED - first;
      store<u32>(index + (<usize>rows << 2), <u32>fill);
      fill += size;
      rows++;
      store<u64>(cursor, position + size, CURSOR_POSITION);
      store<u32>(cursor, offset + size == capacity ? 0 : offset + size, CURSOR_OFFSET);
      if (!settle(lane, cursor)) return DAMAGED - first;
    } while (
      rows < maxRows &&
      load<u32>(cursor, CURSOR_SIZE) != 0 &&
      load<i64>(cursor, CURSOR_TIMESTAMP) <= nextTimestamp
    );
  }

  for (let i: u32 = 0; i < count; i++) {
    const lane = lanes + <usize>i * stride;
    if (load<u64>(lane, LANE_CAPACITY) == 0) continue;
    const position = load<u64>(cursors + <usize>i * CURSOR_BYTES, CURSOR_POSITION);
    assert(position >= load<u64>(lane, LANE_DRAINED));
    atomic.store<u64>(lane, position, LANE_DRAINED);
  }
  store<u32>(state, rows, DRAIN_ROWS);
  store<u32>(state, <u32>fill, DRAIN_FILL);
  store<u32>(state, full ? 1 : 0, DRAIN_FULL);
  return rows - before;
}

/** Gives the space before `position` back to the producer, whose blocks are now on their storage nodes, and wakes it. */
export function release(lane: usize, position: u64): void {
  assert(load<u64>(lane, LANE_HEAD) <= position && position <= load<u64>(lane, LANE_DRAINED));
  atomic.store<u64>(lane, position, LANE_HEAD);
  if (atomic.load<i32>(lane, LANE_WAITING) != 0) {
    atomic.store<i32>(lane, 0, LANE_WAITING);
    atomic.notify(lane + LANE_WAITING, 1);
  }
}
