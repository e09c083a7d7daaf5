import { test } from 'vitest';
import { CHUNK, END, expectSame, guarded, kernels, OUT, putValues, SOURCE, valuesAt } from './memory.js';
import { EDGES, everyCount, longColumn, longCounts, wrap } from './values.js';

function roundTrip(values: readonly bigint[] | BigInt64Array, others: readonly bigint[] | BigInt64Array): void {
  const { length } = values;
  const expected = Array.from(values, (value, i) => wrap(value - others[i]));
  const reference = END - 8 * length;
  putValues(SOURCE, values);
  putValues(reference, others);
  guarded(OUT, 8 * length, () => kernels.subtract(SOURCE, reference, length, OUT));
  expectSame(valuesAt(OUT, length), expected);
  kernels.subtract(SOURCE, reference, length, SOURCE);
  expectSame(valuesAt(SOURCE, length), expected);
  guarded(CHUNK, 8 * length, () => {
    putValues(CHUNK, expected);
    kernels.add(CHUNK, reference, length);
  });
  expectSame(valuesAt(CHUNK, length), values);
  expectSame(valuesAt(reference, length), others);
}

test('every count from 0 to 300: there and back, in place and not', () => {
  everyCount((values, seed) => roundTrip(values, longColumn(values.length, seed)));
});

test('long columns', () => {
  longCounts((values, seed) => roundTrip(values, longColumn(values.length, seed + 1)));
});

test('every value that something turns over at, less every other', () => {
  const count = EDGES.length;
  for (let by = 0; by < count; by++)
    roundTrip(
      EDGES,
      Array.from(EDGES, (_, i) => EDGES[(i + by) % count]),
    );
});
