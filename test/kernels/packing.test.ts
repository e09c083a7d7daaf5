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
  untouched,
  valuesAt,
  view,
} from './memory.js';

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;
const int64 = fc.bigInt({ min: MIN, max: MAX });

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

function deltaBytes(values: readonly bigint[]): number[] {
  const differences = values.slice(1).map((value, i) => BigInt.asIntN(64, value - values[i]));
  return [...int64Bytes(values[0] ?? 0n), ...packedBytes(differences)];
}

// ---- one suite, two codecs --------------------------------------------------------------------------------------------

const CODECS = [
  {
    name: 'bitpack',
    /** Of the first width. */
    widths: 8,
    packedValues: (count: number) => count,
    expected: packedBytes,
    size: (count: number) => kernels.packedSize(SOURCE, count),
    encode: (count: number) => kernels.pack(SOURCE, count, CHUNK),
    decode: kernels.unpack,
  },
  {
    name: 'delta',
    widths: 16,
    packedValues: (count: number) => Math.max(count - 1, 0),
    expected: deltaBytes,
    size: (count: number) => kernels.deltaSize(SOURCE, count),
    encode: (count: number) => kernels.deltaEncode(SOURCE, count, SCRATCH, CHUNK),
    decode: kernels.deltaDecode,
  },
];

/** Columns of `length` values, of every sort that changes a path. */
function column(length: number): fc.Arbitrary<bigint[]> {
  const exactly = { minLength: length, maxLength: length };
  const wrap = (value: bigint) => BigInt.asIntN(64, value);
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
    fc.array(fc.constantFrom(MIN, MAX, 0n, -1n, 1n), exactly),
    int64.map((value) => new Array<bigint>(length).fill(value)),
    narrow,
    monotone,
  );
}

/** A long column, quicker than fast-check can make one: a miniblock of this width, one of that. */
function longColumn(length: number, seed: number): BigInt64Array {
  let state = BigInt(seed) + 0x9e3779b97f4a7c15n;
  let value = 0n;
  let mask = 0n;
  return BigInt64Array.from({ length }, (_, i) => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    const random = state ^ (state >> 29n);
    if (i % 128 === 0) mask = 2n ** (random % 65n) - 1n;
    value = seed % 2 === 0 ? random & mask : value + (random & mask);
    return BigInt.asIntN(64, value);
  });
}

