import { test } from 'vitest';
import { END, expectSame, guarded, kernels, OUT, putValues, SOURCE, valuesAt } from './memory.js';
import { EDGES, everyCount, longCounts, wrap } from './values.js';

function addAndTake(values: readonly bigint[] | BigInt64Array, base: bigint): void {
  const { length } = values;
  const expected = Array.from(values, (value) => wrap(value + base));
  // The last of the memory.
  const source = END - 8 * length;
  putValues(source, values);
  guarded(OUT, 8 * length, () => kernels.addConstant(source, length, base, OUT));
  expectSame(valuesAt(OUT, length), expected);
  kernels.addConstant(source, length, base, source);
  expectSame(valuesAt(source, length), expected);
  guarded(OUT, 8 * length, () => kernels.addConstant(source, length, wrap(-base), OUT));
  expectSame(valuesAt(OUT, length), values);
}

test('addConstant: every count from 0 to 300, there and back, in place and not', () => {
  everyCount((values, seed) => addAndTake(values, EDGES[seed % EDGES.length]));
});

test('addConstant: long columns', () => {
  longCounts((values) => addAndTake(values, -(2n ** 63n) + 12_345n));
});

test('fill: every count from 0 to 300, and no value more', () => {
  for (let count = 0; count <= 300; count++) {
    for (const value of [0n, -1n, EDGES[count % EDGES.length]]) {
      guarded(OUT, 8 * count, () => kernels.fill(OUT, count, value));
      expectSame(valuesAt(OUT, count), new BigInt64Array(count).fill(value));
    }
    kernels.fill(END - 8 * count, count, 7n);
  }
  guarded(SOURCE, 8 * 70_000, () => kernels.fill(SOURCE, 70_000, -3n));
  expectSame(valuesAt(SOURCE, 70_000), new BigInt64Array(70_000).fill(-3n));
});
