import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { type CollectorEvent, defineSchema, openTape, type TapeOptions, timestamp, u8, u32 } from 'ticktape';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Backoff } from '../../dist/src/collect/backoff.js';
import { sampled } from '../../dist/src/collect/context.js';
import { copyOf, scratch } from '../helpers/scratch.js';
import { errorOf, recordsOf } from '../helpers/tape.js';

const schema = defineSchema('collected', timestamp('ts'), u8('collector'), u32('n'));
const source = new URL('source.mjs', import.meta.url);
const small = { segmentBytes: 1024 ** 2, laneBytes: 65_536, maxSymbols: 100 };
const restart = { firstMs: 5, mostMs: 20 };
const words = () => new SharedArrayBuffer(8);

async function open(options: Partial<TapeOptions> = {}) {
  const tape = await openTape(schema, { storage: [scratch()], ...small, onWarning: () => {}, ...options });
  onTestFinished(() => tape.close());
  return tape;
}

type Recorded = { ts: bigint; collector: number; n: number };

async function recorded(tape: Awaited<ReturnType<typeof open>>): Promise<Recorded[]> {
  await tape.flush();
  return (await recordsOf(tape)) as Recorded[];
}

const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n);

describe.each(['workers', 'inline'] as const)('threads: %s', (threads) => {
  test.each(['generates', 'appends'])(
    'a source that %s and ends: each collector has its own records, in order',
    async (how) => {
      const tape = await open();
      const events: CollectorEvent[] = [];
      const collection = await tape.collect(source, {
        collectors: 3,
        names: ['a', 'b', 'c'],
        options: (collector: number) => ({ how, count: 300 + collector }),
        threads,
        onEvent: (event) => events.push(event),
      });
      await collection.finished;
      const records = await recorded(tape);
      for (const collector of [0, 1, 2]) {
        const own = records.filter((record) => record.collector === collector);
        expect(own.map(({ n }) => n)).toEqual(upTo(300 + collector));
        for (let i = 1; i < own.length; i++) expect(own[i].ts).toBeGreaterThanOrEqual(own[i - 1].ts);
      }
      expect(collection.stats()).toMatchObject(
        ['a', 'b', 'c'].map((name, collector) => ({
          collector,
          name,
          state: 'ended',
          messages: 300 + collector,
          bytes: how === 'appends' ? 100 * (300 + collector) : 0,
          restarts: 0,
          gaps: 0,
        })),
      );
      expect(events.map(({ type }) => type).sort()).toEqual([...Array(3).fill('ended'), ...Array(3).fill('started')]);
      expect(tape.gaps()).toEqual([]);
      // Lanes that were left are taken by the next.
      const again = await tape.collect(source, { collectors: 3, options: { how, count: 1 }, threads });
      await again.finished;
      expect(tape.stats().lanes.length).toBeLessThanOrEqual(4);
      await again.stop();
      expect(tape.gaps()).toEqual([]);
    },
  );

  test('a source that throws is started again; what it misses is one gap, up to the first message', async () => {
    const tape = await open();
    const events: CollectorEvent[] = [];
    const options = { how: 'throws', shared: words(), failures: 2, count: 20 };
    const collection = await tape.collect(source, {
      options,
      restart,
      threads,
      onEvent: (event) => events.push(event),
    });
    await collection.finished;
    const records = await recorded(tape);
    expect(records.map(({ n }) => n)).toEqual([...upTo(20), ...upTo(20, 1000), ...upTo(20, 2000)]);
    for (let i = 1; i < records.length; i++) expect(records[i].ts).toBeGreaterThanOrEqual(records[i - 1].ts);
    const gaps = tape.gaps();
    expect(gaps).toMatchObject([
      { collector: 0, name: 'collector', reason: 'failed: failure 0' },
      { collector: 0, name: 'collector', reason: 'failed: failure 1' },
    ]);
    for (const [i, { fromNs, toNs }] of gaps.entries()) {
      expect(fromNs).toBe(records[20 * i + 19].ts);
      expect(toNs).toBe(records[20 * i + 20].ts);
    }
    expect(collection.stats()).toMatchObject([{ restarts: 2, gaps: 2, messages: 60, state: 'ended' }]);
    const failures = events.flatMap((event) => (event.type === 'failed' ? [event.error.message] : []));
    expect(failures).toEqual(['failure 0', 'failure 1']);
    expect(events.filter(({ type }) => type === 'restarted').length).toBe(2);
    expect(events.filter(({ type }) => type === 'gap').length).toBe(4);
  });

  test('stop: a source that waits for it ends, and what it has still got is on the tape; from then on is a gap', async () => {
    const root = scratch();
    const tape = await open({ storage: [root] });
    const collection = await tape.collect(source, { collectors: 2, options: { how: 'endless', count: 5 }, threads });
    const before = tape.now();
    await collection.stop();
    await collection.stop();
    await collection.finished;
    expect((await recorded(tape)).length).toBe(12);
    const [gap, ...others] = tape.gaps();
    expect(gap).toMatchObject({ collector: null, reason: 'not recording', toNs: null });
    expect(gap.fromNs).toBeGreaterThanOrEqual(before);
    expect(others).toEqual([]);
    await tape.close();
    const again = await open({ storage: [root] });
    expect(again.gaps()).toEqual([gap]);
    const next = await again.collect(source, { options: { how: 'endless', count: 5 }, threads });
    expect(again.gaps()).toMatchObject([{ fromNs: gap.fromNs, reason: 'not recording' }]);
    expect(again.gaps()[0].toNs).toBeGreaterThan(gap.fromNs);
    await again.close();
    await next.finished;
  });

  test('a generator that never ends is ended; closing the tape stops it', async () => {
    const tape = await open();
    const collection = await tape.collect(source, { options: { how: 'stubborn' }, threads });
    await tape.close();
    await collection.finished;
    expect(collection.stats()[0]).toMatchObject({ state: 'ended', restarts: 0 });
    expect(tape.stats().records).toBe(collection.stats()[0].messages);
  });

  test('rejected messages are counted and written down, each bounded', async () => {
    const rejectedFile = path.join(scratch(), 'rejected', 'feed.ndjson');
    const tape = await open();
    const collection = await tape.collect(source, { options: { how: 'rejects', count: 1, rejectedFile }, threads });
    await collection.finished;
    expect(collection.stats()[0].rejected).toBe(3);
    const lines = readFileSync(rejectedFile, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      { ts: expect.stringMatching(/^\d{4}-.*\.\d{9}Z$/), collector: 0, reason: 'broken', message: 'not JSON {' },
      { ts: expect.any(String), collector: 0, reason: 'not UTF-8', base64: '//4=' },
      { ts: expect.any(String), collector: 0, reason: 'too long', message: 'y'.repeat(65_536), length: 1_000_000 },
    ]);
  });

  test('a file of rejected messages that can not be written is an event, once', async () => {
    const directory = scratch();
    mkdirSync(path.join(directory, 'taken'));
    const events: CollectorEvent[] = [];
    const tape = await open();
    const collection = await tape.collect(source, {
      options: { how: 'rejects', count: 1 },
      rejectedFile: path.join(directory, 'taken'),
      threads,
      onEvent: (event) => events.push(event),
    });
    await collection.finished;
    expect(events.filter(({ type }) => type === 'trouble').length).toBe(1);
    expect(collection.stats()[0]).toMatchObject({ rejected: 3, restarts: 0 });
  });

  test('gaps that a source tells of: ended once, or with the source', async () => {
    const tape = await open();
    const collection = await tape.collect(source, { options: { how: 'gaps', name: 'btc' }, threads });
    await collection.finished;
    expect(tape.gaps()).toMatchObject([
      { collector: 0, name: 'btc', fromNs: 5n, toNs: 9n, reason: 'by hand' },
      { collector: 0, name: 'btc', fromNs: 7n, reason: 'open' },
    ]);
    expect(tape.gaps()[1].toNs).toBeGreaterThan(7n);
    expect(collection.stats()[0].gaps).toBe(2);
  });

  test('modules that are no sources: collect is rejected, and nothing runs', async () => {
    const tape = await open();
    const directory = scratch();
    const cases: [string, string | null, string][] = [
      ['missing.mjs', null, "can't be loaded"],
      ['broken.mjs', 'export default function (', "can't be loaded"],
      ['throws.mjs', 'throw new Error("at once")', 'at once'],
      ['empty.mjs', 'export const source = 1;', 'its default export must be a function'],
    ];
    for (const [name, text, message] of cases) {
      const file = path.join(directory, name);
      if (text !== null) writeFileSync(file, text);
      for (const given of [file, pathToFileURL(file)]) {
        const error = await errorOf(() => tape.collect(given, { collectors: 2, threads }));
        expect(error).toMatchObject({ code: 'BAD_SOURCE', message: expect.stringContaining(message) });
        expect(error.message).toContain(name);
      }
    }
    expect(tape.gaps()).toEqual([]);
    expect(tape.stats().lanes.length).toBeLessThan(5);
  });
});

