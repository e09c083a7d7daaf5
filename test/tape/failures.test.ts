import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { type Degraded, type FlusherPlace, openAppender, openTape, TapeError } from 'ticktape';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CONTROL_STATE, LANE_HEADER_BYTES, LANE_TAIL, TAPE_FAILED, TAPE_OPEN } from '../../dist/assembly/layout.js';
import { RemoteFlusher } from '../../dist/src/flush/remote.js';
import { memoryMap } from '../../dist/src/journal/memory-map.js';
import { sharedMemory } from '../../dist/src/kernels.js';
import type { Runtime, RuntimeWorker } from '../../dist/src/runtime.js';
import {
  expectRedundant,
  laneFiles,
  numbersByLane,
  RECORD_BYTES,
  SMALL,
  storageOf,
  trade,
  upTo,
} from '../helpers/crashed.js';
import { copyOf, scratch } from '../helpers/scratch.js';
import { errorOf, reopen } from '../helpers/tape.js';

const rowOf = (n: number, lane = 0) => [BigInt(n), lane, `S${n % 4}`, n / 100, n] as const;
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

const PLACES: FlusherPlace[] = ['worker', 'inline'];

async function openOn(
  root: string,
  nodes: number,
  redundancy: number,
  degraded: Degraded = 'continue',
  flusher: FlusherPlace = 'worker',
) {
  const warnings: string[] = [];
  const tape = await openTape(trade, {
    storage: storageOf(root, nodes),
    redundancy,
    degraded,
    flusher,
    ...SMALL,
    laneBytes: 65_536,
    flushIntervalMs: 0,
    syncIntervalMs: 0,
    onWarning: (message) => warnings.push(message),
  });
  onTestFinished(() => tape.close().catch(() => {}));
  return { tape, warnings };
}

describe.each(PLACES)('a storage node that can not be written (flusher: %s)', (flusher) => {
  test('is set aside, and its share goes to the others', async () => {
    const root = scratch();
    const { tape } = await openOn(root, 3, 2, 'continue', flusher);
    rmSync(path.join(root, 'd1'), { recursive: true });
    for (let block = 0; block < 12; block++) {
      for (const n of upTo(10)) tape.append(...rowOf(10 * block + n));
      await tape.flush();
    }
    const { storageNodes, blocks } = tape.stats();
    expect(blocks).toBe(12);
    expect(storageNodes.map((node) => node.blocks)).toEqual([12, 0, 12]);
    expect(storageNodes[1].errors).toBeGreaterThan(0);
    expect([storageNodes[0].errors, storageNodes[2].errors]).toEqual([0, 0]);
    await tape.close();
    const left = [path.join(root, 'd0'), path.join(root, 'd2')];
    expect(await numbersByLane(left)).toEqual([upTo(120)]);
    await expectRedundant(left, 2);
  });

  test('and that is one too many: flush says so, nothing is lost, and it goes on when the node is back', async () => {
    const root = scratch();
    const { tape, warnings } = await openOn(root, 2, 2, 'stop', flusher);
    const d1 = path.join(root, 'd1');
    renameSync(d1, `${d1}-away`);
    for (const n of upTo(30)) tape.append(...rowOf(n));
    const error = await errorOf(() => tape.flush());
    expect(error).toBeInstanceOf(TapeError);
    expect(error.message).toContain('1 of 2 storage nodes');
    expect(error.storageNode).toBe(d1);
    // One copy is there; the lane lets go of nothing until both are.
    expect(tape.stats().lanes[0].head).toBe(0n);
    // Appending goes on: the lanes keep it.
    for (const n of upTo(30)) tape.append(...rowOf(30 + n));
    while (tape.stats().trouble === null) await pause();
    expect(tape.stats().trouble).toBeInstanceOf(TapeError);
    expect(warnings.length).toBeGreaterThan(0);
    expect(tape.stats().records).toBe(0);

    renameSync(`${d1}-away`, d1);
    // It is tried again at growing intervals; when, is not promised.
    while ((await tape.flush().then(() => null, String)) !== null) await pause();
    expect(tape.stats().records).toBe(60);
    await tape.close();
    expect(await numbersByLane(storageOf(root, 2))).toEqual([upTo(60)]);
    await expectRedundant(storageOf(root, 2), 2);
  });

  test('at the end: close says so, and the next open recovers what it kept', async () => {
    const root = scratch();
    const { tape } = await openOn(root, 2, 2, 'stop', flusher);
    const d1 = path.join(root, 'd1');
    renameSync(d1, `${d1}-away`);
    for (const n of upTo(30)) tape.append(...rowOf(n));
    const error = await errorOf(() => tape.close());
    expect(error).toBeInstanceOf(TapeError);
    expect(() => tape.append(...rowOf(30))).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    renameSync(`${d1}-away`, d1);
    expect(await reopen(trade, { storage: storageOf(root, 2), ...SMALL })).toMatchObject({ lanes: 1 });
    expect(await numbersByLane(storageOf(root, 2))).toEqual([upTo(30)]);
    await expectRedundant(storageOf(root, 2), 2);
    expect(laneFiles(root)).toEqual([]);
  });
});

