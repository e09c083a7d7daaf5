import { expect, test } from 'vitest';
import {
  bytes,
  CHUNK,
  END,
  expectSame,
  guarded,
  kernels,
  OUT,
  putValues,
  SCRATCH,
  SOURCE,
  valuesAt,
} from './memory.js';
import { everyCount, idsBelow, longCounts, MAX, MIN, wrap } from './values.js';

function groupDifferencesOf(values: ArrayLike<bigint>, groups: Uint8Array): bigint[] {
  const last = new Map<number, bigint>();
  return Array.from(groups, (group, i) => {
    const difference = wrap(values[i] - (last.get(group) ?? 0n));
    last.set(group, values[i]);
    return difference;
  });
}

const zigzagOf = (value: bigint) => wrap(value < 0n ? -2n * value - 1n : 2n * value);

/** Room for what is last of each group. */
const LAST = SCRATCH;
const LAST_BYTES = 2048;

function roundTrip(values: readonly bigint[] | BigInt64Array, groups: Uint8Array): void {
  const { length } = values;
  const expected = groupDifferencesOf(values, groups);
  const negative = Number(expected.some((difference) => difference < 0n));
  const at = END - length;
  bytes.set(groups, at);
  putValues(SOURCE, values);
  const answer = guarded(OUT, 8 * length, () =>
    guarded(LAST, LAST_BYTES, () => kernels.groupDifferences(SOURCE, at, length, LAST, OUT)),
  );
  expect(answer).toBe(negative);
  expectSame(valuesAt(OUT, length), expected);
  kernels.groupDifferences(SOURCE, at, length, LAST, SOURCE);
  expectSame(valuesAt(SOURCE, length), expected);
  for (const [zigzagged, handed] of [expected, expected.map(zigzagOf)].entries()) {
    guarded(CHUNK, 8 * length, () => {
      putValues(CHUNK, handed);
      guarded(LAST, LAST_BYTES, () => kernels.sumGroups(CHUNK, at, length, LAST, zigzagged));
    });
    expectSame(valuesAt(CHUNK, length), values);
  }
}

test('every count from 0 to 300, in one group to 256: there and back', () => {
  everyCount((values, seed) => roundTrip(values, idsBelow([1, 2, 7, 256][seed % 4], values.length, seed)));
});

test('long columns', () => {
  longCounts((values, seed) => roundTrip(values, idsBelow(1 + (seed % 256), values.length, seed)));
});

test('by hand: the first of a group is its difference to 0', () => {
  roundTrip([], new Uint8Array(0));
  const groups = Uint8Array.of(0, 255, 0, 255, 7);
  expect(groupDifferencesOf([100n, MIN, 101n, MAX, -1n], groups)).toEqual([100n, MIN, 1n, -1n, -1n]);
  roundTrip([100n, MIN, 101n, MAX, -1n], groups);
});
