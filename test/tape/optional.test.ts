import path from 'node:path';
import fc from 'fast-check';
import {
  bytes,
  decimal,
  defineSchema,
  f32,
  f64,
  i64,
  openTape,
  optional,
  type RecordOf,
  symbol,
  text,
  timestamp,
  u8,
  type ValuesOf,
} from 'ticktape';
import { describe, expect, test } from 'vitest';
import { copyOf, scratch } from '../helpers/scratch.js';
import { errorOf, readAll, recordsOf } from '../helpers/tape.js';

const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 100, laneBytes: 65_536, flushIntervalMs: 0 };

const quote = defineSchema(
  'quote',
  optional(text('note')),
  timestamp('ts'),
  optional(symbol('s')),
  optional(decimal('bid', 2)),
  f64('ask'),
  optional(f64('x')),
  optional(i64('id')),
  optional(bytes('raw')),
  symbol('venue'),
  optional(u8('side')),
  optional(f32('ratio')),
);
type Quote = RecordOf<(typeof quote)['fields']>;
const NAMES = quote.fields.map(({ name }) => name);
const argumentsOf = (of: Quote) => NAMES.map((name) => of[name]) as unknown as ValuesOf<(typeof quote)['fields']>;
const openQuotes = (root: string, capacity = 24) => openTape(quote, { storage: [root], ...SMALL, capacity });

const orNull = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null, freq: 2 });
const SYMBOLS = ['BTCUSDT', 'ETHUSDT', 'X'];

