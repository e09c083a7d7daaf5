import {
  bytes,
  type ColumnOf,
  type ColumnsOf,
  decimal,
  defineSchema,
  type Field,
  f64,
  type IsOptional,
  type OptionalColumn,
  openTape,
  optional,
  type RecordOf,
  readSchema,
  type Schema,
  type SymbolColumn,
  symbol,
  TapeError,
  timestamp,
  u8,
  type ValueOf,
  type ValuesOf,
} from 'ticktape';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { Schema as AnySchema } from '../../dist/src/schema.js';
import { scratch } from '../helpers/scratch.js';

/** Of the schema below that says so, as tapes of version 0.1.0 have it. */
const FINGERPRINT_BEFORE = 10386983217598691906n;
const LONGEST = `a${'b'.repeat(62)}`;
const BAD_NAMES = [
  '',
  '1a',
  '-a',
  '../a',
  'a/b',
  'a\\b',
  'a\0',
  '\0',
  'a b',
  'é',
  'a.b',
  '..',
  `${LONGEST}c`,
  'a\n',
  '__proto__',
];

function refusal(action: () => unknown): TapeError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(TapeError);
    expect((error as TapeError).code).toBe('BAD_SCHEMA');
    return error as TapeError;
  }
  throw new Error('it was not refused');
}

describe('names', () => {
  test.each(BAD_NAMES)('%j is none', (name) => {
    expect(refusal(() => defineSchema(name, timestamp('ts'))).message).toContain(JSON.stringify(name));
    expect(refusal(() => defineSchema('t', timestamp('ts'), u8(name))).field).toBe(name);
    expect(refusal(() => defineSchema('t', timestamp(name))).field).toBe(name);
  });

  test('of letters, digits, _ and - are, also where objects have something of that name', async () => {
    const names = ['a', '_', 'A-1', 'a_b', LONGEST, 'constructor', 'toString', 'length'];
    const schema: Schema = defineSchema(LONGEST, timestamp('ts'), ...names.map((name) => u8(name)));
    const tape = await openTape(schema, { storage: [scratch()], segmentBytes: 1024 ** 2, maxSymbols: 10 });
    tape.append(...([1n, ...names.keys()] as never[]));
    await tape.flush();
    for await (const batch of tape.scan()) {
      const columns = batch.columns as unknown as Record<string, Uint8Array>;
      expect(names.map((name) => columns[name][0])).toEqual([...names.keys()]);
      expect(Object.entries(batch.record(0))).toEqual([['ts', 1n], ...names.map((name, i) => [name, i])]);
    }
    await tape.close();
  });

  test.each([undefined, null, 5, {}, []])('%j is none either', (name) => {
    refusal(() => defineSchema(name as string, timestamp('ts')));
    refusal(() => defineSchema('t', timestamp('ts'), u8(name as unknown as string)));
  });

  test('two fields of one name are refused', () => {
    expect(refusal(() => defineSchema('t', timestamp('ts'), u8('a'), f64('a'))).field).toBe('a');
    expect(refusal(() => defineSchema('t', timestamp('a'), u8('a'))).field).toBe('a');
    defineSchema('t', timestamp('ts'), u8('a'), u8('A'));
  });
});

describe('fields', () => {
  test('exactly one timestamp', () => {
    refusal(() => defineSchema('t'));
    refusal(() => defineSchema('t', u8('a')));
    refusal(() => defineSchema('t', timestamp('a'), timestamp('b')));
  });

  test.each([-1, 16, 1.5, NaN, '2', null, undefined])('a scale of %j is refused', (scale) => {
    const field = { name: 'p', kind: 'decimal', scale } as unknown as Field;
    expect(refusal(() => defineSchema('t', timestamp('ts'), field)).field).toBe('p');
  });

  test.each(['int', '', 'toString', 'constructor', null, 5])('a kind of %j is refused', (kind) => {
    const field = { name: 'p', kind, scale: 0 } as unknown as Field;
    expect(refusal(() => defineSchema('t', timestamp('ts'), field)).field).toBe('p');
  });

  test.each([null, undefined, 5, 'u8'])('%j is no field', (field) => {
    refusal(() => defineSchema('t', timestamp('ts'), field as unknown as Field));
  });

  test('200 at most', async () => {
    const fields = Array.from({ length: 200 }, (_, i) => u8(`f${i}`));
    refusal(() => defineSchema('t', timestamp('ts'), ...fields));
    const schema: Schema = defineSchema('t', timestamp('ts'), ...fields.slice(1));
    const tape = await openTape(schema, {
      storage: [scratch()],
      segmentBytes: 1024 ** 2,
      maxSymbols: 10,
      capacity: 16,
    });
    tape.append(...([1n, ...fields.slice(1).map((_, i) => i)] as never[]));
    await tape.flush();
    for await (const { columns } of tape.scan()) {
      const found = columns as unknown as Record<string, Uint8Array>;
      expect(fields.slice(1).map(({ name }) => found[name][0])).toEqual(fields.slice(1).map((_, i) => i));
    }
    await tape.close();
  });
});

