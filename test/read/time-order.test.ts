import fc from 'fast-check';
import {
  bytes,
  decimal,
  defineSchema,
  f64,
  Gap,
  openTape,
  optional,
  symbol,
  type Tape,
  text,
  timestamp,
  u64,
} from 'ticktape';
import { describe, expect, test, vi } from 'vitest';
import { Batch, BytesColumn, OptionalColumn, SymbolColumn, TextColumn } from '../../dist/src/read/batch.js';
import { gather } from '../../dist/src/read/gather.js';
import { TapeBlocks } from '../../dist/src/read/reader.js';
import { gapsBetween, gapsWithin } from '../../dist/src/read/scan.js';
import { inTimeOrder } from '../../dist/src/read/time-order.js';
import type { CatalogBlock } from '../../dist/src/segment/catalog.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf } from '../helpers/tape.js';

const schema = defineSchema(
  'timed',
  timestamp('ts'),
  symbol('s'),
  decimal('price', 2),
  f64('x'),
  u64('mask'),
  text('note'),
  bytes('raw'),
  optional(symbol('venue')),
  optional(text('remark')),
  optional(u64('id')),
);
const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 100, laneBytes: 262_144, flushIntervalMs: 0 };

type Row = ReturnType<typeof rowOf>;

function rowOf(ts: bigint, i: number) {
  return {
    ts,
    s: `S${i % 5}`,
    price: i / 100,
    x: i / 8,
    mask: 2n ** 64n - 1n - BigInt(i),
    note: 'n'.repeat(i % 7),
    raw: new Uint8Array(i % 4).fill(i),
    venue: i % 3 === 0 ? null : `V${i % 4}`,
    remark: i % 5 === 0 ? null : i % 2 === 0 ? '' : `r${i}`,
    id: i % 2 === 0 ? null : BigInt(i),
  };
}

/** Records at these times, in this order, in blocks of 16. */
async function tapeOf(times: readonly bigint[]): Promise<{ tape: Tape<(typeof schema)['fields']>; rows: Row[] }> {
  const tape = await openTape(schema, { storage: [scratch()], ...SMALL, capacity: 16 });
  const rows = times.map(rowOf);
  for (const of of rows) tape.append(...(Object.values(of) as Parameters<typeof tape.append>));
  await tape.flush();
  return { tape, rows };
}

const byTime = (rows: readonly Row[]) =>
  rows
    .map((of, i) => ({ sequence: BigInt(i), ...of }))
    .sort((a, b) => Number(a.ts - b.ts) || Number(a.sequence - b.sequence));

async function scanned(tape: Tape<(typeof schema)['fields']>) {
  const found: unknown[] = [];
  for await (const batch of tape.scan({ order: 'time' })) {
    for (let i = 0; i < batch.length; i++) found.push({ sequence: batch.sequence(i), ...batch.record(i) });
    expect([...batch.records()]).toEqual(Array.from({ length: batch.length }, (_, i) => batch.record(i)));
  }
  return found;
}

const orders: Record<string, fc.Arbitrary<bigint[]>> = {
  'few different times': fc.array(fc.bigInt({ min: 0n, max: 20n }), { minLength: 100, maxLength: 300 }),
  'any times': fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 50, maxLength: 200 }),
  'a little out of order': fc
    .array(fc.integer({ min: -40, max: 40 }), { minLength: 200, maxLength: 400 })
    .map((noise) => noise.map((off, i) => BigInt(10 * i + off))),
  'several recordings of the same hour': fc
    .tuple(fc.integer({ min: 2, max: 6 }), fc.integer({ min: 20, max: 60 }))
    .map(([days, length]) => Array.from({ length: days * length }, (_, i) => BigInt(i % length))),
  backwards: fc.integer({ min: 20, max: 200 }).map((length) => Array.from({ length }, (_, i) => BigInt(-i))),
  'one that comes last and belongs first': fc
    .integer({ min: 40, max: 100 })
    .map((length) => Array.from({ length }, (_, i) => (i === length - 1 ? -5n : BigInt(i)))),
};

