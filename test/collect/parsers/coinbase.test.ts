import fc from 'fast-check';
import { schemas } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { CoinbaseParser } from '../../../dist/src/collect/parsers/coinbase.js';
import { collecting, type Event } from '../../helpers/events.js';
import { damaged, spelled } from '../../helpers/json.js';

const { FLAG_LAST, FLAG_SNAPSHOT, SIDE_ASK, SIDE_BID, SIDE_BUY, SIDE_SELL, SIDE_UNKNOWN } = schemas;
const NONE = { match: 0, ticker: 0, snapshot: 0, l2update: 0, control: 0, unknown: 0, broken: 0 };
const NS = 7n;

const match = {
  type: 'match',
  trade_id: 10,
  sequence: 50,
  maker_order_id: 'ac928c66-ca53-498f-9c13-a110027a60e8',
  taker_order_id: '132fb6ae-456b-4654-b4e0-d681ac05cea1',
  time: '2014-11-07T08:19:27.028459Z',
  product_id: 'BTC-USD',
  size: '5.23512',
  price: '400.23',
  side: 'sell',
};
const US = Date.UTC(2014, 10, 7, 8, 19, 27) * 1000 + 28_459;
const ticker = {
  type: 'ticker',
  sequence: 37475248783,
  product_id: 'ETH-USD',
  price: '1285.22',
  open_24h: '1310.79',
  best_bid: '1285.04',
  best_bid_size: '0.46688654',
  best_ask: '1285.27',
  best_ask_size: '1.56637040',
  side: 'buy',
  time: '2014-11-07T08:19:27.028459Z',
  trade_id: 370843401,
  last_size: '11.4396987',
};
const snapshot = {
  type: 'snapshot',
  product_id: 'BTC-USD',
  bids: [
    ['10101.10', '0.45054140'],
    ['10101', '1'],
  ],
  asks: [['10102.55', '0.57753524']],
};
const update = {
  type: 'l2update',
  product_id: 'BTC-USD',
  time: '2019-08-14T20:42:27.265Z',
  changes: [
    ['buy', '10101.80000000', '0.162567'],
    ['sell', '10102', '0.00000000'],
  ],
};
const UPDATE_US = Date.UTC(2019, 7, 14, 20, 42, 27, 265) * 1000;

const EVENTS: Record<string, Event[]> = {
  match: [['trade', NS, 'BTC-USD', 40023, 523512000, SIDE_BUY, 10, US]],
  ticker: [['quote', NS, 'ETH-USD', 128504, 46688654, 128527, 156637040, 37475248783, US]],
  snapshot: [
    ['level', NS, 'BTC-USD', SIDE_BID, FLAG_SNAPSHOT, 1010110, 45054140, 0, 0],
    ['level', NS, 'BTC-USD', SIDE_BID, FLAG_SNAPSHOT, 1010100, 100000000, 0, 0],
    ['level', NS, 'BTC-USD', SIDE_ASK, FLAG_SNAPSHOT | FLAG_LAST, 1010255, 57753524, 0, 0],
  ],
  l2update: [
    ['level', NS, 'BTC-USD', SIDE_BID, 0, 1010180, 16256700, 0, UPDATE_US],
    ['level', NS, 'BTC-USD', SIDE_ASK, FLAG_LAST, 1010200, 0, 0, UPDATE_US],
  ],
};
const MESSAGES = [match, ticker, snapshot, update];

function parse(...messages: (string | object)[]) {
  const sink = collecting();
  const parser = new CoinbaseParser(sink, { priceScale: 2, sizeScale: 8 });
  const texts = messages.map((message) => (typeof message === 'string' ? message : JSON.stringify(message)));
  const reasons = texts.map((text) => parser.parse(NS, text));
  return { events: sink.events, reasons, counts: parser.counts };
}

test.each(MESSAGES)('$type', (message) => {
  const { events, reasons, counts } = parse(message);
  expect(events).toEqual(EVENTS[message.type]);
  expect(reasons).toEqual([null]);
  expect(counts).toEqual({ ...NONE, [message.type]: 1 });
});

