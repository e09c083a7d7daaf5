import { defineSchema, f64, i32, i64, optional, type Schema, symbol, text, timestamp } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { BlockDecoder, DamagedBlock } from '../../dist/src/block/decoder.js';
import { BlockMaker, decodeBlock, expectSameValues, zstd } from '../helpers/blocks.js';
import { type ForgedChunk, forgeBlock, packedSame, planned, step } from '../helpers/plans.js';
import type { Value } from '../helpers/records.js';

const COUNT = 20;
const schema: Schema = defineSchema(
  't',
  timestamp('ts'),
  i64('a'),
  i64('b'),
  symbol('s'),
  i64('c'),
  i64('d'),
  i64('e'),
  i32('n'),
  text('note'),
  optional(i64('maybe')),
  f64('float'),
);
const [TS, A, B, S, C, D, E, N, NOTE, MAYBE, FLOAT] = schema.fields.keys();
const { constant, packed, tokens, dictionary, planes, delta, changes, changesOf } = step;
const { split, reference, groupDelta, sameIds, decimal } = step;

/** Keeps the first value and the 17th. */
const MASK = [1, 0, 1];
const NO_IDS = [0, 0, 0];

/** A block in which everything that can be borrowed is: chunks by field and part. */
const GOOD: Record<string, ForgedChunk> = {
  ts: planned(TS, constant(5)),
  a: planned(A, changes(packed), packedSame(100, 2), MASK),
  b: planned(B, changesOf(A, packed), packedSame(7, 2)),
  s: planned(S, dictionary(1, 2), packedSame(0, 2), NO_IDS),
  c: planned(C, reference(A, constant(1))),
  d: planned(D, sameIds(S, 2), packedSame(-3, 2)),
  e: planned(E, groupDelta(S, 0, constant(2))),
  n: planned(N, constant(9)),
  note: planned(NOTE, constant(0)),
  'bytes of note': { field: NOTE, part: 1, bytes: [] },
  maybe: planned(MAYBE, constant(3)),
  'presence of maybe': { field: MAYBE, part: 2, bytes: [255, 255, 15] },
  float: planned(FLOAT, decimal(1, 0, constant(15))),
};

const forge = (instead: Record<string, ForgedChunk> = {}) =>
  forgeBlock(schema, COUNT, Object.values({ ...GOOD, ...instead }));

/** That a field is found damaged, whether others were decoded before it or not. */
function expectDamaged(instead: Record<string, ForgedChunk>, field: number, what: RegExp): void {
  const block = forge(instead);
  const others = schema.table.filter(({ index }) => index !== field);
  const placed = schema.table.find(({ index }) => index === field)!;
  for (const before of [[], others, others.toReversed()]) {
    const decoder = new BlockDecoder(schema, zstd);
    decoder.room(block.length, COUNT).set(block);
    const header = decoder.header();
    for (const other of before) {
      try {
        decoder.column(header, other);
      } catch (error) {
        if (!(error instanceof DamagedBlock)) throw error;
      }
    }
    const decode = () => decoder.column(header, placed);
    expect(decode).toThrow(DamagedBlock);
    expect(decode).toThrow(what);
  }
}

test('a block in which everything that can be borrowed is', () => {
  const { columns } = decodeBlock(schema, forge(), COUNT);
  const values = (field: number) => {
    const column = columns[field];
    if (!('values' in column)) throw new Error('a varying field');
    return Array.from(column.values as ArrayLike<unknown>);
  };
  const same = (value: unknown) => new Array(COUNT).fill(value);
  expect(values(A)).toEqual(same(100n));
  expect(values(B)).toEqual(same(7n));
  expect(values(S)).toEqual(same(0));
  expect(values(C)).toEqual(same(101n));
  expect(values(D)).toEqual(same(-3n));
  expect(values(E)).toEqual(Array.from({ length: COUNT }, (_, i) => 2n * BigInt(i + 1)));
  expect(values(MAYBE)).toEqual(same(3n));
  expect(values(FLOAT)).toEqual(same(1.5));
});

