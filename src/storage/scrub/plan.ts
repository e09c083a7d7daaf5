// What a repair has to do, worked out from what is there and nothing else. In rounds: each plan is carried out, what came of it entered
// (`good`, `mendable`, `takes`, new copies), and the next plan made, until one has nothing to write. Only then segments are removed.
//
//   1. blocks that have too few good copies get them: a bad copy where it lies, else a new one. So do blocks whose copies lie in a
//      segment that is to go: it is damaged, or its storage node retires;
//   2. segments with copies that are not wanted any more (surplus, or bad) are written anew without them;
//   3. segments that nobody wants anything of are removed.
//
// Never changed are segments that a writer has open, and those that may hold what is left of a block that has no good copy.
import type { BlockEntry } from '../../segment/footer.js';
import { place } from '../placement.js';

export interface NodeState {
  /** Of blocks that it holds. */
  bytes: number;
  freeBytes: number;
  /** Nothing may stay on it. */
  retiring: boolean;
  /** New copies may go there. */
  takes: boolean;
}

/** `fixed`: read, and not changed. `damaged`: its blocks are to lie elsewhere. */
export interface SegmentState {
  path: string;
  storage: number;
  state: 'sealed' | 'fixed' | 'damaged';
  /** Of two on one storage node that hold a block, the higher one keeps it. */
  rank: number;
  /** It is not removed, but what is bad in it may be mended. */
  stays: boolean;
}

export interface CopyState {
  segment: SegmentState;
  offset: number;
  good: boolean;
  /** A bad one may be written over with the bytes of a good one. */
  mendable: boolean;
}

export interface BlockState extends Omit<BlockEntry, 'offset'> {
  copies: CopyState[];
}

export interface RepairState {
  nodes: NodeState[];
  segments: SegmentState[];
  blocks: BlockState[];
  redundancy: number;
}

/** A copy of a block to be made on a storage node. */
export interface NewCopy {
  block: BlockState;
  storage: number;
}

export interface RepairPlan {
  mends: { block: BlockState; copy: CopyState }[];
  additions: NewCopy[];
  /** What is wanted of segments that also hold what is not; on the storage nodes where they are. */
  rewrites: NewCopy[];
  /** Segments of which nothing is wanted once all that was done. */
  removals: SegmentState[];
  /** Without a good copy. */
  lost: BlockState[];
  /** That no storage node can take as often as they should be there. */
  short: BlockState[];
}

/** What a new segment takes besides its blocks, generously. */
const SEGMENT_OVERHEAD_BYTES = 1024 ** 2;

export function planRepair(state: RepairState, random: () => number): RepairPlan {
  const lost = state.blocks.filter(({ copies }) => !copies.some(({ good }) => good));
  const pinned = new Set(lost.flatMap(({ copies }) => copies.map(({ segment }) => segment)));
  for (const segment of state.segments) if (segment.stays) pinned.add(segment);
  const going = new Set(
    state.segments.filter(
      (segment) =>
        (segment.state === 'damaged' || state.nodes[segment.storage].retiring) &&
        segment.state !== 'fixed' &&
        !pinned.has(segment),
    ),
  );
  for (;;) {
    const plan = new Planner(state, pinned, going, random).plan();
    const stuck = plan.short.flatMap(({ copies }) =>
      copies.flatMap(({ good, segment }) => (good && going.has(segment) ? [segment] : [])),
    );
    if (stuck.length === 0) return { ...plan, lost };
    // With nowhere for one of its blocks to go, the segment stays as it is.
    for (const segment of stuck) {
      going.delete(segment);
      pinned.add(segment);
    }
  }
}

class Planner {
  readonly #state: RepairState;
  readonly #pinned: ReadonlySet<SegmentState>;
  readonly #going: ReadonlySet<SegmentState>;
  readonly #random: () => number;
  readonly #nodes: NodeState[];
  readonly #mends: RepairPlan['mends'] = [];
  readonly #additions: NewCopy[] = [];
  readonly #short: BlockState[] = [];
  readonly #unwanted = new Set<CopyState>();
  readonly #dirty = new Set<SegmentState>();

  constructor(
    state: RepairState,
    pinned: ReadonlySet<SegmentState>,
    going: ReadonlySet<SegmentState>,
    random: () => number,
  ) {
    this.#state = state;
    this.#pinned = pinned;
    this.#going = going;
    this.#random = random;
    this.#nodes = state.nodes.map((node) => ({ ...node }));
  }

