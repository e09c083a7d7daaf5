import path from 'node:path';
import {
  CONTROL,
  CONTROL_BYTES,
  FOLLOW_BYTES,
  FOLLOW_CAPACITY,
  FOLLOW_COPY,
  FOLLOW_HEAD,
  FOLLOW_LANE,
  FOLLOW_LIMIT,
  FOLLOW_POSITION,
  FOLLOW_RECALLED,
  FOLLOW_RECORD_BYTES,
  FOLLOW_SALT,
  LANE_HEADER_BYTES,
  MAX_LANES,
  SYMBOLS,
  WINDOW_ALIGN,
} from '../../../assembly/layout.js';
import { TapeError } from '../../errors.js';
import type { Files } from '../../files.js';
import { ioError } from '../../io.js';
import { COUNTERS_FILE, checkCounters } from '../../journal/counters.js';
import { laneEpoch, listLanes } from '../../journal/journal.js';
import { checkLaneHeader, laneSalt } from '../../journal/lane.js';
import { instantiateKernels, type Kernels, sharedMemory } from '../../kernels.js';
import type { Mapper } from '../../runtime.js';
import type { Fields, Schema } from '../../schema.js';
import { type JournalFile, showJournalFile } from './journal-file.js';
import type { LaneName, LiveBatch } from './live-batch.js';
import { LiveRows, liveRowsBytes, MOST_ROWS } from './live-rows.js';
import { SymbolNames } from './symbol-names.js';

/** Kernels answer pointers as signed 32-bit numbers. */
const MAX_BYTES = 2 ** 31 - WINDOW_ALIGN;
const CURSORS = SYMBOLS;
const CURSORS_BYTES = WINDOW_ALIGN;

const align = (bytes: number) => Math.ceil(bytes / WINDOW_ALIGN) * WINDOW_ALIGN;

/** The journal of a tape, and what its files have to say. */
export interface JournalPlace<F extends Fields = Fields> {
  files: Files;
  /** Null where files are to be read, not mapped. */
  mapper: Mapper | null;
  journal: string;
  tapeId: Uint8Array;
  schema: Schema<F>;
}

/** A lane that is followed. */
export interface Lane {
  name: LaneName;
  path: string;
  file: JournalFile;
  /** Pointers. */
  cursor: number;
  window: number;
  capacity: number;
}

