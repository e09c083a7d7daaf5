import fc from 'fast-check';
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
  SOURCE,
  untouched,
  valuesAt,
  view,
} from './memory.js';
import { column, longColumn } from './values.js';

// ---- the layout, from its description, in BigInt ----------------------------------------------------------------------

function int64Bytes(value: bigint): number[] {
  const at = new DataView(new ArrayBuffer(8));
  at.setBigInt64(0, value, true);
  return [...new Uint8Array(at.buffer)];
}

function packedBytes(values: readonly bigint[]): number[] {
  let base = values[0] ?? 0n;
  for (const value of values) if (value < base) base = value;
  const widths: number[] = [];
  const packed: number[] = [];
  for (let start = 0; start < values.length; start += 128) {
    const block = values.slice(start, start + 128).map((value) => BigInt.asUintN(64, value - base));
    const width = Math.max(...block.map((value) => (value === 0n ? 0 : value.toString(2).length)));
    let bits = block.reduce((sum, value, i) => sum | (value << BigInt(i * width)), 0n);
    widths.push(width);
    for (let left = Math.ceil((block.length * width) / 8); left > 0; left--) {
      packed.push(Number(bits & 255n));
      bits >>= 8n;
    }
  }
  return [...int64Bytes(base), ...widths, ...packed];
}

/** Where the first width is. */
const WIDTHS = 8;

function chunkOf(values: readonly bigint[] | BigInt64Array): number {
  putValues(SOURCE, values);
  const bytesNeeded = kernels.packedSize(SOURCE, values.length);
  expect(guarded(CHUNK, bytesNeeded, () => kernels.pack(SOURCE, values.length, CHUNK))).toBe(bytesNeeded);
  return bytesNeeded;
}

function roundTrip(values: readonly bigint[] | BigInt64Array): void {
  const { length } = values;
  const chunk = chunkOf(values);
  expect(guarded(OUT, length * 8, () => kernels.unpack(CHUNK, CHUNK + chunk, length, OUT))).toBe(chunk);
  expectSame(valuesAt(OUT, length), values);
  // Bytes of something else behind the chunk change nothing.
  bytes.fill(0xff, CHUNK + chunk, CHUNK + chunk + 64);
  expect(guarded(OUT, length * 8, () => kernels.unpack(CHUNK, CHUNK + chunk + 64, length, OUT))).toBe(chunk);
  expectSame(valuesAt(OUT, length), values);
  // At the very end of the memory, where reading or writing a byte too many traps.
  bytes.copyWithin(END - chunk, CHUNK, CHUNK + chunk);
  expect(kernels.unpack(END - chunk, END, length, OUT)).toBe(chunk);
  expectSame(valuesAt(OUT, length), values);
  expect(kernels.unpack(CHUNK, CHUNK + chunk, length, END - length * 8)).toBe(chunk);
  expectSame(valuesAt(END - length * 8, length), values);
}

test('every length from 0 to 300: there and back, byte by byte as described', () => {
  for (let length = 0; length <= 300; length++) {
    fc.assert(
      fc.property(column(length), (values) => {
        const chunk = chunkOf(values);
        expectSame(bytes.slice(CHUNK, CHUNK + chunk), packedBytes(values));
        roundTrip(values);
      }),
      { numRuns: 4 },
    );
  }
});

test('every width, full and part miniblocks', () => {
  for (let width = 0; width <= 64; width++) {
    for (const length of [128, 131, 255, 256]) {
      const top = 2n ** BigInt(width) - 1n;
      roundTrip(Array.from({ length }, (_, i) => BigInt.asIntN(64, i % 3 === 0 ? top : i % 3 === 1 ? 0n : top / 3n)));
    }
  }
});

test('long columns', () => {
  fc.assert(
    fc.property(fc.integer({ min: 301, max: 70_000 }), fc.nat(1_000_000), (length, seed) => {
      roundTrip(longColumn(length, seed));
    }),
    { numRuns: 12 },
  );
  roundTrip(longColumn(70_000, 1));
});

