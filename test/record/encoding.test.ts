import fc from 'fast-check';
import {
  bytes,
  decimal,
  defineSchema,
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  optional,
  type Schema,
  symbol,
  text,
  timestamp,
  u8,
  u16,
  u32,
  u64,
} from 'ticktape';
import { describe, expect, test } from 'vitest';
import {
  LANE_ARGUMENTS,
  SYMBOL_BYTES,
  SYMBOL_COUNT,
  SYMBOL_HEADER_BYTES,
  SYMBOLS,
} from '../../dist/assembly/layout.js';
import { hash64 } from '../../dist/src/hash.js';
import { Bench, interning, sameBytes } from '../helpers/bench.js';
import { encodeRecord, isVarying, layoutOf, recorded, type Value } from '../helpers/records.js';

test('records of any schema are what the layout says, byte for byte', () => {
  fc.assert(
    fc.property(recorded({ minLength: 1, maxLength: 12 }), ({ schema, rows }) => {
      const bench = new Bench(schema);
      const { append } = bench.appender();
      const idOf = interning();
      let position = 0n;
      for (const [count, values] of rows.entries()) {
        const expected = encodeRecord(schema, values, idOf, position, bench.salt());
        expect(append(...values)).toBe(Number(position));
        sameBytes(bench.ringBytes(0, position, expected.length), expected);
        position += BigInt(expected.length);
        expect(bench.counters()).toEqual({ head: 0n, drained: 0n, tail: position, records: BigInt(count + 1) });
      }
      const { fixedBytes, presence } = layoutOf(schema);
      expect([schema.recordBytes, schema.presence.offset]).toEqual([fixedBytes, presence]);
    }),
    { numRuns: 300 },
  );
});

test('and stay that in the laps that follow, where others lay before', () => {
  fc.assert(
    fc.property(recorded({ minLength: 3, maxLength: 6 }, 6), ({ schema, rows }) => {
      const bench = new Bench(schema, { ring: 2048 });
      const { append } = bench.appender();
      const idOf = interning();
      for (let turn = 0; turn < 60; turn++) {
        const values = rows[turn % rows.length];
        const position = BigInt(append(...values));
        const expected = encodeRecord(schema, values, idOf, position, bench.salt());
        sameBytes(bench.ringBytes(0, position, expected.length), expected);
        bench.drain();
        bench.emptyRows();
        bench.release(0, bench.counters().drained);
      }
      expect(bench.counters().tail).toBeGreaterThan(2048n / 2n);
    }),
    { numRuns: 40 },
  );
});

const hex = (from: Uint8Array) => Buffer.from(from).toString('hex');

test('little-endian: one record with a field of every kind, literally', () => {
  const schema = defineSchema(
    'every',
    u8('a'),
    timestamp('b'),
    symbol('c'),
    decimal('d', 2),
    text('e'),
    f64('f'),
    f32('g'),
    i8('h'),
    i16('i'),
    i32('j'),
    i64('k'),
    bytes('l'),
    u16('m'),
    u32('n'),
    u64('o'),
  );
  const bench = new Bench(schema);
  const { append } = bench.appender();
  append(
    ...[1, 0x0102030405060708n, 'X', -2.56, 'é', 1.5, -2.5, -2, -3, -4, -5n],
    ...[new Uint8Array([0xaa, 0xbb, 0xcc]), 0x0102, 0x01020304, 0x1112131415161718n],
  );
  const record = hex(bench.ringBytes(0, 0n, 96));
  expect(record.slice(16)).toBe(
    [
      '60000000 01000000', // 96 bytes, a record
      '08070605 04030201', // b: i64
      '00ffffff ffffffff', // d: -256
      '00000000 0000f83f', // f: 1.5
      'fbffffff ffffffff', // k: -5
      '18171615 14131211', // o
      '00000000 02000000', // c: the first symbol; e: 2 bytes
      '000020c0 fcffffff', // g: -2.5; j: -4
      '03000000 04030201', // l: 3 bytes; n
      'fdff0201 01fe0000', // i: -3, m; a, h: -2, zeros
      'c3a9aabb cc000000', // e, then l, zeros
    ]
      .join('')
      .replaceAll(' ', ''),
  );
});

test('a checksum worked out by hand: all that it covers is the position, the salt and the words', () => {
  const schema = defineSchema('least', timestamp('ts'));
  const bench = new Bench(schema);
  bench.appender().append(7n);
  const mask = 2n ** 64n - 1n;
  const fold = (word: bigint) => word ^ (word >> 32n);
  let sum = bench.salt();
  sum += fold((1n << 32n) | 24n) * 0xc2b2ae3d27d4eb4fn;
  sum += fold(7n) * (0xc2b2ae3d27d4eb4fn + 0x165667b19e3779f8n);
  sum &= mask;
  sum ^= sum >> 32n;
  sum = (sum * 0x9fb21c651e98df25n) & mask;
  sum ^= sum >> 29n;
  expect(bench.view.getBigUint64(bench.addressOf(0, 0n), true)).toBe(sum);
});