test('a thread that dies leaves its lane to the next, once it is gone', async () => {
  const tape = await open();
  const options = { how: 'exits', shared: words(), failures: 2, count: 20 };
  const collection = await tape.collect(source, { options, restart });
  await collection.finished;
  expect((await recorded(tape)).map(({ n }) => n)).toEqual([...upTo(20), ...upTo(20, 1000), ...upTo(20, 2000)]);
  expect(collection.stats()).toMatchObject([{ restarts: 2, gaps: 2 }]);
  expect(tape.stats().lanes.length).toBe(2);
});

test('a thread that hangs is ended, and what it had appended is on the tape', async () => {
  const tape = await open();
  const collection = await tape.collect(source, { options: { how: 'blocks', count: 30 } });
  while (collection.stats()[0].messages < 30) await new Promise((resolve) => setTimeout(resolve, 5));
  await collection.stop();
  expect((await recorded(tape)).map(({ n }) => n)).toEqual(upTo(30));
});

test('what is left of a source that failed on this thread appends nothing any more', async () => {
  const tape = await open();
  const options = { how: 'lags', shared: words(), count: 3 };
  const collection = await tape.collect(source, { options, restart, threads: 'inline' });
  await collection.finished;
  expect((await recorded(tape)).map(({ n }) => n)).toEqual([...upTo(3), ...upTo(3, 1000)]);
  expect((globalThis as { late?: string }).late).toBe('CLOSED');
});

