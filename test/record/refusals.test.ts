import fc from 'fast-check';
import { defineSchema, type Field, type FieldKind, type Schema, TapeError } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { LANE_ARGUMENTS, REFUSED, SYMBOL_COUNT, SYMBOLS, TOO_LARGE } from '../../dist/assembly/layout.js';
import { Bench, sameBytes } from '../helpers/bench.js';
import { KINDS, type Value } from '../helpers/records.js';

const NUMBERS = ['timestamp', 'i64', 'u64'];
/** What no field of the kind takes, whatever its range. */
const wrongTypes = (kind: FieldKind): unknown[] => {
  const others: unknown[] = [undefined, null, true, {}, [], () => 0, Symbol('s'), Object.create(null), new Date(0)];
  if (kind !== 'symbol' && kind !== 'text') others.push('1', '');
  if (!NUMBERS.includes(kind)) others.push(1n);
  if (NUMBERS.includes(kind) || kind === 'symbol' || kind === 'text' || kind === 'bytes') others.push(1, NaN);
  if (kind !== 'bytes') others.push(new Uint8Array(1));
  if (kind === 'bytes') others.push(new ArrayBuffer(1), new Uint16Array(1), [1, 2], 'x');
  return others;
};

const LONE = ['\ud800', 'a\udc00', '\udc00\ud800', `x${'\ud83d'}`];

const outOfRange: Partial<Record<FieldKind, unknown[]>> = {
  timestamp: [2n ** 63n, -(2n ** 63n) - 1n, 2n ** 64n],
  i64: [2n ** 63n, -(2n ** 63n) - 1n, -(2n ** 64n)],
  u64: [-1n, 2n ** 64n, 2n ** 65n],
  symbol: ['', 'x'.repeat(56), '市'.repeat(19), ...LONE],
  text: LONE,
  // Of scale 2: too many places, and beyond 2^53 - 1 of the last one.
  decimal: [
    NaN,
    Infinity,
    -Infinity,
    0.001,
    1.005,
    -0.125,
    2 ** 53 / 100,
    -(2 ** 53) / 100,
    1e300,
    100_000_000_000.12 + 2 ** -16,
  ],
};
for (const bits of [8, 16, 32]) {
  const half = 2 ** (bits - 1);
  const never = [0.5, -0.5, 1.000001, NaN, Infinity, -Infinity, 5e-324, 1e300, -1e300];
  outOfRange[`i${bits}` as FieldKind] = [...never, half, -half - 1, half - 0.5, 2 ** bits];
  outOfRange[`u${bits}` as FieldKind] = [...never, -1, 2 ** bits, 2 ** bits - 0.5, -half];
}

/** A field of the kind between two others, so that the right one has to be named. */
function schemaWith(
  kind: FieldKind,
  staged: boolean,
  isOptional = false,
): { schema: Schema; row: (value: unknown) => Value[] } {
  const field = (name: string, of: FieldKind): Field => ({ name, kind: of, scale: of === 'decimal' ? 2 : 0 });
  const it = { ...field('it', kind), optional: isOptional };
  const fields = [field('before', 'i32'), it, field('after', 'decimal')];
  if (kind !== 'timestamp') fields.push(field('ts', 'timestamp'));
  if (staged) fields.push(field('staged', 'i64'));
  return {
    schema: defineSchema('t', ...fields) as Schema,
    row: (value) => [1, value as Value, 2.5, ...(kind === 'timestamp' ? [] : [3n]), ...(staged ? [4n] : [])],
  };
}

