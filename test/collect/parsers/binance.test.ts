import { schemas } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { BinanceParser, noCounts } from '../../../dist/src/collect/parsers/binance.js';
import { collecting, type Event } from '../../helpers/events.js';

const { FLAG_LAST, FLAG_SNAPSHOT, SIDE_ASK, SIDE_BID, SIDE_BUY, SIDE_SELL, SIDE_UNKNOWN } = schemas;
const NS = 1723161255088176367n;
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

const wrapped = (data: unknown) => JSON.stringify({ stream: 'btcusdt@any', data });

/** What the messages give, without the time that they share, and what the parser says. */
function parse(...messages: string[]) {
  const sink = collecting();
  const parser = new BinanceParser(sink, { priceScale: 2, sizeScale: 3 });
  const reasons = messages.map((text) => parser.parse(NS, text));
  for (const [, ts] of sink.events) expect(ts).toBe(NS);
  const events = sink.events.map(([kind, , ...rest]): Event => [kind, ...rest]);
  return { events, reasons, counts: parser.counts };
}

const EXCHANGE_US = 1723161256322000;
const BTC_TRADE: Event = ['trade', 'BTCUSDT', 6180030, 6, SIDE_BUY, 5266583935, EXCHANGE_US];

describe('a trade', () => {
  test('that a buyer or a seller started, or nobody says who', () => {
    const { events, counts } = parse(
      wrapped(trade),
      wrapped({ ...trade, m: true, s: 'ETHUSDT' }),
      wrapped({ ...trade, m: undefined }),
    );
    expect(events).toEqual([
      BTC_TRADE,
      ['trade', 'ETHUSDT', 6180030, 6, SIDE_SELL, 5266583935, EXCHANGE_US],
      ['trade', 'BTCUSDT', 6180030, 6, SIDE_UNKNOWN, 5266583935, EXCHANGE_US],
    ]);
    expect(counts).toEqual({ ...noCounts(), trade: 3 });
  });

  test('bare, as on a stream of its own', () => {
    expect(parse(JSON.stringify(trade)).events).toEqual([BTC_TRADE]);
  });

  test('aggregated: its id is "a"', () => {
    const aggregated = {
      e: 'aggTrade',
      E: 1,
      s: 'BTCUSDT',
      a: 5933014,
      p: '0.01',
      q: '100',
      f: 100,
      l: 105,
      T: 5,
      m: true,
    };
    const { events, counts } = parse(wrapped({ ...aggregated, M: true }));
    expect(events).toEqual([['trade', 'BTCUSDT', 1, 100_000, SIDE_SELL, 5933014, 5000]]);
    expect(counts).toEqual({ ...noCounts(), aggTrade: 1 });
  });
});

describe('a quote', () => {
  test('of futures', () => {
    const { events, counts } = parse(wrapped(quote));
    expect(events).toEqual([['quote', 'BTCUSDT', 6180020, 2507, 6180030, 2510, 5123107839020, 7000]]);
    expect(counts).toEqual({ ...noCounts(), bookTicker: 1 });
  });

  test('of spot, which names no event and no time', () => {
    const spot = { u: 400900217, s: 'BNBUSDT', b: '25.35000000', B: '31.21000000', a: '25.36000000', A: '40.66000000' };
    expect(parse(JSON.stringify(spot)).events).toEqual([['quote', 'BNBUSDT', 2535, 31210, 2536, 40660, 400900217, 0]]);
  });
});

describe('the time of the exchange', () => {
  const usOf = (times: object) => parse(wrapped({ ...quote, T: undefined, ...times })).events[0].at(-1);
  test('of the transaction, else of the event, else none', () => {
    expect(usOf({ T: 5, E: 6 })).toBe(5000);
    expect(usOf({ E: 6 })).toBe(6000);
    expect(usOf({})).toBe(0);
  });
  test('in microseconds where the stream was asked for them', () => {
    expect(usOf({ T: 1723161256322123 })).toBe(1723161256322123);
  });
  test('out of range', () => {
    expect(parse(wrapped({ ...quote, T: 9_100_000_000_000 })).reasons).toEqual(['"T" is no time in milliseconds']);
  });
});

const DEPTH: Event[] = [
  ['level', 'BTCUSDT', SIDE_BID, 0, 5871020, 14, 5123107837557, 1723161256298000],
  ['level', 'BTCUSDT', SIDE_BID, 0, 6149600, 10000, 5123107837557, 1723161256298000],
  ['level', 'BTCUSDT', SIDE_ASK, FLAG_LAST, 6180035, 0, 5123107837557, 1723161256298000],
];

