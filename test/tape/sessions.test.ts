import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  type AppenderHandle,
  bytes,
  decimal,
  defineSchema,
  openAppender,
  openTape,
  symbol,
  type TapeOptions,
  text,
  timestamp,
  u8,
  u32,
} from 'ticktape';
import { describe, expect, test } from 'vitest';
import { copyOf, filesOf, scratch } from '../helpers/scratch.js';
import { errorOf, readAll, recordsOf } from '../helpers/tape.js';

const schema = defineSchema(
  'trade',
  timestamp('ts'),
  u8('lane'),
  symbol('s'),
  decimal('p', 2),
  u32('n'),
  text('note'),
  bytes('b'),
);
const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 1000, laneBytes: 65_536, flushIntervalMs: 0 };

const rowOf = (n: number, lane = 0) =>
  [BigInt(n) * 1000n, lane, `S${n % 7}`, n / 100, n, '📈'.repeat(n % 3), new Uint8Array(n % 5).fill(n)] as const;
const recordOf = (n: number, lane = 0) => {
  const [ts, , s, p, , note, b] = rowOf(n, lane);
  return { ts, lane, s, p, n, note, b };
};
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

const journals: [string, Partial<TapeOptions>][] = [
  ['a mapped journal', { journalMode: 'mapped' }],
  ['a buffered journal', { journalMode: 'buffered' }],
  ['its flusher on the same thread', { journalMode: 'mapped', flusher: 'inline' }],
  ['its flusher on the same thread and a buffered journal', { journalMode: 'buffered', flusher: 'inline' }],
];

