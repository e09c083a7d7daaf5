// What the steps of the model change: a state, and what is the same for all who change it.
import { CHECKSUM, HEADER, PADDING_CHECKSUM, PADDING_HEADER, VALUE, Words } from './words.js';

// ---- a state: counters in words, everything in bytes ------------------------------------------------------------------------------

let fields = 0;
const field = () => fields++;

// The lane's header (assembly/layout.ts, LANE_*).
export const TAIL = field();
export const HEAD = field();
export const DRAINED = field();
export const SEALED_AT = field();
export const CACHED_HEAD = field();
export const OFFSET = field();
export const WAITING = field();
/** CONTROL_STATE: one of OPEN, CLOSING, FAILED. */
export const TAPE = field();
/** What the producer is about to do, of P. */
export const PRODUCER = field();
/** The record that it appends, or appended last: from 1 on. */
export const RECORD = field();
/** Stores of this append so far. */
export const STORED = field();
/** The tape's state as it saw it, of a producer that looks too early. */
export const SAW = field();
/** What the flusher is about to do, of F. */
export const FLUSHER = field();
/** `drained` when the row buffer was last empty. */
export const FROM = field();
/** The cursor of the drain under way, and its limit. */
export const CURSOR = field();
export const LIMIT = field();
export const ROWS = field();
/** What the closer has done, of C. */
export const CLOSER = field();
/** `tail`, as the closer read it. */
export const CLOSER_TAIL = field();
export const ALIVE = field();
/** What recovery is about to do, of R. */
export const RECOVERY = field();
export const RUNS = field();
/** Of the roster: from which sequence on the session that did not end gave them, and a bit a sequence that is skipped. */
export const UNCLOSED_FROM = field();
export const SKIPPED = field();
export const SKIPPED_ABOVE = field();
export const LANE_GONE = field();
export const DEATHS = field();
export const POWER_CUTS = field();
/** A bit a record: acknowledged as on disk. */
export const ON_DISK = field();
export const BLOCKS = field();
export const READER = field();
export const READ_AT = field();
export const READ_LIMIT = field();
/** Words that it has copied. */
export const READ_WORDS = field();
/** A bit a record that it has given to somebody. */
export const GIVEN = field();
/** A bit a page: the disk has a version of it. */
export const WRITTEN_BACK = field();
export const DISK_HEAD = field();
export const DISK_TAIL = field();
export const DISK_SEALED_AT = field();
export const BROKEN = field();

export const NEVER = 255;

export const OPEN = 0;
export const CLOSING = 1;
export const FAILED = 2;

/** The producer. */
export const P = {
  idle: 0,
  again: 1,
  store: 2,
  publish: 3,
  readState: 4,
  closingState: 5,
  closingSealedAt: 6,
  closingWait: 7,
  closingAsleep: 8,
  takeBack: 9,
  stopLane: 10,
  fullState: 11,
  fullSealedAt: 12,
  setWaiting: 13,
  lookAtHead: 14,
  lookAtState: 15,
  wait: 16,
  asleep: 17,
  left: 18,
  // Of weakened protocols.
  checksumLate: 19,
  publishLate: 20,
};

/** The flusher. `dead`: its thread has ended; `lost`: and all know it. */
export const F = {
  idle: 0,
  copy: 1,
  storeDrained: 2,
  /** As many blocks are under way as may be. */
  held: 3,
  readWaiting: 4,
  clearWaiting: 5,
  notify: 6,
  sealLane: 7,
  notifySealed: 8,
  // Of weakened protocols.
  storeHeadLate: 9,
  // It does nothing any more.
  closed: 10,
  dead: 11,
  failed: 12,
  unwoken: 13,
  lost: 14,
};

export const C = {
  open: 0,
  closing: 1,
  failed: 2,
  closed: 3,
  stopLane: 4,
  stopped: 5,
  saidSo: 6,
  unwoken: 7,
  // Of a weakened protocol.
  readTail: 8,
  sealEarly: 9,
};
export const R = { none: 0, due: 1, planned: 2, claimed: 3, sealing: 4, done: 5 };