test('the same values have other checksums at another position and in another lane', () => {
  const bench = new Bench(defineSchema('least', timestamp('ts')), { lanes: 2 });
  const one = bench.appender(0);
  one.append(7n);
  one.append(7n);
  bench.appender(1).append(7n);
  const checksums = [
    bench.view.getBigUint64(bench.addressOf(0, 0n), true),
    bench.view.getBigUint64(bench.addressOf(0, 24n), true),
    bench.view.getBigUint64(bench.addressOf(1, 0n), true),
  ];
  expect(new Set(checksums).size).toBe(3);
});

// ---- the two ways in --------------------------------------------------------------------------------------------------

const takesDirectly = ({ fields }: Schema) =>
  fields.length + Math.ceil(fields.filter(({ optional }) => optional).length / 8) <= 11 &&
  fields.every(({ kind }) => !isVarying(kind) && kind !== 'i64' && kind !== 'u64');

/** Appends through the argument words, as a schema with 64-bit or varying fields does. */
function appendStaged(bench: Bench, values: readonly Value[], idOf: (name: string) => number): number {
  const at = bench.at(0);
  const { fields, table, recordBytes } = bench.schema;
  const record = bench.kernels.reserve(at, recordBytes);
  expect(record).toBeGreaterThan(0);
  table.forEach(({ kind, index }, i) => {
    const to = at + LANE_ARGUMENTS + 8 * i;
    const value = values[index];
    if (kind === 'timestamp') bench.view.setBigInt64(to, value as bigint, true);
    else bench.view.setFloat64(to, kind === 'symbol' && value !== null ? idOf(value as string) : Number(value), true);
  });
  const present = fields.flatMap(({ optional }, i) => (optional ? [values[i] !== null] : []));
  for (let byte = 0; byte < present.length; byte += 8) {
    const bits = present.slice(byte, byte + 8).reduce((sum, is, bit) => sum + (is ? 2 ** bit : 0), 0);
    bench.view.setFloat64(at + LANE_ARGUMENTS + 8 * (table.length + byte / 8), bits, true);
  }
  return bench.kernels.appendStaged(at, record, recordBytes);
}

test('arguments and argument words make the same record', () => {
  let compared = 0;
  fc.assert(
    fc.property(
      recorded({ minLength: 1, maxLength: 4 }, 11).filter(({ schema }) => takesDirectly(schema)),
      ({ schema, rows }) => {
        const bench = new Bench(schema);
        const { append } = bench.appender();
        const direct = rows.map((values) => {
          const position = append(...values);
          return bench.ringBytes(0, BigInt(position), schema.recordBytes);
        });
        const again = new Bench(schema);
        const idOf = interning();
        rows.forEach((values, i) => {
          // Fields are interned in the schema's order, which is what append does before the kernel sees them.
          for (const [index, { kind }] of schema.fields.entries()) {
            if (kind === 'symbol' && values[index] !== null) idOf(values[index] as string);
          }
          const position = appendStaged(again, values, idOf);
          sameBytes(again.ringBytes(0, BigInt(position), schema.recordBytes), direct[i]);
          compared++;
        });
      },
    ),
    { numRuns: 100 },
  );
  expect(compared).toBeGreaterThan(100);
});

test.each([
  ['ten numbers, as arguments', 10],
  ['eleven, through the argument words', 11],
])('%s', (_, numbers) => {
  const names = Array.from({ length: numbers }, (_, i) => i32(`n${i}`));
  const schema: Schema = defineSchema('numbers', ...names, timestamp('ts'));
  const bench = new Bench(schema);
  const values = [...names.map((_, i) => -1000 * i), 5n];
  bench.appender().append(...values);
  const expected = encodeRecord(schema, values, interning(), 0n, bench.salt());
  sameBytes(bench.ringBytes(0, 0n, expected.length), expected);
});