describe('a flusher that fails', () => {
  /** A tape whose flusher found a record damaged that something else wrote into a lane of its own. */
  async function failed(flusher: FlusherPlace) {
    const root = scratch();
    const { tape, warnings } = await openOn(root, 1, 1, 'continue', flusher);
    const appender = openAppender(trade, tape.appenderHandle());
    for (const n of upTo(20)) tape.append(...rowOf(n));
    for (const n of upTo(20)) appender.append(...rowOf(n, 1));
    await tape.flush();
    for (const n of upTo(5)) tape.append(...rowOf(20 + n));
    for (const n of upTo(5)) appender.append(...rowOf(20 + n, 1));
    const { memory, at } = tape.appenderHandle();
    const view = new DataView(memory.buffer);
    view.setBigUint64(at + LANE_HEADER_BYTES, 1n, true);
    view.setBigUint64(at + LANE_TAIL, BigInt(RECORD_BYTES), true);
    while (!warnings.some((warning) => warning.includes('lane 2'))) await pause();
    return { root, tape, appender };
  }

  const FAILED = expect.objectContaining({ name: 'TapeError', code: 'FLUSHER_FAILED' });

  test.each(PLACES)('appending, flushing and closing say so (%s)', async (flusher) => {
    const { tape, appender } = await failed(flusher);
    for (let i = 0; i < 3; i++) {
      expect(() => tape.append(...rowOf(99))).toThrow(FAILED);
      expect(() => appender.append(...rowOf(99, 1))).toThrow(FAILED);
    }
    await expect(tape.flush()).rejects.toThrow(FAILED);
    await expect(tape.close()).rejects.toThrow(FAILED);
    await expect(tape.close()).rejects.toThrow(FAILED);
  });

  test.each(PLACES)(
    'what append returned for is recovered, and what it threw for is not there (%s)',
    async (flusher) => {
      const { root, tape, appender } = await failed(flusher);
      expect(() => tape.append(...rowOf(25))).toThrow(FAILED);
      expect(() => appender.append(...rowOf(25, 1))).toThrow(FAILED);
      expect(() => appender.append(...rowOf(25, 1))).toThrow(FAILED);
      const copy = copyOf(root);
      await expect(tape.close()).rejects.toThrow(FAILED);
      expect(() => appender.append(...rowOf(25, 1))).toThrow(expect.objectContaining({ name: 'TapeError' }));
      // As it is after close, and as it would have been after a kill.
      for (const left of [root, copy]) {
        const warnings: string[] = [];
        const storage = storageOf(left, 1);
        const report = await reopen(trade, { storage, ...SMALL, onWarning: (message) => warnings.push(message) });
        expect(report).toMatchObject({ lanes: 3, records: 10, damagedBytes: RECORD_BYTES });
        expect(warnings.length).toBe(1);
        expect(await numbersByLane(storage)).toEqual([upTo(25), upTo(25)]);
      }
    },
  );

  test('whose thread ends without a word is one too: nobody waits for room for ever', async () => {
    const map = memoryMap(trade, { capacity: 16, symbolCapacity: 16, laneCount: 1 });
    const memory = sharedMemory(map.totalBytes);
    const words = new Int32Array(memory.buffer);
    words[CONTROL_STATE >> 2] = TAPE_OPEN;
    let end: (error: Error) => void = () => {};
    let tell: (message: unknown) => void = () => {};
    let terminated = false;
    const worker: RuntimeWorker = {
      post() {},
      onMessage: (listener) => {
        tell = listener;
      },
      onFailure: (listener) => {
        end = listener;
      },
      async terminate() {
        terminated = true;
      },
      keepAlive() {},
    };
    const runtime = { spawn: () => worker } as unknown as Runtime;
    const setup = { memory, map } as Parameters<typeof RemoteFlusher.start>[1];
    const troubles: Error[] = [];
    const starting = RemoteFlusher.start(runtime, setup, (error) => troubles.push(error));
    tell({ type: 'ready' });
    const flusher = await starting;
    const flushing = flusher.flush();
    end(new Error('out of memory'));
    await expect(flushing).rejects.toThrow(FAILED);
    await expect(flusher.flush()).rejects.toThrow(FAILED);
    expect(Atomics.load(words, CONTROL_STATE >> 2)).toBe(TAPE_FAILED);
    expect(troubles.map(({ message }) => message)).toEqual([expect.stringContaining('out of memory')]);
    await expect(flusher.close()).rejects.toThrow(FAILED);
    expect(terminated).toBe(true);
  });
});

test('a storage directory that comes late holds its copies where it should', async () => {
  const root = scratch();
  const { tape } = await openOn(root, 1, 1);
  for (const n of upTo(10)) tape.append(...rowOf(n));
  await tape.close();
  mkdirSync(path.join(root, 'd1'));
  const more = await openOn(root, 2, 2, 'stop');
  for (const n of upTo(10)) more.tape.append(...rowOf(10 + n));
  await more.tape.close();
  expect(existsSync(path.join(root, 'd1', 'storage-node.json'))).toBe(true);
  expect(await numbersByLane(storageOf(root, 2))).toEqual([upTo(20)]);
});
