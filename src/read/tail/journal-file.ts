import type { Files, OpenFile } from '../../files.js';
import type { FileView, Mapper } from '../../runtime.js';

/** Where a file of the journal is seen in a memory: mapped, or copied there again and again. */
export interface JournalFile {
  readonly isMapped: boolean;
  /** Its bytes `from` to `to` are in the window as they are now, or were a moment ago. */
  bringIn(from: number, to: number): void;
  close(): void;
}

/**
 * Shows the first `length` bytes of the file at `path` in `memory` at `at` (a multiple of 64 KiB). `mapper`: null where files are to be read.
 *
 * A mapped page is brought in once. It may be evicted later, and is read again from the disk when it is touched: where that fails, the process
 * is killed (SIGBUS), as it is where the file was cut meanwhile. ticktape preallocates the files of a journal and never cuts one; it
 * removes them, which does no harm to who has them mapped. Whose journal other programs cut sets `read: 'copied'`.
 * @throws TapeError `IO`, and what the system throws
 */
export function showJournalFile(
  files: Files,
  mapper: Mapper | null,
  path: string,
  memory: WebAssembly.Memory,
  at: number,
  length: number,
): JournalFile {
  if (mapper !== null) {
    const view = mapper.view(path, memory, at, length, 0);
    if (view.bringIn(0, length)) return new MappedFile(view);
    // Reading it says what is the matter, if anything is.
    view.unmap();
  }
  return new CopiedFile(files.open(path, 'read'), new Uint8Array(memory.buffer, at, length));
}

class MappedFile implements JournalFile {
  readonly isMapped = true;
  readonly #view: FileView;

  constructor(view: FileView) {
    this.#view = view;
  }

  bringIn(): void {}

  close(): void {
    this.#view.unmap();
  }
}

class CopiedFile implements JournalFile {
  readonly isMapped = false;
  readonly #file: OpenFile;
  readonly #window: Uint8Array;

  constructor(file: OpenFile, window: Uint8Array) {
    this.#file = file;
    this.#window = window;
  }

  bringIn(from: number, to: number): void {
    // What is missing of a file that was cut stays what it was: checksums tell.
    this.#file.read(this.#window.subarray(from, to), from);
  }

  close(): void {
    this.#file.close();
  }
}
