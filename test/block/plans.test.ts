import fc from 'fast-check';
import { type Compression, defineSchema, i64, type Schema, timestamp } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { KIND_F32, KIND_F64, KIND_I64 } from '../../dist/assembly/layout.js';
import { ColumnDecoder } from '../../dist/src/block/column-decoder.js';
import { ColumnEncoder, type Lenders } from '../../dist/src/block/column-encoder.js';
import { COMPRESSION_HUFFMAN, COMPRESSION_NONE, COMPRESSION_ZSTD } from '../../dist/src/block/header.js';
import {
  borrowedBy,
  describePlan,
  MAX_STEPS,
  OP_CHANGES,
  OP_CHANGES_OF,
  OP_CONSTANT,
  OP_DECIMAL,
  OP_DELTA,
  OP_DICTIONARY,
  OP_FRAME,
  OP_GROUP_DELTA,
  OP_PACKED,
  OP_PLANES,
  OP_REFERENCE,
  OP_SAME_IDS,
  OP_SPLIT,
  OP_TOKENS,
  type Plan,
  parsePlan,
  type Step,
} from '../../dist/src/block/plan.js';
import { layWorkspace } from '../../dist/src/block/workspace.js';
import { instantiateKernels, sharedMemory } from '../../dist/src/kernels.js';
import { blockOf, expectSameValues } from '../helpers/blocks.js';
import { noise, wrap } from '../helpers/numbers.js';
import { i64 as i64Bytes, packedSame, step } from '../helpers/plans.js';
import type { Value } from '../helpers/records.js';

// ---- what a block encoder and decoder have, without one around it -------------------------------------------------------

const MOST = 70_000;
const space = layWorkspace(1024 ** 2, MOST, true);
let end = space.end;
const room = (bytes: number) => {
  const at = Math.ceil((end + 64) / 64) * 64;
  end = at + bytes;
  return at;
};
const SOURCE = room(8 * MOST);
const LENT = {
  values: room(8 * MOST),
  mask: room(MOST),
  ids: room(MOST),
  table: room(2048),
  hash: room(16_384),
  rows: room(1024),
};
/** Where a chunk lies as it is read back. */
const PACKED = room(20 * MOST);
const SYMBOLS = room(10 * MOST);
const memory = sharedMemory(end + 4096);
const kernels = instantiateKernels(memory);
const bytes = new Uint8Array(memory.buffer);
const encoder = new ColumnEncoder(kernels, memory, space);
const decoder = new ColumnDecoder(kernels, space);
const DIRT = 0xa5;

const i64At = (at: number, count: number) => new BigInt64Array(memory.buffer, at, count);

/** Field 1 lends, as far as its values let it: a mask always, ids of 256 values at most. Field 2 lends nothing. */
const LENDER = 1;
const NO_LENDER = 2;

/** Makes the lender; answers how many ids it has, 0 for none. */
function lend(values: BigInt64Array): number {
  const count = values.length;
  i64At(LENT.values, count).set(values);
  kernels.keepChanges(LENT.values, count, LENT.mask, space.vectors[0]);
  const known = Math.max(kernels.dictionary(LENT.values, count, LENT.ids, LENT.table, LENT.hash), 0);
  kernels.firstRows(LENT.ids, count, known, LENT.rows);
  return known;
}

const rangeOf = (values: BigInt64Array) => ({
  least: values.reduce((a, b) => (b < a ? b : a)),
  greatest: values.reduce((a, b) => (b > a ? b : a)),
});

const lendersOf = (known: number, count: number): Lenders => ({
  values: (field) => (field === LENDER ? LENT.values : 0),
  mask: (field) => (field === LENDER ? LENT.mask : 0),
  ids: (field) => (field === LENDER && known > 0 ? LENT.ids : 0),
  known: () => known,
  range: () => rangeOf(i64At(LENT.values, count)),
  firstRows: () => LENT.rows,
});

/** That the steps read are those of the plan; of values that are all the same some become a constant. */
function expectAgrees(plan: Plan, read: Step): void {
  if (read.op === OP_CONSTANT) return;
  expect(read.op).toBe(plan.op);
  if ('field' in plan) expect(read.field).toBe(plan.field);
  if (plan.op === OP_SPLIT) {
    expect(read.divisor).toBe(plan.divisor);
    expectAgrees(plan.child, read.children[0]);
    expectAgrees(plan.remainder, read.children[1]);
  } else if ('child' in plan) {
    expectAgrees(plan.child, read.children[0]);
  } else expect(read.children).toEqual([]);
  if (plan.op === OP_DECIMAL) expect(read.width).toBe(plan.exponent);
}

