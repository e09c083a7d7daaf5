import path from 'node:path';
import type { Files, OpenFile } from '../../src/files.js';

/** Files in `directory` take `times` as long to write as they do. */
export interface Slowness {
  directory: string;
  times: number;
}

/** `files`, where what is written off the thread to those in one directory takes longer. */
export function slowFiles(files: Files, { directory, times }: Slowness): Files {
  return {
    ...files,
    open(file, mode) {
      const handle = files.open(file, mode);
      return path.dirname(file) === directory ? slowed(handle, times) : handle;
    },
  };
}

const slowed = (file: OpenFile, times: number): OpenFile => ({
  get bytes() {
    return file.bytes;
  },
  read: (into, at) => file.read(into, at),
  write: (from, at) => file.write(from, at),
  async writeAsync(from, at) {
    const startMs = performance.now();
    await file.writeAsync(from, at);
    const tookMs = performance.now() - startMs;
    await new Promise((resolve) => setTimeout(resolve, tookMs * (times - 1)));
  },
  truncate: (bytes) => file.truncate(bytes),
  sync: () => file.sync(),
  syncAsync: () => file.syncAsync(),
  close: () => file.close(),
});
