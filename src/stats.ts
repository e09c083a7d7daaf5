import {
  CONTROL,
  CONTROL_BYTES,
  CONTROL_DEGRADED_BLOCKS,
  CONTROL_DEGRADED_RECORDS,
  CONTROL_DROPPED_BYTES,
  CONTROL_DROPPED_RECORDS,
  CONTROL_DROPPED_SEGMENTS,
  CONTROL_FIRST_SEQUENCE,
  CONTROL_RAW_BYTES,
  CONTROL_SEALED_BLOCKS,
  CONTROL_SEALED_RECORDS,
  CONTROL_STATE,
  CONTROL_STORAGE,
  CONTROL_STORED_BYTES,
  COUNTERS_EPOCH,
  COUNTERS_HEARTBEAT_NS,
  COUNTERS_REDUNDANCY,
  COUNTERS_STARTED_NS,
  LANE_CAPACITY,
  LANE_DROPS,
  LANE_RECORDS,
  MAX_COLLECTORS,
  STORAGE_ASIDE,
  STORAGE_COUNTER_BYTES,
  STORAGE_HUNG,
} from '../assembly/layout.js';
import { CollectorCounters, type CollectorStats } from './collect/collector-counters.js';
import type { CompressionChoice } from './flush/flusher.js';
import type { Journal } from './journal/journal.js';
import { readLaneCounters } from './journal/lane.js';
import type { RecoveryReport } from './journal/recovery.js';
import type { Damage } from './read/reader.js';
import type { StorageState } from './storage/replicator.js';

/** One lane's figures. */
export interface LaneStats {
  lane: number;
  /** Bytes published, drained into blocks, and given back, since the lane was made. */
  tail: bigint;
  drained: bigint;
  head: bigint;
  /** Bytes of its ring. */
  capacity: number;
  records: bigint;
  /** Records that `onFull: 'drop'` cost. */
  drops: bigint;
}

/** One storage node's figures in this session. */
export interface StorageNodeStats {
  path: string;
  /** Committed on it. */
  blocks: number;
  bytes: number;
  errors: number;
  state: StorageState;
  /** Of blocks that it was given and has not committed. */
  inFlightBytes: number;
  /** Milliseconds that it takes to write a block, of late and at most. */
  writeMs: number;
  slowestWriteMs: number;
}

/** What retention has dropped in this session. */
export interface RetentionStats {
  /** The first sequence that is left. */
  firstSequence: bigint;
  records: number;
  /** Files, and their bytes, of all storage nodes; those that a session before could not remove any more included. */
  segments: number;
  bytes: number;
}

/** `opening`: it is not yet taking records. `failed`: its flusher can't go on. */
export type SessionState = 'opening' | 'open' | 'closing' | 'failed';

/** What the control window of a tape that is open for writing, and the headers of its lanes, say of the session. */
export interface SessionFigures {
  state: SessionState;
  /** How often the tape was opened for writing by then. */
  epoch: number;
  /** Wall clock: when the session began, and when the flusher last looked at the lanes. */
  startedNs: bigint;
  heartbeatNs: bigint;
  redundancy: number;
  /** In blocks on their storage nodes. */
  records: number;
  blocks: number;
  /** Bytes of these records as rows, and of their blocks, each counted once. */
  rawBytes: number;
  storedBytes: number;
  /** rawBytes / storedBytes; 0 before the first block. */
  compressionRatio: number;
  /** Blocks, and records in them, that were stored in fewer copies than asked for. */
  degraded: { blocks: number; records: number };
  lanes: LaneStats[];
  storageNodes: StorageNodeStats[];
  collectors: CollectorStats[];
  retention: RetentionStats;
}

/** What a tape that is open for writing has done in this session. */
export interface TapeStats extends SessionFigures {
  journal: 'mapped' | 'buffered';
  /** How blocks are made at present, and why; null before the first. */
  compression: CompressionChoice | null;
  recovery: RecoveryReport;
  /** The last thing that went wrong at a storage node, if any. */
  trouble: Error | null;
  damage: readonly Damage[];
}

