import { TapeError } from './errors.js';
import type { Files } from './files.js';

/** Clears away what could not be finished; the error that is reported is the one that it could not be finished for. */
export function removeQuietly(files: Files, path: string): void {
  try {
    files.remove(path);
  } catch {
    // It is removed at the next open.
  }
}

/** An error of the file system as a TapeError that says what could not be done, to which file, and what helps. */
export function ioError(cause: unknown, path: string, action: string): TapeError {
  if (cause instanceof TapeError) return cause;
  if (path.includes('\0')) return badPath(path);
  const { code, message } = cause as NodeJS.ErrnoException;
  const details = { cause, path };
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new TapeError(
      'DISK_FULL',
      `${path}: can't ${action}: the disk (or the quota) is full; make room, or put the tape on another disk`,
      details,
    );
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new TapeError(
      'NOT_WRITABLE',
      `${path}: can't ${action}: not allowed (${code}); check its owner and mode`,
      details,
    );
  }
  return new TapeError('IO', `${path}: can't ${action}: ${message}`, details);
}

export function badPath(path: string): TapeError {
  return new TapeError('BAD_PATH', `${JSON.stringify(path)}: a path can't hold a NUL: give another`, { path });
}