test('the same bytes wherever source and output lie', () => {
  const values = longColumn(300, 2);
  const chunk = chunkOf(values);
  for (const odd of [1, 3, 7]) {
    bytes.copyWithin(CHUNK + 65_536 + odd, CHUNK, CHUNK + chunk);
    expect(kernels.unpack(CHUNK + 65_536 + odd, CHUNK + 65_536 + odd + chunk, 300, OUT + odd)).toBe(chunk);
    bytes.copyWithin(OUT, OUT + odd, OUT + odd + 2400);
    expectSame(valuesAt(OUT, 300), values);
  }
});

// ---- hostile chunks ---------------------------------------------------------------------------------------------------

test('cut short at any byte: refused, nothing written', () => {
  for (const [length, seed] of [
    [0, 0],
    [1, 0],
    [2, 0],
    [100, 2],
    [128, 4],
    [129, 6],
    [300, 1],
  ]) {
    const chunk = chunkOf(longColumn(length, seed));
    for (let cut = 0; cut < chunk; cut++) {
      const from = END - cut;
      bytes.copyWithin(from, CHUNK, CHUNK + cut);
      expect(untouched(OUT, length * 8, () => kernels.unpack(from, END, length, OUT))).toBe(-1);
    }
  }
});

test('a width over 64: refused, nothing written', () => {
  for (const length of [2, 129, 300]) {
    const chunk = chunkOf(longColumn(length, 2));
    const blocks = Math.ceil(length / 128);
    for (let block = 0; block < blocks; block++) {
      const good = bytes[CHUNK + WIDTHS + block];
      for (let width = 65; width <= 255; width++) {
        bytes[CHUNK + WIDTHS + block] = width;
        expect(untouched(OUT, length * 8, () => kernels.unpack(CHUNK, CHUNK + chunk + 8192, length, OUT))).toBe(-1);
      }
      bytes[CHUNK + WIDTHS + block] = good;
    }
  }
});

test('any bytes: refused or decoded, within bounds', () => {
  const check = (content: Uint8Array, count: number) => {
    const from = END - content.length;
    bytes.set(content, from);
    const read = guarded(OUT, count * 8, () => kernels.unpack(from, END, count, OUT));
    expect(read === -1 || (read >= WIDTHS && read <= content.length)).toBe(true);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(1000), check), { numRuns: 1000 });
  let decoded = 0;
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 6000 }), fc.nat(500), fc.nat(64), (content, count, most) => {
      for (let at = WIDTHS; at < Math.min(WIDTHS + 8, content.length); at++) content[at] %= most + 1;
      check(content, count);
      if (kernels.unpack(END - content.length, END, count, OUT) >= 0) decoded++;
    }),
    { numRuns: 1000 },
  );
  expect(decoded).toBeGreaterThan(50);
});

test('a count far over what the chunk holds, an end before the start', () => {
  const chunk = chunkOf([1n, 2n, 3n]);
  for (const count of [200, 70_000, 2 ** 29, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 129, 2 ** 32 - 128, 2 ** 32 - 1]) {
    expect(untouched(OUT, 1024, () => kernels.unpack(CHUNK, CHUNK + chunk, count, OUT))).toBe(-1);
  }
  expect(untouched(OUT, 1024, () => kernels.unpack(CHUNK, CHUNK - 1, 3, OUT))).toBe(-1);
  expect(untouched(OUT, 1024, () => kernels.unpack(CHUNK, CHUNK, 3, OUT))).toBe(-1);
});

// ---- by hand ----------------------------------------------------------------------------------------------------------

test('a small chunk, byte by byte', () => {
  putValues(SOURCE, [-5n, -2n, 2n, -5n, 0n]);
  expect(kernels.pack(SOURCE, 5, CHUNK)).toBe(11);
  expect(view.getBigInt64(CHUNK, true)).toBe(-5n);
  expect(view.getUint8(CHUNK + 8)).toBe(3);
  // 0, 3, 7, 0, 5 in three bits each, the first lowest.
  expect(view.getUint16(CHUNK + 9, true)).toBe(0 | (3 << 3) | (7 << 6) | (0 << 9) | (5 << 12));
});