/** Codes the values and reads them back; false where the plan doesn't suit them. Floats are given as their bits. */
function passes(plan: Plan, values: BigInt64Array, other: BigInt64Array, kind: number = KIND_I64): boolean {
  const count = values.length;
  const known = lend(other);
  if (kind === KIND_F32) new Int32Array(memory.buffer, SOURCE, count).set(Array.from(values, Number));
  else i64At(SOURCE, count).set(values);
  const before = bytes.slice(SOURCE, SOURCE + 8 * count);
  const suits = encoder.encode(plan, SOURCE, count, kind, lendersOf(known, count));
  if (!Buffer.from(before).equals(bytes.slice(SOURCE, SOURCE + 8 * count))) expect.fail('the values were changed');
  if (!suits) return false;

  const { packedBytes, symbolBytes, segments } = encoder;
  expect(segments.reduce((sum, length) => sum + length, 0)).toBe(symbolBytes);
  const read = parsePlan(encoder.plan.slice());
  if (typeof read === 'string') throw new Error(read);
  expectAgrees(plan, read);
  // Alone, amid other bytes, in a workspace in which nothing is left.
  bytes.fill(DIRT, PACKED, PACKED + packedBytes + 64);
  bytes.fill(DIRT, SYMBOLS, SYMBOLS + symbolBytes + 64);
  bytes.copyWithin(PACKED, space.packed, space.packed + packedBytes);
  bytes.copyWithin(SYMBOLS, space.symbols, space.symbols + symbolBytes);
  for (const vector of space.vectors) bytes.fill(DIRT, vector, vector + 8 * count + 64);
  for (const table of [space.tableA, space.tableB]) bytes.fill(DIRT, table, table + 2048);
  bytes.fill(DIRT, space.symbols, space.symbols + symbolBytes);
  const [out] = space.vectors;
  const borrowed =
    { [OP_REFERENCE]: LENT.values, [OP_CHANGES_OF]: LENT.mask, [OP_GROUP_DELTA]: LENT.ids, [OP_SAME_IDS]: LENT.ids }[
      borrowedBy(read)?.op ?? -1
    ] ?? 0;
  const chunk = {
    packed: PACKED,
    packedEnd: PACKED + packedBytes,
    symbols: SYMBOLS,
    symbolsEnd: SYMBOLS + symbolBytes,
  };
  decoder.decode(read, chunk, count, out, borrowed, kind);
  const found = i64At(out, count);
  for (let i = 0; i < count; i++) {
    if (found[i] !== values[i])
      expect.fail(`${describePlan(plan)}: value ${i} of ${count} is ${found[i]}, not ${values[i]}`);
  }
  if (bytes.subarray(out + 8 * count, out + 8 * count + 64).some((byte) => byte !== DIRT)) {
    expect.fail(`${describePlan(plan)}: wrote behind the last value`);
  }
  return true;
}

// ---- shapes of values ------------------------------------------------------------------------------------------------------

interface Column {
  values: BigInt64Array;
  /** Of the field that lends. */
  other: BigInt64Array;
}

const made = (count: number, make: (i: number) => bigint) =>
  BigInt64Array.from({ length: count }, (_, i) => wrap(make(i)));

/** A few values in runs, as a lender has them. */
function inRuns(count: number, seed: number): BigInt64Array {
  const next = noise(seed + 1);
  let value = 0n;
  return made(count, () => {
    if (next() % 4 === 0) value = BigInt(next() % 40) * 1_000_003n;
    return value;
  });
}

function walk(count: number, seed: number, scale: bigint): BigInt64Array {
  const next = noise(seed);
  let value = BigInt(next()) * 1000n;
  return made(count, () => {
    value += BigInt((next() % 9) - 4) * scale;
    return value;
  });
}

type Shape = (count: number, seed: number) => Column;

