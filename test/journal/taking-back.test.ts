import { openAppender, openTape, TapeError } from 'ticktape';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import {
  CONTROL_STATE,
  LANE_HEADER_BYTES,
  LANE_SEALED_AT,
  LANE_TAIL,
  TAPE_CLOSING,
  TAPE_FAILED,
} from '../../dist/assembly/layout.js';
import { Bench } from '../helpers/bench.js';
import { copyOf, scratch } from '../helpers/scratch.js';
import { readAll, reopen } from '../helpers/tape.js';
import { AppendingThread, NUMBERED_BYTES, numbered } from './appending-thread.js';

// A record that was published when there was no flusher any more: it counts, or append throws; and the next open sees it the same way.

const NEVER = 2n ** 64n - 1n;
const FAILED = expect.objectContaining({ name: 'TapeError', code: 'FLUSHER_FAILED' });
const CLOSED = expect.objectContaining({ name: 'TapeError', code: 'CLOSED' });
const SMALL = { capacity: 100, laneBytes: 65_536, segmentBytes: 1024 ** 2, maxSymbols: 100 };
const pause = () => new Promise((resolve) => setTimeout(resolve, 1));

afterEach(() => vi.restoreAllMocks());

/** A lane with four records, and a producer. `onLook`: done by others when its next append looks at what they did, from the `look`th time on. */
function lane(state: number, look: number, onLook: (bench: Bench) => void) {
  const bench = new Bench(numbered);
  const { memory } = bench;
  const own = { memory, fingerprint: numbered.fingerprint, lane: 0, at: bench.at(0), symbolCapacity: 64 };
  const { append } = openAppender(numbered, { ...own, onFull: 'wait' });
  for (let n = 0; n < 4; n++) append(BigInt(n), n);
  bench.view.setInt32(CONTROL_STATE, state, true);
  const { load } = Atomics;
  let looks = 0;
  vi.spyOn(Atomics, 'load').mockImplementation(((words: Int32Array, index: number) => {
    if (++looks === look) onLook(bench);
    return load(words, index);
  }) as typeof Atomics.load);
  return { bench, append, sealedAt: () => bench.counter(0, LANE_SEALED_AT) };
}

test('a record that nobody has is taken back, and the lane ends before it', () => {
  const { append, sealedAt, bench } = lane(TAPE_FAILED, 0, () => {});
  expect(() => append(4n, 4)).toThrow(FAILED);
  expect(sealedAt()).toBe(BigInt(4 * NUMBERED_BYTES));
  for (let n = 0; n < 3; n++) expect(() => append(5n, 5)).toThrow(FAILED);
  expect(sealedAt()).toBe(BigInt(4 * NUMBERED_BYTES));
  expect(bench.drain()).toBe(4);
});

test('a record that was drained counts, also where the flusher ended before it moved head', () => {
  const { append, sealedAt } = lane(TAPE_FAILED, 1, (bench) => bench.drain());
  expect(append(4n, 4)).toBe(4 * NUMBERED_BYTES);
  expect(sealedAt()).toBe(NEVER);
  expect(() => append(5n, 5)).toThrow(FAILED);
  expect(sealedAt()).toBe(BigInt(5 * NUMBERED_BYTES));
});

test.each([
  ['behind it', 5],
  ['before it', 4],
])('where the tape stops the lane %s meanwhile, that is what counts', (_, records) => {
  // sealedAt, the state, drained; then the lane is stopped.
  for (const look of [1, 2, 3]) {
    const { append, sealedAt } = lane(TAPE_FAILED, look, ({ view, map }) => {
      view.setBigUint64(map.lanes + LANE_SEALED_AT, BigInt(records * NUMBERED_BYTES), true);
    });
    if (records === 5) expect(append(4n, 4)).toBe(4 * NUMBERED_BYTES);
    else expect(() => append(4n, 4)).toThrow(CLOSED);
    expect(sealedAt()).toBe(BigInt(records * NUMBERED_BYTES));
    vi.restoreAllMocks();
  }
});

test('a record of a closing tape whose flusher fails is taken back', () => {
  // It waits to hear where the lane stops.
  const { append, sealedAt } = lane(TAPE_CLOSING, 3, ({ view }) => view.setInt32(CONTROL_STATE, TAPE_FAILED, true));
  expect(() => append(4n, 4)).toThrow(FAILED);
  expect(sealedAt()).toBe(BigInt(4 * NUMBERED_BYTES));
});

test('a close that fails settles what counts before another may open the tape', async () => {
  const root = scratch();
  const storage = [root];
  const troubles: string[] = [];
  const tape = await openTape(numbered, { storage, ...SMALL, onWarning: (message) => troubles.push(message) });
  onTestFinished(() => tape.close().catch(() => {}));
  for (let n = 0; n < 10; n++) tape.append(BigInt(n), n);
  const handle = tape.appenderHandle();
  // Its flusher finds a damaged record in a lane of its own.
  const { memory, at } = tape.appenderHandle();
  const view = new DataView(memory.buffer);
  view.setBigUint64(at + LANE_HEADER_BYTES, 1n, true);
  view.setBigUint64(at + LANE_TAIL, BigInt(NUMBERED_BYTES), true);
  while (troubles.length === 0) await pause();

  const thread = await AppendingThread.held(handle);
  await expect(tape.close()).rejects.toThrow(TapeError);
  const left = copyOf(root);
  const found: unknown[] = [];
  for (const where of [[left], storage]) {
    await reopen(numbered, { storage: where, ...SMALL, onWarning() {} });
    found.push((await readAll(numbered, where)).map(({ ts, n }) => `${ts} ${n}`));
  }
  thread.goOn();
  // The thread's record, the first of its lane, and those of the tape's own lane.
  const expected = [...Array.from({ length: 10 }, (_, n) => `${n} ${n}`), '0 0'].sort();
  expect(await thread.outcome).toEqual({ appended: 1, error: null });
  for (const rows of found) expect((rows as string[]).toSorted()).toEqual(expected);
});
