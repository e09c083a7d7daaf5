import { closeSync, existsSync, fdatasyncSync, ftruncateSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { BlockHeader } from '../block/header.js';
import { assert } from '../errors.js';
import { ioError } from '../io.js';
import type { Runtime } from '../runtime.js';
import { type BlockEntry, encodeFooter } from './footer.js';
import { encodeSegmentHeader, type SegmentHeader } from './header.js';
import { entryOf } from './reader.js';

/** Of a block; the first word of its header. */
const MAGIC_BYTES = 8;

/** Syncs a file of a storage node, its length and name too, without holding up this thread. */
export async function syncFile(runtime: Runtime, file: string): Promise<void> {
  try {
    // A descriptor of its own: the segment may be closed meanwhile.
    const handle = await open(file, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    runtime.syncDirectory(path.dirname(file));
  } catch (cause) {
    throw ioError(cause, file, 'sync it');
  }
}

/** Closes a segment whose blocks end at `end`: footer, exact length. */
export function sealSegmentFile(file: string, entries: readonly BlockEntry[], end: number, sync: boolean): void {
  const footer = encodeFooter(entries, end);
  try {
    const fd = openSync(file, 'r+');
    try {
      writeFully(fd, footer, end);
      ftruncateSync(fd, end + footer.length);
      if (sync) fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw ioError(cause, file, 'seal the segment');
  }
}

function writeFully(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
  }
}

/**
 * The segment that a storage node is writing: by positional writes, which leave a killed process's blocks in the page cache as stores
 * into a mapping would, and cost the flusher a tenth less in all than these with their page faults.
 */
export class SegmentWriter {
  readonly path: string;
  readonly createdNs: bigint;
  readonly #runtime: Runtime;
  readonly #mostBytes: number;
  readonly #fd: number;
  readonly #entries: BlockEntry[] = [];
  #end: number;
  #syncedTo = 0;

  /**
   * Makes the segment, for `bytes` of blocks: under another name first, so that one with its proper name always has a header.
   * @throws TapeError `DISK_FULL`, `IO`
   */
  constructor(
    runtime: Runtime,
    file: string,
    header: Omit<SegmentHeader, 'headerBytes' | 'fingerprint'>,
    bytes: number,
  ) {
    this.#runtime = runtime;
    this.path = file;
    this.createdNs = header.createdNs;
    const start = encodeSegmentHeader(header);
    this.#mostBytes = start.length + bytes;
    this.#end = start.length;
    const made = `${file}.tmp`;
    try {
      assert(!existsSync(file), 'a segment number is used once');
      this.#fd = openSync(made, 'w+');
      writeFully(this.#fd, start, 0);
      renameSync(made, file);
    } catch (cause) {
      rmSync(made, { force: true });
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
      writeFully(this.#fd, bytes.subarray(MAGIC_BYTES), this.#end + MAGIC_BYTES);
      writeFully(this.#fd, bytes.subarray(0, MAGIC_BYTES), this.#end);
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
      fdatasyncSync(this.#fd);
      if (this.#syncedTo === 0) this.#runtime.syncDirectory(path.dirname(this.path));
    } catch (cause) {
      throw ioError(cause, this.path, 'sync the segment');
    }
    this.#syncedTo = this.#end;
  }

  /** Ends the segment with its footer. It can't be used any more. */
  seal(sync: boolean): void {
    this.abandon();
    sealSegmentFile(this.path, this.#entries, this.#end, sync);
  }

  /** Lets go of the file as it is, without a footer. */
  abandon(): void {
    closeSync(this.#fd);
  }
}