const SHAPES = {
  constant: (count, seed) => ({
    values: made(count, () => BigInt(noise(seed)()) - 2n ** 52n),
    other: inRuns(count, seed),
  }),
  few: (count, seed) => {
    const next = noise(seed);
    const values = Array.from({ length: 1 + (seed % 20) }, () => BigInt(next()) * 2000n);
    return { values: made(count, () => values[next() % values.length]), other: inRuns(count, seed) };
  },
  walk: (count, seed) => ({ values: walk(count, seed, 3n), other: inRuns(count, seed) }),
  ticks: (count, seed) => ({ values: walk(count, seed, 25n), other: inRuns(count, seed) }),
  clock: (count, seed) => {
    const next = noise(seed);
    let at = 1_700_000_000_000_000_000n;
    let rest = 17n;
    const values = made(count, () => {
      at += BigInt(next() % 50) * 100n;
      if (next() % 10 === 0) rest = (rest + 1n) % 100n;
      return at + rest;
    });
    return { values, other: inRuns(count, seed) };
  },
  wide: (count, seed) => {
    const next = noise(seed);
    return { values: made(count, () => BigInt(next()) * 5003n - BigInt(next())), other: inRuns(count, seed) };
  },
  extremes: (count, seed) => {
    const next = noise(seed);
    const ends = [0n, 1n, -1n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 52n, -(2n ** 52n), 2n ** 56n, 2n ** 62n];
    return { values: made(count, () => ends[next() % ends.length]), other: inRuns(count, seed) };
  },
  follows: (count, seed) => {
    const next = noise(seed);
    const other = walk(count, seed, 1_000_000_007n);
    return { values: made(count, (i) => other[i] + BigInt(next() % 3)), other };
  },
  'changes with the other': (count, seed) => {
    const next = noise(seed);
    const other = inRuns(count, seed);
    let value = 0n;
    const values = made(count, (i) => {
      if (i === 0 || other[i] !== other[i - 1]) value = BigInt(next() % 100_000) * 25n;
      return value;
    });
    return { values, other };
  },
  'by the id of the other': (count, seed) => {
    const other = inRuns(count, seed);
    return { values: made(count, (i) => other[i] * 7n - 5n), other };
  },
  'a walk by the id of the other': (count, seed) => {
    const next = noise(seed);
    const other = made(count, () => BigInt(next() % 9));
    const last = new Map<bigint, bigint>();
    const values = made(count, (i) => {
      const value = (last.get(other[i]) ?? other[i] * 1_000_000n) + BigInt((next() % 5) - 2) * 25n;
      last.set(other[i], value);
      return value;
    });
    return { values, other };
  },
} satisfies Record<string, Shape>;

type ShapeName = keyof typeof SHAPES;
const NAMES = Object.keys(SHAPES) as ShapeName[];

// ---- plans -------------------------------------------------------------------------------------------------------------------

const TOKENS: Plan = { op: OP_TOKENS };
const BITS: Plan = { op: OP_PACKED };
const PLANES: Plan = { op: OP_PLANES };
const DICTIONARY: Plan = { op: OP_DICTIONARY };
const frame = (child: Plan): Plan => ({ op: OP_FRAME, child });
const delta = (child: Plan): Plan => ({ op: OP_DELTA, child });
const changes = (child: Plan): Plan => ({ op: OP_CHANGES, child });
const changesOf = (field: number, child: Plan): Plan => ({ op: OP_CHANGES_OF, field, child });
const reference = (field: number, child: Plan): Plan => ({ op: OP_REFERENCE, field, child });
const groupDelta = (field: number, child: Plan): Plan => ({ op: OP_GROUP_DELTA, field, child });
const sameIds = (field: number): Plan => ({ op: OP_SAME_IDS, field });
const split = (divisor: bigint, child: Plan, remainder: Plan): Plan => ({ op: OP_SPLIT, divisor, child, remainder });
const decimal = (exponent: number, child: Plan): Plan => ({ op: OP_DECIMAL, exponent, child });

const LENT_IDS: ShapeName[] = NAMES.filter((name) => name !== 'follows');
const CLOSE: ShapeName[] = NAMES.filter((name) => name !== 'wide' && name !== 'extremes' && name !== 'few');
const FEW: ShapeName[] = ['constant', 'few', 'extremes', 'by the id of the other'];

