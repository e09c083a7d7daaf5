// The protocol of a lane: a producer, the flusher, two storage nodes, a closer, a reader, and whatever may kill them. Each step is one
// access to what others see too; what a thread does for itself goes with the access before or after it. Names are the real code's.
//
// Steps of several threads follow on each other in any order, but no thread sees the steps of another out of order (sequential
// consistency). That is what the real code has: `tail`, `head`, `drained`, `sealedAt`, `waiting` and the tape's state are stored and
// loaded by sequentially consistent atomics, and what is stored plainly (the words of a record) is read by others only once they
// have seen the atomic store behind it. Only the reader loads words
// that may be stored meanwhile, and takes what it copied by its checksum alone, in whatever order it saw them.
//
// A file for each who takes part, and lane.ts for what they share. Beside each step stands the function that it is a step of.
import { Closer } from './closer.js';
import type { Fork, Model } from './explore.js';
import { Flusher } from './flusher.js';
import {
  ALIVE,
  ANSWERED_CLOSED,
  BLOCKS,
  BROKEN,
  C,
  CLOSER,
  DISK_SEALED_AT,
  DRAINED,
  F,
  FLUSHER,
  GIVEN,
  HEAD,
  Lane,
  NEVER,
  NOBODYS,
  ON_DISK,
  P,
  POWER_CUTS,
  PRODUCER,
  PROPERTIES,
  PROPERTY_NAMES,
  type Property,
  R,
  RECORD,
  RECOVERY,
  RETURNED,
  SEALED_AT,
  type Setup,
  TAIL,
  WAITING,
} from './lane.js';
import { LiveReader } from './live-reader.js';
import { Misfortune } from './misfortune.js';
import { Producer } from './producer.js';
import { Recovery } from './recovery.js';

export class LaneModel implements Model {
  readonly lane: Lane;
  readonly bytes: number;
  readonly #actors: { expand(s: Uint8Array, fork: Fork): void }[];
  readonly #others: { expand(s: Uint8Array, fork: Fork): void }[];

  constructor(setup: Setup) {
    const lane = new Lane(setup);
    const producer = new Producer(lane);
    this.lane = lane;
    this.bytes = lane.bytes;
    this.#actors = [producer, new Flusher(lane, producer), new Closer(lane, producer)];
    if (lane.setup.reads) this.#actors.push(new LiveReader(lane));
    this.#others = [new Recovery(lane), new Misfortune(lane)];
  }

  begin(s: Uint8Array): void {
    s.fill(0);
    s[SEALED_AT] = NEVER;
    s[DISK_SEALED_AT] = NEVER;
    s[ALIVE] = 1;
  }

  expand(s: Uint8Array, fork: Fork): void {
    if (s[ALIVE] === 1) for (const actor of this.#actors) actor.expand(s, fork);
    for (const other of this.#others) other.expand(s, fork);
  }

  broken(s: Uint8Array): string | null {
    const property =
      s[BROKEN] > 0 ? PROPERTY_NAMES[s[BROKEN] - 1] : (this.#counters(s) ?? this.#given(s) ?? this.#tape(s));
    return property === null ? null : PROPERTIES[property];
  }

  #counters(s: Uint8Array): Property | null {
    if (s[ALIVE] === 0 || s[RECOVERY] !== R.none) return null;
    const isOrdered = s[HEAD] <= s[DRAINED] && s[DRAINED] <= s[TAIL] && s[TAIL] <= s[HEAD] + this.lane.setup.capacity;
    if (!isOrdered) return 'order';
    return s[HEAD] > this.lane.stored(s) ? 'released' : null;
  }

  /** What the reader gave to somebody. */
  #given(s: Uint8Array): Property | null {
    for (let record = 1; record <= this.lane.setup.sizes.length; record++) {
      const isGiven = (s[GIVEN] & (1 << (record - 1))) !== 0;
      if (isGiven && s[this.lane.answers + record] === ANSWERED_CLOSED) return 'given';
    }
    return null;
  }

  /** What is on the tape, once there is nothing more in the lane. */
  #tape(s: Uint8Array): Property | null {
    const { sizes, maxRows } = this.lane.setup;
    if (s[RECOVERY] !== R.done && s[CLOSER] !== C.closed) return null;
    let last = 0;
    let seen = 0;
    let next = 0;
    let holes = false;
    let losses = false;
    for (let i = 0; i < s[BLOCKS]; i++) {
      const block = this.lane.block(i);
      if (s[block + 2] === 0 || s[block + 3] === 0) return 'copies';
      for (; next < s[block + 4]; next++) {
        if (this.lane.isSkipped(s, next)) losses = true;
        else holes = true;
      }
      next += this.lane.count(s, block);
      for (let row = 0; row < maxRows; row++) {
        const record = s[block + 5 + row];
        if (record === 0) continue;
        if (record === NOBODYS) return 'invented';
        if ((seen & (1 << record)) !== 0) return 'twice';
        seen |= 1 << record;
        if (record < last && !losses) return 'misordered';
        last = record;
      }
    }
    for (let record = 1; record <= sizes.length; record++) {
      const answer = s[this.lane.answers + record];
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
    const producer = s[PRODUCER] === P.left || (s[PRODUCER] === P.idle && s[RECORD] === this.lane.setup.sizes.length);
    const flusher = s[FLUSHER] === F.idle || s[FLUSHER] === F.closed || s[FLUSHER] === F.lost;
    const closer = s[CLOSER] === C.open || s[CLOSER] === C.failed || s[CLOSER] === C.closed;
    return producer && flusher && closer;
  }

  // ---- for people ---------------------------------------------------------------------------------------------------------------------

  describe(s: Uint8Array): string {
    const { sizes, capacity } = this.lane.setup;
    const ring = [...s.subarray(this.lane.ring, this.lane.ring + capacity)]
      .map((word) => this.lane.words.describe(word))
      .join(' ');
    const blocks = Array.from({ length: s[BLOCKS] }, (_, i) => {
      const block = this.lane.block(i);
      const records = [...s.subarray(block + 5, block + this.lane.blockBytes)].filter((record) => record !== 0);
      return `[${s[block]}..${s[block + 1]} #${s[block + 4]}: ${records} on ${['-', 'w', 's'][s[block + 2]]}${['-', 'w', 's'][s[block + 3]]}]`;
    });
    const signs = ['·', 'returned', 'CLOSED', 'FAILED', 'dropped', 'TOO_LARGE', 'BAD_VALUE'];
    const answers = sizes.map((_, i) => signs[s[this.lane.answers + 1 + i]]).join(' ');
    const sealed = s[SEALED_AT] === NEVER ? '' : ` sealedAt ${s[SEALED_AT]}`;
    const waiting = s[WAITING] === 1 ? ' waiting' : '';
    return `head ${s[HEAD]} drained ${s[DRAINED]} tail ${s[TAIL]}${sealed}${waiting} | ${ring} | ${blocks.join(' ')} | ${answers}`;
  }
}