test.each(Object.entries(orders))('by time, then by sequence: %s', async (_, times) => {
  await fc.assert(
    fc.asyncProperty(times, async (of) => {
      const { tape, rows } = await tapeOf(of);
      try {
        expect(await scanned(tape)).toEqual(byTime(rows));
      } finally {
        await tape.close();
      }
    }),
    { numRuns: 6 },
  );
});

test('no more blocks are read ahead than overlap, and none before it is asked for', async () => {
  const { tape } = await tapeOf(Array.from({ length: 320 }, (_, i) => BigInt(10 * i + (i % 16 === 0 ? 25 : 0))));
  const spy = vi.spyOn(TapeBlocks.prototype, 'select');
  let seen = 0;
  for await (const batch of tape.scan({ order: 'time', columns: [] })) {
    seen += batch.length;
    // The block that these come from, the next one, and one that overlaps with both.
    expect(spy.mock.calls.length).toBeLessThanOrEqual(Math.ceil(seen / 16) + 2);
  }
  expect(spy.mock.calls.length).toBe(20);
  spy.mockRestore();
  await tape.close();
});

test('an order that there is not is refused', async () => {
  const { tape } = await tapeOf([]);
  expect(await errorOf(() => tape.scan({ order: 'price' as 'time' }).next())).toMatchObject({ code: 'BAD_OPTION' });
  await tape.close();
});

// ---- many rows, without a tape ------------------------------------------------------------------------------------------------

const plain = (sequence: bigint, times: BigInt64Array) => ({
  batch: new Batch(
    times.length,
    { n: Float64Array.from(times, (_, i) => Number(sequence) + i) } as never,
    sequence,
    null,
  ),
  times,
});

test('large blocks that overlap at their ends: long runs are views, and all rows come once', () => {
  const random = fc.sample(fc.array(fc.nat(3000), { minLength: 30_000, maxLength: 30_000, size: 'max' }), {
    numRuns: 1,
    seed: 1,
  })[0];
  const times = BigInt64Array.from(random, (off, i) => BigInt(100 * i + off));
  const blocks: CatalogBlock[] = [];
  const read = new Map<CatalogBlock, ReturnType<typeof plain>>();
  for (let from = 0; from < times.length; from += 10_000) {
    const own = times.slice(from, from + 10_000);
    const sorted = own.toSorted();
    const block = { sequence: BigInt(from), leastNs: sorted[0], greatestNs: sorted.at(-1)! } as CatalogBlock;
    blocks.push(block);
    read.set(block, plain(block.sequence, own));
  }
  const expected = Array.from(times, (ts, i) => ({ ts, n: i })).sort((a, b) => Number(a.ts - b.ts) || a.n - b.n);
  const found: { ts: bigint; n: number }[] = [];
  let batches = 0;
  for (const item of inTimeOrder(blocks, (block) => read.get(block)! as never)) {
    const { batch, times: of } = item!;
    const { n } = batch.columns as unknown as { n: Float64Array };
    expect(n.length).toBe(of.length);
    for (let i = 0; i < of.length; i++) {
      expect(batch.sequence(i)).toBe(BigInt(n[i]));
      found.push({ ts: of[i], n: n[i] });
    }
    batches++;
  }
  expect(found).toEqual(expected);
  expect(batches).toBeLessThan(12);
});

test('one name a symbol, also where two blocks have different names by one id', () => {
  const names = (entries: [number, string][]) => new Map(entries);
  const one = new SymbolColumn(
    Uint32Array.of(0, 1, 2 ** 32 - 1),
    names([
      [0, 'A'],
      [1, 'B'],
      [2 ** 32 - 1, ''],
    ]),
  );
  const two = new SymbolColumn(
    Uint32Array.of(0, 1, 5),
    names([
      [0, 'B'],
      [1, 'B2'],
      [5, 'A'],
    ]),
  );
  const part = (column: SymbolColumn, places: number[]) => ({
    batch: new Batch(3, { s: column } as never, 0n, null),
    rows: Uint32Array.of(0, 1, 2),
    places: Uint32Array.from(places),
  });
  const { s } = gather([part(one, [0, 2, 4]), part(two, [1, 3, 5])], 6).columns as unknown as { s: SymbolColumn };
  expect(Array.from({ length: 6 }, (_, row) => s.at(row))).toEqual(['A', 'B', 'B', 'B2', '', 'A']);
});

