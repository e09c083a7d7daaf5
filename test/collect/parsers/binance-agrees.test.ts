import fc from 'fast-check';
import { schemas } from 'ticktape';
import { expect, test } from 'vitest';
import { BinanceParser } from '../../../dist/src/collect/parsers/binance.js';
import { collecting, type Event, scaledOf } from '../../helpers/events.js';
import { damaged, Literal, spelled } from '../../helpers/json.js';

// The parser beside one that goes by JSON.parse and bigints: they take the same messages, and give the same events.

const { FLAG_LAST, SIDE_ASK, SIDE_BID, SIDE_BUY, SIDE_SELL, SIDE_UNKNOWN } = schemas;
const SCALES = { priceScale: 2, sizeScale: 3 };
const NS = 5n;

class Refused extends Error {}

type Message = Record<string, unknown>;

function textOf(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return value;
  throw new Refused();
}

function number(value: unknown, scale: number): number {
  const scaled = scaledOf(textOf(value), scale);
  if (scaled === null) throw new Refused();
  return scaled;
}

const price = (value: unknown) => number(value, SCALES.priceScale);
const size = (value: unknown) => number(value, SCALES.sizeScale);

function whole(value: unknown): number {
  const found = number(value, 0);
  if (found < 0) throw new Refused();
  return found;
}

function symbolOf({ s }: Message): string {
  const isName = typeof s === 'string' && s !== '' && s.isWellFormed() && new TextEncoder().encode(s).length <= 55;
  if (!isName) throw new Refused();
  return s;
}

function timeOf(message: Message): number {
  const time = 'T' in message ? whole(message.T) : 'E' in message ? whole(message.E) : 0;
  const us = time >= 1e14 ? time : time * 1000;
  if (!Number.isSafeInteger(us)) throw new Refused();
  return us;
}

function sideOf(message: Message): number {
  if (!('m' in message)) return SIDE_UNKNOWN;
  if (typeof message.m !== 'boolean') throw new Refused();
  return message.m ? SIDE_SELL : SIDE_BUY;
}

function levels(list: unknown): [number, number][] {
  if (!Array.isArray(list)) throw new Refused();
  return list.map((level) => {
    if (!Array.isArray(level) || level.length < 2) throw new Refused();
    return [price(level[0]), size(level[1])];
  });
}

function eventsOf(message: Message): Event[] {
  const { e } = message;
  const time = timeOf(message);
  if (e === 'bookTicker' || (!('e' in message) && ['u', 'B', 'A'].every((name) => name in message))) {
    const { b, B, a, A, u } = message;
    return [['quote', NS, symbolOf(message), price(b), size(B), price(a), size(A), whole(u), time]];
  }
  if (e === 'trade' || e === 'aggTrade') {
    const { p, q } = message;
    const id = whole(e === 'trade' ? message.t : message.a);
    return [['trade', NS, symbolOf(message), price(p), size(q), sideOf(message), id, time]];
  }
  if (e !== 'depthUpdate') throw new Refused();
  const id = whole(message.u);
  const all = [
    ...levels(message.b).map((level) => [SIDE_BID, level] as const),
    ...levels(message.a).map((level) => [SIDE_ASK, level] as const),
  ];
  const symbol = symbolOf(message);
  return all.map(([side, [of, amount]], i) => {
    const flags = i === all.length - 1 ? FLAG_LAST : 0;
    return ['level', NS, symbol, side, flags, of, amount, id, time];
  });
}

/** What the message gives, or null where it is refused. */
function reference(text: string): Event[] | null {
  try {
    const outer = JSON.parse(text);
    const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isObject(outer)) return null;
    return eventsOf(isObject(outer.data) ? outer.data : outer);
  } catch {
    return null;
  }
}

function parse(text: string): { events: Event[]; reason: string | null } {
  const sink = collecting();
  return { reason: new BinanceParser(sink, SCALES).parse(NS, text), events: sink.events };
}

// ---- messages -------------------------------------------------------------------------------------------------------------

const digits = (most: number) => fc.nat({ max: most });
const plainDecimal = (places: number) =>
  fc.tuple(digits(99_999_999), digits(10 ** places - 1)).map(([n, f]) => `${n}.${String(f).padStart(places, '0')}`);
