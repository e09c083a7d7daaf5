import fc from 'fast-check';
import {
  type Compression,
  decimal,
  defineSchema,
  f64,
  i32,
  optional,
  type Schema,
  symbol,
  text,
  timestamp,
  u8,
} from 'ticktape';
import { describe, expect, test } from 'vitest';
import { BlockDecoder } from '../../dist/src/block/decoder.js';
import { type BlockHeader, decodeBlockHeader, MAX_BLOCK_BYTES, peekHeaderBytes } from '../../dist/src/block/header.js';
import { hash64 } from '../../dist/src/hash.js';
import { type Block, blockOf, resealHeader, tryDecode, valuesOf, zstd } from '../helpers/blocks.js';
import type { Value } from '../helpers/records.js';

const schema: Schema = defineSchema(
  'small',
  timestamp('ts'),
  symbol('s'),
  decimal('price', 2),
  i32('n'),
  f64('x'),
  text('note'),
  u8('side'),
  optional(f64('bid')),
  optional(symbol('venue')),
  optional(text('remark')),
);

const rowsOf = (count: number): Value[][] =>
  Array.from({ length: count }, (_, i) => [
    1_000_000n + BigInt(i * 37),
    `S${i % 3}`,
    (12_345 + ((i * 7) % 5)) / 100,
    (i * 1_000_003) % 65_537,
    i / 7,
    'note '.repeat(i % 4),
    i % 2,
    i % 3 === 1 ? null : -i / 7,
    i % 4 === 0 ? null : `V${i % 2}`,
    i % 5 === 1 ? null : 'x'.repeat(i % 3),
  ]);

const small: [string, Compression, number][] = [
  ['stored plainly', 'off', 3],
  ['packed and in differences', 'off', 40],
  ['compressed', { zstd: 1 }, 200],
];

const decoder = new BlockDecoder(schema, zstd);
const decode = (bytes: Uint8Array, count: number) => tryDecode(schema, bytes, count, decoder);

function expectRows(decoded: NonNullable<ReturnType<typeof decode>>, rows: readonly Value[][]): void {
  schema.fields.forEach((_, field) => {
    expect(valuesOf(schema, field, decoded.columns[field], decoded.header)).toEqual(rows.map((row) => row[field]));
  });
}

/** Bytes of a block between and behind its chunks, which mean nothing. */
function paddingOf({ header, bytes }: Block): Set<number> {
  const padding = new Set<number>();
  header.chunks.forEach(({ offset, storedBytes }, i) => {
    const next = header.chunks[i + 1]?.offset ?? bytes.length;
    for (let at = offset + storedBytes; at < next; at++) padding.add(at);
  });
  return padding;
}

describe.each(small)('a block, %s', (_, compression, count) => {
  const rows = rowsOf(count);
  const block = blockOf(schema, rows, { compression });
  const padding = paddingOf(block);

  test('is whole as it is', () => {
    expectRows(decode(block.bytes, count)!, rows);
    expect(padding.size).toBeGreaterThan(0);
  });

  test('with any byte changed: found damaged, or the byte was padding between chunks', () => {
    for (let at = 0; at < block.bytes.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const bytes = block.bytes.slice();
        bytes[at] ^= flip;
        const decoded = decode(bytes, count);
        if (decoded === null) {
          if (padding.has(at)) expect.fail(`byte ${at} is padding, and yet the block is damaged`);
          continue;
        }
        if (!padding.has(at)) expect.fail(`byte ${at} was changed by ${flip}, and nothing was noticed`);
        expectRows(decoded, rows);
      }
    }
  });

  test('cut at any byte: found damaged', () => {
    for (let length = 0; length < block.bytes.length; length++) {
      expect(decode(block.bytes.subarray(0, length), count)).toBeNull();
      // As a torn write leaves it: as long as it was, zeros from there on.
      const torn = block.bytes.slice();
      torn.fill(0, length);
      if (torn.every((byte, at) => byte === block.bytes[at])) continue;
      const decoded = decode(torn, count);
      if (decoded !== null) expectRows(decoded, rows);
      if (decoded !== null && !padding.has(length)) expect.fail(`torn at ${length}, and nothing was noticed`);
    }
  });

  test('asked for as a block of another length or count: not taken for it', () => {
    for (const other of [1, count - 1, count + 1]) expect(decode(block.bytes, other)).toBeNull();
    const longer = new Uint8Array(block.bytes.length + 8);
    longer.set(block.bytes);
    expect(decode(longer, count)).toBeNull();
  });

  test('of another schema: not taken for one of this', () => {
    const others = [
      defineSchema('small', ...schema.fields.slice(0, 6)),
      defineSchema('other', ...schema.fields),
      defineSchema('small', ...schema.fields.toReversed()),
      defineSchema('small', ...schema.fields.map((field) => ({ ...field, optional: false }))),
    ];
    for (const other of others) expect(tryDecode(other, block.bytes, count)).toBeNull();
  });
});

