import fc from 'fast-check';
import {
  type Compression,
  decimal,
  defineSchema,
  f64,
  i8,
  i32,
  i64,
  type Schema,
  symbol,
  text,
  timestamp,
  u8,
  u64,
} from 'ticktape';
import { describe, expect, test } from 'vitest';
import { type Effort, PACKED } from '../../dist/src/block/effort.js';
import {
  COMPRESSION_HUFFMAN,
  COMPRESSION_NONE,
  COMPRESSION_ZSTD,
  decodeBlockHeader,
  ENCODING_PLAIN,
  ENCODING_PLAN,
} from '../../dist/src/block/header.js';
import { hash64 } from '../../dist/src/hash.js';
import { EPOCH, sameBytes, TAPE_ID } from '../helpers/bench.js';
import { type Block, blockOf, expectSameValues } from '../helpers/blocks.js';
import { isVarying, layoutOf, recorded, unscaled, type Value } from '../helpers/records.js';

/** The rows in the order in which lanes that are drained together give them. */
const byTime = (schema: Schema, rows: readonly Value[][]): Value[][] => {
  const index = schema.fields.findIndex(({ kind }) => kind === 'timestamp');
  const time = (row: readonly Value[]) => row[index] as bigint;
  return rows.toSorted((a, b) => (time(a) < time(b) ? -1 : Number(time(a) > time(b))));
};

const compressions: [string, { compression?: Compression; effort?: Effort }][] = [
  ['no compression', { compression: 'off' }],
  ['the least under pressure', { effort: PACKED }],
  ['fast', { compression: 'fast' }],
  ['dense', { compression: 'dense' }],
  ['zstd 1', { compression: { zstd: 1 } }],
  ['zstd 19', { compression: { zstd: 19 } }],
];

describe.each(compressions)('%s', (name, options) => {
  const numRuns = name === 'zstd 19' || name === 'dense' ? 25 : 60;

  test('rows of any schema, there and back', () => {
    fc.assert(
      fc.property(recorded({ minLength: 1, maxLength: 40 }), ({ schema, rows }) => {
        expectSameValues(schema, blockOf(schema, rows, options), rows);
      }),
      { numRuns },
    );
  });

  test('the same rows over and over, so that there is something to compress', () => {
    fc.assert(
      fc.property(recorded({ minLength: 1, maxLength: 5 }, 6), fc.integer({ min: 129, max: 700 }), (made, count) => {
        const rows = Array.from({ length: count }, (_, i) => made.rows[i % made.rows.length]);
        expectSameValues(made.schema, blockOf(made.schema, rows, options), rows);
      }),
      { numRuns: numRuns / 2.5 },
    );
  });

  test('a block of one record', () => {
    fc.assert(
      fc.property(recorded({ minLength: 1, maxLength: 1 }), ({ schema, rows }) => {
        expectSameValues(schema, blockOf(schema, rows, options), rows);
      }),
      { numRuns },
    );
  });

  test('columns of every shape', () => {
    const schema: Schema = defineSchema(
      'shapes',
      timestamp('ts'),
      i64('random'),
      i64('step'),
      i64('constant'),
      u64('wrapping'),
      decimal('walk', 2),
      f64('float'),
      u8('byte'),
      i8('small'),
      symbol('s'),
      text('t'),
    );
    let state = 1n;
    const random = () => {
      state = BigInt.asIntN(64, state * 6364136223846793005n + 1442695040888963407n);
      return state;
    };
    for (const count of [16, 127, 128, 129, 500]) {
      const rows = Array.from({ length: count }, (_, i): Value[] => [
        1_700_000_000_000_000_000n + BigInt(i) * 1000n,
        random(),
        BigInt(i) * 1_000_000_007n,
        -(2n ** 63n),
        BigInt.asUintN(64, BigInt(i - 3)),
        (100_00 + ((i * 7) % 13)) / 100,
        Math.sin(i),
        i % 256,
        (i % 3) - 1,
        `S${i % 20}`,
        'x'.repeat(i % 50),
      ]);
      expectSameValues(schema, blockOf(schema, rows, options), rows);
    }
  });
});