const row: fc.Arbitrary<Quote> = fc.record({
  note: orNull(fc.constantFrom('', 'é', '\uFEFFnote')),
  ts: fc.bigInt({ min: -20n, max: 20n }),
  s: orNull(fc.constantFrom(...SYMBOLS)),
  bid: orNull(fc.integer({ min: -100, max: 100 }).map((n) => (n === 0 ? 0 : n / 100))),
  ask: fc.double(),
  x: orNull(fc.constantFrom(0, -0, NaN, Infinity, 5e-324, 1.5)),
  id: orNull(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  raw: orNull(fc.uint8Array({ maxLength: 9 })),
  venue: fc.constantFrom('X', 'Y'),
  side: orNull(fc.integer({ min: 0, max: 255 })),
  ratio: orNull(fc.constantFrom(0, -0, NaN, 0.5)),
});

/** Two values of which null, NaN, 0 and -0 are four. */
const same = (a: unknown, b: unknown) =>
  a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : Object.is(a, b);

test('a scan of any rows, times, symbols and columns is a filter, and absent values stay absent', async () => {
  const [rows] = fc.sample(fc.array(row, { minLength: 250, maxLength: 250 }), { numRuns: 1 });
  await using tape = await openQuotes(scratch());
  for (const [i, of] of rows.entries()) {
    tape.append(...argumentsOf(of));
    if (i % 37 === 36) await tape.flush();
  }
  await tape.flush();
  const query = fc.record({
    from: fc.option(fc.bigInt({ min: -25n, max: 25n }), { nil: undefined }),
    to: fc.option(fc.bigInt({ min: -25n, max: 25n }), { nil: undefined }),
    symbols: fc.option(fc.subarray([...SYMBOLS, 'Y', 'NONE', '']), { nil: undefined }),
    columns: fc.option(fc.shuffledSubarray(NAMES), { nil: undefined }),
  });
  const seen = { null: 0, values: 0 };
  await fc.assert(
    fc.asyncProperty(query, async ({ from, to, symbols, columns }) => {
      const wanted = rows.filter(
        ({ ts, s }) =>
          (from === undefined || ts >= from) &&
          (to === undefined || ts < to) &&
          (symbols === undefined || (s !== null && symbols.includes(s))),
      );
      let at = 0;
      for await (const batch of tape.scan({ from, to, symbols, columns })) {
        const found = batch.columns as unknown as Record<string, { length: number; at(row: number): unknown }>;
        for (let n = 0; n < batch.length; n++, at++) {
          const record = batch.record(n) as Record<string, unknown>;
          for (const name of columns ?? NAMES) {
            const expected = wanted[at][name];
            seen[expected === null ? 'null' : 'values']++;
            const good = same(found[name].at(n), expected) && same(record[name], expected);
            if (!good) expect.fail(`${name} of ${at}: ${String(record[name])}, not ${String(expected)}`);
            if (found[name].length !== batch.length) expect.fail(`${name} has ${found[name].length} values`);
          }
        }
      }
      expect(at).toBe(wanted.length);
    }),
    { numRuns: 100 },
  );
  expect(Math.min(seen.null, seen.values)).toBeGreaterThan(1000);
});

const ABSENT: Quote = {
  note: null,
  ts: 1n,
  s: null,
  bid: null,
  ask: 0,
  x: null,
  id: null,
  raw: null,
  venue: 'X',
  side: null,
  ratio: null,
};
const PRESENT: Quote = {
  note: 'n',
  ts: 2n,
  s: 'BTCUSDT',
  bid: 1.25,
  ask: 0,
  x: -0,
  id: -5n,
  raw: new Uint8Array([1, 2]),
  venue: 'X',
  side: 255,
  ratio: 0.5,
};

test.each([
  ['all absent', [ABSENT, ABSENT]],
  ['all present', [PRESENT, PRESENT]],
  ['one of each', [PRESENT, ABSENT, PRESENT, ABSENT, ABSENT]],
])('%s', async (_, rows) => {
  await using tape = await openQuotes(scratch());
  for (const of of rows) tape.append(...argumentsOf(of));
  await tape.flush();
  expect(await recordsOf(tape)).toEqual(rows);
  expect(await tape.verify()).toMatchObject({ blocks: 1, copies: 1, damaged: [] });
});

test('a column of optional values: what is present, and values for every row', async () => {
  await using tape = await openQuotes(scratch());
  for (const of of [PRESENT, ABSENT, PRESENT, ABSENT]) tape.append(...argumentsOf(of));
  await tape.flush();
  for await (const { columns } of tape.scan({ from: 1n, symbols: undefined })) {
    const { bid, id, note, raw, s, side } = columns;
    for (const { present, length } of [bid, id, note, raw, s, side]) {
      expect([...present, length]).toEqual([1, 0, 1, 0, 4]);
    }
    expect(bid.values).toEqual(new Float64Array([1.25, 0, 1.25, 0]));
    expect(id.values).toEqual(new BigInt64Array([-5n, 0n, -5n, 0n]));
    expect(side.values).toEqual(new Uint8Array([255, 0, 255, 0]));
    expect([0, 1, 2, 3].map((i) => note.values.at(i))).toEqual(['n', '', 'n', '']);
    expect(raw.values.offsets).toEqual(new Float64Array([0, 2, 2, 4, 4]));
    expect([0, 1, 2, 3].map((i) => s.values.at(i))).toEqual(['BTCUSDT', '', 'BTCUSDT', '']);
    // No symbol's id, so that whoever counts by id counts them by themselves.
    expect(s.values.ids[1]).toBe(2 ** 32 - 1);
    expect([s.values.ids[3], s.values.name(2 ** 32 - 1)]).toEqual([2 ** 32 - 1, '']);
    expect([0, 1].map((i) => [bid.at(i), s.at(i), note.at(i)])).toEqual([
      [1.25, 'BTCUSDT', 'n'],
      [null, null, null],
    ]);
  }
  for await (const { columns } of tape.scan({ to: 2n, columns: ['bid', 's'] })) {
    expect([columns.bid.present, columns.bid.values]).toEqual([new Uint8Array(2), new Float64Array(2)]);
    expect([0, 1].map((i) => columns.s.values.at(i))).toEqual(['', '']);
  }
});

test('zero, minus zero, NaN and empty are values', async () => {
  const schema = defineSchema('t', timestamp('ts'), optional(f64('x')), optional(text('n')), optional(i64('i')));
  await using tape = await openTape(schema, { storage: [scratch()], ...SMALL });
  const rows: [bigint, number | null, string | null, bigint | null][] = [
    [1n, 0, '', 0n],
    [2n, -0, null, null],
    [3n, NaN, '\0', -1n],
    [4n, null, '', 0n],
  ];
  for (const values of rows) tape.append(...values);
  await tape.flush();
  const found = (await recordsOf(tape)).map(({ ts, x, n, i }) => [ts, x, n, i]);
  // toEqual tells -0 from 0, and null from either.
  expect(found).toEqual(rows);
});

describe('an optional symbol', () => {
  const schema = defineSchema('t', timestamp('ts'), optional(symbol('s')), u8('n'));

  test('that is absent is none of the block, nor found under the name of the first of the tape', async () => {
    await using tape = await openTape(schema, { storage: [scratch()], ...SMALL });
    // A tape without any symbol: there is no id 0.
    tape.append(1n, null, 1);
    await tape.flush();
    expect(await tape.verify()).toMatchObject({ copies: 1, damaged: [] });
    // FIRST has the id 0, whose bytes are those of an absent one.
    tape.append(2n, 'FIRST', 2);
    tape.append(3n, null, 3);
    tape.append(4n, 'SECOND', 4);
    await tape.flush();
    tape.append(5n, null, 5);
    await tape.flush();
    const numbers = async (...symbols: string[]) => {
      const found: number[] = [];
      for await (const { columns } of tape.scan({ symbols })) found.push(...columns.n);
      return found;
    };
    expect(await numbers('FIRST')).toEqual([2]);
    expect(await numbers('SECOND', 'FIRST')).toEqual([2, 4]);
    expect(await numbers('', 'null')).toEqual([]);
    expect((await recordsOf(tape)).map(({ s }) => s)).toEqual([null, 'FIRST', null, 'SECOND', null]);
  });

  test.each([
    ['no symbol at all', [null, null]],
    ['some', ['A', null, 'B', null]],
  ])('in lanes that a killed process left, with %s: recovered', async (_, symbols) => {
    const root = scratch();
    await using tape = await openTape(schema, { storage: [path.join(root, 'd0')], ...SMALL, syncIntervalMs: 0 });
    symbols.forEach((s, i) => {
      tape.append(BigInt(i), s, i);
    });
    if (tape.stats().journal === 'buffered') await tape.flush();
    const storage = [path.join(copyOf(root), 'd0')];
    const again = await openTape(schema, { storage, ...SMALL });
    const { recovery } = again.stats();
    await again.close();
    if (tape.stats().journal === 'mapped') expect(recovery).toMatchObject({ records: symbols.length, damagedBytes: 0 });
    expect(await readAll(schema, storage)).toEqual(
      symbols.map((s, i) => ({ sequence: BigInt(i), ts: BigInt(i), s, n: i })),
    );
  });
});

test('a tape is of the schema with it or of the one without, and the error says which', async () => {
  const root = scratch();
  const plain = defineSchema('t', timestamp('ts'), decimal('p', 2));
  const tape = await openTape(defineSchema('t', timestamp('ts'), optional(decimal('p', 2))), {
    storage: [root],
    ...SMALL,
  });
  await tape.close();
  const error = await errorOf(() => openTape(plain, { storage: [root], ...SMALL }));
  expect(error).toMatchObject({ code: 'SCHEMA_MISMATCH' });
  expect(error.message).toContain(
    'recorded as t(ts timestamp, p optional decimal(2)), opened as t(ts timestamp, p decimal(2))',
  );
});
