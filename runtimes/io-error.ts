import { getSystemErrorName } from 'node:util';
import { TapeError } from '../src/errors.js';
import { byOs, ENOSPC } from './libc.js';

const EDQUOT = process.platform === 'darwin' ? byOs.EDQUOT.darwin : byOs.EDQUOT.linux;

/** The error for what a call of the C library answered. */
export function systemError(path: string, doing: string, errno: number): TapeError {
  return errno === ENOSPC || errno === EDQUOT ? diskFull(path) : ioError(path, doing, nameOf(errno));
}

/** The error for what node:fs threw. */
export function fsError(path: string, doing: string, error: unknown): TapeError {
  if (error instanceof TapeError) return error;
  if (path.includes('\0')) return badPath(path);
  const { code, errno, message } = error as NodeJS.ErrnoException;
  // Deno's writes throw errors that have the number in their text alone.
  const systemErrno = Math.abs(errno ?? Number(/\(os error (\d+)\)/.exec(message)?.[1]));
  if (code === 'ENOSPC' || systemErrno === ENOSPC || systemErrno === EDQUOT) return diskFull(path, error);
  return ioError(path, doing, code ?? message, error);
}

export function badPath(path: string): TapeError {
  return new TapeError('BAD_PATH', `${JSON.stringify(path)}: a path can't hold a NUL.`, { path });
}

function diskFull(path: string, cause?: unknown): TapeError {
  const message = `${path}: the disk (or the quota) is full. Free some space, or put the tape on another disk.`;
  return new TapeError('DISK_FULL', message, { path, cause });
}

function ioError(path: string, doing: string, reason: string, cause?: unknown): TapeError {
  return new TapeError('IO', `${path}: ${doing} failed (${reason}).`, { path, cause });
}

function nameOf(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `error ${errno}`;
  }
}
