import path from 'node:path';
import type { Files, OpenFile, OpenMode } from '../../dist/src/files.js';

/** Files in memory, which a test may change by hand. A directory is there where a file is in it. */
export class MemoryFiles implements Files {
  readonly #files = new Map<string, { bytes: Uint8Array }>();

  /** What is in the file; who has it open sees a change. */
  get(file: string): Uint8Array {
    const found = this.#files.get(file);
    if (found === undefined) throw systemError('ENOENT', file);
    return found.bytes;
  }

  set(file: string, bytes: Uint8Array): void {
    const found = this.#files.get(file);
    if (found === undefined) this.#files.set(file, { bytes });
    else found.bytes = bytes;
  }

  /** All of them as they are now. */
  clone(): MemoryFiles {
    const copy = new MemoryFiles();
    for (const [file, { bytes }] of this.#files) copy.set(file, bytes.slice());
    return copy;
  }

  open(file: string, mode: OpenMode): OpenFile {
    const there = this.#files.has(file);
    if (!there && (mode === 'read' || mode === 'edit')) throw systemError('ENOENT', file);
    if (there && mode === 'new') throw systemError('EEXIST', file);
    if (!there || mode === 'make') this.set(file, new Uint8Array(0));
    return new MemoryFile(this.#files.get(file)!);
  }

  readFile(file: string): Uint8Array {
    return this.get(file).slice();
  }

  exists(file: string): boolean {
    return this.#files.has(file) || [...this.#files.keys()].some((known) => known.startsWith(`${file}/`));
  }

  list(directory: string): string[] {
    return [...this.#files.keys()]
      .filter((file) => path.dirname(file) === directory)
      .map((file) => path.basename(file));
  }

  rename(from: string, to: string): void {
    this.get(from);
    this.#files.set(to, this.#files.get(from)!);
    this.#files.delete(from);
  }

  remove(file: string): void {
    this.#files.delete(file);
  }

  realPath(file: string): string {
    return file;
  }

  makeDirectory(): void {}

  syncDirectory(): void {}

  async syncDirectoryAsync(): Promise<void> {}

  checkWritable(): void {}

  freeBytes(): number {
    return Infinity;
  }

  preallocate(file: string, bytes: number): void {
    const handle = this.open(file, this.#files.has(file) ? 'edit' : 'make');
    if (handle.bytes < bytes) handle.truncate(bytes);
  }
}

class MemoryFile implements OpenFile {
  readonly #file: { bytes: Uint8Array };

  constructor(file: { bytes: Uint8Array }) {
    this.#file = file;
  }

  get bytes(): number {
    return this.#file.bytes.length;
  }

  read(into: Uint8Array, at: number): number {
    const found = this.#file.bytes.subarray(at, at + into.length);
    into.set(found);
    return found.length;
  }

  write(from: Uint8Array, at: number): void {
    if (at + from.length > this.bytes) this.truncate(at + from.length);
    this.#file.bytes.set(from, at);
  }

  async writeAsync(from: Uint8Array, at: number): Promise<void> {
    this.write(from, at);
  }

  truncate(bytes: number): void {
    const before = this.#file.bytes;
    this.#file.bytes = new Uint8Array(bytes);
    this.#file.bytes.set(before.subarray(0, bytes));
  }

  sync(): void {}

  async syncAsync(): Promise<void> {}

  close(): void {}
}

export const systemError = (code: string, file: string): Error =>
  Object.assign(new Error(`${code}: ${file}`), { code, syscall: 'open', path: file });
