import path from 'node:path';
import type { BlockHeader } from '../block/header.js';
import { assert } from '../errors.js';
import type { Files, OpenFile } from '../files.js';
import { ioError } from '../io.js';
import { type BlockEntry, encodeFooter } from './footer.js';
import { encodeSegmentHeader, type SegmentHeader } from './header.js';
import { entryOf } from './reader.js';

/** Of a block; the first word of its header. */
const MAGIC_BYTES = 8;

/** Syncs a file of a storage node, its length and name too, without holding up this thread. */
export async function syncFile(files: Files, file: string): Promise<void> {
  try {
    // A descriptor of its own: the segment may be closed meanwhile.
    const handle = files.open(file, 'edit');
    try {
      await handle.syncAsync();
    } finally {
      handle.close();
    }
    files.syncDirectory(path.dirname(file));
  } catch (cause) {
    throw ioError(cause, file, 'sync it');
  }
}

/** Closes a segment whose blocks end at `end`: footer, exact length. */
export function sealSegmentFile(
  files: Files,
  file: string,
  entries: readonly BlockEntry[],
  end: number,
  sync: boolean,
): void {
  const footer = encodeFooter(entries, end);
  try {
    const handle = files.open(file, 'edit');
    try {
      handle.write(footer, end);
      handle.truncate(end + footer.length);
      if (sync) handle.sync();
    } finally {
      handle.close();
    }
  } catch (cause) {
    throw ioError(cause, file, 'seal the segment');
  }
}

/**
 * The segment that a storage node is writing: by positional writes, which leave a killed process's blocks in the page cache as stores
 * into a mapping would, and cost the flusher a tenth less in all than these with their page faults.
 */
export class SegmentWriter {
  readonly path: string;
  readonly createdNs: bigint;
  readonly #files: Files;
  readonly #mostBytes: number;
  readonly #file: OpenFile;
  readonly #entries: BlockEntry[] = [];
  #end: number;
  #syncedTo = 0;

  /**
   * Makes the segment, for `bytes` of blocks: under another name first, so that one with its proper name always has a header.
   * @throws TapeError `DISK_FULL`, `IO`
   */
  constructor(files: Files, file: string, header: Omit<SegmentHeader, 'headerBytes' | 'fingerprint'>, bytes: number) {
    this.#files = files;
    this.path = file;
    this.createdNs = header.createdNs;
    const start = encodeSegmentHeader(header);
    this.#mostBytes = start.length + bytes;
    this.#end = start.length;
    const made = `${file}.tmp`;
    try {
      assert(!files.exists(file), 'a segment number is used once');
      this.#file = files.open(made, 'make');
      this.#file.write(start, 0);
      files.rename(made, file);
    } catch (cause) {
      files.remove(made);
      throw ioError(cause, file, 'make a segment');
    }
  }

  get entries(): readonly BlockEntry[] {
    return this.#entries;
  }

  fits(bytes: number): boolean {
    return this.#end + bytes <= this.#mostBytes;
  }

  /** The block's magic goes last: who reads the segment meanwhile finds nothing written there until all of the block is. */
  append(header: BlockHeader, bytes: Uint8Array): void {
    assert(this.fits(bytes.length) && this.#end % 8 === 0, 'a block fits its segment, on a multiple of 8');
    try {
      this.#file.write(bytes.subarray(MAGIC_BYTES), this.#end + MAGIC_BYTES);
      this.#file.write(bytes.subarray(0, MAGIC_BYTES), this.#end);
    } catch (cause) {
      throw ioError(cause, this.path, 'write a block');
    }
    this.#entries.push(entryOf(this.#end, header));
    this.#end += bytes.length;
  }

  /** Everything appended so far, on the disk. */
  sync(): void {
    if (this.#syncedTo === this.#end) return;
    try {
      this.#file.sync();
      if (this.#syncedTo === 0) this.#files.syncDirectory(path.dirname(this.path));
    } catch (cause) {
      throw ioError(cause, this.path, 'sync the segment');
    }
    this.#syncedTo = this.#end;
  }

  /** Ends the segment with its footer. It can't be used any more. */
  seal(sync: boolean): void {
    this.abandon();
    sealSegmentFile(this.#files, this.path, this.#entries, this.#end, sync);
  }

  /** Lets go of the file as it is, without a footer. */
  abandon(): void {
    this.#file.close();
  }
}
