import { closeSync, fsync, fsyncSync, openSync } from 'node:fs';
import { ioError } from '../src/io.js';

/** Windows can't open a directory, and keeps the names in it by itself. */
const keepsNames = process.platform === 'win32';

export function syncDirectory(path: string): void {
  if (keepsNames) return;
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

/** The same off this thread. */
export async function syncDirectoryAsync(path: string): Promise<void> {
  if (keepsNames) return;
  try {
    const fd = openSync(path, 'r');
    try {
      await new Promise<void>((resolve, reject) => {
        fsync(fd, (error) => (error ? reject(error) : resolve()));
      });
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw ioError(cause, path, 'sync the directory');
  }
}
