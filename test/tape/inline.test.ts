import { spawnSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openAppender, openTape } from 'ticktape';
import { expect, test } from 'vitest';
import { onDeno } from '../helpers/child.js';
import { expectRedundant, SMALL, storageOf, trade, upTo } from '../helpers/crashed.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf, readAll } from '../helpers/tape.js';

// What is different where the flusher is on the thread that opened the tape. That all else is the same, the other tests say.

const LANE = { laneBytes: 65_536, capacity: 16 };
const rowOf = (n: number, lane = 0) => [BigInt(n), lane, `S${n % 4}`, n / 100, n] as const;

test('nobody waits there for room, also with a handle that was cloned; there is some once the event loop has turned', async () => {
  const storage = [scratch()];
  const tape = await openTape(trade, { storage, flusher: 'inline', ...LANE, ...SMALL });
  const appends = [
    tape.append,
    openAppender(trade, tape.appenderHandle()).append,
    openAppender(trade, structuredClone(tape.appenderHandle())).append,
  ];
  const appended = [0, 0, 0];
  for (const [lane, append] of appends.entries()) {
    const error = await errorOf(() => {
      for (;;) append(...rowOf(appended[lane]++, lane));
    });
    appended[lane]--;
    expect(error).toMatchObject({ code: 'FULL', message: expect.stringContaining('flush()') });
  }
  while (tape.backlog() > 0.5) await new Promise((resolve) => setImmediate(resolve));
  tape.append(...rowOf(appended[0]++));
  await tape.close();
  for (const lane of upTo(3)) {
    const numbers = (await readAll(trade, storage)).filter((record) => record.lane === lane).map(({ n }) => n);
    expect(numbers).toEqual(upTo(appended[lane]));
  }
});

test('an appender of the same thread that appends while the tape closes does not wait to hear of it', async () => {
  const storage = [scratch()];
  const tape = await openTape(trade, { storage, flusher: 'inline', ...LANE, ...SMALL });
  const appender = openAppender(trade, tape.appenderHandle());
  for (const n of upTo(100)) appender.append(...rowOf(n));
  const flushing = tape.flush();
  await Promise.resolve();
  const closing = tape.close();
  const closed = expect.objectContaining({ code: 'CLOSED' });
  expect(() => appender.append(...rowOf(100))).toThrow(closed);
  await new Promise((resolve) => setImmediate(resolve));
  expect(() => appender.append(...rowOf(101))).toThrow(closed);
  await Promise.all([flushing, closing]);
  expect((await readAll(trade, storage)).map(({ n }) => n)).toEqual(upTo(100));
});

test('a tape that is closed in vain leaves nothing behind that goes on writing: the next open has all of it, once', async () => {
  const root = scratch();
  const storage = storageOf(root, 2);
  const options = { storage, redundancy: 2, degraded: 'stop', flusher: 'inline', ...LANE, ...SMALL } as const;
  for (const round of upTo(4)) {
    const tape = await openTape(trade, { ...options, onWarning() {} });
    for (const n of upTo(500)) tape.append(...rowOf(500 * round + n));
    renameSync(storage[1], `${storage[1]}-away`);
    await expect(tape.close()).rejects.toThrow(expect.objectContaining({ name: 'TapeError' }));
    renameSync(`${storage[1]}-away`, storage[1]);
  }
  const tape = await openTape(trade, options);
  await tape.close();
  expect((await readAll(trade, storage)).map(({ n }) => n)).toEqual(upTo(2000));
  await expectRedundant(storage, 2);
});

test('it does not keep the process alive, but a flush that is waited for does', () => {
  const storage = scratch();
  const script = fileURLToPath(new URL('inline-child.mjs', import.meta.url));
  const flags = onDeno ? ['run', '-A', '--no-lock', '--node-modules-dir=manual'] : [];
  const run = () =>
    spawnSync(process.execPath, [...flags, script, storage], {
      encoding: 'utf8',
      timeout: 30_000,
      killSignal: 'SIGKILL',
    });
  expect(run()).toMatchObject({ status: 0, stdout: '0 recovered, 100 flushed\n' });
  // What came after the flush was left in the lane.
  expect(run()).toMatchObject({ status: 0, stdout: '1 recovered, 100 flushed\n' });
});
