import { openTape } from 'ticktape';
import { expect, test } from 'vitest';
import { Producer, produced } from '../helpers/producer.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf, readAll } from '../helpers/tape.js';

const LANE = 65_536;
const PLACES = ['worker', 'inline'] as const;

/** Numbers appended by each producer, in the order in which they are on the tape; checks what goes with them. */
async function numbersOf(storage: string): Promise<Map<number, number[]>> {
  const numbers = new Map<number, number[]>();
  let next = 0n;
  for (const { sequence, producer, name, n, b } of await readAll(produced, [storage])) {
    expect(sequence).toBe(next++);
    expect(name).toBe(`S${(n as number) % 300}`);
    if ((b as Uint8Array).length !== (producer as number) % 7) expect.fail('other bytes than were appended');
    if (!numbers.has(producer as number)) numbers.set(producer as number, []);
    numbers.get(producer as number)!.push(n as number);
  }
  return numbers;
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

test.each(PLACES)(
  'three producers in threads of their own, flusher %s: every record, once, in the order of each',
  async (flusher) => {
    const storage = scratch();
    const tape = await openTape(produced, { storage: [storage], flusher, capacity: 2000, laneBytes: LANE });
    const producers = [1, 2, 3].map(
      (producer) => new Producer({ handle: tape.appenderHandle(), producer, count: 12_000, leave: producer === 2 }),
    );
    await Promise.all(producers.map(({ ready }) => ready));
    let done = false;
    const outcomes = Promise.all(producers.map(({ outcome }) => outcome)).finally(() => {
      done = true;
    });
    while (!done) {
      await tape.flush();
      // Read in this order while they grow, so that each is at least what the one before was.
      for (const { head, drained, tail } of tape.stats().lanes) {
        if (head > drained || drained > tail) expect.fail(`head ${head}, drained ${drained}, tail ${tail}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    for (const outcome of await outcomes) {
      expect(outcome).toEqual({ appended: 12_000, dropped: 0, error: null, last: 11_999 });
    }
    await tape.flush();
    expect(tape.stats().records).toBe(36_000);
    await tape.close();
    const numbers = await numbersOf(storage);
    expect([...numbers.keys()].sort()).toEqual([1, 2, 3]);
    for (const found of numbers.values()) expect(found).toEqual(upTo(12_000));
  },
);

test('a lane that is full waits: a producer that is faster than the flusher loses nothing', async () => {
  const storage = scratch();
  const tape = await openTape(produced, { storage: [storage], capacity: 16, laneBytes: LANE, onFull: 'wait' });
  for (let n = 0; n < 12_000; n++) tape.append(BigInt(n), 5, `S${n % 300}`, n, new Uint8Array(5));
  await tape.close();
  expect((await numbersOf(storage)).get(5)).toEqual(upTo(12_000));
});

test.each(PLACES)('or drops, counted, and the rest is intact (flusher %s)', async (flusher) => {
  const storage = scratch();
  const tape = await openTape(produced, { storage: [storage], flusher, capacity: 16, laneBytes: LANE, onFull: 'drop' });
  const kept: number[] = [];
  for (let n = 0; n < 12_000; n++) {
    if (tape.append(BigInt(n), 5, `S${n % 300}`, n, new Uint8Array(5)) >= 0) kept.push(n);
  }
  const dropped = 12_000 - kept.length;
  // 60 KiB of ring hold 1,000 records; draining 12,000 in blocks of 16 takes far longer than this loop.
  expect(dropped).toBeGreaterThan(0);
  expect(kept.length).toBeGreaterThan(0);
  expect(tape.stats().lanes[0].drops).toBe(BigInt(dropped));
  expect(tape.stats().lanes[0].records).toBe(BigInt(kept.length));
  await tape.close();
  expect((await numbersOf(storage)).get(5)).toEqual(kept);
});

const throwing = [...PLACES.map((flusher) => [flusher, 'throw'] as const), ['inline', 'wait'] as const];

test.each(throwing)(
  'or throws FULL, and takes records again once there is room (flusher %s, onFull %s)',
  async (flusher, onFull) => {
    const storage = scratch();
    const tape = await openTape(produced, { storage: [storage], flusher, capacity: 16, laneBytes: LANE, onFull });
    const kept: number[] = [];
    const error = await errorOf(() => {
      for (let n = 0; ; n++) {
        tape.append(BigInt(n), 5, `S${n % 300}`, n, new Uint8Array(5));
        kept.push(n);
      }
    });
    expect(error.code).toBe('FULL');
    expect(tape.backlog()).toBeGreaterThan(0.5);
    await tape.flush();
    expect(tape.backlog()).toBe(0);
    tape.append(0n, 5, 'S0', 300_000, new Uint8Array(5));
    kept.push(300_000);
    await tape.close();
    expect((await numbersOf(storage)).get(5)).toEqual(kept);
  },
);
