import {
  closeSync,
  existsSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  write,
  writeSync,
} from 'node:fs';
import type { Files, OpenFile, OpenMode } from '../src/files.js';
import { syncDirectory, syncDirectoryAsync } from './sync-directory.js';
import { checkWritable } from './writable.js';

const flags: Record<OpenMode, string> = { read: 'r', edit: 'r+', make: 'w+', new: 'wx+' };

/** The system's files, through node:fs, which all three runtimes have. */
export const systemFiles = (preallocate: Files['preallocate']): Files => ({
  open: (path, mode) => new SystemFile(openSync(path, flags[mode])),
  readFile: (path) => readFileSync(path),
  exists: existsSync,
  list: (directory) => readdirSync(directory),
  makeDirectory: (path) => void mkdirSync(path, { recursive: true }),
  rename: renameSync,
  remove: (path) => rmSync(path, { force: true }),
  freeBytes,
  checkWritable,
  realPath: (path) => realpathSync(path),
  preallocate,
  syncDirectory,
  syncDirectoryAsync,
});

function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    // Not every runtime may ask, and not every file system answers: writing shows.
    return Infinity;
  }
}

class SystemFile implements OpenFile {
  readonly #fd: number;
  /** Operations off this thread that are under way. */
  #pending = 0;
  #isClosing = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  get bytes(): number {
    return fstatSync(this.#fd).size;
  }

  read(into: Uint8Array, at: number): number {
    let done = 0;
    while (done < into.length) {
      const got = readSync(this.#fd, into, done, into.length - done, at + done);
      if (got === 0) break;
      done += got;
    }
    return done;
  }

  write(from: Uint8Array, at: number): void {
    for (let done = 0; done < from.length; ) {
      done += writeSync(this.#fd, from, done, from.length - done, at + done);
    }
  }

  writeAsync(from: Uint8Array, at: number): Promise<void> {
    return this.#async((done) => {
      const go = (written: number) => {
        if (written >= from.length) return done(null);
        write(this.#fd, from, written, from.length - written, at + written, (error, more) =>
          error ? done(error) : go(written + more),
        );
      };
      go(0);
    });
  }

  truncate(bytes: number): void {
    ftruncateSync(this.#fd, bytes);
  }

  sync(): void {
    fdatasyncSync(this.#fd);
  }

  syncAsync(): Promise<void> {
    return this.#async((done) => fdatasync(this.#fd, done));
  }

  #async(operation: (done: (error: Error | null) => void) => void): Promise<void> {
    this.#pending++;
    return new Promise<void>((resolve, reject) => {
      operation((error) => (error ? reject(error) : resolve()));
    }).finally(() => {
      this.#pending--;
      if (this.#isClosing) this.close();
    });
  }

  close(): void {
    // A descriptor that is closed may be another file's by the time that an operation which waits for a thread gets to it.
    this.#isClosing = this.#pending > 0;
    if (!this.#isClosing) closeSync(this.#fd);
  }
}
