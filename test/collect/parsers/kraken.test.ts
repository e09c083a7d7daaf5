import fc from 'fast-check';
import { schemas } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { KrakenParser } from '../../../dist/src/collect/parsers/kraken.js';
import { collecting, type Event } from '../../helpers/events.js';
import { damaged, spelled } from '../../helpers/json.js';

const { FLAG_LAST, FLAG_SNAPSHOT, SIDE_ASK, SIDE_BID, SIDE_BUY, SIDE_SELL } = schemas;
const NONE = { trade: 0, ticker: 0, book: 0, control: 0, unknown: 0, broken: 0 };
const NS = 7n;
const timestamp = '2023-09-25T07:49:37.708706Z';
const US = Date.UTC(2023, 8, 25, 7, 49, 37) * 1000 + 708_706;

const sold = {
  symbol: 'MATIC/USD',
  side: 'sell',
  price: 0.5117,
  qty: 40.0,
  ord_type: 'market',
  trade_id: 4665906,
  timestamp,
};
const bought = { ...sold, symbol: 'BTC/USD', side: 'buy', price: 61800, qty: 0.00000012, trade_id: 4665907 };
const trades = { channel: 'trade', type: 'update', data: [sold, bought] };
const top = {
  symbol: 'ALGO/USD',
  bid: 0.1002,
  bid_qty: 740.0,
  ask: 0.1003,
  ask_qty: 1361.44813783,
  last: 0.10035,
  vwap: 0.10148,
};
const ticker = { channel: 'ticker', type: 'snapshot', data: [top] };
const levels = {
  symbol: 'MATIC/USD',
  bids: [
    { price: 0.5666, qty: 4831.75496356 },
    { price: 0.5665, qty: 6658 },
  ],
  asks: [{ qty: 0, price: 0.5668 }],
  checksum: 2439117997,
  timestamp,
};
const book = { channel: 'book', type: 'snapshot', data: [levels] };
const MESSAGES = { trade: trades, ticker, book };

const EVENTS: Record<string, Event[]> = {
  trade: [
    ['trade', NS, 'MATIC/USD', 5117, 4_000_000_000, SIDE_SELL, 4665906, US],
    ['trade', NS, 'BTC/USD', 618_000_000, 12, SIDE_BUY, 4665907, US],
  ],
  ticker: [['quote', NS, 'ALGO/USD', 1002, 74_000_000_000, 1003, 136_144_813_783, 0, 0]],
  book: [
    ['level', NS, 'MATIC/USD', SIDE_BID, FLAG_SNAPSHOT, 5666, 483_175_496_356, 0, US],
    ['level', NS, 'MATIC/USD', SIDE_BID, FLAG_SNAPSHOT, 5665, 665_800_000_000, 0, US],
    ['level', NS, 'MATIC/USD', SIDE_ASK, FLAG_SNAPSHOT | FLAG_LAST, 5668, 0, 0, US],
  ],
};

function parse(...messages: (string | object)[]) {
  const sink = collecting();
  const parser = new KrakenParser(sink, { priceScale: 4, sizeScale: 8 });
  const texts = messages.map((message) => (typeof message === 'string' ? message : JSON.stringify(message)));
  const reasons = texts.map((text) => parser.parse(NS, text));
  return { events: sink.events, reasons, counts: parser.counts };
}

test.each(['trade', 'ticker', 'book'] as const)('%s', (kind) => {
  const { events, reasons, counts } = parse(MESSAGES[kind]);
  expect(events).toEqual(EVENTS[kind]);
  expect(reasons).toEqual([null]);
  expect(counts).toEqual({ ...NONE, [kind]: 1 });
});

test('numbers are taken digit by digit, and not as doubles', () => {
  const digits = (text: string) => parse(JSON.stringify(trades).replace('61800', text)).events[1]?.[3];
  expect(digits('61800.1000')).toBe(618_001_000);
  expect(digits('900719925474.0991')).toBe(2 ** 53 - 1);
  expect(digits('6.18e4')).toBe(618_000_000);
  expect(digits('0.10000000000000000001')).toBe(undefined);
});

test('a change of the book', () => {
  const { events } = parse({ ...book, type: 'update', data: [{ ...levels, asks: undefined }] });
  expect(events.map(([, , , side, flags]) => [side, flags])).toEqual([
    [SIDE_BID, 0],
    [SIDE_BID, FLAG_LAST],
  ]);
});

