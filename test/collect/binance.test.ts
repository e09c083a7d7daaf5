import { existsSync } from 'node:fs';
import path from 'node:path';
import { schemas } from 'ticktape';
import { expect, test } from 'vitest';
import { MarketBatch } from '../../dist/src/collect/market-batch.js';
import { BinanceParser } from '../../dist/src/collect/sources/binance.js';
import { dealLines } from '../../dist/src/collect/sources/feed-file.js';

const { FLAG_ASK, FLAG_LAST, FLAG_SNAPSHOT, KIND_LEVEL, KIND_QUOTE, KIND_TRADE } = schemas;
const NS = '1723161255088176367';
const trade = { e: 'trade', E: 2, T: 1723161256322, s: 'BTCUSDT', t: 5266583935, p: '61800.30', q: '0.006', m: false };
const quote = {
  e: 'bookTicker',
  u: 5123107839020,
  s: 'BTCUSDT',
  b: '61800.20',
  B: '2.507',
  a: '61800.30',
  A: '2.510',
  T: 7,
};
const depth = {
  e: 'depthUpdate',
  T: 1723161256298,
  s: 'BTCUSDT',
  u: 5123107837557,
  b: [
    ['58710.20', '0.014'],
    ['61496', '10'],
  ],
  a: [['61800.35', '0.000']],
};
const snapshot = {
  lastUpdateId: 5123107852948,
  E: 1,
  T: 1723161256493,
  bids: [['61800.20', '2.909']],
  asks: [['61800.30', '1']],
};

const line = (data: unknown) => `${NS} ${JSON.stringify({ stream: 'btcusdt@any', data })}`;

/** Rows of what the lines give, without the times that they share, and the parser. */
function parse(lines: string[], capacity = 256) {
  const rows: (string | number)[][] = [];
  const batch = new MarketBatch(capacity);
  const empty = () => {
    for (let i = 0; i < batch.length; i++) {
      expect(batch.tsNs[i]).toBe(BigInt(NS));
      rows.push([
        batch.names[batch.symbol[i]],
        batch.kind[i],
        batch.flags[i],
        batch.price[i],
        batch.size[i],
        batch.askPrice[i],
        batch.askSize[i],
        batch.exchangeUs[i] / 1000,
        batch.id[i],
      ]);
    }
    batch.length = 0;
  };
  const parser = new BinanceParser(batch, empty);
  const reasons = lines.map((text) => parser.parse(text));
  empty();
  return { rows, reasons, counts: parser.counts };
}

test('a trade', () => {
  const { rows, counts } = parse([line(trade), line({ ...trade, m: true, s: 'ETHUSDT' })]);
  expect(rows).toEqual([
    ['BTCUSDT', KIND_TRADE, FLAG_LAST, 6180030, 6, 0, 0, 1723161256322, 5266583935],
    ['ETHUSDT', KIND_TRADE, FLAG_LAST | FLAG_ASK, 6180030, 6, 0, 0, 1723161256322, 5266583935],
  ]);
  expect(counts).toEqual({ trade: 2, bookTicker: 0, depthUpdate: 0, snapshot: 0, unknown: 0, broken: 0 });
});

test('a quote', () => {
  expect(parse([line(quote)]).rows).toEqual([
    ['BTCUSDT', KIND_QUOTE, FLAG_LAST, 6180020, 2507, 6180030, 2510, 7, 5123107839020],
  ]);
});

test('levels of the book', () => {
  expect(parse([line(depth)]).rows).toEqual([
    ['BTCUSDT', KIND_LEVEL, 0, 5871020, 14, 0, 0, 1723161256298, 5123107837557],
    ['BTCUSDT', KIND_LEVEL, 0, 6149600, 10000, 0, 0, 1723161256298, 5123107837557],
    ['BTCUSDT', KIND_LEVEL, FLAG_LAST | FLAG_ASK, 6180035, 0, 0, 0, 1723161256298, 5123107837557],
  ]);
});

test('a snapshot is of the only symbol', () => {
  const { rows, counts } = parse([line(quote), `${NS} ${JSON.stringify(snapshot)}`]);
  expect(rows.slice(1)).toEqual([
    ['BTCUSDT', KIND_LEVEL, FLAG_SNAPSHOT, 6180020, 2909, 0, 0, 1723161256493, 5123107852948],
    ['BTCUSDT', KIND_LEVEL, FLAG_SNAPSHOT | FLAG_ASK | FLAG_LAST, 6180030, 1000, 0, 0, 1723161256493, 5123107852948],
  ]);
  expect(counts.snapshot).toBe(1);
});

test('a snapshot that could be of any symbol is broken', () => {
  expect(parse([line(snapshot)]).counts.broken).toBe(1);
  expect(parse([line(quote), line({ ...quote, s: 'ETHUSDT' }), line(snapshot)]).counts.broken).toBe(1);
});

