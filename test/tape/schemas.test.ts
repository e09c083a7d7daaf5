import { openTape, type Schema, schemas } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { scratch } from '../helpers/scratch.js';
import { recordsOf } from '../helpers/tape.js';

const { builtInSchema } = schemas;
const shapeOf = ({ name, fields }: Schema) => [
  name,
  ...fields.map((field) => `${field.name} ${field.kind}${field.kind === 'decimal' ? field.scale : ''}`),
];

test('their fields', () => {
  const scales = { priceScale: 2, sizeScale: 3 };
  const shapes = ['trade', 'quote', 'level', 'bar', 'raw', 'market'].map((name) =>
    shapeOf(builtInSchema(name, scales)),
  );
  const both = ['id decimal0', 'exchangeMs decimal3'];
  expect(shapes).toEqual([
    ['trade', 'ts timestamp', 'symbol symbol', 'price decimal2', 'size decimal3', 'side u8', ...both],
    [
      ...['quote', 'ts timestamp', 'symbol symbol', 'bid decimal2', 'bidSize decimal3', 'ask decimal2'],
      ...['askSize decimal3', ...both],
    ],
    ['level', 'ts timestamp', 'symbol symbol', 'side u8', 'flags u8', 'price decimal2', 'size decimal3', ...both],
    [
      ...['bar', 'ts timestamp', 'symbol symbol', 'open decimal2', 'high decimal2', 'low decimal2', 'close decimal2'],
      ...['volume decimal3', 'vwap f64', 'count u32'],
    ],
    ['raw', 'ts timestamp', 'source symbol', 'message text'],
    [
      ...['market', 'ts timestamp', 'symbol symbol', 'kind u8', 'flags u8', 'collector u8', 'price decimal2'],
      ...['size decimal3', 'askPrice decimal2', 'askSize decimal3', 'exchangeMs decimal3', 'id decimal0'],
    ],
  ]);
});

test('eight places where nothing is said', () => {
  for (const name of ['trade', 'quote', 'level', 'bar', 'market'] as const) {
    const scales = schemas[name]().fields.filter(({ name }) => /price|size|bid|ask|open|volume/i.test(name));
    expect(new Set(scales.map(({ scale }) => scale)), name).toEqual(new Set([8]));
    expect(builtInSchema(name).fingerprint).toBe(schemas[name]().fingerprint);
  }
});

describe('by name', () => {
  test.each(['trades', '', '__proto__', 'toString'])('%j is none', (name) => {
    const error = expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringContaining('trade, quote') });
    expect(() => builtInSchema(name)).toThrow(error);
  });

  test.each([
    ['priceScale', -1],
    ['priceScale', 16],
    ['sizeScale', 1.5],
    ['sizeScale', NaN],
  ])('%s %s is out of range', (option, scale) => {
    const error = expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringContaining(option) });
    expect(() => builtInSchema('trade', { [option]: scale })).toThrow(error);
  });
});

test('a tape of one, typed', async () => {
  await using tape = await openTape(schemas.trade({ priceScale: 2, sizeScale: 3 }), { storage: [scratch()] });
  tape.append(1n, 'BTCUSDT', 61800.2, 3.33, schemas.SIDE_BUY, 7, 1723161256322.125);
  tape.appendScaled(2n, 'BTCUSDT', 6180020, 3330, schemas.SIDE_SELL, 8, 1723161256322126);
  await tape.flush();
  const same = { symbol: 'BTCUSDT', price: 61800.2, size: 3.33 };
  expect(await recordsOf(tape)).toEqual([
    { ts: 1n, ...same, side: 1, id: 7, exchangeMs: 1723161256322.125 },
    { ts: 2n, ...same, side: 2, id: 8, exchangeMs: 1723161256322.126 },
  ]);
});
