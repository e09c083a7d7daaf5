// What happens in a round, as far as a seed can say it: when exactly a kill strikes depends on the machine.
import { MAX_SYMBOLS } from './records.mjs';

/** Rounds on one tape, so that epochs, symbols and sequences carry on. */
export const ROUNDS_PER_TAPE = 5;

/** Numbers from 0 up to 1 that derive from the seeds. @param {number[]} seeds */
export function randomOf(...seeds) {
  let state = seeds.reduce((hash, seed) => Math.imul(hash ^ seed, 0x9e3779b1) ^ (hash >>> 15), 0x243f6a88);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let hash = Math.imul(state ^ (state >>> 15), state | 1);
    hash ^= hash + Math.imul(hash ^ (hash >>> 7), hash | 61);
    return ((hash ^ (hash >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @template T @param {() => number} random @param {readonly T[]} choices */
const pick = (random, choices) => choices[Math.floor(random() * choices.length)];

/** @param {() => number} random */
const between = (random, /** @type {number} */ low, /** @type {number} */ high) => low + random() * (high - low);

/** The tape of rounds `tape * ROUNDS_PER_TAPE` and following. */
export function planTape(/** @type {number} */ seed, /** @type {number} */ tape) {
  const random = randomOf(seed, tape, 1);
  return { recordSeed: Math.floor(random() * 2 ** 32), noted: random() < 0.5 };
}

/** Options of one open. All but the redundancy may differ from those of the open before. @param {() => number} random */
const planOptions = (random) => ({
  redundancy: 2,
  capacity: Math.floor(between(random, 500, 2000)),
  journalMode: 'mapped',
  segmentBytes: 1024 ** 2,
  segmentMaxAgeMs: pick(random, [3_600_000, 200, 40]),
  flushIntervalMs: pick(random, [1000, 50, 5]),
  syncIntervalMs: pick(random, [1000, 30, 0]),
  durability: pick(random, ['process', 'process', 'process', 'disk']),
  compression: pick(random, [{ zstd: 1 }, { zstd: 1 }, 'off']),
  laneBytes: pick(random, [undefined, 512 * 1024, 64 * 1024]),
  maxSymbols: MAX_SYMBOLS,
});

/**
 * `appending`: killed while workers append. `recovering`: and again, while the next open recovers. `opening`, `closing`: killed
 * while it does that. `exiting`: the process ends without closing the tape. `terminating`: a worker ends in the middle of its work,
 * the others go on, and the tape is closed.
 *
 * @typedef {'appending' | 'recovering' | 'opening' | 'closing' | 'exiting' | 'terminating'} Ending
 */
/** @type {readonly [Ending, number][]} */
const ENDINGS = [
  ['appending', 0.4],
  ['recovering', 0.25],
  ['closing', 0.15],
  ['opening', 0.08],
  ['exiting', 0.06],
  ['terminating', 0.06],
];

/** Round `round`, counted over all tapes. */
export function planRound(/** @type {number} */ seed, /** @type {number} */ round) {
  const random = randomOf(seed, round, 2);
  let left = random();
  const [ending] =
    ENDINGS.find(([, share]) => {
      left -= share;
      return left < 0;
    }) ?? ENDINGS[0];
  return {
    ending,
    options: planOptions(random),
    /** Of those who open the tape after it was killed. */
    laterOptions: planOptions(random),
    /** From the first acknowledgement on: 30 to 600, mostly short, as there are to be many rounds. */
    appendMs: 30 * 20 ** (random() ** 2),
    /** Where in an open or a close it is killed, in terms of how long one takes. */
    fractions: Array.from({ length: 1 + Math.floor(random() ** 2 * 3) }, () => random() * 1.2),
    /** How long workers rest at most between a few bursts. Without it their lanes are always full. */
    restMs: pick(random, [0, 4, 8, 8]),
    burstSeed: Math.floor(random() * 2 ** 32),
  };
}

/**
 * What happens in a round to one of the storage nodes, and what is done about it. Apart from the rest, so that a round is the same
 * with it and without.
 */
export function planDeletion(
  /** @type {number} */ seed,
  /** @type {number} */ round,
  /** @type {number} */ storageNodes,
) {
  const random = randomOf(seed, round, 3);
  const repairers = /** @type {const} */ (['writer', 'alone']);
  return {
    deleted: Math.floor(random() * storageNodes),
    /** Of the repair that is verified. */
    repairer: pick(random, repairers),
    /** Repairs before it, each killed when it has been at it for a fraction of the time that one takes. Mostly none. */
    killedRepairs: Array.from({ length: Math.max(0, Math.floor(random() * 5) - 2) }, () => ({
      repairer: pick(random, repairers),
      fraction: random() * 1.2,
    })),
  };
}