test('as many trades as a message has', () => {
  const data = Array.from({ length: 1000 }, (_, i) => ({ ...sold, trade_id: i, symbol: `S${i % 7}` }));
  const { events } = parse({ ...trades, data });
  expect(events.map(([, , symbol, , , , id]) => [symbol, id])).toEqual(
    data.map(({ symbol, trade_id }) => [symbol, trade_id]),
  );
});

test('what has nothing to record', () => {
  const ack = { method: 'subscribe', result: { channel: 'book', symbol: 'ALGO/USD' }, success: true };
  const status = { channel: 'status', type: 'update', data: [{ system: 'online', version: '2.0.0' }] };
  const { events, reasons, counts } = parse({ channel: 'heartbeat' }, status, ack, {
    method: 'pong',
    time_in: timestamp,
  });
  expect({ events, reasons }).toEqual({ events: [], reasons: [null, null, null, null] });
  expect(counts).toEqual({ ...NONE, control: 4 });
});

test('what is unknown, and a request that was refused', () => {
  const failure = { error: 'Currency pair not supported BTX/USD', method: 'subscribe', success: false };
  const { reasons, counts } = parse({ channel: 'ohlc', data: [] }, {}, failure, {
    method: 'subscribe',
    success: false,
  });
  expect(reasons[0]).toBe('a message of unknown channel "ohlc"');
  expect(reasons[1]).toBe('a message of no channel');
  expect(reasons[2]).toContain('BTX/USD');
  expect(reasons[3]).toContain('refused');
  expect(counts).toEqual({ ...NONE, unknown: 4 });
});

describe('broken, and no event', () => {
  const second = (changes: object) => ({ ...trades, data: [sold, { ...bought, ...changes }] });
  const ask = (level: unknown) => ({ ...book, data: [{ ...levels, asks: [levels.asks[0], level] }] });
  test.each([
    ['no JSON', 'x', 'JSON'],
    ['cut short', JSON.stringify(book).slice(0, -1), 'JSON'],
    ['a list', '[]', 'no object'],
    ['neither a snapshot nor an update', { ...trades, type: 'x' }, 'type'],
    ['no data', { ...trades, data: undefined }, 'no list'],
    ['data that is no list of objects', { ...trades, data: [sold, 7] }, 'no list of objects'],
    ['no symbol in the second trade', second({ symbol: undefined }), '"symbol" is missing'],
    ['no price', second({ price: undefined }), '"price" is missing'],
    ['too many places', second({ price: 1.00001 }), '"price" has more than 4 decimal places: raise price_scale'],
    ['too large', second({ qty: 100_000_000 }), '"qty" is beyond 2⁵³ − 1 at 8 decimal places: lower size_scale'],
    ['no side', second({ side: undefined }), '"side" is neither'],
    ['no time', second({ timestamp: 5 }), '"timestamp" is no ISO 8601 time'],
    ['two books', { ...book, data: [levels, levels] }, 'one book'],
    ['no book', { ...book, data: [] }, 'one book'],
    ['a bad level at its end', ask({ price: 1, qty: 'x' }), '"qty" is no decimal number'],
    ['half a level at its end', ask({ price: 1 }), '"qty" is missing'],
    ['a level that is no object', ask([1, 1]), 'a level is no object'],
    ['bids that are no list', { ...book, data: [{ ...levels, bids: 7 }] }, 'no list'],
  ])('%s', (_, message, reason) => {
    const { events, reasons, counts } = parse(message);
    expect(reasons[0]).toContain(reason);
    expect({ events, counts }).toEqual({ events: [], counts: { ...NONE, broken: 1 } });
  });
});

const anyKind = fc.constantFrom('trade' as const, 'ticker' as const, 'book' as const);

test('however they are spelled', () => {
  fc.assert(
    fc.property(
      anyKind.chain((kind) => fc.tuple(fc.constant(kind), spelled({ ...MESSAGES[kind], x: [{ price: 1 }] }))),
      ([kind, text]) => {
        expect(parse(text)).toMatchObject({ events: EVENTS[kind], reasons: [null] });
      },
    ),
    { numRuns: 300, endOnFailure: true },
  );
});

test('damaged ones: all of a message or nothing', () => {
  fc.assert(
    fc.property(
      anyKind.chain((kind) => damaged(JSON.stringify(MESSAGES[kind]))),
      (text) => {
        const { events, reasons } = parse(text);
        let isJson = true;
        try {
          JSON.parse(text);
        } catch {
          isJson = false;
        }
        if (!isJson) expect(reasons[0]).toBeTypeOf('string');
        if (reasons[0] !== null) expect(events).toEqual([]);
      },
    ),
    { numRuns: 1000, endOnFailure: true },
  );
});
