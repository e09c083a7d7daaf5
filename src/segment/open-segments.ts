import type { Files } from '../files.js';
import { SegmentReader } from './reader.js';

/** How many files are kept open. */
const OPEN_FILES = 32;

/** Segments that are read, of which the last used are kept open. */
export class OpenSegments {
  readonly #files: Files;
  readonly #onClose: (reader: SegmentReader) => void;
  /** The one used last is at the end. */
  readonly #readers = new Map<string, SegmentReader>();

  /** `onClose` is told before a file is closed. */
  constructor(files: Files, onClose: (reader: SegmentReader) => void = () => {}) {
    this.#files = files;
    this.#onClose = onClose;
  }

  /** The file, kept open for a while. @throws TapeError `NOT_FOUND`, `IO` */
  reader(path: string): SegmentReader {
    let reader = this.#readers.get(path);
    if (reader !== undefined) this.#readers.delete(path);
    else {
      if (this.#readers.size >= OPEN_FILES) this.close(this.#readers.keys().next().value!);
      reader = new SegmentReader(this.#files, path);
    }
    this.#readers.set(path, reader);
    return reader;
  }

  get paths(): string[] {
    return [...this.#readers.keys()];
  }

  /** Lets go of the file. */
  close(path: string): void {
    const reader = this.#readers.get(path);
    if (reader === undefined) return;
    this.#onClose(reader);
    reader.close();
    this.#readers.delete(path);
  }

  closeAll(): void {
    for (const path of this.paths) this.close(path);
  }
}