/** Plans with the shapes that they suit whatever the count. With others they are as they are, or don't suit. */
const PLANS: [plan: Plan, suits: readonly ShapeName[]][] = [
  ...[
    TOKENS,
    BITS,
    PLANES,
    frame(TOKENS),
    frame(BITS),
    frame(PLANES),
    delta(TOKENS),
    delta(BITS),
    delta(PLANES),
    delta(delta(TOKENS)),
    delta(frame(TOKENS)),
    changes(TOKENS),
    changes(BITS),
    changes(PLANES),
    changes(delta(TOKENS)),
    changes(frame(TOKENS)),
    changes(changes(TOKENS)),
    delta(changes(TOKENS)),
    delta(changes(delta(BITS))),
    changes(delta(changes(frame(TOKENS)))),
    reference(LENDER, TOKENS),
    reference(LENDER, BITS),
    reference(LENDER, frame(TOKENS)),
    reference(LENDER, changes(delta(TOKENS))),
    reference(LENDER, delta(changes(TOKENS))),
    delta(reference(LENDER, PLANES)),
  ].map((plan): [Plan, readonly ShapeName[]] => [plan, NAMES]),
  [groupDelta(LENDER, TOKENS), LENT_IDS],
  [groupDelta(LENDER, BITS), LENT_IDS],
  [groupDelta(LENDER, changes(TOKENS)), LENT_IDS],
  [groupDelta(LENDER, DICTIONARY), ['a walk by the id of the other', 'by the id of the other']],
  [frame(groupDelta(LENDER, PLANES)), LENT_IDS],
  [DICTIONARY, FEW],
  [changes(DICTIONARY), FEW],
  [delta(DICTIONARY), ['constant', 'walk', 'ticks', 'extremes']],
  [changes(delta(DICTIONARY)), ['constant', 'walk', 'ticks', 'extremes']],
  [frame(DICTIONARY), FEW],
  [reference(LENDER, DICTIONARY), ['follows', 'by the id of the other']],
  [changesOf(LENDER, TOKENS), ['constant', 'changes with the other', 'by the id of the other']],
  [changesOf(LENDER, frame(BITS)), ['constant', 'changes with the other', 'by the id of the other']],
  [changesOf(LENDER, delta(TOKENS)), ['constant', 'changes with the other', 'by the id of the other']],
  [changesOf(LENDER, DICTIONARY), ['constant', 'by the id of the other']],
  [changesOf(LENDER, split(25n, delta(TOKENS), TOKENS)), ['constant', 'changes with the other']],
  [sameIds(LENDER), ['constant', 'by the id of the other']],
  [split(25n, delta(TOKENS), frame(TOKENS)), CLOSE],
  [split(25n, TOKENS, TOKENS), CLOSE],
  [split(2n, BITS, PLANES), CLOSE],
  [split(100n, changes(delta(TOKENS)), changes(DICTIONARY)), ['constant', 'clock', 'ticks', 'walk']],
  [split(100n, changes(delta(TOKENS)), DICTIONARY), ['constant', 'clock', 'ticks', 'walk']],
  [split(25n, groupDelta(LENDER, DICTIONARY), changes(DICTIONARY)), ['a walk by the id of the other']],
  [split(25n, groupDelta(LENDER, changes(TOKENS)), TOKENS), CLOSE.filter((name) => name !== 'follows')],
  [split(10n, reference(LENDER, TOKENS), TOKENS), CLOSE],
  [split(1000n, delta(TOKENS), reference(LENDER, TOKENS)), CLOSE],
  [split(1000n, split(10n, TOKENS, TOKENS), split(10n, changes(TOKENS), BITS)), CLOSE],
];

const floatPlans = [
  TOKENS,
  delta(TOKENS),
  frame(BITS),
  changes(delta(TOKENS)),
  split(5n, delta(TOKENS), TOKENS),
].flatMap((child) => [decimal(2, child), decimal(2, reference(LENDER, child)), decimal(2, groupDelta(LENDER, child))]);

test.each(PLANS.map(([plan, suits]) => [describePlan(plan), plan, suits] as const))('%s', (_, plan, suits) => {
  const shapes = fc.constantFrom(...(plan.op === OP_SAME_IDS ? suits : NAMES));
  const check = (name: ShapeName, count: number, seed: number) => {
    const { values, other } = SHAPES[name](count, seed);
    const passed = passes(plan, values, other);
    if (!passed && suits.includes(name)) expect.fail(`it doesn't suit ${count} of ${name} (seed ${seed})`);
  };
  for (let count = 1; count <= 300; count++) {
    fc.assert(
      fc.property(shapes, fc.constantFrom(...suits), fc.nat(10_000), (any, fitting, seed) => {
        if (count % 3 === 0) check(any, count, seed);
        check(fitting, count, seed);
      }),
      { numRuns: 1 },
    );
  }
  fc.assert(fc.property(fc.constantFrom(...suits), fc.integer({ min: 301, max: MOST }), fc.nat(10_000), check), {
    numRuns: 1,
  });
});

test('constant', () => {
  for (const count of [1, 2, 300, MOST]) {
    const { values, other } = SHAPES.constant(count, count);
    expect(passes({ op: OP_CONSTANT }, values, other)).toBe(true);
    expect(encoder.packedBytes + encoder.symbolBytes).toBe(0);
  }
});

