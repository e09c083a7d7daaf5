import path from 'node:path';
import { runtime } from 'ticktape/runtime';
import { TapeError } from './errors.js';
import { GROWTH } from './flush/adaptive.js';
import { RemoteFlusher } from './flush/remote.js';
import { Appender, type AppenderHandle } from './journal/appender.js';
import { Journal, readSymbols } from './journal/journal.js';
import { type MemoryMap, memoryMap } from './journal/memory-map.js';
import { planRecovery, recover } from './journal/recovery.js';
import { checkPath, type ResolvedOptions, resolveOptions, type TapeOptions } from './options.js';
import { TapeBlocks } from './read/reader.js';
import { TapeReader } from './read/tape-reader.js';
import type { Mapper } from './runtime.js';
import { describeKind, type Fields, type Schema } from './schema.js';
import { Catalog, type CatalogSegment, isWrittenAfter } from './segment/catalog.js';
import { DirectoryStorageNode } from './storage/directory.js';
import { writeTapeFile } from './storage/identity.js';
import { Replicator } from './storage/replicator.js';
import { checkRoster, RESERVED_SEQUENCES, type RosterNode } from './storage/roster.js';
import { checkWritable, claimDirectories, makeDirectory, restoreIds, type Survey, survey } from './storage/survey.js';
import { Tape } from './tape.js';

const { files } = runtime;

/** Options of a tape that is only read. */
export interface ReadOptions {
  storage: readonly string[];
  readOnly: true;
  /** Where the journal is, if not in a storage directory. */
  journal?: string;
  /** As of a tape that is written. */
  read?: TapeOptions['read'];
}

/**
 * Opens the tape, made if there is none yet, and recovers what an earlier session left in its lanes.
 * @throws TapeError `LOCKED` where another writer has it, `SCHEMA_MISMATCH`, `BAD_OPTION`, `BAD_PATH`, `NOT_WRITABLE`,
 *   `DISK_FULL`, `FOREIGN`, `STORAGE_MISSING`, and of files that are not what they should be; nothing on disk has changed then
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
  const { storage, journal, read } = resolveOptions(options);
  const found = survey(files, storage, journal);
  if (found.tapeId === null) {
    throw new TapeError('NOT_FOUND', `${found.directories.join(', ')}: no tape there`, { path: found.directories[0] });
  }
  checkSchema(schema, found);
  const catalog = new Catalog(files, found.directories, found.roster?.skipped);
  catalog.refresh(found.tapeId);
  checkSegmentSchemas(schema, catalog);
  return new TapeReader(
    schema,
    new TapeBlocks(files, schema, found.tapeId, catalog, await runtime.zstd(), mapperFor(read)),
  );
}

async function openWriter<F extends Fields>(schema: Schema<F>, options: ResolvedOptions): Promise<Tape<F>> {
  const before = restoreIds(survey(files, options.storage, options.journal));
  checkSchema(schema, before);
  checkRoster(before.roster, before.directories, before.ids, options.lostStorageNodes);
  const mapper = chooseMapper(options);
  const mapSizes = {
    capacity: options.capacity,
    growth: options.compression === 'adaptive' ? GROWTH : 1,
    laneBytes: options.laneBytes,
  };
  // Before anything is made, so that options that don't fit change nothing.
  const provisional = memoryMap(schema, { ...mapSizes, symbolCapacity: options.maxSymbols });
  checkWritable(files, before, options.segmentBytes + provisional.laneStride + provisional.symbolWindowBytes);

  // The others once there is nothing more that may be refused.
  makeDirectory(files, before.journal);
  const lock = runtime.lock(path.join(before.journal, 'lock'));
  let journal: Journal | undefined;
  let flusher: RemoteFlusher | undefined;
  try {
    // Again, now that nobody else can be at it: another process may have made the tape, written to it and closed it meanwhile.
    const found = restoreIds(survey(files, options.storage, options.journal));
    checkSchema(schema, found);
    const { roster } = found;
    const givenUp = checkRoster(roster, found.directories, found.ids, options.lostStorageNodes);
    const tapeId = found.tapeId ?? crypto.getRandomValues(new Uint8Array(16));
    const catalog = new Catalog(files, found.directories, roster?.skipped);
    const symbols = readSymbols(files, found.journal, tapeId);
    const zstd = await runtime.zstd();
    const input = { files, schema, tapeId, journal: found.journal, catalog, symbols, zstd, options };
    const plan = planRecovery(input);
    checkSegmentSchemas(schema, catalog);

    for (const directory of found.directories) makeDirectory(files, directory);
    const epoch = nextEpoch(found, catalog, plan.lanes);
    if (givenUp.length > 0) skipMissing(catalog, found, givenUp, options);
    else skipUnread(catalog, found, plan.lanes.length === 0, options);
    const tapeFile = claimDirectories(
      files,
      found,
      { tapeId, schema, epoch },
      {
        lost: [...(roster?.lost ?? []), ...givenUp],
        nextSequence: catalog.nextSequence + RESERVED_SEQUENCES,
        skipped: catalog.skipped,
      },
    );
    const session = {
      tapeId,
      schema,
      epoch,
      segmentBytes: options.segmentBytes,
      segmentMaxAgeMs: options.segmentMaxAgeMs,
    };
    const nodes = found.directories.map(
      (directory, ordinal) => new DirectoryStorageNode(directory, runtime, { ...session, ordinal }),
    );
    const replicator = new Replicator(nodes, options.redundancy, Math.random, () => performance.now());
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
    for (const { path: file } of found.damaged) {
      options.onWarning(`${file}: was damaged, and was written anew from what the tape's other files say`);
    }
    for (const { path: file, reason } of catalog.damaged) {
      options.onWarning(`${file}: damaged (${reason}): of its blocks, those that could be found in it are read`);
    }

    const map: MemoryMap = memoryMap(schema, {
      ...mapSizes,
      symbolCapacity: Math.max(options.maxSymbols, symbols?.capacity ?? 0),
    });
    const { nextSequence } = catalog;
    journal = new Journal({ runtime, mapper, directory: found.journal, tapeId, epoch, schema, map });
    let onTrouble: (error: Error) => void = () => {};
    flusher = await RemoteFlusher.start(
      runtime,
      {
        memory: journal.memory,
        map,
        schemaJson: schema.json,
        nextSequence,
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
      blocks: new TapeBlocks(files, schema, tapeId, catalog, zstd, mapper === null ? null : mapperFor(options.read)),
      recovery,
      lock,
      giveBackSequences(records) {
        const ended = { ...tapeFile.roster, nextSequence: nextSequence + BigInt(records) };
        writeTapeFile(files, found.journal, { ...tapeFile, roster: ended });
      },
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
function nextEpoch({ tape, roster }: Survey, catalog: Catalog, lanes: readonly { epoch: number }[]): number {
  let last = Math.max(tape?.epoch ?? 0, roster?.epoch ?? 0);
  for (const segment of catalog.segments.values()) last = Math.max(last, segment.epoch);
  for (const { epoch } of lanes) last = Math.max(last, epoch);
  return last + 1;
}

/** What storage nodes that are given up may have held is not missed any more, and not given to other records. */
function skipMissing(
  catalog: Catalog,
  { roster }: Survey,
  givenUp: RosterNode[],
  { onWarning }: ResolvedOptions,
): void {
  const gaps = catalog.gaps();
  const from = catalog.nextSequence;
  const to = roster!.nextSequence;
  catalog.skipped = [...catalog.skipped, ...gaps, ...(from < to ? [{ from, to }] : [])];
  const lost = gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0n);
  onWarning(
    `${givenUp.map(({ path: directory }) => directory).join(', ')}: given up as lost, and with it ${lost} records` +
      (from < to ? ` and any that followed on sequence ${from}; sequences go on at ${to}` : ''),
  );
}

