import { Random } from '../../dist/src/collect/sources/random.js';

/** Choices that derive from seeds: the same on every runtime. */
export class Dice extends Random {
  /** A whole number from 0 up to `end`. */
  below(/** @type {number} */ end) {
    return Math.floor(this.unit() * end);
  }

  /** A whole number from `low` to `high`. */
  between(/** @type {number} */ low, /** @type {number} */ high) {
    return low + Math.floor(this.unit() * (high - low + 1));
  }

  chance(/** @type {number} */ share) {
    return this.unit() < share;
  }

  /** @template T @param {readonly T[]} choices */
  pick(choices) {
    return choices[Math.floor(this.unit() * choices.length)];
  }
}
