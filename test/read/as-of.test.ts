import fc from 'fast-check';
import { decimal, defineSchema, openTape, symbol, type Tape, timestamp, u32 } from 'ticktape';
import { expect, test, vi } from 'vitest';
import { BlockDecoder } from '../../dist/src/block/decoder.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf } from '../helpers/tape.js';

const schema = defineSchema('quote', timestamp('ts'), symbol('s'), decimal('price', 2), u32('n'));
type Quotes = Tape<(typeof schema)['fields']>;
const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 100, laneBytes: 262_144, flushIntervalMs: 0, capacity: 16 };

async function tapeOf(rows: readonly { ts: bigint; s: string }[]): Promise<Quotes> {
  const tape = await openTape(schema, { storage: [scratch()], ...SMALL });
  for (const [n, { ts, s }] of rows.entries()) tape.append(ts, s, n / 100, n);
  await tape.flush();
  return tape;
}

test('the last record of the symbol, whatever order they came in', async () => {
  const row = fc.record({ ts: fc.bigInt({ min: -50n, max: 50n }), s: fc.constantFrom('A', 'B', 'C', 'D') });
  for (const seed of [1, 2]) {
    const rows = fc.sample(row, { numRuns: 200, seed });
    // The second one nearly by time, as a tape is.
    if (seed === 2) rows.sort((a, b) => Number(a.ts - b.ts) + (a.s === 'D' ? 3 : 0));
    const tape = await tapeOf(rows);
    for (let ts = -55n; ts <= 55n; ts++) {
      for (const name of ['A', 'D', 'none']) {
        let last = -1;
        for (const [n, of] of rows.entries()) {
          if (of.s === name && of.ts <= ts && (last < 0 || of.ts >= rows[last].ts)) last = n;
        }
        const expected = last < 0 ? null : { ...rows[last], price: last / 100, n: last };
        expect(await tape.asOf(ts, name), `${name} at ${ts}`).toEqual(expected);
      }
    }
    await tape.close();
  }
});

test('of a hundred blocks only those are decoded that can have it, and no header before them is read', async () => {
  const rows = Array.from({ length: 1600 }, (_, i) => ({
    ts: BigInt(i),
    s: i % 16 === 3 && i < 800 ? 'rare' : `S${i % 5}`,
  }));
  const tape = await tapeOf(rows);
  const columns = vi.spyOn(BlockDecoder.prototype, 'column');
  const headers = vi.spyOn(BlockDecoder.prototype, 'header');
  const blocksRead = async (ts: bigint, name: string) => {
    columns.mockClear();
    headers.mockClear();
    const found = await tape.asOf(ts, name);
    const decoded = new Set(columns.mock.calls.map(([{ sequence }]) => sequence)).size;
    return { n: found?.n ?? null, decoded, headers: headers.mock.calls.length };
  };
  expect(await blocksRead(1234n, 'S4')).toEqual({ n: 1234, decoded: 1, headers: 1 });
  expect(await blocksRead(9999n, 'S4')).toEqual({ n: 1599, decoded: 1, headers: 1 });
  // The first record of its block is later than what is asked for: that one and the one before.
  expect(await blocksRead(1602n - 16n, 'S4')).toEqual({ n: 1584, decoded: 1, headers: 1 });
  expect(await blocksRead(1600n - 16n - 1n, 'S4')).toEqual({ n: 1579, decoded: 1, headers: 1 });
  expect(await blocksRead(5n, 'rare')).toEqual({ n: 3, decoded: 1, headers: 1 });
  expect(await blocksRead(1599n, 'rare')).toEqual({ n: 787, decoded: 1, headers: 51 });
  expect(await blocksRead(1n, 'rare')).toEqual({ n: null, decoded: 1, headers: 1 });
  expect(await blocksRead(-1n, 'S1')).toEqual({ n: null, decoded: 0, headers: 0 });
  columns.mockRestore();
  headers.mockRestore();
  await tape.close();
});

test('also of a tape that is only read; what can not be asked is refused', async () => {
  const storage = [scratch()];
  const tape = await openTape(schema, { storage, ...SMALL });
  tape.append(5n, 'A', 1, 7);
  await tape.flush();
  const reader = await openTape(schema, { storage, readOnly: true });
  expect(await reader.asOf(5n, 'A')).toEqual({ ts: 5n, s: 'A', price: 1, n: 7 });
  expect(await reader.asOf(4n, 'A')).toBeNull();
  expect(reader.gaps()).toEqual([]);
  expect(await errorOf(() => reader.asOf(5 as unknown as bigint, 'A'))).toMatchObject({ code: 'BAD_OPTION' });
  expect(await errorOf(() => reader.asOf(5n, 5 as unknown as string))).toMatchObject({ code: 'BAD_OPTION' });
  await reader.close();
  await tape.close();
  const plain = defineSchema('plain', timestamp('ts'));
  const other = await openTape(plain, { storage: [scratch()], ...SMALL });
  expect(await errorOf(() => other.asOf(5n, 'A'))).toMatchObject({ code: 'BAD_OPTION' });
  await other.close();
});