test('encodings are chosen by what is shorter, and compression where it pays', () => {
  const schema: Schema = defineSchema(
    'chosen',
    timestamp('ts'),
    i64('random'),
    i64('constant'),
    f64('zero'),
    i32('few'),
    u8('byte'),
  );
  let state = 1n;
  const rows = Array.from({ length: 512 }, (_, i): Value[] => {
    state = BigInt.asIntN(64, state * 6364136223846793005n + 1442695040888963407n);
    return [BigInt(i) * 1_000_000n, state, 5n, 0, [3, 3, 3, -70][i % 4], Number((state >> 32n) & 255n)];
  });
  const of = ({ header }: Block) =>
    Object.fromEntries(
      header.chunks.map(({ field, encoding, compression }) => [schema.fields[field].name, [encoding, compression]]),
    );
  expect(of(blockOf(schema, rows))).toEqual({
    ts: [ENCODING_PLAN, COMPRESSION_NONE],
    random: [ENCODING_PLAIN, COMPRESSION_NONE],
    constant: [ENCODING_PLAN, COMPRESSION_NONE],
    zero: [ENCODING_PLAN, COMPRESSION_NONE],
    few: [ENCODING_PLAN, COMPRESSION_NONE],
    byte: [ENCODING_PLAIN, COMPRESSION_NONE],
  });
  const expected = (few: number) => ({
    ts: [ENCODING_PLAN, few],
    random: [ENCODING_PLAIN, COMPRESSION_NONE],
    constant: [ENCODING_PLAN, COMPRESSION_NONE],
    zero: [ENCODING_PLAN, COMPRESSION_NONE],
    few: [ENCODING_PLAN, few],
    byte: [ENCODING_PLAIN, COMPRESSION_NONE],
  });
  expect(of(blockOf(schema, rows, { compression: 'fast' }))).toEqual(expected(COMPRESSION_HUFFMAN));
  expect(of(blockOf(schema, rows, { compression: { zstd: 1 } }))).toEqual(expected(COMPRESSION_ZSTD));
});

// ---- what the header says --------------------------------------------------------------------------------------------------