describe('levels of the book', () => {
  test('bids, then asks', () => expect(parse(wrapped(depth)).events).toEqual(DEPTH));

  test('of one side alone', () => {
    const { events } = parse(wrapped({ ...depth, a: [] }));
    expect(events.map(([, , , flags]) => flags)).toEqual([0, FLAG_LAST]);
  });

  test('whatever else a level holds', () => {
    const b = [
      ['58710.20', '0.014', [], { x: 1 }],
      ['61496', '10', null],
    ];
    expect(parse(wrapped({ ...depth, b })).events).toEqual(DEPTH);
  });

  test('many of them', () => {
    const levels = Array.from({ length: 5000 }, (_, i) => [`${i + 1}.01`, '1']);
    const { events } = parse(wrapped({ ...depth, b: levels, a: levels }));
    expect(events.map(([, , side, flags, price]) => [side, flags, price])).toEqual([
      ...levels.map((_, i) => [SIDE_BID, 0, (i + 1) * 100 + 1]),
      ...levels.map((_, i) => [SIDE_ASK, i === 4999 ? FLAG_LAST : 0, (i + 1) * 100 + 1]),
    ]);
  });

  test('none: a message all the same', () => {
    const { events, counts, reasons } = parse(wrapped({ ...depth, b: [], a: [] }));
    expect({ events, counts, reasons }).toEqual({
      events: [],
      counts: { ...noCounts(), depthUpdate: 1 },
      reasons: [null],
    });
  });
});

describe('a snapshot', () => {
  const levels = (symbol: string): Event[] => [
    ['level', symbol, SIDE_BID, FLAG_SNAPSHOT, 6180020, 2909, 5123107852948, 1723161256493000],
    ['level', symbol, SIDE_ASK, FLAG_SNAPSHOT | FLAG_LAST, 6180030, 1000, 5123107852948, 1723161256493000],
  ];

  test('is of the only symbol before it', () => {
    const { events, counts } = parse(wrapped(quote), wrapped(depth), JSON.stringify(snapshot));
    expect(events.slice(4)).toEqual(levels('BTCUSDT'));
    expect(counts.snapshot).toBe(1);
  });

  test('or of the one that its stream names', () => {
    const message = JSON.stringify({ stream: 'ethusdt@depth5@100ms', data: snapshot });
    expect(parse(wrapped(quote), message).events.slice(1)).toEqual(levels('ETHUSDT'));
    expect(parse(JSON.stringify({ data: snapshot, stream: 'ethusdt@depth5' })).events).toEqual(levels('ETHUSDT'));
  });

  test('that could be of any is broken', () => {
    const bare = JSON.stringify(snapshot);
    expect(parse(bare).reasons[0]).toContain('names no symbol');
    expect(parse(wrapped(quote), wrapped({ ...quote, s: 'ETHUSDT' }), bare).counts.broken).toBe(1);
  });
});

