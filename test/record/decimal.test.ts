import fc from 'fast-check';
import { decimal, defineSchema, openTape, type Schema, timestamp } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { Bench } from '../helpers/bench.js';
import { scratch } from '../helpers/scratch.js';

const MAX = 2 ** 53 - 1;
/** Up to here every decimal has a double of its own, whatever the scale. */
const OWN = 10 ** 15 - 1;

const schemaOf = (scale: number): Schema => defineSchema('d', timestamp('ts'), decimal('d', scale));

/** The integer that the record holds. */
function stored(value: number, scale: number): number {
  const bench = new Bench(schemaOf(scale));
  const position = bench.appender().append(1n, value);
  return Number(bench.view.getBigInt64(bench.addressOf(0, BigInt(position)) + 24, true));
}

const anyScale = fc.integer({ min: 0, max: 15 });
/** As many large ones as small ones: where doubles are coarse is where it is difficult. */
const integer = fc
  .tuple(fc.integer({ min: 0, max: 53 }), fc.maxSafeNat(), fc.boolean())
  .map(([bits, n, negative]) => (negative ? -1 : 1) * (n % 2 ** bits));

test('a decimal is kept as the integer of its last place, and reads back as the same double', () => {
  fc.assert(
    fc.property(integer, anyScale, (n, scale) => {
      const value = n / 10 ** scale;
      const kept = stored(value, scale);
      expect(kept / 10 ** scale).toBe(value === 0 ? 0 : value);
      if (Math.abs(n) <= OWN) expect(kept).toBe(n === 0 ? 0 : n);
      else {
        // Two decimals of 16 places may share a double: then either stands for it.
        const shared = [n - 1, n + 1].some((other) => other / 10 ** scale === value);
        if (!shared) expect(kept).toBe(n);
      }
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['the largest', MAX, 0],
  ['the largest with a place', MAX, 1],
  ['the largest, which shares its double with one too large', MAX, 6],
  ['the least', -MAX, 2],
  ['one whose product is off by one', 9_007_199_254_740_989, 1],
  ['one whose product is a thousandth off', 17_592_186_044_417, 8],
  ['fifteen nines', OWN, 15],
])('%s', (_, n, scale) => {
  const value = n / 10 ** scale;
  expect(stored(value, scale) / 10 ** scale).toBe(value);
});

describe('arithmetic noise of up to a thousandth of the last place passes', () => {
  test.each([
    [0.1 + 0.2, 1, 3],
    [1.1 * 3, 2, 330],
    [100 * 1.15, 0, 115],
    [4.35 * 100, 0, 435],
    [123.4560009, 3, 123_456],
    [-1.005 - Number.EPSILON, 3, -1005],
  ])('%f at scale %i', (value, scale, expected) => {
    expect(stored(value, scale)).toBe(expected);
  });
});

describe('and no more than that', () => {
  test.each([
    [0.5, 0],
    [1.0011, 0],
    [0.01 + 0.000011, 2],
    [61800.205, 2],
    // Not a double that is the nearest of a decimal of that scale, by one in its last bit.
    [0.1 + 0.2, 15],
    [100_000_000_000.12 + 2 ** -16, 2],
    [8_796_093_022_208.5, 0],
  ])('%f at scale %i', (value, scale) => {
    expect(() => stored(value, scale)).toThrow(expect.objectContaining({ code: 'BAD_VALUE', field: 'd' }));
  });

  test('a value that is kept differs from what is read by less than that', () => {
    fc.assert(
      fc.property(integer, anyScale, fc.double({ min: -0.5, max: 0.5, noNaN: true }), (n, scale, off) => {
        const value = (n + off) / 10 ** scale;
        let kept: number;
        try {
          kept = stored(value, scale);
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_VALUE' });
          return;
        }
        expect(Math.abs(kept)).toBeLessThanOrEqual(MAX);
        const difference = Math.abs(kept / 10 ** scale - value) * 10 ** scale;
        expect(difference).toBeLessThanOrEqual(0.00101 + Math.abs(kept) * Number.EPSILON);
        if (Math.abs(kept) >= 2 ** 43) expect(kept / 10 ** scale).toBe(value);
      }),
      { numRuns: 1000 },
    );
  });
});

test('the same through a tape', async () => {
  const scales = [0, 2, 8, 15];
  const schema = defineSchema(
    'd',
    timestamp('ts'),
    decimal('d0', 0),
    decimal('d2', 2),
    decimal('d8', 8),
    decimal('d15', 15),
  );
  await using tape = await openTape(schema, { storage: [scratch()], capacity: 1000 });
  const values = fc
    .sample(integer, { numRuns: 1000, seed: 1 })
    .map((n) => scales.map((scale) => n / 10 ** scale) as [number, number, number, number]);
  for (const [d0, d2, d8, d15] of values) tape.append(1n, d0, d2, d8, d15);
  await tape.flush();
  const found: number[][] = [];
  for await (const { columns, length } of tape.scan()) {
    for (let i = 0; i < length; i++) found.push([columns.d0[i], columns.d2[i], columns.d8[i], columns.d15[i]]);
  }
  expect(found).toEqual(values.map((row) => row.map((value) => (value === 0 ? 0 : value))));
});
