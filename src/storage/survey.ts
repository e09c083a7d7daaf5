import path from 'node:path';
import { TapeError } from '../errors.js';
import type { Files } from '../files.js';
import { ioError } from '../io.js';
import type { Schema } from '../schema.js';
import {
  hexOf,
  readStorageFile,
  readTapeFile,
  STORAGE_FILE,
  TAPE_FILE,
  type TapeFile,
  writeStorageFile,
  writeTapeFile,
} from './identity.js';
import { latest, type Roster } from './roster.js';

/** What is there before a tape is opened. Nothing is changed to find out. */
export interface Survey {
  /** Absolute. */
  directories: string[];
  /** Absolute. */
  journal: string;
  /** Null where there is no journal yet, or no more. */
  tape: TapeFile | null;
  /** Null for a tape that is yet to be made. */
  tapeId: Uint8Array | null;
  /** Of the storage nodes, by directory; null where there is none yet. */
  ids: (string | null)[];
  /** Null where nothing has one yet. */
  roster: Roster | null;
  /** Of tape.json and storage-node.json, those that are damaged: their errors. What they said is taken from the others. */
  damaged: readonly TapeError[];
}

/**
 * Looks at the directories of a tape: each a directory of its own, all of one tape.
 * @throws TapeError `BAD_PATH`, `BAD_OPTION`, `FOREIGN`, and those of the files that say whose they are
 */
export function survey(files: Files, storage: readonly string[], journalOption: string | undefined): Survey {
  const directories = storage.map((directory) => path.resolve(directory));
  const real = directories.map((directory) => realPath(files, directory));
  real.forEach((directory, i) => {
    const twin = real.indexOf(directory);
    if (twin !== i) {
      throw new TapeError(
        'BAD_PATH',
        `${storage[i]} and ${storage[twin]} are one directory: give each storage node its own`,
        {
          path: directories[i],
          storageNode: directories[i],
        },
      );
    }
  });
  const candidates = [
    ...(journalOption === undefined ? [] : [path.resolve(journalOption)]),
    ...directories.map((directory) => path.join(directory, 'journal')),
  ];
  const damaged: TapeError[] = [];
  let tape: TapeFile | null = null;
  let found: string | undefined;
  for (const directory of candidates) {
    tape = readTapeFile(files, directory, damaged);
    if (tape === null && damaged.length === 0) continue;
    found = directory;
    break;
  }
  if (found !== undefined && journalOption !== undefined && found !== candidates[0]) {
    throw new TapeError(
      'BAD_OPTION',
      `option journal is ${journalOption}, but the tape has its journal at ${found}: give that`,
      {
        path: found,
      },
    );
  }
  const journal = found ?? candidates[0];
  let tapeId = tape?.tapeId ?? null;
  const storageFiles = directories.map((directory) => readStorageFile(files, directory, damaged));
  for (const [i, directory] of directories.entries()) {
    const owner = storageFiles[i]?.tapeId;
    if (owner === undefined) continue;
    tapeId ??= owner;
    if (hexOf(owner) !== hexOf(tapeId)) {
      throw new TapeError(
        'FOREIGN',
        `${directory}: holds blocks of another tape: give this one a directory of its own`,
        {
          path: directory,
          storageNode: directory,
        },
      );
    }
  }
  if (tapeId === null && damaged.length > 0) throw damaged[0];
  const ids = storageFiles.map((file) => file?.id ?? null);
  const roster = latest([tape?.roster ?? null, ...storageFiles.map((file) => file?.roster ?? null)]);
  return { directories, journal, tape, tapeId, ids, roster, damaged };
}

/**
 * The survey with the ids that damaged files held, by the roster: the storage node that was in such a directory last is in it still.
 * The roster of the other files is no older than what a damaged one said, as far as any block goes (roster.ts).
 * @throws TapeError `CORRUPT` where it does not say so; reading does without
 */
export function restoreIds(found: Survey): Survey {
  const { directories, roster, damaged } = found;
  const ids = [...found.ids];
  for (const error of damaged) {
    if (roster === null) throw error;
    const i = directories.findIndex((directory) => error.path === path.join(directory, STORAGE_FILE));
    if (i < 0) continue;
    const node = roster.storageNodes.find(({ path: last, id }) => last === directories[i] && !ids.includes(id));
    if (node === undefined) throw error;
    ids[i] = node.id;
  }
  return { ...found, ids };
}

/** The same, for who changes what these files say. @throws TapeError `CORRUPT` where one of them is damaged */
export function surveyUndamaged(files: Files, storage: readonly string[], journalOption: string | undefined): Survey {
  const found = survey(files, storage, journalOption);
  if (found.damaged.length > 0) throw found.damaged[0];
  return found;
}

/** The directory as the file system knows it, links followed, also where its last parts don't exist yet. */
function realPath(files: Files, directory: string): string {
  let existing = directory;
  while (!files.exists(existing) && path.dirname(existing) !== existing) existing = path.dirname(existing);
  return path.join(files.realPath(existing), path.relative(existing, directory));
}

/** Checks that a tape may be written here, with room for `needBytes` on each disk. Changes nothing. @throws TapeError `NOT_WRITABLE`, `DISK_FULL` */
export function checkWritable(files: Files, { directories, journal }: Survey, needBytes: number): void {
  for (const directory of [...directories, journal]) files.checkWritable(directory, needBytes);
}

/** Makes the directory where there is none, its name on the disk. */
export function makeDirectory(files: Files, directory: string): void {
  try {
    files.makeDirectory(directory);
    // An open that was killed here may have made it and those above it: only what claims it says that their names are on the disk.
    const isClaimed = [STORAGE_FILE, TAPE_FILE].some((name) => files.exists(path.join(directory, name)));
    if (!isClaimed) syncNames(files, directory);
  } catch (cause) {
    throw ioError(cause, directory, 'make the directory');
  }
}

/** Puts the names of the directory and of those above it on the disk. */
function syncNames(files: Files, directory: string): void {
  for (let made = directory; path.dirname(made) !== made; made = path.dirname(made)) {
    try {
      files.syncDirectory(path.dirname(made));
    } catch (error) {
      // Of a directory that this user can't open, or a file system that can't be written, nothing was made just now.
      if (made === directory || !(error instanceof TapeError)) throw error;
      return;
    }
  }
}

/**
 * Marks the storage directories as the tape's and enters them in its roster, in the order that roster.ts gives. `roster`: without
 * its storage nodes. Answers what tape.json says.
 * @throws TapeError `DISK_FULL`, `NOT_WRITABLE`, `IO`
 */
export function claimDirectories(
  files: Files,
  { directories, journal, ids }: Survey,
  { tapeId, schema, epoch }: { tapeId: Uint8Array; schema: Schema; epoch: number },
  rest: Omit<Roster, 'epoch' | 'storageNodes'>,
): TapeFile & { roster: Roster } {
  const storageNodes = directories.map((directory, i) => {
    const id = ids[i] ?? hexOf(crypto.getRandomValues(new Uint8Array(16)));
    if (ids[i] === null) writeStorageFile(files, directory, { tapeId, id, roster: null });
    // The process that made the file may have died before its name was on the disk.
    else files.syncDirectory(directory);
    return { id, path: directory };
  });
  const roster = { epoch, storageNodes, ...rest };
  for (const { id, path: directory } of storageNodes) writeStorageFile(files, directory, { tapeId, id, roster });
  const tape = { tapeId, epoch, schema, roster };
  writeTapeFile(files, journal, tape);
  return tape;
}
