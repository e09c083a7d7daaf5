// What a tape that is open for writing counts, for other processes to see: the control window of its memory (assembly/layout.ts),
// mapped to a file of the journal, or written to it now and then where files can't be mapped. It lives as long as the session.
import {
  CONTROL,
  CONTROL_BYTES,
  COUNTERS_EPOCH,
  COUNTERS_FINGERPRINT,
  COUNTERS_HEARTBEAT_NS,
  COUNTERS_MAGIC,
  COUNTERS_REDUNDANCY,
  COUNTERS_STARTED_NS,
  COUNTERS_TAPE_ID,
  COUNTERS_VERSION,
} from '../../assembly/layout.js';
import { TapeError } from '../errors.js';
import type { Schema } from '../schema.js';

export const COUNTERS_FILE = 'counters.ttcnt';
const MAGIC_TEXT = 'TTCNTRS1';
const FORMAT = 1;

export interface CountersHeader {
  tapeId: Uint8Array;
  epoch: number;
  /** Wall clock. */
  startedNs: bigint;
  /** Of the schema. */
  fingerprint: bigint;
  redundancy: number;
}

/** The file as it is when a session begins. */
export function encodeCounters(
  tapeId: Uint8Array,
  { fingerprint }: Schema,
  epoch: number,
  redundancy: number,
  startedNs: bigint,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(CONTROL_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC_TEXT), COUNTERS_MAGIC);
  view.setUint32(COUNTERS_VERSION, FORMAT, true);
  view.setUint32(COUNTERS_EPOCH, epoch, true);
  bytes.set(tapeId, COUNTERS_TAPE_ID);
  view.setBigInt64(COUNTERS_STARTED_NS, startedNs, true);
  view.setBigInt64(COUNTERS_HEARTBEAT_NS, startedNs, true);
  view.setBigUint64(COUNTERS_FINGERPRINT, fingerprint, true);
  view.setUint32(COUNTERS_REDUNDANCY, redundancy, true);
  return bytes;
}

/**
 * Checks what the counters' file at `path` says of itself; the counters themselves are not to be relied on for more than to be shown.
 * @throws TapeError `TRUNCATED`, `BAD_MAGIC`, `BAD_VERSION`
 */
export function checkCounters(bytes: Uint8Array, path: string): CountersHeader {
  const refuse = (code: 'TRUNCATED' | 'BAD_MAGIC' | 'BAD_VERSION', message: string) => {
    throw new TapeError(code, `${path}: ${message}`, { path });
  };
  if (bytes.length < CONTROL_BYTES) refuse('TRUNCATED', `${bytes.length} bytes long, not ${CONTROL_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = new TextDecoder().decode(bytes.slice(COUNTERS_MAGIC, COUNTERS_MAGIC + 8));
  if (magic !== MAGIC_TEXT) refuse('BAD_MAGIC', 'not the counters of a tape');
  const version = view.getUint32(COUNTERS_VERSION, true);
  if (version !== FORMAT) refuse('BAD_VERSION', `format ${version} is unknown`);
  return {
    tapeId: bytes.slice(COUNTERS_TAPE_ID, COUNTERS_TAPE_ID + 16),
    epoch: view.getUint32(COUNTERS_EPOCH, true),
    startedNs: view.getBigInt64(COUNTERS_STARTED_NS, true),
    fingerprint: view.getBigUint64(COUNTERS_FINGERPRINT, true),
    redundancy: view.getUint32(COUNTERS_REDUNDANCY, true),
  };
}

/** The flusher's sign of life. */
export function beat(memory: WebAssembly.Memory, nowNs: bigint): void {
  Atomics.store(new BigInt64Array(memory.buffer), (CONTROL + COUNTERS_HEARTBEAT_NS) >> 3, nowNs);
}
