import { accessSync, constants, existsSync, rmdirSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import { TapeError } from '../src/errors.js';

/** See `Files.checkWritable`. */
export function checkWritable(directory: string, needBytes: number): void {
  let existing = directory;
  while (!existsSync(existing)) existing = path.dirname(existing);
  const refuse = (message: string, cause?: unknown) => {
    throw new TapeError('NOT_WRITABLE', `${directory}: ${message}`, { cause, path: directory, storageNode: directory });
  };
  const stat = statSync(existing);
  if (!stat.isDirectory()) refuse(`${existing} is a file, not a directory: give another path`);
  const user = ask(() => process.getuid?.());
  if (existing === directory && user !== undefined && user !== 0 && stat.uid !== user) {
    refuse(`it belongs to user ${stat.uid} and this is user ${user}: run as its owner, or give it over with chown`);
  }
  try {
    ask(() => accessSync(existing, constants.W_OK | constants.X_OK));
    checkChangeable(existing);
  } catch (cause) {
    refuse(`${existing} can't be written: check its owner and mode`, cause);
  }
  const space = ask(() => statfsSync(existing));
  const free = space === undefined ? Infinity : space.bavail * space.bsize;
  if (free < needBytes) {
    throw new TapeError(
      'DISK_FULL',
      `${directory}: ${Math.floor(free / 1024 ** 2)} MiB free, ${Math.ceil(needBytes / 1024 ** 2)} MiB needed: ` +
        'make room on its disk, or lower segmentBytes or capacity',
      { path: directory, storageNode: directory },
    );
  }
}

/** Not all runtimes' `accessSync` sees that a file system is read-only. Removing what isn't there does, and changes nothing. */
function checkChangeable(directory: string): void {
  try {
    rmdirSync(path.join(directory, `.${crypto.randomUUID()}`));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EROFS') throw error;
  }
}

/** What the system answers; undefined where the runtime may not ask it. Writing then shows. */
function ask<T>(question: () => T): T | undefined {
  try {
    return question();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) return undefined;
    throw error;
  }
}
