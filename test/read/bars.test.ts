import fc from 'fast-check';
import { type Bar, decimal, defineSchema, f64, openTape, optional, symbol, timestamp, u32 } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { scratch } from '../helpers/scratch.js';
import { errorOf } from '../helpers/tape.js';

const trades = defineSchema('trade', timestamp('ts'), symbol('symbol'), decimal('price', 2), decimal('size', 3));
const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 2000, laneBytes: 262_144, flushIntervalMs: 0, capacity: 64 };

/** A trade with whole numbers of last places. */
interface Trade {
  ts: bigint;
  symbol: string;
  price: number;
  size: number;
}

async function barsOf(made: readonly Trade[], options: Record<string, unknown>): Promise<Bar[]> {
  const tape = await openTape(trades, { storage: [scratch()], ...SMALL });
  for (const { ts, symbol: name, price, size } of made) tape.append(ts, name, price / 100, size / 1000);
  await tape.flush();
  const found: Bar[] = [];
  for await (const bar of tape.bars(options as never)) found.push(bar);
  await tape.close();
  return found;
}

/** The double that is nearest to a quotient: of the doubles around it, the one with the least distance, exactly. */
function nearest(numerator: bigint, denominator: bigint): number {
  if (denominator < 0n) return nearest(-numerator, -denominator);
  const guess = Number(numerator) / Number(denominator);
  const view = new DataView(new ArrayBuffer(8));
  let best = guess;
  let least: [bigint, bigint] | null = null;
  for (let step = -8n; step <= 8n; step++) {
    view.setFloat64(0, guess);
    view.setBigInt64(0, view.getBigInt64(0) + step);
    const candidate = view.getFloat64(0);
    const [top, bottom] = exact(candidate);
    const distance = numerator * bottom - top * denominator;
    const off: [bigint, bigint] = [distance < 0n ? -distance : distance, bottom];
    if (least === null || off[0] * least[1] < least[0] * off[1]) {
      least = off;
      best = candidate;
    }
  }
  return best;
}

/** A double as a fraction. */
function exact(value: number): [bigint, bigint] {
  let denominator = 1n;
  let numerator = value;
  while (!Number.isInteger(numerator)) {
    numerator *= 2;
    denominator *= 2n;
  }
  return [BigInt(numerator), denominator];
}

/** What they come to, in whole numbers. */
function model(made: readonly Trade[], intervalNs: bigint): Bar[] {
  const sorted = made.map((of, i) => ({ ...of, i })).sort((a, b) => Number(a.ts - b.ts) || a.i - b.i);
  const floor = (ts: bigint) => ts - (((ts % intervalNs) + intervalNs) % intervalNs);
  const groups = new Map<string, Trade[]>();
  for (const of of sorted) {
    const key = `${floor(of.ts)} ${of.symbol}`;
    groups.set(key, [...(groups.get(key) ?? []), of]);
  }
  return [...groups.values()].map((group) => {
    const prices = group.map(({ price }) => price);
    const volume = group.reduce((sum, { size }) => sum + BigInt(size), 0n);
    const turnover = group.reduce((sum, { price, size }) => sum + BigInt(price) * BigInt(size), 0n);
    return {
      ts: floor(group[0].ts),
      symbol: group[0].symbol,
      open: prices[0] / 100,
      high: prices.reduce((a, b) => Math.max(a, b)) / 100,
      low: prices.reduce((a, b) => Math.min(a, b)) / 100,
      close: prices.at(-1)! / 100,
      volume: volume === 0n ? 0 : nearest(volume, 1000n),
      vwap: volume === 0n ? Number.NaN : turnover === 0n ? 0 : nearest(turnover, volume * 100n),
      count: group.length,
    };
  });
}

const MOST = 2 ** 50;
const trade = (amount: fc.Arbitrary<number>) =>
  fc.record({
    ts: fc.bigInt({ min: -300n, max: 300n }),
    symbol: fc.constantFrom('BTCUSDT', 'ETHUSDT', '市場'),
    price: amount,
    size: amount,
  });

test.each([
  ['small amounts', fc.integer({ min: 0, max: 10_000 })],
  ['amounts of any size and sign', fc.integer({ min: -MOST, max: MOST })],
])('as whole numbers have it: %s', async (_, amount) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(trade(amount), { maxLength: 400 }),
      fc.bigInt({ min: 1n, max: 400n }),
      async (made, interval) => {
        expect(await barsOf(made, { interval })).toEqual(model(made, interval));
      },
    ),
    { numRuns: 12 },
  );
});

