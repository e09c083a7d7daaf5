import path from 'node:path';
import type { BlockHeader } from '../block/header.js';
import { TapeError } from '../errors.js';
import type { Runtime } from '../runtime.js';
import type { Schema } from '../schema.js';
import { lastSegmentNumber, segmentName } from '../segment/catalog.js';
import { SegmentWriter } from '../segment/writer.js';
import type { StorageNode, StoredCopy } from './storage-node.js';

export interface DirectoryOptions {
  tapeId: Uint8Array;
  schema: Schema;
  epoch: number;
  /** Its place among the tape's storage nodes. */
  ordinal: number;
  segmentBytes: number;
  segmentMaxAgeMs: number;
}

/** A storage node that is a directory of segments on a disk of this machine. */
export class DirectoryStorageNode implements StorageNode {
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #options: DirectoryOptions;
  /** 0: not yet known. */
  #nextNumber = 0;
  #segment: SegmentWriter | null = null;
  /** No block is placed in these any more; not yet sealed. */
  #ended: SegmentWriter[] = [];
  /** Why a segment could not be sealed: the next write says so. */
  #failure: Error | null = null;
  /** Why some of its blocks may not be on the disk, and never will be known to be. */
  #unsynced: Error | null = null;

  constructor(directory: string, runtime: Runtime, options: DirectoryOptions) {
    this.name = directory;
    this.#runtime = runtime;
    this.#options = options;
  }

  async write(header: BlockHeader, bytes: Uint8Array): Promise<StoredCopy> {
    if (this.#failure !== null) {
      const failure = this.#failure;
      this.#failure = null;
      throw failure;
    }
    const segment = this.#segmentFor(bytes.length);
    this.#sealEnded();
    // A block that is not committed leaves a hole, which every reader has to look behind until the segment is sealed.
    const endIfFailed = async <T>(action: Promise<T>): Promise<T> => {
      try {
        return await action;
      } catch (error) {
        this.#end(segment);
        throw error;
      }
    };
    const copy = await endIfFailed(segment.write(header, bytes));
    return {
      commit: () => endIfFailed(copy.commit()),
      sync: () => copy.sync(),
      abandon: () => {
        copy.abandon();
        this.#end(segment);
      },
    };
  }

  #segmentFor(bytes: number): SegmentWriter {
    const { segmentBytes, segmentMaxAgeMs, tapeId, schema, epoch, ordinal } = this.#options;
    const { files } = this.#runtime;
    const nowNs = this.#runtime.nowNs();
    const current = this.#segment;
    if (current !== null) {
      const young = nowNs - current.createdNs < BigInt(segmentMaxAgeMs) * 1_000_000n;
      if (young && current.fits(bytes)) return current;
      this.#end(current);
    }
    if (this.#nextNumber === 0) this.#nextNumber = lastSegmentNumber(files, this.name) + 1;
    const number = this.#nextNumber;
    const file = path.join(this.name, segmentName(number));
    const header = { tapeId, storageNode: ordinal, number, createdNs: nowNs, epoch, schema };
    this.#segment = new SegmentWriter(files, file, header, Math.max(segmentBytes, bytes));
    this.#nextNumber = number + 1;
    return this.#segment;
  }

  #end(segment: SegmentWriter): void {
    if (segment !== this.#segment) return;
    this.#segment = null;
    this.#ended.push(segment);
  }

  /** Also where nobody asks for a sync. */
  #sealEnded(): void {
    for (const segment of this.#ended) {
      if (!segment.isSettled || segment.isSealing) continue;
      this.#syncSegment(segment).catch((error) => {
        this.#failure = error;
      });
    }
  }

  async sync(): Promise<void> {
    const open = this.#segment === null ? this.#ended : [...this.#ended, this.#segment];
    const results = await Promise.allSettled(open.map((segment) => this.#syncSegment(segment)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #syncSegment(segment: SegmentWriter): Promise<void> {
    try {
      if (segment === this.#segment || !segment.isSettled) return await segment.sync();
      await segment.seal();
      this.#ended = this.#ended.filter((other) => other !== segment);
    } catch (error) {
      this.#end(segment);
      // The next open looks at its blocks one by one.
      if (segment.isUnsyncable) this.#unsynced ??= error as Error;
      if (segment.isUnsyncable && segment.isSettled) this.#forget(segment);
      throw error;
    }
  }

  #forget(segment: SegmentWriter): void {
    if (!this.#ended.includes(segment)) return;
    this.#ended = this.#ended.filter((other) => other !== segment);
    segment.abandon();
  }

  async close(): Promise<TapeError | void> {
    if (this.#segment !== null) this.#end(this.#segment);
    const open = this.#ended;
    try {
      await this.sync();
    } catch (error) {
      // What lacks its footer alone is read block by block, and the next open ends it.
      if (!(error instanceof TapeError) || !open.every(({ isSynced }) => isSynced)) throw error;
      return error;
    } finally {
      for (const segment of this.#ended) this.#forget(segment);
    }
    if (this.#unsynced !== null) throw this.#unsynced;
  }
}
