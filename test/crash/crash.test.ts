import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { openTape } from 'ticktape';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SYMBOL_COUNT } from '../../dist/assembly/layout.js';
import { Checker, WRONGS } from './checker.mjs';
import { crash } from './harness.mjs';
import { planDeletion, planRound } from './plan.mjs';
import { hashOf, noteOf, payloadOf, plainSchema, priceOf, symbolOf, timestampOf } from './records.mjs';

const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node';

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'ticktape-crash-test-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

const storageIn = (directory: string) => [0, 1, 2, 3].map((i) => path.join(directory, `d${i}`));

describe('a process that is killed', () => {
  // Its first rounds have every ending once.
  const SEED = 53_620;
  /** In its first rounds, both repairers are killed. */
  const SEED_OF_DELETIONS = 607;

  test('loses nothing that it acknowledged, has nothing twice, and nothing out of order', async () => {
    const rounds = 6;
    const endings = Array.from({ length: rounds }, (_, round) => planRound(SEED, round).ending);
    expect(new Set(endings).size).toBe(6);
    const report = await crash({ runtime, rounds, workers: 3, seed: SEED });
    expect(report.failures).toEqual([]);
    expect(report).toMatchObject({ runtime, rounds, ...Object.fromEntries(WRONGS.map((wrong) => [wrong, 0])) });
    expect(report.acknowledged).toBeGreaterThan(0);
    expect(report.killed.appending).toBe(2);
  }, 180_000);

  test('loses nothing either when a storage node is deleted after each kill', async () => {
    const rounds = 3;
    const deletions = Array.from({ length: rounds }, (_, round) => planDeletion(SEED_OF_DELETIONS, round, 4));
    expect(new Set(deletions.map(({ repairer }) => repairer)).size).toBe(2);
    expect(deletions.flatMap(({ killedRepairs }) => killedRepairs).length).toBe(2);
    const report = await crash({ runtime, rounds, workers: 3, seed: SEED_OF_DELETIONS, deleting: true });
    expect(report.failures).toEqual([]);
    expect(report).toMatchObject({ rounds, deleted: rounds, underReplicated: 0 });
    expect(report).toMatchObject(Object.fromEntries(WRONGS.map((wrong) => [wrong, 0])));
    expect(report.acknowledged).toBeGreaterThan(0);
  }, 180_000);

  test('is killed until so many kills struck', async () => {
    const report = await crash({ runtime, kills: 1, workers: 3, seed: SEED });
    expect(report.failures).toEqual([]);
    expect(report.kills).toBeGreaterThan(0);
    expect(report.kills).toBe(Object.values(report.killed).reduce((sum, kills) => sum + kills));
  }, 180_000);
});

describe('a recovery that was stopped', () => {
  const options = { redundancy: 2, capacity: 500, flushIntervalMs: 0, laneBytes: 65_536, maxSymbols: 64 };
  const segments = (directory: string) =>
    storageIn(directory).flatMap((storage) =>
      readdirSync(storage)
        .filter((name) => name.endsWith('.ttseg'))
        .map((name) => path.join(storage, name)),
    );
  const copy = (from: string, to: string) => {
    cpSync(path.join(scratch, from), path.join(scratch, to), { recursive: true });
    return path.join(scratch, to);
  };

  test('after it gave the sequence of a torn block to another one, is done again', async () => {
    const live = path.join(scratch, 'live');
    const tape = await openTape(plainSchema, { ...options, storage: storageIn(live) });
    for (let i = 0; i < 300; i++) tape.append(BigInt(i), 'BTCUSDT', 0, i, 0, 0);
    const torn = copy('live', 'torn');
    await tape.flush();
    const [segment] = segments(live);
    const bytes = readFileSync(segment);
    await tape.close();
    // One copy of the block, whose header is whole and whose last bytes are not there.
    const block = bytes.indexOf('TTBLOCK1');
    const end = block + Number(bytes.readBigUInt64LE(block + 72));
    bytes.fill(0, end - 40, end);
    writeFileSync(path.join(torn, path.relative(live, segment)), bytes);

    const once = copy('torn', 'once');
    const recovered = await openTape(plainSchema, { ...options, storage: storageIn(once) });
    expect(recovered.stats().recovery).toMatchObject({ records: 300, tornCopies: 1 });
    await recovered.close();

    // What was there before, and the blocks that recovery made.
    for (const file of segments(once)) {
      const target = path.join(torn, path.relative(once, file));
      if (!existsSync(target)) cpSync(file, target);
    }
    const again = await openTape(plainSchema, { ...options, storage: storageIn(torn) });
    expect(again.stats().recovery).toMatchObject({ records: 0, tornCopies: 1 });
    const counters: number[] = [];
    for await (const batch of again.scan()) counters.push(...batch.columns.counter);
    expect(counters).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(await again.verify()).toMatchObject({ blocks: 1, copies: 2, damaged: [], missing: [], underReplicated: 0 });
    await again.close();
  });
});

