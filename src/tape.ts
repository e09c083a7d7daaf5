import { existsSync } from 'node:fs';
import path from 'node:path';
import { runtime } from 'ticktape/runtime';
import {
  CONTROL_RAW_BYTES,
  CONTROL_SEALED_BLOCKS,
  CONTROL_SEALED_RECORDS,
  CONTROL_STATE,
  CONTROL_STORAGE,
  CONTROL_STORED_BYTES,
  LANE_CAPACITY,
  LANE_DROPS,
  LANE_RECORDS,
  STORAGE_COUNTER_BYTES,
  TAPE_CLOSING,
  TAPE_FAILED,
} from '../assembly/layout.js';
import { TapeError } from './errors.js';
import { RemoteFlusher } from './flush/remote.js';
import { Appender, type AppenderHandle } from './journal/appender.js';
import { Journal, readSymbols } from './journal/journal.js';
import { readLaneCounters } from './journal/lane.js';
import { type MemoryMap, memoryMap } from './journal/memory-map.js';
import { planRecovery, type RecoveryReport, recover } from './journal/recovery.js';
import { checkPath, type ResolvedOptions, resolveOptions, type TapeOptions } from './options.js';
import type { Batch } from './read/batch.js';
import { type Damage, type ScanOptions, TapeBlocks, type Verdict } from './read/reader.js';
import type { FileLock, Mapper } from './runtime.js';
import type { Fields, Schema, ValuesOf } from './schema.js';
import { Catalog } from './segment/catalog.js';
import { DirectoryStorageNode } from './storage/directory.js';
import { writeTapeFile } from './storage/identity.js';
import { Replicator } from './storage/replicator.js';
import { checkWritable, claimDirectories, makeDirectories, type Survey, survey } from './storage/survey.js';

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
  blocks: number;
  bytes: number;
  errors: number;
}

/** What a tape that is open for writing has done in this session. */
export interface TapeStats {
  journal: 'mapped' | 'buffered';
  redundancy: number;
  /** In blocks on their storage nodes. */
  records: number;
  blocks: number;
  /** Bytes of these records as rows, and of their blocks, each counted once. */
  rawBytes: number;
  storedBytes: number;
  /** rawBytes / storedBytes; 0 before the first block. */
  compressionRatio: number;
  lanes: LaneStats[];
  storageNodes: StorageNodeStats[];
  recovery: RecoveryReport;
  /** The last thing that went wrong at a storage node, if any. */
  trouble: Error | null;
  damage: readonly Damage[];
}

/** Options of a tape that is only read. */
export interface ReadOptions {
  storage: readonly string[];
  readOnly: true;
  /** Where the journal is, if not in a storage directory. */
  journal?: string;
}

/** A tape opened for reading, in any process, also while another writes it. */
export class TapeReader<F extends Fields> {
  readonly schema: Schema<F>;
  readonly #blocks: TapeBlocks<F>;

  constructor(schema: Schema<F>, blocks: TapeBlocks<F>) {
    this.schema = schema;
    this.#blocks = blocks;
  }

  /**
   * Sealed records by sequence, a batch of columns at a time.
   * @throws TapeError `BAD_OPTION`, `BLOCK_MISSING`, `BLOCK_DAMAGED`
   */
  scan<Name extends F[number]['name'] = F[number]['name']>(
    options: ScanOptions<Name> = {},
  ): AsyncGenerator<Batch<F, Name>> {
    return this.#blocks.scan(options);
  }

  /** Reads and checks every copy of every block. `redundancy`: how many copies a block should have. */
  verify(options: { redundancy?: number; onProgress?: (done: number, total: number) => void } = {}): Promise<Verdict> {
    return this.#blocks.verify(options.redundancy ?? 1, options.onProgress);
  }

  /** Copies of blocks that could not be read so far. */
  get damage(): readonly Damage[] {
    return this.#blocks.damage;
  }