test('the statistics in the header are true', () => {
  fc.assert(
    fc.property(
      recorded({ minLength: 1, maxLength: 60 }, 8),
      fc.integer({ min: 1, max: 4 }),
      fc.bigInt({ min: 0n, max: 2n ** 63n }),
      ({ schema, rows }, lanes, sequence) => {
        // In order by lane, so that what is drained is in order over all.
        const sorted = byTime(schema, rows);
        const { header, bytes } = blockOf(schema, sorted, { lanes, sequence });
        const decoded = decodeBlockHeader(bytes);
        if (typeof decoded === 'string') throw new Error(decoded);
        const { fields } = schema;
        expect(decoded).toMatchObject({ sequence, count: rows.length, epoch: EPOCH, blockBytes: bytes.length });
        sameBytes(decoded.tapeId, TAPE_ID);
        expect(decoded.fingerprint).toBe(schema.fingerprint);
        expect(header.checksum).toBe(decoded.checksum);

        const timeIndex = fields.findIndex(({ kind }) => kind === 'timestamp');
        expect([decoded.leastNs, decoded.greatestNs]).toEqual([sorted[0][timeIndex], sorted.at(-1)![timeIndex]]);
        for (const [index, { kind, scale, optional }] of fields.entries()) {
          const chunk = decoded.chunks.find(({ field, part }) => field === index && part === 0)!;
          const present = sorted.map((row) => row[index]).filter((value) => value !== null);
          expect(optional || present.length === rows.length).toBe(true);
          if (present.length === 0 || isVarying(kind) || ['symbol', 'f32', 'f64'].includes(kind)) {
            expect(chunk.range).toBeNull();
            continue;
          }
          const values = present.map((value) =>
            kind === 'decimal' ? unscaled(value as number, scale) : BigInt(value as bigint | number),
          );
          const ordered = values.toSorted((a, b) => (a < b ? -1 : Number(a > b)));
          const as = (value: bigint) => (kind === 'u64' ? BigInt.asUintN(64, value) : value);
          expect([as(chunk.range!.least), as(chunk.range!.greatest)]).toEqual([ordered[0], ordered.at(-1)]);
        }

        const names = new Set(
          sorted.flatMap((row) =>
            fields.flatMap(({ kind }, i) => (kind === 'symbol' && row[i] !== null ? [row[i] as string] : [])),
          ),
        );
        expect(new Set(decoded.symbols.map(({ name }) => name))).toEqual(names);
        expect(decoded.symbols.length).toBe(names.size);
        let mask = 0n;
        for (const { id } of decoded.symbols) mask |= 1n << BigInt(id % 64);
        expect(decoded.symbolMask).toBe(mask);

        const { fixedBytes } = layoutOf(schema);
        const sizes = sorted.map((row) => {
          const own = fields.map(({ kind }, i) =>
            row[i] === null
              ? 0
              : kind === 'text'
                ? Buffer.byteLength(row[i] as string)
                : kind === 'bytes'
                  ? (row[i] as Uint8Array).length
                  : 0,
          );
          return Math.ceil((fixedBytes + own.reduce((sum, length) => sum + length, 0)) / 8) * 8;
        });
        expect(decoded.rowBytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
        const perLane = Array.from({ length: lanes }, (_, lane) =>
          sizes.reduce((sum, size, i) => (i % lanes === lane ? sum + size : sum), 0),
        );
        expect(decoded.laneRanges).toEqual(
          perLane.flatMap((size, lane) => (size === 0 ? [] : [{ epoch: EPOCH, lane, from: 0n, to: BigInt(size) }])),
        );
      },
    ),
    { numRuns: 120 },
  );
});

test('more symbols than any other part of a header takes', () => {
  const schema: Schema = defineSchema('wide', timestamp('ts'), symbol('s'));
  const rows = Array.from({ length: 16_000 }, (_, i): Value[] => [BigInt(i), `${'x'.repeat(49)}${100_000 + i}`]);
  const block = blockOf(schema, rows, { ring: 1_044_480, symbols: 16_000 });
  expectSameValues(schema, block, rows);
});

test('the bytes of a small block, as header.ts describes them', () => {
  const schema: Schema = defineSchema('t', u8('k'), timestamp('ts'), symbol('s'), text('x'));
  const rows: Value[][] = [
    [5, 1_000n, 'AB', 'hé'],
    [6, 3_000n, 'C', ''],
  ];
  const { bytes } = blockOf(schema, rows, { sequence: 77n });
  const view = new DataView(bytes.buffer);
  const headerBytes = 128 + 24 + 5 * 48 + 2 * 16 + 8;
  expect(Buffer.from(bytes.subarray(0, 8)).toString()).toBe('TTBLOCK1');
  expect([8, 12, 48, 52, 80, 84, 88, 92].map((at) => view.getUint32(at, true))).toEqual([
    1,
    headerBytes,
    2,
    EPOCH,
    5,
    1,
    2,
    0,
  ]);
  sameBytes(bytes.subarray(16, 32), TAPE_ID);
  expect([32, 40, 56, 64, 72, 96, 104].map((at) => view.getBigUint64(at, true))).toEqual([
    schema.fingerprint,
    77n,
    1_000n,
    3_000n,
    BigInt(bytes.length),
    // 37 bytes of fixed part and 3 of text are 40 + 8; without text, 40.
    88n,
    3n,
  ]);
  sameBytes(bytes.subarray(112, 128), new Uint8Array(16));
  expect([view.getUint32(128, true), view.getUint32(132, true)]).toEqual([EPOCH, 0]);
  expect([view.getBigUint64(136, true), view.getBigUint64(144, true)]).toEqual([0n, 88n]);

  // In the order of the record: the timestamp, the symbol, the text as lengths and bytes, the byte.
  const chunk = (i: number) => {
    const at = 152 + 48 * i;
    return {
      field: view.getUint16(at, true),
      part: bytes[at + 2],
      kind: bytes[at + 3],
      encoding: bytes[at + 4],
      compression: bytes[at + 5],
      flags: view.getUint16(at + 6, true),
      stored: view.getUint32(at + 12, true),
      plain: view.getUint32(at + 16, true),
      open: view.getUint32(at + 20, true),
      least: view.getBigInt64(at + 32, true),
      greatest: view.getBigInt64(at + 40, true),
    };
  };
  const raw = { part: 0, encoding: 0, compression: 0, flags: 0, open: 0, least: 0n, greatest: 0n };
  const all = (bytes: number) => ({ stored: bytes, plain: bytes, open: bytes });
  expect([0, 1, 2, 3, 4].map(chunk)).toEqual([
    { ...raw, field: 1, kind: 1, encoding: 1, flags: 1, ...all(15), least: 1000n, greatest: 3000n },
    { ...raw, field: 2, kind: 2, stored: 8, plain: 8 },
    { ...raw, field: 3, kind: 14, stored: 8, plain: 8 },
    { ...raw, field: 3, part: 1, kind: 14, stored: 3, plain: 3 },
    { ...raw, field: 0, kind: 10, flags: 1, stored: 2, plain: 2, least: 5n, greatest: 6n },
  ]);
  const hex = (from: number, length: number) => Buffer.from(bytes.slice(from, from + length)).toString('hex');
  expect(hex(392, 32)).toBe('00000000020000004142000000000000' + '01000000010000004300000000000000');
  expect(view.getBigUint64(headerBytes - 8, true)).toBe(hash64(bytes.slice(0, headerBytes - 8)));

  const offsets = [0, 1, 2, 3, 4].map((i) => view.getUint32(152 + 48 * i + 8, true));
  expect(offsets).toEqual([0, 16, 24, 32, 40].map((at) => headerBytes + at));
  expect(hex(headerBytes, bytes.length - headerBytes)).toBe(
    [
      // A plan of one byte, packed: the least, 11 bits each, 0 and 2000.
      '010001e803000000',
      '0000000b00803e00',
      '0000000001000000',
      '0300000000000000',
      '68c3a90000000000',
      '0506000000000000',
    ].join(''),
  );
  offsets.forEach((offset, i) => {
    const stored = bytes.slice(offset, offset + chunk(i).stored);
    expect(view.getBigUint64(152 + 48 * i + 24, true)).toBe(hash64(stored));
  });
});
