import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KIND_F32, KIND_F64 } from '../../dist/assembly/layout.js';
import {
  bytes,
  CHUNK,
  END,
  expectSame,
  guarded,
  kernels,
  memory,
  OUT,
  SCRATCH,
  SOURCE,
  valuesAt,
  view,
} from './memory.js';
import { noise } from './values.js';

const ROWS = CHUNK;
const BITS = SCRATCH;
const EXPONENTS = Array.from({ length: 16 }, (_, exponent) => exponent);

const KINDS = [
  { name: 'f64', kind: KIND_F64, width: 8, floats: Float64Array, patterns: BigUint64Array, digits: 15 },
  { name: 'f32', kind: KIND_F32, width: 4, floats: Float32Array, patterns: Uint32Array, digits: 7 },
] as const;

/** Floats that are no decimals: as bits. */
const NO_DECIMALS = {
  f64: [
    ['minus zero', 0x8000000000000000n],
    ['infinity', 0x7ff0000000000000n],
    ['minus infinity', 0xfff0000000000000n],
    ['a quiet NaN', 0x7ff8000000000000n],
    ['a negative one', 0xfff8000000000000n],
    ['one with a payload', 0x7ff8dead0000beefn],
    ['a signalling NaN', 0x7ff0000000000001n],
    ['a negative one with a payload', 0xfff4123456789abcn],
    ['the least subnormal', 1n],
    ['the greatest subnormal', 0x000fffffffffffffn],
    ['a negative subnormal', 0x8000000000000001n],
    ['the least normal', 0x0010000000000000n],
    ['the greatest', 0x7fefffffffffffffn],
    ['the least of all', 0xffefffffffffffffn],
    ['2^53', 0x4340000000000000n],
    ['2^53 + 2', 0x4340000000000001n],
    ['-2^53', 0xc340000000000000n],
  ],
  f32: [
    ['minus zero', 0x80000000n],
    ['infinity', 0x7f800000n],
    ['minus infinity', 0xff800000n],
    ['a quiet NaN', 0x7fc00000n],
    ['one with a payload', 0x7fc0beefn],
    ['a signalling NaN', 0x7f800001n],
    ['a negative one', 0xffa12345n],
    ['the least subnormal', 1n],
    ['the greatest subnormal', 0x007fffffn],
    ['a negative subnormal', 0x80000001n],
    ['the least normal', 0x00800000n],
    ['the greatest', 0x7f7fffffn],
    ['2^53', 0x5a000000n],
  ],
} as const;

