import path from 'node:path';
import { defineSchema, openTape, symbol, TapeError, type TapeOptions, text, timestamp, u8 } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { scratch, snapshot } from '../helpers/scratch.js';
import { errorOf, reopen } from '../helpers/tape.js';

const schema = defineSchema('t', timestamp('ts'), u8('k'));

const circular: Record<string, unknown> = {};
circular.itself = circular;
/** What no option takes. */
const NONSENSE: unknown[] = [null, '', 'x', true, {}, NaN, 1n, Symbol('s'), () => 1, circular, new Date(0)];
const NOT_WHOLE = [1.5, Infinity, -Infinity, '10', ...NONSENSE];

/** By option: what it takes, and what it does not. */
const VALUES: Record<Exclude<keyof TapeOptions, 'storage'>, { good: unknown[]; bad: unknown[] }> = {
  redundancy: { good: [1, 2], bad: [0, 3, -1, ...NOT_WHOLE] },
  capacity: { good: [16, 17], bad: [15, 0, 1_000_001, ...NOT_WHOLE] },
  journal: { good: [], bad: NONSENSE.filter((value) => value !== 'x') },
  journalMode: { good: ['auto', 'mapped', 'buffered'], bad: ['Auto', ...NONSENSE] },
  read: { good: ['mapped', 'copied'], bad: ['Mapped', 'auto', ...NONSENSE] },
  compression: {
    good: ['off', 'adaptive', 'fast', 'dense', { zstd: 1 }, { zstd: 19 }],
    bad: ['zstd', 'packed', 'Fast', 3, { zstd: 0 }, { zstd: 20 }, { zstd: 1.5 }, { zstd: '1' }, true],
  },
  onFull: { good: ['wait', 'drop', 'throw'], bad: ['block', ...NONSENSE] },
  flusher: { good: ['worker', 'inline'], bad: ['thread', ...NONSENSE] },
  degraded: { good: ['continue', 'stop'], bad: ['wait', ...NONSENSE] },
  writeTimeoutMs: { good: [10, 3_600_000], bad: [9, 3_600_001, ...NOT_WHOLE] },
  durability: { good: ['process', 'disk'], bad: ['power', ...NONSENSE] },
  syncIntervalMs: { good: [0, 86_400_000], bad: [-1, 86_400_001, ...NOT_WHOLE] },
  flushIntervalMs: { good: [0, 86_400_000], bad: [-1, 86_400_001, ...NOT_WHOLE] },
  segmentBytes: { good: [1024 ** 2], bad: [1024 ** 2 - 1, 1024 ** 3 + 1, ...NOT_WHOLE] },
  segmentMaxAgeMs: { good: [1, 2 ** 31], bad: [0, 2 ** 31 + 1, ...NOT_WHOLE] },
  laneBytes: { good: [65_536], bad: [65_535, 1024 ** 3 + 1, ...NOT_WHOLE] },
  maxSymbols: { good: [1, 100_000], bad: [0, 4_194_305, ...NOT_WHOLE] },
  lostStorageNodes: { good: [[]], bad: [['d7'], [1], ...NONSENSE] },
  retention: {
    good: [{ ageMs: 86_400_000 }, { bytes: 1024 ** 2 }, { ageMs: 100 * 365 * 86_400_000, bytes: 2 ** 53 - 1 }],
    bad: [
      ...[0, 1e13, ...NOT_WHOLE].map((ageMs) => ({ ageMs })),
      ...[1024 ** 2 - 1, 2 ** 53, ...NOT_WHOLE].map((bytes) => ({ bytes, ageMs: 1 })),
      { ageMs: 1, days: 1 },
      { bytes: undefined },
      [1],
      1,
      ...NONSENSE,
    ],
  },
  onWarning: { good: [() => {}], bad: [1, null, 'x', {}] },
};

async function expectBadOption(root: string, options: unknown, name: string): Promise<void> {
  const error = await errorOf(() => openTape(schema, options as TapeOptions));
  expect(error).toBeInstanceOf(TapeError);
  expect(error.code).toBe('BAD_OPTION');
  expect(error.message).toContain(name);
  expect(snapshot(root)).toEqual({});
}