test('threads that use the same new symbols at once get one id a name', async () => {
  const WORKERS = 3;
  const NAMES = 3000;
  const storage = storageIn(scratch);
  const tape = await openTape(plainSchema, { storage, maxSymbols: NAMES });
  const gate = new SharedArrayBuffer(4);
  const workers = Array.from({ length: WORKERS }, (_, worker) => {
    const workerData = { handle: tape.appenderHandle(), worker, names: NAMES, gate };
    return new Worker(new URL('interner.mjs', import.meta.url), { workerData });
  });
  const all = (message: string) =>
    Promise.all(
      workers.map(
        (worker) =>
          new Promise<void>((resolve, reject) => {
            worker.on('message', (said) => said === message && resolve());
            worker.on('error', reject);
          }),
      ),
    );
  const done = all('done');
  await all('ready');
  Atomics.store(new Int32Array(gate), 0, 1);
  Atomics.notify(new Int32Array(gate), 0);
  await done;
  await Promise.all(workers.map((worker) => worker.terminate()));
  await tape.flush();

  const ids = new Map<string, Set<number>>();
  let records = 0;
  for await (const { length, columns } of tape.scan()) {
    for (let row = 0; row < length; row++, records++) {
      const name = columns.symbol.at(row);
      expect(name).toBe(`name ${columns.counter[row]}`);
      if (!ids.has(name)) ids.set(name, new Set());
      ids.get(name)!.add(columns.symbol.ids[row]);
    }
  }
  await tape.close();
  expect(records).toBe(WORKERS * NAMES);
  expect(ids.size).toBe(NAMES);
  expect([...ids.values()].every(({ size }) => size === 1)).toBe(true);
  expect(readFileSync(path.join(storage[0], 'journal', 'symbols.ttsym')).readUInt32LE(SYMBOL_COUNT)).toBe(NAMES);
});