test('sums that doubles would round', async () => {
  const made = Array.from({ length: 3000 }, (_, i) => ({ ts: BigInt(i), symbol: 'S', price: 10, size: 100 }));
  const [bar] = await barsOf(made, { interval: '1s' });
  // 0.1 added up 3000 times as doubles is 300.0000000000055.
  expect(bar).toEqual({
    ts: 0n,
    symbol: 'S',
    open: 0.1,
    high: 0.1,
    low: 0.1,
    close: 0.1,
    volume: 300,
    vwap: 0.1,
    count: 3000,
  });
});

test('more symbols than there is room for at first, and more rows than fit at once', async () => {
  const made = Array.from({ length: 20_000 }, (_, i) => ({
    ts: BigInt(Math.floor(i / 4000)),
    symbol: `S${i % 1500}`,
    price: i,
    size: i % 7,
  }));
  expect(await barsOf(made, { interval: 2n })).toEqual(model(made, 2n));
});

test('intervals begin at multiples since 1970, also before it, and those without a record have no bar', async () => {
  const hour = 3_600_000_000_000n;
  const times = [-1n, 0n, hour - 1n, hour, 5n * hour + 7n];
  const made = times.map((ts) => ({ ts, symbol: 'S', price: 1, size: 1 }));
  const starts = (await barsOf(made, { interval: '1h' })).map(({ ts, count }) => [ts, count]);
  expect(starts).toEqual([
    [-hour, 1],
    [0n, 2],
    [hour, 1],
    [5n * hour, 1],
  ]);
  const last = 2n ** 63n - 1n;
  expect(await barsOf([{ ts: last, symbol: 'S', price: 1, size: 1 }], { interval: '1d' })).toHaveLength(1);
  expect(await barsOf([{ ts: -last - 1n, symbol: 'S', price: 1, size: 1 }], { interval: '1d' })).toHaveLength(1);
});

test('only of what is asked for', async () => {
  const made = Array.from({ length: 300 }, (_, i) => ({ ts: BigInt(i), symbol: `S${i % 3}`, price: i, size: 1 }));
  const wanted = made.filter(({ ts, symbol: name, price }) => ts >= 50n && ts < 250n && name !== 'S0' && price >= 100);
  const asked = { from: 50n, to: 250n, symbols: ['S1', 'S2'], where: ['price>=1'], interval: 30n };
  expect(await barsOf(made, asked)).toEqual(model(wanted, 30n));
});

describe('other fields', () => {
  const other = defineSchema(
    'other',
    timestamp('ts'),
    optional(f64('bid')),
    optional(u32('lots')),
    optional(symbol('venue')),
  );

  async function barsFrom(rows: readonly (number | null)[][], options: Record<string, unknown>): Promise<Bar[]> {
    const tape = await openTape(other, { storage: [scratch()], ...SMALL });
    for (const [i, [bid, lots]] of rows.entries()) tape.append(BigInt(i), bid, lots, i % 2 === 0 ? null : 'V');
    await tape.flush();
    const found: Bar[] = [];
    for await (const bar of tape.bars(options as never)) found.push(bar);
    await tape.close();
    return found;
  }

  test('doubles and integers; what is absent or NaN is not counted', async () => {
    const rows = [
      [1.5, 2],
      [null, 3],
      [Number.NaN, 4],
      [2.5, null],
      [0.5, 6],
      [3, 1],
    ];
    expect(await barsFrom(rows, { interval: 100n, price: 'bid', size: 'lots' })).toEqual([
      { ts: 0n, symbol: '', open: 1.5, high: 1.5, low: 0.5, close: 0.5, volume: 8, vwap: 0.75, count: 2 },
      { ts: 0n, symbol: 'V', open: 3, high: 3, low: 3, close: 3, volume: 1, vwap: 3, count: 1 },
    ]);
    expect(await barsFrom([[null, null]], { interval: 100n, price: 'bid', size: 'lots' })).toEqual([]);
    const [bar] = await barsFrom([[1, 0]], { interval: 100n, price: 'lots', size: 'lots' });
    expect(bar).toMatchObject({ volume: 0, vwap: Number.NaN, close: 0 });
  });

  test.each([
    [{ interval: '1 minute' }, /1h30m/],
    [{ interval: '0s' }, /1h30m/],
    [{ interval: 0n }, /above 0/],
    [{ interval: 60 }, /bigint/],
    [{}, /interval/],
    [{ interval: '1s' }, /no field "price"/],
    [{ interval: '1s', price: 'venue', size: 'lots' }, /venue is a symbol/],
    [{ interval: '1s', price: 'bid', size: 'ts' }, /ts is a timestamp/],
  ])('%o is refused', async (options, message) => {
    const error = await errorOf(() => barsFrom([], options));
    expect(error).toMatchObject({ code: 'BAD_OPTION' });
    expect(error.message).toMatch(message);
  });
});
