import { runtime } from 'ticktape/runtime';
import { TapeError } from './errors.js';
import { LocalFlusher, type TapeFlusher } from './flush/local.js';
import { RemoteFlusher } from './flush/remote.js';
import { Appender, type AppenderHandle } from './journal/appender.js';
import { checkPath, type ResolvedOptions, resolveOptions, type TapeOptions } from './options.js';
import { mapperFor } from './read/mapping.js';
import { TapeBlocks } from './read/reader.js';
import { makeTailSource } from './read/tail/tail-source.js';
import { TapeReader } from './read/tape-reader.js';
import type { Fields, Schema } from './schema.js';
import { Catalog } from './segment/catalog.js';
import { beginSession, checkSchema, checkSegmentSchemas } from './session.js';
import { survey } from './storage/survey.js';
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
  const catalog = new Catalog(files, found.directories, found.roster?.skipped, found.roster?.firstSequence);
  catalog.refresh(found.tapeId);
  checkSegmentSchemas(schema, catalog);
  const zstd = await runtime.zstd();
  const { roster } = found;
  const leastNext = roster === null || roster.unclosedFrom !== null ? 0n : roster.nextSequence;
  const blocks = new TapeBlocks(files, schema, found.tapeId, catalog, zstd, mapperFor(runtime, read), leastNext);
  const { tapeId, directories } = found;
  const tailSource = () => makeTailSource(runtime, { schema, tapeId, journal: found.journal, zstd, read, catalog });
  return new TapeReader(schema, blocks, { runtime, schema, zstd, directories, journal: found.journal }, tailSource);
}

async function openWriter<F extends Fields>(schema: Schema<F>, options: ResolvedOptions): Promise<Tape<F>> {
  const session = await beginSession(runtime, schema, options);
  const { journal, catalog, tapeId, zstd } = session;
  let flusher: TapeFlusher | undefined;
  try {
    let onTrouble: (error: Error) => void = () => {};
    const tell = (error: Error) => {
      options.onWarning(error.message);
      onTrouble(error);
    };
    flusher =
      options.flusher === 'inline'
        ? await LocalFlusher.start(runtime, session.flusherSetup, { onTrouble: tell, onFailure: tell })
        : await RemoteFlusher.start(runtime, session.flusherSetup, tell);
    const mapper = journal.mapped ? mapperFor(runtime, options.read) : null;
    return new Tape(schema, {
      options,
      session,
      flusher,
      blocks: new TapeBlocks(files, schema, tapeId, catalog, zstd, mapper),
      onTrouble(listener) {
        onTrouble = listener;
      },
    });
  } catch (error) {
    await flusher?.close().catch(() => {});
    session.abandon();
    throw error;
  }
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
