import { TapeError } from './errors.js';

/** An error of the file system as a TapeError that says what could not be done, to which file, and what helps. */
export function ioError(cause: unknown, path: string, action: string): TapeError {
  if (cause instanceof TapeError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  const details = { cause, path };
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new TapeError('DISK_FULL', `${path}: can't ${action}: the disk is full; make room on it`, details);
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
