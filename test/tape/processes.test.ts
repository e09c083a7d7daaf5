import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openTape } from 'ticktape';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Child, childSchema, onDeno } from '../helpers/child.js';
import { scratch, snapshot } from '../helpers/scratch.js';
import { errorOf, readAll } from '../helpers/tape.js';

const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 100, laneBytes: 65_536, flushIntervalMs: 0 };
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const numbersOf = async (storage: readonly string[]) => (await readAll(childSchema, storage)).map(({ n }) => n);

// ---- one writer -----------------------------------------------------------------------------------------------------------

describe('a second writer is LOCKED, and changes nothing', () => {
  async function expectLocked(storage: readonly string[], pid: number): Promise<void> {
    const root = path.dirname(storage[0]);
    // The flusher of the first one is at work on its lane.
    const except = /\.tt(lane|cnt)$/;
    const before = snapshot(root, { times: true, except });
    // Storage directories that the first one does not have are not made either.
    for (const other of [storage, [...storage, path.join(root, 'more')]]) {
      const error = await errorOf(() => openTape(childSchema, { storage: other, ...SMALL }));
      expect(error).toMatchObject({ name: 'TapeError', code: 'LOCKED' });
      expect(error.message).toContain(String(pid));
    }
    expect(snapshot(root, { times: true, except })).toEqual(before);
  }

  test('in the same process', async () => {
    const storage = [path.join(scratch(), 'd0')];
    const tape = await openTape(childSchema, { storage, ...SMALL });
    await expectLocked(storage, process.pid);
    tape.append(1n, 'A', 0);
    await tape.close();
    const again = await openTape(childSchema, { storage, ...SMALL });
    await again.close();
    expect(await numbersOf(storage)).toEqual([0]);
  });

  test('in another process, until that is gone', async () => {
    const storage = [path.join(scratch(), 'd0')];
    const child = new Child({ storage, ...SMALL });
    expect(await child.tell('open')).toMatchObject({ result: { warnings: [] } });
    await child.tell('append', 10);
    await expectLocked(storage, child.pid);
    // Reading takes no lock.
    expect(await numbersOf(storage)).toEqual([]);
    await child.kill();
    const tape = await openTape(childSchema, { storage, ...SMALL });
    expect(tape.stats().recovery).toMatchObject({ lanes: 1, records: 10 });
    await tape.close();
    expect(await numbersOf(storage)).toEqual(upTo(10));
  });

  test('the other way round', async () => {
    const storage = [path.join(scratch(), 'd0')];
    const tape = await openTape(childSchema, { storage, ...SMALL });
    const child = new Child({ storage, ...SMALL });
    expect(await child.tell('open')).toMatchObject({ name: 'TapeError', code: 'LOCKED' });
    await tape.close();
    expect(await child.tell('open')).toMatchObject({ result: { warnings: [] } });
    expect(await child.tell('close')).toEqual({ result: null });
  });
});

// ---- readers beside it ------------------------------------------------------------------------------------------------------