/** Adds to what retention has dropped in this session. */
export function countDropped(
  memory: WebAssembly.Memory,
  { firstSequence, records, segments, bytes }: RetentionStats,
): void {
  const longs = new BigInt64Array(memory.buffer);
  Atomics.store(longs, CONTROL_FIRST_SEQUENCE >> 3, firstSequence);
  Atomics.add(longs, CONTROL_DROPPED_RECORDS >> 3, BigInt(records));
  Atomics.add(longs, CONTROL_DROPPED_SEGMENTS >> 3, BigInt(segments));
  Atomics.add(longs, CONTROL_DROPPED_BYTES >> 3, BigInt(bytes));
}

/** The figures that the flusher and the producers keep in the tape's memory. */
export function readCounters(journal: Journal, directories: readonly string[]) {
  const { buffer } = journal.memory;
  const view = new DataView(buffer);
  const lanes: LaneStats[] = [];
  for (let lane = 0; lane < journal.map.laneCount; lane++) {
    const found = readLane(view, journal.laneAt(lane), lane);
    if (found !== null) lanes.push(found);
  }
  return {
    journal: journal.mapped ? ('mapped' as const) : ('buffered' as const),
    lanes,
    ...readControl(buffer, CONTROL, directories),
  };
}

/** A lane's figures, from its header at `at`; null where there is no lane. */
export function readLane(view: DataView, at: number, lane: number): LaneStats | null {
  const capacity = Number(view.getBigUint64(at + LANE_CAPACITY, true));
  if (capacity === 0) return null;
  const { head, drained, tail } = readLaneCounters(view, at);
  const records = view.getBigUint64(at + LANE_RECORDS, true);
  return { lane, head, drained, tail, capacity, records, drops: view.getBigUint64(at + LANE_DROPS, true) };
}

const STATES: readonly SessionState[] = ['opening', 'open', 'closing', 'failed'];

/** What a control window says, that lies in `window` from `at` on (a multiple of 8). `directories`: the session's, in its own order. */
export function readControl(
  window: ArrayBufferLike,
  at: number,
  directories: readonly string[],
): Omit<SessionFigures, 'lanes'> {
  const view = new DataView(window, at, CONTROL_BYTES);
  const number = (place: number) => Number(view.getBigUint64(place - CONTROL, true));
  const rawBytes = number(CONTROL_RAW_BYTES);
  const storedBytes = number(CONTROL_STORED_BYTES);
  return {
    // Of a file with another number nothing is known but that no records go in.
    state: STATES[view.getInt32(CONTROL_STATE - CONTROL, true)] ?? 'failed',
    epoch: view.getUint32(COUNTERS_EPOCH, true),
    startedNs: view.getBigInt64(COUNTERS_STARTED_NS, true),
    heartbeatNs: view.getBigInt64(COUNTERS_HEARTBEAT_NS, true),
    redundancy: view.getUint32(COUNTERS_REDUNDANCY, true),
    records: number(CONTROL_SEALED_RECORDS),
    blocks: number(CONTROL_SEALED_BLOCKS),
    rawBytes,
    storedBytes,
    compressionRatio: storedBytes === 0 ? 0 : rawBytes / storedBytes,
    degraded: { blocks: number(CONTROL_DEGRADED_BLOCKS), records: number(CONTROL_DEGRADED_RECORDS) },
    retention: {
      firstSequence: view.getBigUint64(CONTROL_FIRST_SEQUENCE - CONTROL, true),
      records: number(CONTROL_DROPPED_RECORDS),
      segments: number(CONTROL_DROPPED_SEGMENTS),
      bytes: number(CONTROL_DROPPED_BYTES),
    },
    storageNodes: directories.map((directory, i): StorageNodeStats => {
      const word = (n: number) => number(CONTROL_STORAGE + i * STORAGE_COUNTER_BYTES + 8 * n);
      const state = word(3) === STORAGE_HUNG ? 'hung' : word(3) === STORAGE_ASIDE ? 'aside' : 'healthy';
      return {
        path: directory,
        blocks: word(0),
        bytes: word(1),
        errors: word(2),
        state,
        inFlightBytes: word(4),
        writeMs: word(5) / 1000,
        slowestWriteMs: word(6) / 1000,
      };
    }),
    collectors: readCollectors(window, at),
  };
}

function readCollectors(window: ArrayBufferLike, at: number): CollectorStats[] {
  const collectors: CollectorStats[] = [];
  for (let collector = 0; collector < MAX_COLLECTORS; collector++) {
    const found = new CollectorCounters(window, at, collector).read(collector);
    if (found !== null) collectors.push(found);
  }
  return collectors;
}