// ---- headers that lie, with a checksum that says they don't ---------------------------------------------------------------

/** Places in a header that say how long, how many, where and how: those that could lead a reader astray. */
function leadingFields({ laneRanges, chunks, symbols }: BlockHeader): { at: number; width: 1 | 2 | 4 | 8 }[] {
  const fields: { at: number; width: 1 | 2 | 4 | 8 }[] = [
    { at: 8, width: 4 },
    { at: 12, width: 4 },
    { at: 48, width: 4 },
    { at: 72, width: 8 },
    { at: 80, width: 4 },
    { at: 84, width: 4 },
    { at: 88, width: 4 },
    { at: 96, width: 8 },
  ];
  let at = 128;
  for (const _ of laneRanges) {
    fields.push({ at: at + 8, width: 8 }, { at: at + 16, width: 8 });
    at += 24;
  }
  for (const _ of chunks) {
    fields.push({ at, width: 2 }, { at: at + 2, width: 1 }, { at: at + 3, width: 1 }, { at: at + 4, width: 1 });
    fields.push(
      { at: at + 5, width: 1 },
      { at: at + 8, width: 4 },
      { at: at + 12, width: 4 },
      { at: at + 16, width: 4 },
    );
    at += 48;
  }
  for (const { bytes } of symbols) {
    fields.push({ at: at + 4, width: 4 });
    at += 8 + Math.ceil(bytes.length / 8) * 8;
  }
  return fields;
}

const hostile = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    7n,
    8n,
    127n,
    128n,
    2n ** 16n,
    2n ** 20n,
    2n ** 30n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 53n,
    2n ** 64n - 1n,
  ),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: -16n, max: 16n }),
);

/** The most that a reader may set aside for a block of these few bytes. */
const MODEST = 64 * 1024 * 1024;