describe('a block that borrows', () => {
  const plans = (field: number): [string, number[]][] => [
    ['a mask', changesOf(field, packed)],
    ['values', reference(field, constant(1))],
    ['ids to group by', groupDelta(field, 0, constant(2))],
    ['ids', sameIds(field, 2)],
  ];

  test.each(plans(B))('%s from itself is damaged', (_, plan) => {
    expectDamaged({ b: planned(B, plan, packedSame(7, 2)) }, B, /borrows of a chunk that borrows/);
    // Also where the borrowing is further down.
    const deep = delta(0, 1, split(0, 10, plan, constant(0)));
    expectDamaged({ b: planned(B, deep, packedSame(7, 2)) }, B, /borrows of a chunk that borrows/);
  });

  test.each(plans(E))('%s from one that borrows from it is damaged, both of them', (_, plan) => {
    for (const [, back] of plans(B)) {
      const instead = { b: planned(B, plan, packedSame(7, 2)), e: planned(E, back, packedSame(7, 2)) };
      expectDamaged(instead, B, /borrows of a chunk that borrows/);
      expectDamaged(instead, E, /borrows of a chunk that borrows/);
    }
  });

  test.each(plans(200))('%s from a field that there is not is damaged', (_, plan) => {
    expectDamaged({ b: planned(B, plan, packedSame(7, 2)) }, B, /there is no field 200/);
  });

  test.each(plans(65_535))('%s from the last field that can be named is damaged', (_, plan) => {
    expectDamaged({ b: planned(B, plan, packedSame(7, 2)) }, B, /there is no field 65535/);
  });

  test.each([...plans(NOTE), ...plans(MAYBE)])('%s from lengths or optional values is damaged', (_, plan) => {
    expectDamaged({ b: planned(B, plan, packedSame(7, 2)) }, B, /neither lent nor borrowed/);
  });

  test.each(plans(A))('%s for lengths or optional values is damaged', (_, plan) => {
    expectDamaged({ note: planned(NOTE, plan, packedSame(0, 2)) }, NOTE, /neither lent nor borrowed/);
    expectDamaged({ maybe: planned(MAYBE, plan, packedSame(0, 2)) }, MAYBE, /neither lent nor borrowed/);
  });

  test('a mask where there is none is damaged, though another may borrow ids or values there', () => {
    expectDamaged({ b: planned(B, changesOf(S, packed), packedSame(7, 2)) }, B, /a mask where there is none/);
    expectDamaged({ b: planned(B, changesOf(TS, packed), packedSame(7, 2)) }, B, /a mask where there is none/);
    // Changes, but not first of all.
    const a = planned(A, delta(0, 1, changes(packed)), packedSame(100, 2), MASK);
    expectDamaged({ a }, B, /a mask where there is none/);
  });

  test('ids where there are none is damaged, though another may borrow a mask or values there', () => {
    expectDamaged({ d: planned(D, sameIds(A, 2), packedSame(-3, 2)) }, D, /ids where there are none/);
    expectDamaged({ e: planned(E, groupDelta(A, 0, constant(2))) }, E, /ids where there are none/);
    const s = planned(S, delta(0, 0, dictionary(1, 2)), packedSame(0, 2), NO_IDS);
    expectDamaged({ s }, D, /ids where there are none/);
    expectDamaged({ s }, E, /ids where there are none/);
  });

  test('values that are not of eight bytes is damaged', () => {
    for (const field of [S, N]) {
      expectDamaged({ c: planned(C, reference(field, constant(1))) }, C, /not of 8 bytes/);
    }
  });

  test('of a chunk that is plain: values are lent, a mask and ids are not', () => {
    const a = { field: A, bytes: packedSame(100, 0).concat(new Array(COUNT * 8 - 8).fill(0)) };
    const { columns } = decodeBlock(schema, forge({ a, b: planned(B, constant(7)) }), COUNT);
    expect(columns[C]).toMatchObject({
      values: BigInt64Array.from({ length: COUNT }, (_, i) => (i === 0 ? 101n : 1n)),
    });
    expectDamaged({ a }, B, /encoding 0 is unknown/);
    const s = { field: S, bytes: new Array(COUNT * 4).fill(0) };
    expectDamaged({ s }, D, /encoding 0 is unknown/);
    expectDamaged({ s }, E, /encoding 0 is unknown/);
    expectDamaged({ a: { ...a, bytes: a.bytes.slice(8) } }, C, /152 bytes for 20 values/);
    expectDamaged({ a: { ...a, openBytes: 8 } }, C, /not open/);
  });

  test('from a field whose chunk is of another kind, or not there, is damaged', () => {
    expectDamaged({ a: { ...GOOD.a, kind: 13 } }, C, /no chunk/);
    expectDamaged({ a: { ...GOOD.a, field: B } }, C, /no chunk/);
    expectDamaged({ a: { ...GOOD.a, part: 1 } }, C, /no chunk/);
  });
});

