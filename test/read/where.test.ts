import fc from 'fast-check';
import {
  bytes,
  decimal,
  defineSchema,
  f32,
  f64,
  i64,
  openTape,
  optional,
  symbol,
  type Tape,
  text,
  timestamp,
  u8,
  u64,
} from 'ticktape';
import { describe, expect, test, vi } from 'vitest';
import { BlockDecoder } from '../../dist/src/block/decoder.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf } from '../helpers/tape.js';

const schema = defineSchema(
  'filtered',
  timestamp('ts'),
  symbol('s'),
  decimal('price', 2),
  f64('x'),
  f32('ratio'),
  i64('id'),
  u64('mask'),
  u8('side'),
  text('note'),
  bytes('raw'),
  optional(decimal('ask', 1)),
  optional(symbol('venue')),
  optional(text('remark')),
);
const NAMES = schema.fields.map(({ name }) => name);
const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 100, laneBytes: 65_536, flushIntervalMs: 0 };

// Few values each, so that conditions meet them.
const tenths = fc.integer({ min: -30, max: 30 }).map((n) => (n === 0 ? 0 : n / 10));
const VALUES: Record<string, fc.Arbitrary<unknown>> = {
  ts: fc.bigInt({ min: -9n, max: 9n }),
  s: fc.constantFrom('A', 'B', 'C=D'),
  price: fc.integer({ min: -300, max: 300 }).map((n) => (n === 0 ? 0 : n / 100)),
  x: fc.oneof(tenths, fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0)),
  ratio: tenths.map(Math.fround),
  id: fc.constantFrom(-(2n ** 63n), -1n, 0n, 1n, 2n ** 63n - 1n),
  mask: fc.constantFrom(0n, 1n, 2n ** 63n, 2n ** 64n - 1n),
  side: fc.integer({ min: 0, max: 2 }),
  note: fc.constantFrom('', 'a', '=b'),
  raw: fc.constant(new Uint8Array()),
  ask: fc.option(tenths, { nil: null }),
  venue: fc.option(fc.constantFrom('A', 'X'), { nil: null }),
  remark: fc.option(fc.constantFrom('', 'r'), { nil: null }),
};
const row = fc.record(VALUES);
type Row = Record<string, unknown>;

const COMPARISONS: Record<string, (a: number, b: number) => boolean> = {
  '=': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

/** A condition as text, and the same as a function. */
const condition = fc.constantFrom(...NAMES.filter((name) => name !== 'raw')).chain((name) => {
  const isText = ['s', 'venue', 'note', 'remark'].includes(name);
  const value = VALUES[name].filter((of) => of !== null && !Number.isNaN(of));
  return fc.record({
    name: fc.constant(name),
    comparison: fc.constantFrom(...(isText ? ['=', '!='] : Object.keys(COMPARISONS))),
    value: fc.oneof(value, isText ? fc.constant('none') : value),
    space: fc.constantFrom('', ' '),
  });
});

function passes(of: Row, { name, comparison, value }: { name: string; comparison: string; value: unknown }): boolean {
  return of[name] !== null && COMPARISONS[comparison](of[name] as number, value as number);
}

async function tapeOf(rows: readonly Row[]): Promise<Tape<(typeof schema)['fields']>> {
  const tape = await openTape(schema, { storage: [scratch()], ...SMALL, capacity: 16 });
  for (const of of rows) tape.append(...(NAMES.map((name) => of[name]) as unknown as Parameters<typeof tape.append>));
  await tape.flush();
  return tape;
}

test('rows pass where all conditions hold, whatever else is asked for', async () => {
  const rows = fc.sample(row, { numRuns: 200, seed: 1 }) as Row[];
  // So that blocks differ in what they hold.
  rows.sort((a, b) => Number(a.price) - Number(b.price) || Number(BigInt(a.ts as bigint) - BigInt(b.ts as bigint)));
  const tape = await tapeOf(rows);
  let kept = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(condition, { maxLength: 3 }),
      fc.option(fc.subarray(['A', 'C=D']), { nil: undefined }),
      fc.option(fc.bigInt({ min: -9n, max: 9n }), { nil: undefined }),
      fc.option(fc.subarray(NAMES), { nil: undefined }),
      fc.constantFrom('sequence', 'time') as fc.Arbitrary<'sequence' | 'time'>,
      async (conditions, symbols, from, columns, order) => {
        const wanted = rows.flatMap((of, i) => {
          const inRange =
            (from === undefined || (of.ts as bigint) >= from) && (symbols?.includes(of.s as string) ?? true);
          return inRange && conditions.every((one) => passes(of, one)) ? [BigInt(i)] : [];
        });
        if (order === 'time') {
          const ts = (sequence: bigint) => rows[Number(sequence)].ts as bigint;
          wanted.sort((a, b) => Number(ts(a) - ts(b)) || Number(a - b));
        }
        const where = conditions.map(({ name, comparison, value, space }) => {
          const isText = typeof value === 'string';
          return `${name}${space}${comparison}${isText ? '' : space}${value}`;
        });
        const found: bigint[] = [];
        for await (const batch of tape.scan({ where, symbols, from, columns: columns as undefined, order })) {
          expect(Object.keys(batch.columns)).toEqual(columns ?? NAMES);
          for (let i = 0; i < batch.length; i++) found.push(batch.sequence(i));
        }
        expect(found, where.join(' and ')).toEqual(wanted);
        kept += found.length;
      },
    ),
    { numRuns: 300 },
  );
  expect(kept).toBeGreaterThan(1000);
  await tape.close();
});