describe.each([
  ['one storage node', 1, 1],
  ['two copies on three storage nodes', 3, 2],
])('a reader of %s in another process than the writer', (_, nodes, redundancy) => {
  test.each(['mapped', 'buffered'])('sees what was flushed, and never a hole (%s)', async (journalMode) => {
    const root = scratch();
    const storage = upTo(nodes).map((i) => path.join(root, `d${i}`));
    // Segments roll under way.
    const child = new Child({ storage, redundancy, ...SMALL, capacity: 500, journalMode, compression: 'off' });
    await child.tell('open');
    await child.tell('append', 1);
    await child.tell('flush');
    const reader = await openTape(childSchema, { storage, readOnly: true });
    onTestFinished(() => reader.close());
    let flushed = 1;
    let done = false;
    const writing = (async () => {
      for (let i = 0; i < 60; i++) {
        const count = await child.tell('append', 400 + 31 * i);
        flushed = ((await child.tell('flush')).result ?? count) as number;
      }
    })().finally(() => {
      done = true;
    });
    let scans = 0;
    let seen = 0;
    while (!done) {
      const before = flushed;
      let next = seen;
      // Most of the scans read the end alone, so that there are many.
      const from = scans % 8 === 0 ? 0 : seen;
      if (from === 0) next = 0;
      for await (const { columns, length } of reader.scan({ columns: ['n'], from: BigInt(from) })) {
        for (let i = 0; i < length; i++) {
          if (columns.n[i] !== next++) expect.fail(`${columns.n[i]} comes as ${next - 1}`);
        }
      }
      if (next < before) expect.fail(`${before} records were flushed, and ${next} are there`);
      seen = next;
      scans++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await writing;
    expect(scans).toBeGreaterThan(10);
    expect(reader.damage).toEqual([]);
    await child.tell('close');
    expect((await numbersOf(storage)).length).toBe(flushed);
  });
});

test('a reader in a process of its own, of a tape that this one writes', async () => {
  const storage = [scratch()];
  await using tape = await openTape(childSchema, { storage, ...SMALL });
  const child = new Child({ storage, readOnly: true });
  expect(await child.tell('open')).toMatchObject({ result: { journal: null } });
  for (const n of upTo(3)) {
    tape.append(BigInt(n), 'A', n);
    await tape.flush();
    expect(await child.tell('read')).toEqual({ result: n + 1 });
  }
  await child.tell('close');
});

test('a reader changes nothing', async () => {
  const root = scratch();
  const storage = [path.join(root, 'd0'), path.join(root, 'd1')];
  const tape = await openTape(childSchema, { storage, ...SMALL });
  for (const n of upTo(50)) tape.append(BigInt(n), 'A', n);
  await tape.close();
  const before = snapshot(root, { times: true });
  const reader = await openTape(childSchema, { storage, readOnly: true });
  await reader.verify();
  for await (const batch of reader.scan()) expect(batch.length).toBe(50);
  await reader.close();
  expect(snapshot(root, { times: true })).toEqual(before);
});

// ---- what the system does not let it do ----------------------------------------------------------------------------------------

/** A command that runs another one where `directory` is a file system of its own, mounted with `options`; it goes with the process. */
const mountedAt = (directory: string, options: string): string[] => [
  ...['unshare', '--map-root-user', '--mount', 'sh', '-c'],
  `mount -t tmpfs -o ${options} tmpfs "$0" && exec "$@"`,
  directory,
];

function canMount(): boolean {
  const [command, ...args] = mountedAt('/tmp', 'ro');
  return spawnSync(command, [...args, 'true'], { stdio: 'ignore' }).status === 0;
}

describe.skipIf(!canMount())('a file system (skipped: nothing may be mounted here)', () => {
  test('that is read-only is NOT_WRITABLE', async () => {
    const root = scratch();
    const child = new Child({ storage: [path.join(root, 'd0')], ...SMALL }, { within: mountedAt(root, 'ro') });
    const { code, message } = await child.tell('open');
    expect(code).toBe('NOT_WRITABLE');
    expect(message).toContain(path.join(root, 'd0'));
  });

  test('that is read-only, for the second of two storage nodes, is too, and nothing is made on the first', async () => {
    const root = scratch();
    const [first, second] = [path.join(root, 'rw'), path.join(root, 'ro')];
    mkdirSync(second);
    const storage = [path.join(first, 'd0'), path.join(second, 'd1')];
    const child = new Child({ storage, ...SMALL }, { within: mountedAt(second, 'ro') });
    expect(await child.tell('open')).toMatchObject({ code: 'NOT_WRITABLE' });
    expect(Object.keys(snapshot(root))).toEqual(['ro']);
  });

  test('without room for a segment is DISK_FULL before anything is made', async () => {
    const root = scratch();
    const options = { storage: [path.join(root, 'd0')], ...SMALL, segmentBytes: 8 * 1024 ** 2 };
    const child = new Child(options, { within: mountedAt(root, 'size=4m') });
    const { code, message } = await child.tell('open');
    expect(code).toBe('DISK_FULL');
    expect(message).toMatch(/MiB free/);
  });

  test('that becomes full keeps what was appended, says so, and kills nobody', async () => {
    const root = scratch();
    const journal = path.join(scratch(), 'journal');
    // Room for three segments of 1 MiB; of the journal, elsewhere, for all.
    const options = { storage: [path.join(root, 'd0')], journal, ...SMALL, compression: 'off', capacity: 1000 };
    const child = new Child(options, { within: mountedAt(root, 'size=3500k') });
    expect(await child.tell('open')).toMatchObject({ result: { warnings: [] } });
    let flushed = 0;
    let refused: { code?: string | null } = {};
    for (let i = 0; i < 1000 && refused.code === undefined; i++) {
      // Less than the lane holds: append would wait for a disk that stays full.
      await child.tell('append', 2500, 'noise');
      const reply = await child.tell('flush');
      if (reply.code === undefined) flushed = reply.result as number;
      else refused = reply;
    }
    expect(refused).toMatchObject({ name: 'TapeError', code: 'DISK_FULL' });
    expect(flushed).toBeGreaterThan(10_000);
    // Blocks of what could not all be flushed may be there too; none is torn, and no number is missing.
    expect((await child.tell('read')).result).toBeGreaterThanOrEqual(flushed);
  });
});

describe.skipIf(!onDeno)('without --allow-ffi (skipped: Node and Bun have no such permission)', () => {
  const permissions = ['--allow-read', '--allow-write'];

  test('the journal is buffered, with a warning that says why, and all else works', async () => {
    const storage = [scratch(), scratch()];
    const child = new Child({ storage, ...SMALL, redundancy: 2 }, { permissions });
    const { result } = await child.tell('open');
    expect(result).toMatchObject({ journal: 'buffered', warnings: [expect.stringContaining('--allow-ffi')] });
    expect(await child.tell('append', 500)).toEqual({ result: 500 });
    expect(await child.tell('flush')).toEqual({ result: 500 });
    expect(await child.tell('read')).toEqual({ result: 500 });
    // The system's lock, by the runtime's own means.
    const error = await errorOf(() => openTape(childSchema, { storage, ...SMALL }));
    expect(error).toMatchObject({ code: 'LOCKED' });
    expect(await child.tell('close')).toEqual({ result: null });
    expect(await numbersOf(storage)).toEqual(upTo(500));
  });

  test('what it had persisted when it is killed is recovered', async () => {
    const storage = [scratch()];
    const child = new Child({ storage, ...SMALL }, { permissions });
    await child.tell('open');
    await child.tell('append', 300);
    const lane = path.join(storage[0], 'journal', 'lane-1-0.ttlane');
    // Until the lane's file says so; the time it takes is not promised.
    while (readFileSync(lane).readBigUInt64LE(128) < 300n * 32n) await new Promise((resolve) => setTimeout(resolve, 5));
    await child.kill();
    const tape = await openTape(childSchema, { storage, ...SMALL });
    expect(tape.stats()).toMatchObject({ journal: 'mapped', recovery: { records: 300 } });
    await tape.close();
    expect(await numbersOf(storage)).toEqual(upTo(300));
  });

  test('a mapped journal that is insisted on is UNSUPPORTED, and nothing is made', async () => {
    const root = scratch();
    const child = new Child({ storage: [path.join(root, 'd0')], ...SMALL, journalMode: 'mapped' }, { permissions });
    expect(await child.tell('open')).toMatchObject({ name: 'TapeError', code: 'UNSUPPORTED' });
    expect(snapshot(root)).toEqual({});
  });

  test('a reader needs no more than to read', async () => {
    const storage = [scratch()];
    const tape = await openTape(childSchema, { storage, ...SMALL });
    for (const n of upTo(20)) tape.append(BigInt(n), 'A', n);
    await tape.close();
    const child = new Child({ storage, readOnly: true }, { permissions: ['--allow-read'] });
    expect(await child.tell('open')).toMatchObject({ result: { journal: null } });
    expect(await child.tell('read')).toEqual({ result: 20 });
  });
});
