import { closeSync, existsSync, fdatasyncSync, ftruncateSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { WINDOW_ALIGN } from '../../assembly/layout.js';
import type { BlockHeader } from '../block/header.js';
import { assert } from '../errors.js';
import { ioError } from '../io.js';
import type { FileMapping, Mapper, Runtime } from '../runtime.js';
import { type BlockEntry, encodeFooter } from './footer.js';
import { encodeSegmentHeader, type SegmentHeader } from './header.js';
import { entryOf } from './reader.js';

/** How a storage node's segments are written: through a window of the tape's memory, or by positional writes. */
export interface SegmentIo {
  runtime: Runtime;
  mapped: { mapper: Mapper; memory: WebAssembly.Memory; window: number; windowBytes: number } | null;
}

/** Of a block; the first word of its header. */
const MAGIC_BYTES = 8;

const align = (value: number, to: number) => Math.ceil(value / to) * to;

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

/** Closes a segment whose blocks end at `end`: footer, exact length. The file must not be mapped for writing. */
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

/** The segment that a storage node is writing. */
export class SegmentWriter {
  readonly path: string;
  readonly createdNs: bigint;
  readonly #io: SegmentIo;
  readonly #fileBytes: number;
  readonly #fd: number;
  readonly #entries: BlockEntry[] = [];
  #end: number;
  #window: { mapping: FileMapping; fileOffset: number; length: number } | null = null;
  #syncedTo = 0;
  /** Unsynced bytes lie before the window. */
  #syncWhole = false;

  /**
   * Makes the segment: under another name first, so that one with its proper name always has a header.
   * @throws TapeError `DISK_FULL`, `IO`
   */
  constructor(io: SegmentIo, file: string, header: Omit<SegmentHeader, 'headerBytes' | 'fingerprint'>, bytes: number) {
    this.path = file;
    this.createdNs = header.createdNs;
    this.#io = io;
    const start = encodeSegmentHeader(header);
    this.#fileBytes = align(start.length + bytes, WINDOW_ALIGN);
    this.#end = start.length;
    const made = `${file}.tmp`;
    try {
      assert(!existsSync(file), 'a segment number is used once');
      if (io.mapped !== null) io.runtime.preallocate(made, this.#fileBytes);
      this.#fd = openSync(made, io.mapped !== null ? 'r+' : 'w+');
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
    return this.#end + bytes <= this.#fileBytes;
  }

  /** The block's magic goes last: who reads the segment meanwhile finds nothing written there until all of the block is. */
  append(header: BlockHeader, bytes: Uint8Array): void {
    assert(this.fits(bytes.length) && this.#end % 8 === 0, 'a block fits its segment, on a multiple of 8');
    if (this.#io.mapped === null) {
      try {
        writeFully(this.#fd, bytes.subarray(MAGIC_BYTES), this.#end + MAGIC_BYTES);
        writeFully(this.#fd, bytes.subarray(0, MAGIC_BYTES), this.#end);
      } catch (cause) {
        throw ioError(cause, this.path, 'write a block');
      }
    } else {
      const { memory, window } = this.#io.mapped;
      const { fileOffset } = this.#windowFor(bytes.length);
      const at = window + this.#end - fileOffset;
      new Uint8Array(memory.buffer).set(bytes.subarray(MAGIC_BYTES), at + MAGIC_BYTES);
      const magic = new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true);
      Atomics.store(new BigInt64Array(memory.buffer), at >> 3, magic);
    }
    this.#entries.push(entryOf(this.#end, header));
    this.#end += bytes.length;
  }

  #windowFor(bytes: number): { fileOffset: number } {
    const mapped = this.#io.mapped!;
    const current = this.#window;
    if (current !== null && this.#end + bytes <= current.fileOffset + current.length) return current;
    if (this.#syncedTo < this.#end) this.#syncWhole = true;
    const fileOffset = Math.floor(this.#end / WINDOW_ALIGN) * WINDOW_ALIGN;
    const length = Math.min(mapped.windowBytes, this.#fileBytes - fileOffset);
    assert(this.#end + bytes <= fileOffset + length, 'a block fits the segment window');
    // MAP_FIXED puts the new mapping in the old one's place in one step.
    const mapping = mapped.mapper.map(this.path, mapped.memory, mapped.window, length, fileOffset);
    this.#window = { mapping, fileOffset, length };
    return this.#window;
  }

  /** Everything appended so far, on the disk. */
  sync(): void {
    if (this.#syncedTo === this.#end) return;
    try {
      if (this.#window === null || this.#syncWhole || this.#syncedTo === 0) {
        fdatasyncSync(this.#fd);
        if (this.#syncedTo === 0) this.#io.runtime.syncDirectory(path.dirname(this.path));
      } else {
        const { mapping, fileOffset } = this.#window;
        mapping.sync(this.#syncedTo - fileOffset, this.#end - this.#syncedTo);
      }
    } catch (cause) {
      throw ioError(cause, this.path, 'sync the segment');
    }
    this.#syncWhole = false;
    this.#syncedTo = this.#end;
  }

  /** Ends the segment with its footer. It can't be used any more. */
  seal(sync: boolean): void {
    this.abandon();
    sealSegmentFile(this.path, this.#entries, this.#end, sync);
  }

  /** Lets go of the file as it is, without a footer. */
  abandon(): void {
    this.#window?.mapping.unmap();
    this.#window = null;
    closeSync(this.#fd);
  }
}
