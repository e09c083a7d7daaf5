import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHUNK, END, expectSame, guarded, kernels, OUT, putValues, SCRATCH, valuesAt } from './memory.js';
import { column, EDGES, everyCount, int64, longCounts, MAX, MIN, noise, wrap } from './values.js';

/** Values less the base are below this, or there is no split. */
const EXACT = 2n ** 52n;
const leastOf = (values: ArrayLike<bigint>) => Array.from(values).reduce((a, b) => (b < a ? b : a), values[0] ?? 0n);

function roundTrip(values: readonly bigint[] | BigInt64Array, base: bigint, divisor: bigint): void {
  const { length } = values;
  const above = Array.from(values, (value) => BigInt.asUintN(64, value - base));
  const source = END - 8 * length;
  putValues(source, values);
  const answer = guarded(OUT, 8 * length, () =>
    guarded(CHUNK, 8 * length, () => kernels.split(source, length, base, divisor, OUT, CHUNK)),
  );
  if (above.some((value) => value >= EXACT)) {
    expect(answer).toBe(-1);
    return;
  }
  const quotients = above.map((value) => value / divisor);
  const remainders = above.map((value) => value % divisor);
  expect(answer).toBe(Number(remainders.some((remainder) => remainder !== 0n)));
  expectSame(valuesAt(OUT, length), quotients);
  expectSame(valuesAt(CHUNK, length), remainders);
  // The quotients over the values.
  expect(kernels.split(source, length, base, divisor, source, SCRATCH)).toBe(answer);
  expectSame(valuesAt(source, length), quotients);
  expectSame(valuesAt(SCRATCH, length), remainders);
  putValues(source, remainders);
  guarded(OUT, 8 * length, () => {
    putValues(OUT, quotients);
    kernels.join(OUT, source, length, base, divisor);
  });
  expectSame(valuesAt(OUT, length), values);
}

const divisors = fc.oneof(
  fc.bigInt({ min: 2n, max: EXACT }),
  fc.bigInt({ min: 2n, max: 1000n }),
  fc.constantFrom(2n, 3n, 10n, 25n, 100n, 10n ** 9n, EXACT - 1n, EXACT),
);
/** Columns whose values are close enough, most of them about multiples. */
const splittable = (count: number) =>
  fc.tuple(int64, divisors, fc.nat(1_000_000)).map(([base, divisor, seed]) => {
    const next = noise(seed);
    const values = Array.from({ length: count }, () => {
      const multiple = (BigInt(Math.floor(next() / 2)) / divisor) * divisor + BigInt((next() % 3) - 1);
      return wrap(base + (multiple < 0n ? 0n : multiple >= EXACT ? EXACT - 1n : multiple));
    });
    return { base, divisor, values };
  });

describe('split and join', () => {
  test('every count from 0 to 300: quotients and remainders, and back', () => {
    for (let count = 0; count <= 300; count++) {
      fc.assert(
        fc.property(splittable(count), ({ base, divisor, values }) => roundTrip(values, base, divisor)),
        { numRuns: 3 },
      );
    }
  });

  test('any columns: split, or refused as too wide', () => {
    let refused = 0;
    for (let count = 1; count <= 300; count += 7) {
      fc.assert(
        fc.property(column(count), divisors, (values, divisor) => {
          const base = leastOf(values);
          if (values.some((value) => BigInt.asUintN(64, value - base) >= EXACT)) refused++;
          roundTrip(values, base, divisor);
        }),
        { numRuns: 5 },
      );
    }
    expect(refused).toBeGreaterThan(20);
  });

  test('long columns', () => {
    longCounts((values, seed) => {
      const next = noise(seed);
      const near = values.map((value) => BigInt.asUintN(20 + (seed % 32), value) * BigInt(1 + (next() % 2)));
      roundTrip(near, leastOf(near), BigInt(2 + (seed % 1000)));
    }, 2);
  });

  test('beside every multiple, where a reciprocal is off by one', () => {
    const next = noise(7);
    for (let i = 0; i < 3000; i++) {
      const divisor = BigInt(2 + (next() % 2 ** (1 + (i % 51))));
      const quotient = BigInt(next() % Number((EXACT - 1n) / divisor + 1n));
      const values = [-1n, 0n, 1n].map((near) => quotient * divisor + near);
      roundTrip(
        values.filter((value) => value >= 0n && value < EXACT),
        0n,
        divisor,
      );
    }
    for (const divisor of [2n, 3n, 5n, 7n, 10n, 1000n, EXACT - 1n, EXACT]) {
      roundTrip([0n, 1n, divisor - 1n, EXACT - 1n, EXACT - 2n], 0n, divisor);
    }
  });

  test('a value that is too far from the base, wherever it is: refused', () => {
    for (const count of [1, 2, 3, 50]) {
      for (let at = 0; at < count; at++) {
        for (const [base, far] of [
          [0n, EXACT],
          [0n, -1n],
          [MIN, MAX],
          [-5n, EXACT - 5n],
        ]) {
          roundTrip(new Array<bigint>(count).fill(base).with(at, far), base, 10n);
          roundTrip(new Array<bigint>(count).fill(base).with(at, wrap(base + EXACT - 1n)), base, 10n);
        }
      }
    }
  });
});

test('join: any numbers, wrapping', () => {
  everyCount((values, seed) => {
    const { length } = values;
    const [base, divisor] = [EDGES[seed % EDGES.length], EDGES[(seed + 7) % EDGES.length]];
    const remainders = values.toReversed();
    putValues(CHUNK, remainders);
    guarded(OUT, 8 * length, () => {
      putValues(OUT, values);
      kernels.join(OUT, CHUNK, length, base, divisor);
    });
    expectSame(
      valuesAt(OUT, length),
      values.map((value, i) => wrap(value * divisor + base + remainders[i])),
    );
  }, 1);
});

describe('commonDivisor', () => {
  const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b));

  function check(values: readonly bigint[] | BigInt64Array, base: bigint): bigint {
    const source = END - 8 * values.length;
    putValues(source, values);
    const expected = Array.from(values).reduce((all, value) => gcd(all, BigInt.asUintN(64, value - base)), 0n);
    expect(BigInt.asUintN(64, kernels.commonDivisor(source, values.length, base))).toBe(expected);
    return expected;
  }

  test('every count from 0 to 300', () => {
    everyCount((values, seed) => {
      check(values, leastOf(values));
      const tick = BigInt(1 + (seed % 1000));
      check(
        values.map((value) => BigInt.asIntN(40, value) * tick),
        0n,
      );
    });
  });

  test('of all equal to the base: 0; of as far from it as may be', () => {
    expect(check([], 5n)).toBe(0n);
    expect(check([5n, 5n, 5n], 5n)).toBe(0n);
    expect(check([MIN, MAX], MIN)).toBe(2n ** 64n - 1n);
    expect(check([MIN, 0n, MIN], MIN)).toBe(2n ** 63n);
    expect(check([100n, 175n, 100n, 1000n], 100n)).toBe(75n);
    expect(check([0n, 12n, 18n, 4n], 0n)).toBe(2n);
  });

  test('long columns', () => {
    longCounts(
      (values) =>
        check(
          Array.from(values, (value) => BigInt.asIntN(50, value) * 25n),
          -(2n ** 62n),
        ),
      1,
    );
    expect(
      check(
        Array.from({ length: 70_000 }, (_, i) => BigInt(i * 25)),
        0n,
      ),
    ).toBe(25n);
  });
});
