// The protocol of a lane: a producer, the flusher, two storage nodes, a closer, a reader, and whatever may kill them. Each step is one
// access to what others see too; what a thread does for itself goes with the access before or after it. Names are the real code's.
//
// Steps of several threads follow on each other in any order, but no thread sees the steps of another out of order (sequential
// consistency). That is what the real code has: `tail`, `head`, `drained`, `sealedAt`, `waiting` and the tape's state are stored and
// loaded by sequentially consistent atomics, and what is stored plainly (the words of a record) is read by others only once they
// have seen the atomic store behind it. Only the reader reads words that may be stored meanwhile: it can't be told an old one for
// a new one without its checksum saying so.
import type { Fork, Model } from './explore.js';
import { CHECKSUM, HEADER, PADDING_CHECKSUM, PADDING_HEADER, VALUE, Words, ZEROS } from './words.js';

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
const WAITING = field();
/** CONTROL_STATE: one of OPEN, CLOSING, FAILED. */
export const TAPE = field();
/** What the producer is about to do, of P. */
const PRODUCER = field();
/** The record that it appends, or appended last: from 1 on. */
const RECORD = field();
/** Stores of this append so far. */
const STORED = field();
/** `head` when it decided to wait. */
const EXPECTED = field();
/** It saw TAPE_FAILED. */
const SAW = field();
/** What the flusher is about to do, of F. */
const FLUSHER = field();
/** `drained` when the row buffer was last empty. */
const FROM = field();
/** The cursor of the drain under way, and its limit. */
const CURSOR = field();
const LIMIT = field();
export const ROWS = field();
/** What the closer has done, of C. */
const CLOSER = field();
/** `tail`, of a closer that reads it early. */
const EARLY_TAIL = field();
const ALIVE = field();
/** What recovery is about to do, of R. */
const RECOVERY = field();
const RUNS = field();
const LANE_GONE = field();
const DEATHS = field();
const POWER_CUTS = field();
/** A bit a record: acknowledged as on disk. */
const ON_DISK = field();
const BLOCKS = field();
const READER = field();
const READ_AT = field();
const READ_LIMIT = field();
/** Words that it has copied. */
const READ_WORDS = field();
/** A bit a page: the disk has a version of it. */
const WRITTEN_BACK = field();
const DISK_HEAD = field();
const DISK_TAIL = field();
const DISK_SEALED_AT = field();
const BROKEN = field();

const NEVER = 255;

export const OPEN = 0;
export const CLOSING = 1;
export const FAILED = 2;

/** The producer. */
const P = {
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
  voidChecksum: 10,
  unpublish: 11,
  fullState: 12,
  fullSealedAt: 13,
  readHead: 14,
  setWaiting: 15,
  wait: 16,
  asleep: 17,
  clearWaiting: 18,
  left: 19,
  // Of mended protocols.
  sealOwn: 20,
  // Of weakened ones.
  checksumLate: 21,
  publishLate: 22,
  setWaitingLate: 23,
};

/** The flusher. `dead`: its thread has ended; `lost`: and that is known. */
const F = {
  idle: 0,
  copy: 1,
  storeDrained: 2,
  replicate: 3,
  readWaiting: 4,
  clearWaiting: 5,
  notify: 6,
  sealLane: 7,
  notifySealed: 8,
  closed: 9,
  dead: 10,
  lost: 11,
  // Of weakened protocols.
  storeHeadLate: 12,
};

const C = { open: 0, closing: 1, failed: 2, closed: 3, readTail: 4, sealEarly: 5, sealing: 6, sealed: 7 };
const R = { none: 0, due: 1, planned: 2, sealing: 3, done: 4 };

/** What an append came to. */
export const RETURNED = 1;
export const ANSWERED_CLOSED = 2;
export const ANSWERED_FAILED = 3;
export const DROPPED = 4;
export const TOO_LARGE = 5;
export const BAD_VALUE = 6;

/** What a block has instead of a record that nobody appended. */
const NOBODYS = 255;

export const PROPERTIES = {
  order: 'head <= drained <= tail <= head + capacity',
  reuse: 'no slot is written again before its block is on its storage nodes',
  released: 'head stays behind what is on its storage nodes',
  damaged: 'what is drained is whole',
  lost: 'what append returned for is on the tape',
  lostOnDisk: 'what was acknowledged as on disk is on the tape',
  twice: 'no record is on the tape twice',
  invented: 'nothing is on the tape that was not appended',
  misordered: 'records are on the tape in the order in which they were appended',
  holes: 'sequences have no hole',
  refused: 'what append threw for is not on the tape',
  copies: 'after recovery each block is on R storage nodes',
  misread: 'a reader takes only what was published where it reads',
} as const;
type Property = keyof typeof PROPERTIES;
const PROPERTY_NAMES = Object.keys(PROPERTIES) as Property[];

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
  'taking back leaves the checksum',
  'notified before head moves',
  'waiting is set after head was looked at',
  'reader does not check what it copied',
] as const;
export type Weakness = (typeof WEAKNESSES)[number];

/** Changes that close what the protocol leaves open. */
export const MENDS = [
  // `#wait` expects what `place` found (LANE_CACHED_HEAD), not what `head` is by then.
  'wait on cachedHead',
  // The producer clears LANE_WAITING when it is awake again; `release` only looks at it.
  'producer clears waiting',
  // `#takeBack` compares with `drained`: what was drained may be in a block.
  'take back what is not drained only',
  // And it does so by sealing the lane there, if nobody has (compareExchange); as `Tape.close` does before it says that it failed.
  'taking back seals the lane',
  // Segments of the session before are synced (sealSegmentFile) before blocks of what only lanes held follow on them.
  'recovery syncs old segments first',
] as const;
export type Mend = (typeof MENDS)[number];

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
  changes?: readonly (Weakness | Mend)[];
}

const MOST_RUNS = 6;

// Names of steps that differ by a number, made once.
const STORES = Array.from(
  { length: 256 },
  (_, word) => `producer: encode: store ${word === 0 ? 'checksum' : `word ${word}`}`,
);
const PADDING_STORES = ['checksum', 'header'].map((word) => `producer: place: store ${word} of padding`);
const COPIES = Array.from({ length: 256 }, (_, word) => `reader: copy word ${word}`);
const WRITTEN = ['tail', 'head, sealedAt', 'page 0 of the ring', 'page 1 of the ring'].map(
  (what) => `${what} is written back`,
);

