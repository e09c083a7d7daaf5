import { type BlockDecoder, DamagedBlock } from '../block/decoder.js';
import {
  BLOCK_HEADER_BYTES,
  BLOCK_MAGIC,
  type BlockHeader,
  decodeBlockHeader,
  peekHeaderBytes,
} from '../block/header.js';
import { TapeError } from '../errors.js';
import type { Files, OpenFile } from '../files.js';
import { type BlockEntry, decodeFooter } from './footer.js';
import { decodeSegmentHeader, type SegmentHeader } from './header.js';

/** An open segment file, read by position. */
export class SegmentReader {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly #file: OpenFile;

  /** @throws TapeError `NOT_FOUND`, `IO`, `BAD_MAGIC`, `BAD_VERSION`, `CORRUPT`, `TRUNCATED` */
  constructor(files: Files, path: string) {
    this.path = path;
    try {
      this.#file = files.open(path, 'read');
    } catch (cause) {
      const gone = (cause as NodeJS.ErrnoException).code === 'ENOENT';
      throw new TapeError(gone ? 'NOT_FOUND' : 'IO', `${path}: can't be opened: ${(cause as Error).message}`, {
        cause,
        path,
      });
    }
    try {
      this.header = decodeSegmentHeader((offset, length) => this.read(offset, length), path);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get fileBytes(): number {
    return this.#file.bytes;
  }

  /** Up to `length` bytes from `offset` on; fewer at the end of the file. Never more is allocated than the file holds. */
  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.fileBytes - offset)));
    return bytes.subarray(0, this.readInto(bytes, offset));
  }

  /** Reads into `bytes`; how many there were. */
  readInto(bytes: Uint8Array, offset: number): number {
    return this.#file.read(bytes, offset);
  }

  /** What the footer says; null where there is none (the segment is being written, or its writer died). */
  footer(): { entries: BlockEntry[]; offset: number } | null {
    const { fileBytes } = this;
    const footer = decodeFooter((offset, length) => this.read(offset, length), fileBytes);
    return footer;
  }

  /** The header of the block at `offset`, or why there is none. */
  blockHeader(offset: number): BlockHeader | string {
    const start = this.read(offset, BLOCK_HEADER_BYTES);
    const headerBytes = peekHeaderBytes(start);
    if (headerBytes === 0) return 'no block header';
    return decodeBlockHeader(this.read(offset, headerBytes));
  }

  /**
   * What `use` makes of the block that `entry` tells of, whose chunks are yet to be verified. `which`: the decoder's window.
   * @throws DamagedBlock
   */
  useBlock<T>(
    decoder: BlockDecoder,
    { offset, blockBytes, count, headerChecksum }: BlockEntry,
    which: number,
    use: (header: BlockHeader) => T,
  ): T {
    // Before room is made for what is not there.
    if (offset + blockBytes > this.fileBytes) throw new DamagedBlock('the file is cut');
    return decoder.read(this, { offset, blockBytes, count }, which, (header) => {
      if (header.checksum !== headerChecksum) throw new DamagedBlock('another block lies there');
      return use(header);
    });
  }

  /**
   * Walks block headers from `offset` on, to the end of the file. Where there is none (a write that did not finish, a page that a
   * power cut took) it goes on at the next one that is whole; unless `untilUnwritten` and nothing was written there yet.
   */
  *walk(offset: number, untilUnwritten: boolean): Generator<{ offset: number; header: BlockHeader }> {
    let at = offset;
    for (;;) {
      // Looked at before the header is read: a block that appears between the two would be stepped over.
      if (untilUnwritten && this.read(at, 8).every((byte) => byte === 0)) return;
      const header = this.blockHeader(at);
      if (typeof header === 'string') {
        const next = this.#findBlock(at + 8);
        if (next < 0) return;
        at = next;
        continue;
      }
      yield { offset: at, header };
      at += header.blockBytes;
    }
  }

  /** Offset of the next whole block header on a multiple of 8, or -1. */
  #findBlock(from: number): number {
    const step = 1024 ** 2;
    // Preallocated space behind the last block reads as zeros at memory speed.
    for (let at = from; ; at += step) {
      const bytes = this.read(at, step + 8);
      if (bytes.length < BLOCK_HEADER_BYTES) return -1;
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let i = buffer.indexOf(BLOCK_MAGIC, 0, 'latin1'); i >= 0; i = buffer.indexOf(BLOCK_MAGIC, i + 1, 'latin1')) {
        if ((at + i) % 8 === 0 && i < step && typeof this.blockHeader(at + i) !== 'string') return at + i;
      }
    }
  }

  close(): void {
    this.#file.close();
  }
}

/** Opens the segment for `use`, which is done with it when it returns. @throws TapeError as the reader does */
export function withSegment<T>(files: Files, path: string, use: (reader: SegmentReader) => T): T {
  const reader = new SegmentReader(files, path);
  try {
    return use(reader);
  } finally {
    reader.close();
  }
}

/** The catalog's entry for a block, from its header. */
export function entryOf(offset: number, header: BlockHeader): BlockEntry {
  const { blockBytes, count, sequence, leastNs, greatestNs, symbolMask, checksum } = header;
  return { offset, blockBytes, count, sequence, leastNs, greatestNs, symbolMask, headerChecksum: checksum };
}
