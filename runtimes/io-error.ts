import { getSystemErrorName } from 'node:util';
import type { TapeError } from '../src/errors.js';
import { ioError } from '../src/io.js';

/** What the system answered (an error number of its own), as an error that says what to do. */
export function systemError(path: string, action: string, errno: number): TapeError {
  const code = nameOf(errno);
  return ioError(Object.assign(new Error(code), { code }), path, action);
}

function nameOf(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `error ${errno}`;
  }
}