describe.each(CODECS)('$name', ({ widths, packedValues, expected, size, encode, decode }) => {
  function chunkOf(values: readonly bigint[] | BigInt64Array): number {
    putValues(SOURCE, values);
    const bytesNeeded = size(values.length);
    expect(guarded(CHUNK, bytesNeeded, () => encode(values.length))).toBe(bytesNeeded);
    return bytesNeeded;
  }

  function roundTrip(values: readonly bigint[] | BigInt64Array): void {
    const { length } = values;
    const chunk = chunkOf(values);
    expect(guarded(OUT, length * 8, () => decode(CHUNK, CHUNK + chunk, length, OUT))).toBe(chunk);
    expectSame(valuesAt(OUT, length), values);
    // Bytes of something else behind the chunk change nothing.
    bytes.fill(0xff, CHUNK + chunk, CHUNK + chunk + 64);
    expect(guarded(OUT, length * 8, () => decode(CHUNK, CHUNK + chunk + 64, length, OUT))).toBe(chunk);
    expectSame(valuesAt(OUT, length), values);
    // At the very end of the memory, where reading or writing a byte too many traps.
    bytes.copyWithin(END - chunk, CHUNK, CHUNK + chunk);
    expect(decode(END - chunk, END, length, OUT)).toBe(chunk);
    expectSame(valuesAt(OUT, length), values);
    expect(decode(CHUNK, CHUNK + chunk, length, END - length * 8)).toBe(chunk);
    expectSame(valuesAt(END - length * 8, length), values);
  }

  test('every length from 0 to 300: there and back, byte by byte as described', () => {
    for (let length = 0; length <= 300; length++) {
      fc.assert(
        fc.property(column(length), (values) => {
          const chunk = chunkOf(values);
          expectSame(bytes.slice(CHUNK, CHUNK + chunk), expected(values));
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
      expect(decode(CHUNK + 65_536 + odd, CHUNK + 65_536 + odd + chunk, 300, OUT + odd)).toBe(chunk);
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
        expect(untouched(OUT, length * 8, () => decode(from, END, length, OUT))).toBe(-1);
      }
    }
  });

  test('a width over 64: refused, nothing written', () => {
    for (const length of [2, 129, 300]) {
      const chunk = chunkOf(longColumn(length, 2));
      const blocks = Math.ceil(packedValues(length) / 128);
      for (let block = 0; block < blocks; block++) {
        const good = bytes[CHUNK + widths + block];
        for (let width = 65; width <= 255; width++) {
          bytes[CHUNK + widths + block] = width;
          expect(untouched(OUT, length * 8, () => decode(CHUNK, CHUNK + chunk + 8192, length, OUT))).toBe(-1);
        }
        bytes[CHUNK + widths + block] = good;
      }
    }
  });

  test('any bytes: refused or decoded, within bounds', () => {
    const check = (content: Uint8Array, count: number) => {
      const from = END - content.length;
      bytes.set(content, from);
      const read = guarded(OUT, count * 8, () => decode(from, END, count, OUT));
      expect(read === -1 || (read >= widths && read <= content.length)).toBe(true);
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(1000), check), { numRuns: 1000 });
    let decoded = 0;
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 20, maxLength: 6000 }),
        fc.nat(500),
        fc.nat(64),
        (content, count, most) => {
          for (let at = widths; at < Math.min(widths + 8, content.length); at++) content[at] %= most + 1;
          check(content, count);
          if (decode(END - content.length, END, count, OUT) >= 0) decoded++;
        },
      ),
      { numRuns: 1000 },
    );
    expect(decoded).toBeGreaterThan(50);
  });

  test('a count far over what the chunk holds, an end before the start', () => {
    const chunk = chunkOf([1n, 2n, 3n]);
    for (const count of [200, 70_000, 2 ** 29, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 129, 2 ** 32 - 128, 2 ** 32 - 1]) {
      expect(untouched(OUT, 1024, () => decode(CHUNK, CHUNK + chunk, count, OUT))).toBe(-1);
    }
    expect(untouched(OUT, 1024, () => decode(CHUNK, CHUNK - 1, 3, OUT))).toBe(-1);
    expect(untouched(OUT, 1024, () => decode(CHUNK, CHUNK, 3, OUT))).toBe(-1);
  });
});

// ---- by hand ----------------------------------------------------------------------------------------------------------

test('bitpack: a small chunk, byte by byte', () => {
  putValues(SOURCE, [-5n, -2n, 2n, -5n, 0n]);
  expect(kernels.pack(SOURCE, 5, CHUNK)).toBe(11);
  expect(view.getBigInt64(CHUNK, true)).toBe(-5n);
  expect(view.getUint8(CHUNK + 8)).toBe(3);
  // 0, 3, 7, 0, 5 in three bits each, the first lowest.
  expect(view.getUint16(CHUNK + 9, true)).toBe(0 | (3 << 3) | (7 << 6) | (0 << 9) | (5 << 12));
});

test('delta: a small chunk, byte by byte', () => {
  putValues(SOURCE, [1000n, 1010n, 1013n, 1013n]);
  expect(kernels.deltaEncode(SOURCE, 4, SCRATCH, CHUNK)).toBe(19);
  expect(view.getBigInt64(CHUNK, true)).toBe(1000n);
  expect(view.getBigInt64(CHUNK + 8, true)).toBe(0n);
  expect(view.getUint8(CHUNK + 16)).toBe(4);
  expect(view.getUint16(CHUNK + 17, true)).toBe(10 | (3 << 4) | (0 << 8));
});

test('delta: the source may be the scratch', () => {
  for (let length = 0; length <= 40; length++) {
    const values = longColumn(length, 3);
    putValues(SOURCE, values);
    const chunk = kernels.deltaEncode(SOURCE, length, SOURCE, CHUNK);
    expect(kernels.deltaDecode(CHUNK, CHUNK + chunk, length, OUT)).toBe(chunk);
    expectSame(valuesAt(OUT, length), values);
  }
});
