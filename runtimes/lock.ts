import { closeSync, openSync, readFileSync } from 'node:fs';
import { TapeError } from '../src/errors.js';
import { ioError } from '../src/io.js';
import type { FileLock } from '../src/runtime.js';
import { formatHolder, type Holder, isAlive, parseHolder } from './lock-holder.js';

/** A lock of the operating system's, held. */
export interface LockHandle {
  /** Replaces what the file holds, through the handle: Windows refuses others, and the path may lead elsewhere by now. */
  replace(text: string): void;
  close(): void;
}

/** `undefined`: somebody holds it. */
export type TryLock = (path: string) => LockHandle | undefined;

/** Left in the file by who let go of it. Not empty: so is a lock file that is being made. */
const RELEASED = '{}\n';

/** @param maybeStale the file alone says so, and nobody may be behind it any more */
export function locked(path: string, pid: number | undefined, maybeStale: boolean): TapeError {
  const who = pid === undefined ? 'another writer' : `another writer (process ${pid})`;
  const hint = maybeStale ? ' If no writer of it runs any more, delete this file.' : '';
  const message = `${path}: ${who} has the tape. A tape has one writer: close it there first.${hint}`;
  return new TapeError('LOCKED', message, { path });
}

/** Locks with the operating system, which drops the lock when its holder dies. */
export function lockBySystem(path: string, tryLock: TryLock, mayRun = isAlive): FileLock {
  let handle: LockHandle | undefined;
  try {
    closeSync(openSync(path, 'a'));
    handle = tryLock(path);
  } catch (error) {
    throw ioError(error, path, 'lock it');
  }
  const before = readHolder(path);
  if (handle === undefined) throw locked(path, before?.by === 'system' ? before.pid : undefined, false);
  // A writer on a runtime without the system's locks may have it all the same.
  if (before?.by === 'file' && mayRun(before)) {
    handle.close();
    throw locked(path, before.pid, true);
  }
  note(handle, formatHolder({ by: 'system', pid: process.pid }));
  return {
    release() {
      if (handle === undefined) return;
      note(handle, RELEASED);
      handle.close();
      handle = undefined;
    },
  };
}

/** The lock is good without it, on a full disk say. */
function note(handle: LockHandle, text: string): void {
  try {
    handle.replace(text);
  } catch {}
}

function readHolder(path: string): Holder | undefined {
  try {
    return parseHolder(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
