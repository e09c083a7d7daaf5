import { decimal, defineSchema, openTape, type Schema, schemas, symbol, timestamp } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { scalesOf, sinkFor } from '../../../dist/src/collect/parsers/market-sink.js';
import { makeParser } from '../../../dist/src/collect/parsers/parser.js';
import { scratch } from '../../helpers/scratch.js';
import { recordsOf } from '../../helpers/tape.js';

const { builtInSchema, FLAG_ASK, FLAG_LAST, FLAG_SNAPSHOT, FLAG_UNKNOWN_SIDE, SIDE_ASK, SIDE_BUY, SIDE_SELL } = schemas;
const SCALES = { priceScale: 2, sizeScale: 3 };
const MS = 1723161256322.125;

/** What a tape of the schema has of a trade, a quote and a level each. */
async function recorded(name: string) {
  const schema = builtInSchema(name, SCALES);
  await using tape = await openTape(schema, { storage: [scratch()] });
  const sink = sinkFor(schema, tape.appendScaled, 3);
  sink.trade(1n, 'A', 6180020, 3330, SIDE_SELL, 7, 1000 * MS);
  sink.quote(2n, 'A', 6180010, 1, 6180020, 2, 8, 1000 * MS);
  sink.level(3n, 'A', SIDE_ASK, FLAG_SNAPSHOT, 6180030, 0, 9, 1000 * MS);
  await tape.flush();
  return { records: await recordsOf(tape), skipped: sink.skipped };
}

const trade = { ts: 1n, symbol: 'A', price: 61800.2, size: 3.33 };
const level = { ts: 3n, symbol: 'A', price: 61800.3, size: 0 };

describe('each schema takes its own, and counts the others', () => {
  test('trade', async () => {
    const records = [{ ...trade, side: SIDE_SELL, id: 7, exchangeMs: MS }];
    expect(await recorded('trade')).toEqual({ records, skipped: 2 });
  });

  test('quote', async () => {
    const record = {
      ts: 2n,
      symbol: 'A',
      bid: 61800.1,
      bidSize: 0.001,
      ask: 61800.2,
      askSize: 0.002,
      id: 8,
      exchangeMs: MS,
    };
    expect(await recorded('quote')).toEqual({ records: [record], skipped: 2 });
  });

  test('level', async () => {
    const records = [{ ...level, side: SIDE_ASK, flags: FLAG_SNAPSHOT, id: 9, exchangeMs: MS }];
    expect(await recorded('level')).toEqual({ records, skipped: 2 });
  });

  test('market', async () => {
    const all = { collector: 3, exchangeMs: MS, askPrice: 0, askSize: 0 };
    const quote = { ts: 2n, symbol: 'A', price: 61800.1, size: 0.001 };
    const records = [
      { ...all, ...trade, kind: 1, flags: FLAG_LAST | FLAG_ASK, id: 7 },
      { ...all, ...quote, kind: 2, flags: FLAG_LAST, askPrice: 61800.2, askSize: 0.002, id: 8 },
      { ...all, ...level, kind: 3, flags: FLAG_SNAPSHOT | FLAG_ASK, id: 9 },
    ];
    expect(await recorded('market')).toEqual({ records, skipped: 0 });
  });
});

test('in the market schema a trade says who started it, or that nobody knows', () => {
  const flags: unknown[] = [];
  const sink = sinkFor(builtInSchema('market'), (...values) => flags.push(values[3]));
  for (const side of [SIDE_BUY, SIDE_SELL, schemas.SIDE_UNKNOWN]) sink.trade(1n, 'A', 1, 1, side, 1, 1);
  expect(flags).toEqual([FLAG_LAST, FLAG_LAST | FLAG_ASK, FLAG_LAST | FLAG_UNKNOWN_SIDE]);
});

test('the scales of a schema', () => {
  for (const name of ['trade', 'quote', 'level', 'market'])
    expect(scalesOf(builtInSchema(name, SCALES))).toEqual(SCALES);
});

test.each([
  builtInSchema('raw'),
  builtInSchema('bar'),
  defineSchema('trade', timestamp('ts'), symbol('symbol'), decimal('price', 2), decimal('size', 3)) as Schema,
])('a schema that is no built-in one of events is refused: $json', (schema) => {
  const error = expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringContaining(schema.name) });
  expect(() => sinkFor(schema, () => 0)).toThrow(error);
});

test('a parser by name', () => {
  const sink = sinkFor(builtInSchema('market', SCALES), () => 0);
  for (const name of ['binance', 'coinbase', 'kraken'] as const) {
    expect(makeParser(name, sink, SCALES).parse(1n, 'x')).toContain('JSON');
  }
  expect(() => makeParser('mtgox' as never, sink, SCALES)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
});

test('a message goes from text to the tape', async () => {
  const schema = builtInSchema('trade', SCALES);
  await using tape = await openTape(schema, { storage: [scratch()] });
  const parser = makeParser('binance', sinkFor(schema, tape.appendScaled), scalesOf(schema));
  expect(
    parser.parse(5n, '{"e":"trade","s":"BTCUSDT","t":1,"p":"61800.20","q":"0.006","m":false,"T":1723161256322}'),
  ).toBe(null);
  await tape.flush();
  const rest = { symbol: 'BTCUSDT', price: 61800.2, size: 0.006, side: SIDE_BUY, id: 1, exchangeMs: 1723161256322 };
  expect(await recordsOf(tape)).toEqual([{ ts: 5n, ...rest }]);
});