describe.each(KINDS)('$name', ({ name, kind, width, floats, patterns, digits }) => {
  const bitsOf = (values: readonly number[]): bigint[] => {
    const made = floats.from(values);
    return Array.from(new patterns(made.buffer), BigInt);
  };
  const floatOf = (bits: bigint) => {
    const at = new DataView(new ArrayBuffer(8));
    at.setBigUint64(0, bits, true);
    return width === 8 ? at.getFloat64(0, true) : at.getFloat32(0, true);
  };
  const put = (address: number, bits: readonly bigint[]) => {
    bits.forEach((pattern, i) => {
      for (let byte = 0; byte < width; byte++) {
        bytes[address + i * width + byte] = Number((pattern >> BigInt(8 * byte)) & 255n);
      }
    });
  };

  /** There and back, to the bit; answers the rows of exceptions, or null where there are too many. */
  function roundTrip(bits: readonly bigint[], exponent: number, most = bits.length): number[] | null {
    const { length } = bits;
    const divisor = 10 ** exponent;
    const source = END - width * length;
    put(source, bits);
    const exceptions = guarded(ROWS, 4 * most, () =>
      guarded(BITS, 8 * most, () =>
        guarded(OUT, 8 * length, () => kernels.decimals(source, kind, length, divisor, OUT, ROWS, BITS, most)),
      ),
    );
    if (exceptions < 0) return null;
    const rows = Array.from(new Uint32Array(memory.buffer, ROWS, exceptions));
    expectSame(
      new BigUint64Array(memory.buffer, BITS, exceptions),
      rows.map((row) => bits[row]),
    );
    const whole = valuesAt(OUT, length);
    const excepted = new Set(rows);
    whole.forEach((n, i) => {
      if (excepted.has(i)) {
        if (n !== (i === 0 ? 0n : whole[i - 1])) expect.fail(`exception ${i} is ${n}, not the one before it`);
      } else if (n <= -(2n ** 53n) || n >= 2n ** 53n) expect.fail(`${n} is not exact`);
    });
    guarded(OUT, 8 * length, () => {
      new BigInt64Array(memory.buffer, OUT, length).set(whole);
      expect(kernels.undecimals(OUT, kind, length, divisor, ROWS, BITS, exceptions)).toBe(0);
    });
    expectSame(new BigUint64Array(memory.buffer, OUT, length), bits);
    return rows;
  }

  const decimal = (exponent: number) =>
    fc.integer({ min: 1 - 10 ** digits, max: 10 ** digits - 1 }).map((n) => n / 10 ** exponent + 0);
  const anyFloat = fc.bigInt({ min: 0n, max: 2n ** BigInt(8 * width) - 1n });

  test('decimals of every number of places, every count from 0 to 300: no exceptions, and back to the bit', () => {
    for (let count = 0; count <= 300; count++) {
      fc.assert(
        fc.property(fc.constantFrom(...EXPONENTS), fc.nat(1_000_000), (exponent, seed) => {
          const next = noise(seed);
          const values = Array.from({ length: count }, () => {
            const n = (next() % 10 ** digits) * (next() % 2 === 0 ? 1 : -1);
            return n === 0 ? 0 : n / 10 ** exponent;
          });
          expect(roundTrip(bitsOf(values), exponent, 0)).toEqual([]);
        }),
        { numRuns: 2 },
      );
    }
  });

  test('any floats among decimals: back to the bit', () => {
    for (const exponent of EXPONENTS) {
      const value = fc.oneof(
        decimal(exponent).map((float) => bitsOf([float])[0]),
        fc.constantFrom(...NO_DECIMALS[name].map(([, pattern]) => pattern as bigint)),
        anyFloat,
      );
      fc.assert(
        fc.property(fc.array(value, { maxLength: 60 }), (bits) => {
          expect(roundTrip(bits, exponent)).not.toBeNull();
        }),
        { numRuns: 30 },
      );
    }
  });

  test('long columns', () => {
    for (const [count, seed] of [
      [70_000, 1],
      [12_345, 2],
    ]) {
      const next = noise(seed);
      const values = Array.from({ length: count }, (_, i) => (i % 100 === 7 ? NaN : (next() % 1_000_000) / 100));
      expect(roundTrip(bitsOf(values), 2)!.length).toBe(Math.floor((count + 92) / 100));
    }
  });

  test.each(NO_DECIMALS[name].map(([what, pattern]) => [what, pattern] as [string, bigint]))(
    '%s is an exception, whatever the places, wherever it is',
    (_, pattern) => {
      const fine = bitsOf([1])[0];
      for (const exponent of EXPONENTS) {
        expect(roundTrip([pattern], exponent)).toEqual([0]);
        expect(roundTrip([fine, pattern, fine], exponent)).toEqual([1]);
        expect(roundTrip([pattern, fine, pattern, pattern], exponent)).toEqual([0, 2, 3]);
        expect(roundTrip([fine, pattern], exponent, 0)).toBeNull();
        expect(roundTrip([pattern, pattern], exponent, 1)).toBeNull();
      }
    },
  );

  test('what has more places than there are is an exception', () => {
    const value = width === 8 ? 0.1 + 0.2 : Math.fround(1 / 3);
    for (let exponent = 0; exponent <= 6; exponent++) expect(roundTrip(bitsOf([value]), exponent)).toEqual([0]);
    for (let exponent = 0; exponent <= 4; exponent++) {
      expect(roundTrip(bitsOf([1 / 10 ** (exponent + 1)]), exponent)).toEqual([0]);
      expect(roundTrip(bitsOf([1 / 10 ** (exponent + 1)]), exponent + 1)).toEqual([]);
    }
  });

  test('every float is the float that its bits say', () => {
    for (const [what, pattern] of NO_DECIMALS[name]) {
      if (what.includes('NaN')) expect(floatOf(pattern)).toBeNaN();
      if (what === 'minus zero') expect(floatOf(pattern)).toBe(-0);
      if (what === '2^53') expect(floatOf(pattern)).toBe(2 ** 53);
    }
  });

  test('exceptions out of order, twice, or behind the last row: refused, within bounds', () => {
    const check = (rows: readonly number[], count: number) => {
      new Uint32Array(memory.buffer, ROWS, rows.length).set(rows);
      return guarded(OUT, 8 * count, () => {
        bytes.fill(0, OUT, OUT + 8 * count);
        return kernels.undecimals(OUT, kind, count, 100, ROWS, BITS, rows.length);
      });
    };
    bytes.fill(1, BITS, BITS + 8000);
    for (const count of [1, 2, 5, 100]) {
      expect(check([], count)).toBe(0);
      expect(check([count - 1], count)).toBe(0);
      expect(
        check(
          Array.from({ length: count }, (_, i) => i),
          count,
        ),
      ).toBe(0);
      for (const rows of [[count], [2 ** 31], [2 ** 32 - 1], [0, 0], [count - 1, 0], [0, count], [0, 2 ** 32 - 1]]) {
        expect(check(rows, count)).toBe(-1);
      }
    }
    fc.assert(
      fc.property(fc.array(fc.nat(12), { maxLength: 8 }), fc.integer({ min: 1, max: 12 }), (rows, count) => {
        const right = rows.every((row, i) => row < count && (i === 0 || row > rows[i - 1]));
        expect(check(rows, count)).toBe(right ? 0 : -1);
      }),
      { numRuns: 300 },
    );
  });
});

test('whole numbers around 2^53, where they stop being exact', () => {
  const check = (value: number) => {
    view.setFloat64(SOURCE, value, true);
    return kernels.decimals(SOURCE, KIND_F64, 1, 1, OUT, ROWS, BITS, 1);
  };
  expect(check(2 ** 53 - 1)).toBe(0);
  expectSame(valuesAt(OUT, 1), [2n ** 53n - 1n]);
  expect(check(1 - 2 ** 53)).toBe(0);
  expect(check(2 ** 53)).toBe(1);
  expect(check(2 ** 53 + 2)).toBe(1);
  expect(check(-(2 ** 53))).toBe(1);
});

test('toDecimals: the double nearest to every decimal', () => {
  for (const exponent of EXPONENTS) {
    const next = noise(exponent);
    const whole = Array.from({ length: 301 }, () => BigInt(next() - 2 ** 52));
    const source = END - 8 * whole.length;
    new BigInt64Array(memory.buffer, source, whole.length).set(whole);
    guarded(OUT, 8 * whole.length, () => kernels.toDecimals(source, whole.length, 10 ** exponent, OUT));
    // The text is read as the nearest double, by other means.
    const expected = whole.map((n) => {
      const text = (n < 0n ? -n : n).toString().padStart(exponent + 1, '0');
      const split = text.length - exponent;
      return Number(`${n < 0n ? '-' : ''}${text.slice(0, split)}.${text.slice(split)}`);
    });
    expectSame(new Float64Array(memory.buffer, OUT, whole.length), expected);
  }
});