function expectRefused(bench: Bench, append: () => unknown, field: string): void {
  const before = bench.counters();
  let error: unknown;
  try {
    append();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(TapeError);
  expect(error).toMatchObject({ code: 'BAD_VALUE', field });
  expect((error as Error).message).toContain(field);
  expect(bench.counters()).toEqual(before);
}

describe.each([
  ['as arguments', false],
  ['through the argument words', true],
])('%s', (_, staged) => {
  test.each(KINDS)('a %s refuses what it cannot hold, naming the field, and publishes nothing', (kind) => {
    const { schema, row } = schemaWith(kind, staged);
    const bench = new Bench(schema);
    const { append } = bench.appender();
    for (const value of [...wrongTypes(kind), ...(outOfRange[kind] ?? [])]) {
      expectRefused(bench, () => append(...row(value)), 'it');
    }
    expect(bench.drain()).toBe(0);
  });

  test.each(KINDS.filter((kind) => kind !== 'timestamp'))('an optional %s refuses the same, but for null', (kind) => {
    const { schema, row } = schemaWith(kind, staged, true);
    const bench = new Bench(schema);
    const { append } = bench.appender();
    for (const value of [...wrongTypes(kind), ...(outOfRange[kind] ?? [])]) {
      if (value !== null) expectRefused(bench, () => append(...row(value)), 'it');
    }
    expect(bench.drain()).toBe(0);
    append(...row(null));
    expect(bench.drain()).toBe(1);
    expect(() => append(...row(undefined))).toThrow(`(optional ${kind}${kind === 'decimal' ? '(2)' : ''})`);
    expectRefused(bench, () => append(null, ...row(null).slice(1)), 'before');
    expectRefused(bench, () => append(...row(null).with(2, null)), 'after');
  });

  test('the first field that is wrong is named, and the next record is as if nothing had been', () => {
    const { schema, row } = schemaWith('u8', staged);
    const bench = new Bench(schema);
    const { append } = bench.appender();
    append(...row(200));
    const good = bench.ringBytes(0, 0n, schema.recordBytes);
    const again = new Bench(schema);
    const appender = again.appender();
    expectRefused(again, () => appender.append(2 ** 31, 200, 2.5, 3n, 4n), 'before');
    expectRefused(again, () => appender.append(1, 256, 2.5, 3n, 4n), 'it');
    expectRefused(again, () => appender.append(1, 200, 0.001, 3n, 4n), 'after');
    expectRefused(again, () => appender.append(1, 200, 2.5), 'ts');
    appender.append(...row(200));
    sameBytes(again.ringBytes(0, 0n, schema.recordBytes), good);
  });

  test('whole numbers of any size: in the range or refused, and nothing between', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('i8', 'i16', 'i32', 'u8', 'u16', 'u32'),
        fc.oneof(fc.double(), fc.maxSafeInteger(), fc.integer({ min: -70_000, max: 70_000 })),
        (kind, value) => {
          const bits = Number(kind.slice(1));
          const low = kind.startsWith('i') ? -(2 ** (bits - 1)) : 0;
          const fits = Number.isInteger(value) && value >= low && value < low + 2 ** bits;
          const { schema, row } = schemaWith(kind as FieldKind, staged);
          const bench = new Bench(schema);
          const { append } = bench.appender();
          if (fits) {
            append(...row(value));
            expect(bench.counters().records).toBe(1n);
          } else expectRefused(bench, () => append(...row(value)), 'it');
        },
      ),
      { numRuns: 200 },
    );
  });
});

test('a symbol that is refused is not in the table', () => {
  const { schema, row } = schemaWith('symbol', false);
  const bench = new Bench(schema);
  const { append } = bench.appender();
  for (const value of outOfRange.symbol!) expectRefused(bench, () => append(...row(value)), 'it');
  expect(bench.view.getUint32(SYMBOLS + SYMBOL_COUNT, true)).toBe(0);
});

test('both ways refuse the same values of the same field', () => {
  const fields = (['i8', 'u16', 'i32', 'decimal', 'f32', 'u32'] as const).map((kind, i) => ({
    name: `f${i}`,
    kind,
    scale: kind === 'decimal' ? 3 : 0,
  }));
  const schema = defineSchema('t', { name: 'ts', kind: 'timestamp', scale: 0 }, ...fields) as Schema;
  const value = fc.oneof(fc.integer({ min: -300, max: 300 }), fc.double(), fc.constantFrom(0.001, 0.0005, 65_536, NaN));
  let refused = 0;
  fc.assert(
    fc.property(fc.array(value, { minLength: 6, maxLength: 6 }), (values) => {
      const bench = new Bench(schema);
      const [a, b, c, d, e, f] = values;
      const direct = bench.kernels.append(bench.at(0), 5n, a, b, c, d, e, f, 0, 0, 0, 0);
      const again = new Bench(schema);
      const record = again.kernels.reserve(again.at(0), schema.recordBytes);
      again.view.setBigInt64(again.at(0) + LANE_ARGUMENTS, 5n, true);
      values.forEach((number, i) => {
        again.view.setFloat64(again.at(0) + LANE_ARGUMENTS + 8 * (i + 1), number, true);
      });
      expect(again.kernels.appendStaged(again.at(0), record, schema.recordBytes)).toBe(direct);
      if (direct <= REFUSED) refused++;
      expect(bench.counters()).toEqual(again.counters());
    }),
    { numRuns: 300 },
  );
  expect(refused).toBeGreaterThan(50);
});

describe('a record that is too large', () => {
  const schema = defineSchema('t', { name: 'ts', kind: 'timestamp', scale: 0 }, { name: 'b', kind: 'bytes', scale: 0 });

  test('is one of more than a quarter of the ring; it is refused and nothing published', () => {
    const bench = new Bench(schema as Schema, { ring: 8192 });
    const { append } = bench.appender();
    // 32 bytes of its own: 2,016 bytes more make 2,048, a quarter.
    append(1n, new Uint8Array(2016));
    const before = bench.counters();
    expect(before.tail).toBe(2048n);
    for (const length of [2017, 2024, 9000, 100_000_000]) {
      expect(() => append(1n, new Uint8Array(length))).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
    }
    expect(bench.counters()).toEqual(before);
  });

  test('is told by the kernel before it looks for room', () => {
    const bench = new Bench(schema as Schema, { ring: 8192 });
    expect(bench.kernels.reserve(bench.at(0), 2056)).toBe(TOO_LARGE);
    expect(bench.kernels.reserve(bench.at(0), 0x7ffffff0)).toBe(TOO_LARGE);
    expect(bench.kernels.reserve(bench.at(0), 0xfffffff8 | 0)).toBe(TOO_LARGE);
  });
});
