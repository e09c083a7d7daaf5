import { BlockDecoder, DamagedBlock } from '../../block/decoder.js';
import { TapeError } from '../../errors.js';
import type { Files } from '../../files.js';
import type { Zstd } from '../../runtime.js';
import type { Schema } from '../../schema.js';
import type { BlockEntry } from '../../segment/footer.js';
import { OpenSegments } from '../../segment/open-segments.js';
import type { SegmentReader } from '../../segment/reader.js';

/** Reads copies of blocks and says what is wrong with them. One block is in memory at a time. */
export class CopyChecker {
  /** Of all the copies that were read. */
  bytes = 0;
  readonly #schema: Schema;
  readonly #decoder: BlockDecoder;
  readonly #segments: OpenSegments;

  constructor(files: Files, schema: Schema, zstd: Zstd) {
    this.#segments = new OpenSegments(files);
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
    return this.#segments.reader(path);
  }

  /** Lets go of the file. */
  forget(path: string): void {
    this.#segments.close(path);
  }

  close(): void {
    this.#segments.closeAll();
  }
}