describe('optional fields', () => {
  test('are of every kind but the timestamp', () => {
    const price = optional(decimal('price', 2));
    expect(price).toEqual({ name: 'price', kind: 'decimal', scale: 2, optional: true });
    const { fields, table, optionals } = defineSchema('t', u8('a'), price, timestamp('ts'), optional(bytes('b')));
    expect(fields.map((field) => field.optional)).toEqual([false, true, false, true]);
    expect(table.map((field) => [field.name, field.optional, field.presenceBit])).toEqual([
      ['ts', false, -1],
      ['price', true, 0],
      ['b', true, 1],
      ['a', false, -1],
    ]);
    expect(optionals.map(({ name }) => name)).toEqual(['price', 'b']);
  });

  test('not the timestamp', () => {
    // @ts-expect-error: every record has a time.
    expect(refusal(() => optional(timestamp('ts'))).field).toBe('ts');
    const ts = { name: 'ts', kind: 'timestamp', scale: 0, optional: true } as const;
    expect(refusal(() => defineSchema('t', ts)).field).toBe('ts');
  });

  test('not what is optional already', () => {
    // @ts-expect-error: once is enough.
    expect(refusal(() => optional(optional(u8('a')))).field).toBe('a');
  });

  test.each([null, undefined, 5, 'u8'])('nor %j', (field) => {
    refusal(() => optional(field as unknown as Field<'a', 'u8', false>));
  });

  test.each([null, 0, 1, 'true', {}])('a field that says optional: %j is refused', (value) => {
    const field = { name: 'a', kind: 'u8', scale: 0, optional: value } as unknown as Field;
    expect(refusal(() => defineSchema('t', timestamp('ts'), field)).field).toBe('a');
  });

  test('199 of them beside the timestamp', async () => {
    const fields = Array.from({ length: 199 }, (_, i) => optional(u8(`f${i}`)));
    const schema: Schema = defineSchema('t', timestamp('ts'), ...fields);
    expect(schema.presence.bytes).toBe(25);
    await using tape = await openTape(schema, {
      storage: [scratch()],
      segmentBytes: 1024 ** 2,
      maxSymbols: 10,
      capacity: 16,
    });
    const values = fields.map((_, i) => (i % 3 === 0 ? null : i));
    tape.append(...([1n, ...values] as never[]));
    await tape.flush();
    for await (const batch of tape.scan()) {
      expect(Object.values(batch.record(0))).toEqual([1n, ...values]);
    }
  });

  test('null is in the types of their values, and in no others', () => {
    const schema = defineSchema('t', timestamp('ts'), optional(symbol('venue')), f64('bid'), optional(f64('ask')));
    type Given = ValuesOf<(typeof schema)['fields']>;
    type Kept = RecordOf<(typeof schema)['fields']>;
    type Columns = ColumnsOf<(typeof schema)['fields'], 'ts' | 'venue' | 'bid' | 'ask'>;
    expectTypeOf<Given>().toEqualTypeOf<readonly [bigint, string | null, number, number | null]>();
    expectTypeOf<Kept>().toEqualTypeOf<{ ts: bigint; venue: string | null; bid: number; ask: number | null }>();
    expectTypeOf<Columns>().toEqualTypeOf<{
      ts: BigInt64Array;
      venue: OptionalColumn<SymbolColumn>;
      bid: Float64Array;
      ask: OptionalColumn<Float64Array>;
    }>();
    expectTypeOf<Columns['venue']['at']>().returns.toEqualTypeOf<string | null>();
    expectTypeOf<Columns['ask']['at']>().returns.toEqualTypeOf<number | null>();
    // Of a schema of which nothing is known, both are possible.
    expectTypeOf<ValueOf<'f64', IsOptional<Field>>>().toEqualTypeOf<number | null>();
    expectTypeOf<ColumnOf<'f64', IsOptional<Field>>>().toEqualTypeOf<Float64Array | OptionalColumn<Float64Array>>();
    expectTypeOf<IsOptional<{ name: 'a'; kind: 'u8'; scale: 0 }>>().toEqualTypeOf<false>();
  });

  test('the text that the fingerprint is of says it, and without them is what it was', () => {
    const before = defineSchema('t', timestamp('ts'), decimal('p', 2), u8('k'));
    expect(before.json).toBe('{"name":"t","fields":[["ts","timestamp",0],["p","decimal",2],["k","u8",0]]}');
    expect(before.fingerprint).toBe(FINGERPRINT_BEFORE);
    const { json, fingerprint } = defineSchema('t', timestamp('ts'), optional(decimal('p', 2)), u8('k'));
    expect(json).toBe('{"name":"t","fields":[["ts","timestamp",0],["p","decimal",2,true],["k","u8",0]]}');
    expect(fingerprint).not.toBe(before.fingerprint);
    for (const text of [before.json, json]) {
      const schema = AnySchema.parse(text, 'the file');
      expect([schema.json, schema.optionals.length]).toEqual([text, text === json ? 1 : 0]);
    }
  });
});