describe.each([
  ['f64', KIND_F64],
  ['f32', KIND_F32],
])('decimals of %s', (_, kind) => {
  const bits = (value: number): bigint => {
    const at = new DataView(new ArrayBuffer(8));
    if (kind === KIND_F64) at.setFloat64(0, value, true);
    else at.setFloat32(0, value, true);
    return at.getBigInt64(0, true);
  };
  const odd = [NaN, -0, Infinity, -Infinity, 1e-40, 1 / 3, 1e300, 2 ** 53];

  /** Prices of two places, of which the `exceptions` last ones are none. */
  function prices(count: number, exceptions: number, seed: number): BigInt64Array {
    const next = noise(seed);
    return BigInt64Array.from({ length: count }, (_, i) =>
      bits(i >= count - exceptions ? odd[next() % odd.length] : (20_000 + (next() % 1000)) / 100),
    );
  }

  test.each(floatPlans.map((plan) => [describePlan(plan), plan] as const))('%s', (_, plan) => {
    for (let count = 1; count <= 300; count += count < 40 ? 1 : 3) {
      const most = Math.floor(count / 8);
      const exceptions = [0, Math.min(1, most), most][count % 3];
      expect(passes(plan, prices(count, exceptions, count), inRuns(count, count), kind)).toBe(true);
      // More than an eighth: not worth it.
      expect(passes(plan, prices(count, most + 1, count), inRuns(count, count), kind)).toBe(false);
    }
    expect(passes(plan, prices(10_007, 500, 1), inRuns(10_007, 1), kind)).toBe(true);
  });

  test('minus zero, NaN with a payload and all else that is special', () => {
    const special = [...odd, 0, 1.25, -1.25].map(bits);
    special.push(kind === KIND_F64 ? 0x7ff0000000000001n : 0x7f800001n);
    const values = BigInt64Array.from({ length: 200 }, (_, i) =>
      i % 10 === 3 ? (special[(i / 10) | 0] ?? 0n) : bits(2.5),
    );
    for (const plan of floatPlans) expect(passes(plan, values, inRuns(200, 1), kind)).toBe(true);
  });
});

describe('a plan that does not suit', () => {
  const column = (count = 300): Column => SHAPES.wide(count, 5);

  test('more values than a dictionary has', () => {
    for (const count of [256, 257, 1000]) {
      const values = made(count, (i) => BigInt(i) ** 5n);
      const fits = count <= 256;
      for (const plan of [DICTIONARY, changes(DICTIONARY), frame(DICTIONARY)]) {
        expect(passes(plan, values, inRuns(count, 1))).toBe(fits);
      }
    }
  });

  test('a change where the lender has none', () => {
    const { values, other } = SHAPES['changes with the other'](300, 3);
    expect(passes(changesOf(LENDER, TOKENS), values, other)).toBe(true);
    for (let i = 1; i < 300; i++) {
      if (other[i] !== other[i - 1]) continue;
      expect(passes(changesOf(LENDER, TOKENS), values.with(i, values[i] + 1n), other)).toBe(false);
    }
  });

  test('values too far apart to split', () => {
    expect(passes(split(10n, TOKENS, TOKENS), BigInt64Array.of(-5n, 2n ** 52n - 6n), inRuns(2, 1))).toBe(true);
    expect(passes(split(10n, TOKENS, TOKENS), BigInt64Array.of(-5n, 2n ** 52n - 5n), inRuns(2, 1))).toBe(false);
    expect(passes(split(10n, TOKENS, TOKENS), BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n), inRuns(2, 1))).toBe(
      false,
    );
  });

  test('a lender that lends nothing, or no ids', () => {
    const { values, other } = column();
    const borrowing = (field: number) => [
      changesOf(field, TOKENS),
      reference(field, TOKENS),
      groupDelta(field, TOKENS),
      sameIds(field),
      delta(reference(field, TOKENS)),
      split(10n, TOKENS, groupDelta(field, TOKENS)),
    ];
    for (const plan of borrowing(NO_LENDER)) expect(passes(plan, values, other)).toBe(false);
    for (const plan of [sameIds(LENDER), groupDelta(LENDER, TOKENS)]) {
      expect(
        passes(
          plan,
          values,
          made(300, (i) => BigInt(i)),
        ),
      ).toBe(false);
    }
  });

  test('a dictionary for more columns than it has ids, or with one that lends no values', () => {
    const values = made(1000, (i) => BigInt(i % 30));
    const joined = (field: number): Plan => ({ op: OP_DICTIONARY, with: [field] });
    expect(
      passes(
        joined(LENDER),
        values,
        made(1000, (i) => BigInt(i % 8)),
      ),
    ).toBe(true);
    expect(encoder.known).toBe(120);
    expect(
      passes(
        joined(LENDER),
        values,
        made(1000, (i) => BigInt(i % 37)),
      ),
    ).toBe(false);
    expect(
      passes(
        joined(LENDER),
        values,
        made(1000, (i) => BigInt(i)),
      ),
    ).toBe(false);
    expect(
      passes(
        joined(NO_LENDER),
        values,
        made(1000, () => 0n),
      ),
    ).toBe(false);
  });
});

test('the same ids, where equal ones come with other values: refused', () => {
  const other = made(1000, (i) => BigInt(i % 5));
  const values = other.map((value) => value * 1000n);
  expect(passes(sameIds(LENDER), values, other)).toBe(true);
  values[999] += 1n;
  expect(passes(sameIds(LENDER), values, other)).toBe(false);
});