describe('a header that lies under a right checksum', () => {
  const block = blockOf(schema, rowsOf(40));
  const compressed = blockOf(schema, rowsOf(200), { compression: { zstd: 1 } });

  test('leads to damage, or to columns of as many values as it says: to no other error, nor far', () => {
    const outcomes = { noHeader: 0, damaged: 0, decoded: 0 };
    fc.assert(
      fc.property(
        fc.constantFrom(block, compressed),
        fc.array(fc.tuple(fc.nat(), hostile, fc.boolean()), { minLength: 1, maxLength: 3 }),
        (of, lies) => {
          const bytes = of.bytes.slice();
          const view = new DataView(bytes.buffer);
          const headerBytes = peekHeaderBytes(bytes);
          const fields = leadingFields(of.header);
          for (const [which, value, relative] of lies) {
            const { at, width } = fields[which % fields.length];
            const before = width === 8 ? view.getBigUint64(at, true) : BigInt(bytes[at]);
            const put = BigInt.asUintN(width * 8, relative ? before + (value % 17n) : value);
            for (let i = 0; i < width; i++) bytes[at + i] = Number((put >> BigInt(8 * i)) & 255n);
          }
          resealHeader(bytes, headerBytes);
          const header = decodeBlockHeader(bytes);
          if (typeof header === 'string') {
            outcomes.noHeader++;
            return;
          }
          // What a header lets through is bounded, whatever it says.
          expect(header.blockBytes).toBeLessThanOrEqual(MAX_BLOCK_BYTES);
          expect(header.count).toBeLessThanOrEqual(1_000_000);
          if (header.blockBytes !== bytes.length) {
            outcomes.damaged++;
            return;
          }
          const fresh = new BlockDecoder(schema, zstd);
          const room = fresh.room(bytes.length, header.count);
          expect(room.buffer.byteLength).toBeLessThan(MODEST);
          const decoded = tryDecode(schema, bytes, header.count, fresh);
          if (decoded === null) {
            outcomes.damaged++;
            return;
          }
          outcomes.decoded++;
          for (const [index] of schema.fields.entries()) {
            const column = decoded.columns[index];
            expect('lengths' in column ? column.lengths.length : column.values.length).toBe(header.count);
            expect(column.present?.length ?? null).toBe(schema.fields[index].optional ? header.count : null);
          }
        },
      ),
      { numRuns: 2500 },
    );
    // All three were reached: without that the property says nothing about them.
    expect(Math.min(...Object.values(outcomes))).toBeGreaterThan(5);
  });

  test.each([
    ['an encoding that is none', 4, 9],
    ['a compression that is none', 5, 9],
    ['a kind that is another', 3, 7],
    ['a field that is another', 0, 1],
    ['a part that there is not', 2, 1],
  ])('%s is damage', (_, at, value) => {
    const bytes = block.bytes.slice();
    // The first chunk, of the timestamp, behind one lane range.
    bytes[128 + 24 + at] = value;
    resealHeader(bytes, peekHeaderBytes(bytes));
    expect(typeof decodeBlockHeader(bytes)).toBe('object');
    expect(decode(bytes, 40)).toBeNull();
  });

  test('floats are never packed, whatever it says', () => {
    const bytes = block.bytes.slice();
    const chunk = block.header.chunks.findIndex(({ field }) => field === 4);
    bytes[128 + 24 + 48 * chunk + 4] = 1;
    resealHeader(bytes, peekHeaderBytes(bytes));
    expect(decode(bytes, 40)).toBeNull();
  });

  test.each([
    ['packed', 4, 1],
    ['of another part', 2, 0],
    ['of another field', 0, 8],
    ['shorter than it should be', 16, 4],
  ])('a mask of present values that is said to be %s is damage', (_, at, value) => {
    const bytes = block.bytes.slice();
    const chunk = block.header.chunks.findIndex(({ field, part }) => field === 7 && part === 2);
    expect(block.header.chunks[chunk].encodedBytes).toBe(5);
    bytes[128 + 24 + 48 * chunk + at] = value;
    resealHeader(bytes, peekHeaderBytes(bytes));
    expect(typeof decodeBlockHeader(bytes)).toBe('object');
    expect(decode(bytes, 40)).toBeNull();
  });

  test('a count of records that the chunks do not hold is damage', () => {
    for (const count of [39, 41, 1, 128, 1_000_000]) {
      const bytes = block.bytes.slice();
      new DataView(bytes.buffer).setUint32(48, count, true);
      resealHeader(bytes, peekHeaderBytes(bytes));
      expect(decode(bytes, count)).toBeNull();
    }
  });

  test.each([
    ['none', 0],
    ['more than a block may have', 1_000_001],
  ])('a count of %s makes no header', (_, count) => {
    const bytes = block.bytes.slice();
    new DataView(bytes.buffer).setUint32(48, count, true);
    resealHeader(bytes, peekHeaderBytes(bytes));
    expect(decodeBlockHeader(bytes)).toMatch(/records/);
  });

  test('chunks that overlap, leave a hole, or do not reach the end of the block, make no header', () => {
    const { chunks, blockBytes } = block.header;
    const lies: [at: number, value: number][] = [
      [128 + 24 + 48 + 8, chunks[1].offset + 8],
      [128 + 24 + 48 + 8, chunks[0].offset],
      [128 + 24 + 8, 8],
      [128 + 24 + 48 * (chunks.length - 1) + 12, chunks.at(-1)!.storedBytes + 8],
      [72, blockBytes + 8],
      [72, blockBytes - 8],
    ];
    for (const [at, value] of lies) {
      const bytes = block.bytes.slice();
      new DataView(bytes.buffer).setUint32(at, value, true);
      resealHeader(bytes, peekHeaderBytes(bytes));
      expect(typeof decodeBlockHeader(bytes)).toBe('string');
    }
  });

  test('lengths of texts that add up to other than their bytes are damage', () => {
    // Those of two texts, 0 and 5, are not worth packing: plain 32-bit words.
    const two = blockOf(schema, rowsOf(2));
    const { offset, storedBytes } = two.header.chunks.find(({ field, part }) => field === 5 && part === 0)!;
    expect(storedBytes).toBe(8);
    const withLengths = (...lengths: number[]) => {
      const bytes = two.bytes.slice();
      const view = new DataView(bytes.buffer);
      lengths.forEach((length, i) => {
        view.setUint32(offset + 4 * i, length, true);
      });
      resealChunk(bytes, two, 5, 0);
      return decode(bytes, 2);
    };
    expect(withLengths(0, 6)).toBeNull();
    expect(withLengths(0, 4)).toBeNull();
    expect(withLengths(2 ** 32 - 1, 6)).toBeNull();
    expect(withLengths(1, 4)).not.toBeNull();
  });
});

/** Puts the right checksums over a chunk that was changed. */
function resealChunk(bytes: Uint8Array, { header }: Block, field: number, part: number): void {
  const index = header.chunks.findIndex((chunk) => chunk.field === field && chunk.part === part);
  const { offset, storedBytes } = header.chunks[index];
  const view = new DataView(bytes.buffer);
  view.setBigUint64(128 + 24 + 48 * index + 24, hash64(bytes.slice(offset, offset + storedBytes)), true);
  resealHeader(bytes, peekHeaderBytes(bytes));
}

test('a zstd frame that holds other than it should is damage', () => {
  const rows = rowsOf(200).map((row) => row.with(5, 'x'.repeat(200)));
  const block = blockOf(schema, rows, { compression: { zstd: 1 } });
  const { offset, storedBytes } = block.header.chunks.find(({ field, part }) => field === 5 && part === 1)!;
  // Of a byte more than the texts have: as short a frame, as it is all the same letter.
  const frame = zstd.compress(new Uint8Array(40_001).fill(120), 1);
  const fits = frame.length <= storedBytes;
  const bytes = block.bytes.slice();
  bytes.set(fits ? frame : frame.subarray(0, storedBytes), offset);
  resealChunk(bytes, block, 5, 1);
  expect(decode(bytes, 200)).toBeNull();
});
