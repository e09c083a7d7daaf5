import { decimal, defineSchema, Gap, openTape, optional, symbol, type Tape, text, timestamp } from 'ticktape';
import { describe, expect, test, vi } from 'vitest';
import { TapeBlocks } from '../../dist/src/read/reader.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf } from '../helpers/tape.js';

const schema = defineSchema('played', timestamp('ts'), symbol('s'), decimal('price', 2), optional(text('note')));
type Trades = Tape<(typeof schema)['fields']>;
const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 100, laneBytes: 262_144, flushIntervalMs: 0, capacity: 16 };
const START = 1_723_161_255_000_000_000n;
const MS = 1_000_000n;

/** Records that many ms after the start, in this order. */
async function tapeOf(times: readonly number[]): Promise<Trades> {
  const tape = await openTape(schema, { storage: [scratch()], ...SMALL });
  for (const [i, ms] of times.entries()) {
    tape.append(START + BigInt(Math.round(ms * 1e6)), `S${i % 3}`, i / 100, i % 2 === 0 ? null : `n${i}`);
  }
  await tape.flush();
  return tape;
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
/** Every tenth one earlier than the one before. */
const jumbled = upTo(200).map((i) => i + (i % 10 === 0 ? 15.5 : 0));

async function scanned(tape: Trades, options = {}): Promise<unknown[]> {
  const records: unknown[] = [];
  for await (const batch of tape.scan({ order: 'time', ...options })) records.push(...batch.records());
  return records;
}

describe('as fast as can be', () => {
  test('all records by time, in batches and one by one', async () => {
    const tape = await tapeOf(jumbled);
    const expected = await scanned(tape);
    expect(expected.length).toBe(200);
    for (const speed of ['max', Number.POSITIVE_INFINITY] as const) {
      const batched: unknown[] = [];
      for await (const batch of tape.replay({ speed })) batched.push(...batch.records());
      expect(batched).toEqual(expected);
      const single: unknown[] = [];
      for await (const record of tape.replay({ speed }).records()) single.push(record);
      expect(single).toEqual(expected);
    }
    await tape.close();
  });

  test('what is asked for, and no more', async () => {
    const tape = await tapeOf(jumbled);
    const asked = {
      from: START + 20n * MS,
      to: START + 150n * MS,
      symbols: ['S0', 'S2'],
      where: ['price<1.2'],
      columns: ['price', 'note'] as ('price' | 'note')[],
    };
    const expected = await scanned(tape, asked);
    expect(expected.length).toBeGreaterThan(50);
    const found: unknown[] = [];
    for await (const record of tape.replay({ ...asked, speed: 'max' }).records()) found.push(record);
    expect(found).toEqual(expected);
    await tape.close();
  });

  test('a replay can be run again, left, and asked for several records at once', async () => {
    const tape = await tapeOf(jumbled);
    const expected = await scanned(tape);
    const replay = tape.replay({ speed: 'max' });
    for (let i = 0; i < 2; i++) {
      let seen = 0;
      for await (const record of replay.records()) {
        expect(record).toEqual(expected[seen++]);
        if (seen === 50) break;
      }
      expect(seen).toBe(50);
    }
    const records = replay.records();
    const asked = await Promise.all(upTo(203).map(() => records.next()));
    expect(asked.map(({ value }) => value)).toEqual([...expected, undefined, undefined, undefined]);
    expect(asked.map(({ done }) => done)).toEqual([...expected.map(() => false), true, true, true]);
    const left = replay.records();
    await left.next();
    expect(await left.return!()).toEqual({ value: undefined, done: true });
    expect((await left.next()).done).toBe(true);
    await tape.close();
  });

  test('leaves the thread to others now and then', async () => {
    const tape = await tapeOf(jumbled);
    let turns = 0;
    const count = () => {
      turns++;
      timer = setTimeout(count);
    };
    let timer = setTimeout(count);
    for await (const _ of tape.replay({ speed: 'max' })) {
      const until = performance.now() + 5;
      while (performance.now() < until);
    }
    clearTimeout(timer);
    expect(turns).toBeGreaterThan(2);
    await tape.close();
  });
});

describe('at the pace of the timestamps', () => {
  // The machine may be busy: how late records come is measured by bench:replay. They never come too early, and all come.
  test.each([
    [1, 'records'],
    [4, 'records'],
    [0.5, 'batches'],
    [1, 'batches'],
  ] as const)('at speed %f none too early, in %s', async (speed, form) => {
    const tape = await tapeOf(upTo(60).map((i) => (i < 30 ? i : 2 * i)));
    const came: { ts: bigint; ms: number }[] = [];
    const replay = tape.replay({ speed });
    const startedMs = performance.now();
    if (form === 'records') {
      for await (const { ts } of replay.records()) came.push({ ts, ms: performance.now() });
    } else {
      for await (const { columns } of replay) for (const ts of columns.ts) came.push({ ts, ms: performance.now() });
    }
    expect(came.map(({ ts }) => ts)).toEqual(upTo(60).map((i) => START + BigInt(i < 30 ? i : 2 * i) * MS));
    for (const { ts, ms } of came) {
      const due = Number(ts - START) / 1e6 / speed;
      expect(ms - startedMs).toBeGreaterThan(due - 0.01);
    }
    await tape.close();
  });

  test('to a consumer that is too slow records come late, together, in order, and none is left out', async () => {
    const tape = await tapeOf(upTo(100));
    const lengths: number[] = [];
    const times: bigint[] = [];
    for await (const batch of tape.replay()) {
      lengths.push(batch.length);
      times.push(...batch.columns.ts);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    expect(times).toEqual(upTo(100).map((i) => START + BigInt(i) * MS));
    // What is due is cut where a block ends.
    expect(lengths.length).toBeLessThan(40);
    await tape.close();
  });

  test('a signal ends it at once, with its reason', async () => {
    const tape = await tapeOf([0, 3_600_000]);
    for (const form of ['batches', 'records']) {
      const controller = new AbortController();
      const replay = tape.replay({ signal: controller.signal });
      const items = form === 'batches' ? replay[Symbol.asyncIterator]() : replay.records();
      expect((await items.next()).done).toBe(false);
      setTimeout(() => controller.abort(new Error('enough')), 20);
      // The next record is due in an hour.
      expect((await errorOf(() => items.next())).message).toBe('enough');
      expect((await errorOf(() => tape.replay({ signal: controller.signal }).records().next())).message).toBe('enough');
    }
    await tape.close();
  });
});

test('gaps come as their beginning is due', async () => {
  const tape = await tapeOf([0, 10, 20, 30]);
  const gap = (ms: number) =>
    new Gap({ collector: null, name: '', fromNs: START + BigInt(ms) * MS, toNs: null, reason: 'x' });
  const gaps = [gap(-5), gap(15), gap(20), gap(99)];
  const spy = vi.spyOn(TapeBlocks.prototype, 'gaps').mockReturnValue(gaps);
  const expected = [-5, 'r0', 'r10', 15, 20, 'r20', 'r30', 99];
  const shown = (item: object) =>
    item instanceof Gap ? Number((item.fromNs - START) / MS) : `r${((item as { ts: bigint }).ts - START) / MS}`;
  for (const speed of [1, 'max'] as const) {
    const startedMs = performance.now();
    const single: unknown[] = [];
    for await (const item of tape.replay({ gaps: true, speed }).records()) single.push(shown(item));
    expect(single).toEqual(expected);
    if (speed === 1) expect(performance.now() - startedMs).toBeGreaterThan(90);
    const batched: unknown[] = [];
    for await (const item of tape.replay({ gaps: true, speed })) {
      if (item instanceof Gap) batched.push(shown(item));
      else batched.push(...[...item.records()].map(shown));
    }
    expect(batched).toEqual(expected);
  }
  const sequential: unknown[] = [];
  for await (const item of tape.scan({ gaps: true })) sequential.push(item instanceof Gap ? shown(item) : item.length);
  expect(sequential).toEqual([-5, 4, 15, 20, 99]);
  spy.mockRestore();
  await tape.close();
});

test('what is no speed is refused', async () => {
  const tape = await tapeOf([]);
  for (const speed of [0, -1, Number.NaN, 'fast', '1', null, 1n]) {
    expect(await errorOf(() => tape.replay({ speed: speed as number }))).toMatchObject({ code: 'BAD_OPTION' });
  }
  expect(await errorOf(() => tape.replay({ columns: ['none' as 'ts'] }))).toMatchObject({ code: 'BAD_OPTION' });
  await tape.close();
});
