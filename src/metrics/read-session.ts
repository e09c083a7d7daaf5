// What a recorder is doing, seen from another process: the counters' file of the journal and the headers of the lanes' files, read by
// position. 64 KiB and 4 KiB a lane come from the page cache, and the recorder notices nothing.
import path from 'node:path';
import { CONTROL_BYTES, LANE_HEADER_BYTES, MAX_LANES, MAX_STORAGE_NODES } from '../../assembly/layout.js';
import { TapeError } from '../errors.js';
import type { Files } from '../files.js';
import { ioError } from '../io.js';
import { COUNTERS_FILE, checkCounters } from '../journal/counters.js';
import { laneFile, listLanes } from '../journal/journal.js';
import { checkLaneHeader } from '../journal/lane.js';
import type { Schema } from '../schema.js';
import { isSameId } from '../segment/reader.js';
import { type LaneStats, readControl, readLane, type SessionFigures } from '../stats.js';
import { readTapeFile, TAPE_FILE, type TapeFile } from '../storage/identity.js';
import type { Roster } from '../storage/roster.js';
import type { Survey } from '../storage/survey.js';

/** A session of a tape that is open for writing, or that its process left open when it died. */
export interface SessionSeen extends SessionFigures {
  tapeId: Uint8Array;
  schema: Schema;
}

/** The flusher looks at the lanes every few milliseconds; a large block or a slow disk may keep it longer. */
const SILENT_NS = 5_000_000_000n;

/** Whether its process is at work. `nowNs`: wall clock. */
export const isAnswering = ({ heartbeatNs }: Pick<SessionFigures, 'heartbeatNs'>, nowNs: bigint): boolean =>
  nowNs - heartbeatNs < SILENT_NS;

/** The share of its ring, 0 to 1, whose records are not yet on their storage nodes. */
export const backlogOf = ({ tail, head, capacity }: Pick<LaneStats, 'tail' | 'head' | 'capacity'>): number =>
  Math.max(0, Math.min(1, Number(tail - head) / capacity));

/**
 * The session that has the tape of this journal open; null where none has, or one is just beginning. `given`: directories of its storage nodes and the
 * ids in them, in any order: a storage node that is among them goes by that name, any other by the path that the recorder has for it.
 * @throws TapeError of files that are not what they should be
 */
export function readSession(
  files: Files,
  journal: string,
  given: Pick<Survey, 'directories' | 'ids'> = { directories: [], ids: [] },
): SessionSeen | null {
  const file = path.join(journal, COUNTERS_FILE);
  const counters = readStart(files, file, CONTROL_BYTES);
  if (counters === null) return null;
  const { bytes } = counters;
  const { tapeId, epoch, fingerprint, redundancy } = checkCounters(bytes, file);
  const refuse = (code: 'CORRUPT' | 'FOREIGN' | 'NOT_FOUND', message: string): never => {
    throw new TapeError(code, `${file}: ${message}`, { path: file });
  };
  const { tape, roster } = rosterOf(files, journal, refuse);
  if (!isSameId(tape.tapeId, tapeId)) refuse('FOREIGN', `of another tape than ${TAPE_FILE} beside it`);
  // What a dead process left, while the next one is on its way to its own.
  if (roster.epoch > epoch) return null;
  if (roster.epoch < epoch)
    refuse('CORRUPT', `of session ${epoch}, and ${TAPE_FILE} knows no later one than ${roster.epoch}`);
  if (fingerprint !== tape.schema.fingerprint) refuse('CORRUPT', `of another schema than ${TAPE_FILE} beside it`);
  const { storageNodes } = roster;
  if (storageNodes.length > MAX_STORAGE_NODES || redundancy < 1 || redundancy > storageNodes.length) {
    refuse('CORRUPT', `says ${redundancy} copies on ${storageNodes.length} storage nodes`);
  }
  // A session numbers its storage nodes as it lists them in the roster.
  const directories = storageNodes.map(({ id, path: last }) => given.directories[given.ids.indexOf(id)] ?? last);
  return {
    tapeId,
    schema: tape.schema,
    ...readControl(bytes.buffer, 0, directories),
    lanes: readLanes(files, journal, epoch, tape),
  };
}

function rosterOf(
  files: Files,
  journal: string,
  refuse: (code: 'NOT_FOUND', message: string) => never,
): { tape: TapeFile; roster: Roster } {
  const damaged: TapeError[] = [];
  const tape = readTapeFile(files, journal, damaged);
  if (damaged.length > 0) throw damaged[0];
  if (!tape?.roster) return refuse('NOT_FOUND', `no ${TAPE_FILE} beside it tells of which tape it is`);
  return { tape, roster: tape.roster };
}

function readLanes(files: Files, journal: string, epoch: number, { tapeId, schema }: TapeFile): LaneStats[] {
  const listed = new Set(listLanes(files, journal));
  const lanes: LaneStats[] = [];
  for (let lane = 0; lane < MAX_LANES; lane++) {
    const file = laneFile(journal, epoch, lane);
    if (!listed.has(file)) continue;
    const header = readStart(files, file, LANE_HEADER_BYTES);
    // Gone since it was listed: the tape was closed.
    if (header === null) continue;
    checkLaneHeader(header.bytes, header.fileBytes, tapeId, schema, file);
    const { buffer } = header.bytes;
    const found = readLane(new DataView(buffer), 0, lane);
    if (found !== null) lanes.push(found);
  }
  return lanes;
}

/** Up to `length` bytes from the start of the file; null where there is none. */
function readStart(
  files: Files,
  file: string,
  length: number,
): { bytes: Uint8Array<ArrayBuffer>; fileBytes: number } | null {
  try {
    const open = files.open(file, 'read');
    try {
      const bytes = new Uint8Array(length);
      const { bytes: fileBytes } = open;
      const read = open.read(bytes, 0);
      return { bytes: read === length ? bytes : bytes.slice(0, read), fileBytes };
    } finally {
      open.close();
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw ioError(cause, file, 'read it');
  }
}

/**
 * Where the journal of the tape that was looked at is: also where only some of its storage nodes were given, and it lies in another one. Null where
 * it is in none.
 */
export function findJournal(files: Files, { tape, tapeId, journal, roster }: Survey): string | null {
  if (tape !== null) return journal;
  for (const { path: directory } of roster?.storageNodes ?? []) {
    const candidate = path.join(directory, 'journal');
    const found = readTapeFile(files, candidate, []);
    if (found !== null && tapeId !== null && isSameId(found.tapeId, tapeId)) return candidate;
  }
  return null;
}
