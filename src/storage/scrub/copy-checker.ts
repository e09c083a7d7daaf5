import { BlockDecoder, DamagedBlock } from '../../block/decoder.js';
import { TapeError } from '../../errors.js';
import type { Files } from '../../files.js';
import type { Zstd } from '../../runtime.js';
import type { Schema } from '../../schema.js';
import type { BlockEntry } from '../../segment/footer.js';
import { SegmentReader } from '../../segment/reader.js';

/** How many files are kept open. */
const OPEN_FILES = 32;

/** Reads copies of blocks and says what is wrong with them. One block is in memory at a time. */
export class CopyChecker {
  /** Of all the copies that were read. */
  bytes = 0;
  readonly #files: Files;
  readonly #schema: Schema;
  readonly #decoder: BlockDecoder;
  readonly #readers = new Map<string, SegmentReader>();

  constructor(files: Files, schema: Schema, zstd: Zstd) {
    this.#files = files;
    this.#schema = schema;
    this.#decoder = new BlockDecoder(schema, zstd);
  }

  /** What is wrong with the copy: its checksums are checked and every column decoded. Null where it is good. */
  check(path: string, entry: BlockEntry): string | null {
    try {
      this.reader(path).useBlock(this.#decoder, entry, 0, (header) => {
        this.#decoder.verify(header);
        for (const field of this.#schema.table) this.#decoder.column(header, field);
      });
      this.bytes += entry.blockBytes;
      return null;
    } catch (error) {
      const unreadable = error instanceof TapeError || (error as NodeJS.ErrnoException).code !== undefined;
      if (!(error instanceof DamagedBlock) && !unreadable) throw error;
      return (error as Error).message;
    }
  }

  /** The file, kept open for a while. @throws TapeError */
  reader(path: string): SegmentReader {
    let reader = this.#readers.get(path);
    // The one used last goes to the end.
    if (reader !== undefined) this.#readers.delete(path);
    else {
      if (this.#readers.size >= OPEN_FILES) this.forget([...this.#readers.keys()][0]);
      reader = new SegmentReader(this.#files, path);
    }
    this.#readers.set(path, reader);
    return reader;
  }

  /** Lets go of the file. */
  forget(path: string): void {
    this.#readers.get(path)?.close();
    this.#readers.delete(path);
  }

  close(): void {
    for (const path of [...this.#readers.keys()]) this.forget(path);
  }
}
