import fc from 'fast-check';
import {
  bytes,
  decimal,
  defineSchema,
  type FlusherPlace,
  f32,
  f64,
  i8,
  i64,
  openAppender,
  openTape,
  symbol,
  type Tape,
  text,
  timestamp,
  u16,
  u64,
} from 'ticktape';
import { describe, expect, test } from 'vitest';
import { scratch } from '../helpers/scratch.js';
import { batchesOf, errorOf } from '../helpers/tape.js';

const schema = defineSchema(
  'scanned',
  text('note'),
  timestamp('ts'),
  symbol('s'),
  decimal('price', 4),
  symbol('venue'),
  bytes('raw'),
  i64('id'),
  u64('mask'),
  f32('ratio'),
  f64('x'),
  i8('side'),
  u16('k'),
);
type Fields = (typeof schema)['fields'];
const NAMES = schema.fields.map(({ name }) => name);
const SYMBOLS = ['BTCUSDT', 'ETHUSDT', '\uFEFF', 'x'.repeat(55), '市場'];
const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 100, laneBytes: 65_536, flushIntervalMs: 0 };

interface Row {
  note: string;
  ts: bigint;
  s: string;
  price: number;
  venue: string;
  raw: Uint8Array;
  id: bigint;
  mask: bigint;
  ratio: number;
  x: number;
  side: number;
  k: number;
}

const row: fc.Arbitrary<Row> = fc.record({
  note: fc.oneof(fc.constantFrom('', '\uFEFFnote', '📈'), fc.string({ unit: 'grapheme', maxLength: 12 })),
  // Few different ones, so that ranges begin and end on them.
  ts: fc.bigInt({ min: -20n, max: 20n }),
  s: fc.constantFrom(...SYMBOLS),
  price: fc.integer({ min: -1_000_000, max: 1_000_000 }).map((n) => (n === 0 ? 0 : n / 10_000)),
  venue: fc.constantFrom('X', 'Y', 'BTCUSDT'),
  raw: fc.uint8Array({ maxLength: 9 }),
  id: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  mask: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  ratio: fc.float(),
  x: fc.double(),
  side: fc.integer({ min: -128, max: 127 }),
  k: fc.integer({ min: 0, max: 65_535 }),
});

const valuesOf = (of: Row) => NAMES.map((name) => of[name]) as unknown as Parameters<Tape<Fields>['append']>;

const query = fc.record({
  from: fc.option(fc.bigInt({ min: -25n, max: 25n }), { nil: undefined }),
  to: fc.option(fc.bigInt({ min: -25n, max: 25n }), { nil: undefined }),
  symbols: fc.option(fc.subarray([...SYMBOLS, 'NONE', 'Y']), { nil: undefined }),
  columns: fc.option(fc.shuffledSubarray(NAMES), { nil: undefined }),
});

/** All of `rows` on a tape, in blocks of 16 to 40 and what flushes leave, in the order of their sequences. */
async function tapeOf(rows: readonly Row[], capacity: number, flusher?: FlusherPlace): Promise<Tape<Fields>> {
  const tape = await openTape(schema, { storage: [scratch()], ...SMALL, capacity, flusher });
  for (const [i, of] of rows.entries()) {
    tape.append(...valuesOf(of));
    if (i % 37 === 36) await tape.flush();
  }
  await tape.flush();
  return tape;
}

