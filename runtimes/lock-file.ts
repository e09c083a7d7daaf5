import { readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { ioError } from '../src/io.js';
import type { FileLock } from '../src/runtime.js';
import { locked } from './lock.js';
import { formatHolder, isAlive, parseHolder, thisProcess } from './lock-holder.js';

/** Longer than it takes to write a line to a file just made. */
const BEING_MADE_MS = 5000;
const ATTEMPTS = 10;

/** Locks by making a file, where the system's locks are out of reach. What a process that died left behind is taken over. */
export function lockByFile(path: string): FileLock {
  const ours = formatHolder(thisProcess());
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (make(path, ours)) return { release: () => ignoreMissing(() => release(path, ours)) };
      const found = ignoreMissing(() => readFileSync(path, 'utf8'));
      if (found === undefined) continue;
      if (ignoreMissing(() => isHeld(path, found))) throw locked(path, parseHolder(found)?.pid, true);
      ignoreMissing(() => clear(path, found));
    }
  } catch (error) {
    throw ioError(error, path, 'lock it');
  }
  throw locked(path, undefined, true);
}

function make(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function isHeld(path: string, text: string): boolean {
  const holder = parseHolder(text);
  if (holder !== undefined) return isAlive(holder);
  return text === '' && !isOld(path);
}

function isOld(path: string): boolean {
  return Date.now() - statSync(path).mtimeMs > BEING_MADE_MS;
}

/** One process at a time clears, so that none clears what another has made anew since it looked. */
function clear(path: string, stale: string): void {
  const guard = `${path}.clearing`;
  if (!make(guard, '')) {
    if (isOld(guard)) unlinkSync(guard);
    return;
  }
  try {
    if (readFileSync(path, 'utf8') === stale) unlinkSync(path);
  } finally {
    unlinkSync(guard);
  }
}

function release(path: string, ours: string): void {
  if (readFileSync(path, 'utf8') === ours) unlinkSync(path);
}

function ignoreMissing<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