test('a message of more levels than a batch holds', () => {
  const levels = Array.from({ length: 1000 }, (_, i) => [`${i + 1}.01`, '1']);
  const { rows } = parse([line({ ...depth, b: levels, a: levels })], 16);
  expect(rows.map(([, , flags, price]) => [flags, price])).toEqual([
    ...levels.map((_, i) => [0, (i + 1) * 100 + 1]),
    ...levels.map((_, i) => [i === 999 ? FLAG_ASK | FLAG_LAST : FLAG_ASK, (i + 1) * 100 + 1]),
  ]);
});

test('a message without levels is one all the same', () => {
  const { rows, counts, reasons } = parse([line({ ...depth, b: [], a: [] })]);
  expect({ rows, counts, reasons }).toMatchObject({
    rows: [],
    counts: { depthUpdate: 1, broken: 0 },
    reasons: [undefined],
  });
});

test('a stream that tells no time of the exchange', () => {
  expect(parse([line({ ...quote, T: undefined })]).rows[0][7]).toBe(0);
});

test.each([
  ['an empty line', ''],
  ['no time', JSON.stringify(trade)],
  ['a time that is no number', `12x ${JSON.stringify(trade)}`],
  ['a time beyond 64 bits', `9999999999999999999 ${JSON.stringify(trade)}`],
  ['no JSON', `${NS} `],
  ['JSON cut short', line(trade).slice(0, -3)],
  ['no object', `${NS} 17`],
  ['null', `${NS} null`],
  ['no symbol', line({ ...trade, s: undefined })],
  ['a symbol that is no text', line({ ...trade, s: 7 })],
  ['a symbol that no field takes', line({ ...trade, s: 'é'.repeat(28) })],
  ['no price', line({ ...trade, p: undefined })],
  ['a price that is no text', line({ ...trade, p: 61800.3 })],
  ['an empty price', line({ ...trade, p: '' })],
  ['a lone point', line({ ...trade, p: '.' })],
  ['a price below zero', line({ ...trade, p: '-1.00' })],
  ['a price with an exponent', line({ ...trade, p: '1e5' })],
  ['two points', line({ ...trade, p: '1.0.0' })],
  ['a price finer than the field', line({ ...trade, p: '1.005' })],
  ['a size finer than the field', line({ ...trade, q: '1.0005' })],
  ['a price that no double holds', line({ ...trade, p: '90071992547409930.00' })],
  ['an id that is no whole number', line({ ...trade, t: 1.5 })],
  ['an id that no double holds', `${NS} ${JSON.stringify({ data: trade }).replace('5266583935', '9007199254740993')}`],
  ['no list of levels', line({ ...depth, b: 'x' })],
  ['a level that is no pair', line({ ...depth, a: [['1', '1'], 7] })],
  ['a level that is no number', line({ ...depth, a: [['1', 'x']] })],
])('%s is broken, and gives no record', (_, text) => {
  const { rows, counts, reasons } = parse([text]);
  expect(rows).toEqual([]);
  expect(counts).toEqual({ trade: 0, bookTicker: 0, depthUpdate: 0, snapshot: 0, unknown: 0, broken: 1 });
  expect(reasons[0]).toBeTypeOf('string');
});

test('a message of another kind is unknown', () => {
  const { counts, reasons } = parse([line({ e: 'forceOrder', s: 'BTCUSDT' }), line({ result: null }), line({})]);
  expect(counts).toMatchObject({ unknown: 3, broken: 0 });
  expect(reasons[0]).toContain('forceOrder');
});

test('zeros past the last place are no loss', () => {
  expect(parse([line({ ...trade, p: '61800.3000', q: '00.0060000' })]).rows[0].slice(3, 5)).toEqual([6180030, 6]);
});

const capture = path.resolve('../shared/data/binance-usdm-btcusdt-20240808.feed.gz');

test.skipIf(!existsSync(capture))('a capture of 345 s (skipped where ../shared/data is not there)', async () => {
  const batches = Array.from({ length: 10 }, () => new MarketBatch());
  const kinds = [0, 0, 0, 0];
  const empty = (batch: MarketBatch) => {
    for (let i = 0; i < batch.length; i++) kinds[batch.kind[i]]++;
    batch.length = 0;
  };
  const parsers = batches.map((batch) => new BinanceParser(batch, () => empty(batch)));
  for await (const { share, bytes } of dealLines(capture, 10)) {
    for (const text of new TextDecoder().decode(bytes).trimEnd().split('\n')) {
      expect(parsers[share].parse(text)).toBeUndefined();
    }
  }
  for (const batch of batches) empty(batch);
  const sum = (name: keyof BinanceParser['counts']) => parsers.reduce((total, { counts }) => total + counts[name], 0);
  expect([sum('bookTicker'), sum('trade'), sum('depthUpdate'), sum('snapshot')]).toEqual([66_089, 21_313, 6_551, 1]);
  expect([sum('unknown'), sum('broken')]).toEqual([0, 0]);
  expect(kinds).toEqual([0, 21_313, 66_089, 445_521]);
});