describe('a chunk that lends what is damaged: so is what borrows it', () => {
  test.each<[string, number[]]>([
    ['drops the first value', [0, 0, 1]],
    ['has spare bits', [1, 0, 0x11]],
    ['is too short', [1, 0]],
  ])('a mask that %s', (_, mask) => {
    const a = planned(A, changes(packed), packedSame(100, 2), mask);
    expectDamaged({ a }, A, /./);
    expectDamaged({ a }, B, /./);
    expectDamaged({ a }, C, /./);
  });

  test('a mask that keeps other values than there are', () => {
    const a = planned(A, changes(packed), packedSame(100, 129), [1, 0, 0]);
    expectDamaged({ a }, A, /longer than its values/);
    expectDamaged({ a }, C, /longer than its values/);
  });

  test('ids beyond the values of one that borrows them', () => {
    const s = planned(S, dictionary(8, 256), packedSame(0, 256), [255, ...new Array(COUNT - 1).fill(0)]);
    expectDamaged({ s }, D, /in no dictionary/);
    // To group by, any of them will do.
    decodeBlock(schema, forge({ s, d: planned(D, constant(1)) }), COUNT);
  });

  test('ids that are too short', () => {
    const s = planned(S, dictionary(8, 2), packedSame(0, 2), NO_IDS);
    for (const field of [S, D, E]) expectDamaged({ s }, field, /lacks symbols/);
  });
});

