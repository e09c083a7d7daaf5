import { statSync } from 'node:fs';
import { bytes, defineSchema, openTape, type Tape, type TapeOptions, timestamp, u32 } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { describe, expect, test } from 'vitest';
import { Retention } from '../../dist/src/storage/retention.js';
import { survey } from '../../dist/src/storage/survey.js';
import { Child, childSchema } from '../helpers/child.js';
import { expectRedundant, LiveTape, storageOf, trade } from '../helpers/crashed.js';
import { filesOf, scratch } from '../helpers/scratch.js';
import { readAll, recordsOf } from '../helpers/tape.js';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Segments of a block or two. */
const TINY: Partial<TapeOptions> = {
  capacity: 16,
  segmentMaxAgeMs: 1,
  flushIntervalMs: 0,
  syncIntervalMs: 10,
  maxSymbols: 1000,
};
const AGE_MS = 400;

type Trade = (typeof trade)['fields'];

/** Records and flushes until `enough`, ten records at a time, and adds to their `times`; answers how many there are. */
async function recordUntil(tape: Tape<Trade>, enough: () => boolean, times: bigint[] = []): Promise<number> {
  for (const limitMs = performance.now() + 20_000; !enough(); ) {
    for (let i = 0; i < 10; i++) {
      const ts = tape.now();
      tape.append(ts, 0, 'S', times.length, times.length);
      times.push(ts);
    }
    await tape.flush();
    await pause(5);
    expect(performance.now(), 'it takes too long').toBeLessThan(limitMs);
  }
  return times.length;
}

const inRow = (found: readonly { sequence: bigint; [field: string]: unknown }[]) =>
  found.every(({ sequence, n }, i) => sequence === found[0].sequence + BigInt(i) && n === Number(sequence));

describe.each(['mapped', 'copied'] as const)('records older than ageMs (read: %s)', (read) => {
  test('go from all storage nodes, and no younger one does, for any reader', async () => {
    const root = scratch();
    const storage = storageOf(root, 3);
    const options = { storage, read, ...TINY, retention: { ageMs: AGE_MS } };
    const tape = await openTape(trade, options);
    const early = await openTape(trade, { storage, read, readOnly: true });
    const times: bigint[] = [];
    await recordUntil(tape, () => tape.stats().records >= 100, times);
    expect((await recordsOf(early))[0].n).toBeTypeOf('number');
    const isDropping = () => {
      const { firstSequence, segments } = tape.stats().retention;
      return firstSequence >= 400n && segments > 40;
    };
    const count = await recordUntil(tape, isDropping, times);
    const { retention, damage } = tape.stats();
    for (const collected of [() => readAll(trade, storage), () => collect(early), () => collect(tape)]) {
      const found = await collected();
      // What goes while it is read may be missing in between.
      const { firstSequence } = tape.stats().retention;
      expect(inRow(found.filter(({ sequence }) => sequence >= firstSequence))).toBe(true);
      expect(found[0].sequence >= retention.firstSequence).toBe(true);
      expect(found.at(-1)!.n).toBe(count - 1);
    }
    const [oldest] = await collect(early);
    // By now nothing younger had gone.
    const youngNs = runtime.nowNs() - BigInt(AGE_MS) * 1_000_000n;
    const young = times.findIndex((ts) => ts >= youngNs);
    expect(oldest.n).toBeLessThanOrEqual(young < 0 ? times.length : young);
    expect(damage).toEqual([]);
    expect(early.damage).toEqual([]);
    expect(await early.verify({ redundancy: 2 })).toMatchObject({ damaged: [], missing: [], underReplicated: 0 });
    expect(retention.records).toBe(Number(retention.firstSequence));
    await early.close();
    await tape.close();

    // A session that drops nothing goes on from there.
    const { retention: _, ...without } = options;
    const next = await openTape(trade, without);
    const mark = next.stats().retention.firstSequence;
    expect(mark >= retention.firstSequence).toBe(true);
    next.append(next.now(), 0, 'S', 1, count);
    await next.close();
    const found = await readAll(trade, storage);
    expect(inRow(found)).toBe(true);
    expect([found[0].sequence, found.at(-1)!.n]).toEqual([mark, count]);
    await expectRedundant(storage, 2);
  });
});

async function collect(tape: { scan: Tape<Trade>['scan'] }): Promise<{ sequence: bigint; [field: string]: unknown }[]> {
  const found = [];
  for await (const batch of tape.scan()) {
    for (let row = 0; row < batch.length; row++) found.push({ sequence: batch.sequence(row), ...batch.record(row) });
  }
  return found;
}

