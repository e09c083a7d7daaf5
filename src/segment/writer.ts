import path from 'node:path';
import type { BlockHeader } from '../block/header.js';
import { assert } from '../errors.js';
import type { Files, OpenFile } from '../files.js';
import { ioError, removeQuietly } from '../io.js';
import type { StoredCopy } from '../storage/storage-node.js';
import { type BlockEntry, encodeFooter } from './footer.js';
import { encodeSegmentHeader, type SegmentHeader } from './header.js';
import { entryOf } from './reader.js';

/** Of a block; the first word of its header. */
const MAGIC_BYTES = 8;

/**
 * Ends a segment whose blocks end at `end`: nothing but the footer lies behind them. Where that fails nothing does: half a footer would look
 * like damage.
 */
export async function writeFooter(file: OpenFile, entries: readonly BlockEntry[], end: number): Promise<void> {
  try {
    // On a full disk the footer may need the space of what was not committed.
    file.truncate(end);
    await file.writeAsync(encodeFooter(entries, end), end);
  } catch (error) {
    try {
      file.truncate(end);
    } catch {
      // Who seals it next cuts it first.
    }
    throw error;
  }
}

/**
 * Ends a segment that somebody else wrote. A footer says that its blocks are on the disk, so that nobody has to look at them after a power
 * cut: they are synced before it is written.
 */
export async function sealSegmentFile(
  files: Files,
  file: string,
  entries: readonly BlockEntry[],
  end: number,
): Promise<void> {
  try {
    const handle = files.open(file, 'edit');
    try {
      handle.sync();
      files.syncDirectory(path.dirname(file));
      await writeFooter(handle, entries, end);
      handle.sync();
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
  readonly #headerBytes: number;
  readonly #mostBytes: number;
  readonly #file: OpenFile;
  readonly #entries: BlockEntry[] = [];
  /** Behind the last block that was placed. */
  #end: number;
  /** Blocks that were placed and are neither committed nor abandoned. */
  #pending = 0;
  #syncedEntries = 0;
  #nameSynced = false;
  #syncing: Promise<void> | null = null;
  /** A sync failed: the system may have dropped what it could not write, and the next sync would not say so. */
  #unsyncable: Error | null = null;
  #sealing: Promise<void> | null = null;

  /**
   * Makes the segment, for `bytes` of blocks: under another name first, so that one with its proper name always has a header.
   * @throws TapeError `DISK_FULL`, `IO`
   */
  constructor(files: Files, file: string, header: Omit<SegmentHeader, 'headerBytes' | 'fingerprint'>, bytes: number) {
    this.#files = files;
    this.path = file;
    this.createdNs = header.createdNs;
    const start = encodeSegmentHeader(header);
    this.#headerBytes = start.length;
    this.#mostBytes = start.length + bytes;
    this.#end = start.length;
    const made = `${file}.tmp`;
    try {
      assert(!files.exists(file), 'a segment number is used once');
      const handle = files.open(made, 'make');
      try {
        handle.write(start, 0);
        files.rename(made, file);
      } catch (error) {
        handle.close();
        removeQuietly(files, made);
        throw error;
      }
      this.#file = handle;
    } catch (cause) {
      throw ioError(cause, file, 'make a segment');
    }
  }

  /** Of its committed blocks. */
  get entries(): readonly BlockEntry[] {
    return this.#entries;
  }

  /** Every block that was placed is committed or abandoned. */
  get isSettled(): boolean {
    return this.#pending === 0;
  }

  fits(bytes: number): boolean {
    return this.#end + bytes <= this.#mostBytes;
  }

  /**
   * Writes all of the block but its magic, without which there is no block for who reads the segment: that is written by `commit`.
   * @throws TapeError `DISK_FULL`, `IO`: the block is abandoned then
   */
  async write(header: BlockHeader, bytes: Uint8Array): Promise<StoredCopy> {
    assert(this.fits(bytes.length) && this.#end % 8 === 0, 'a block fits its segment, on a multiple of 8');
    const at = this.#end;
    this.#end += bytes.length;
    this.#pending++;
    const magic = bytes.slice(0, MAGIC_BYTES);
    let isPending = true;
    const settle = () => {
      assert(isPending, 'a block is committed or abandoned once');
      isPending = false;
      this.#pending--;
    };
    try {
      await this.#file.writeAsync(bytes.subarray(MAGIC_BYTES), at + MAGIC_BYTES);
    } catch (cause) {
      settle();
      throw ioError(cause, this.path, 'write a block');
    }
    return {
      commit: async () => {
        try {
          await this.#file.writeAsync(magic, at);
        } catch (cause) {
          settle();
          throw ioError(cause, this.path, 'write a block');
        }
        this.#entries.push(entryOf(at, header));
        settle();
      },
      sync: () => this.sync(),
      abandon: settle,
    };
  }

  get isSealing(): boolean {
    return this.#sealing !== null;
  }

  /** Everything that was committed is on the disk. */
  get isSynced(): boolean {
    return this.#nameSynced && this.#syncedEntries === this.#entries.length;
  }

  /** A sync failed, so that it will never be sealed. */
  get isUnsyncable(): boolean {
    return this.#unsyncable !== null;
  }

  /** Everything committed before the call, and the segment's name, on the disk. @throws TapeError `IO` */
  async sync(): Promise<void> {
    const upTo = this.#entries.length;
    while (this.#syncedEntries < upTo || !this.#nameSynced) {
      if (this.#unsyncable !== null) throw this.#unsyncable;
      this.#syncing ??= this.#syncOnce().finally(() => {
        this.#syncing = null;
      });
      await this.#syncing;
    }
  }

  async #syncOnce(): Promise<void> {
    const upTo = this.#entries.length;
    try {
      await this.#file.syncAsync();
      if (!this.#nameSynced) await this.#files.syncDirectoryAsync(path.dirname(this.path));
    } catch (cause) {
      this.#unsyncable = ioError(cause, this.path, 'sync the segment');
      throw this.#unsyncable;
    }
    this.#nameSynced = true;
    this.#syncedEntries = upTo;
  }

  /** Ends the settled segment with its footer, once its blocks are on the disk. It can't be written any more. May be tried again. */
  seal(): Promise<void> {
    assert(this.isSettled, 'no block of a segment that is sealed is pending');
    this.#sealing ??= this.#seal().catch((error) => {
      this.#sealing = null;
      throw error;
    });
    return this.#sealing;
  }

  async #seal(): Promise<void> {
    await this.sync();
    const entries = this.#entries.sort((a, b) => a.offset - b.offset);
    const last = entries.at(-1);
    const end = last === undefined ? this.#headerBytes : last.offset + last.blockBytes;
    try {
      await writeFooter(this.#file, entries, end);
    } catch (cause) {
      throw ioError(cause, this.path, 'seal the segment');
    }
    this.abandon();
  }

  /** Lets go of the file as it is. */
  abandon(): void {
    this.#file.close();
  }
}
