import { renameSync } from 'node:fs';
import path from 'node:path';
import { type AppenderHandle, openAppender, openTape } from 'ticktape';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CONTROL_STATE, LANE_CAPACITY, LANE_WAITING, TAPE_FAILED } from '../../dist/assembly/layout.js';
import { RemoteFlusher } from '../../dist/src/flush/remote.js';
import type { Runtime, RuntimeWorker } from '../../dist/src/runtime.js';
import { Bench } from '../helpers/bench.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf } from '../helpers/tape.js';
import { AppendingThread, NUMBERED_BYTES, numbered } from './appending-thread.js';

// A producer that waits for room is woken when there is some, or when there will never be any. Its timeout is not what wakes it.

const RING = 1024;
const RECORDS = RING / NUMBERED_BYTES;
const pause = () => new Promise((resolve) => setTimeout(resolve, 1));

function benchWith(): { bench: Bench; handle: AppenderHandle } {
  const bench = new Bench(numbered, { ring: RING, capacity: 64 });
  const { fingerprint } = numbered;
  const handle = { memory: bench.memory, fingerprint, lane: 0, at: bench.at(0), symbolCapacity: 64 } as const;
  return { bench, handle: { ...handle, onFull: 'wait' } };
}

/** What the flusher does in the end. */
function makeRoom(bench: Bench, records: number): void {
  bench.drain(records);
  bench.emptyRows();
  bench.release(0, bench.counters().drained);
}

const waitingOf = ({ view, map }: Bench) => view.getInt32(map.lanes + LANE_WAITING, true);

describe('a producer that finds its lane full', () => {
  afterEach(() => vi.restoreAllMocks());

  /** A full lane, and how each sleep of its producer ended. `onSleep`: done by others as it is about to sleep, time after time. */
  function full(onSleep: ((bench: Bench) => void)[]) {
    const { bench, handle } = benchWith();
    const { append } = openAppender(numbered, handle);
    for (let n = 0; n < RECORDS; n++) append(BigInt(n), n);
    const sleeps: string[] = [];
    const { wait } = Atomics;
    vi.spyOn(Atomics, 'wait').mockImplementation(((words: Int32Array, index: number, value: number, ms: number) => {
      onSleep.shift()?.(bench);
      sleeps.push(wait(words, index, value, ms));
      return sleeps.at(-1);
    }) as typeof Atomics.wait);
    return { bench, append, sleeps };
  }

  test('does not sleep where room was made before it said that it waits', () => {
    const { bench, append, sleeps } = full([]);
    const { load } = Atomics;
    let looks = 0;
    vi.spyOn(Atomics, 'load').mockImplementation(((words: Int32Array, index: number) => {
      // The first thing that it does once the kernel has said FULL. Nobody is told to wake: it does not wait yet.
      if (looks++ === 0) makeRoom(bench, 4);
      return load(words, index);
    }) as typeof Atomics.load);
    expect(append(99n, 99)).toBe(RING);
    expect(looks).toBeGreaterThan(0);
    expect(sleeps).toEqual([]);
  });

  test('does not sleep where room is made as it is about to', () => {
    const { append, sleeps } = full([(bench) => makeRoom(bench, 4)]);
    expect(append(99n, 99)).toBe(RING);
    expect(sleeps).toEqual(['not-equal']);
  });

  test('is not forgotten where the flusher is late to wake it from the sleep before', () => {
    const { append, sleeps } = full([
      // The second half of `release`, which saw that the producer waited then.
      ({ view, map }) => view.setInt32(map.lanes + LANE_WAITING, 0, true),
      (bench) => {
        expect(waitingOf(bench)).toBe(1);
        makeRoom(bench, 4);
      },
    ]);
    expect(append(99n, 99)).toBe(RING);
    expect(sleeps).toEqual(['not-equal', 'not-equal']);
  });

  test('does not sleep where the flusher fails as it is about to', () => {
    const { bench, append, sleeps } = full([]);
    const { store } = Atomics;
    vi.spyOn(Atomics, 'store').mockImplementation(((words: Int32Array, index: number, value: number) => {
      // It says that it waits, and has found the tape open before.
      bench.view.setInt32(CONTROL_STATE, TAPE_FAILED, true);
      return store(words, index, value);
    }) as typeof Atomics.store);
    expect(() => append(99n, 99)).toThrow(expect.objectContaining({ code: 'FLUSHER_FAILED' }));
    expect(sleeps).toEqual([]);
  });
});

describe('a producer thread without a timeout', () => {
  test('is woken each time that room is made', async () => {
    const { bench, handle } = benchWith();
    const count = 20_000;
    const thread = new AppendingThread(handle, count);
    for (let turn = 0; bench.counters().head < BigInt(count * NUMBERED_BYTES); turn++) {
      makeRoom(bench, 1 + (turn % 5));
      // Now and then long enough for it to fall asleep.
      if (turn % 64 === 0) await pause();
    }
    expect(await thread.outcome).toEqual({ appended: count, error: null });
  });

  test('hears that the flusher is no more', async () => {
    const { bench, handle } = benchWith();
    let end: (error: Error) => void = () => {};
    let tell: (message: unknown) => void = () => {};
    const worker: RuntimeWorker = {
      post() {},
      onMessage: (listener) => {
        tell = listener;
      },
      onFailure: (listener) => {
        end = listener;
      },
      async terminate() {},
      keepAlive() {},
    };
    const setup = { memory: bench.memory, map: bench.map } as Parameters<typeof RemoteFlusher.start>[1];
    const starting = RemoteFlusher.start({ spawn: () => worker } as unknown as Runtime, setup, () => {});
    tell({ type: 'ready' });
    await starting;
    const thread = new AppendingThread(handle, RECORDS + 1);
    while (waitingOf(bench) === 0) await pause();
    // Most likely asleep by now.
    await pause();
    end(new Error('out of memory'));
    expect(await thread.outcome).toEqual({ appended: RECORDS, error: 'FLUSHER_FAILED' });
  });

  test('hears that the tape was closed in vain', async () => {
    const storage = path.join(scratch(), 'storage');
    const tape = await openTape(numbered, {
      storage: [storage],
      degraded: 'stop',
      capacity: 100,
      laneBytes: 65_536,
      segmentBytes: 1024 ** 2,
      maxSymbols: 100,
      onWarning() {},
    });
    onTestFinished(() => tape.close().catch(() => {}));
    const handle = tape.appenderHandle();
    const view = new DataView(handle.memory.buffer);
    renameSync(storage, `${storage}-away`);
    const fits = Number(view.getBigUint64(handle.at + LANE_CAPACITY, true)) / NUMBERED_BYTES;
    const thread = new AppendingThread(handle, fits + 1);
    while (view.getInt32(handle.at + LANE_WAITING, true) === 0) await pause();
    await pause();
    await errorOf(() => tape.close());
    expect(await thread.outcome).toEqual({ appended: fits, error: 'FLUSHER_FAILED' });
  });
});