test('joined columns have one id a row, and both their values', () => {
  for (const count of [1, 2, 100, 300, MOST]) {
    const next = noise(count);
    const [a, b] = [made(count, () => BigInt(next() % 5) - 2n), made(count, () => BigInt(next() % 7) * 10n ** 12n)];
    expect(passes({ op: OP_DICTIONARY, with: [LENDER] }, a, b)).toBe(true);
    const pairs = new Set(Array.from(a, (value, i) => `${value} ${b[i]}`));
    expect(encoder.known).toBe(pairs.size);
    // The ids that it has are those that the other column borrows.
    const ids = bytes.slice(encoder.ids, encoder.ids + count);
    const { known } = encoder;
    bytes.set(ids, LENT.ids);
    kernels.firstRows(LENT.ids, count, known, LENT.rows);
    i64At(SOURCE, count).set(b);
    expect(encoder.encode(sameIds(LENDER), SOURCE, count, KIND_I64, lendersOf(known, count))).toBe(true);
    const read = parsePlan(encoder.plan.slice());
    if (typeof read === 'string') throw new Error(read);
    const { packed, symbols, vectors } = space;
    const chunk = { packed, packedEnd: packed + encoder.packedBytes, symbols, symbolsEnd: symbols };
    decoder.decode(read, chunk, count, vectors[0], LENT.ids, KIND_I64);
    expect(i64At(vectors[0], count).every((value, i) => value === b[i])).toBe(true);
  }
});

// ---- plans as bytes ------------------------------------------------------------------------------------------------------------

describe('the bytes of a plan and of its chunk, as plan.ts describes them', () => {
  const chunkOf = (
    plan: Plan,
    values: readonly bigint[],
    other: readonly bigint[] = values,
    kind: number = KIND_I64,
  ) => {
    expect(passes(plan, BigInt64Array.from(values), BigInt64Array.from(other), kind)).toBe(true);
    return {
      plan: [...encoder.plan],
      packed: [...bytes.slice(PACKED, PACKED + encoder.packedBytes)],
      symbols: [...bytes.slice(SYMBOLS, SYMBOLS + encoder.symbolBytes)],
    };
  };

  test.each<[name: string, plan: Plan, values: bigint[], expected: ReturnType<typeof chunkOf>, other?: bigint[]]>([
    ['constant', { op: OP_CONSTANT }, [-7n, -7n], { plan: step.constant(-7), packed: [], symbols: [] }],
    ['packed', BITS, [5n, 5n], { plan: step.packed, packed: packedSame(5, 2), symbols: [] }],
    ['tokens', TOKENS, [3n, 9n, 0n], { plan: step.tokens, packed: [1], symbols: [3, 8, 0] }],
    [
      'dictionary',
      DICTIONARY,
      [5n, 7n, 5n, 9n, 5n],
      { plan: step.dictionary(2, 3), packed: [...i64Bytes(5), 3, 0b0001_0000, 1], symbols: [0b1000_0100, 0] },
    ],
    ['planes', PLANES, [0x102n, 0x304n], { plan: step.planes(2), packed: [], symbols: [2, 4, 1, 3] }],
    ['frame', frame(TOKENS), [-5n, -4n], { plan: step.frame(-5, step.tokens), packed: [], symbols: [0, 1] }],
    ['delta', delta(TOKENS), [10n, 11n, 13n], { plan: step.delta(0, 10, step.tokens), packed: [], symbols: [0, 1, 2] }],
    [
      'delta, some negative',
      delta(TOKENS),
      [10n, 9n, 11n],
      { plan: step.delta(1, 10, step.tokens), packed: [], symbols: [0, 1, 4] },
    ],
    [
      'delta, some negative, packed',
      delta(BITS),
      [10n, 10n],
      { plan: step.delta(0, 10, step.packed), packed: packedSame(0, 2), symbols: [] },
    ],
    [
      'changes',
      changes(TOKENS),
      [1n, 1n, 2n, 2n, 2n, 2n, 2n, 2n, 3n],
      { plan: step.changes(step.tokens), packed: [], symbols: [0b101, 1, 1, 2, 3] },
    ],
    [
      'changes of',
      changesOf(LENDER, TOKENS),
      [1n, 1n, 2n],
      { plan: step.changesOf(1, step.tokens), packed: [], symbols: [1, 2] },
      [50n, 50n, 60n],
    ],
    [
      'split',
      split(10n, TOKENS, TOKENS),
      [100n, 113n],
      { plan: step.split(100, 10, step.tokens, step.tokens), packed: [], symbols: [0, 1, 0, 3] },
    ],
    [
      'split without remainders',
      split(10n, TOKENS, TOKENS),
      [100n, 110n],
      { plan: step.split(100, 10, step.tokens, step.constant(0)), packed: [], symbols: [0, 1] },
    ],
    [
      'reference',
      reference(LENDER, TOKENS),
      [100n, 201n],
      { plan: step.reference(1, step.tokens), packed: [], symbols: [0, 1] },
      [100n, 200n],
    ],
    [
      'group delta',
      groupDelta(LENDER, TOKENS),
      [1n, 2n, 2n, 1n],
      { plan: step.groupDelta(1, 1, step.tokens), packed: [], symbols: [2, 4, 2, 1] },
      [7n, 8n, 7n, 8n],
    ],
    [
      'same ids',
      sameIds(LENDER),
      [4n, 4n, 4n],
      { plan: step.sameIds(1, 2), packed: packedSame(4, 2), symbols: [] },
      [7n, 8n, 7n],
    ],
  ])('%s', (_, plan, values, expected, other) => {
    expect(chunkOf(plan, values, other)).toEqual(expected);
  });

  test('decimal: rows and bits of exceptions, then the whole numbers', () => {
    const float = (value: number) => new BigInt64Array(Float64Array.of(value).buffer)[0];
    const values = [1.5, 1.5, NaN, 1.5, 1.5, 1.5, 1.5, 1.5].map(float);
    expect(chunkOf(decimal(1, BITS), values, values, KIND_F64)).toEqual({
      plan: step.decimal(1, 1, step.packed),
      packed: [2, 0, 0, 0, ...i64Bytes(float(NaN)), ...packedSame(15, 8)],
      symbols: [],
    });
  });
});

