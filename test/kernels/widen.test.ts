import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as layout from '../../dist/assembly/layout.js';
import { bytes, CHUNK, END, expectSame, guarded, kernels, memory, OUT, putValues, SOURCE, valuesAt } from './memory.js';

const KINDS = [
  { name: 'timestamp', kind: layout.KIND_TIMESTAMP, array: BigInt64Array, bits: 64, signed: true },
  { name: 'decimal', kind: layout.KIND_DECIMAL, array: BigInt64Array, bits: 64, signed: true },
  { name: 'i64', kind: layout.KIND_I64, array: BigInt64Array, bits: 64, signed: true },
  { name: 'u64', kind: layout.KIND_U64, array: BigUint64Array, bits: 64, signed: false },
  { name: 'f64, as its bits', kind: layout.KIND_F64, array: BigUint64Array, bits: 64, signed: false },
  { name: 'symbol', kind: layout.KIND_SYMBOL, array: Uint32Array, bits: 32, signed: false },
  { name: 'i32', kind: layout.KIND_I32, array: Int32Array, bits: 32, signed: true },
  { name: 'f32, as its bits', kind: layout.KIND_F32, array: Uint32Array, bits: 32, signed: false },
  { name: 'u32', kind: layout.KIND_U32, array: Uint32Array, bits: 32, signed: false },
  { name: 'i16', kind: layout.KIND_I16, array: Int16Array, bits: 16, signed: true },
  { name: 'u16', kind: layout.KIND_U16, array: Uint16Array, bits: 16, signed: false },
  { name: 'i8', kind: layout.KIND_I8, array: Int8Array, bits: 8, signed: true },
  { name: 'u8', kind: layout.KIND_U8, array: Uint8Array, bits: 8, signed: false },
] as const;

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;
const int64 = fc.bigInt({ min: MIN, max: MAX });

const range = (bits: number, signed: boolean) =>
  signed
    ? { low: -(2n ** BigInt(bits - 1)), high: 2n ** BigInt(bits - 1) - 1n }
    : { low: 0n, high: 2n ** BigInt(bits) - 1n };

describe.each(KINDS)('$name', ({ kind, array, bits, signed }) => {
  const width = bits / 8;
  const inRange = (value: bigint) => (signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value));
  const { low, high } = range(bits, signed);
  const extremes = [low, high, 0n, 1n, high / 2n, low / 2n];

  test('widens and narrows every count', () => {
    for (let count = 0; count <= 70; count++) {
      const pick = fc.oneof(int64.map(inRange), fc.constantFrom(...extremes));
      fc.assert(
        fc.property(fc.array(pick, { minLength: count, maxLength: count }), (values) => {
          const natural = new array(memory.buffer, SOURCE, count);
          for (let i = 0; i < count; i++) natural[i] = bits === 64 ? values[i] : Number(values[i]);
          const column = bytes.slice(SOURCE, SOURCE + count * width);
          guarded(OUT, count * 8, () => kernels.widen(SOURCE, kind, count, OUT));
          expectSame(
            valuesAt(OUT, count),
            values.map((value) => BigInt.asIntN(64, value)),
          );
          expect(guarded(CHUNK, count * width, () => kernels.narrow(OUT, kind, count, CHUNK))).toBe(0);
          expectSame(bytes.slice(CHUNK, CHUNK + count * width), column);
        }),
        { numRuns: 5 },
      );
    }
  });

  test('rangeOf: least and greatest of every count, and nothing read past the end', () => {
    for (let count = 1; count <= 70; count++) {
      const pick = fc.oneof(int64.map(inRange), fc.constantFrom(...extremes));
      fc.assert(
        fc.property(fc.array(pick, { minLength: count, maxLength: count }), (values) => {
          const at = END - count * width;
          // The end is on a multiple of 8, so the values are aligned.
          const natural = new array(memory.buffer, at, count);
          for (let i = 0; i < count; i++) natural[i] = bits === 64 ? values[i] : Number(values[i]);
          guarded(OUT, 32, () => kernels.rangeOf(at, kind, count, OUT));
          const wide = values.map((value) => BigInt.asIntN(64, value));
          const least = wide.reduce((a, b) => (b < a ? b : a));
          const greatest = wide.reduce((a, b) => (b > a ? b : a));
          expectSame(valuesAt(OUT, 2), [least, greatest]);
        }),
        { numRuns: 5 },
      );
    }
  });

  test('reads and writes nothing past the end', () => {
    for (let count = 0; count <= 20; count++) {
      bytes.fill(1, END - count * 8);
      kernels.widen(END - count * width, kind, count, OUT);
      kernels.widen(OUT, kind, count, END - count * 8);
      bytes.fill(0, END - count * 8);
      expect(kernels.narrow(END - count * 8, kind, count, OUT)).toBe(0);
      bytes.fill(0, OUT, OUT + count * 8);
      expect(kernels.narrow(OUT, kind, count, END - count * width)).toBe(0);
    }
  });
});