describe('optional fields', () => {
  /** The record of the values, which is what the layout says. */
  function appended(schema: Schema, values: readonly Value[]): Uint8Array {
    const bench = new Bench(schema);
    const position = bench.appender().append(...values);
    const expected = encodeRecord(schema, values, interning(), BigInt(position), bench.salt());
    const record = bench.ringBytes(0, BigInt(position), expected.length);
    sameBytes(record, expected);
    return record;
  }

  test('one record, literally: a bit for each of them in the order of the schema, and zeros for what is absent', () => {
    const schema: Schema = defineSchema(
      'optional',
      optional(u8('a')),
      timestamp('b'),
      optional(symbol('c')),
      u8('d'),
      optional(f64('e')),
      optional(text('f')),
      optional(i64('g')),
    );
    expect(hex(appended(schema, [1, 2n, null, 3, null, 'x', null])).slice(16)).toBe(
      [
        '40000000 01000000', // 64 bytes, a record
        '02000000 00000000', // b
        '00000000 00000000', // e is absent
        '00000000 00000000', // g is absent
        '00000000 01000000', // c is absent; f: 1 byte
        '01030900 00000000', // a, d, of a c e f g the bits 0 and 3, zeros
        '78000000 00000000', // f
      ]
        .join('')
        .replaceAll(' ', ''),
    );
  });

  test.each([
    ['nine, a byte of bits, ten arguments', 9],
    ['ten, two bytes of bits, through the argument words', 10],
    ['seventeen, three bytes of bits', 17],
  ])('%s', (_, count) => {
    const fields = Array.from({ length: count }, (_, i) => optional(i32(`n${i}`)));
    const schema: Schema = defineSchema('numbers', ...fields, timestamp('ts'));
    const bytesOfBits = Math.ceil(count / 8);
    expect(schema.presence).toEqual({ offset: 24 + 4 * count, bytes: bytesOfBits });
    expect(schema.optionals.map(({ presenceBit }) => presenceBit)).toEqual([...fields.keys()]);
    const bitsOf = (values: readonly Value[]) => {
      const at = schema.presence.offset;
      return [...appended(schema, values).subarray(at, at + bytesOfBits)];
    };
    expect(bitsOf([...fields.map(() => null), 5n])).toEqual(new Array(bytesOfBits).fill(0));
    const all = bitsOf([...fields.map((_, i) => -i), 5n]);
    expect(all.map((byte, i) => byte.toString(2).length === Math.min(8, count - 8 * i))).not.toContain(false);
    for (const one of fields.keys()) {
      const bits = bitsOf([...fields.map((_, i) => (i === one ? 7 : null)), 5n]);
      expect(bits).toEqual(Array.from(bits, (_, byte) => (byte === one >> 3 ? 1 << (one & 7) : 0)));
    }
  });

  test('an absent symbol is not interned', () => {
    const schema: Schema = defineSchema('symbols', timestamp('ts'), optional(symbol('s')));
    const bench = new Bench(schema);
    const { append } = bench.appender();
    append(1n, null);
    expect(bench.view.getUint32(SYMBOLS + SYMBOL_COUNT, true)).toBe(0);
    append(2n, 'A');
    expect(bench.view.getUint32(SYMBOLS + SYMBOL_COUNT, true)).toBe(1);
  });
});

test('surplus values are not looked at', () => {
  const bench = new Bench(defineSchema('least', timestamp('ts')));
  bench.appender().append(7n, 8, 'x');
  expect(bench.counters().tail).toBe(24n);
});

// ---- symbols ------------------------------------------------------------------------------------------------------------

describe('symbols', () => {
  const schema = defineSchema('symbols', timestamp('ts'), symbol('s'));
  const idAt = (bench: Bench, position: number) =>
    bench.view.getUint32(bench.addressOf(0, BigInt(position)) + 24, true);

  test('the same name has the same id on every lane, and a name of its own has its own', () => {
    const bench = new Bench(schema, { lanes: 2 });
    const names = ['B', 'A', 'B', '\uFEFFA', 'a', 'A\0', 'x'.repeat(55), 'A'];
    const one = bench.appender(0);
    const ids = names.map((name) => idAt(bench, one.append(1n, name)));
    expect(ids).toEqual([0, 1, 0, 2, 3, 4, 5, 1]);
    const position = bench.appender(1).append(1n, '\uFEFFA');
    expect(bench.view.getUint32(bench.addressOf(1, BigInt(position)) + 24, true)).toBe(2);
  });

  test('an entry: checksum, length, name, zeros', () => {
    const bench = new Bench(schema);
    const { append } = bench.appender();
    // The longest first: what is left of it in the words that names are staged in is not in the next one's entry.
    append(1n, 'y'.repeat(55));
    append(1n, 'éx');
    expect(bench.view.getUint32(SYMBOLS + SYMBOL_COUNT, true)).toBe(2);
    const entry = bench.bytes.slice(SYMBOLS + SYMBOL_HEADER_BYTES + SYMBOL_BYTES, SYMBOLS + SYMBOL_HEADER_BYTES + 128);
    const expected = new Uint8Array(64);
    expected.set([3, 0xc3, 0xa9, 0x78], 8);
    new DataView(expected.buffer).setBigUint64(0, hash64(expected.subarray(8), 1n), true);
    sameBytes(entry, expected);
  });

  test('a table that is full takes no new name, and goes on with those it has', () => {
    const bench = new Bench(schema, { symbols: 2 });
    const { append } = bench.appender();
    append(1n, 'A');
    append(2n, 'B');
    expect(() => append(3n, 'C')).toThrow(expect.objectContaining({ code: 'SYMBOLS_FULL', field: 's' }));
    expect(bench.counters().records).toBe(2n);
    append(4n, 'B');
    expect(bench.counters().records).toBe(3n);
  });
});
