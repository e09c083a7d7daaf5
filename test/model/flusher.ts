// The flusher: assembly/lane.ts, drain and release; src/flush/flusher.ts and worker.ts; src/journal/stopping.ts; src/storage/replicator.ts.
import type { Fork } from './explore.js';
import {
  BLOCKS,
  C,
  CLOSER,
  CURSOR,
  DRAINED,
  F,
  FLUSHER,
  FROM,
  HEAD,
  type Lane,
  LIMIT,
  NEVER,
  ON_DISK,
  ROWS,
  SEALED_AT,
  TAIL,
  WAITING,
} from './lane.js';
import type { Producer } from './producer.js';

// Names of steps that differ by a number, made once.
const APPENDS = [0, 1].map((node) => `flusher: append to node ${node}`);
const SYNCS = [0, 1].map((node) => `flusher: sync node ${node}`);

export class Flusher {
  readonly #lane: Lane;
  readonly #producer: Producer;

  constructor(lane: Lane, producer: Producer) {
    this.#lane = lane;
    this.#producer = producer;
  }

  expand(s: Uint8Array, fork: Fork): void {
    const { maxRows } = this.#lane.setup;
    const is = this.#lane.is;
    const wakes = is['release does not clear waiting'] ? F.notify : F.clearWaiting;
    if (s[FLUSHER] < F.closed) this.#store(s, fork);
    switch (s[FLUSHER]) {
      case F.idle:
        this.#duty(s, fork);
        return;

      // lane.ts, drain: a row.
      case F.copy: {
        const n = fork('flusher: drain: copyRecord');
        const position = n[CURSOR];
        const record = this.#lane.words.of[n[this.#lane.at(position + 1)]];
        if (!this.#lane.isWhole(n, position)) {
          this.#lane.break(n, 'damaged');
          return;
        }
        n[this.#lane.rows + n[ROWS]++] = record;
        n[CURSOR] += this.#lane.size(record);
        if (!this.#settle(n)) {
          this.#lane.break(n, 'damaged');
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

      case F.held:
        this.#takeStored(s, fork);
        return;
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
        this.#producer.wakeIfWaiting(n);
        n[FLUSHER] = is['notified before head moves'] ? F.storeHeadLate : F.idle;
        return;
      }
      case F.storeHeadLate: {
        const n = fork('flusher: release: store head');
        this.#release(n);
        n[FLUSHER] = F.idle;
        return;
      }

      // worker.ts, close: stopping.ts, stopLanes.
      case F.sealLane: {
        const n = fork('flusher: stopLanes: compareExchange sealedAt');
        if (n[SEALED_AT] === NEVER) n[SEALED_AT] = n[LIMIT];
        n[LIMIT] = 0;
        n[FLUSHER] = F.notifySealed;
        return;
      }
      case F.notifySealed: {
        const n = fork('flusher: stopLanes: notify');
        this.#producer.wakeIfClosing(n);
        n[FLUSHER] = F.idle;
        return;
      }
    }
  }

  /** replicator.ts: copies of a block come to be after all of those of the block before it are there. */
  #store(s: Uint8Array, fork: Fork): void {
    const { powerCuts, durability } = this.#lane.setup;
    for (let i = this.#lane.unreleased(s); i < s[BLOCKS]; i++) {
      const block = this.#lane.block(i);
      const missing = this.#lane.copyBelow(s, block, 1);
      if (missing >= 0) fork(APPENDS[missing - block - 2])[missing] = powerCuts > 0 ? 1 : 2;
      const unsynced = this.#lane.copyBelow(s, block, 2);
      if (durability === 'disk' && unsynced >= 0 && s[unsynced] === 1) fork(SYNCS[unsynced - block - 2])[unsynced] = 2;
      if (missing >= 0) return;
    }
  }

  /** flusher.ts, #takeStored. */
  #takeStored(s: Uint8Array, fork: Fork): void {
    const { durability } = this.#lane.setup;
    const is = this.#lane.is;
    const first = this.#lane.unreleased(s);
    if (first === s[BLOCKS]) return;
    const block = this.#lane.block(first);
    const needed = durability === 'process' || is['head moves before copies are synced'] ? 1 : 2;
    if ((is['head moves after the first copy'] ? s[block + 2] : s[block + 3]) < needed) return;
    if (is['notified before head moves']) {
      const n = fork('flusher: release: load waiting');
      n[FLUSHER] = n[WAITING] === 1 ? F.clearWaiting : F.storeHeadLate;
      return;
    }
    const n = fork('flusher: release: store head');
    this.#release(n);
    n[FLUSHER] = F.readWaiting;
  }

  /** flusher.ts, doWork and flush; when a block is sealed is left open: it may be full, or old, or asked for. */
  #duty(s: Uint8Array, fork: Fork): void {
    const { maxRows, inFlight } = this.#lane.setup;
    this.#takeStored(s, fork);
    if (s[CLOSER] === C.closing && s[SEALED_AT] === NEVER) {
      const n = fork('flusher: stopLanes: load tail');
      n[LIMIT] = n[TAIL];
      n[FLUSHER] = F.sealLane;
    }
    const limit = this.#lane.is['drain goes on behind sealedAt'] ? s[TAIL] : Math.min(s[TAIL], s[SEALED_AT]);
    if (s[ROWS] < maxRows && s[DRAINED] !== limit) {
      const n = fork('flusher: drain: load tail');
      if (n[ROWS] === 0) n[FROM] = n[DRAINED];
      n[LIMIT] = limit;
      n[CURSOR] = n[DRAINED];
      if (!this.#settle(n)) {
        this.#lane.break(n, 'damaged');
        return;
      }
      n[FLUSHER] = n[CURSOR] === n[LIMIT] ? F.storeDrained : F.copy;
    }
    if (s[ROWS] > 0) {
      const n = fork('flusher: seal');
      this.#lane.addBlock(n, n[FROM], n[DRAINED], this.#lane.rows, n[ROWS]);
      n.fill(0, this.#lane.rows, this.#lane.rows + maxRows);
      n[ROWS] = 0;
      n[FROM] = 0;
      n[FLUSHER] = n[BLOCKS] - this.#lane.unreleased(n) < inFlight ? F.idle : F.held;
    }
    const isDone = s[DRAINED] === limit && s[ROWS] === 0 && this.#lane.unreleased(s) === s[BLOCKS];
    if (s[SEALED_AT] !== NEVER && isDone && s[CLOSER] === C.closing) {
      fork('flusher: close: done')[FLUSHER] = F.closed;
    }
  }

  /** lane.ts, settle: the cursor goes over padding. False where the ring is damaged. */
  #settle(n: Uint8Array): boolean {
    while (n[CURSOR] !== n[LIMIT]) {
      const step = this.#lane.outline(n, n[CURSOR], n[LIMIT]);
      if (step === 0) return false;
      if (step > 0) return true;
      n[CURSOR] -= step;
    }
    return true;
  }

  #release(n: Uint8Array): void {
    const block = this.#lane.block(this.#lane.unreleased(n));
    n[HEAD] = n[block + 1];
    // What `flush()` resolves for.
    if (this.#lane.setup.powerCuts === 0 || this.#lane.setup.durability === 'process') return;
    for (let i = 0; i < this.#lane.setup.maxRows; i++) {
      const record = n[block + 5 + i];
      if (record !== 0) n[ON_DISK] |= 1 << (record - 1);
    }
  }
}