/** `use` of the file, opened to be read; null where there is none. */
function read<T>(files: Files, file: string, use: (bytes: Uint8Array, fileBytes: number) => T, most: number): T | null {
  try {
    const open = files.open(file, 'read');
    try {
      const bytes = new Uint8Array(most);
      return use(bytes.subarray(0, open.read(bytes, 0)), open.bytes);
    } finally {
      open.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw ioError(cause, file, 'read it');
  }
}

/** The session that the counters in the journal are of: another one has another epoch and start. Null where there are none. */
export function currentSession({
  files,
  journal,
}: Pick<JournalPlace, 'files' | 'journal'>): { epoch: number; startedNs: bigint } | null {
  const file = path.join(journal, COUNTERS_FILE);
  return read(
    files,
    file,
    (bytes) => {
      const { epoch, startedNs } = checkCounters(bytes, file);
      return { epoch, startedNs };
    },
    CONTROL_BYTES,
  );
}

/** The lanes of a session that is open for writing, or was left by a process that died, in a memory of the reader's own. */
export class LiveSession<F extends Fields> {
  readonly epoch: number;
  readonly lanes: Lane[] = [];
  readonly rows: LiveRows<F>;
  readonly #place: JournalPlace<F>;
  readonly #memory: WebAssembly.Memory;
  readonly #kernels: Kernels;
  readonly #view: DataView;
  readonly #names: SymbolNames;
  /** Null where there are no counters of it. */
  readonly #counters: JournalFile | null;
  #mapper: Mapper | null;
  #isMapped = true;
  /** Of the windows of lanes, one after another, each followed by the ring of copies. */
  readonly #lanesAt: number;
  readonly #windowBytes: number;
  readonly #stride: number;
  readonly #room: number;

  /**
   * Null where no session has lanes. `after`: the epoch of the last session that is known to be over.
   * @throws TapeError of files that are not what they should be: `BAD_MAGIC`, `BAD_VERSION`, `CORRUPT`, `FOREIGN`, `SCHEMA_MISMATCH`, `TRUNCATED`
   */
  static open<F extends Fields>(place: JournalPlace<F>, after: number): LiveSession<F> | null {
    const { files, journal } = place;
    const current = currentSession(place);
    const paths = listLanes(files, journal);
    const epoch = current?.epoch ?? paths.reduce((last, file) => Math.max(last, laneEpoch(file)), -1);
    if (epoch <= after) return null;
    for (const file of paths) {
      if (laneEpoch(file) !== epoch) continue;
      const fileBytes = read(files, file, (_, bytes) => bytes, 0);
      if (fileBytes !== null) return new LiveSession(place, epoch, fileBytes, current !== null);
    }
    return null;
  }

  private constructor(place: JournalPlace<F>, epoch: number, laneBytes: number, hasCounters: boolean) {
    this.#place = place;
    this.epoch = epoch;
    this.#mapper = place.mapper;
    this.#windowBytes = align(laneBytes);
    this.#stride = 2 * this.#windowBytes;
    const rowsAt = CURSORS + CURSORS_BYTES;
    this.#lanesAt = align(rowsAt + liveRowsBytes(place.schema, this.#windowBytes));
    this.#room = Math.min(MAX_LANES, Math.floor((MAX_BYTES - this.#lanesAt) / this.#stride));
    if (this.#room < 1) {
      throw new TapeError(
        'UNSUPPORTED',
        `${place.journal}: its lanes have ${laneBytes} bytes, too many to be followed`,
        {
          path: place.journal,
        },
      );
    }
    this.#memory = sharedMemory(this.#lanesAt + this.#room * this.#stride);
    this.#kernels = instantiateKernels(this.#memory);
    this.#view = new DataView(this.#memory.buffer);
    this.#names = new SymbolNames(place.files, place.journal);
    this.rows = new LiveRows(
      place.schema,
      this.#kernels,
      this.#memory,
      { at: rowsAt, ringBytes: this.#windowBytes },
      this.#names,
    );
    this.#counters = hasCounters ? this.#show(path.join(place.journal, COUNTERS_FILE), CONTROL, CONTROL_BYTES) : null;
    this.#checkCounters();
  }

  #checkCounters(): void {
    if (this.#counters === null) return;
    this.#counters.bringIn(0, CONTROL_BYTES);
    const file = path.join(this.#place.journal, COUNTERS_FILE);
    const found = checkCounters(new Uint8Array(this.#memory.buffer, CONTROL, CONTROL_BYTES), file);
    if (!found.tapeId.every((byte, i) => byte === this.#place.tapeId[i])) {
      throw new TapeError('FOREIGN', `${file}: of another tape`, { path: file });
    }
    if (found.fingerprint !== this.#place.schema.fingerprint) {
      throw new TapeError('SCHEMA_MISMATCH', `${file}: of a tape with another schema`, { path: file });
    }
  }

  #show(file: string, at: number, length: number): JournalFile {
    try {
      const shown = showJournalFile(this.#place.files, this.#mapper, file, this.#memory, at, length);
      if (!shown.isMapped) this.#isMapped = false;
      return shown;
    } catch (error) {
      if (!(error instanceof TapeError && error.code === 'UNSUPPORTED')) throw error;
      this.#mapper = null;
      return this.#show(file, at, length);
    }
  }

  /** Whether its process let go of its files, or another session has taken its place: then all of it is in blocks. */
  isOver(): boolean {
    const current = currentSession(this.#place);
    if (current === null ? this.#counters !== null : current.epoch !== this.epoch) return true;
    return this.lanes.length > 0 && this.lanes.every(({ path: file }) => !this.#place.files.exists(file));
  }

  /** Begins to follow lanes that are new. `positionOf`: from where on. @throws TapeError as `open` */
  findLanes(positionOf: (lane: LaneName) => bigint): void {
    for (const file of listLanes(this.#place.files, this.#place.journal)) {
      if (laneEpoch(file) === this.epoch && !this.lanes.some((lane) => lane.path === file)) this.#add(file, positionOf);
    }
  }

  #add(file: string, positionOf: (lane: LaneName) => bigint): void {
    const { files, tapeId, schema, journal } = this.#place;
    const found = read(
      files,
      file,
      (bytes, fileBytes) => checkLaneHeader(bytes, fileBytes, tapeId, schema, file),
      LANE_HEADER_BYTES,
    );
    if (found === null) return;
    const { epoch, lane, capacity } = found;
    const fits = LANE_HEADER_BYTES + capacity <= this.#windowBytes && capacity >= 64 && capacity % 8 === 0;
    if (epoch !== this.epoch || !fits) {
      throw new TapeError('CORRUPT', `${file}: its header says lane ${lane} of session ${epoch}, ${capacity} bytes`, {
        path: file,
      });
    }
    if (this.lanes.length === this.#room) {
      throw new TapeError(
        'UNSUPPORTED',
        `${journal}: its lanes are too large for more than ${this.#room} to be followed`,
        {
          path: journal,
        },
      );
    }
    const window = this.#lanesAt + this.lanes.length * this.#stride;
    const cursor = CURSORS + this.lanes.length * FOLLOW_BYTES;
    let shown: JournalFile;
    try {
      shown = this.#show(file, window, LANE_HEADER_BYTES + capacity);
    } catch (error) {
      // It goes where the tape is closed.
      if (!files.exists(file)) return;
      throw error;
    }
    this.#view.setBigUint64(cursor + FOLLOW_POSITION, positionOf(found), true);
    this.#view.setBigUint64(cursor + FOLLOW_SALT, laneSalt(tapeId, epoch, lane), true);
    this.#view.setUint32(cursor + FOLLOW_CAPACITY, capacity, true);
    this.#view.setUint32(cursor + FOLLOW_RECORD_BYTES, schema.recordBytes, true);
    this.#view.setUint32(cursor + FOLLOW_LANE, window, true);
    this.#view.setUint32(cursor + FOLLOW_COPY, window + this.#windowBytes, true);
    this.lanes.push({ name: { epoch, lane }, path: file, file: shown, cursor, window, capacity });
  }

  find({ epoch, lane }: LaneName): Lane | undefined {
    return this.lanes.find(({ name }) => name.lane === lane && name.epoch === epoch);
  }

  /** As of the last look. */
  headOf({ cursor }: Lane): bigint {
    return this.#view.getBigUint64(cursor + FOLLOW_HEAD, true);
  }

  limitOf({ cursor }: Lane): bigint {
    return this.#view.getBigUint64(cursor + FOLLOW_LIMIT, true);
  }

  positionOf({ cursor }: Lane): bigint {
    return this.#view.getBigUint64(cursor + FOLLOW_POSITION, true);
  }

  moveTo({ cursor }: Lane, position: bigint): void {
    this.#view.setBigUint64(cursor + FOLLOW_POSITION, position, true);
  }

  /** How many lanes have something new, up to their limits; LAPPED where a lane has let go of what was not read. */
  look(): number {
    if (!this.#isMapped) {
      // Lanes first: what the counters say of the tape is to be from after their tails.
      for (const { file } of this.lanes) file.bringIn(0, LANE_HEADER_BYTES);
      this.#counters?.bringIn(0, 128);
    }
    const fresh = this.#kernels.lookAtLanes(CURSORS, this.lanes.length, this.#counters === null ? 1 : 0);
    if (!this.#isMapped) for (const lane of this.lanes) this.#bringInNew(lane);
    return fresh;
  }

  #bringInNew(lane: Lane): void {
    const { file, capacity } = lane;
    const position = this.positionOf(lane);
    const left = this.limitOf(lane) - position;
    if (left === 0n) return;
    if (left >= BigInt(capacity)) {
      file.bringIn(LANE_HEADER_BYTES, LANE_HEADER_BYTES + capacity);
      return;
    }
    const from = LANE_HEADER_BYTES + Number(position % BigInt(capacity));
    const end = LANE_HEADER_BYTES + capacity;
    const to = from + Number(left);
    file.bringIn(from, Math.min(to, end));
    if (to > end) file.bringIn(LANE_HEADER_BYTES, to - capacity);
  }

  /** Takes the next records of a lane, up to its limit: how many are in `rows`; DAMAGED where there is none. */
  follow({ cursor }: Lane): number {
    return this.#kernels.follow(cursor, this.rows.index, MOST_ROWS);
  }

  /**
   * Records of a lane that were followed before, from position `from` up to `to`, in batches that hold until the next one.
   * @throws TapeError `CORRUPT`
   */
  *recall(lane: Lane, from: bigint, to: bigint): Generator<LiveBatch<F>> {
    const { rows } = this;
    for (let position = from; position < to; ) {
      const count = this.#kernels.recall(lane.cursor, position, to, rows.index, MOST_ROWS);
      if (count < 0) {
        throw new TapeError(
          'CORRUPT',
          `${lane.path}: what was read at ${position} is no more: something else writes to the journal`,
          {
            path: lane.path,
          },
        );
      }
      position = this.#view.getBigUint64(lane.cursor + FOLLOW_RECALLED, true);
      if (count > 0) yield rows.batch(count, lane.name);
    }
  }

  close(): void {
    for (const { file } of this.lanes) file.close();
    this.#counters?.close();
    this.#names.close();
  }
}