test('the fingerprint tells schemas apart, and the same ones not', () => {
  const fields = [timestamp('ts'), decimal('p', 2), bytes('b')] as const;
  const { fingerprint } = defineSchema('t', ...fields);
  expect(defineSchema('t', ...fields).fingerprint).toBe(fingerprint);
  const others = [
    defineSchema('u', ...fields),
    defineSchema('t', timestamp('ts'), decimal('p', 3), bytes('b')),
    defineSchema('t', timestamp('ts'), f64('p'), bytes('b')),
    defineSchema('t', timestamp('ts'), bytes('b'), decimal('p', 2)),
    defineSchema('t', timestamp('ts'), decimal('p', 2)),
    defineSchema('t', timestamp('ts'), decimal('q', 2), bytes('b')),
    defineSchema('t', timestamp('ts'), optional(decimal('p', 2)), bytes('b')),
    defineSchema('t', timestamp('ts'), decimal('p', 2), optional(bytes('b'))),
  ];
  expect(new Set([fingerprint, ...others.map((other) => other.fingerprint)]).size).toBe(9);
});

test.each([
  '',
  'null',
  '[]',
  '{}',
  '{"name":"t"}',
  '{"name":"t","fields":{}}',
  '{"name":"t","fields":[null]}',
  '{"name":"t","fields":[["ts"]]}',
  '{"name":"../t","fields":[["ts","timestamp",0]]}',
  '{"name":"t","fields":[["ts","timestamp",0],["x","toString",0]]}',
  '{"name":"t","fields":[["ts","timestamp",0],["x","u8",0,false]]}',
  '{"name":"t","fields":[["ts","timestamp",0],["x","u8",0,1]]}',
  '{"name":"t","fields":[["ts","timestamp",0],["x","u8",0,null]]}',
  '{"name":"t","fields":[["ts","timestamp",0],["x","u8",0,true,true]]}',
  '{"name":"t","fields":[["ts","timestamp",0,true]]}',
])('the schema of a file that says %j is CORRUPT', (json) => {
  expect(() => AnySchema.parse(json, 'the file')).toThrow(
    expect.objectContaining({ code: 'CORRUPT', path: 'the file' }),
  );
});

test('readSchema answers the schema of a tape, with nothing of it in memory', async () => {
  const storage = [scratch(), scratch()];
  const schema = defineSchema('t', u8('a'), timestamp('ts'), optional(decimal('p', 7)));
  const tape = await openTape(schema, { storage, segmentBytes: 1024 ** 2, maxSymbols: 10 });
  expect(readSchema(storage).json).toBe(schema.json);
  await tape.close();
  const found = readSchema(storage);
  expect([found.fingerprint, found.recordBytes]).toEqual([schema.fingerprint, schema.recordBytes]);
  expect(found.fields).toEqual(schema.fields);
  // By its first storage directory, where the journal is, and not by the other.
  expect(readSchema(storage.slice(0, 1)).json).toBe(schema.json);
  expect(() => readSchema(storage.slice(1))).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
});
