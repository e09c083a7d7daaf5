// What says whose a directory is: JSON files of a few lines, replaced whole.
//
//   <storage directory>/storage-node.json   { "format": "ticktape storage node", "version": 1, "tapeId": 32 hex digits, "id": …,
//                                             "roster": {…} }
//   <journal directory>/tape.json           { "format": "ticktape tape", "version": 1, "tapeId": …, "epoch": n, "schema": {…},
//                                             "roster": {…} }
//
// The roster is that of roster.ts. Each ends in "checksum": 16 hex digits, XXH64 of the rest of the content as JSON without spaces. The
// roster, the id and the checksum are missing in files from before there were any.
import path from 'node:path';
import { TapeError } from '../errors.js';
import type { Files } from '../files.js';
import { hash64 } from '../hash.js';
import { ioError, removeQuietly } from '../io.js';
import { Schema } from '../schema.js';
import { greatestMark, isEpoch, isNodeId, parseRoster, type Roster, rosterJson } from './roster.js';

export const STORAGE_FILE = 'storage-node.json';
export const TAPE_FILE = 'tape.json';
const STORAGE_FORMAT = 'ticktape storage node';
const TAPE_FORMAT = 'ticktape tape';
const VERSION = 1;

export interface TapeFile {
  tapeId: Uint8Array;
  /** How often the tape was opened for writing. */
  epoch: number;
  schema: Schema;
  roster?: Roster | null;
}

export interface StorageFile {
  tapeId: Uint8Array;
  id: string | null;
  roster: Roster | null;
}

export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** What the storage directory says of itself and its tape, or null where nothing does. A file that was damaged goes to `damaged`. */
export function readStorageFile(files: Files, directory: string, damaged: TapeError[] = []): StorageFile | null {
  const file = path.join(directory, STORAGE_FILE);
  const content = readJson(files, file, STORAGE_FORMAT, damaged);
  if (content === null) return null;
  const { id = null } = content;
  if (id !== null && !isNodeId(id)) {
    throw new TapeError('CORRUPT', `${file}: its id is ${JSON.stringify(id)}`, { path: file });
  }
  return { tapeId: parseTapeId(content.tapeId, file), id, roster: parseRoster(content.roster, file) };
}

export function writeStorageFile(files: Files, directory: string, content: StorageFile): void {
  replaceFile(files, path.join(directory, STORAGE_FILE), storageJson(content));
}

function storageJson({ tapeId, id, roster }: StorageFile): string {
  const content = { format: STORAGE_FORMAT, version: VERSION, tapeId: hexOf(tapeId), id };
  return sealedJson(roster === null ? content : { ...content, roster: rosterJson(roster) });
}

/** `firstSequence` as the storage directories have it by now; those that can't be read say nothing. */
export function storedMark(files: Files, directories: readonly string[]): bigint {
  return greatestMark(
    directories.map((directory) => {
      try {
        return readStorageFile(files, directory)?.roster ?? null;
      } catch (error) {
        if (error instanceof TapeError) return null;
        throw error;
      }
    }),
  );
}

/** What the journal says of its tape, or null where there is none. A file that was damaged goes to `damaged`. */
export function readTapeFile(files: Files, journal: string, damaged: TapeError[] = []): TapeFile | null {
  const file = path.join(journal, TAPE_FILE);
  const content = readJson(files, file, TAPE_FORMAT, damaged);
  if (content === null) return null;
  const { epoch } = content;
  if (!isEpoch(epoch)) {
    throw new TapeError('CORRUPT', `${file}: its epoch is ${String(epoch)}`, { path: file });
  }
  return {
    tapeId: parseTapeId(content.tapeId, file),
    epoch,
    schema: Schema.parse(JSON.stringify(content.schema), file),
    roster: parseRoster(content.roster, file),
  };
}

export function writeTapeFile(files: Files, journal: string, content: TapeFile): void {
  replaceFile(files, path.join(journal, TAPE_FILE), tapeJson(content));
}

function tapeJson({ tapeId, epoch, schema, roster }: TapeFile): string {
  return sealedJson({
    format: TAPE_FORMAT,
    version: VERSION,
    tapeId: hexOf(tapeId),
    epoch,
    schema: JSON.parse(schema.json),
    ...(roster ? { roster: rosterJson(roster) } : {}),
  });
}

