import {
  bytes,
  decimal,
  defineSchema,
  type Field,
  f64,
  openTape,
  readSchema,
  type Schema,
  TapeError,
  timestamp,
  u8,
} from 'ticktape';
import { describe, expect, test } from 'vitest';
import { Schema as AnySchema } from '../../dist/src/schema.js';
import { scratch } from '../helpers/scratch.js';

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
  ];
  expect(new Set([fingerprint, ...others.map((other) => other.fingerprint)]).size).toBe(7);
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
])('the schema of a file that says %j is CORRUPT', (json) => {
  expect(() => AnySchema.parse(json, 'the file')).toThrow(
    expect.objectContaining({ code: 'CORRUPT', path: 'the file' }),
  );
});

test('readSchema answers the schema of a tape, with nothing of it in memory', async () => {
  const storage = [scratch(), scratch()];
  const schema = defineSchema('t', u8('a'), timestamp('ts'), decimal('p', 7));
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
