import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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
import { everyCount, longColumn, longCounts, noise } from './values.js';

const maskBytes = (count: number) => Math.ceil(count / 8);

/** The bits, eight a byte, the first lowest. */
function maskOf(bits: readonly boolean[]): number[] {
  const mask = new Array<number>(maskBytes(bits.length)).fill(0);
  bits.forEach((bit, i) => {
    if (bit) mask[Math.floor(i / 8)] += 2 ** (i % 8);
  });
  return mask;
}

const changesOf = (values: ArrayLike<bigint>) =>
  Array.from({ length: values.length }, (_, i) => i === 0 || values[i] !== values[i - 1]);

/** Every value a few times in a row, as often as noise has it. */
function inRuns(values: ArrayLike<bigint>, seed: number, longest: number): bigint[] {
  const next = noise(seed);
  let at = 0;
  return Array.from({ length: values.length }, (_, i) => {
    if (i > 0 && next() % longest === 0) at++;
    return values[at];
  });
}

function roundTrip(values: readonly bigint[] | BigInt64Array): void {
  const { length } = values;
  const changes = changesOf(values);
  const expected = Array.from(values).filter((_, i) => changes[i]);
  putValues(SOURCE, values);
  const kept = guarded(CHUNK, 8 * length, () =>
    guarded(SCRATCH, maskBytes(length), () => kernels.keepChanges(SOURCE, length, SCRATCH, CHUNK)),
  );
  expect(kept).toBe(expected.length);
  expectSame(bytes.slice(SCRATCH, SCRATCH + maskBytes(length)), maskOf(changes));
  expectSame(valuesAt(CHUNK, kept), expected);
  expect(kernels.maskCount(SCRATCH, length)).toBe(kept);
  guarded(OUT, 8 * length, () => kernels.spread(SCRATCH, length, CHUNK, OUT));
  expectSame(valuesAt(OUT, length), values);

  // By a mask that is there already: the same.
  expect(guarded(OUT, 8 * length, () => kernels.keepWhere(SOURCE, length, SCRATCH, OUT))).toBe(kept);
  expectSame(valuesAt(OUT, kept), expected);
  // Over the values themselves, as the encoder does both.
  expect(kernels.keepWhere(SOURCE, length, SCRATCH, SOURCE)).toBe(kept);
  expectSame(valuesAt(SOURCE, kept), expected);
  putValues(SOURCE, values);
  expect(kernels.keepChanges(SOURCE, length, SCRATCH, SOURCE)).toBe(kept);
  expectSame(valuesAt(SOURCE, kept), expected);

  // At the very end of the memory.
  bytes.copyWithin(END - maskBytes(length), SCRATCH, SCRATCH + maskBytes(length));
  expect(kernels.maskCount(END - maskBytes(length), length)).toBe(kept);
  kernels.spread(END - maskBytes(length), length, CHUNK, OUT);
  expectSame(valuesAt(OUT, length), values);
  putValues(END - 8 * kept, expected);
  guarded(OUT, 8 * length, () => kernels.spread(SCRATCH, length, END - 8 * kept, OUT));
  expectSame(valuesAt(OUT, length), values);
  kernels.spread(SCRATCH, length, CHUNK, END - 8 * length);
  expectSame(valuesAt(END - 8 * length, length), values);
}

test('every count from 0 to 300: there and back, bit by bit as described', () => {
  everyCount((values, seed) => {
    roundTrip(values);
    roundTrip(inRuns(values, seed, 4));
  });
});

test('long columns', () => {
  longCounts((values, seed) => {
    roundTrip(values);
    roundTrip(inRuns(values, seed, 50));
  }, 3);
});

test('a run of each length at each place of a byte', () => {
  for (let from = 0; from < 20; from++) {
    for (let length = 1; length < 20; length++) {
      roundTrip(Array.from({ length: 41 }, (_, i) => (i >= from && i < from + length ? -1n : BigInt(i))));
    }
  }
});

describe('keepWhere', () => {
  test('by a mask that keeps more than changes: there and back', () => {
    everyCount((values, seed) => {
      const { length } = values;
      const next = noise(seed);
      const kept = changesOf(values).map((changed) => changed || next() % 3 === 0);
      bytes.set(maskOf(kept), SCRATCH);
      putValues(SOURCE, values);
      const count = kernels.keepWhere(SOURCE, length, SCRATCH, CHUNK);
      expect(count).toBe(kernels.maskCount(SCRATCH, length));
      kernels.spread(SCRATCH, length, CHUNK, OUT);
      expectSame(valuesAt(OUT, length), values);
    }, 1);
  });

  test('where a value changes that the mask drops: refused', () => {
    for (const count of [2, 8, 9, 64, 100]) {
      const values = longColumn(count, 1).map((_, i) => BigInt(i));
      putValues(SOURCE, values);
      for (let at = 1; at < count; at++) {
        bytes.set(maskOf(Array.from(values, (_, i) => i !== at)), SCRATCH);
        expect(guarded(OUT, 8 * count, () => kernels.keepWhere(SOURCE, count, SCRATCH, OUT))).toBe(-1);
      }
    }
  });

  test('one bit of a value is a change', () => {
    bytes.set([0b0000_0001], SCRATCH);
    for (let bit = 0n; bit < 64n; bit++) {
      putValues(SOURCE, [5n, 5n, BigInt.asIntN(64, 5n ^ (1n << bit))]);
      expect(kernels.keepWhere(SOURCE, 3, SCRATCH, OUT)).toBe(-1);
    }
  });
});

describe('maskCount', () => {
  test('a mask that drops the first value: refused', () => {
    for (let count = 1; count <= 300; count++) {
      bytes.fill(0xff, SCRATCH, SCRATCH + maskBytes(count));
      if (count % 8 !== 0) bytes[SCRATCH + maskBytes(count) - 1] = 2 ** (count % 8) - 1;
      expect(kernels.maskCount(SCRATCH, count)).toBe(count);
      bytes[SCRATCH] &= 0xfe;
      expect(kernels.maskCount(SCRATCH, count)).toBe(-1);
    }
  });

  test('a spare bit that is set: refused', () => {
    for (let count = 1; count <= 300; count++) {
      for (let bit = count % 8; bit !== 0 && bit < 8; bit++) {
        bytes.fill(0, SCRATCH, SCRATCH + maskBytes(count));
        bytes[SCRATCH] = 1;
        expect(kernels.maskCount(SCRATCH, count)).toBe(1);
        bytes[SCRATCH + maskBytes(count) - 1] |= 2 ** bit;
        expect(kernels.maskCount(SCRATCH, count)).toBe(-1);
      }
    }
  });

  test('any bytes: counted or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), fc.integer({ min: 0, max: 7 }), (mask, less) => {
        const count = mask.length * 8 - less;
        bytes.set(mask, END - mask.length);
        const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, '0').split('').reverse().join('')).join(
          '',
        );
        const right = bits[0] === '1' && !bits.slice(count).includes('1');
        expect(kernels.maskCount(END - mask.length, count)).toBe(right ? bits.split('1').length - 1 : -1);
      }),
      { numRuns: 500 },
    );
  });

  test('of no values: none, whatever lies there', () => {
    bytes.fill(0, SCRATCH, SCRATCH + 8);
    expect(kernels.maskCount(SCRATCH, 0)).toBe(0);
  });
});
