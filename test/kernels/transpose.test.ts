import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RECORD_SIZE } from '../../dist/assembly/layout.js';
import { bytes, END, expectSame, guarded, kernels, memory, OUT, SCRATCH, SOURCE, untouched, view } from './memory.js';

const WIDTHS = [1, 2, 4, 8];

function scatter(length: number, address = SOURCE): void {
  let state = 0x9e3779b9 ^ length;
  for (let i = 0; i < length; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + i;
    bytes[address + i] = state >>> 11;
  }
}

function plain(rows: readonly number[], offset: number, width: number): Uint8Array {
  const out = new Uint8Array(rows.length * width);
  rows.forEach((row, i) => {
    out.set(bytes.slice(row + offset, row + offset + width), i * width);
  });
  return out;
}

/** Where `gatherColumns` is told of columns. */
const TABLE = SCRATCH + 1024 * 1024;

/** Tells it of these columns. */
function tell(...columns: { offset: number; width: number; out: number }[]): number {
  columns.forEach(({ offset, width, out }, i) => {
    [offset, width, out].forEach((word, k) => {
      view.setUint32(TABLE + 12 * i + 4 * k, word, true);
    });
  });
  return columns.length;
}

function gatherStrided(rows: number, stride: number, count: number, offset: number, width: number, out: number): void {
  kernels.gatherColumns(rows, stride, 0, count, TABLE, tell({ offset, width, out }));
}

function gatherIndexed(index: number, count: number, offset: number, width: number, out: number): void {
  kernels.gatherColumns(index, 0, 1, count, TABLE, tell({ offset, width, out }));
}

test('gatherColumns: all columns at once, whatever the tiles', () => {
  scatter(1000 * 48);
  for (const count of [1, 255, 256, 257, 512, 1000]) {
    const rows = Array.from({ length: count }, (_, i) => SOURCE + i * 48);
    new Uint32Array(memory.buffer, SCRATCH, count).set(rows);
    const columns = WIDTHS.map((width, i) => ({ offset: 24 + 8 - 2 * width, width, out: OUT + i * 16_384 + i }));
    for (const indexed of [0, 1]) {
      for (const { width, out } of columns) bytes.fill(0xee, out, out + count * width);
      kernels.gatherColumns(indexed === 1 ? SCRATCH : SOURCE, 48, indexed, count, TABLE, tell(...columns));
      for (const { offset, width, out } of columns) {
        expectSame(bytes.slice(out, out + count * width), plain(rows, offset, width));
      }
    }
  }
});

describe('a column of rows so far apart', () => {
  test.each(WIDTHS)('width %i: every small count, offset and alignment', (width) => {
    scatter(70 * 64 + 64);
    for (let count = 0; count <= 70; count++) {
      const [stride, offset, odd] = [24 + 8 * (count % 6), (count * 3) % 16, count % 7];
      const rows = Array.from({ length: count }, (_, i) => SOURCE + i * stride);
      guarded(OUT + odd, count * width, () => gatherStrided(SOURCE, stride, count, offset, width, OUT + odd));
      expectSame(bytes.slice(OUT + odd, OUT + odd + count * width), plain(rows, offset, width));
    }
  });

  test.each(WIDTHS)('width %i: 10,000 rows', (width) => {
    scatter(10_000 * 48);
    const rows = Array.from({ length: 10_000 }, (_, i) => SOURCE + i * 48);
    guarded(OUT, rows.length * width, () => gatherStrided(SOURCE, 48, rows.length, 24, width, OUT));
    expectSame(bytes.slice(OUT, OUT + rows.length * width), plain(rows, 24, width));
  });

  test.each(WIDTHS)('width %i: reads nothing past the last value', (width) => {
    for (let count = 1; count <= 40; count++) {
      const first = END - (count - 1) * 24 - width;
      scatter(END - first, first);
      const rows = Array.from({ length: count }, (_, i) => first + i * 24);
      gatherStrided(first, 24, count, 0, width, OUT);
      expectSame(bytes.slice(OUT, OUT + count * width), plain(rows, 0, width));
    }
  });
});

