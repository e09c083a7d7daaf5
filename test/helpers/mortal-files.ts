import { runtime } from 'ticktape/runtime';
import type { Files, OpenFile } from '../../dist/src/files.js';

/** The file system of a process that is killed at its n-th change, a write half done; nothing changes after that. */
export class MortalFiles implements Files {
  /** What was done, in order. */
  readonly changes: string[] = [];
  readonly #left: number;
  /** Asked before each change; what it throws, the change throws. */
  readonly #refuse: (change: string) => void;

  constructor(changes: number, refuse: (change: string) => void = () => {}) {
    this.#left = changes;
    this.#refuse = refuse;
  }

  get died(): boolean {
    return this.changes.length > this.#left;
  }

  /** Answers what of the change gets done. */
  #change<T>(change: string, whole: () => T, part: () => unknown = () => {}): T {
    if (!this.died) this.#refuse(change);
    const died = this.died;
    this.changes.push(change);
    if (!this.died) return whole();
    if (!died) part();
    throw Object.assign(new Error('killed'), { code: 'EIO' });
  }

  open(path: string, mode: Parameters<Files['open']>[1]): OpenFile {
    if (mode === 'read') return runtime.files.open(path, mode);
    const file =
      mode === 'edit'
        ? runtime.files.open(path, mode)
        : this.#change(`make ${path}`, () => runtime.files.open(path, mode));
    const half = (from: Uint8Array) => from.subarray(0, from.length >> 1);
    return {
      get bytes() {
        return file.bytes;
      },
      read: (into, at) => file.read(into, at),
      write: (from, at) =>
        this.#change(
          `write ${path}`,
          () => file.write(from, at),
          () => file.write(half(from), at),
        ),
      writeAsync: async (from, at) =>
        this.#change(
          `write ${path}`,
          () => file.writeAsync(from, at),
          () => file.write(half(from), at),
        ),
      truncate: (bytes) => this.#change(`cut ${path}`, () => file.truncate(bytes)),
      sync: () => this.#change(`sync ${path}`, () => file.sync()),
      syncAsync: async () => this.#change(`sync ${path}`, () => file.syncAsync()),
      close: () => file.close(),
    };
  }

  readFile = (path: string) => runtime.files.readFile(path);
  exists = (path: string) => runtime.files.exists(path);
  list = (directory: string) => runtime.files.list(directory);
  realPath = (path: string) => runtime.files.realPath(path);
  freeBytes = (directory: string) => runtime.files.freeBytes(directory);
  makeDirectory = (path: string) => this.#change(`make ${path}`, () => runtime.files.makeDirectory(path));
  rename = (from: string, to: string) => this.#change(`rename ${to}`, () => runtime.files.rename(from, to));
  remove = (path: string) => this.#change(`remove ${path}`, () => runtime.files.remove(path));
  preallocate = (path: string, bytes: number) =>
    this.#change(`preallocate ${path}`, () => runtime.files.preallocate(path, bytes));
  checkWritable = (directory: string, needBytes: number) => runtime.files.checkWritable(directory, needBytes);
  syncDirectoryAsync = async (path: string) =>
    this.#change(`sync ${path}`, () => runtime.files.syncDirectoryAsync(path));
  syncDirectory = (path: string) => this.#change(`sync ${path}`, () => runtime.files.syncDirectory(path));
}