describe.each(journals)('with %s', (_, mode) => {
  const open = (storage: readonly string[], options: Partial<TapeOptions> = {}) =>
    openTape(schema, { storage, ...SMALL, ...mode, ...options });

  test('what is appended is read, in this session and the next ones, with sequences that go on', async () => {
    const storage = [scratch(), scratch()];
    let next = 0;
    for (const count of [0, 1, 40, 0, 100]) {
      const tape = await open(storage, { capacity: 16 });
      expect((await recordsOf(tape)).length).toBe(next);
      for (const n of upTo(count)) tape.append(...rowOf(next + n));
      next += count;
      if (count !== 40) await tape.flush();
      await tape.close();
      const records = await readAll(schema, storage);
      expect(records).toEqual(upTo(next).map((n) => ({ sequence: BigInt(n), ...recordOf(n) })));
    }
    // The epoch counts the openings.
    expect(JSON.parse(readFileSync(path.join(storage[0], 'journal', 'tape.json'), 'utf8')).epoch).toBe(5);
  });

  test('an empty tape', async () => {
    const storage = [scratch()];
    const tape = await open(storage);
    await tape.flush();
    expect(await recordsOf(tape)).toEqual([]);
    expect(await tape.verify()).toMatchObject({
      blocks: 0,
      copies: 0,
      damaged: [],
      missing: [],
      underReplicated: 0,
      damagedSegments: [],
    });
    expect(tape.stats()).toMatchObject({ records: 0, blocks: 0, rawBytes: 0, storedBytes: 0, compressionRatio: 0 });
    await tape.close();
    expect(await readAll(schema, storage)).toEqual([]);
    expect(filesOf(storage[0], /ttseg|ttlane|tmp/)).toEqual([]);
  });

  test('one record', async () => {
    const storage = [scratch()];
    const tape = await open(storage);
    expect(tape.append(...rowOf(5))).toBe(0);
    await tape.flush();
    expect(await recordsOf(tape)).toEqual([recordOf(5)]);
    await tape.close();
    expect(await readAll(schema, storage)).toEqual([{ sequence: 0n, ...recordOf(5) }]);
  });

  test('64 lanes and no more, and one that its appender has left again once it is flushed', async () => {
    const storage = [scratch()];
    const tape = await open(storage);
    const handles = Array.from({ length: 63 }, () => tape.appenderHandle());
    expect(handles.map(({ lane }) => lane)).toEqual(upTo(64).slice(1));
    expect(() => tape.appenderHandle()).toThrow(expect.objectContaining({ name: 'TapeError', code: 'NO_LANE' }));
    const appenders = handles.map((handle) => openAppender(schema, handle));
    for (const [i, { append }] of appenders.entries()) append(...rowOf(i, i + 1));

    appenders[10].close();
    appenders[10].close();
    expect(() => appenders[10].append(...rowOf(0))).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    // What is in it is not yet in a block.
    expect(() => tape.appenderHandle()).toThrow(expect.objectContaining({ code: 'NO_LANE' }));
    await tape.flush();
    const handle = tape.appenderHandle();
    expect(handle.lane).toBe(11);
    openAppender(schema, handle).append(...rowOf(99, 11));
    expect(() => tape.appenderHandle()).toThrow(expect.objectContaining({ code: 'NO_LANE' }));
    await tape.close();

    const records = (await readAll(schema, storage)).map(({ lane, n }) => [lane, n]);
    expect(records.slice(0, 63).sort(([a], [b]) => (a as number) - (b as number))).toEqual(
      upTo(63).map((i) => [i + 1, i]),
    );
    expect(records.slice(63)).toEqual([[11, 99]]);
  });

  test('closing twice is closing once; what comes after is CLOSED', async () => {
    const storage = [scratch()];
    const tape = await open(storage);
    const appender = openAppender(schema, tape.appenderHandle());
    appender.append(...rowOf(0));
    tape.append(...rowOf(1));
    const closing = [tape.close(), tape.close()];
    const closed = expect.objectContaining({ name: 'TapeError', code: 'CLOSED' });
    // From the call on, not from when it is done.
    expect(() => tape.append(...rowOf(2))).toThrow(closed);
    await expect((async () => tape.flush())()).rejects.toThrow(closed);
    await Promise.all(closing);
    await tape.close();
    for (let i = 0; i < 3; i++) {
      expect(() => tape.append(...rowOf(2))).toThrow(closed);
      expect(() => appender.append(...rowOf(2))).toThrow(closed);
    }
    await expect((async () => tape.flush())()).rejects.toThrow(closed);
    expect(() => tape.appenderHandle()).toThrow(closed);
    expect((await readAll(schema, storage)).map(({ n }) => n)).toEqual([0, 1]);
  });

  test('an appender whose tape is closed says CLOSED, whatever it does with a full lane', async () => {
    const storage = [scratch()];
    const tape = await open(storage);
    const appenders = (['wait', 'drop', 'throw'] as const).map((onFull) =>
      openAppender(schema, { ...tape.appenderHandle(), onFull } as AppenderHandle),
    );
    await tape.close();
    for (const appender of appenders) {
      for (let n = 0; n < 3; n++) {
        expect(() => appender.append(...rowOf(n))).toThrow(expect.objectContaining({ code: 'CLOSED' }));
      }
    }
    expect(await readAll(schema, storage)).toEqual([]);
  });

  test('`await using` closes it', async () => {
    const storage = [scratch()];
    {
      await using tape = await open(storage);
      tape.append(...rowOf(3));
    }
    expect((await readAll(schema, storage)).length).toBe(1);
    // And the lock is free.
    await using again = await open(storage);
    expect(again.stats().recovery.lanes).toBe(0);
  });

  test('close while flushes are pending: all of them resolve, and all is there', async () => {
    const storage = [scratch()];
    const tape = await open(storage, { capacity: 16 });
    const pending: Promise<unknown>[] = [];
    for (let i = 0; i < 20; i++) {
      for (const n of upTo(50)) tape.append(...rowOf(50 * i + n));
      pending.push(tape.flush());
    }
    const closing = tape.close();
    await Promise.all([...pending, closing]);
    expect((await readAll(schema, storage)).map(({ n }) => n)).toEqual(upTo(1000));
  });

  test('its figures are those of what was done', async () => {
    const storage = [scratch(), scratch(), scratch()];
    const tape = await open(storage, { redundancy: 2, capacity: 25, compression: 'off' });
    const appender = openAppender(schema, tape.appenderHandle());
    for (const n of upTo(60)) tape.append(...rowOf(n));
    for (const n of upTo(15)) appender.append(...rowOf(n, 1));
    await tape.flush();
    const { lanes, storageNodes, ...stats } = tape.stats();
    expect(stats).toMatchObject({ redundancy: 2, records: 75, trouble: null, damage: [] });
    expect(stats.journal).toBe(mode.journalMode);
    expect(stats.blocks).toBeGreaterThanOrEqual(3);

    // 24 of header, timestamp; p, s, n, the two lengths, the lane: 16 + 8 + 8 + 4 * 4 + 1, and the bytes of two fields.
    const sizeOf = (n: number) => Math.ceil((49 + 7 + 4 * (n % 3) + (n % 5)) / 8) * 8;
    const sizes = [upTo(60), upTo(15)].map((numbers) => numbers.reduce((sum, n) => sum + sizeOf(n), 0));
    expect(stats.rawBytes).toBe(sizes[0] + sizes[1]);
    expect(stats.compressionRatio).toBe(stats.rawBytes / stats.storedBytes);
    expect(
      lanes.map(({ lane, head, drained, tail, records, drops }) => ({ lane, head, drained, tail, records, drops })),
    ).toEqual(
      sizes.map((size, lane) => {
        const end = BigInt(size);
        return { lane, head: end, drained: end, tail: end, records: [60n, 15n][lane], drops: 0n };
      }),
    );
    expect(storageNodes.map(({ path: directory }) => directory)).toEqual(storage);
    const sum = (of: 'blocks' | 'bytes' | 'errors') => storageNodes.reduce((total, node) => total + node[of], 0);
    expect([sum('blocks'), sum('bytes'), sum('errors')]).toEqual([2 * stats.blocks, 2 * stats.storedBytes, 0]);
    const verdict = await tape.verify();
    expect(verdict).toMatchObject({
      blocks: stats.blocks,
      copies: 2 * stats.blocks,
      damaged: [],
      missing: [],
      underReplicated: 0,
      damagedSegments: [],
    });
    await tape.close();
  });

  test('a tape of the same directories by another path is the same tape', async () => {
    const root = scratch();
    const tape = await open([path.join(root, 'd0')]);
    tape.append(...rowOf(0));
    await tape.close();
    const moved = copyOf(root);
    const again = await open([path.relative(process.cwd(), path.join(moved, 'd0'))]);
    expect((await recordsOf(again)).length).toBe(1);
    await again.close();
  });
});