test('a scan is a filter', async () => {
  const made = fc.sample(fc.array(row, { minLength: 150, maxLength: 220 }), { numRuns: 2 });
  // The second one in order of time, so that its blocks have ranges of their own.
  made[1].sort((a, b) => Number(a.ts - b.ts));
  for (const [i, rows] of made.entries()) {
    const tape = await tapeOf(rows, 16 + 24 * i, i === 0 ? 'worker' : 'inline');
    let kept = 0;
    await fc.assert(
      fc.asyncProperty(query, async ({ from, to, symbols, columns }) => {
        const wanted = rows
          .map((of, sequence) => ({ of, sequence: BigInt(sequence) }))
          .filter(
            ({ of: { ts, s } }) =>
              (from === undefined || ts >= from) &&
              (to === undefined || ts < to) &&
              (symbols === undefined || symbols.includes(s)),
          );
        const names = columns ?? NAMES;
        let at = 0;
        for await (const batch of tape.scan({ from, to, symbols, columns })) {
          expect(batch.length).toBeGreaterThan(0);
          expect(Object.keys(batch.columns)).toEqual(names);
          const all = batch.columns as unknown as Record<string, { length: number; at(row: number): unknown }>;
          const records = [...batch.records()] as Record<string, unknown>[];
          expect(records.length).toBe(batch.length);
          for (let n = 0; n < batch.length; n++, at++) {
            const { of, sequence } = wanted[at] ?? expect.fail('more records than are wanted');
            if (batch.sequence(n) !== sequence) expect.fail(`sequence ${batch.sequence(n)}, not ${sequence}`);
            const record = batch.record(n) as Record<string, unknown>;
            for (const name of names) {
              const column = all[name];
              const expected = name === 'ratio' ? Math.fround(of.ratio) : of[name];
              for (const found of [column.at(n), record[name], records[n][name]]) {
                const same =
                  expected instanceof Uint8Array
                    ? Buffer.compare(found as Uint8Array, expected) === 0
                    : Object.is(found, expected);
                if (!same) expect.fail(`${name} of ${sequence}: ${String(found)}, not ${String(expected)}`);
              }
              if (column.length !== batch.length) expect.fail(`${name} has ${column.length} values`);
            }
          }
        }
        expect(at).toBe(wanted.length);
        kept += at;
      }),
      { numRuns: 120 },
    );
    expect(kept).toBeGreaterThan(1000);
    await tape.close();
  }
});

describe('columns', () => {
  test('of symbols: ids, and their names', async () => {
    const rows = fc.sample(row, { numRuns: 50, seed: 3 });
    const tape = await tapeOf(rows, 20);
    let at = 0;
    for await (const { columns, length } of tape.scan({ columns: ['s', 'venue'] })) {
      expect([columns.s.ids.length, columns.venue.length]).toEqual([length, length]);
      for (let i = 0; i < length; i++, at++) {
        expect(columns.s.name(columns.s.ids[i])).toBe(rows[at].s);
        expect(columns.venue.name(columns.venue.ids[i])).toBe(rows[at].venue);
        // The two share a table: one name, one id.
        if (rows[at].s === rows[at].venue) expect(columns.s.ids[i]).toBe(columns.venue.ids[i]);
      }
    }
    expect(at).toBe(50);
    await tape.close();
  });

  test('of texts and bytes, of rows that were picked out', async () => {
    const rows: Row[] = fc
      .sample(row, { numRuns: 40, seed: 4 })
      .map((of, i) => ({ ...of, ts: BigInt(i), note: `n${i}`.repeat(i % 4), raw: new Uint8Array(i % 6).fill(i) }));
    const tape = await tapeOf(rows, 40);
    for await (const { columns, length } of tape.scan({ from: 7n, to: 31n, columns: ['raw', 'note'] })) {
      expect(length).toBeGreaterThan(0);
      expect(columns.raw.offsets.length).toBe(length + 1);
      expect(columns.raw.bytes.length).toBe(columns.raw.offsets[length]);
      expect([columns.raw.length, columns.note.length]).toEqual([length, length]);
    }
    const found = (await batchesOf(tape)).flatMap((batch) =>
      [...batch.records()].map(({ note, raw }) => ({ note, raw })),
    );
    expect(found).toEqual(rows.map(({ note, raw }) => ({ note, raw })));
    const picked: unknown[] = [];
    for await (const batch of tape.scan({ from: 7n, to: 31n })) {
      for (const { note, raw } of batch.records()) picked.push({ note, raw });
    }
    expect(picked).toEqual(rows.slice(7, 31).map(({ note, raw }) => ({ note, raw })));
    await tape.close();
  });

  test('are arrays of the types that they are said to be, and the user may write to them', async () => {
    const tape = await tapeOf(fc.sample(row, { numRuns: 20, seed: 5 }), 20);
    const [first] = await batchesOf(tape);
    const { columns } = first;
    const types = [
      columns.ts,
      columns.price,
      columns.id,
      columns.mask,
      columns.ratio,
      columns.x,
      columns.side,
      columns.k,
    ];
    expect(types.map((column) => column.constructor.name)).toEqual([
      'BigInt64Array',
      'Float64Array',
      'BigInt64Array',
      'BigUint64Array',
      'Float32Array',
      'Float64Array',
      'Int8Array',
      'Uint16Array',
    ]);
    const before = columns.ts[0];
    columns.ts[0] = 99n;
    columns.raw.bytes.fill(0);
    const [again] = await batchesOf(tape);
    expect(again.columns.ts[0]).toBe(before);
    await tape.close();
  });
});

