import path from 'node:path';
import { COUNTERS_HEARTBEAT_NS, MAX_COLLECTORS } from '../../assembly/layout.js';
import type { Files } from '../files.js';
import { COUNTERS_FILE, checkCounters } from '../journal/counters.js';
import { CollectorCounters } from './collector-counters.js';

/** What the counters that a session left behind say of its end. */
export interface LastSession {
  /** Collectors were at work when it died. */
  diedCollecting: boolean;
  /** Its last sign of life, wall clock in ns. */
  aliveNs: bigint;
}

/** Null where the last session ended with `close()`, or left nothing that can be read. */
export function readLastSession(files: Files, journal: string, tapeId: Uint8Array, nowNs: bigint): LastSession | null {
  const file = path.join(journal, COUNTERS_FILE);
  if (!files.exists(file)) return null;
  let bytes: Uint8Array<ArrayBuffer>;
  let startedNs: bigint;
  try {
    bytes = new Uint8Array(files.readFile(file));
    const header = checkCounters(bytes, file);
    if (Buffer.compare(header.tapeId, tapeId) !== 0) return null;
    startedNs = header.startedNs;
  } catch {
    // They are made anew, and nothing depends on them but what is asked here.
    return null;
  }
  const states = Array.from(
    { length: MAX_COLLECTORS },
    (_, collector) => new CollectorCounters(bytes.buffer, 0, collector).read(collector)?.state ?? 'none',
  );
  const heartbeatNs = new DataView(bytes.buffer).getBigInt64(COUNTERS_HEARTBEAT_NS, true);
  // No checksum vouches for them: after a power cut they may be of any moment of the session, or nothing at all.
  const aliveNs = heartbeatNs < startedNs || heartbeatNs > nowNs ? startedNs : heartbeatNs;
  return {
    diedCollecting: states.some((state) => state !== 'none' && state !== 'ended'),
    aliveNs: aliveNs < nowNs ? aliveNs : nowNs,
  };
}