/** What an append came to. */
export const RETURNED = 1;
export const ANSWERED_CLOSED = 2;
export const ANSWERED_FAILED = 3;
export const DROPPED = 4;
export const TOO_LARGE = 5;
export const BAD_VALUE = 6;

/** What a block has instead of a record that nobody appended. */
export const NOBODYS = 255;

export const PROPERTIES = {
  order: 'head <= drained <= tail <= head + capacity',
  reuse: 'no slot is written again before its block is on its storage nodes',
  released: 'head stays behind what is on its storage nodes',
  damaged: 'what is drained is whole',
  lost: 'what append returned for is on the tape',
  lostOnDisk: 'what was acknowledged as on disk is on the tape',
  twice: 'no record is on the tape twice',
  invented: 'nothing is on the tape that was not appended',
  misordered: 'records are on the tape in the order in which they were appended, but where some were lost',
  holes: 'sequences have no hole that the roster does not know',
  refused: 'what append threw for is not on the tape',
  copies: 'after recovery each block is on R storage nodes',
  misread: 'a reader takes only what was published where it reads',
  given: 'what append threw CLOSED for was given to no reader',
} as const;
export type Property = keyof typeof PROPERTIES;
export const PROPERTY_NAMES = Object.keys(PROPERTIES) as Property[];

// ---- what may be different ----------------------------------------------------------------------------------------------------------

export const WEAKNESSES = [
  'head moves after the first copy',
  'tail moves before the checksum is stored',
  'checksums are not over the position',
  'cachedHead is refreshed from drained',
  'no padding at the end of the ring',
  'any size of record is taken',
  'producer reads the state before it publishes',
  'closer reads tail before it says so',
  'drain goes on behind sealedAt',
  'recovery ignores what blocks hold',
  'recovery believes tail, not checksums',
  'recovery goes on behind sealedAt',
  'recovery removes the lane first',
  'head moves before copies are synced',
  'taking back looks at head',
  'taking back does not stop the lane',
  'a close that fails does not stop the lane',
  'failing wakes nobody',
  'notified before head moves',
  'waiting is set after head was looked at',
  'release does not clear waiting',
  'recovery syncs no old segments',
  'gaps of a session that did not end are not skipped',
  'reader does not check what it copied',
  'reader does not look at the state',
] as const;
export type Weakness = (typeof WEAKNESSES)[number];

export interface Setup {
  /** Of the ring, in words. */
  capacity: number;
  /** Of each record to append, in words. */
  sizes: readonly number[];
  /** Words of the largest record: in the real code a quarter of the ring. Padding and record must fit an empty ring. */
  largest?: number;
  /** Words of the smallest record: LANE_RECORD_BYTES. */
  smallest?: number;
  /** Records that a block has at most. */
  maxRows?: number;
  maxBlocks?: number;
  /** Blocks that may be under way at once. */
  inFlight?: number;
  onFull?: 'wait' | 'drop';
  /** Any record may have a value that `encode` finds its field can't hold. */
  refuses?: boolean;
  /** WAIT_MS: who sleeps also wakes by itself. */
  timeouts?: boolean;
  /** The tape may be closed. */
  closes?: boolean;
  /** The flusher's thread may end at any point. */
  fails?: boolean;
  /** After a `close()` that failed the tape may be opened again while the producer is still at it. */
  reopens?: boolean;
  /** How often the process may die, recovery's included. */
  deaths?: number;
  /** How often the power may fail. */
  powerCuts?: number;
  /** 'disk': where the power may fail, copies are synced before `head` moves. */
  durability?: 'disk' | 'process';
  /** Pages of the ring, 1 or 2. The header is two: `tail` lies in another sector than `head` and `sealedAt`. */
  ringPages?: number;
  /** Somebody reads the lane meanwhile. */
  reads?: boolean;
  weaknesses?: readonly Weakness[];
}

