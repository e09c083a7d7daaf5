import fc from 'fast-check';
import { noise, wrap } from '../helpers/numbers.js';

export { noise, wrap };

export const MIN = -(2n ** 63n);
export const MAX = 2n ** 63n - 1n;
export const int64 = fc.bigInt({ min: MIN, max: MAX });

/** Values at which something in a kernel turns over, or its neighbour does. */
export const EDGES: readonly bigint[] = [
  ...[0n, 1n, -1n, MIN, MIN + 1n, MAX, MAX - 1n],
  ...[2n, 3n, 4n, 8n, 31n, 32n, 51n, 52n, 53n, 55n, 56n, 57n, 60n, 61n, 62n].flatMap((bits) =>
    [-1n, 0n, 1n].flatMap((near) => [2n ** bits + near, -(2n ** bits) + near]),
  ),
];

/** Columns of `length` values, of every sort that changes a path. */
export function column(length: number): fc.Arbitrary<bigint[]> {
  const exactly = { minLength: length, maxLength: length };
  const narrow = fc.tuple(int64, fc.integer({ min: 0, max: 64 })).chain(([base, width]) =>
    fc.array(
      fc.bigInt({ min: 0n, max: 2n ** BigInt(width) - 1n }).map((value) => wrap(base + value)),
      exactly,
    ),
  );
  const monotone = fc.tuple(int64, fc.integer({ min: 0, max: 64 })).chain(([first, width]) =>
    fc.array(fc.bigInt({ min: 0n, max: 2n ** BigInt(width) - 1n }), exactly).map((steps) => {
      let value = first;
      return steps.map((step) => {
        value = wrap(value + step);
        return value;
      });
    }),
  );
  return fc.oneof(
    fc.array(int64, exactly),
    fc.array(fc.constantFrom(...EDGES), exactly),
    int64.map((value) => new Array<bigint>(length).fill(value)),
    narrow,
    monotone,
  );
}

/** A long column, quicker than fast-check can make one: 128 values of this width, 128 of that. */
export function longColumn(length: number, seed: number): BigInt64Array {
  let state = BigInt(seed) + 0x9e3779b97f4a7c15n;
  let value = 0n;
  let mask = 0n;
  return BigInt64Array.from({ length }, (_, i) => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    const random = state ^ (state >> 29n);
    if (i % 128 === 0) mask = 2n ** (random % 65n) - 1n;
    value = seed % 2 === 0 ? random & mask : value + (random & mask);
    return wrap(value);
  });
}

/** Calls `check` with columns of every count from 0 to 300. */
export function everyCount(check: (values: bigint[], seed: number) => void, numRuns = 2): void {
  for (let count = 0; count <= 300; count++) {
    const property = fc.property(column(count), fc.nat(1_000_000), (values, seed) => {
      check(values, seed);
    });
    fc.assert(property, { numRuns });
  }
}

/** The same with a few long ones. */
export function longCounts(check: (values: BigInt64Array, seed: number) => void, numRuns = 5): void {
  fc.assert(
    fc.property(fc.integer({ min: 301, max: 70_000 }), fc.nat(1_000_000), (count, seed) => {
      check(longColumn(count, seed), seed);
    }),
    { numRuns },
  );
  check(longColumn(70_000, 1), 1);
}

/** `count` ids below `known`, each of which comes. */
export function idsBelow(known: number, count: number, seed: number): Uint8Array {
  const next = noise(seed);
  return Uint8Array.from({ length: count }, (_, i) => (i < known ? i : next() % known));
}
