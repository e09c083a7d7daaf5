import { hashOf, noteOf, payloadOf, priceOf, symbolOf, timestampOf } from './records.mjs';

/** Ways in which records can be wrong; see Checker. */
export const WRONGS = /** @type {const} */ ([
  'lost',
  'duplicated',
  'reordered',
  'altered',
  'holes',
  'unexpected',
  'misnumbered',
]);

const EXAMPLES = 20;

/**
 * Told of every record of a tape in the order of their sequences, says what is wrong with them.
 *
 * `lost`: acknowledged and not there. `holes`: not acknowledged and not there, though a later one of its worker is. `duplicated`:
 * there before. `reordered`: behind a later one of its worker. `altered`: not what derives from its worker and counter.
 * `unexpected`: never appended. `misnumbered`: of another sequence than the one that follows, sequences that were skipped left out.
 */
export class Checker {
  /**
   * @param {{ recordSeed: number, noted: boolean, acknowledged: number[], attempted: number[],
   *   skipped?: readonly { from: bigint, to: bigint }[] }} expected the last counter
   *   that each worker acknowledged, and the last that it may have appended
   */
  constructor({ recordSeed, noted, acknowledged, attempted, skipped = [] }) {
    this.recordSeed = recordSeed;
    this.noted = noted;
    this.acknowledged = acknowledged;
    this.attempted = attempted;
    this.next = acknowledged.map(() => 1);
    /** @type {Set<number>[]} */
    this.missing = acknowledged.map(() => new Set());
    /** By the first of each. @type {Map<bigint, bigint>} */
    this.skipped = new Map(skipped.map(({ from, to }) => [from, to]));
    this.nextSequence = 0n;
    this.records = 0;
    this.found = { lost: 0, duplicated: 0, reordered: 0, altered: 0, holes: 0, unexpected: 0, misnumbered: 0 };
    /** @type {string[]} */
    this.examples = [];
  }

  /** @param {(typeof WRONGS)[number]} what @param {string} which */
  report(what, which) {
    this.found[what]++;
    if (this.examples.length < EXAMPLES) this.examples.push(`${what}: ${which}`);
  }

  /** @param {Record<string, any>} record with its `sequence` */
  take({ sequence, ts, symbol, worker, counter, price, value, note }) {
    this.records++;
    const which = `sequence ${sequence}, worker ${worker}, counter ${counter}`;
    for (let to = this.skipped.get(this.nextSequence); to !== undefined; to = this.skipped.get(to))
      this.nextSequence = to;
    if (sequence !== this.nextSequence) this.report('misnumbered', which);
    this.nextSequence = sequence + 1n;
    if (worker >= this.next.length || counter < 1 || counter > this.attempted[worker]) {
      this.report('unexpected', which);
      return;
    }
    const hash = hashOf(this.recordSeed, worker, counter);
    if (
      ts !== timestampOf(hash, counter) ||
      symbol !== symbolOf(hash, counter) ||
      price !== priceOf(hash) ||
      value !== payloadOf(hash, counter) ||
      (this.noted && note !== noteOf(hash))
    ) {
      this.report('altered', `${which}: ${[ts, symbol, price, value, note].join(' ')}`);
    }
    const next = this.next[worker];
    if (counter < next) {
      this.report(this.missing[worker].delete(counter) ? 'reordered' : 'duplicated', which);
      return;
    }
    for (let skipped = next; skipped < counter; skipped++) this.missing[worker].add(skipped);
    this.next[worker] = counter + 1;
  }

  /** What was found, once every record was taken. */
  finish() {
    let unacknowledged = 0;
    this.acknowledged.forEach((acknowledged, worker) => {
      const last = this.next[worker] - 1;
      for (const counter of this.missing[worker]) {
        this.report(counter <= acknowledged ? 'lost' : 'holes', `worker ${worker}, counter ${counter}`);
      }
      if (last < acknowledged) {
        this.report('lost', `worker ${worker}, counters ${last + 1} to ${acknowledged}`);
        this.found.lost += acknowledged - last - 1;
      }
      unacknowledged += Math.max(0, last - acknowledged);
    });
    const counters = this.next.map((next) => next - 1);
    return { ...this.found, records: this.records, unacknowledged, counters, examples: this.examples };
  }
}