describe('the checker', () => {
  const RECORD_SEED = 99;
  const COUNT = 10;

  function record(worker: number, counter: number) {
    const hash = hashOf(RECORD_SEED, worker, counter);
    return {
      ts: timestampOf(hash, counter),
      symbol: symbolOf(hash, counter),
      worker,
      counter,
      price: priceOf(hash),
      value: payloadOf(hash, counter),
      note: noteOf(hash),
    };
  }
  type Appended = ReturnType<typeof record>;

  const sound = () => Array.from({ length: 2 * COUNT }, (_, i) => record(i % 2, 1 + (i >> 1)));

  /** What it finds in records of two workers that acknowledged 8 of 10. */
  function check(records: Appended[], attempted = COUNT) {
    const checker = new Checker({
      recordSeed: RECORD_SEED,
      noted: true,
      acknowledged: [8, 8],
      attempted: [attempted, attempted],
    });
    records.forEach((each, i) => {
      checker.take({ ...each, sequence: BigInt(i) });
    });
    const found = checker.finish();
    return Object.fromEntries(WRONGS.flatMap((wrong) => (found[wrong] === 0 ? [] : [[wrong, found[wrong]]])));
  }

  const without = (gone: (each: Appended) => boolean) => sound().filter((each) => !gone(each));

  test('finds nothing where nothing is wrong', () => {
    expect(check(sound())).toEqual({});
    expect(check(without(({ counter }) => counter > 8))).toEqual({});
  });

  test('sees a record that is lost', () => {
    expect(check(without(({ worker, counter }) => worker === 1 && counter === 4))).toEqual({ lost: 1 });
    expect(check(without(({ worker, counter }) => worker === 0 && counter > 5))).toEqual({ lost: 3 });
    expect(check([])).toEqual({ lost: 16 });
  });

  test('sees a hole among those that were not acknowledged', () => {
    expect(check(without(({ worker, counter }) => worker === 0 && counter === 9))).toEqual({ holes: 1 });
  });

  test('sees a record that is there twice', () => {
    const records = sound();
    expect(check([...records, records[6]])).toEqual({ duplicated: 1 });
    expect(check(records.toSpliced(6, 0, records[6]))).toEqual({ duplicated: 1 });
  });

  test('sees a record behind a later one of its worker', () => {
    const records = sound();
    const [moved] = records.splice(4, 1);
    expect(check(records.toSpliced(9, 0, moved))).toEqual({ reordered: 1 });
  });

  test('sees a record that was altered, in any field', () => {
    const changes: Partial<Appended>[] = [
      { ts: 1n },
      { symbol: 'X' },
      { price: 0.5 },
      { value: -1 },
      { note: 'Hallo' },
    ];
    for (const change of changes) {
      expect(check(sound().map((each, i) => (i === 7 ? { ...each, ...change } : each)))).toEqual({ altered: 1 });
    }
  });

  test('sees a record that was never appended', () => {
    expect(check(sound(), 9)).toEqual({ unexpected: 2 });
    expect(check([...sound(), record(2, 1)])).toEqual({ unexpected: 1 });
    expect(check([...sound(), record(0, 0)])).toEqual({ unexpected: 1 });
  });

  test('sees a sequence that does not follow', () => {
    const checker = new Checker({ recordSeed: RECORD_SEED, noted: true, acknowledged: [0], attempted: [2] });
    checker.take({ ...record(0, 1), sequence: 0n });
    checker.take({ ...record(0, 2), sequence: 2n });
    expect(checker.finish()).toMatchObject({ misnumbered: 1, lost: 0 });
  });

  test('takes a jump of sequences only over those that were skipped', () => {
    const misnumbered = (...sequences: bigint[]) => {
      const skipped = [
        { from: 5n, to: 9n },
        { from: 2n, to: 5n },
      ];
      const expected = { recordSeed: RECORD_SEED, noted: true, acknowledged: [0], attempted: [sequences.length] };
      const checker = new Checker({ ...expected, skipped });
      sequences.forEach((sequence, i) => {
        checker.take({ ...record(0, i + 1), sequence });
      });
      return checker.finish().misnumbered;
    };
    expect(misnumbered(0n, 1n, 9n, 10n)).toBe(0);
    expect(misnumbered(0n, 1n, 2n)).toBe(1);
    expect(misnumbered(0n, 1n, 8n)).toBe(1);
    expect(misnumbered(0n, 1n, 10n)).toBe(1);
    expect(misnumbered(0n, 9n)).toBe(1);
  });
});

test('the command says what is wrong with its arguments', () => {
  const script = fileURLToPath(new URL('crash.mjs', import.meta.url));
  const prefix = runtime === 'deno' ? ['run', '-A', '--no-lock', '--node-modules-dir=manual'] : [];
  const run = (...args: string[]) => spawnSync(process.execPath, [...prefix, script, ...args], { encoding: 'utf8' });
  expect(run('--help')).toMatchObject({ status: 0, stderr: '' });
  for (const args of [
    ['--runtime', 'perl'],
    ['--rounds', '0'],
    ['--kills', '0'],
    ['--rounds', '1', '--kills', '1'],
    ['--seed', '-1'],
    ['--from', '3'],
    ['--wat'],
  ]) {
    const { status, stderr } = run(...args);
    expect([status, stderr.trim().split('\n').length]).toEqual([2, 1]);
    expect(stderr).toContain(args[0]);
  }
});