describe.each(Object.entries(VALUES))('%s', (name, { bad }) => {
  test('out of its range, or of another type, is refused by name, and nothing is made', async () => {
    const root = scratch();
    const storage = [path.join(root, 'd0'), path.join(root, 'd1')];
    for (const value of bad) await expectBadOption(root, { storage, [name]: value }, name);
  });
});

test.each([0, 1, 2, 3, 4, 5])('at the ends of their ranges all are taken together (%i)', async (which) => {
  const root = scratch();
  const storage = [path.join(root, 'd0'), path.join(root, 'd1')];
  const chosen = Object.entries(VALUES).map(([name, { good }]) => [name, good[which % Math.max(1, good.length)]]);
  const tape = await openTape(schema, { storage, ...Object.fromEntries(chosen) });
  tape.append(1n, 2);
  await tape.flush();
  expect(tape.stats().records).toBe(1);
  await tape.close();
});

test('an option that is undefined is left out', async () => {
  const undefineds = Object.fromEntries(Object.keys(VALUES).map((name) => [name, undefined]));
  const tape = await openTape(schema, { storage: [scratch()], ...undefineds });
  expect(tape.stats()).toMatchObject({ journal: 'mapped', redundancy: 1 });
  await tape.close();
});

describe('storage', () => {
  test.each<[string, unknown]>([
    ['left out', undefined],
    ['one string', './d0'],
    ['nothing', []],
    ['more than 64 directories', Array.from({ length: 65 }, (_, i) => `d${i}`)],
    ['no string', [1]],
    ['no string, among others', ['d0', null]],
    ['an empty one', ['']],
    ['an object', { 0: 'd0', length: 1 }],
  ])('%s is refused', async (_, storage) => {
    await expectBadOption(scratch(), { storage }, 'storage');
  });

  test('may be 64 directories', async () => {
    const root = scratch();
    const storage = Array.from({ length: 64 }, (_, i) => path.join(root, `d${i}`));
    const tape = await openTape(schema, { storage, segmentBytes: 1024 ** 2, capacity: 16, maxSymbols: 100 });
    tape.append(1n, 2);
    await tape.close();
    expect(await reopen(schema, { storage, segmentBytes: 1024 ** 2, capacity: 16 })).toMatchObject({ lanes: 0 });
  });
});

test('an option that there is not is refused by name, also for a reader', async () => {
  const root = scratch();
  const storage = [path.join(root, 'd0')];
  for (const name of ['redundency', 'Storage', 'level', 'constructor', '']) {
    await expectBadOption(root, { storage, [name]: 1 }, name);
    await expectBadOption(root, { storage, readOnly: true, [name]: 1 }, name);
  }
});

test.each<[string, unknown]>([
  ['none', undefined],
  ['null', null],
  ['a path', './d0'],
  ['a number', 5],
])('options that are %s are refused', async (_, options) => {
  await expectBadOption(scratch(), options, 'options');
});

test('options that together need more memory than WASM has are refused before anything is made', async () => {
  const root = scratch();
  const storage = [path.join(root, 'd0')];
  for (const options of [{ capacity: 1_000_000 }, { laneBytes: 1024 ** 3 }, { laneBytes: 32 * 1024 ** 2 }]) {
    await expectBadOption(root, { storage, ...options }, 'MiB');
  }
  const large = defineSchema('large', timestamp('ts'), symbol('s'), text('t'));
  const error = await errorOf(() => openTape(large, { storage, capacity: 200_000 }));
  expect(error.code).toBe('BAD_OPTION');
  expect(snapshot(root)).toEqual({});
});

test('the default redundancy is 2, and 1 on a single storage node', async () => {
  for (const [nodes, redundancy] of [
    [1, 1],
    [2, 2],
    [4, 2],
  ]) {
    const root = scratch();
    const storage = Array.from({ length: nodes }, (_, i) => path.join(root, `d${i}`));
    const tape = await openTape(schema, { storage, segmentBytes: 1024 ** 2 });
    expect(tape.stats().redundancy).toBe(redundancy);
    await tape.close();
  }
});
