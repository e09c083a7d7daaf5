import { describe, expect, test } from 'vitest';
import { bytes, CHUNK, END, expectSame, guarded, kernels, OUT, putValues, SOURCE, valuesAt } from './memory.js';
import { everyCount, longCounts } from './values.js';

describe.each([1, 2, 3, 4, 5, 6, 7, 8])('planes of %i', (width) => {
  function roundTrip(values: readonly bigint[] | BigInt64Array): void {
    const { length } = values;
    const mask = 2n ** BigInt(8 * width) - 1n;
    const source = END - 8 * length;
    putValues(source, values);
    guarded(CHUNK, width * length, () => kernels.toPlanes(source, width, length, CHUNK));
    const planes = Array.from({ length: width }, (_, plane) =>
      Array.from(values, (value) => Number((value >> BigInt(8 * plane)) & 255n)),
    );
    expectSame(bytes.slice(CHUNK, CHUNK + width * length), planes.flat());
    bytes.copyWithin(END - width * length, CHUNK, CHUNK + width * length);
    guarded(OUT, 8 * length, () => kernels.fromPlanes(END - width * length, width, length, OUT));
    expectSame(
      valuesAt(OUT, length),
      Array.from(values, (value) => BigInt.asIntN(64, value & mask)),
    );
  }

  test('every count from 0 to 300: plane by plane, and back', () => {
    everyCount(roundTrip, 1);
  });

  test('long columns', () => {
    longCounts(roundTrip, 1);
  });
});

test('by hand', () => {
  putValues(SOURCE, [0x0102n, 0x0304n, 0xf0506n]);
  guarded(CHUNK, 6, () => kernels.toPlanes(SOURCE, 2, 3, CHUNK));
  expect([...bytes.slice(CHUNK, CHUNK + 6)]).toEqual([2, 4, 6, 1, 3, 5]);
  kernels.fromPlanes(CHUNK, 2, 3, OUT);
  // The higher bytes are gone.
  expectSame(valuesAt(OUT, 3), [0x0102n, 0x0304n, 0x0506n]);
});
