import path from 'node:path';
import type { BlockHeader } from '../block/header.js';
import type { Runtime } from '../runtime.js';
import type { Schema } from '../schema.js';
import { lastSegmentNumber, segmentName } from '../segment/catalog.js';
import { SegmentWriter, syncFile } from '../segment/writer.js';
import type { StorageNode } from './storage-node.js';

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
  #nextNumber: number;
  #segment: SegmentWriter | null = null;
  /** Closed since the last sync. */
  #unsynced: string[] = [];
  #syncing: Promise<void> = Promise.resolve();

  constructor(directory: string, runtime: Runtime, options: DirectoryOptions) {
    this.name = directory;
    this.#runtime = runtime;
    this.#options = options;
    this.#nextNumber = lastSegmentNumber(runtime.files, directory) + 1;
  }

  async append(header: BlockHeader, bytes: Uint8Array): Promise<void> {
    this.#segmentFor(bytes.length).append(header, bytes);
  }

  #segmentFor(bytes: number): SegmentWriter {
    const { segmentBytes, segmentMaxAgeMs, tapeId, schema, epoch, ordinal } = this.#options;
    const nowNs = this.#runtime.nowNs();
    const current = this.#segment;
    if (current !== null) {
      const young = nowNs - current.createdNs < BigInt(segmentMaxAgeMs) * 1_000_000n;
      if (young && current.fits(bytes)) return current;
      this.#segment = null;
      this.#unsynced.push(current.path);
      current.seal(false);
    }
    const number = this.#nextNumber;
    const file = path.join(this.name, segmentName(number));
    const header = { tapeId, storageNode: ordinal, number, createdNs: nowNs, epoch, schema };
    this.#segment = new SegmentWriter(this.#runtime.files, file, header, Math.max(segmentBytes, bytes));
    this.#nextNumber = number + 1;
    return this.#segment;
  }

  async sync(): Promise<void> {
    await this.#syncClosed();
    this.#segment?.sync();
  }

  /** After one that is under way: two at once would each wait for some of the files only. */
  #syncClosed(): Promise<void> {
    const before = this.#syncing.catch(() => {});
    this.#syncing = before.then(async () => {
      while (this.#unsynced.length > 0) {
        await syncFile(this.#runtime.files, this.#unsynced[0]);
        this.#unsynced.shift();
      }
    });
    return this.#syncing;
  }

  async syncInBackground(): Promise<void> {
    await this.#syncClosed();
    if (this.#segment !== null) await syncFile(this.#runtime.files, this.#segment.path);
  }

  async close(sync: boolean): Promise<void> {
    if (sync) await this.sync();
    const segment = this.#segment;
    this.#segment = null;
    segment?.seal(sync);
  }
}
