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
import { hash64 } from '../hash.js';
import { ioError } from '../io.js';
import { type BlockEntry, decodeFooter } from './footer.js';
import { decodeSegmentHeader, type SegmentHeader } from './header.js';

/** How much of a file is looked at at once for the next block. */
const SEARCH_BYTES = 1024 ** 2;
/** How many times a file's bytes may be spent on what looks like block headers and is none. */
const SEARCH_EFFORT = 8;

/** An open segment file, read by position. Whatever may be in it: nothing is looked at before it is asked for. */
export class SegmentReader {
  readonly path: string;
  readonly #file: OpenFile;

  /** @throws TapeError `NOT_FOUND`, `IO` */
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
  }

  get fileBytes(): number {
    return this.#file.bytes;
  }

  /** Up to `length` bytes from `offset` on; fewer at the end of the file. Never more is allocated than the file holds. */
  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.fileBytes - offset)));
    return bytes.subarray(0, this.readInto(bytes, offset));
  }

  /** Reads into `bytes`; how many there were. @throws TapeError `IO`, `NOT_WRITABLE` */
  readInto(bytes: Uint8Array, offset: number): number {
    try {
      return this.#file.read(bytes, offset);
    } catch (cause) {
      throw ioError(cause, this.path, 'read it');
    }
  }

  /** The header of the segment, or why there is none. @throws TapeError `BAD_VERSION` */
  header(): SegmentHeader | string {
    return decodeSegmentHeader((offset, length) => this.read(offset, length), this.path);
  }

  /** What the footer says; null where there is none (the segment is being written, or its writer died). */
  footer(): { entries: BlockEntry[]; offset: number } | null {
    return decodeFooter((offset, length) => this.read(offset, length), this.fileBytes);
  }

  /** The header of the block at `offset`, or why there is none. */
  blockHeader(offset: number): BlockHeader | string {
    const start = this.read(offset, BLOCK_HEADER_BYTES);
    const headerBytes = peekHeaderBytes(start);
    if (headerBytes === 0) return 'no block header';
    return decodeBlockHeader(this.read(offset, headerBytes));
  }

  /** Whether all of the block is there, by the checksums of its chunks. */
  isWhole(offset: number, { blockBytes, chunks }: BlockHeader): boolean {
    if (offset + blockBytes > this.fileBytes) return false;
    return chunks.every((chunk) => {
      const bytes = this.read(offset + chunk.offset, chunk.storedBytes);
      return bytes.length === chunk.storedBytes && hash64(bytes) === chunk.checksum;
    });
  }

  /**
   * What `use` makes of the block that `entry` tells of, whose chunks are yet to be verified. `which`: the decoder's window.
   * @throws DamagedBlock
   */
  useBlock<T>(decoder: BlockDecoder, entry: BlockEntry, which: number, use: (header: BlockHeader) => T): T {
    const { offset, blockBytes, count } = entry;
    // Before room is made for what is not there.
    if (offset + blockBytes > this.fileBytes) throw new DamagedBlock('the file is cut');
    return decoder.read(this, { offset, blockBytes, count }, which, (header) => {
      const found = entryOf(offset, header);
      if (found.headerChecksum !== entry.headerChecksum) throw new DamagedBlock('another block lies there');
      for (const part of ['sequence', 'leastNs', 'greatestNs', 'symbolMask'] as const) {
        if (found[part] !== entry[part]) throw new DamagedBlock('a footer tells something else of it');
      }
      return use(header);
    });
  }

  /**
   * Walks the headers of a tape's blocks from `offset` on, to the end of the file; `tapeId` null: of any tape. Where there is none
   * (a write that did not finish, a page that a power cut took) it goes on at the next one that is whole. `isWritten`: while a writer is at
   * it. It takes time and memory by the file's length, whatever is in it.
   */
  *walk(
    offset: number,
    isWritten: boolean,
    tapeId: Uint8Array | null = null,
  ): Generator<{ offset: number; header: BlockHeader }> {
    let search: BlockSearch | null = null;
    let at = offset;
    for (;;) {
      // Looked at before the header is read: a block that appears between the two would be stepped over.
      const isEmpty = isWritten && this.#isEmpty(at);
      let header = this.blockHeader(at);
      if (isEmpty) {
        // One that is not committed, and may never be: it does not hide those behind it.
        const next = new BlockSearch(this, tapeId).next(at + 8);
        if (next === null) return;
        if (!this.#isEmpty(at)) continue;
        ({ offset: at, header } = next);
      } else if (!isOf(tapeId, header)) {
        search ??= new BlockSearch(this, tapeId);
        const next = search.next(at + 8);
        if (next === null) return;
        ({ offset: at, header } = next);
      }
      yield { offset: at, header };
      at += header.blockBytes;
    }
  }

  /** Whether no magic of a block was written there yet. */
  #isEmpty(at: number): boolean {
    return this.read(at, 8).every((byte) => byte === 0);
  }

  close(): void {
    this.#file.close();
  }
}

/** Finds whole block headers in a segment. Each byte is read once, but for what looks like one and is none. */
class BlockSearch {
  readonly #reader: SegmentReader;
  readonly #tapeId: Uint8Array | null;
  /** Header bytes that may still be checked. */
  #effort: number;
  #window: Uint8Array = new Uint8Array(0);
  #windowAt = 0;

  constructor(reader: SegmentReader, tapeId: Uint8Array | null) {
    this.#reader = reader;
    this.#tapeId = tapeId;
    this.#effort = SEARCH_EFFORT * reader.fileBytes;
  }

  /** The next block from `from` on whose header lies on a multiple of 8. `from` is never before that of the last call. */
  next(from: number): { offset: number; header: BlockHeader } | null {
    let at = from;
    for (;;) {
      if (at + BLOCK_HEADER_BYTES > this.#windowAt + this.#window.length) {
        // Preallocated space behind the last block reads as zeros at memory speed.
        this.#window = this.#reader.read(at, SEARCH_BYTES);
        this.#windowAt = at;
        if (this.#window.length < BLOCK_HEADER_BYTES) return null;
      }
      const { buffer, byteOffset, length } = this.#window;
      const found = Buffer.from(buffer, byteOffset, length).indexOf(BLOCK_MAGIC, at - this.#windowAt, 'latin1');
      const place = this.#windowAt + found;
      const lastPlace = this.#windowAt + length - BLOCK_HEADER_BYTES;
      if (found < 0 || place > lastPlace) {
        // What is left of the window may hold the beginning of one.
        at = lastPlace + 1;
        continue;
      }
      const header = place % 8 === 0 ? this.#headerAt(place) : '';
      if (isOf(this.#tapeId, header)) return { offset: place, header };
      at = place + 1;
    }
  }

  #headerAt(place: number): BlockHeader | string {
    const bytes = this.#window.subarray(place - this.#windowAt);
    const headerBytes = peekHeaderBytes(bytes);
    if (headerBytes === 0 || headerBytes > this.#effort) return 'no block header';
    this.#effort -= headerBytes;
    return headerBytes <= bytes.length ? decodeBlockHeader(bytes) : this.#reader.blockHeader(place);
  }
}

/** Whether it is the header of a block, and of this tape; `tapeId` null: of any. */
const isOf = (tapeId: Uint8Array | null, header: BlockHeader | string): header is BlockHeader =>
  typeof header !== 'string' && (tapeId === null || isSameId(header.tapeId, tapeId));

export const isSameId = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i]);

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