test('what is recorded today is of today, whatever its timestamps say', async () => {
  const storage = storageOf(scratch(), 2);
  const tape = await openTape(trade, { storage, ...TINY, retention: { ageMs: 3_600_000 } });
  for (let n = 0; n < 100; n++) {
    tape.append(BigInt(n), 0, 'S', n, n);
    if (n % 10 === 9) await tape.flush();
  }
  await pause(500);
  expect(tape.stats().retention).toMatchObject({ firstSequence: 0n, records: 0, segments: 0 });
  await tape.close();
  expect(await readAll(trade, storage)).toHaveLength(100);
});

test('timestamps of the future keep what follows them', async () => {
  const storage = storageOf(scratch(), 2);
  const tape = await openTape(trade, { storage, ...TINY, retention: { ageMs: 50 } });
  tape.append(tape.now() + 10n ** 18n, 0, 'S', 0, 0);
  await tape.flush();
  await pause(5);
  for (let n = 1; n < 100; n++) {
    tape.append(tape.now(), 0, 'S', n, n);
    if (n % 10 === 9) await tape.flush();
  }
  await pause(500);
  expect(tape.stats().retention.firstSequence).toBe(0n);
  await tape.close();
});

test('segments of no more than `bytes` stay, the newest', async () => {
  const noise = defineSchema('noise', timestamp('ts'), u32('n'), bytes('noise'));
  const root = scratch();
  const storage = storageOf(root, 3);
  const limit = 5 * 1024 ** 2;
  const tape = await openTape(noise, {
    storage,
    segmentBytes: 1024 ** 2,
    retention: { bytes: limit },
    maxSymbols: 1000,
  });
  const sizes = () =>
    filesOf(root, /\.ttseg$/).reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
  const content = new Uint8Array(4096);
  let n = 0;
  for (; n < 3000; n++) {
    crypto.getRandomValues(content);
    tape.append(tape.now(), n, content);
    if (n % 100 === 99) await tape.flush();
  }
  // 24 MB in two copies.
  for (const limitMs = performance.now() + 20_000; sizes() > limit; await pause(50)) {
    expect(performance.now()).toBeLessThan(limitMs);
  }
  const { retention, storedBytes } = tape.stats();
  expect(retention.bytes).toBeGreaterThan(storedBytes);
  const found = await readAll(noise, storage);
  expect(found.map(({ sequence }) => sequence)).toEqual(
    Array.from({ length: n - Number(retention.firstSequence) }, (_, i) => retention.firstSequence + BigInt(i)),
  );
  // No more went than had to.
  expect(found.length * 4096).toBeGreaterThan(limit / 8);
  await tape.close();
  expect(sizes()).toBeLessThan(limit + 3 * 64 * 1024);
});

describe('nothing goes', () => {
  test('of an empty tape', async () => {
    const storage = storageOf(scratch(), 2);
    for (let session = 0; session < 2; session++) {
      const tape = await openTape(trade, { storage, ...TINY, retention: { ageMs: 1, bytes: 1024 ** 2 } });
      await pause(200);
      expect(tape.stats().retention).toEqual({ firstSequence: 0n, records: 0, segments: 0, bytes: 0 });
      await tape.close();
    }
    expect(await readAll(trade, storage)).toEqual([]);
  });

  test('of the segments that are being written, though all of them are old', async () => {
    const storage = storageOf(scratch(), 2);
    const tape = await openTape(trade, { storage, ...TINY, segmentMaxAgeMs: 3_600_000, retention: { ageMs: 1 } });
    const count = await recordUntil(tape, () => tape.stats().records >= 100);
    await pause(300);
    expect(tape.stats().retention.firstSequence).toBe(0n);
    expect(await collect(tape)).toHaveLength(count);
    await tape.close();
  });
});

