import { WINDOW_ALIGN } from '../../assembly/layout.js';
import type { FileView, Mapper } from '../runtime.js';

/** A file of blocks, open for reading. */
export interface BlockFile {
  readonly path: string;
  /** As it is now. */
  readonly fileBytes: number;
  /** Reads into `bytes` from `offset` on; how many there were. */
  readInto(bytes: Uint8Array, offset: number): number;
}

/** A window of a memory onto one file at a time, moved on as its blocks are read. Plain memory follows it. */
export class FileWindow {
  readonly #mapper: Mapper;
  readonly #memory: WebAssembly.Memory;
  readonly #at: number;
  readonly #bytes: number;
  #shown: { file: BlockFile; view: FileView; fileOffset: number; length: number } | null = null;

  /** `at`, `bytes`: multiples of 64 KiB. */
  constructor(mapper: Mapper, memory: WebAssembly.Memory, at: number, bytes: number) {
    this.#mapper = mapper;
    this.#memory = memory;
    this.#at = at;
    this.#bytes = bytes;
  }

  /** Where `length` bytes from `offset` of the file on lie in the memory, or -1 where the window is too small. @throws TapeError */
  show(file: BlockFile, offset: number, length: number): number {
    let shown = this.#shown;
    const end = offset + length;
    if (shown?.file !== file || offset < shown.fileOffset || end > shown.fileOffset + shown.length) {
      const fileOffset = Math.floor(offset / WINDOW_ALIGN) * WINDOW_ALIGN;
      // As far as the file goes, so that plain memory is behind its last page.
      const shownBytes = Math.min(this.#bytes, file.fileBytes - fileOffset);
      if (end > fileOffset + shownBytes) return -1;
      this.release();
      const view = this.#mapper.view(file.path, this.#memory, this.#at, shownBytes, fileOffset);
      shown = { file, view, fileOffset, length: shownBytes };
      this.#shown = shown;
    }
    return this.#at + offset - shown.fileOffset;
  }

  /** Brings in what is shown from pointer `from` to `to`, as far as the file is shown. `false`: it can't be read. */
  bringIn(from: number, to: number): boolean {
    const { view, length } = this.#shown!;
    return view.bringIn(from - this.#at, Math.min(to - this.#at, length) - (from - this.#at));
  }

  /** Lets go of the file, or of whatever is shown. */
  release(file: BlockFile | null = null): void {
    if (this.#shown === null || (file !== null && this.#shown.file !== file)) return;
    this.#shown.view.unmap();
    this.#shown = null;
  }
}