test('rows that are cut out and picked are those', () => {
  const texts = ['', 'ab', 'c', '', 'def'];
  const offsets = new Float64Array([0, 0, 2, 3, 3, 6]);
  const bytesColumn = () => new BytesColumn(offsets, new TextEncoder().encode(texts.join('')));
  const batch = new Batch(
    5,
    {
      n: Int8Array.of(0, 1, 2, 3, 4),
      note: new TextColumn(bytesColumn()),
      raw: new OptionalColumn(bytesColumn(), Uint8Array.of(1, 1, 0, 1, 1)),
      s: new SymbolColumn(
        Uint32Array.of(0, 1, 0, 1, 0),
        new Map([
          [0, 'A'],
          [1, 'B'],
        ]),
      ),
    } as never,
    100n,
    Uint32Array.of(1, 2, 3, 5, 8),
  ) as Batch;
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 }), fc.array(fc.nat(4)), (a, b, picked) => {
      const [from, to] = a < b ? [a, b] : [b, a];
      const cut = batch.slice(from, to);
      const all = Array.from({ length: 5 }, (_, row) => ({ sequence: batch.sequence(row), ...batch.record(row) }));
      const rowsOf = (of: Batch) =>
        Array.from({ length: of.length }, (_, row) => ({ sequence: of.sequence(row), ...of.record(row) }));
      expect(rowsOf(cut)).toEqual(all.slice(from, to));
      const rows = picked.filter((row) => row < cut.length);
      expect(rowsOf(cut.pick(Uint32Array.from(rows)))).toEqual(rows.map((row) => all[from + row]));
    }),
  );
});

// ---- gaps ---------------------------------------------------------------------------------------------------------------------

const gap = (fromNs: bigint, toNs: bigint | null = fromNs + 1n) =>
  new Gap({ collector: 0, name: 'feed', fromNs, toNs, reason: 'closed' });

describe('gaps', () => {
  const times = BigInt64Array.of(10n, 20n, 30n);
  const later = BigInt64Array.of(40n, 41n);
  const shown = (cut: boolean, ...gaps: Gap[]) =>
    [...gapsBetween([plain(0n, times), plain(3n, later)], gaps, cut)].map((item) =>
      item instanceof Gap ? `gap ${item.fromNs}` : [...item!.times].join(' '),
    );

  test('each before the first batch that begins at its beginning or later, the last ones at the end', () => {
    expect(shown(false, gap(5n), gap(10n), gap(25n), gap(40n), gap(99n))).toEqual([
      'gap 5',
      'gap 10',
      '10 20 30',
      'gap 25',
      'gap 40',
      '40 41',
      'gap 99',
    ]);
  });

  test('batches by time are cut where one begins', () => {
    expect(shown(true, gap(5n), gap(11n), gap(20n), gap(31n), gap(41n), gap(42n))).toEqual([
      'gap 5',
      '10',
      'gap 11',
      'gap 20',
      '20 30',
      'gap 31',
      '40',
      'gap 41',
      '41',
      'gap 42',
    ]);
  });

  test('those that reach into the range', () => {
    const all = [gap(0n, 5n), gap(3n, null), gap(9n, 10n), gap(20n, 30n), gap(30n, 31n)];
    const within = (from?: bigint, to?: bigint) => gapsWithin(all, { from, to }).map(({ fromNs }) => fromNs);
    expect(within()).toEqual([0n, 3n, 9n, 20n, 30n]);
    expect(within(10n, 30n)).toEqual([3n, 9n, 20n]);
    expect(within(5n, 6n)).toEqual([0n, 3n]);
  });

  test('of a tape that knows of none', async () => {
    const { tape } = await tapeOf([1n, 2n]);
    let batches = 0;
    for await (const item of tape.scan({ gaps: true })) {
      expect(item).not.toBeInstanceOf(Gap);
      batches++;
    }
    expect(batches).toBe(1);
    await tape.close();
  });
});
