// What kills the process, or takes the power from the machine.
import type { Fork } from './explore.js';
import {
  ALIVE,
  BLOCKS,
  CACHED_HEAD,
  CLOSER,
  CLOSER_TAIL,
  DEATHS,
  DISK_HEAD,
  DISK_SEALED_AT,
  DISK_TAIL,
  DRAINED,
  FLUSHER,
  GIVEN,
  HEAD,
  LANE_GONE,
  type Lane,
  MOST_RUNS,
  OFFSET,
  POWER_CUTS,
  PRODUCER,
  R,
  READ_AT,
  READ_LIMIT,
  READ_WORDS,
  READER,
  RECORD,
  RECOVERY,
  RUNS,
  SAW,
  SEALED_AT,
  STORED,
  TAIL,
  TAPE,
  WAITING,
  WRITTEN_BACK,
} from './lane.js';

const WRITTEN = ['tail', 'head, sealedAt', 'page 0 of the ring', 'page 1 of the ring'].map(
  (what) => `${what} is written back`,
);

export class Misfortune {
  readonly #lane: Lane;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  expand(s: Uint8Array, fork: Fork): void {
    const { deaths, powerCuts, ringPages, capacity } = this.#lane.setup;
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
          n.copyWithin(this.#lane.disk + start, this.#lane.ring + start, this.#lane.ring + end);
        }
      }
    }
    if (s[POWER_CUTS] === powerCuts) return;
    // Of copies that were not synced any may be left; where it is one of two that are alike, the first.
    const unsynced: number[] = [];
    let seconds = 0;
    for (let i = 0; i < s[BLOCKS]; i++) {
      const block = this.#lane.block(i);
      if (s[block + 2] === 1) unsynced.push(block + 2);
      if (s[block + 3] !== 1) continue;
      if (s[block + 2] === 1) seconds |= 1 << unsynced.length;
      unsynced.push(block + 3);
    }
    for (let left = 0; left < 1 << unsynced.length; left++) {
      if ((left & seconds & ~(left << 1)) !== 0) continue;
      const n = fork('the power fails', true);
      if (n[POWER_CUTS]++ === 0) {
        n[HEAD] = n[DISK_HEAD];
        n[TAIL] = n[DISK_TAIL];
        n[SEALED_AT] = n[DISK_SEALED_AT];
        n.copyWithin(this.#lane.ring, this.#lane.disk, this.#lane.disk + capacity);
        n.fill(0, this.#lane.disk, this.#lane.disk + capacity);
        for (const at of [DISK_HEAD, DISK_TAIL, DISK_SEALED_AT, WRITTEN_BACK]) n[at] = 0;
      }
      // That a file was removed may be lost too.
      if (!this.#lane.is['recovery removes the lane first']) n[LANE_GONE] = 0;
      for (const [i, copy] of unsynced.entries()) n[copy] = (left >> i) & 1 ? 2 : 0;
      this.#die(n);
    }
  }

  /** What only memory held is gone; the lane's file and the copies are as they are. */
  #die(n: Uint8Array): void {
    for (const at of [CACHED_HEAD, OFFSET, WAITING, TAPE, PRODUCER, RECORD, STORED, SAW]) n[at] = 0;
    for (const at of [
      FLUSHER,
      CLOSER,
      CLOSER_TAIL,
      ALIVE,
      RUNS,
      READER,
      READ_AT,
      READ_LIMIT,
      READ_WORDS,
      GIVEN,
      DRAINED,
    ])
      n[at] = 0;
    n.fill(0, this.#lane.runs, this.#lane.runs + MOST_RUNS * this.#lane.runBytes);
    this.#lane.forgetFlusher(n);
    n[RECOVERY] = R.due;
  }
}