describe('a plan that lies', () => {
  const bad = (chunk: ForgedChunk, what: RegExp) => expectDamaged({ b: chunk }, B, what);

  test('about its own length', () => {
    bad(planned(B, constant(1), [], [], { planBytes: 10 }), /plan is cut/);
    bad(planned(B, constant(1), [], [], { planBytes: 65_535 }), /plan is cut/);
    bad(planned(B, constant(1), [], [], { planBytes: 8 }), /plan is cut/);
    bad(planned(B, constant(1), [], [], { planBytes: 0 }), /plan is cut/);
    bad(planned(B, constant(1), [0], [], { planBytes: 10 }), /longer than its steps/);
  });

  test('about what is open', () => {
    bad(planned(B, constant(1), [], [], { openBytes: 0 }), /lengths differ/);
    bad(planned(B, constant(1), [], [], { openBytes: 1 }), /lengths differ/);
    bad(planned(B, constant(1), [], [], { openBytes: 10 }), /plan is cut/);
    bad(planned(B, constant(1), [], [], { openBytes: 12 }), /lengths differ/);
    bad(planned(B, constant(1), [], [], { openBytes: 2 ** 32 - 1 }), /lengths differ/);
  });

  test('about its symbols', () => {
    const good = planned(B, tokens, [], new Array(COUNT).fill(1));
    decodeBlock(schema, forge({ b: good }), COUNT);
    for (const compression of [0, 1, 2, 3, 255]) {
      for (const more of [1, 9 * COUNT + 65, 2 ** 31, 2 ** 32 - 1 - good.bytes.length]) {
        bad({ ...good, compression, encodedBytes: good.bytes.length + more }, /./);
      }
      bad({ ...good, compression, encodedBytes: 2 }, /lengths differ/);
    }
    bad({ ...good, bytes: good.bytes.slice(0, -1) }, /lacks symbols/);
    bad({ ...good, bytes: [...good.bytes, 0] }, /longer than its values/);
    bad({ ...good, bytes: [...good.bytes.slice(0, -1), 252] }, /a token is none/);
    // A token that wants more low bits than there are.
    bad({ ...good, bytes: [...good.bytes.slice(0, -1), 251] }, /lacks packed bytes/);
  });

  test('about planes', () => {
    bad(planned(B, planes(8), [], new Array(8 * COUNT - 1).fill(0)), /lacks symbols/);
    bad(planned(B, planes(0), [], []), /0 bytes/);
    bad(planned(B, planes(9), [], new Array(9 * COUNT).fill(0)), /9 bytes/);
  });

  test.each([0, 257, 65_535])('about a dictionary of %i', (known) => {
    bad(planned(B, dictionary(8, known), packedSame(0, known), new Array(COUNT).fill(0)), /a dictionary of/);
    bad(planned(B, sameIds(S, known), packedSame(0, known)), /a dictionary of/);
  });

  test('about packed bytes', () => {
    bad(planned(B, packed, packedSame(0, COUNT).slice(1)), /packed values are damaged/);
    bad(planned(B, packed, [...packedSame(0, COUNT), 0]), /longer than its values/);
    bad(planned(B, packed, [...packedSame(0, COUNT).slice(0, -1), 65]), /packed values are damaged/);
    bad(planned(B, dictionary(8, 256), packedSame(0, 256).slice(1), new Array(COUNT).fill(0)), /packed values/);
  });

  test('about decimals', () => {
    bad(planned(B, decimal(1, 0, constant(15))), /no floats/);
    const float = (chunk: ForgedChunk, what: RegExp) => expectDamaged({ float: chunk }, FLOAT, what);
    float(planned(FLOAT, delta(0, 0, decimal(1, 0, constant(15)))), /no floats/);
    float(planned(FLOAT, decimal(23, 0, constant(15))), /23 decimal places/);
    float(planned(FLOAT, decimal(1, COUNT + 1, constant(15)), new Array(12 * COUNT + 12).fill(0)), /more exceptions/);
    float(planned(FLOAT, decimal(1, 2 ** 32 - 1, constant(15))), /more exceptions/);
    float(planned(FLOAT, decimal(1, 2, constant(15)), new Array(24).fill(0)), /misplaced/);
    float(planned(FLOAT, decimal(1, 1, constant(15)), [COUNT, ...new Array(11).fill(0)]), /misplaced/);
    float(planned(FLOAT, decimal(1, 1, constant(15)), new Array(11).fill(0)), /lacks packed bytes/);
  });

  test('that is deeper than a reader goes', () => {
    const deep = (levels: number): number[] =>
      levels === 0 ? constant(0) : split(0, 10, constant(1), deep(levels - 1));
    decodeBlock(schema, forge({ b: planned(B, deep(4)) }), COUNT);
    bad(planned(B, deep(5)), /too deep/);
    bad(planned(B, deep(8)), /more than 16 steps/);
    let nested: number[] = packed;
    for (let i = 0; i < 5; i++) nested = changes(nested);
    const masks = [1, 0, 0, 1, 1, 1, 1];
    bad(planned(B, nested, packedSame(0, 1), masks), /too deep/);
  });

  test('in that a value does not fit its field', () => {
    expectDamaged({ n: planned(N, constant(2n ** 31n)) }, N, /out of range/);
    expectDamaged({ s: planned(S, dictionary(1, 2), packedSame(2n ** 32n, 2), NO_IDS) }, S, /out of range/);
  });
});

// ---- what borrows and what lends, from block to block ---------------------------------------------------------------------