  async close(): Promise<void> {
    this.#blocks.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A tape opened for writing. One process at a time has one. */
export class Tape<F extends Fields> {
  readonly schema: Schema<F>;
  /** Appends a record from this thread: see `Appender.append`. */
  readonly append: (...values: ValuesOf<F>) => number;
  readonly #parts: TapeParts<F>;
  readonly #appender: Appender<F>;
  #closing: Promise<void> | null = null;
  #trouble: Error | null = null;

  /** Use `openTape`. */
  constructor(schema: Schema<F>, parts: TapeParts<F>) {
    this.schema = schema;
    this.#parts = parts;
    this.#appender = new Appender(schema, this.appenderHandle(), () => runtime.nowNs());
    this.append = this.#appender.append;
    parts.onTrouble((error) => {
      this.#trouble = error;
    });
  }

  /** Wall clock in ns since the Unix epoch; never steps back. */
  now(): bigint {
    return runtime.nowNs();
  }

  /** The share of this thread's lane, 0 to 1, whose records are not yet on their storage nodes. */
  backlog(): number {
    return this.#appender.backlog();
  }

  /**
   * A lane for another thread: post it to a worker and give it to `openAppender` there.
   * @throws TapeError `NO_LANE`, `CLOSED`, `DISK_FULL`, `IO`
   */
  appenderHandle(): AppenderHandle {
    this.#checkOpen();
    const { journal, options } = this.#parts;
    const lane = journal.takeLane();
    return {
      memory: journal.memory,
      fingerprint: this.schema.fingerprint,
      lane,
      at: journal.laneAt(lane),
      symbolCapacity: journal.map.symbolCapacity,
      onFull: options.onFull,
    };
  }

  /**
   * Resolves when everything appended before, on all threads, is on its storage nodes (with `durability: 'disk'`: and would
   * survive a power cut).
   * @throws TapeError of the storage nodes; what could not be written stays in the lanes and is tried again
   */
  flush(): Promise<void> {
    this.#checkOpen();
    return this.#parts.flusher.flush();
  }

  /** Sealed records by sequence, a batch of columns at a time. Call `flush()` first to see what was appended just now. */
  scan<Name extends F[number]['name'] = F[number]['name']>(
    options: ScanOptions<Name> = {},
  ): AsyncGenerator<Batch<F, Name>> {
    return this.#parts.blocks.scan(options);
  }

  /** Reads and checks every copy of every block. */
  verify(options: { onProgress?: (done: number, total: number) => void } = {}): Promise<Verdict> {
    return this.#parts.blocks.verify(this.#parts.options.redundancy, options.onProgress);
  }

  stats(): TapeStats {
    const { journal, options, survey: found, recovery, blocks } = this.#parts;
    const view = new DataView(journal.memory.buffer);
    const number = (at: number) => Number(view.getBigUint64(at, true));
    const rawBytes = number(CONTROL_RAW_BYTES);
    const storedBytes = number(CONTROL_STORED_BYTES);
    const lanes: LaneStats[] = [];
    for (let lane = 0; lane < journal.map.laneCount; lane++) {
      const at = journal.laneAt(lane);
      const capacity = number(at + LANE_CAPACITY);
      if (capacity === 0) continue;
      const { head, drained, tail } = readLaneCounters(view, at);
      const records = view.getBigUint64(at + LANE_RECORDS, true);
      lanes.push({ lane, head, drained, tail, capacity, records, drops: view.getBigUint64(at + LANE_DROPS, true) });
    }
    return {
      journal: journal.mapped ? 'mapped' : 'buffered',
      redundancy: options.redundancy,
      records: number(CONTROL_SEALED_RECORDS),
      blocks: number(CONTROL_SEALED_BLOCKS),
      rawBytes,
      storedBytes,
      compressionRatio: storedBytes === 0 ? 0 : rawBytes / storedBytes,
      lanes,
      storageNodes: found.directories.map((directory, i) => {
        const at = CONTROL_STORAGE + i * STORAGE_COUNTER_BYTES;
        return { path: directory, blocks: number(at), bytes: number(at + 8), errors: number(at + 16) };
      }),
      recovery,
      trouble: this.#trouble,
      damage: blocks.damage,
    };
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new TapeError('CLOSED', 'the tape is closed: open it again');
  }

  /**
   * Puts everything on the storage nodes and lets go of the tape. Appends on other threads throw `CLOSED` from here on. Where it
   * fails, the lanes keep what could not be written, and the next open recovers it.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#appender.close();
    const { journal, flusher, blocks, lock } = this.#parts;
    const words = new Int32Array(journal.memory.buffer);
    Atomics.compareExchange(words, CONTROL_STATE >> 2, Atomics.load(words, CONTROL_STATE >> 2), TAPE_CLOSING);
    let empty = false;
    try {
      await flusher.close();
      empty = true;
    } finally {
      if (!empty) Atomics.store(words, CONTROL_STATE >> 2, TAPE_FAILED);
      blocks.close();
      journal.close(empty);
      lock.release();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

interface TapeParts<F extends Fields> {
  options: ResolvedOptions;
  survey: Survey;
  journal: Journal;
  flusher: RemoteFlusher;
  blocks: TapeBlocks<F>;
  recovery: RecoveryReport;
  lock: FileLock;
  onTrouble(listener: (error: Error) => void): void;
}

/**
 * Opens the tape, made if there is none yet, and recovers what an earlier session left in its lanes.
 * @throws TapeError `LOCKED` where another writer has it, `SCHEMA_MISMATCH`, `BAD_OPTION`, `BAD_PATH`, `NOT_WRITABLE`,
 *   `DISK_FULL`, `FOREIGN`, and of files that are not what they should be; nothing on disk has changed then
 */
export function openTape<F extends Fields>(schema: Schema<F>, options: TapeOptions): Promise<Tape<F>>;
/** Opens a tape for reading only; it must exist. @throws TapeError `NOT_FOUND`, `SCHEMA_MISMATCH`, … */
export function openTape<F extends Fields>(schema: Schema<F>, options: ReadOptions): Promise<TapeReader<F>>;
export async function openTape<F extends Fields>(
  schema: Schema<F>,
  options: TapeOptions | ReadOptions,
): Promise<Tape<F> | TapeReader<F>> {
  if (options !== null && typeof options === 'object' && 'readOnly' in options && options.readOnly) {
    return openReader(schema, options as ReadOptions);
  }
  return openWriter(schema, resolveOptions(options as TapeOptions));
}

async function openReader<F extends Fields>(schema: Schema<F>, options: ReadOptions): Promise<TapeReader<F>> {
  const { storage, journal } = resolveOptions(options);
  const found = survey(storage, journal);
  if (found.tapeId === null) {
    throw new TapeError('NOT_FOUND', `${found.directories.join(', ')}: no tape there`, { path: found.directories[0] });
  }
  checkSchema(schema, found);
  const catalog = new Catalog(found.directories);
  catalog.refresh(found.tapeId);
  checkSegmentSchemas(schema, catalog);
  return new TapeReader(schema, new TapeBlocks(schema, found.tapeId, catalog, await runtime.zstd()));
}

async function openWriter<F extends Fields>(schema: Schema<F>, options: ResolvedOptions): Promise<Tape<F>> {
  const before = survey(options.storage, options.journal);
  checkSchema(schema, before);
  const mapper = chooseMapper(options);
  const mapSizes = { capacity: options.capacity, storageNodes: options.storage.length, laneBytes: options.laneBytes };
  // Before anything is made, so that options that don't fit change nothing.
  const provisional = memoryMap(schema, { ...mapSizes, symbolCapacity: options.maxSymbols });
  checkWritable(before, options.segmentBytes + provisional.laneStride + provisional.symbolWindowBytes);

  makeDirectories(before);
  const lock = runtime.lock(path.join(before.journal, 'lock'));
  let journal: Journal | undefined;
  let flusher: RemoteFlusher | undefined;
  try {
    // Again, now that nobody else can be at it: another process may have made the tape, written to it and closed it meanwhile.
    const found = survey(options.storage, options.journal);
    checkSchema(schema, found);
    const tapeId = found.tapeId ?? crypto.getRandomValues(new Uint8Array(16));
    const catalog = new Catalog(found.directories);
    const symbols = readSymbols(found.journal, tapeId);
    const zstd = await runtime.zstd();
    const input = { schema, tapeId, journal: found.journal, catalog, symbols, zstd, options };
    const plan = planRecovery(input);
    checkSegmentSchemas(schema, catalog);

    const epoch = nextEpoch(found, catalog, plan.lanes);
    writeTapeFile(found.journal, { tapeId, epoch, schema });
    claimDirectories(found, tapeId);
    const session = {
      tapeId,
      schema,
      epoch,
      segmentBytes: options.segmentBytes,
      segmentMaxAgeMs: options.segmentMaxAgeMs,
    };
    const nodes = found.directories.map(
      (directory, ordinal) => new DirectoryStorageNode(directory, { runtime, mapped: null }, { ...session, ordinal }),
    );
    const replicator = new Replicator(nodes, options.redundancy, options.random, () => performance.now());
    const recovery = await recover(input, plan, replicator, epoch);
    await replicator.close(true);
    if (recovery.damagedBytes > 0) {
      const lost = symbols?.lost ?? 0;
      options.onWarning(
        `${found.journal}: ${recovery.damagedBytes} bytes of its lanes held no whole record` +
          `${lost > 0 ? `, and ${lost} names of its symbol table were damaged` : ''}; all others were recovered`,
      );
    }
    catalog.refresh(tapeId);

    const map: MemoryMap = memoryMap(schema, {
      ...mapSizes,
      symbolCapacity: Math.max(options.maxSymbols, symbols?.capacity ?? 0),
    });
    journal = new Journal({ runtime, mapper, directory: found.journal, tapeId, epoch, schema, map });
    let onTrouble: (error: Error) => void = () => {};
    flusher = await RemoteFlusher.start(
      runtime,
      {
        memory: journal.memory,
        map,
        schemaJson: schema.json,
        nextSequence: catalog.nextSequence,
        journal: found.journal,
        mapped: journal.mapped,
        directories: found.directories,
        redundancy: options.redundancy,
        compression: options.compression,
        durability: options.durability,
        syncIntervalMs: options.syncIntervalMs,
        flushIntervalMs: options.flushIntervalMs,
        tapeId,
        epoch,
        segmentBytes: options.segmentBytes,
        segmentMaxAgeMs: options.segmentMaxAgeMs,
      },
      (error) => {
        options.onWarning(error.message);
        onTrouble(error);
      },
    );
    return new Tape(schema, {
      options,
      survey: found,
      journal,
      flusher,
      blocks: new TapeBlocks(schema, tapeId, catalog, zstd),
      recovery,
      lock,
      onTrouble(listener) {
        onTrouble = listener;
      },
    });
  } catch (error) {
    await flusher?.close().catch(() => {});
    journal?.close(true);
    lock.release();
    throw error;
  }
}

/** A lane's name holds the epoch, and blocks hold that name: an epoch must never come back. */
function nextEpoch({ tape }: Survey, catalog: Catalog, lanes: readonly { epoch: number }[]): number {
  let last = tape?.epoch ?? 0;
  for (const { header } of catalog.segments.values()) last = Math.max(last, header.epoch);
  for (const { epoch } of lanes) last = Math.max(last, epoch);
  return last + 1;
}

function chooseMapper({ journalMode, onWarning }: ResolvedOptions): Mapper | null {
  if (journalMode === 'buffered') return null;
  try {
    return runtime.mapper();
  } catch (error) {
    if (journalMode === 'mapped') throw error;
    onWarning(
      `the journal is buffered, so a process that is killed loses its last milliseconds: ${(error as Error).message}`,
    );
    return null;
  }
}

function checkSchema(schema: Schema, { tape, journal }: Survey): void {
  if (tape === null || tape.schema.fingerprint === schema.fingerprint) return;
  throw mismatch(schema, tape.schema, journal);
}

function checkSegmentSchemas(schema: Schema, catalog: Catalog): void {
  for (const { header, path: file } of catalog.segments.values()) {
    if (header.fingerprint !== schema.fingerprint) throw mismatch(schema, header.schema, file);
  }
}

function mismatch(given: Schema, recorded: Schema, file: string): TapeError {
  const describe = ({ name, fields }: Schema) =>
    `${name}(${fields.map((field) => `${field.name} ${field.kind}${field.kind === 'decimal' ? `(${field.scale})` : ''}`).join(', ')})`;
  return new TapeError(
    'SCHEMA_MISMATCH',
    `${file}: recorded as ${describe(recorded)}, opened as ${describe(given)}: open it with its own schema, or record elsewhere`,
    { path: file },
  );
}

/**
 * Opens an appender on the lane of a handle that `tape.appenderHandle()` gave, on the thread that this is called on.
 * @throws TapeError `SCHEMA_MISMATCH`
 */
export function openAppender<F extends Fields>(schema: Schema<F>, handle: AppenderHandle): Appender<F> {
  return new Appender(schema, handle, () => runtime.nowNs());
}

/** The schema of the tape on these storage directories. @throws TapeError `NOT_FOUND` */
export function readSchema(storage: readonly string[]): Schema {
  for (const directory of storage) checkPath('storage', directory);
  const found = survey(storage, undefined);
  if (found.tape !== null) return found.tape.schema;
  const catalog = new Catalog(found.directories.filter((directory) => existsSync(directory)));
  catalog.refresh(found.tapeId);
  for (const { header } of catalog.segments.values()) return header.schema;
  throw new TapeError('NOT_FOUND', `${storage.join(', ')}: no tape there`, { path: storage[0] });
}
