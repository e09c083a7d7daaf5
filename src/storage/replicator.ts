import type { BlockHeader } from '../block/header.js';
import { assert, TapeError } from '../errors.js';
import { place } from './placement.js';
import type { StorageNode } from './storage-node.js';

/** What one storage node was given in this session. */
export interface StorageLoad {
  node: StorageNode;
  blocks: number;
  bytes: number;
  errors: number;
  lastError: Error | null;
  /** Milliseconds of `nowMs` until which it is set aside. */
  asideUntilMs: number;
}

/** After an error a storage node is set aside, each time in a row for twice as long, up to this. */
const LONGEST_ASIDE_MS = 30_000;
const FIRST_ASIDE_MS = 100;

/** Puts each block on `redundancy` of the storage nodes. */
export class Replicator {
  readonly loads: readonly StorageLoad[];
  readonly #redundancy: number;
  readonly #random: () => number;
  readonly #nowMs: () => number;
  readonly #asideMs = new Map<StorageLoad, number>();
  /** Who has the block that is under way: a retry adds to them. */
  #holders: { checksum: bigint; nodes: Set<StorageLoad> } | null = null;

  constructor(nodes: readonly StorageNode[], redundancy: number, random: () => number, nowMs: () => number) {
    this.loads = nodes.map((node) => ({ node, blocks: 0, bytes: 0, errors: 0, lastError: null, asideUntilMs: 0 }));
    this.#redundancy = redundancy;
    this.#random = random;
    this.#nowMs = nowMs;
  }

  /**
   * Puts the block on storage nodes until `redundancy` have it, those of `exclude` (indices) included, which have it already. A
   * storage node that fails is set aside and another takes its place. `durable`: resolves when the copies survive a power cut.
   * @throws TapeError of the last failure where too few are left; called again with the same block, it goes on from there
   */
  async write(
    header: BlockHeader,
    bytes: Uint8Array,
    durable: boolean,
    exclude: readonly number[] = [],
  ): Promise<void> {
    if (this.#holders?.checksum !== header.checksum) {
      this.#holders = { checksum: header.checksum, nodes: new Set(exclude.map((index) => this.loads[index])) };
    }
    const { nodes } = this.#holders;
    while (nodes.size < this.#redundancy) {
      const nowMs = this.#nowMs();
      const candidates = this.loads.filter((load) => !nodes.has(load) && load.asideUntilMs <= nowMs);
      const chosen = place(candidates, this.#redundancy - nodes.size, (load) => load.bytes, this.#random);
      if (chosen.length === 0) throw this.#tooFew(header, nodes.size);
      await Promise.all(
        chosen.map(async (load) => {
          try {
            await load.node.append(header, bytes);
            if (durable) await load.node.sync();
            load.blocks++;
            load.bytes += bytes.length;
            this.#asideMs.delete(load);
            nodes.add(load);
          } catch (error) {
            this.#setAside(load, error as Error);
          }
        }),
      );
    }
    assert(nodes.size >= this.#redundancy, 'a written block has its copies on distinct storage nodes');
    this.#holders = null;
  }

  #setAside(load: StorageLoad, error: Error): void {
    const asideMs = Math.min((this.#asideMs.get(load) ?? FIRST_ASIDE_MS / 2) * 2, LONGEST_ASIDE_MS);
    this.#asideMs.set(load, asideMs);
    load.errors++;
    load.lastError = error;
    load.asideUntilMs = this.#nowMs() + asideMs;
  }

  #tooFew(header: BlockHeader, have: number): TapeError {
    const failed = this.loads.filter(({ lastError }) => lastError !== null);
    const latest = failed.sort((a, b) => b.asideUntilMs - a.asideUntilMs)[0];
    const cause = latest?.lastError ?? undefined;
    return new TapeError(
      cause instanceof TapeError ? cause.code : 'IO',
      `block ${header.sequence} is on ${have} of ${this.#redundancy} storage nodes: ${cause?.message ?? 'too few are healthy'}`,
      { cause, block: header.sequence, storageNode: latest?.node.name },
    );
  }

  /** Resolves when all that was written before the call would survive a power cut; writes may go on meanwhile. */
  async syncInBackground(): Promise<void> {
    for (const { node } of this.loads) await node.syncInBackground();
  }

  async close(sync: boolean): Promise<void> {
    for (const { node } of this.loads) await node.close(sync);
  }
}