export class LaneModel implements Model {
  readonly bytes: number;
  readonly words = new Words();
  readonly #setup: Required<Setup>;
  readonly #is: Record<Weakness | Mend, boolean>;
  /** Where in a state each begins. */
  readonly #ring: number;
  readonly answers: number;
  readonly #published: number;
  readonly rows: number;
  readonly #blocks: number;
  readonly #blockBytes: number;
  readonly #runs: number;
  readonly #runBytes: number;
  readonly #copied: number;
  readonly #disk: number;

  constructor(setup: Setup) {
    const { capacity, sizes } = setup;
    this.#setup = {
      largest: (capacity + 1) >> 1,
      smallest: 2,
      maxRows: 2,
      maxBlocks: sizes.length,
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
      changes: [],
      ...setup,
    };
    const { maxRows, maxBlocks, powerCuts, reads, changes } = this.#setup;
    const all = [...WEAKNESSES, ...MENDS].map((change) => [change, changes.includes(change)]);
    this.#is = Object.fromEntries(all);
    let end = fields;
    const take = (bytes: number) => {
      end += bytes;
      return end - bytes;
    };
    this.#ring = take(capacity);
    this.answers = take(sizes.length + 1);
    this.#published = take(reads ? sizes.length + 1 : 0);
    this.rows = take(maxRows);
    this.#blockBytes = 5 + maxRows;
    this.#blocks = take(maxBlocks * this.#blockBytes);
    this.#runBytes = 2 + maxRows;
    this.#runs = take(MOST_RUNS * this.#runBytes);
    this.#copied = take(reads ? Math.max(...sizes) : 0);
    this.#disk = take(powerCuts > 0 ? capacity : 0);
    this.bytes = end;
  }

  begin(s: Uint8Array): void {
    s.fill(0);
    s[SEALED_AT] = NEVER;
    s[DISK_SEALED_AT] = NEVER;
    s[ALIVE] = 1;
  }

  expand(s: Uint8Array, fork: Fork): void {
    if (s[ALIVE] === 1) {
      this.#producer(s, fork);
      this.#flusher(s, fork);
      this.#closer(s, fork);
      if (this.#setup.reads) this.#reader(s, fork);
    }
    this.#recovery(s, fork);
    this.#misfortune(s, fork);
  }

  // ---- the producer -----------------------------------------------------------------------------------------------------------------

  #producer(s: Uint8Array, fork: Fork): void {
    const { sizes, onFull, refuses, timeouts } = this.#setup;
    const is = this.#is;
    switch (s[PRODUCER]) {
      case P.idle:
        if (s[RECORD] < sizes.length) this.#append(s, fork, s[RECORD] + 1);
        return;
      case P.again:
        this.#append(s, fork, s[RECORD]);
        return;
      case P.store: {
        if (refuses && !this.#storeOf(s, s[RECORD]).padding) {
          const n = fork('producer: encode: REFUSED', true);
          n[STORED] = 0;
          this.#answer(n, BAD_VALUE);
        }
        this.#storeNext(fork(this.#nextStore(s)));
        return;
      }

      // lane.ts, publish.
      case P.publish: {
        if (is['producer reads the state before it publishes']) {
          const n = fork('producer: publish: load state');
          n[SAW] = n[TAPE];
          n[PRODUCER] = P.publishLate;
          return;
        }
        const n = fork('producer: publish: store tail');
        this.#publish(n);
        n[PRODUCER] = is['tail moves before the checksum is stored'] ? P.checksumLate : P.readState;
        return;
      }
      case P.publishLate: {
        const n = fork('producer: publish: store tail');
        this.#publish(n);
        if (n[SAW] === OPEN) this.#answer(n, RETURNED);
        else n[PRODUCER] = P.closingState;
        n[SAW] = 0;
        return;
      }
      case P.checksumLate: {
        const n = fork('producer: encode: store the checksum');
        this.#store(n, this.#position(n), this.#checksum(n[RECORD], this.#position(n)));
        n[PRODUCER] = P.readState;
        return;
      }
      case P.readState: {
        const n = fork('producer: publish: load state');
        if (n[TAPE] === OPEN) this.#answer(n, RETURNED);
        else n[PRODUCER] = P.closingState;
        return;
      }

      // appender.ts, #closing.
      case P.closingState: {
        const n = fork('producer: #closing: load state');
        n[SAW] = n[TAPE] === FAILED ? 1 : 0;
        n[PRODUCER] = P.closingSealedAt;
        return;
      }
      case P.closingSealedAt: {
        const n = fork('producer: #closing: load sealedAt');
        if (n[SEALED_AT] !== NEVER) this.#answerBySeal(n);
        else n[PRODUCER] = n[SAW] === 1 ? P.takeBack : P.closingWait;
        n[SAW] = 0;
        return;
      }
      case P.closingWait: {
        const n = fork('producer: #closing: Atomics.wait(sealedAt)');
        n[PRODUCER] = n[SEALED_AT] === NEVER ? P.closingAsleep : P.closingState;
        return;
      }
      case P.closingAsleep:
        if (timeouts) fork('producer: #closing: wakes after WAIT_MS')[PRODUCER] = P.closingState;
        return;

      // appender.ts, #takeBack.
      case P.takeBack: {
        const seals = is['taking back seals the lane'];
        const mended = seals || is['take back what is not drained only'];
        const n = fork(`producer: #takeBack: load ${mended ? 'drained' : 'head'}`);
        if (n[mended ? DRAINED : HEAD] > this.#position(n)) this.#answer(n, RETURNED);
        else if (seals) n[PRODUCER] = P.sealOwn;
        else n[PRODUCER] = is['taking back leaves the checksum'] ? P.unpublish : P.voidChecksum;
        return;
      }
      case P.sealOwn: {
        const n = fork('producer: #takeBack: compareExchange sealedAt');
        if (n[SEALED_AT] !== NEVER) {
          this.#answerBySeal(n);
          return;
        }
        n[SEALED_AT] = this.#position(n);
        this.#answer(n, ANSWERED_FAILED);
        return;
      }
      case P.voidChecksum: {
        const n = fork('producer: #takeBack: store checksum 0');
        n[this.#at(this.#position(n))] = ZEROS;
        n[PRODUCER] = P.unpublish;
        return;
      }
      case P.unpublish: {
        const n = fork('producer: #takeBack: store tail');
        n[TAIL] = this.#position(n);
        n[OFFSET] = n[TAIL] % this.#setup.capacity;
        this.#answer(n, ANSWERED_FAILED);
        return;
      }

      // appender.ts, #refused.
      case P.fullState: {
        const n = fork('producer: #refused: load state');
        if (n[TAPE] === FAILED) this.#answer(n, ANSWERED_FAILED);
        else n[PRODUCER] = P.fullSealedAt;
        return;
      }
      case P.fullSealedAt: {
        const n = fork('producer: #refused: load sealedAt');
        if (n[SEALED_AT] !== NEVER) this.#leave(n);
        else if (onFull === 'drop') this.#answer(n, DROPPED);
        else if (is['wait on cachedHead']) {
          n[EXPECTED] = n[CACHED_HEAD];
          n[PRODUCER] = P.setWaiting;
        } else n[PRODUCER] = P.readHead;
        return;
      }

      // appender.ts, #wait.
      case P.readHead: {
        const n = fork('producer: #wait: load head');
        n[EXPECTED] = n[HEAD];
        n[PRODUCER] = P.setWaiting;
        return;
      }
      case P.setWaiting: {
        if (is['waiting is set after head was looked at']) {
          const n = fork('producer: #wait: is head as expected?');
          if (n[HEAD] !== n[EXPECTED]) this.#awake(n);
          else n[PRODUCER] = P.setWaitingLate;
          return;
        }
        const n = fork('producer: #wait: store waiting 1');
        n[WAITING] = 1;
        n[PRODUCER] = P.wait;
        return;
      }
      case P.setWaitingLate: {
        const n = fork('producer: #wait: store waiting 1, sleep');
        n[WAITING] = 1;
        n[PRODUCER] = P.asleep;
        return;
      }
      case P.wait: {
        const n = fork('producer: #wait: Atomics.wait(head)');
        if (n[HEAD] === n[EXPECTED]) n[PRODUCER] = P.asleep;
        else this.#awake(n);
        return;
      }
      case P.asleep:
        if (timeouts) this.#awake(fork('producer: #wait: wakes after WAIT_MS'));
        return;
      case P.clearWaiting: {
        const n = fork('producer: #wait: store waiting 0');
        n[WAITING] = 0;
        n[PRODUCER] = P.again;
        return;
      }
    }
  }

  /** lane.ts, place; and the first store where there is room. */
  #append(s: Uint8Array, fork: Fork, record: number): void {
    const { capacity, largest } = this.#setup;
    const size = this.#size(record);
    if (size > largest && !this.#is['any size of record is taken']) {
      const n = fork('producer: place: TOO_LARGE');
      n[RECORD] = record;
      this.#answer(n, TOO_LARGE);
      return;
    }
    const end = s[TAIL] + this.#padding(s, size) + size;
    if (end - s[CACHED_HEAD] > capacity) {
      const n = fork('producer: place: load head, store cachedHead');
      n[RECORD] = record;
      n[CACHED_HEAD] = this.#is['cachedHead is refreshed from drained'] ? n[DRAINED] : n[HEAD];
      n[PRODUCER] = end - n[CACHED_HEAD] > capacity ? P.fullState : P.store;
      return;
    }
    const n = fork(this.#nextStore(s));
    n[RECORD] = record;
    this.#storeNext(n);
  }

  #nextStore(s: Uint8Array): string {
    const { padding, word } = this.#storeOf(s, s[PRODUCER] === P.idle ? s[RECORD] + 1 : s[RECORD]);
    if (padding) return PADDING_STORES[word];
    return STORES[word];
  }

  /** What the next store is to. lane.ts, place: padding; record.ts, encode: the record; both end with the checksum. */
  #storeOf(s: Uint8Array, record: number): { padding: boolean; word: number } {
    const size = this.#size(record);
    // Where not even a header fits, nothing is written.
    const stores = this.#padding(s, size) < 2 || this.#is['no padding at the end of the ring'] ? 0 : 2;
    if (s[STORED] < stores) return { padding: true, word: 1 - s[STORED] };
    const stored = s[STORED] - stores;
    return { padding: false, word: stored + 1 < size ? stored + 1 : 0 };
  }

  #storeNext(n: Uint8Array): void {
    const record = n[RECORD];
    const { padding, word } = this.#storeOf(n, record);
    const room = this.#padding(n, this.#size(record));
    if (padding) {
      const sum = this.words.word(PADDING_CHECKSUM, room, this.#summed(n[TAIL]));
      this.#store(n, n[TAIL] + word, word === 0 ? sum : this.words.word(PADDING_HEADER, room));
    } else {
      const position = n[TAIL] + room;
      const content =
        word === 0 ? this.#checksum(record, position) : this.words.word(word === 1 ? HEADER : VALUE, record);
      this.#store(n, position + word, content);
    }
    n[STORED]++;
    n[PRODUCER] = P.store;
    const early = this.#is['tail moves before the checksum is stored'];
    const next = padding ? null : early ? this.#storeOf(n, record).word === 0 : word === 0;
    if (next === true) n[PRODUCER] = P.publish;
  }

  /** `position` is any, of the lap that it is in. */
  #store(n: Uint8Array, position: number, word: number): void {
    n[this.#at(position)] = word;
    if (position - this.#setup.capacity >= this.#stored(n)) this.#break(n, 'reuse');
  }

  #publish(n: Uint8Array): void {
    const { capacity } = this.#setup;
    const size = this.#size(n[RECORD]);
    const position = n[TAIL] + this.#padding(n, size);
    n[TAIL] = position + size;
    n[OFFSET] = n[TAIL] % capacity;
    n[STORED] = 0;
    if (this.#setup.reads) n[this.#published + n[RECORD]] = position;
  }

  /** Of the record that was published last. */
  #position(s: Uint8Array): number {
    return s[TAIL] - this.#size(s[RECORD]);
  }

  #padding(s: Uint8Array, size: number): number {
    const rest = this.#setup.capacity - s[OFFSET];
    return size > rest ? rest : 0;
  }

  #answer(n: Uint8Array, answer: number): void {
    n[this.answers + n[RECORD]] = answer;
    n[PRODUCER] = P.idle;
  }

  #leave(n: Uint8Array): void {
    this.#answer(n, ANSWERED_CLOSED);
    n[PRODUCER] = P.left;
  }

  #answerBySeal(n: Uint8Array): void {
    if (this.#position(n) < n[SEALED_AT]) this.#answer(n, RETURNED);
    else this.#leave(n);
  }

  #awake(n: Uint8Array): void {
    n[EXPECTED] = 0;
    n[PRODUCER] = this.#is['producer clears waiting'] ? P.clearWaiting : P.again;
  }

  // ---- the flusher --------------------------------------------------------------------------------------------------------------------

  #flusher(s: Uint8Array, fork: Fork): void {
    const { maxRows, powerCuts, durability } = this.#setup;
    const is = this.#is;
    const wakes = is['producer clears waiting'] ? F.notify : F.clearWaiting;
    switch (s[FLUSHER]) {
      case F.idle:
        this.#duty(s, fork);
        return;

      // lane.ts, drain: a row.
      case F.copy: {
        const n = fork('flusher: drain: copyRecord');
        const position = n[CURSOR];
        const record = this.words.of[n[this.#at(position + 1)]];
        if (!this.#isWhole(n, position)) {
          this.#break(n, 'damaged');
          return;
        }
        n[this.rows + n[ROWS]++] = record;
        n[CURSOR] += this.#size(record);
        if (!this.#settle(n)) {
          this.#break(n, 'damaged');
          return;
        }
        if (n[CURSOR] === n[LIMIT] || n[ROWS] === maxRows) n[FLUSHER] = F.storeDrained;
        return;
      }
      case F.storeDrained: {
        const n = fork('flusher: drain: store drained');
        n[DRAINED] = n[CURSOR];
        n[CURSOR] = 0;
        n[LIMIT] = 0;
        n[FLUSHER] = F.idle;
        return;
      }

      // replicator.ts, write; flusher.ts, #replicate.
      case F.replicate: {
        const block = this.#block(s[BLOCKS] - 1);
        let stored = 0;
        let synced = 0;
        for (let node = 0; node < 2; node++) {
          const copy = s[block + 2 + node];
          if (copy > 0) stored++;
          if (copy === 2) synced++;
          if (copy === 0) fork(`flusher: append to node ${node}`)[block + 2 + node] = powerCuts > 0 ? 1 : 2;
          if (copy === 1 && durability === 'disk') fork(`flusher: sync node ${node}`)[block + 2 + node] = 2;
        }
        const enough =
          synced === 2 ||
          (stored === 2 && (durability === 'process' || is['head moves before copies are synced'])) ||
          (stored === 1 && is['head moves after the first copy']);
        if (!enough) return;
        if (is['notified before head moves']) {
          const n = fork('flusher: release: load waiting');
          n[FLUSHER] = n[WAITING] === 1 ? wakes : F.storeHeadLate;
          return;
        }
        const n = fork('flusher: release: store head');
        this.#release(n);
        n[FLUSHER] = F.readWaiting;
        return;
      }
      // lane.ts, release.
      case F.readWaiting: {
        const n = fork('flusher: release: load waiting');
        n[FLUSHER] = n[WAITING] === 1 ? wakes : F.idle;
        return;
      }
      case F.clearWaiting: {
        const n = fork('flusher: release: store waiting 0');
        n[WAITING] = 0;
        n[FLUSHER] = F.notify;
        return;
      }
      case F.notify: {
        const n = fork('flusher: release: notify');
        if (n[PRODUCER] === P.asleep) this.#awake(n);
        n[FLUSHER] = is['notified before head moves'] ? F.storeHeadLate : F.idle;
        return;
      }
      case F.storeHeadLate: {
        const n = fork('flusher: release: store head');
        this.#release(n);
        n[FLUSHER] = F.idle;
        return;
      }

      // worker.ts, close.
      case F.sealLane: {
        const n = fork('flusher: close: store sealedAt');
        n[SEALED_AT] = n[LIMIT];
        n[LIMIT] = 0;
        n[FLUSHER] = F.notifySealed;
        return;
      }
      case F.notifySealed: {
        const n = fork('flusher: close: notify');
        if (n[PRODUCER] === P.closingAsleep) n[PRODUCER] = P.closingState;
        n[FLUSHER] = F.idle;
        return;
      }
    }
  }

  /** flusher.ts, doWork and flush; when a block is sealed is left open: it may be full, or old, or asked for. */
  #duty(s: Uint8Array, fork: Fork): void {
    const { maxRows } = this.#setup;
    if (s[CLOSER] === C.closing && s[SEALED_AT] === NEVER) {
      const n = fork('flusher: close: load tail');
      n[LIMIT] = n[TAIL];
      n[FLUSHER] = F.sealLane;
    }
    const limit = this.#is['drain goes on behind sealedAt'] ? s[TAIL] : Math.min(s[TAIL], s[SEALED_AT]);
    if (s[ROWS] < maxRows && s[DRAINED] !== limit) {
      const n = fork('flusher: drain: load tail');
      if (n[ROWS] === 0) n[FROM] = n[DRAINED];
      n[LIMIT] = limit;
      n[CURSOR] = n[DRAINED];
      if (!this.#settle(n)) {
        this.#break(n, 'damaged');
        return;
      }
      n[FLUSHER] = n[CURSOR] === n[LIMIT] ? F.storeDrained : F.copy;
    }
    if (s[ROWS] > 0) {
      const n = fork('flusher: seal');
      this.#addBlock(n, n[FROM], n[DRAINED], this.rows, n[ROWS]);
      n.fill(0, this.rows, this.rows + maxRows);
      n[ROWS] = 0;
      n[FROM] = 0;
      n[FLUSHER] = F.replicate;
    }
    if (s[SEALED_AT] !== NEVER && s[DRAINED] === limit && s[ROWS] === 0 && s[CLOSER] === C.closing) {
      fork('flusher: close: done')[FLUSHER] = F.closed;
    }
  }

  /** lane.ts, settle: the cursor goes over padding. False where the ring is damaged. */
  #settle(n: Uint8Array): boolean {
    while (n[CURSOR] !== n[LIMIT]) {
      const step = this.#outline(n, n[CURSOR], n[LIMIT]);
      if (step === 0) return false;
      if (step > 0) return true;
      n[CURSOR] -= step;
    }
    return true;
  }

  #release(n: Uint8Array): void {
    const block = this.#block(n[BLOCKS] - 1);
    n[HEAD] = n[block + 1];
    // What `flush()` resolves for.
    if (this.#setup.powerCuts === 0 || this.#setup.durability === 'process') return;
    for (let i = 0; i < this.#setup.maxRows; i++) {
      const record = n[block + 5 + i];
      if (record !== 0) n[ON_DISK] |= 1 << (record - 1);
    }
  }

  // ---- the closer, and a flusher that fails ---------------------------------------------------------------------------------------

  #closer(s: Uint8Array, fork: Fork): void {
    const { closes, fails, reopens } = this.#setup;
    if (fails && s[FLUSHER] < F.closed) {
      const n = fork('flusher: its thread ends', true);
      n[FLUSHER] = F.dead;
      this.#forgetFlusher(n);
    }
    // remote.ts, #fail.
    if (s[FLUSHER] === F.dead) {
      const n = fork('closer: #fail: store state FAILED');
      n[TAPE] = FAILED;
      n[FLUSHER] = F.lost;
    }
    // tape.ts, #close.
    switch (s[CLOSER]) {
      case C.open: {
        if (!closes) return;
        if (this.#is['closer reads tail before it says so']) {
          const n = fork('closer: load tail', true);
          n[EARLY_TAIL] = n[TAIL];
          n[CLOSER] = C.readTail;
          return;
        }
        const n = fork('closer: #close: store state CLOSING', true);
        n[TAPE] = CLOSING;
        n[CLOSER] = C.closing;
        return;
      }
      case C.readTail: {
        const n = fork('closer: #close: store state CLOSING');
        n[TAPE] = CLOSING;
        n[CLOSER] = C.sealEarly;
        return;
      }
      case C.sealEarly: {
        const n = fork('closer: store sealedAt');
        n[SEALED_AT] = n[EARLY_TAIL];
        n[EARLY_TAIL] = 0;
        n[CLOSER] = C.closing;
        if (n[PRODUCER] === P.closingAsleep) n[PRODUCER] = P.closingState;
        return;
      }
      case C.closing: {
        if (s[FLUSHER] === F.closed) {
          const n = fork('closer: Journal.close: remove the lane');
          n[LANE_GONE] = 1;
          n[CLOSER] = C.closed;
        } else if (s[FLUSHER] === F.lost) {
          if (this.#is['taking back seals the lane']) {
            const n = fork('closer: #close: load tail');
            n[EARLY_TAIL] = n[TAIL];
            n[CLOSER] = C.sealing;
          } else this.#fail(fork);
        }
        return;
      }
      case C.sealing: {
        const n = fork('closer: #close: compareExchange sealedAt, notify');
        if (n[SEALED_AT] === NEVER) n[SEALED_AT] = n[EARLY_TAIL];
        n[EARLY_TAIL] = 0;
        if (n[PRODUCER] === P.closingAsleep) n[PRODUCER] = P.closingState;
        n[CLOSER] = C.sealed;
        return;
      }
      case C.sealed:
        this.#fail(fork);
        return;
      case C.failed:
        if (reopens && s[RECOVERY] === R.none) fork('closer: openTape', true)[RECOVERY] = R.due;
    }
  }

  #fail(fork: Fork): void {
    const n = fork('closer: #close: store state FAILED, unlock');
    n[TAPE] = FAILED;
    n[CLOSER] = C.failed;
  }

  /** A block of which no storage node has a copy was never more than in memory. */
  #forgetFlusher(n: Uint8Array): void {
    for (const at of [FROM, CURSOR, LIMIT, ROWS]) n[at] = 0;
    n.fill(0, this.rows, this.rows + this.#setup.maxRows);
    this.#forgetLostBlocks(n);
  }

  #forgetLostBlocks(n: Uint8Array): void {
    let kept = 0;
    for (let i = 0; i < n[BLOCKS]; i++) {
      const block = this.#block(i);
      if (n[block + 2] === 0 && n[block + 3] === 0) continue;
      n.copyWithin(this.#block(kept++), block, block + this.#blockBytes);
    }
    n.fill(0, this.#block(kept), this.#block(n[BLOCKS]));
    n[BLOCKS] = kept;
  }

  // ---- a reader of the live lane, in another process --------------------------------------------------------------------------------

  /** From `head`, or where it was, to `tail`; copies a record word by word, as copyRecord, and looks at its checksum then. */
  #reader(s: Uint8Array, fork: Fork): void {
    const { capacity } = this.#setup;
    if (s[READER] === 0) {
      const n = fork('reader: load head', true);
      if (n[HEAD] > n[READ_AT]) n[READ_AT] = n[HEAD];
      n[READER] = 1;
      return;
    }
    if (s[READER] === 1) {
      const n = fork('reader: load tail', true);
      n[READ_LIMIT] = n[TAIL];
      n[READER] = n[READ_AT] < n[TAIL] ? 2 : 0;
      return;
    }
    const position = s[READ_AT];
    const rest = capacity - (position % capacity);
    if (rest < 2) {
      const n = fork('reader: steps over the end of the ring', true);
      this.#readOn(n, rest);
      return;
    }
    if (s[READ_WORDS] === 0) {
      const n = fork(COPIES[1], true);
      const header = n[this.#at(position + 1)];
      n[this.#copied + 1] = header;
      n[READ_WORDS] = 1;
      const kind = this.words.kinds[header];
      const size = kind === HEADER ? this.#size(this.words.of[header]) : this.words.of[header];
      // A length that can't be right is never followed.
      const good = kind === HEADER ? size <= rest : kind === PADDING_HEADER && size === rest;
      if (!good || size > n[READ_LIMIT] - position) this.#readOn(n, -1);
      return;
    }
    const header = s[this.#copied + 1];
    const of = this.words.of[header];
    const isPadding = this.words.kinds[header] === PADDING_HEADER;
    const size = isPadding ? of : this.#size(of);
    const words = isPadding ? 2 : size;
    const next = s[READ_WORDS] + 1 < words ? s[READ_WORDS] + 1 : 0;
    const n = fork(COPIES[next], true);
    n[this.#copied + next] = n[this.#at(position + next)];
    n[READ_WORDS]++;
    if (next !== 0) return;
    if (isPadding) {
      const whole = n[this.#copied] === this.words.known(PADDING_CHECKSUM, of, this.#summed(position));
      this.#readOn(n, whole || this.#is['reader does not check what it copied'] ? size : -1);
      return;
    }
    let whole = n[this.#copied] === this.words.known(CHECKSUM, of, this.#summed(position));
    for (let word = 2; word < size; word++) whole &&= n[this.#copied + word] === this.words.known(VALUE, of);
    if (!whole && !this.#is['reader does not check what it copied']) {
      this.#readOn(n, -1);
      return;
    }
    if (!whole || n[this.#published + of] !== position) this.#break(n, 'misread');
    this.#readOn(n, size);
  }

  /** To the next record; -1: begins anew, since the space was given to another record. */
  #readOn(n: Uint8Array, words: number): void {
    n.fill(0, this.#copied, this.#copied + Math.max(...this.#setup.sizes));
    n[READ_WORDS] = 0;
    if (words > 0) n[READ_AT] += words;
    n[READER] = words > 0 && n[READ_AT] < n[READ_LIMIT] ? 2 : 0;
    if (n[READER] === 0) n[READ_LIMIT] = 0;
  }

  // ---- recovery -------------------------------------------------------------------------------------------------------------------------

  #recovery(s: Uint8Array, fork: Fork): void {
    const { powerCuts, maxRows } = this.#setup;
    const store = (kind: string, block: number) => {
      for (let node = 0; node < 2; node++) {
        if (s[block + 2 + node] === 0) {
          fork(`recovery: ${kind}: append to node ${node}`)[block + 2 + node] = powerCuts > 0 ? 1 : 2;
        }
        // `durable: true`.
        if (s[block + 2 + node] === 1) fork(`recovery: ${kind}: sync node ${node}`)[block + 2 + node] = 2;
      }
    };
    switch (s[RECOVERY]) {
      // recovery.ts, planRecovery: all of the lane's bytes are read here, and what to make of them follows from that alone.
      case R.due: {
        const n = fork('recovery: planRecovery');
        this.#plan(n);
        n[RECOVERY] = R.planned;
        if (this.#is['recovery removes the lane first']) n[LANE_GONE] = 1;
        return;
      }
      case R.planned: {
        // recovery.ts, copyBlock.
        for (let i = 0; i < s[BLOCKS]; i++) {
          const block = this.#block(i);
          for (let node = 0; node < 2; node++) {
            // Written and synced: between the two it is as before or as after.
            if (s[block + 2 + node] === 0) {
              fork(`recovery: copyBlock to node ${node}`)[block + 2 + node] = 2;
              return;
            }
          }
        }
        // recovery.ts, sealSegmentFile: what the session before had not synced.
        const unsynced = this.#unsyncedBlock(s);
        if (unsynced >= 0 && (s[RUNS] === 0 || this.#is['recovery syncs old segments first'])) {
          store('sealSegmentFile', unsynced);
          return;
        }
        // recovery.ts, sealLanes.
        if (s[RUNS] > 0) {
          const n = fork('recovery: sealLanes: seal');
          const run = this.#runs;
          this.#addBlock(n, n[run], n[run + 1], run + 2, maxRows);
          n.copyWithin(run, run + this.#runBytes, run + MOST_RUNS * this.#runBytes);
          n.fill(0, run + (MOST_RUNS - 1) * this.#runBytes, run + MOST_RUNS * this.#runBytes);
          n[RUNS]--;
          n[RECOVERY] = R.sealing;
          return;
        }
        const n = fork('recovery: remove the lane');
        n[LANE_GONE] = 1;
        n[RECOVERY] = R.done;
        return;
      }
      case R.sealing: {
        const block = this.#block(s[BLOCKS] - 1);
        if (s[block + 2] === 2 && s[block + 3] === 2) {
          fork('recovery: sealLanes: the next run')[RECOVERY] = R.planned;
        } else store('sealLanes', block);
      }
    }
  }

  #unsyncedBlock(s: Uint8Array): number {
    for (let i = 0; i < s[BLOCKS]; i++) {
      const block = this.#block(i);
      if (s[block + 2] === 1 || s[block + 3] === 1) return block;
    }
    return -1;
  }

  /** Finds the runs of records that are in the lane only, cut into blocks. */
  #plan(n: Uint8Array): void {
    const { capacity, maxRows } = this.#setup;
    n[RUNS] = 0;
    if (n[LANE_GONE] === 1) return;
    // recovery.ts, unreleased.
    const from = n[TAIL] - n[HEAD] > capacity ? n[TAIL] - capacity : n[HEAD];
    const isSealed = n[SEALED_AT] !== NEVER && !this.#is['recovery goes on behind sealedAt'];
    const to = isSealed ? Math.min(n[SEALED_AT], from + capacity) : from + capacity;
    // recovery.ts, heldRanges; ranges.ts, subtract: whether a position is in one of the ranges that blocks hold.
    const held = (position: number): number => {
      if (this.#is['recovery ignores what blocks hold']) return 0;
      for (let i = 0; i < n[BLOCKS]; i++) {
        const block = this.#block(i);
        if (n[block] <= position && position < n[block + 1]) return n[block + 1];
      }
      return 0;
    };
    for (let position = from; position < to; ) {
      const end = held(position);
      if (end > 0) {
        position = end;
        continue;
      }
      let partEnd = position;
      while (partEnd < to && held(partEnd) === 0) partEnd++;
      this.#wholeRuns(n, position, partEnd, maxRows);
      position = partEnd;
    }
  }

  /** recovery.ts, wholeRuns, and what the flusher makes of each run: blocks of `maxRows` at most. */
  #wholeRuns(n: Uint8Array, from: number, to: number, maxRows: number): void {
    let position = from;
    let start = from;
    let rows: number[] = [];
    const close = () => {
      if (rows.length > 0) {
        if (n[RUNS] === MOST_RUNS) throw new Error('more runs than the model has room for');
        const run = this.#runs + n[RUNS]++ * this.#runBytes;
        n[run] = start;
        n[run + 1] = position;
        for (let i = 0; i < rows.length; i++) n[run + 2 + i] = rows[i];
      }
      rows = [];
      start = position;
    };
    while (position < to) {
      const believes = this.#is['recovery believes tail, not checksums'] && position < n[TAIL];
      const step = believes ? this.#outline(n, position, to) : this.probe(n, position, to);
      if (step < 0) position -= step;
      else if (step > 0) {
        if (rows.length === maxRows) close();
        const record = this.words.of[n[this.#at(position + 1)]];
        rows.push(this.#isWhole(n, position) ? record : NOBODYS);
        position += step;
      } else {
        if (position >= n[TAIL]) break;
        close();
        position++;
        start = position;
      }
    }
    close();
  }

  // ---- what kills it ------------------------------------------------------------------------------------------------------------------

  #misfortune(s: Uint8Array, fork: Fork): void {
    const { deaths, powerCuts, ringPages, capacity } = this.#setup;
    const isOver = s[ALIVE] === 1 ? s[LANE_GONE] === 1 : s[RECOVERY] === R.done;
    if (s[DEATHS] < deaths && !isOver && (s[ALIVE] === 1 || s[RECOVERY] > R.due)) {
      const n = fork('the process dies', true);
      n[DEATHS]++;
      this.#die(n);
    }
    if (powerCuts === 0) return;
    // The system writes back any page at any time. What it writes of a page last is all that counts: once for each is enough.
    if (s[ALIVE] === 1 && s[LANE_GONE] === 0) {
      for (let page = 0; page < 2 + ringPages; page++) {
        if ((s[WRITTEN_BACK] & (1 << page)) !== 0) continue;
        const n = fork(WRITTEN[page], true);
        n[WRITTEN_BACK] |= 1 << page;
        if (page === 0) n[DISK_TAIL] = n[TAIL];
        else if (page === 1) {
          n[DISK_HEAD] = n[HEAD];
          n[DISK_SEALED_AT] = n[SEALED_AT];
        } else {
          const start = Math.floor(((page - 2) * capacity) / ringPages);
          const end = Math.floor(((page - 1) * capacity) / ringPages);
          n.copyWithin(this.#disk + start, this.#ring + start, this.#ring + end);
        }
      }
    }
    if (s[POWER_CUTS] === powerCuts) return;
    // Of copies that were not synced any may be left.
    const unsynced: number[] = [];
    for (let i = 0; i < s[BLOCKS]; i++) {
      const block = this.#block(i);
      for (const copy of [block + 2, block + 3]) if (s[copy] === 1) unsynced.push(copy);
    }
    for (let left = 0; left < 1 << unsynced.length; left++) {
      const n = fork('the power fails', true);
      if (n[POWER_CUTS]++ === 0) {
        n[HEAD] = n[DISK_HEAD];
        n[TAIL] = n[DISK_TAIL];
        n[SEALED_AT] = n[DISK_SEALED_AT];
        n.copyWithin(this.#ring, this.#disk, this.#disk + capacity);
        n.fill(0, this.#disk, this.#disk + capacity);
        for (const at of [DISK_HEAD, DISK_TAIL, DISK_SEALED_AT, WRITTEN_BACK]) n[at] = 0;
      }
      // That a file was removed may be lost too.
      if (!this.#is['recovery removes the lane first']) n[LANE_GONE] = 0;
      for (const [i, copy] of unsynced.entries()) n[copy] = (left >> i) & 1 ? 2 : 0;
      this.#die(n);
    }
  }

  /** What only memory held is gone; the lane's file and the copies are as they are. */
  #die(n: Uint8Array): void {
    for (const at of [CACHED_HEAD, OFFSET, WAITING, TAPE, PRODUCER, RECORD, STORED, EXPECTED, SAW]) n[at] = 0;
    for (const at of [FLUSHER, CLOSER, EARLY_TAIL, ALIVE, RUNS, READER, READ_AT, READ_LIMIT, READ_WORDS, DRAINED])
      n[at] = 0;
    n.fill(0, this.#runs, this.#runs + MOST_RUNS * this.#runBytes);
    if (this.#setup.reads) n.fill(0, this.#published, this.#published + this.#setup.sizes.length + 1);
    if (this.#setup.reads) n.fill(0, this.#copied, this.#copied + Math.max(...this.#setup.sizes));
    this.#forgetFlusher(n);
    n[RECOVERY] = R.due;
  }

  // ---- the ring -------------------------------------------------------------------------------------------------------------------------

  #at(position: number): number {
    return this.#ring + (position % this.#setup.capacity);
  }

  #size(record: number): number {
    return this.#setup.sizes[record - 1];
  }

  #summed(position: number): number {
    return this.#is['checksums are not over the position'] ? 0 : position;
  }

  #checksum(record: number, position: number): number {
    return this.words.word(CHECKSUM, record, this.#summed(position));
  }

  /** lane.ts, outline. */
  #outline(s: Uint8Array, position: number, limit: number): number {
    const { capacity, smallest } = this.#setup;
    const rest = capacity - (position % capacity);
    if (limit - position < 1) return 0;
    if (rest < 2) return rest <= limit - position ? -rest : 0;
    const header = s[this.#at(position + 1)];
    const of = this.words.of[header];
    const kind = this.words.kinds[header];
    if (kind === HEADER) {
      const size = this.#size(of);
      return size > rest || size > limit - position || size < smallest ? 0 : size;
    }
    if (kind !== PADDING_HEADER || of !== rest || of > limit - position) return 0;
    return s[this.#at(position)] === this.words.known(PADDING_CHECKSUM, of, this.#summed(position)) ? -of : 0;
  }

  /** lane.ts, probe. */
  probe(s: Uint8Array, position: number, limit: number): number {
    const step = this.#outline(s, position, limit);
    return step > 0 && !this.#isWhole(s, position) ? 0 : step;
  }

  /** Whether the checksum of what has the header of a record is right. */
  #isWhole(s: Uint8Array, position: number): boolean {
    const record = this.words.of[s[this.#at(position + 1)]];
    if (s[this.#at(position)] !== this.words.known(CHECKSUM, record, this.#summed(position))) return false;
    const value = this.words.known(VALUE, record);
    for (let word = 2; word < this.#size(record); word++) if (s[this.#at(position + word)] !== value) return false;
    return true;
  }

  // ---- blocks: from, to, a copy on each of two storage nodes (0 none, 1 written, 2 synced), first sequence, records ----------------------

  #block(index: number): number {
    return this.#blocks + index * this.#blockBytes;
  }

  #addBlock(n: Uint8Array, from: number, to: number, records: number, count: number): void {
    if (n[BLOCKS] === this.#setup.maxBlocks) throw new Error('more blocks than the model has room for');
    // catalog.ts, nextSequence.
    const last = this.#block(n[BLOCKS] - 1);
    const sequence = n[BLOCKS] === 0 ? 0 : n[last + 4] + this.#count(n, last);
    const block = this.#block(n[BLOCKS]++);
    n[block] = from;
    n[block + 1] = to;
    n[block + 4] = sequence;
    n.copyWithin(block + 5, records, records + count);
  }

  #count(s: Uint8Array, block: number): number {
    let count = 0;
    while (count < this.#setup.maxRows && s[block + 5 + count] !== 0) count++;
    return count;
  }

  /** The position before which all is on both storage nodes. */
  #stored(s: Uint8Array): number {
    for (let i = s[BLOCKS] - 1; i >= 0; i--) {
      const block = this.#block(i);
      if (s[block + 2] > 0 && s[block + 3] > 0) return s[block + 1];
    }
    return 0;
  }

  // ---- properties -----------------------------------------------------------------------------------------------------------------------

  #break(n: Uint8Array, property: Property): void {
    n[BROKEN] = PROPERTY_NAMES.indexOf(property) + 1;
  }

  broken(s: Uint8Array): string | null {
    const property = s[BROKEN] > 0 ? PROPERTY_NAMES[s[BROKEN] - 1] : (this.#counters(s) ?? this.#tape(s));
    return property === null ? null : PROPERTIES[property];
  }

  #counters(s: Uint8Array): Property | null {
    // Once the flusher is gone nobody drains, and a producer takes back what it may have drained.
    if (s[ALIVE] === 0 || s[FLUSHER] >= F.dead || s[RECOVERY] !== R.none) return null;
    const isOrdered = s[HEAD] <= s[DRAINED] && s[DRAINED] <= s[TAIL] && s[TAIL] <= s[HEAD] + this.#setup.capacity;
    if (!isOrdered) return 'order';
    return s[HEAD] > this.#stored(s) ? 'released' : null;
  }

  /** What is on the tape, once there is nothing more in the lane. */
  #tape(s: Uint8Array): Property | null {
    const { sizes, maxRows } = this.#setup;
    if (s[RECOVERY] !== R.done && s[CLOSER] !== C.closed) return null;
    let last = 0;
    let seen = 0;
    let next = 0;
    let holes = false;
    for (let i = 0; i < s[BLOCKS]; i++) {
      const block = this.#block(i);
      if (s[block + 2] === 0 || s[block + 3] === 0) return 'copies';
      if (s[block + 4] !== next) holes = true;
      next = s[block + 4] + this.#count(s, block);
      for (let row = 0; row < maxRows; row++) {
        const record = s[block + 5 + row];
        if (record === 0) continue;
        if (record === NOBODYS) return 'invented';
        if ((seen & (1 << record)) !== 0) return 'twice';
        seen |= 1 << record;
        if (record < last) return 'misordered';
        last = record;
      }
    }
    for (let record = 1; record <= sizes.length; record++) {
      const answer = s[this.answers + record];
      const isThere = (seen & (1 << record)) !== 0;
      if (isThere && answer > RETURNED) return 'refused';
      if (isThere) continue;
      if (answer === RETURNED && s[POWER_CUTS] === 0) return 'lost';
      if ((s[ON_DISK] & (1 << (record - 1))) !== 0) return 'lostOnDisk';
    }
    return holes ? 'holes' : null;
  }

  /** The flusher is between two things to do. */
  isIdle(s: Uint8Array): boolean {
    return s[FLUSHER] === F.idle;
  }

  isAtRest(s: Uint8Array): boolean {
    if (s[RECOVERY] !== R.none && s[RECOVERY] !== R.done) return false;
    if (s[ALIVE] === 0) return true;
    const producer = s[PRODUCER] === P.left || (s[PRODUCER] === P.idle && s[RECORD] === this.#setup.sizes.length);
    const flusher = s[FLUSHER] === F.idle || s[FLUSHER] === F.closed || s[FLUSHER] === F.lost;
    const closer = s[CLOSER] === C.open || s[CLOSER] === C.failed || s[CLOSER] === C.closed;
    return producer && flusher && closer;
  }

  // ---- for people ---------------------------------------------------------------------------------------------------------------------

  describe(s: Uint8Array): string {
    const { sizes, capacity } = this.#setup;
    const ring = [...s.subarray(this.#ring, this.#ring + capacity)].map((word) => this.words.describe(word)).join(' ');
    const blocks = Array.from({ length: s[BLOCKS] }, (_, i) => {
      const block = this.#block(i);
      const records = [...s.subarray(block + 5, block + this.#blockBytes)].filter((record) => record !== 0);
      return `[${s[block]}..${s[block + 1]} #${s[block + 4]}: ${records} on ${['-', 'w', 's'][s[block + 2]]}${['-', 'w', 's'][s[block + 3]]}]`;
    });
    const signs = ['·', 'returned', 'CLOSED', 'FAILED', 'dropped', 'TOO_LARGE', 'BAD_VALUE'];
    const answers = sizes.map((_, i) => signs[s[this.answers + 1 + i]]).join(' ');
    const sealed = s[SEALED_AT] === NEVER ? '' : ` sealedAt ${s[SEALED_AT]}`;
    const waiting = s[WAITING] === 1 ? ' waiting' : '';
    return `head ${s[HEAD]} drained ${s[DRAINED]} tail ${s[TAIL]}${sealed}${waiting} | ${ring} | ${blocks.join(' ')} | ${answers}`;
  }
}