test('a reader in another process finds what is left, whenever it looks', async () => {
  const storage = storageOf(scratch(), 3);
  const tape = await openTape(childSchema, { storage, ...TINY, retention: { ageMs: 200 } });
  const child = new Child({ storage, readOnly: true });
  await child.tell('open');
  let n = 0;
  let looks = 0;
  for (const limitMs = performance.now() + 20_000; tape.stats().retention.firstSequence < 300n || looks < 20; ) {
    for (let i = 0; i < 10; i++) tape.append(tape.now(), 'S', n++);
    await tape.flush();
    const { firstSequence } = tape.stats().retention;
    const { result, message } = await child.tell('read');
    expect(message).toBeUndefined();
    // It answers with their number where they begin with 0.
    const found = typeof result === 'number' ? Array.from({ length: result }, (_, i) => i) : (result as number[]);
    expect(found).toEqual(Array.from({ length: found.length }, (_, i) => n - found.length + i));
    expect(found.length).toBeGreaterThan(0);
    expect(found[0]).toBeGreaterThanOrEqual(Number(firstSequence));
    looks++;
    await pause(5);
    expect(performance.now()).toBeLessThan(limitMs);
  }
  await tape.close();
});

describe.each(['mapped', 'copied'] as const)('a scan that is under way (%s)', (read) => {
  test('gives what is left of it, in order, and finds nothing damaged or missing', async () => {
    const root = scratch();
    const live = await LiveTape.openIn(root, { nodes: 3, ...TINY });
    for (let block = 0; block < 60; block++) {
      live.append(10);
      await live.tape.flush();
      await pause(2);
    }
    await live.tape.close();
    const storage = storageOf(root, 3);
    const reader = await openTape(trade, { storage, read, readOnly: true });
    const scans = [reader.scan(), reader.scan()];
    const sequences: bigint[][] = [[], []];
    const step = async (which: number) => {
      const { value, done } = await scans[which].next();
      if (!done) for (let row = 0; row < value.length; row++) sequences[which].push(value.sequence(row));
      return !done;
    };
    for (let i = 0; i < 3; i++) await step(0);
    await step(1);
    const verifying = reader.verify({ redundancy: 2 });
    const mark = await dropOld(storage);
    expect(mark > 300n).toBe(true);
    while (await step(0));
    // Another scan forgets the segments that the first ones were to read.
    const rest = await collect(reader);
    while (await step(1));
    for (const found of sequences) {
      expect(found.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, i) => BigInt(i)));
      expect(found.every((sequence, i) => i === 0 || sequence > found[i - 1])).toBe(true);
      expect(found.filter((sequence) => sequence >= mark)).toEqual(rest.map(({ sequence }) => sequence));
    }
    expect(rest[0].sequence).toBe(mark);
    expect(rest.at(-1)!.sequence).toBe(599n);
    expect(await verifying).toMatchObject({ damaged: [], missing: [], underReplicated: 0 });
    expect(reader.damage).toEqual([]);
    await reader.close();
  });
});

/** Drops all that may go of a tape that nobody writes; answers the mark. */
async function dropOld(storage: readonly string[]): Promise<bigint> {
  const { directories, journal, roster } = survey(runtime.files, storage, undefined);
  let mark = 0n;
  const retention = new Retention({
    files: runtime.files,
    directories,
    journal,
    policy: { bytes: 1 },
    epoch: roster!.epoch,
    firstSequence: 0n,
    skipped: [],
    nowNs: () => runtime.nowNs(),
    nowMs: () => performance.now(),
    isAside: () => false,
    onDropped: ({ firstSequence }) => {
      mark = firstSequence;
    },
    onTrouble: (error) => {
      throw error;
    },
  });
  await retention.run(roster!.nextSequence);
  return mark;
}

test('killed again and again while it drops, a tape has its newest records, in a row, in two copies each', async () => {
  const root = scratch();
  const storage = storageOf(root, 3);
  let last = -1;
  let marked = 0n;
  for (let round = 0; round < 4; round++) {
    const child = new Child({ storage, ...TINY, retention: { ageMs: 60 } });
    expect(await child.tell('open')).toMatchObject({ result: { warnings: [] } });
    for (let i = 0; i < 30 + 7 * round; i++) {
      await child.tell('append', 10);
      await child.tell('flush');
      await pause(4);
    }
    await child.kill();
    const found = await readAll(childSchema, storage);
    expect(found.every(({ sequence }, i) => sequence === found[0].sequence + BigInt(i))).toBe(true);
    expect(found[0].sequence >= marked).toBe(true);
    marked = found[0].sequence;
    expect(Number(found.at(-1)!.sequence)).toBeGreaterThan(last);
    last = Number(found.at(-1)!.sequence);
  }
  expect(marked > 0n).toBe(true);
  const tape = await openTape(childSchema, { storage, ...TINY });
  expect(tape.stats().damage).toEqual([]);
  expect(await tape.verify()).toMatchObject({ damaged: [], missing: [], underReplicated: 0 });
  await tape.close();
});