describe('parsePlan', () => {
  const parse = (...plan: readonly number[]) => parsePlan(Uint8Array.from(plan));
  const { tokens, packed } = step;
  const whole: readonly number[][] = [
    step.constant(-1),
    packed,
    tokens,
    step.dictionary(8, 256),
    step.dictionary(1, 1),
    step.planes(1),
    step.planes(8),
    step.frame(5, tokens),
    step.delta(1, -5, packed),
    step.changes(step.delta(0, 2, tokens)),
    step.changesOf(65_535, tokens),
    step.split(1, 10, step.groupDelta(3, 1, step.dictionary(4, 9)), step.changes(step.dictionary(2, 4))),
    step.reference(0, step.changes(step.delta(0, 0, tokens))),
    step.sameIds(7, 256),
    step.decimal(22, 2 ** 32 - 1, step.split(0, 2, tokens, tokens)),
  ];

  test.each(whole.map((plan) => [plan.join(' '), plan] as const))(
    '%s: taken whole, refused cut or with more',
    (_, plan) => {
      expect(typeof parse(...plan)).toBe('object');
      for (let length = 0; length < plan.length; length++)
        expect(parse(...plan.slice(0, length))).toMatch(/plan is cut/);
      expect(parse(...plan, 0)).toMatch(/longer than its steps/);
      expect(parse(...plan, ...plan)).toMatch(/longer than its steps/);
    },
  );

  test('what the steps say', () => {
    const plan = step.split(-3, 7, step.groupDelta(300, 1, step.dictionary(4, 9)), step.delta(0, 5, step.planes(3)));
    expect(parse(...plan)).toMatchObject({
      op: OP_SPLIT,
      base: -3n,
      divisor: 7n,
      children: [
        { op: OP_GROUP_DELTA, field: 300, zigzag: 1, children: [{ op: OP_DICTIONARY, width: 4, known: 9 }] },
        { op: OP_DELTA, base: 5n, zigzag: 0, children: [{ op: OP_PLANES, width: 3, children: [] }] },
      ],
    });
    expect(parse(...step.decimal(3, 70_000, tokens))).toMatchObject({ op: OP_DECIMAL, width: 3, known: 70_000 });
    expect(parse(...step.frame(-9, tokens))).toMatchObject({ op: OP_FRAME, base: -9n });
    expect(parse(...step.sameIds(5, 200))).toMatchObject({ op: OP_SAME_IDS, field: 5, known: 200 });
  });

  test('a step that there is not', () => {
    for (let op = 14; op < 256; op++) {
      expect(parse(op)).toMatch(/unknown/);
      expect(parse(...step.changes([op]))).toMatch(/unknown/);
    }
  });

  test('no more steps than there may be', () => {
    const nested = (levels: number) => Array.from({ length: levels }, () => 7).concat(tokens);
    expect(typeof parse(...nested(MAX_STEPS - 1))).toBe('object');
    expect(parse(...nested(MAX_STEPS))).toMatch(/more than 16 steps/);
    expect(parsePlan(new Uint8Array(1_000_000).fill(7))).toMatch(/more than 16 steps/);
    let wide: number[] = tokens;
    for (let i = 0; i < 7; i++) wide = step.split(0, 2, wide, tokens);
    expect(typeof parse(...wide)).toBe('object');
    expect(parse(...step.split(0, 2, wide, tokens))).toMatch(/more than 16 steps/);
  });

  test('borrowing behind a mask, where there are fewer values than the lender has', () => {
    const tokens = [OP_TOKENS];
    for (const above of [[OP_CHANGES], [8, 1, 0]]) {
      expect(parse(...above, 10, 1, 0, ...tokens)).toMatch(/borrows/);
      expect(parse(...above, OP_DELTA, 0, ...new Array(8).fill(0), 11, 1, 0, 0, ...tokens)).toMatch(/borrows/);
    }
    expect(parse(10, 1, 0, OP_CHANGES, ...tokens)).toMatchObject({ op: 10 });
  });

  test('borrowing twice', () => {
    const borrowing = [
      step.changesOf(1, tokens),
      step.reference(1, tokens),
      step.groupDelta(1, 0, tokens),
      step.sameIds(1, 5),
    ];
    for (const one of borrowing) {
      expect(typeof parse(...step.split(0, 2, one, tokens))).toBe('object');
      for (const other of borrowing) expect(parse(...step.split(0, 2, one, other))).toMatch(/borrows twice/);
      expect(parse(...step.reference(2, one))).toMatch(/borrows twice/);
      expect(parse(...step.changesOf(2, step.delta(0, 0, one)))).toMatch(/borrows twice/);
    }
  });

  test('numbers out of range', () => {
    for (const width of [0, 3, 5, 6, 7, 9, 16, 255]) expect(parse(...step.dictionary(width, 1))).toMatch(/ids of/);
    for (const known of [0, 257, 65_535]) {
      expect(parse(...step.dictionary(8, known))).toMatch(/a dictionary of/);
      expect(parse(...step.sameIds(1, known))).toMatch(/a dictionary of/);
    }
    for (const width of [0, 9, 255]) expect(parse(...step.planes(width))).toMatch(/bytes/);
    for (const flag of [2, 255]) {
      expect(parse(...step.delta(flag, 0, tokens))).toMatch(/flag/);
      expect(parse(...step.groupDelta(1, flag, tokens))).toMatch(/flag/);
    }
    for (const exponent of [23, 255]) expect(parse(...step.decimal(exponent, 0, tokens))).toMatch(/decimal places/);
  });

  test('decimals within others', () => {
    expect(parse(...step.delta(0, 0, step.decimal(1, 0, tokens)))).toMatch(/no floats/);
    expect(parse(...step.decimal(1, 0, step.decimal(1, 0, tokens)))).toMatch(/no floats/);
  });

  test('any bytes: a plan, or why not', () => {
    let parsed = 0;
    const steps = fc.array(fc.oneof(fc.nat(13), fc.constant(0), fc.nat(255)), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (plan) => {
        const read = parse(...plan);
        if (typeof read === 'string') expect(read).toMatch(/plan/);
        else parsed++;
      }),
      { numRuns: 3000 },
    );
    expect(parsed).toBeGreaterThan(5);
  });
});