test('values are compared as they are read: decimals, floats, times', async () => {
  const [of] = fc.sample(row, { numRuns: 1, seed: 2 }) as Row[];
  const ts = 1_723_161_255_088_169_167n;
  const tape = await tapeOf([{ ...of, ts, price: 61800.2, ratio: Math.fround(0.1), x: -0, id: 5n }]);
  const count = async (...where: string[]) => {
    let length = 0;
    for await (const batch of tape.scan({ where })) length += batch.length;
    return length;
  };
  for (const yes of ['price=61800.2', 'price=6.18002e4', 'ratio=0.1', 'x=0', 'x>=0', 'id=5', `ts=${ts}`, 'id!=0']) {
    expect(await count(yes), yes).toBe(1);
  }
  expect(await count('ts=2024-08-08T23:54:15.088169167Z')).toBe(1);
  expect(await count('ts>2024-08-08T23:54:15.088169167Z')).toBe(0);
  expect(await count('ts>=2024-08-08', 'ts<2024-08-09')).toBe(1);
  for (const no of ['price=61800.21', 'price>61800.2', 'price<61800.2', 'x<0', 'id=-5']) {
    expect(await count(no), no).toBe(0);
  }
  await tape.close();
});

describe('blocks that can not have such rows are not decoded', () => {
  const cases: [where: string, blocks: number][] = [
    ['price>=9', 1],
    ['price<1', 1],
    ['price=5.5', 1],
    ['price=99', 0],
    ['price!=5', 10],
    ['id>9', 0],
    ['mask<=18446744073709551606', 1],
    ['s=S7', 1],
    ['s=none', 0],
    ['x>100', 10],
  ];
  test.each(cases)('%s: %i of 10', async (where, blocks) => {
    const tape = await openTape(schema, { storage: [scratch()], ...SMALL, capacity: 16 });
    for (let i = 0; i < 160; i++) {
      const block = Math.floor(i / 16);
      const price = block + (i % 16) / 16 > block + 0.9 ? block + 0.5 : block;
      const mask = 2n ** 64n - 1n - BigInt(block);
      tape.append(
        BigInt(i),
        `S${block}`,
        price,
        block,
        block,
        BigInt(block),
        mask,
        0,
        '',
        new Uint8Array(),
        null,
        null,
        null,
      );
    }
    await tape.flush();
    const decoded = new Set<bigint>();
    const column = BlockDecoder.prototype.column;
    const spy = vi.spyOn(BlockDecoder.prototype, 'column').mockImplementation(function (
      this: BlockDecoder,
      header,
      field,
    ) {
      decoded.add(header.sequence);
      return column.call(this, header, field);
    });
    for await (const _ of tape.scan({ where: [where], columns: ['ts'] }));
    spy.mockRestore();
    expect(decoded.size).toBe(blocks);
    await tape.close();
  });
});

test('conditions that can not be told are refused, with what can', async () => {
  const tape = await tapeOf([]);
  const refused: [string, RegExp][] = [
    ['price', /a condition is a field, one of = != < <= > >=/],
    ['', /a condition is/],
    ['price=', /a number/],
    ['price=1,5', /a number/],
    ['price==5', /a number/],
    ['cost=5', /cost is none of ts, s, price/],
    ['id=1.5', /a whole number/],
    ['mask=x', /a whole number/],
    ['ts=yesterday', /a time: 2024-08-08/],
    ['s<A', /with = and != alone/],
    ['note>=a', /with = and != alone/],
    ['raw=1', /bytes, which are not compared/],
  ];
  for (const [where, message] of refused) {
    const error = await errorOf(() => tape.scan({ where: [where] }).next());
    expect(error, where).toMatchObject({ name: 'TapeError', code: 'BAD_OPTION' });
    expect(error.message).toMatch(message);
  }
  const error = await errorOf(() => tape.scan({ where: 'price>1' as unknown as string[] }).next());
  expect(error).toMatchObject({ code: 'BAD_OPTION' });
  await tape.close();
});
