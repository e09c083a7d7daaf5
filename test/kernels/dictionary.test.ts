import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DICTIONARY_SLOTS } from '../../dist/assembly/layout.js';
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
import { EDGES, everyCount, idsBelow, longColumn, longCounts, wrap } from './values.js';

const MOST = 256;
const WIDTHS = [1, 2, 4, 8];
const HASH_BYTES = DICTIONARY_SLOTS * 16;
const PAIRS_BYTES = 131_072;
/** Where ids go, where the values that they stand for, and where pairs are told apart. */
const IDS = CHUNK;
const VALUES = OUT;
const PAIRS = SCRATCH + 65_536;

const widthFor = (known: number) => WIDTHS.find((width) => known <= 2 ** width)!;
const idBytes = (count: number, width: number) => Math.ceil((count * width) / 8);

/** Ids in the order in which values first come. */
function dictionaryOf(values: Iterable<bigint>): { ids: number[]; known: bigint[] } {
  const known = new Map<bigint, number>();
  const ids = Array.from(values, (value) => {
    if (!known.has(value)) known.set(value, known.size);
    return known.get(value)!;
  });
  return { ids, known: [...known.keys()] };
}

/** Ids of `width` bits, the first in the lowest bits of the first byte. */
function packedIds(ids: ArrayLike<number>, width: number): number[] {
  const packed = new Array<number>(idBytes(ids.length, width)).fill(0);
  Array.from(ids).forEach((id, i) => {
    packed[Math.floor((i * width) / 8)] += id * 2 ** ((i * width) % 8);
  });
  return packed;
}

function roundTrip(values: readonly bigint[] | BigInt64Array): void {
  const { length } = values;
  const expected = dictionaryOf(values);
  const known = expected.known.length;
  const source = END - 8 * length;
  putValues(source, values);
  const make = () =>
    guarded(SCRATCH, HASH_BYTES, () =>
      guarded(IDS, length, () =>
        guarded(VALUES, 8 * Math.min(known, MOST), () => kernels.dictionary(source, length, IDS, VALUES, SCRATCH)),
      ),
    );
  if (known > MOST) {
    expect(make()).toBe(-1);
    return;
  }
  expect(make()).toBe(known);
  expectSame(bytes.slice(IDS, IDS + length), expected.ids);
  expectSame(valuesAt(VALUES, known), expected.known);
  if (length === 0) return;
  guarded(VALUES, 4 * known, () => kernels.firstRows(IDS, length, known, VALUES));
  guarded(SCRATCH, 8 * known, () => kernels.valuesInRows(source, VALUES, known, SCRATCH));
  expectSame(valuesAt(SCRATCH, known), expected.known);
}

/** The values, but only `known` of them. */
const few = (values: ArrayLike<bigint>, known: number, seed: number): bigint[] => {
  const ids = idsBelow(Math.min(known, values.length), values.length, seed);
  return Array.from(ids, (id) => wrap(values[id] + BigInt(id)));
};

describe('dictionary', () => {
  test('every count from 0 to 300: ids in the order in which values first come', () => {
    everyCount((values, seed) => {
      roundTrip(values);
      roundTrip(few(values, 1 + (seed % 20), seed));
    });
  });

  test('long columns', () => {
    longCounts((values, seed) => {
      roundTrip(few(values, MOST, seed));
      roundTrip(few(values, 3, seed));
    }, 2);
  });

  test('256 values, and 257', () => {
    const values = Array.from({ length: MOST }, (_, i) => wrap(BigInt(i + 1) ** 7n * 1_000_003n));
    expect(new Set(values).size).toBe(MOST);
    roundTrip([...values, ...values]);
    roundTrip([...values, ...values, 0n]);
    roundTrip([0n, ...values]);
  });

  test('values that all fall into one slot, the last one too', () => {
    // 0x9e37… times its inverse is 1 mod 2^64, so that these times 0x9e37… have their slot in their highest ten bits.
    const inverse = 0xf1de83e19937733dn;
    expect(BigInt.asUintN(64, inverse * 0x9e3779b97f4a7c15n)).toBe(1n);
    for (const slot of [0n, 511n, 1023n]) {
      const values = Array.from({ length: MOST }, (_, i) => wrap(((slot << 54n) + BigInt(i)) * inverse));
      roundTrip([...values, ...values.toReversed()]);
      // The slots end where the memory does.
      putValues(SOURCE, values);
      expect(kernels.dictionary(SOURCE, MOST, IDS, VALUES, END - HASH_BYTES)).toBe(MOST);
    }
  });
});

test('firstRows, valuesInRows: of ids below 256, the value of each', () => {
  const ids = idsBelow(MOST, 1000, 1);
  const values = longColumn(MOST, 1);
  bytes.set(ids, IDS);
  putValues(
    SOURCE,
    Array.from(ids, (id) => values[id]),
  );
  const known = new Set(ids).size;
  expect(known).toBe(MOST);
  guarded(SCRATCH, 4 * MOST, () => kernels.firstRows(IDS, 1000, MOST, SCRATCH));
  guarded(OUT, 8 * MOST, () => kernels.valuesInRows(SOURCE, SCRATCH, MOST, OUT));
  expectSame(valuesAt(OUT, MOST), values);
  expect(kernels.idsSuit(IDS, 1000, OUT, SOURCE)).toBe(1);
  for (const row of [0, 500, 999]) {
    const changed = valuesAt(SOURCE, 1000);
    changed[row] ^= 1n << BigInt(row % 64);
    putValues(SOURCE, changed);
    expect(kernels.idsSuit(IDS, 1000, OUT, SOURCE)).toBe(0);
    changed[row] ^= 1n << BigInt(row % 64);
    putValues(SOURCE, changed);
  }
});