/** Numbers below `below` that look like chance, always the same ones. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const wide = (next: (below: number) => number) =>
  BigInt.asIntN(64, (BigInt(next(2 ** 32)) << 32n) | BigInt(next(2 ** 32)));

test('chunks that lend lie before those that borrow', () => {
  const two: Schema = defineSchema('t', timestamp('ts'), i64('later'), i64('first'));
  const next = dice(2);
  let at = 0n;
  const rows = Array.from({ length: 4000 }, (_, i): Value[] => {
    at += BigInt(next(2 ** 30));
    return [BigInt(i), at + BigInt(next(3)), at];
  });
  const maker = new BlockMaker(two, { compression: 'fast', capacity: 4000 });
  const { header } = maker.block(rows);
  const borrows = maker.encoder.choice.columns.findIndex(({ plan }) => plan.startsWith('reference'));
  expect(borrows).toBeGreaterThan(0);
  expect(header.chunks.map(({ field }) => field)).toEqual([0, 3 - borrows, borrows]);
});

test('what is borrowed from becomes noise, which is stored as it is', () => {
  const two: Schema = defineSchema('t', timestamp('ts'), i64('a'), i64('b'));
  const next = dice(1);
  const maker = new BlockMaker(two, { compression: 'fast', capacity: 4000 });
  let at = 0n;
  const smooth = () => {
    at += BigInt(next(2 ** 30));
    return at;
  };
  const rowsOf = (value: () => bigint) =>
    Array.from({ length: 4000 }, (_, i): Value[] => {
      const a = value();
      return [BigInt(i), a, BigInt.asIntN(64, a + BigInt(next(3)))];
    });
  // So many that the plans stay as they are for the next one.
  for (let i = 0; i < 3; i++) {
    const rows = rowsOf(smooth);
    expectSameValues(two, maker.block(rows), rows);
  }
  const noisy = rowsOf(() => wide(next));
  const block = maker.block(noisy);
  expectSameValues(two, block, noisy);
  // Of the two one is plain, and the other one still refers to it.
  const encodings = block.header.chunks.filter(({ field }) => field !== 0).map(({ encoding }) => encoding);
  expect(encodings).toEqual([0, 1]);
  expect(block.bytes.length).toBeLessThan(4000 * 9);
});

test('a column that lent in one block borrows in the next, beside others that lend', () => {
  const six: Schema = defineSchema('t', timestamp('ts'), ...['a', 'b', 'c', 'd', 'e', 'x'].map((name) => i64(name)));
  const ramp = (first: number) => delta(0, first, constant(1));
  const forgeOf = (plans: Record<number, number[]>) =>
    forgeBlock(
      six,
      COUNT,
      six.fields.map((_, field) => planned(field, plans[field] ?? constant(0))),
    );
  const decoder = new BlockDecoder(six, zstd);
  const values = (block: Uint8Array) =>
    decodeBlock(six, block, COUNT, decoder).columns.map((column) => ('values' in column ? column.values[1] : null));
  const borrowing = (fields: Record<number, number>) =>
    Object.fromEntries(Object.entries(fields).map(([field, lender]) => [field, reference(lender, constant(1000))]));
  // Field 5 lends.
  expect(values(forgeOf({ 5: ramp(50), ...borrowing({ 6: 5 }) }))).toEqual([0n, 0n, 0n, 0n, 0n, 52n, 1052n]);
  // Fields 1 and 2 lend, and field 5 borrows from the one that was read first.
  const next = forgeOf({ 1: ramp(10), 2: ramp(20), ...borrowing({ 3: 1, 4: 2, 5: 1, 6: 2 }) });
  expect(values(next)).toEqual([0n, 12n, 22n, 1012n, 1022n, 1012n, 1022n]);
});

test('more columns that lend than are kept at once', () => {
  const names = Array.from({ length: 24 }, (_, i) => `f${i}`);
  const many: Schema = defineSchema('t', timestamp('ts'), ...names.map((name) => i64(name)));
  const decoder = new BlockDecoder(many, zstd);
  // Each of the first twelve has a mask of its own, and lends it and its values, to two at a time.
  const maskOf = (i: number) => [1, 1 << (i % 8), i < 8 ? 1 : 2];
  for (const borrow of [reference, changesOf]) {
    const chunks = [planned(0, constant(0))];
    for (let i = 1; i <= 12; i++) chunks.push(planned(i, changes(packed), packedSame(i, 3), maskOf(i)));
    for (let i = 13; i <= 24; i++) {
      chunks.push(planned(i, borrow(i - 12, packed), packedSame(1000, borrow === reference ? COUNT : 3)));
    }
    const block = forgeBlock(many, COUNT, chunks);
    for (let round = 0; round < 3; round++) {
      decoder.room(block.length, COUNT).set(block);
      const header = decoder.header();
      const order = round === 0 ? many.table : round === 1 ? many.table.toReversed() : [...many.table, ...many.table];
      for (const field of order) {
        const column = decoder.column(header, field);
        if (!('values' in column)) throw new Error('a varying field');
        const lent = field.index > 12 ? field.index - 12 : field.index;
        const expected = field.index === 0 ? 0 : field.index <= 12 ? lent : borrow === reference ? 1000 + lent : 1000;
        expect(Array.from(column.values as BigInt64Array)).toEqual(new Array(COUNT).fill(BigInt(expected)));
      }
    }
  }
});
