// A lane's file is its header and its ring, as in assembly/layout.ts: bytes 0..119 are written once and sealed by the XXH64 at
// 120; the counters behind it move as records come and go.
import {
  LANE_CAPACITY,
  LANE_CHECKSUM,
  LANE_CREATED_NS,
  LANE_DRAINED,
  LANE_EPOCH,
  LANE_FINGERPRINT,
  LANE_HEAD,
  LANE_HEADER_BYTES,
  LANE_HEADER_SIZE,
  LANE_ID,
  LANE_RECORD_BYTES,
  LANE_SALT,
  LANE_SEALED_AT,
  LANE_STATE,
  LANE_TAIL,
  LANE_TAPE_ID,
  LANE_VARIABLE,
  LANE_VERSION,
} from '../../assembly/layout.js';
import { TapeError } from '../errors.js';
import { hash64 } from '../hash.js';
import type { Schema } from '../schema.js';

export const LANE_MAGIC_TEXT = 'TTLANE01';
export const LANE_FORMAT = 1;
/** LANE_SEALED_AT while the tape is open. */
export const NEVER = 2n ** 64n - 1n;

export interface LaneHeader {
  epoch: number;
  lane: number;
  /** Bytes of the ring. */
  capacity: number;
}

/** What tells records of this lane from those of any other, of this tape or another. */
export function laneSalt(tapeId: Uint8Array, epoch: number, lane: number): bigint {
  return hash64(tapeId, (BigInt(epoch) << 32n) | BigInt(lane));
}

/** Writes the header of a new, empty lane at the start of `bytes`. */
export function writeLaneHeader(
  bytes: Uint8Array,
  tapeId: Uint8Array,
  schema: Schema,
  { epoch, lane, capacity }: LaneHeader,
  createdNs: bigint,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, LANE_HEADER_BYTES);
  bytes.fill(0, 0, LANE_HEADER_BYTES);
  bytes.set(new TextEncoder().encode(LANE_MAGIC_TEXT));
  view.setUint32(LANE_VERSION, LANE_FORMAT, true);
  view.setUint32(LANE_HEADER_SIZE, LANE_HEADER_BYTES, true);
  bytes.set(tapeId, LANE_TAPE_ID);
  view.setBigUint64(LANE_FINGERPRINT, schema.fingerprint, true);
  view.setUint32(LANE_EPOCH, epoch, true);
  view.setUint32(LANE_ID, lane, true);
  view.setUint32(LANE_RECORD_BYTES, schema.recordBytes, true);
  view.setUint32(LANE_VARIABLE, schema.varying.length > 0 ? 1 : 0, true);
  view.setBigUint64(LANE_CAPACITY, BigInt(capacity), true);
  view.setBigUint64(LANE_SALT, laneSalt(tapeId, epoch, lane), true);
  view.setBigInt64(LANE_CREATED_NS, createdNs, true);
  view.setBigUint64(LANE_CHECKSUM, hash64(bytes.subarray(0, LANE_CHECKSUM)), true);
  view.setBigUint64(LANE_SEALED_AT, NEVER, true);
}

/**
 * Checks the header of the lane file at `path`, of `fileBytes` in all.
 * @throws TapeError `TRUNCATED`, `BAD_MAGIC`, `BAD_VERSION`, `CORRUPT`, `FOREIGN`, `SCHEMA_MISMATCH`
 */
export function checkLaneHeader(
  bytes: Uint8Array,
  fileBytes: number,
  tapeId: Uint8Array,
  schema: Schema,
  path: string,
): LaneHeader {
  const refuse = (
    code: 'TRUNCATED' | 'BAD_MAGIC' | 'BAD_VERSION' | 'CORRUPT' | 'FOREIGN' | 'SCHEMA_MISMATCH',
    message: string,
  ) => {
    throw new TapeError(code, `${path}: ${message}; it may hold records: move it aside only when they may be lost`, {
      path,
    });
  };
  if (bytes.length < LANE_HEADER_BYTES) refuse('TRUNCATED', 'shorter than the header of a lane');
  const view = new DataView(bytes.buffer, bytes.byteOffset, LANE_HEADER_BYTES);
  if (new TextDecoder().decode(bytes.slice(0, 8)) !== LANE_MAGIC_TEXT) refuse('BAD_MAGIC', 'not a lane of ticktape');
  const version = view.getUint32(LANE_VERSION, true);
  if (version !== LANE_FORMAT) refuse('BAD_VERSION', `format ${version} is unknown`);
  if (view.getBigUint64(LANE_CHECKSUM, true) !== hash64(bytes.subarray(0, LANE_CHECKSUM))) {
    refuse('CORRUPT', 'the checksum of its header differs');
  }
  if (!tapeId.every((byte, i) => byte === bytes[LANE_TAPE_ID + i])) refuse('FOREIGN', 'a lane of another tape');
  if (view.getBigUint64(LANE_FINGERPRINT, true) !== schema.fingerprint) {
    refuse('SCHEMA_MISMATCH', 'a lane of another schema');
  }
  const capacity = Number(view.getBigUint64(LANE_CAPACITY, true));
  if (fileBytes < LANE_HEADER_BYTES + capacity) {
    refuse('TRUNCATED', `${fileBytes} bytes long, ${LANE_HEADER_BYTES + capacity} by its header`);
  }
  return { epoch: view.getUint32(LANE_EPOCH, true), lane: view.getUint32(LANE_ID, true), capacity };
}

/** A lane's counters, as they stand in its header at `at`. */
export function readLaneCounters(
  view: DataView,
  at: number,
): { head: bigint; drained: bigint; tail: bigint; state: number } {
  return {
    head: view.getBigUint64(at + LANE_HEAD, true),
    drained: view.getBigUint64(at + LANE_DRAINED, true),
    tail: view.getBigUint64(at + LANE_TAIL, true),
    state: view.getInt32(at + LANE_STATE, true),
  };
}
