import { schemas } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { Digest, hashName } from '../../dist/src/cli/digest.js';
import { MarketBatch } from '../../dist/src/collect/market-batch.js';
import { listInstruments } from '../../dist/src/collect/sources/instruments.js';
import { Simulator, type SimulatorOptions } from '../../dist/src/collect/sources/simulator.js';

const { FLAG_ASK, FLAG_LAST, KIND_LEVEL, KIND_QUOTE, KIND_TRADE } = schemas;
const CHANNEL: SimulatorOptions = { seed: 1, collector: 3, collectors: 10 };
const EVENTS = 100_000;

interface Event {
  ts: bigint;
  symbol: string;
  kind: number;
  flags: number;
  price: number;
  size: number;
  askPrice: number;
  askSize: number;
  exchangeUs: number;
  id: number;
}

/** The events of a channel, got in bursts of `burst`. */
function* simulate(options: SimulatorOptions, events = EVENTS, burst = 256): Generator<Event> {
  const simulator = new Simulator(options);
  const batch = new MarketBatch(burst);
  for (let left = events; left > 0; left -= batch.length) {
    simulator.fill(batch, Math.min(left, burst));
    for (let row = 0; row < batch.length; row++) {
      yield {
        ts: batch.tsNs[row],
        symbol: batch.names[batch.symbol[row]],
        kind: batch.kind[row],
        flags: batch.flags[row],
        price: batch.price[row],
        size: batch.size[row],
        askPrice: batch.askPrice[row],
        askSize: batch.askSize[row],
        exchangeUs: batch.exchangeUs[row],
        id: batch.id[row],
      };
    }
  }
}

function digest(options: SimulatorOptions, burst = 256): string {
  const simulator = new Simulator(options);
  const batch = new MarketBatch(burst);
  const digest = new Digest();
  for (let left = EVENTS; left > 0; left -= batch.length) {
    simulator.fill(batch, Math.min(left, burst));
    const hashes = Int32Array.from(batch.names, hashName);
    for (let row = 0; row < batch.length; row++) digest.add(batch, row, hashes);
  }
  return digest.toString();
}

describe('the events depend on the options alone', () => {
  test('on every runtime', () => expect(digest(CHANNEL)).toBe('bb430d581a5f16f0'));
  test('not on the size of bursts', () => expect(digest(CHANNEL, 7)).toBe(digest(CHANNEL)));
  test('but on the seed', () => expect(digest({ ...CHANNEL, seed: 2 })).not.toBe(digest(CHANNEL)));
  test('beyond 32 bits of it', () => expect(digest({ ...CHANNEL, seed: 1 + 2 ** 32 })).not.toBe(digest(CHANNEL)));
  test('and on the collector', () => expect(digest({ ...CHANNEL, collector: 4 })).not.toBe(digest(CHANNEL)));
});

describe('instruments', () => {
  test('every one of at least 200 is on one channel', () => {
    const seen = new Set<string>();
    let sum = 0;
    for (let collector = 0; collector < 10; collector++) {
      const channel = new Set<string>();
      for (const { symbol } of simulate({ ...CHANNEL, collector }, 50_000)) channel.add(symbol);
      sum += channel.size;
      for (const symbol of channel) seen.add(symbol);
    }
    expect(seen.size).toBeGreaterThanOrEqual(200);
    expect(sum).toBe(seen.size);
  });

  test('a few of a channel are much more active than most', () => {
    const times = new Map<string, number>();
    for (const { symbol } of simulate(CHANNEL)) times.set(symbol, (times.get(symbol) ?? 0) + 1);
    const sorted = [...times.values()].sort((a, b) => b - a);
    expect(sorted[0] / EVENTS).toBeGreaterThan(0.15);
    expect(sorted[0] / EVENTS).toBeLessThan(0.5);
    expect(sorted[0] / sorted[sorted.length - 1]).toBeGreaterThan(8);
  });

  test('too many are refused', () => {
    expect(() => listInstruments(10_000)).toThrow(RangeError);
    expect(() => new Simulator({ ...CHANNEL, instruments: 3, collector: 5 })).toThrow(/too few/);
  });
});

test('time goes on, and in bursts', () => {
  let before: Event | undefined;
  const gaps: number[] = [];
  for (const event of simulate(CHANNEL)) {
    expect(event.id).toBe((before?.id ?? 0) + 1);
    if (before !== undefined) {
      if (event.ts <= before.ts || event.exchangeUs < before.exchangeUs) expect.fail('back in time');
      gaps.push(Number(event.ts - before.ts));
    }
    if (Number(event.ts / 1000n) < event.exchangeUs) expect.fail('received before it was sent');
    before = event;
  }
  gaps.sort((a, b) => a - b);
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  // Evenly spread arrivals would have a median of 0.69 of the mean.
  expect(gaps[gaps.length >> 1] / mean).toBeLessThan(0.1);
});

test('a start that 32 bits of ns overflow in the middle of', () => {
  const startNs = 2n ** 60n - 250_000n;
  let last = 0n;
  for (const { ts } of simulate({ ...CHANNEL, startNs }, 1000)) {
    if (ts <= last) expect.fail(`${ts} after ${last}`);
    last = ts;
  }
  expect(last - startNs).toBeGreaterThan(0n);
  expect(last - startNs).toBeLessThan(1_000_000_000n);
});

test('prices walk on their grids, and the book never crosses', () => {
  const instruments = new Map(listInstruments(240).map((instrument) => [instrument.name, instrument]));
  const kinds = [0, 0, 0, 0];
  const moved = new Set<string>();
  for (const event of simulate(CHANNEL)) {
    const { tick, lot, price } = instruments.get(event.symbol)!;
    kinds[event.kind]++;
    const onGrid =
      event.price > 0 &&
      event.price % tick === 0 &&
      event.askPrice % tick === 0 &&
      event.size % lot === 0 &&
      event.askSize % lot === 0;
    if (!onGrid) expect.fail(`off the grid: ${JSON.stringify(event, (_, value) => String(value))}`);
    if (event.kind === KIND_QUOTE) {
      if (event.askPrice <= event.price || event.size <= 0 || event.askSize <= 0) expect.fail('crossed or empty');
      if (event.price !== price) moved.add(event.symbol);
      expect(event.flags).toBe(FLAG_LAST);
    } else if (event.askPrice !== 0 || event.askSize !== 0) expect.fail('the other side of what is no quote');
    if (event.kind === KIND_TRADE && event.size <= 0) expect.fail('a trade of nothing');
    if ((event.flags & ~(FLAG_ASK | FLAG_LAST)) !== 0) expect.fail(`flags ${event.flags}`);
  }
  expect(moved.size).toBe(24);
  expect(kinds[0]).toBe(0);
  expect(kinds[KIND_TRADE] / EVENTS).toBeCloseTo(0.16, 1);
  expect(kinds[KIND_QUOTE] / EVENTS).toBeCloseTo(0.5, 1);
  expect(kinds[KIND_LEVEL] / EVENTS).toBeCloseTo(0.34, 1);
});
