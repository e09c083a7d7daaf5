import type { Gap } from '../../gaps.js';
import type { TailSource } from './follower.js';

/** How old what is known of the gaps may be. */
const READ_MS = 100;

/** The gaps of a tape as they become known, each once. */
export class GapWatch {
  readonly #source: TailSource;
  readonly #sinceNs: bigint | null;
  readonly #seen = new Set<string>();
  /** By when they began. */
  #left: Gap[] = [];
  #readMs = -Infinity;

  /** `from`: those that were over by then are not given. */
  constructor(source: TailSource, from: 'start' | bigint) {
    this.#source = source;
    this.#sinceNs = from === 'start' ? null : from;
  }

  #read(): void {
    const now = this.#source.nowMs();
    if (now - this.#readMs < READ_MS) return;
    this.#readMs = now;
    for (const gap of this.#source.blocks.gaps()) {
      const key = `${gap.collector} ${gap.name} ${gap.fromNs}`;
      const isOver = this.#sinceNs !== null && gap.toNs !== null && gap.toNs < this.#sinceNs;
      if (this.#seen.has(key) || isOver) continue;
      this.#seen.add(key);
      this.#left.push(gap);
    }
    this.#left.sort((a, b) => (a.fromNs < b.fromNs ? -1 : 1));
  }

  /** Those that began at `ns` or before. */
  before(ns: bigint): Gap[] {
    this.#read();
    const count = this.#left.findIndex(({ fromNs }) => fromNs > ns);
    return this.#left.splice(0, count < 0 ? this.#left.length : count);
  }

  all(): Gap[] {
    this.#read();
    return this.#left.splice(0);
  }
}