/** Mostly one that fits; as text or as a number. */
const decimalValue = (places: number) =>
  fc.oneof(
    { weight: 12, arbitrary: plainDecimal(places) },
    { weight: 2, arbitrary: plainDecimal(places).map((text) => `${text}000`) },
    { weight: 2, arbitrary: plainDecimal(places).map((text) => new Literal(String(Number(text)))) },
    { weight: 1, arbitrary: plainDecimal(places + 1) },
    { weight: 1, arbitrary: fc.constantFrom('-1.5', '1e2', '90071992547409930', '.5', '', '1x', '0') },
  );
const id = fc.oneof(
  { weight: 12, arbitrary: fc.maxSafeNat() },
  { weight: 1, arbitrary: fc.constantFrom('17', -1, 1.5, null, '', '1e3') },
);
const time = fc.oneof(fc.integer({ min: 0, max: 2_000_000_000_000 }), fc.constantFrom(1723161256322123, 2 ** 53 - 1));
const name = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('BTCUSDT', 'ETHUSDT', '币安人生USDT', 'a"b\\') },
  { weight: 1, arbitrary: fc.constantFrom('', 'é'.repeat(28), '\ud83d', 7, null) },
);
const level = fc.oneof(
  { weight: 60, arbitrary: fc.tuple(decimalValue(2), decimalValue(3)) },
  { weight: 1, arbitrary: fc.constantFrom([], ['1'], ['1', '1', 'x', []], 'x', [null, '1'], { 0: '1', 1: '1' }) },
);
const levelList = fc.oneof(
  { weight: 15, arbitrary: fc.array(level, { maxLength: 8 }) },
  fc.constantFrom(null, '1.00', {}),
);
const flag = fc.oneof({ weight: 9, arbitrary: fc.boolean() }, fc.constantFrom(null, 'true', 1));

const kinds = fc.oneof(
  fc.record({
    e: fc.constant('trade'),
    s: name,
    p: decimalValue(2),
    q: decimalValue(3),
    t: id,
    m: flag,
    T: time,
    E: time,
  }),
  fc.record({ e: fc.constant('aggTrade'), s: name, p: decimalValue(2), q: decimalValue(3), a: id, m: flag, T: time }),
  fc.record({
    ...{ e: fc.constant('bookTicker'), s: name, u: id, T: time, E: time },
    ...{ b: decimalValue(2), B: decimalValue(3), a: decimalValue(2), A: decimalValue(3) },
  }),
  fc.record({ s: name, u: id, b: decimalValue(2), B: decimalValue(3), a: decimalValue(2), A: decimalValue(3) }),
  fc.record({ e: fc.constant('depthUpdate'), s: name, u: id, b: levelList, a: levelList, E: time }),
);
const NAMES = [
  'e',
  's',
  'p',
  'q',
  't',
  'm',
  'T',
  'E',
  'u',
  'a',
  'b',
  'A',
  'B',
  'bids',
  'x',
  'pu',
  'constructor',
  'stream',
];
/** Members that a message may have besides, and that are nothing to it. */
const others = fc.dictionary(fc.constantFrom(...NAMES), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 2 });

const message = fc
  .tuple(kinds, others, others, fc.boolean(), fc.option(fc.constantFrom(...NAMES), { freq: 4 }))
  .chain(([known, inner, outer, isWrapped, missing]) => {
    const all: Message = { ...inner, ...known };
    if (missing !== null) delete all[missing];
    return spelled(isWrapped ? { ...outer, data: all } : all);
  });

test('whatever the order of members, white space, escapes, and what else they hold', () => {
  const counts = { taken: 0, refused: 0, levels: 0 };
  fc.assert(
    fc.property(message, (text) => {
      const expected = reference(text);
      const { events, reason } = parse(text);
      expect(events).toEqual(expected ?? []);
      expect(reason === null, `${reason}`).toBe(expected !== null);
      if (expected === null) counts.refused++;
      else counts.taken++;
      counts.levels += events.filter(([kind]) => kind === 'level').length;
    }),
    { numRuns: 1500, endOnFailure: true },
  );
  expect(counts.taken).toBeGreaterThan(150);
  expect(counts.refused).toBeGreaterThan(150);
  expect(counts.levels).toBeGreaterThan(150);
});

test('damaged ones too: all of a message or nothing', () => {
  let refused = 0;
  fc.assert(
    fc.property(message.chain(damaged), (text) => {
      const expected = reference(text);
      const { events, reason } = parse(text);
      if (reason !== null) {
        expect(events).toEqual([]);
        refused++;
      }
      if (reason !== 'it has two members "data"') expect(reason === null ? events : null).toEqual(expected);
    }),
    { numRuns: 2500, endOnFailure: true },
  );
  expect(refused).toBeGreaterThan(500);
});