test('a buffered journal keeps what is appended, some milliseconds later', async () => {
  const root = scratch();
  const tape = await openTape(schema, { storage: [root], ...SMALL, journalMode: 'buffered' });
  expect(tape.stats().journal).toBe('buffered');
  for (const n of upTo(100)) tape.append(...rowOf(n));
  // Until its lane's file says so; the time it takes is not promised.
  const [lane] = filesOf(root, /\.ttlane$/);
  const tail = () => readFileSync(lane).readBigUInt64LE(128);
  while (tail() < tape.stats().lanes[0].tail) await new Promise((resolve) => setTimeout(resolve, 5));
  const copy = copyOf(root);
  // And what it let go of, also where nothing is appended any more.
  await tape.flush();
  while (readFileSync(lane).readBigUInt64LE(512) < tape.stats().lanes[0].tail) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await tape.close();
  const again = await openTape(schema, { storage: [copy], ...SMALL, journalMode: 'mapped' });
  expect(again.stats().journal).toBe('mapped');
  expect(again.stats().recovery).toMatchObject({ lanes: 1, records: 100, damagedBytes: 0 });
  expect((await recordsOf(again)).map(({ n }) => n)).toEqual(upTo(100));
  await again.close();
});

test('with every block on the disk before flush returns, all works as well', async () => {
  const storage = [scratch(), scratch()];
  for (const round of upTo(2)) {
    const tape = await openTape(schema, { storage, ...SMALL, capacity: 16, durability: 'disk', syncIntervalMs: 1 });
    for (const n of upTo(100)) tape.append(...rowOf(100 * round + n));
    await tape.flush();
    expect(tape.stats().records).toBe(100);
    await tape.close();
  }
  expect((await readAll(schema, storage)).map(({ n }) => n)).toEqual(upTo(200));
});

describe('handles', () => {
  test('of another schema are refused', async () => {
    const tape = await openTape(schema, { storage: [scratch()], ...SMALL });
    const other = defineSchema('trade', timestamp('ts'), u8('lane'));
    const error = await errorOf(() => openAppender(other, tape.appenderHandle()));
    expect(error).toMatchObject({ name: 'TapeError', code: 'SCHEMA_MISMATCH' });
    await tape.close();
  });

  test('survive being cloned, and have a clock', async () => {
    const tape = await openTape(schema, { storage: [scratch()], ...SMALL });
    const handle = structuredClone(tape.appenderHandle());
    const appender = openAppender(schema, handle);
    const before = appender.now();
    appender.append(...rowOf(1));
    expect(appender.now()).toBeGreaterThanOrEqual(before);
    expect(tape.now()).toBeGreaterThan(1_600_000_000_000_000_000n);
    expect(appender.backlog()).toBeGreaterThanOrEqual(0);
    await tape.flush();
    expect(appender.backlog()).toBe(0);
    expect((await recordsOf(tape)).length).toBe(1);
    await tape.close();
  });
});

test('blocks are sealed by themselves when they are full or old', async () => {
  const storage = [scratch()];
  const tape = await openTape(schema, { storage, ...SMALL, capacity: 16, flushIntervalMs: 0 });
  for (const n of upTo(32)) tape.append(...rowOf(n));
  while (tape.stats().records < 32) await new Promise((resolve) => setTimeout(resolve, 2));
  expect(tape.stats().blocks).toBe(2);
  tape.append(...rowOf(32));
  await tape.close();
  const young = await openTape(schema, { storage, ...SMALL, capacity: 16, flushIntervalMs: 10 });
  young.append(...rowOf(33));
  while (young.stats().records < 1) await new Promise((resolve) => setTimeout(resolve, 2));
  expect((await recordsOf(young)).map(({ n }) => n)).toEqual(upTo(34));
  await young.close();
});
