// What the next open does: src/session.ts, src/journal/recovery.ts.
import type { Fork } from './explore.js';
import {
  BLOCKS,
  HEAD,
  LANE_GONE,
  type Lane,
  MOST_RUNS,
  NEVER,
  NOBODYS,
  R,
  RECOVERY,
  RUNS,
  SEALED_AT,
  TAIL,
  UNCLOSED_FROM,
} from './lane.js';

const APPENDS = [0, 1].map((node) => `recovery: sealLanes: append to node ${node}`);
const SYNCS = [0, 1].map((node) => `recovery: sealLanes: sync node ${node}`);

export class Recovery {
  readonly #lane: Lane;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  expand(s: Uint8Array, fork: Fork): void {
    const { powerCuts, maxRows } = this.#lane.setup;
    const is = this.#lane.is;
    switch (s[RECOVERY]) {
      // recovery.ts, planRecovery: all of the lane's bytes are read here, and what to make of them follows from that alone.
      case R.due: {
        const n = fork('recovery: planRecovery');
        this.#plan(n);
        n[RECOVERY] = R.planned;
        if (is['recovery removes the lane first']) n[LANE_GONE] = 1;
        return;
      }
      case R.planned: {
        // session.ts, syncSegments. `writeAsync` of a process that died counts as written.
        for (let i = 0; i < s[BLOCKS] && !is['recovery syncs no old segments']; i++) {
          const block = this.#lane.block(i);
          for (const copy of [block + 2, block + 3]) {
            if (s[copy] !== 1) continue;
            fork('recovery: syncSegments')[copy] = 2;
            return;
          }
        }
        // session.ts, claimDirectories, after skipUnclosed.
        const n = fork('recovery: claimDirectories');
        if (!is['gaps of a session that did not end are not skipped']) this.#lane.skipFrom(n, n[UNCLOSED_FROM]);
        n[UNCLOSED_FROM] = this.#lane.nextSequence(n);
        n[RECOVERY] = R.claimed;
        return;
      }
      case R.claimed: {
        // recovery.ts, storeBlock.
        for (let i = 0; i < s[BLOCKS]; i++) {
          const block = this.#lane.block(i);
          const missing = this.#lane.copyBelow(s, block, 1);
          if (missing < 0) continue;
          // Written and synced: between the two it is as before or as after.
          fork('recovery: storeBlock')[missing] = 2;
          return;
        }
        // recovery.ts, sealLanes.
        if (s[RUNS] > 0) {
          const n = fork('recovery: sealLanes: seal');
          const run = this.#lane.runs;
          this.#lane.addBlock(n, n[run], n[run + 1], run + 2, maxRows);
          n.copyWithin(run, run + this.#lane.runBytes, run + MOST_RUNS * this.#lane.runBytes);
          n.fill(0, run + (MOST_RUNS - 1) * this.#lane.runBytes, run + MOST_RUNS * this.#lane.runBytes);
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
        const block = this.#lane.block(s[BLOCKS] - 1);
        if (s[block + 2] === 2 && s[block + 3] === 2) {
          fork('recovery: sealLanes: the next run')[RECOVERY] = R.claimed;
          return;
        }
        const missing = this.#lane.copyBelow(s, block, 1);
        if (missing >= 0) fork(APPENDS[missing - block - 2])[missing] = powerCuts > 0 ? 1 : 2;
        // `durable: true`.
        const unsynced = this.#lane.copyBelow(s, block, 2);
        if (unsynced >= 0 && s[unsynced] === 1) fork(SYNCS[unsynced - block - 2])[unsynced] = 2;
      }
    }
  }

  /** Finds the runs of records that are in the lane only, cut into blocks. */
  #plan(n: Uint8Array): void {
    const { capacity, maxRows } = this.#lane.setup;
    n[RUNS] = 0;
    if (n[LANE_GONE] === 1) return;
    // recovery.ts, unreleased.
    const from = n[TAIL] - n[HEAD] > capacity ? n[TAIL] - capacity : n[HEAD];
    const isSealed = n[SEALED_AT] !== NEVER && !this.#lane.is['recovery goes on behind sealedAt'];
    const to = isSealed ? Math.min(n[SEALED_AT], from + capacity) : from + capacity;
    // recovery.ts, heldRanges; ranges.ts, subtract: whether a position is in one of the ranges that blocks hold.
    const held = (position: number): number => {
      if (this.#lane.is['recovery ignores what blocks hold']) return 0;
      for (let i = 0; i < n[BLOCKS]; i++) {
        const block = this.#lane.block(i);
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
        const run = this.#lane.runs + n[RUNS]++ * this.#lane.runBytes;
        n[run] = start;
        n[run + 1] = position;
        for (let i = 0; i < rows.length; i++) n[run + 2 + i] = rows[i];
      }
      rows = [];
      start = position;
    };
    while (position < to) {
      const believes = this.#lane.is['recovery believes tail, not checksums'] && position < n[TAIL];
      const step = believes ? this.#lane.outline(n, position, to) : this.#lane.probe(n, position, to);
      if (step < 0) position -= step;
      else if (step > 0) {
        if (rows.length === maxRows) close();
        const record = this.#lane.words.of[n[this.#lane.at(position + 1)]];
        rows.push(this.#lane.isWhole(n, position) ? record : NOBODYS);
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
}
