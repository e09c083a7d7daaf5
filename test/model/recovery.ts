// src/journal/recovery.ts, as it runs at the next open.
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
} from './lane.js';

export class Recovery {
  readonly #lane: Lane;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  expand(s: Uint8Array, fork: Fork): void {
    const { powerCuts, maxRows } = this.#lane.setup;
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
        if (this.#lane.is['recovery removes the lane first']) n[LANE_GONE] = 1;
        return;
      }
      case R.planned: {
        // recovery.ts, copyBlock.
        for (let i = 0; i < s[BLOCKS]; i++) {
          const block = this.#lane.block(i);
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
        if (unsynced >= 0 && (s[RUNS] === 0 || this.#lane.is['recovery syncs old segments first'])) {
          store('sealSegmentFile', unsynced);
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
          fork('recovery: sealLanes: the next run')[RECOVERY] = R.planned;
        } else store('sealLanes', block);
      }
    }
  }

  #unsyncedBlock(s: Uint8Array): number {
    for (let i = 0; i < s[BLOCKS]; i++) {
      const block = this.#lane.block(i);
      if (s[block + 2] === 1 || s[block + 3] === 1) return block;
    }
    return -1;
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