test.each([
  ['nothing', '', 'JSON'],
  ['no JSON', 'x', 'JSON'],
  ['JSON cut short', wrapped(trade).slice(0, -3), 'JSON'],
  ['JSON and more', `${wrapped(trade)}x`, 'JSON'],
  ['no object', '17', 'no object'],
  ['null', 'null', 'no object'],
  ['a list', '[]', 'no object'],
  ['no symbol', wrapped({ ...trade, s: undefined }), '"s" is missing'],
  ['a symbol that is no text', wrapped({ ...trade, s: 7 }), '"s" is no name'],
  ['an empty symbol', wrapped({ ...trade, s: '' }), '"s" is no name'],
  ['a symbol that no field takes', wrapped({ ...trade, s: 'é'.repeat(28) }), '"s" is no name'],
  ['half a character', wrapped({ ...trade, s: '\ud83d' }), '"s" is no name'],
  ['no price', wrapped({ ...trade, p: undefined }), '"p" is missing'],
  ['null for a price', wrapped({ ...trade, p: null }), '"p" is no decimal number'],
  ['an empty price', wrapped({ ...trade, p: '' }), '"p" is no decimal number'],
  ['a lone point', wrapped({ ...trade, p: '.' }), '"p" is no decimal number'],
  ['two points', wrapped({ ...trade, p: '1.0.0' }), '"p" is no decimal number'],
  [
    'a price finer than the field',
    wrapped({ ...trade, p: '1.005' }),
    '"p" has more than 2 decimal places: raise price_scale',
  ],
  [
    'a size finer than the field',
    wrapped({ ...trade, q: '1.0005' }),
    '"q" has more than 3 decimal places: raise size_scale',
  ],
  ['a price that no double holds', wrapped({ ...trade, p: '90071992547409930.00' }), 'lower price_scale'],
  ['an id that is no whole number', wrapped({ ...trade, t: 1.5 }), '"t" is no whole number'],
  ['an id below zero', wrapped({ ...trade, t: -1 }), '"t" is no whole number'],
  ['an id that no double holds', wrapped(trade).replace('5266583935', '9007199254740993'), '"t" is no whole number'],
  ['a side that is no flag', wrapped({ ...trade, m: 'x' }), '"m" is neither'],
  ['no list of levels', wrapped({ ...depth, b: 'x' }), 'no list'],
  ['no levels', wrapped({ ...depth, a: undefined }), 'no list'],
  ['a level that is no pair', wrapped({ ...depth, a: [['1', '1'], 7] }), 'a level is no pair'],
  ['half a level', wrapped({ ...depth, a: [['1', '1'], ['1']] }), 'a level is no pair'],
  ['a level that is no number', wrapped({ ...depth, a: [['1', 'x']] }), 'the size of a level is no decimal number'],
  ['a level that is too fine', wrapped({ ...depth, a: [['1.001', '1']] }), 'raise price_scale'],
  ['a bad level and bad JSON behind it', wrapped({ ...depth, a: [['1', 'x']] }).slice(0, -1), 'JSON'],
  ['two messages in one', `{"data":${JSON.stringify(trade)},"data":${JSON.stringify(trade)}}`, 'two members "data"'],
])('%s is broken, and gives no record', (_, text, reason) => {
  const { events, counts, reasons } = parse(text);
  expect(events).toEqual([]);
  expect(counts).toEqual({ ...noCounts(), broken: 1 });
  expect(reasons[0]).toContain(reason);
});

test('a message of another kind is unknown', () => {
  const { counts, reasons } = parse(wrapped({ e: 'forceOrder', s: 'BTCUSDT' }), wrapped({ x: 1 }), wrapped({}));
  expect(counts).toEqual({ ...noCounts(), unknown: 3 });
  expect(reasons[0]).toBe('a message of unknown kind "forceOrder"');
  expect(reasons[1]).toBe('a message of unknown kind (no "e")');
});

test('answers to requests have nothing to record, refusals are told', () => {
  const { counts, reasons, events } = parse(
    '{"result":null,"id":1}',
    '{"result":["btcusdt@trade"],"id":3}',
    '{"error":{"code":2,"msg":"Invalid request"},"id":1}',
    '{"code":2,"msg":"Invalid request"}',
  );
  expect({ counts, events }).toEqual({ counts: { ...noCounts(), control: 2, unknown: 2 }, events: [] });
  expect(reasons.slice(0, 2)).toEqual([null, null]);
  for (const reason of reasons.slice(2)) expect(reason).toContain('Invalid request');
});

describe('what is the same message', () => {
  test.each([
    ['more zeros', wrapped({ ...trade, p: '61800.3000', q: '00.0060000' })],
    ['numbers in place of text', wrapped({ ...trade, p: 61800.3, q: 0.006 })],
    ['an exponent', wrapped({ ...trade, p: '6.18003e4', q: '6E-3' })],
    ['text in place of a number', wrapped({ ...trade, t: '5266583935' })],
    ['white space', JSON.stringify({ data: trade }, null, '\t').replaceAll('\n', ' \r\n')],
    [
      'escapes',
      wrapped(trade).replace('BTCUSDT', '\\u0042TC\\u0055SDT').replace('"p"', '"\\u0070"').replace('.30', '\\u002e30'),
    ],
    ['an escape in the event', wrapped(trade).replace('"trade"', '"tr\\u0061de"')],
    ['members that nobody knows', wrapped({ x: { p: '1' }, ...trade, zz: [[{ q: 'y' }], 'a"b', null] })],
    ['a member twice: the last counts', wrapped(trade).replace('"p":', '"p":"1","p":')],
    ['the same member as levels before', wrapped(trade).replace('"p":', '"b":[["1","2"]],"a":[],"p":')],
    ['members before and behind the data', `{"p":"1","e":"x","data":${JSON.stringify(trade)},"q":"7","s":"X"}`],
    ['data that is none', `{"data":null,${JSON.stringify(trade).slice(1)}`],
  ])('with %s', (_, text) => {
    expect(parse(text)).toEqual({ events: [BTC_TRADE], reasons: [null], counts: { ...noCounts(), trade: 1 } });
  });
});