test('a session that died while collectors ran: from its last sign of life on nothing was recorded', async () => {
  const root = scratch();
  const tape = await open({ storage: [root] });
  const collection = await tape.collect(source, { options: { how: 'endless', count: 5 } });
  tape.gap({ collector: 0, name: 'x', reason: 'lasts', fromNs: 3n });
  const startedNs = tape.now();
  while (collection.stats()[0].messages < 5) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const copy = copyOf(root);
  const diedNs = tape.now();
  for (let opens = 0; opens < 2; opens++) {
    const again = await open({ storage: [copy] });
    const [lasting, gap, ...others] = again.gaps();
    expect(others).toEqual([]);
    expect(lasting).toMatchObject({ reason: 'lasts', toNs: gap.fromNs });
    expect(gap).toMatchObject({ collector: null, reason: 'not recording', toNs: null });
    expect(gap.fromNs).toBeGreaterThan(startedNs);
    expect(gap.fromNs).toBeLessThan(diedNs);
    await again.close();
  }
});

test('records that are dropped are one gap, until none was for a second', async () => {
  const tape = await open({ onFull: 'drop', flushIntervalMs: 0 });
  const collection = await tape.collect(source, { options: { how: 'appends', count: 5000 } });
  await collection.finished;
  const { drops } = tape.stats().lanes[1];
  expect(drops).toBeGreaterThan(0n);
  expect((await recorded(tape)).length + Number(drops)).toBe(5000);
  expect(tape.gaps()).toMatchObject([{ collector: 0, reason: 'the lane was full: records were dropped' }]);
});

test('one append in 1,024 is timed; from a drop on each is looked at; once closed they throw', () => {
  let clock = 0n;
  let isFull = false;
  let isDropping = false;
  const told: string[] = [];
  const watch = {
    nowNs: () => ++clock,
    timed: (ns: number) => void told.push(`${ns} ns`),
    dropped() {
      isDropping = true;
      told.push('dropped');
    },
    taken() {
      isDropping &&= told.length <= 6;
      return !isDropping;
    },
  };
  const { append, close } = sampled((a: number, b: number) => (isFull ? -1 : a + b), 2, watch);
  for (let i = 0; i < 2047; i++) expect(append(i, 1)).toBe(i + 1);
  expect(told).toEqual(['1 ns']);
  isFull = true;
  expect([append(1, 2), append(1, 2)]).toEqual([-1, -1]);
  isFull = false;
  for (let i = 0; i < 10; i++) expect(append(i, 1)).toBe(i + 1);
  expect(told).toEqual(['1 ns', 'dropped', 'dropped', ...Array(4).fill('1 ns')]);
  close();
  expect(() => append(1, 2)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  expect(() => append(1, 2)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
});

test('a tape that is closed while its collectors start: collect is rejected, and nothing was missed', async () => {
  const root = scratch();
  const tape = await open({ storage: [root] });
  const starting = errorOf(() => tape.collect(source, { collectors: 2, options: { how: 'endless' } }));
  await Promise.resolve();
  await tape.close();
  expect((await starting).code).toBe('CLOSED');
  const again = await open({ storage: [root] });
  expect(again.gaps()).toEqual([]);
  expect(await recorded(again)).toEqual([]);
});

test('options that are none', async () => {
  const tape = await open();
  for (const [name, options] of Object.entries({
    collectors: { collectors: 65 },
    names: { collectors: 2, names: ['a'] },
    'restart.firstMs': { restart: { firstMs: 0 } },
    threads: { threads: 'some' },
    onEvent: { onEvent: 5 },
  })) {
    const error = await errorOf(() => tape.collect(source, options as object));
    expect(error).toMatchObject({ code: 'BAD_OPTION', message: expect.stringContaining(`option ${name} is`) });
  }
  const error = await errorOf(() => tape.collect(source, { options: { how: () => {} } }));
  expect(error.code).toBe('BAD_SOURCE');
});

test('waits double up to the most, and begin anew after a good minute', () => {
  const backoff = new Backoff({ firstMs: 100, mostMs: 1000 }, () => 1);
  expect(Array.from({ length: 6 }, () => backoff.next(0))).toEqual([100, 200, 400, 800, 1000, 1000]);
  expect(backoff.next(60_000)).toBe(100);
  expect(new Backoff({}, () => 0).next(0)).toBe(50);
});