// ---- behind the plans ----------------------------------------------------------------------------------------------------------

describe('symbols through the entropy stage, in whole blocks', () => {
  const schema: Schema = defineSchema('t', timestamp('ts'), i64('skewed'));
  const next = noise(3);
  const rows = Array.from({ length: 5000 }, (_, i): Value[] => {
    const size = next() % 16;
    return [BigInt(i), BigInt(next() % 2 ** (size < 12 ? 3 : size))];
  });
  const chunkOf = (compression: Compression) => {
    const block = blockOf(schema, rows, { compression });
    expectSameValues(schema, block, rows);
    return block.header.chunks.find(({ field }) => field === 1)!;
  };

  test.each<[name: string, Compression, number]>([
    ['none', 'off', COMPRESSION_NONE],
    ['Huffman', 'fast', COMPRESSION_HUFFMAN],
    ['zstd 1', { zstd: 1 }, COMPRESSION_ZSTD],
    ['zstd 19', { zstd: 19 }, COMPRESSION_ZSTD],
  ])('%s', (_, compression, expected) => {
    const chunk = chunkOf(compression);
    expect(chunk.compression).toBe(expected);
    expect(chunk.encodedBytes < chunk.storedBytes).toBe(false);
    expect(chunk.encodedBytes === chunk.storedBytes).toBe(expected === COMPRESSION_NONE);
  });

  test('dense is as small as the smaller one of Huffman and zstd', () => {
    const dense = chunkOf('dense').storedBytes;
    expect(dense).toBe(Math.min(chunkOf('fast').storedBytes, chunkOf({ zstd: 9 }).storedBytes));
  });
});