describe('a column of rows that are pointed to', () => {
  test.each(WIDTHS)('width %i: rows anywhere, in any order', (width) => {
    scatter(65_536);
    fc.assert(
      fc.property(fc.array(fc.nat(8_000), { maxLength: 70 }), fc.nat(40), (places, offset) => {
        const rows = places.map((place) => SOURCE + place * 8);
        new Uint32Array(memory.buffer, SCRATCH, rows.length).set(rows);
        guarded(OUT, rows.length * width, () => gatherIndexed(SCRATCH, rows.length, offset, width, OUT));
        expectSame(bytes.slice(OUT, OUT + rows.length * width), plain(rows, offset, width));
      }),
      { numRuns: 300 },
    );
  });
});

describe('gatherVarying', () => {
  const FIXED = 40;
  const LENGTH_OFFSETS = [24, 36, 28];
  const OFFSETS_AT = SCRATCH + 65_536;

  /** Lays records out one after another, and their index and field offsets; answers the address past the last. */
  function lay(records: readonly (readonly Uint8Array[])[], address = SOURCE): number {
    new Uint32Array(memory.buffer, OFFSETS_AT, LENGTH_OFFSETS.length).set(LENGTH_OFFSETS);
    records.forEach((fields, i) => {
      view.setUint32(SCRATCH + i * 4, address, true);
      let at = address + FIXED;
      fields.forEach((field, which) => {
        view.setUint32(address + LENGTH_OFFSETS[which], field.length, true);
        bytes.set(field, at);
        at += field.length;
      });
      const size = FIXED + Math.ceil((at - address - FIXED) / 8) * 8;
      view.setUint32(address + RECORD_SIZE, size, true);
      address += size;
    });
    return address;
  }

  const gather = (count: number, which: number, room: number) =>
    kernels.gatherVarying(SCRATCH, count, FIXED, OFFSETS_AT, which, OUT, OUT + room);

  const field = fc.uint8Array({ maxLength: 150 });

  test('copies one field of every record, one after another', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(field, field, field), { maxLength: 30 }), fc.nat(2), (records, which) => {
        lay(records);
        const expected = records.flatMap((fields) => [...fields[which]]);
        expect(guarded(OUT, expected.length, () => gather(records.length, which, expected.length))).toBe(
          expected.length,
        );
        expectSame(bytes.slice(OUT, OUT + expected.length), expected);
        if (expected.length > 0) {
          const room = expected.length - 1;
          expect(guarded(OUT, room, () => gather(records.length, which, room))).toBe(-1);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('copies every length without touching a byte more, at the end of the memory too', () => {
    for (let length = 0; length <= 200; length++) {
      const content = Uint8Array.from({ length }, (_, i) => i * 7 + length);
      const size = FIXED + Math.ceil(length / 8) * 8;
      expect(lay([[content]], END - size)).toBe(END);
      expect(guarded(OUT, length, () => gather(1, 0, length))).toBe(length);
      expectSame(bytes.slice(OUT, OUT + length), content);
    }
  });

  test('refuses lengths that reach past their record', () => {
    const three = () => [new Uint8Array(5), new Uint8Array(6), new Uint8Array(5)];
    for (const which of [0, 1, 2]) {
      for (let damaged = 0; damaged <= which; damaged++) {
        for (const length of [17, 1000, 2 ** 31, 2 ** 32 - 1]) {
          lay([three(), three()]);
          view.setUint32(view.getUint32(SCRATCH, true) + LENGTH_OFFSETS[damaged], length, true);
          expect(untouched(OUT, 64, () => gather(2, which, 64))).toBe(-1);
        }
      }
    }
    lay([three()]);
    view.setUint32(SOURCE + RECORD_SIZE, FIXED - 8, true);
    expect(untouched(OUT, 64, () => gather(1, 0, 64))).toBe(-1);
  });

  test('refuses an output that ends before it starts, and takes no rows', () => {
    lay([[new Uint8Array(1)]]);
    expect(gather(1, 0, -1)).toBe(-1);
    expect(gather(0, 0, 0)).toBe(0);
  });
});