describe.each(KINDS.filter(({ bits }) => bits < 64))('$name', ({ kind, bits, signed }) => {
  test('refuses a value that does not fit, wherever it stands', () => {
    const width = bits / 8;
    const { low, high } = range(bits, signed);
    for (const value of [low - 1n, high + 1n, MIN, MAX, low - 2n ** 32n, high + 2n ** 32n, high + 2n ** 48n]) {
      for (const count of [1, 2, 7, 8, 9, 33]) {
        for (let at = 0; at < count; at++) {
          putValues(SOURCE, new BigInt64Array(count));
          putValues(SOURCE + at * 8, [value]);
          expect(guarded(OUT, count * width, () => kernels.narrow(SOURCE, kind, count, OUT))).toBe(-1);
        }
      }
    }
  });
});

test.each([0, layout.KIND_TEXT, layout.KIND_BYTES, 99, -1])('kind %i is of no fixed width', (kind) => {
  guarded(OUT, 0, () => kernels.widen(SOURCE, kind, 10, OUT));
  expect(guarded(OUT, 0, () => kernels.narrow(SOURCE, kind, 10, OUT))).toBe(-1);
});

test('the bits of floats, signs, NaNs and infinities among them', () => {
  const floats = [0, -0, 1.5, NaN, Infinity, -Infinity, 5e-324, -Number.MAX_VALUE];
  new Float64Array(memory.buffer, SOURCE, 8).set(floats);
  kernels.widen(SOURCE, layout.KIND_F64, 8, OUT);
  expectSame(valuesAt(OUT, 8), valuesAt(SOURCE, 8));
  new Float32Array(memory.buffer, SOURCE, 8).set(floats);
  kernels.widen(SOURCE, layout.KIND_F32, 8, OUT);
  expect(valuesAt(OUT, 8)[1]).toBe(0x80000000n);
  expectSame(valuesAt(OUT, 8), Array.from(new Uint32Array(memory.buffer, SOURCE, 8), BigInt));
});

describe('minMax', () => {
  test.each([
    ['signed', 0],
    ['unsigned', 1],
  ])('%s', (_, unsigned) => {
    const as = (value: bigint) => (unsigned ? BigInt.asUintN(64, value) : value);
    for (let count = 1; count <= 40; count++) {
      fc.assert(
        fc.property(
          fc.array(fc.oneof(int64, fc.constantFrom(MIN, MAX, 0n, -1n)), { minLength: count, maxLength: count }),
          (values) => {
            putValues(SOURCE, values);
            guarded(OUT, 16, () => kernels.minMax(SOURCE, count, unsigned, OUT));
            const sorted = values.map(as).sort((a, b) => (a < b ? -1 : Number(a > b)));
            expectSame(
              valuesAt(OUT, 2).map((value) => BigInt.asIntN(64, value)),
              [BigInt.asIntN(64, sorted[0]), BigInt.asIntN(64, sorted[count - 1])],
            );
          },
        ),
        { numRuns: 10 },
      );
    }
  });

  test('of no values: zeros', () => {
    guarded(OUT, 16, () => kernels.minMax(SOURCE, 0, 0, OUT));
    expectSame(valuesAt(OUT, 2), [0n, 0n]);
  });
});