/**
 * A segment that can't be read may hold the last blocks, and be read again one day: their sequences are not given again. Nor are those
 * that a damaged one held, where a session that `ended` with close() says how many there were.
 */
function skipUnread(catalog: Catalog, { roster }: Survey, ended: boolean, { onWarning }: ResolvedOptions): void {
  const segments = [...catalog.segments.values()];
  // A storage node gets blocks in their order: what lies before one that is known was not the last.
  const isLast = ({ path: file, storage }: CatalogSegment) =>
    !segments.some(
      (other) => other.storage === storage && other.entries.length > 0 && isWrittenAfter(other.path, file),
    );
  const unread = segments.filter(
    (segment) => segment.header === null && !segment.sealed && (ended || segment.unreadable) && isLast(segment),
  );
  const from = catalog.nextSequence;
  const to = roster?.nextSequence ?? from;
  if (unread.length === 0 || from >= to) return;
  catalog.skipped = [...catalog.skipped, { from, to }];
  onWarning(
    `${unread.map(({ path: file }) => file).join(', ')}: can't be read, and may hold records that followed on sequence ${from}; ` +
      `sequences go on at ${to}`,
  );
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

/** Of segments that are read; null where they are copied, be it for want of a mapper: results are the same. */
function mapperFor(read: ResolvedOptions['read']): Mapper | null {
  if (read === 'copied') return null;
  try {
    return runtime.mapper();
  } catch (error) {
    if (error instanceof TapeError && error.code === 'UNSUPPORTED') return null;
    throw error;
  }
}

function checkSchema(schema: Schema, { tape, journal }: Survey): void {
  if (tape === null || tape.schema.fingerprint === schema.fingerprint) return;
  throw mismatch(schema, tape.schema, journal);
}

function checkSegmentSchemas(schema: Schema, catalog: Catalog): void {
  for (const { fingerprint, header, path: file } of catalog.segments.values()) {
    if (fingerprint !== null && fingerprint !== schema.fingerprint)
      throw mismatch(schema, header?.schema ?? null, file);
  }
}

function mismatch(given: Schema, recorded: Schema | null, file: string): TapeError {
  const describe = ({ name, fields }: Schema) =>
    `${name}(${fields.map((field) => `${field.name} ${describeKind(field)}`).join(', ')})`;
  return new TapeError(
    'SCHEMA_MISMATCH',
    `${file}: recorded as ${recorded === null ? 'another' : describe(recorded)}, opened as ${describe(given)}: open it with its own schema, or record elsewhere`,
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
  const found = survey(files, storage, undefined);
  if (found.tape !== null) return found.tape.schema;
  const catalog = new Catalog(
    files,
    found.directories.filter((directory) => files.exists(directory)),
  );
  catalog.refresh(found.tapeId);
  for (const { header } of catalog.segments.values()) if (header !== null) return header.schema;
  throw new TapeError('NOT_FOUND', `${storage.join(', ')}: no tape there`, { path: storage[0] });
}
