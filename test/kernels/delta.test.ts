import { expect, test } from 'vitest';
import { END, expectSame, guarded, kernels, OUT, putValues, SCRATCH, SOURCE, valuesAt } from './memory.js';
import { EDGES, everyCount, longCounts, MAX, MIN, wrap } from './values.js';

const differencesOf = (values: ArrayLike<bigint>) =>
  Array.from({ length: values.length }, (_, i) => (i === 0 ? 0n : wrap(values[i] - values[i - 1])));

/** 0, -1, 1, -2, 2, … become 0, 1, 2, 3, 4, … */
const zigzagOf = (value: bigint) => wrap(value < 0n ? -2n * value - 1n : 2n * value);

function roundTrip(values: readonly bigint[] | BigInt64Array): void {
  const { length } = values;
  const first = values[0] ?? 0n;
  const differences = differencesOf(values);
  const negative = Number(differences.some((difference) => difference < 0n));
  putValues(SOURCE, values);
  expect(guarded(OUT, 8 * length, () => kernels.differences(SOURCE, length, OUT))).toBe(negative);
  expectSame(valuesAt(OUT, length), differences);
  // In place, at the very end of the memory.
  const last = END - 8 * length;
  putValues(last, values);
  expect(kernels.differences(last, length, last)).toBe(negative);
  expectSame(valuesAt(last, length), differences);

  const sum = (handed: readonly bigint[], zigzagged: number) => {
    guarded(OUT, 8 * length, () => {
      putValues(OUT, handed);
      kernels.sumDifferences(OUT, length, first, zigzagged);
    });
    expectSame(valuesAt(OUT, length), values);
  };
  sum(differences, 0);
  const zigzagged = differences.map(zigzagOf);
  guarded(SCRATCH, 8 * length, () => {
    putValues(SCRATCH, differences);
    kernels.zigzag(SCRATCH, length);
  });
  expectSame(valuesAt(SCRATCH, length), zigzagged);
  sum(zigzagged, 1);
}

test('every count from 0 to 300: there and back, as described', () => {
  everyCount(roundTrip);
});

test('long columns', () => {
  longCounts(roundTrip);
});

test('every value that something turns over at, after every other', () => {
  for (const a of EDGES) for (const b of EDGES) roundTrip([a, b, a]);
});

test('by hand', () => {
  putValues(SOURCE, [1000n, 1010n, 1007n, MIN, MAX]);
  expect(kernels.differences(SOURCE, 5, OUT)).toBe(1);
  expectSame(valuesAt(OUT, 5), [0n, 10n, -3n, MIN - 1007n + 2n ** 64n, -1n].map(wrap));
  putValues(OUT, [0n, -1n, 1n, MIN, MAX]);
  kernels.zigzag(OUT, 5);
  expectSame(valuesAt(OUT, 5), [0n, 1n, 2n, -1n, -2n]);
});

test('one that is negative is found wherever it is', () => {
  for (const count of [1, 2, 3, 8, 9]) {
    for (let at = 1; at < count; at++) {
      const values = Array.from({ length: count }, (_, i) => (i < at ? 5n : 4n));
      putValues(SOURCE, values);
      expect(kernels.differences(SOURCE, count, OUT)).toBe(1);
    }
    putValues(SOURCE, new BigInt64Array(count).fill(-5n));
    expect(kernels.differences(SOURCE, count, OUT)).toBe(0);
  }
});
