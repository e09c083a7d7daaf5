import fc from 'fast-check';
import { decimal, defineSchema, i64, openTape, optional, type Schema, symbol, timestamp, u8 } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { Bench, interning, sameBytes } from '../helpers/bench.js';
import { encodeRecord, recorded, unscaled, type Value } from '../helpers/records.js';
import { scratch } from '../helpers/scratch.js';

const MAX = 2 ** 53 - 1;

/** The values with each decimal as a whole number of its last place. */
const toScaled = ({ fields }: Schema, values: readonly Value[]): Value[] =>
  values.map((value, i) => {
    const { kind, scale } = fields[i];
    return kind === 'decimal' && value !== null ? Number(unscaled(value as number, scale)) : value;
  });

test('of any schema: the record that append makes of the same values, byte for byte', () => {
  let decimals = 0;
  fc.assert(
    fc.property(recorded({ minLength: 1, maxLength: 12 }), ({ schema, rows }) => {
      const bench = new Bench(schema);
      const { appendScaled } = bench.appender();
      const idOf = interning();
      let position = 0n;
      for (const values of rows) {
        const expected = encodeRecord(schema, values, idOf, position, bench.salt());
        expect(appendScaled(...toScaled(schema, values))).toBe(Number(position));
        sameBytes(bench.ringBytes(0, position, expected.length), expected);
        position += BigInt(expected.length);
      }
      decimals += schema.fields.filter(({ kind, scale }) => kind === 'decimal' && scale > 0).length;
    }),
    { numRuns: 300 },
  );
  expect(decimals).toBeGreaterThan(20);
});

describe.each([
  ['as arguments', false],
  ['through the argument words', true],
])('%s', (_, staged) => {
  const fields = [
    timestamp('ts'),
    u8('before'),
    decimal('it', 2),
    optional(decimal('absent', 8)),
    decimal('after', 15),
  ];
  const schema: Schema = defineSchema('t', ...fields, ...(staged ? [i64('staged')] : []));
  const row = (it: unknown): Value[] => [1n, 2, it as Value, null, 3, ...(staged ? [4n] : [])];
  const itAt = schema.fields.findIndex(({ name }) => name === 'it');
  const offset = schema.table.find(({ index }) => index === itAt)!.offset;

  test('a whole number up to 2⁵³ − 1 is kept as it is', () => {
    const whole = fc.oneof(fc.maxSafeInteger(), fc.constantFrom(0, -0, 1, -1, MAX, -MAX));
    fc.assert(
      fc.property(whole, (value) => {
        const bench = new Bench(schema);
        bench.appender().appendScaled(...row(value));
        expect(bench.view.getBigInt64(bench.addressOf(0, 0n) + offset, true)).toBe(BigInt(value));
      }),
      { numRuns: 200 },
    );
  });

  test.each([0.5, -0.5, 1e-300, MAX + 1, -MAX - 1, 1e300, NaN, Infinity, -Infinity, 4503599627370495.5, '1', 1n, null])(
    '%s is refused, and nothing published',
    (value) => {
      const bench = new Bench(schema);
      const { appendScaled } = bench.appender();
      const error = expect.objectContaining({ code: 'BAD_VALUE', field: 'it', message: expect.stringContaining('it') });
      expect(() => appendScaled(...row(value))).toThrow(error);
      expect(bench.counters().records).toBe(0n);
      appendScaled(...row(7));
      expect(bench.counters().records).toBe(1n);
    },
  );

  test('the refusal says what it takes', () => {
    const { appendScaled } = new Bench(schema).appender();
    expect(() => appendScaled(...row(61800.2))).toThrow('whole numbers of its last place up to 2⁵³ − 1, not 61800.2');
  });
});

test('in a schema without decimals it is append', () => {
  const { append, appendScaled } = new Bench(defineSchema('t', timestamp('ts'), u8('n'))).appender();
  expect(appendScaled).toBe(append);
});

test('through a tape', async () => {
  const schema = defineSchema('t', timestamp('ts'), symbol('symbol'), decimal('price', 2), decimal('size', 8));
  await using tape = await openTape(schema, { storage: [scratch()] });
  tape.append(1n, 'A', 61800.2, 0.00000001);
  tape.appendScaled(2n, 'A', 6180020, 1);
  await tape.flush();
  const found: unknown[] = [];
  for await (const batch of tape.scan()) found.push(...batch.records());
  const rest = { symbol: 'A', price: 61800.2, size: 0.00000001 };
  expect(found).toEqual([
    { ts: 1n, ...rest },
    { ts: 2n, ...rest },
  ]);
});