  plan(): Omit<RepairPlan, 'lost'> {
    const { blocks, redundancy } = this.#state;
    const chosen = blocks.map((block) => this.#choose(block));
    blocks.forEach((block, i) => {
      const { wanted, have } = chosen[i];
      if (wanted.length > redundancy) this.#dropSurplus(wanted, block.blockBytes);
      else if (have !== null) this.#add(block, have);
    });
    const [mends, additions, short] = [this.#mends, this.#additions, this.#short];
    if (mends.length + additions.length > 0) return { mends, additions, short, rewrites: [], removals: [] };
    return { mends, additions, short, ...this.#clear() };
  }

  /** Whether the segment may be written anew, or removed. */
  #mayGo(segment: SegmentState): boolean {
    return segment.state !== 'fixed' && !this.#pinned.has(segment);
  }

  #drop(copy: CopyState): void {
    if (!this.#mayGo(copy.segment) || this.#going.has(copy.segment)) return;
    this.#unwanted.add(copy);
    this.#dirty.add(copy.segment);
  }

  /** One good copy of the block on each storage node that has any, and the storage nodes that will; null for a block that is lost. */
  #choose(block: BlockState): { wanted: CopyState[]; have: Set<number> | null } {
    const { copies } = block;
    if (!copies.some(({ good }) => good)) return { wanted: [], have: null };
    const staying = copies.filter(
      ({ segment }) => !this.#state.nodes[segment.storage].retiring && !this.#going.has(segment),
    );
    const best = new Map<number, CopyState>();
    for (const copy of staying) {
      if (!copy.good) continue;
      const other = best.get(copy.segment.storage);
      if (other === undefined || this.#holdOf(copy) > this.#holdOf(other)) best.set(copy.segment.storage, copy);
    }
    for (const copy of staying) if (copy.good && best.get(copy.segment.storage) !== copy) this.#drop(copy);
    const have = new Set(best.keys());
    for (const copy of staying) {
      if (copy.good) continue;
      const { segment, mendable } = copy;
      const isWanted = have.size < this.#state.redundancy && !have.has(segment.storage);
      // What can't be taken out is mended where it lies.
      if (mendable && segment.state === 'sealed' && (isWanted || this.#pinned.has(segment))) {
        this.#mends.push({ block, copy });
        have.add(segment.storage);
      } else this.#drop(copy);
    }
    return { wanted: [...best.values()], have };
  }

  #holdOf({ segment }: CopyState): number {
    return this.#mayGo(segment) ? segment.rank : Infinity;
  }

  #dropSurplus(wanted: CopyState[], blockBytes: number): void {
    const cost = ({ segment }: CopyState) => (!this.#mayGo(segment) ? 0 : this.#dirty.has(segment) ? 2 : 1);
    const bytes = ({ segment }: CopyState) => this.#nodes[segment.storage].bytes;
    const ordered = [...wanted].sort((a, b) => cost(a) - cost(b) || bytes(a) - bytes(b));
    for (const copy of ordered.slice(this.#state.redundancy)) {
      this.#nodes[copy.segment.storage].bytes -= blockBytes;
      this.#drop(copy);
    }
  }

  #add(block: BlockState, have: Set<number>): void {
    const { redundancy } = this.#state;
    const canTake = (storage: number) => {
      const { takes, retiring, freeBytes } = this.#nodes[storage];
      return takes && !retiring && !have.has(storage) && freeBytes >= block.blockBytes + SEGMENT_OVERHEAD_BYTES;
    };
    const give = (storage: number) => {
      this.#additions.push({ block, storage });
      this.#nodes[storage].bytes += block.blockBytes;
      this.#nodes[storage].freeBytes -= block.blockBytes;
      have.add(storage);
    };
    // Where it lies in a segment that goes, it stays on the storage node.
    for (const { good, segment } of block.copies) {
      if (have.size < redundancy && good && this.#going.has(segment) && canTake(segment.storage)) give(segment.storage);
    }
    const candidates = this.#nodes.flatMap((_, storage) => (canTake(storage) ? [storage] : []));
    const chosen = place(candidates, redundancy - have.size, (storage) => this.#nodes[storage].bytes, this.#random);
    for (const storage of chosen) give(storage);
    if (have.size < redundancy) this.#short.push(block);
  }

  /** Gets rid of what is not wanted. */
  #clear(): Pick<RepairPlan, 'rewrites' | 'removals'> {
    const wanted = new Map<SegmentState, NewCopy[]>([...this.#dirty].map((segment) => [segment, []]));
    for (const block of this.#state.blocks) {
      for (const copy of block.copies) {
        if (this.#unwanted.has(copy)) continue;
        wanted.get(copy.segment)?.push({ block, storage: copy.segment.storage });
      }
    }
    const removals = [...this.#going];
    const rewrites: NewCopy[] = [];
    for (const [segment, copies] of wanted) {
      if (copies.length === 0) {
        removals.push(segment);
        continue;
      }
      const node = this.#nodes[segment.storage];
      const bytes = copies.reduce((sum, { block }) => sum + block.blockBytes, SEGMENT_OVERHEAD_BYTES);
      // On a full disk what is surplus stays.
      if (!node.takes || node.freeBytes < bytes) continue;
      node.freeBytes -= bytes;
      rewrites.push(...copies);
    }
    return { rewrites, removals };
  }
}