test('who started a trade: not the side that was there first', () => {
  const sideOf = (side: unknown) => parse({ ...match, side }).events[0][5];
  expect([sideOf('sell'), sideOf('buy'), sideOf(undefined)]).toEqual([SIDE_BUY, SIDE_SELL, SIDE_UNKNOWN]);
});

test('what has nothing to record', () => {
  const types = ['subscriptions', 'heartbeat', 'status', 'last_match'];
  const { events, reasons, counts } = parse(...types.map((type) => ({ ...match, type })));
  expect({ events, reasons }).toEqual({ events: [], reasons: types.map(() => null) });
  expect(counts).toEqual({ ...NONE, control: 4 });
});

test('what is unknown, and a request that was refused', () => {
  const failure = { type: 'error', message: 'Failed to subscribe', reason: 'level2 requires authentication' };
  const { reasons, counts } = parse({ type: 'received' }, {}, failure);
  expect(reasons[0]).toBe('a message of unknown type "received"');
  expect(reasons[1]).toBe('a message of unknown type (no "type")');
  expect(reasons[2]).toContain('level2 requires authentication');
  expect(counts).toEqual({ ...NONE, unknown: 3 });
});

describe('broken, and no event', () => {
  test.each([
    ['no JSON', 'x', 'JSON'],
    ['cut short', JSON.stringify(update).slice(0, -1), 'JSON'],
    ['a list', '[]', 'no object'],
    ['no product', { ...match, product_id: undefined }, '"product_id" is missing'],
    ['no price', { ...match, price: undefined }, '"price" is missing'],
    ['too many places', { ...match, price: '400.231' }, '"price" has more than 2 decimal places: raise price_scale'],
    ['too large', { ...match, size: '100000000' }, '"size" is beyond 2⁵³ − 1 at 8 decimal places: lower size_scale'],
    ['no id', { ...match, trade_id: undefined }, '"trade_id" is missing'],
    ['neither side', { ...match, side: 'up' }, '"side" is neither'],
    ['no time', { ...match, time: 'yesterday' }, '"time" is no ISO 8601 time'],
    ['a quote without its bid', { ...ticker, best_bid: undefined }, '"best_bid" is missing'],
    ['a side of a snapshot missing', { ...snapshot, asks: undefined }, 'missing'],
    [
      'a bad level at its end',
      {
        ...snapshot,
        asks: [
          ['1', '1'],
          ['1', 'x'],
        ],
      },
      'the size of a level is no decimal',
    ],
    ['no changes', { ...update, changes: undefined }, 'changes are missing'],
    ['changes that are no list', { ...update, changes: {} }, 'no list'],
    [
      'a change of neither side',
      {
        ...update,
        changes: [
          ['buy', '1', '1'],
          ['x', '1', '1'],
        ],
      },
      'side, price and size',
    ],
    ['a change cut short', { ...update, changes: [['buy', '1']] }, 'side, price and size'],
    ['a change that is too fine', { ...update, changes: [['buy', '1.001', '1']] }, 'the price of a change'],
  ])('%s', (_, message, reason) => {
    const { events, reasons, counts } = parse(message);
    expect(reasons[0]).toContain(reason);
    expect({ events, counts }).toEqual({ events: [], counts: { ...NONE, broken: 1 } });
  });
});

test('many changes', () => {
  const changes = Array.from({ length: 1000 }, (_, i) => [i % 3 === 0 ? 'buy' : 'sell', `${i}`, '1']);
  const { events } = parse({ ...update, changes });
  expect(events.map(([, , , side, , price]) => [side, price])).toEqual(
    changes.map(([side], i) => [side === 'buy' ? SIDE_BID : SIDE_ASK, 100 * i]),
  );
});

test('however they are spelled', () => {
  fc.assert(
    fc.property(
      fc
        .constantFrom(...MESSAGES)
        .chain((message) => fc.tuple(fc.constant(message.type), spelled({ ...message, x: [{ price: 1 }] }))),
      ([type, text]) => {
        expect(parse(text)).toMatchObject({ events: EVENTS[type], reasons: [null] });
      },
    ),
    { numRuns: 300, endOnFailure: true },
  );
});

test('damaged ones: all of a message or nothing', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...MESSAGES).chain((message) => damaged(JSON.stringify(message))),
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