/** Blocks that recovery may have to make. */
export const MOST_RUNS = 3;

/** A lane and its blocks in a state: where they lie, and what can be read of them. */
export class Lane {
  readonly bytes: number;
  readonly words = new Words();
  readonly setup: Required<Setup>;
  readonly is: Record<Weakness, boolean>;
  // Where in a state each begins.
  readonly ring: number;
  /** By record: what its append came to, and where it was published (for the reader). */
  readonly answers: number;
  readonly published: number;
  readonly rows: number;
  readonly blocks: number;
  readonly blockBytes: number;
  /** Of recovery, each as a block's from, to and records. */
  readonly runs: number;
  readonly runBytes: number;
  /** Words that the reader has copied. */
  readonly copied: number;
  /** The ring as far as its pages were written back. */
  readonly disk: number;

  constructor(setup: Setup) {
    const { capacity, sizes } = setup;
    this.setup = {
      largest: (capacity + 1) >> 1,
      smallest: 2,
      maxRows: 2,
      maxBlocks: sizes.length,
      inFlight: 1,
      onFull: 'wait',
      refuses: false,
      timeouts: true,
      closes: false,
      fails: false,
      reopens: false,
      deaths: 0,
      powerCuts: 0,
      durability: 'disk',
      ringPages: 1,
      reads: false,
      weaknesses: [],
      ...setup,
    };
    const { maxRows, maxBlocks, powerCuts, reads, weaknesses } = this.setup;
    this.is = Object.fromEntries(
      WEAKNESSES.map((weakness) => [weakness, weaknesses.includes(weakness)]),
    ) as typeof this.is;
    let end = fields;
    const take = (bytes: number) => {
      end += bytes;
      return end - bytes;
    };
    this.ring = take(capacity);
    this.answers = take(sizes.length + 1);
    this.published = take(reads ? sizes.length + 1 : 0);
    this.rows = take(maxRows);
    this.blockBytes = 5 + maxRows;
    this.blocks = take(maxBlocks * this.blockBytes);
    this.runBytes = 2 + maxRows;
    this.runs = take(MOST_RUNS * this.runBytes);
    this.copied = take(reads ? Math.max(...sizes) : 0);
    this.disk = take(powerCuts > 0 ? capacity : 0);
    this.bytes = end;
  }

  // ---- the ring -------------------------------------------------------------------------------------------------------------------------

  at(position: number): number {
    return this.ring + (position % this.setup.capacity);
  }

  size(record: number): number {
    return this.setup.sizes[record - 1];
  }

  summed(position: number): number {
    return this.is['checksums are not over the position'] ? 0 : position;
  }

  checksum(record: number, position: number): number {
    return this.words.word(CHECKSUM, record, this.summed(position));
  }

  /** assembly/lane.ts, outline. */
  outline(s: Uint8Array, position: number, limit: number): number {
    const { capacity, smallest } = this.setup;
    const rest = capacity - (position % capacity);
    if (limit - position < 1) return 0;
    if (rest < 2) return rest <= limit - position ? -rest : 0;
    const header = s[this.at(position + 1)];
    const of = this.words.of[header];
    const kind = this.words.kinds[header];
    if (kind === HEADER) {
      const size = this.size(of);
      return size > rest || size > limit - position || size < smallest ? 0 : size;
    }
    if (kind !== PADDING_HEADER || of !== rest || of > limit - position) return 0;
    return s[this.at(position)] === this.words.known(PADDING_CHECKSUM, of, this.summed(position)) ? -of : 0;
  }

  /** assembly/lane.ts, probe. */
  probe(s: Uint8Array, position: number, limit: number): number {
    const step = this.outline(s, position, limit);
    return step > 0 && !this.isWhole(s, position) ? 0 : step;
  }