describe('what can not be scanned is refused', () => {
  test('a column that there is not', async () => {
    const tape = await openTape(schema, { storage: [scratch()], ...SMALL });
    for (const column of ['Note', '', 'toString']) {
      const error = await errorOf(() => tape.scan({ columns: [column as 'note'] }).next());
      expect(error).toMatchObject({ name: 'TapeError', code: 'BAD_OPTION', field: column });
    }
    expect((await tape.scan({ columns: [] }).next()).done).toBe(true);
    await tape.close();
  });

  test('symbols of a tape that has none', async () => {
    const plain = defineSchema('plain', timestamp('ts'));
    const tape = await openTape(plain, { storage: [scratch()], ...SMALL });
    const error = await errorOf(() => tape.scan({ symbols: ['A'] }).next());
    expect(error).toMatchObject({ name: 'TapeError', code: 'BAD_OPTION' });
    await tape.close();
  });
});

test('no columns: how many there are, and their sequences', async () => {
  const rows = fc.sample(row, { numRuns: 30, seed: 6 });
  const tape = await tapeOf(rows, 16);
  const sequences: bigint[] = [];
  for await (const batch of tape.scan({ columns: [], symbols: ['BTCUSDT'] })) {
    expect(batch.columns).toEqual({});
    for (let i = 0; i < batch.length; i++) sequences.push(batch.sequence(i));
  }
  expect(sequences).toEqual(rows.flatMap(({ s }, i) => (s === 'BTCUSDT' ? [BigInt(i)] : [])));
  await tape.close();
});

test('a scan that is under way sees the tape as it was when it began; the next one, all of it', async () => {
  const tape = await openTape(schema, { storage: [scratch()], ...SMALL, capacity: 16 });
  const rows = fc.sample(row, { numRuns: 64, seed: 7 });
  for (const of of rows.slice(0, 48)) tape.append(...valuesOf(of));
  await tape.flush();
  const scan = tape.scan({ columns: ['ts'] });
  const first = await scan.next();
  for (const of of rows.slice(48)) tape.append(...valuesOf(of));
  await tape.flush();
  let length = first.done ? 0 : first.value.length;
  for await (const batch of scan) length += batch.length;
  expect(length).toBe(48);
  expect((await batchesOf(tape)).reduce((sum, batch) => sum + batch.length, 0)).toBe(64);
  await tape.close();
});

test('two scans at once do not disturb each other', async () => {
  const rows = fc.sample(row, { numRuns: 96, seed: 8 });
  const tape = await tapeOf(rows, 16);
  const [left, right] = [tape.scan({ columns: ['id'] }), tape.scan({ columns: ['id'], symbols: ['ETHUSDT'] })];
  const ids: bigint[][] = [[], []];
  for (let done = 0; done < 2; ) {
    done = 0;
    for (const [i, scan] of [left, right].entries()) {
      const { value, done: end } = await scan.next();
      if (end) done++;
      else ids[i].push(...value.columns.id);
    }
  }
  expect(ids[0]).toEqual(rows.map(({ id }) => id));
  expect(ids[1]).toEqual(rows.filter(({ s }) => s === 'ETHUSDT').map(({ id }) => id));
  await tape.close();
});

test('records of several lanes: all of them, in the order of each', async () => {
  const tape = await openTape(schema, { storage: [scratch()], ...SMALL });
  const lanes = [tape.append, ...Array.from({ length: 3 }, () => openAppender(schema, tape.appenderHandle()).append)];
  const rows = fc.sample(row, { numRuns: 200, seed: 9 }).map((of, i) => ({ ...of, ts: BigInt(i) }));
  for (const [i, of] of rows.entries()) lanes[i % 4](...valuesOf(of));
  await tape.flush();
  const times = (await batchesOf(tape)).flatMap(({ columns }) => [...columns.ts]);
  const ofLane = (from: readonly bigint[], lane: bigint) => from.filter((ts) => ts % 4n === lane);
  for (const lane of [0n, 1n, 2n, 3n]) {
    expect(ofLane(times, lane)).toEqual(
      ofLane(
        rows.map(({ ts }) => ts),
        lane,
      ),
    );
  }
  await tape.close();
});
