import { closeSync, fsyncSync, openSync } from 'node:fs';
import { ioError } from '../src/io.js';

/** Windows can't open a directory, and keeps the names in it by itself. */
export function syncDirectory(path: string): void {
  if (process.platform === 'win32') return;
  try {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw ioError(cause, path, 'sync the directory');
  }
}