  /** Whether the checksum of what has the header of a record is right. */
  isWhole(s: Uint8Array, position: number): boolean {
    const record = this.words.of[s[this.at(position + 1)]];
    if (s[this.at(position)] !== this.words.known(CHECKSUM, record, this.summed(position))) return false;
    const value = this.words.known(VALUE, record);
    for (let word = 2; word < this.size(record); word++) if (s[this.at(position + word)] !== value) return false;
    return true;
  }

  // ---- blocks -----------------------------------------------------------------------------------------------------------------------

  /**
   * Where it lies: from, to, its copy on each of two storage nodes (0 none, 1 written, 2 synced), first sequence, records. Storage nodes
   * are alike, and syncing one block says nothing about another: so the copy that is further along comes first.
   */
  block(index: number): number {
    return this.blocks + index * this.blockBytes;
  }

  addBlock(n: Uint8Array, from: number, to: number, records: number, count: number): void {
    if (n[BLOCKS] === this.setup.maxBlocks) throw new Error('more blocks than the model has room for');
    const sequence = this.nextSequence(n);
    const block = this.block(n[BLOCKS]++);
    n[block] = from;
    n[block + 1] = to;
    n[block + 4] = sequence;
    n.copyWithin(block + 5, records, records + count);
  }

  /** catalog.ts, nextSequence. */
  nextSequence(s: Uint8Array): number {
    const last = this.block(s[BLOCKS] - 1);
    return s[BLOCKS] === 0 ? 0 : s[last + 4] + this.count(s, last);
  }

  isSkipped(s: Uint8Array, sequence: number): boolean {
    return (s[sequence < 8 ? SKIPPED : SKIPPED_ABOVE] & (1 << (sequence & 7))) !== 0;
  }

  /** session.ts, skipUnclosed. */
  skipFrom(n: Uint8Array, from: number): void {
    let next = 0;
    for (let i = 0; i < n[BLOCKS]; i++) {
      const block = this.block(i);
      for (; next < n[block + 4]; next++) {
        if (next < from) continue;
        if (next > 15) throw new Error('more sequences than the model has room for');
        n[next < 8 ? SKIPPED : SKIPPED_ABOVE] |= 1 << (next & 7);
      }
      next += this.count(n, block);
    }
  }

  count(s: Uint8Array, block: number): number {
    let count = 0;
    while (count < this.setup.maxRows && s[block + 5 + count] !== 0) count++;
    return count;
  }

  /** The next copy of it that is less far along than `state`, or -1. */
  copyBelow(s: Uint8Array, block: number, state: number): number {
    if (s[block + 2] < state) return block + 2;
    return s[block + 3] < state ? block + 3 : -1;
  }

  /** The first block of which the lane has not let go, or the count of them. */
  unreleased(s: Uint8Array): number {
    let i = 0;
    while (i < s[BLOCKS] && s[this.block(i) + 1] <= s[HEAD]) i++;
    return i;
  }

  /** The position before which all is on both storage nodes. */
  stored(s: Uint8Array): number {
    for (let i = s[BLOCKS] - 1; i >= 0; i--) {
      const block = this.block(i);
      if (s[block + 2] > 0 && s[block + 3] > 0) return s[block + 1];
    }
    return 0;
  }

  /** What only the flusher's memory held: rows, and a block of which no storage node has a copy. */
  forgetFlusher(n: Uint8Array): void {
    for (const at of [FROM, CURSOR, LIMIT, ROWS]) n[at] = 0;
    n.fill(0, this.rows, this.rows + this.setup.maxRows);
    let kept = 0;
    for (let i = 0; i < n[BLOCKS]; i++) {
      const block = this.block(i);
      if (n[block + 2] === 0 && n[block + 3] === 0) continue;
      n.copyWithin(this.block(kept++), block, block + this.blockBytes);
    }
    n.fill(0, this.block(kept), this.block(n[BLOCKS]));
    n[BLOCKS] = kept;
  }

  /** Marks the state as one that breaks the property. */
  break(n: Uint8Array, property: Property): void {
    n[BROKEN] = PROPERTY_NAMES.indexOf(property) + 1;
  }
}