describe('pairIds', () => {
  /** The ids of pairs, over those of `a` or not. */
  function check(a: Uint8Array, b: Uint8Array, ofA: number, ofB: number): void {
    const { length } = a;
    const expected = dictionaryOf(Array.from(a, (id, i) => BigInt(id * 256 + b[i])));
    const known = expected.known.length;
    for (const out of [OUT, IDS]) {
      bytes.set(a, IDS);
      bytes.set(b, END - length);
      guarded(PAIRS, PAIRS_BYTES, () => {
        bytes.fill(0, PAIRS, PAIRS + 2 * ofA * ofB);
        const answer = () => kernels.pairIds(IDS, END - length, length, ofB, PAIRS, out);
        expect(out === OUT ? guarded(OUT, length, answer) : answer()).toBe(known > MOST ? -1 : known);
      });
      if (known <= MOST) expectSame(bytes.slice(out, out + length), expected.ids);
    }
  }

  test('every count from 0 to 300: an id for each pair, in the order in which they first come', () => {
    for (let count = 0; count <= 300; count++) {
      for (const [ofA, ofB] of [
        [1, 1],
        [2, 3],
        [16, 16],
        [1, 256],
        [256, 1],
        [256, 256],
      ]) {
        check(idsBelow(ofA, count, count), idsBelow(ofB, count, count + 1), ofA, ofB);
      }
    }
  });

  test('256 pairs, and 257', () => {
    const a = Uint8Array.from({ length: MOST }, (_, i) => i);
    check(a, a, MOST, MOST);
    check(Uint8Array.from([...a, 0]), Uint8Array.from([...a, 1]), MOST, MOST);
    check(Uint8Array.from([...a, 0]), Uint8Array.from([...a, 0]), MOST, MOST);
  });

  test('long columns', () => {
    check(idsBelow(9, 70_000, 1), idsBelow(11, 70_000, 2), 9, 11);
    check(idsBelow(200, 70_000, 1), idsBelow(200, 70_000, 2), 200, 200);
  });
});

describe.each(WIDTHS)('ids of %i bits', (width) => {
  const most = 2 ** width;

  function roundTrip(ids: Uint8Array, known: number): void {
    const { length } = ids;
    const packed = idBytes(length, width);
    bytes.set(ids, END - length);
    guarded(CHUNK, packed, () => kernels.packIds(END - length, length, width, CHUNK));
    expectSame(bytes.slice(CHUNK, CHUNK + packed), packedIds(ids, width));
    bytes.copyWithin(END - packed, CHUNK, CHUNK + packed);
    guarded(OUT, length, () => kernels.unpackIds(END - packed, width, length, OUT));
    expectSame(bytes.slice(OUT, OUT + length), ids);
    const values = longColumn(MOST, known);
    putValues(SOURCE, values);
    expect(guarded(OUT, 8 * length, () => kernels.lookUp(END - packed, width, length, SOURCE, known, OUT))).toBe(0);
    expectSame(
      valuesAt(OUT, length),
      Array.from(ids, (id) => values[id]),
    );
  }

  test('every count from 0 to 300: packed as described, and back to ids and to values', () => {
    for (let count = 0; count <= 300; count++) {
      for (const known of [1, 2, most - 1, most]) {
        if (known > 0 && known <= most) roundTrip(idsBelow(known, count, count), known);
      }
    }
  });

  test('long columns', () => {
    for (const count of [10_000, 69_999, 70_000]) roundTrip(idsBelow(most, count, count), most);
  });

  test('more values than ids can be are no harm', () => {
    roundTrip(idsBelow(most, 100, 1), 256);
  });

  test('an id that stands for no value, wherever it is: refused', () => {
    putValues(SOURCE, longColumn(MOST, 1));
    for (const count of [1, 2, 3, 7, 8, 9, 17, 100]) {
      for (let at = 0; at < count; at++) {
        for (let known = 1; known < most; known += most > 16 ? 51 : 1) {
          const ids = new Uint8Array(count);
          for (const id of [known, most - 1]) {
            ids[at] = id;
            bytes.set(packedIds(ids, width), CHUNK);
            const look = () => kernels.lookUp(CHUNK, width, count, SOURCE, known, OUT);
            expect(guarded(OUT, 8 * count, look)).toBe(-1);
          }
        }
      }
    }
  });

  test('a spare bit that is set: refused', () => {
    putValues(SOURCE, longColumn(MOST, 1));
    for (let count = 1; count <= 40; count++) {
      const used = (count * width) % 8;
      for (let bit = used; bit !== 0 && bit < 8; bit++) {
        const packed = new Uint8Array(idBytes(count, width));
        packed[packed.length - 1] = 2 ** bit;
        bytes.set(packed, CHUNK);
        const look = () => kernels.lookUp(CHUNK, width, count, SOURCE, MOST, OUT);
        expect(guarded(OUT, 8 * count, look)).toBe(-1);
      }
    }
  });

  test('any bytes: looked up or refused, within bounds', () => {
    putValues(SOURCE, EDGES.slice(0, 64));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 256 }), (packed, known) => {
        const count = Math.floor((packed.length * 8) / width);
        bytes.set(packed, END - packed.length);
        kernels.unpackIds(END - packed.length, width, count, OUT);
        const right = bytes.slice(OUT, OUT + count).every((id) => id < known);
        const look = () => kernels.lookUp(END - packed.length, width, count, SOURCE, known, OUT);
        expect(guarded(OUT, 8 * count, look)).toBe(right ? 0 : -1);
      }),
      { numRuns: 200 },
    );
  });
});

test('the fewest bits that ids take', () => {
  expect([1, 2, 3, 4, 5, 16, 17, 256].map(widthFor)).toEqual([1, 1, 2, 2, 4, 4, 8, 8]);
});