/**
 * Changes the roster in tape.json, as it is by now.
 * @throws TapeError `NOT_FOUND`, and as reading and writing it do
 */
export function changeTapeRoster(files: Files, journal: string, change: (roster: Roster) => Roster): void {
  const { tape, roster } = rosterOfTape(files, journal);
  writeTapeFile(files, journal, { ...tape, roster: change(roster) });
}

/** The same without holding up this thread while the disk takes it. */
export async function changeTapeRosterInBackground(
  files: Files,
  journal: string,
  change: (roster: Roster) => Roster,
): Promise<void> {
  const { tape, roster } = rosterOfTape(files, journal);
  return replaceFileInBackground(files, path.join(journal, TAPE_FILE), tapeJson({ ...tape, roster: change(roster) }));
}

function rosterOfTape(files: Files, journal: string): { tape: TapeFile; roster: Roster } {
  const tape = readTapeFile(files, journal);
  if (tape?.roster) return { tape, roster: tape.roster };
  throw missing(path.join(journal, TAPE_FILE));
}

/** Changes the roster in a storage directory's file, as it is by now, without holding up this thread while the disk takes it. */
export async function changeStorageRosterInBackground(
  files: Files,
  directory: string,
  change: (roster: Roster) => Roster,
): Promise<void> {
  const file = path.join(directory, STORAGE_FILE);
  const content = readStorageFile(files, directory);
  if (!content?.roster) throw missing(file);
  return replaceFileInBackground(files, file, storageJson({ ...content, roster: change(content.roster) }));
}

const missing = (file: string) =>
  new TapeError('NOT_FOUND', `${file}: gone, or without a list of storage nodes: is its disk mounted?`, { path: file });

function parseTapeId(value: unknown, file: string): Uint8Array {
  if (typeof value !== 'string' || !/^[0-9a-f]{32}$/.test(value)) {
    throw new TapeError('CORRUPT', `${file}: its tape id is ${JSON.stringify(value)}`, { path: file });
  }
  return new Uint8Array(Buffer.from(value, 'hex'));
}

function readJson(files: Files, file: string, format: string, damaged: TapeError[]): Record<string, unknown> | null {
  let text: string;
  try {
    text = new TextDecoder().decode(files.readFile(file));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw ioError(cause, file, 'read it');
  }
  const isDamaged = (what: string, cause?: unknown): null => {
    damaged.push(new TapeError('CORRUPT', `${file}: ${what}: restore it from another copy`, { cause, path: file }));
    return null;
  };
  let parsed: Record<string, unknown> | null;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    return isDamaged('not JSON', cause);
  }
  const { checksum, ...content } = parsed ?? {};
  if (checksum !== undefined && checksum !== checksumOf(content)) return isDamaged('its checksum differs');
  if (content.format !== format) throw new TapeError('BAD_MAGIC', `${file}: not a "${format}" file`, { path: file });
  if (content.version !== VERSION) {
    throw new TapeError('BAD_VERSION', `${file}: format ${String(content.version)} is unknown`, { path: file });
  }
  return content;
}

const checksumOf = (content: object): string =>
  hash64(new TextEncoder().encode(JSON.stringify(content)))
    .toString(16)
    .padStart(16, '0');

const sealedJson = (content: object): string => JSON.stringify({ ...content, checksum: checksumOf(content) });

/** Puts the text in the file's place as a whole, and on the disk. */
function replaceFile(files: Files, file: string, text: string): void {
  const made = `${file}.tmp`;
  try {
    const handle = files.open(made, 'make');
    try {
      handle.write(new TextEncoder().encode(`${text}\n`), 0);
      handle.sync();
    } finally {
      handle.close();
    }
    files.rename(made, file);
    files.syncDirectory(path.dirname(file));
  } catch (cause) {
    removeQuietly(files, made);
    throw ioError(cause, file, 'write it');
  }
}

async function replaceFileInBackground(files: Files, file: string, text: string): Promise<void> {
  const made = `${file}.tmp`;
  try {
    const handle = files.open(made, 'make');
    try {
      await handle.writeAsync(new TextEncoder().encode(`${text}\n`), 0);
      await handle.syncAsync();
    } finally {
      handle.close();
    }
    files.rename(made, file);
    await files.syncDirectoryAsync(path.dirname(file));
  } catch (cause) {
    removeQuietly(files, made);
    throw ioError(cause, file, 'write it');
  }
}
