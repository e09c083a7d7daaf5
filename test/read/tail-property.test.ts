import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FollowedFields } from '../helpers/followed.js';
import { followerOf, Receiver, randomOf, SmallLanes, schema } from '../helpers/followed.js';
import { scratch } from '../helpers/scratch.js';

// Appends on several lanes, flushes, closes and opens again, and a reader that looks now and then and is lapped: it gets every record
// once, as it was appended, those of a lane in their order.

const SEEDS = 8;
const STEPS = 120;

interface Case {
  journalMode: 'mapped' | 'buffered';
  read: 'mapped' | 'copied';
}

const cases: Case[] = [
  { journalMode: 'mapped', read: 'mapped' },
  { journalMode: 'mapped', read: 'copied' },
  { journalMode: 'buffered', read: 'mapped' },
  { journalMode: 'buffered', read: 'copied' },
];

async function run(seed: number, { journalMode, read }: Case) {
  const random = randomOf(seed);
  const root = scratch();
  const storage = [path.join(root, 'd0'), path.join(root, 'd1')];
  const receiver = new Receiver();
  const tape = new SmallLanes({ storage, journalMode }, receiver, random);
  onTestFinished(() => tape.close());
  await tape.open();
  tape.append(0, random(200));
  if (random(2) === 0) await tape.flush();
  const from = random(2) === 0 ? 'now' : 'start';
  // A buffered journal is written to its files within some milliseconds.
  if (journalMode === 'buffered') await new Promise((resolve) => setTimeout(resolve, 20));
  if (from === 'now') receiver.next.splice(0, Infinity, ...receiver.expected.map((rows) => rows.length));
  let now = 0;
  const follower = await followerOf<FollowedFields>(schema, storage, { from, read, nowMs: () => (now += 7) });
  onTestFinished(() => follower.close());
  const poll = (most: number) => {
    for (let i = 0; i < most; i++) {
      const batch = follower.poll();
      if (batch !== null) receiver.take(batch);
      else if (follower.isIdle) now += 20;
    }
  };
  for (let step = 0; step < STEPS; step++) {
    const what = random(100);
    if (what < 45) tape.append(random(tape.lanes), random(60));
    else if (what < 70) poll(random(12));
    else if (what < 82) await tape.flush();
    else if (what < 90) {
      // Some laps, unseen.
      for (let lap = random(4); lap >= 0; lap--) {
        for (let i = 0; i < 6; i++) tape.append(random(tape.lanes), random(120));
        await tape.flush();
      }
    } else if (what < 95) {
      if (tape.lanes < 5) tape.addLane();
    } else if (what < 98) {
      await new Promise((resolve) => setTimeout(resolve, random(4)));
    } else {
      await tape.close();
      await tape.open();
    }
  }
  const deadline = performance.now() + 10_000;
  while (!receiver.isComplete && performance.now() < deadline) {
    poll(50);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(receiver.next).toEqual(receiver.expected.map((rows) => rows.length));
  // And nothing more.
  await tape.close();
  poll(300);
  return receiver;
}

describe.each(cases)('a $journalMode journal, $read', (given) => {
  test('every record once, and in the order of its lane', { timeout: 120_000 }, async () => {
    let live = 0;
    let sealed = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const receiver = await run(seed, given).catch((error) => {
        throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
      });
      // Memories of hundreds of MiB of addresses each: Bun does not count them when it decides whether to collect.
      (globalThis as { Bun?: { gc(force: boolean): void } }).Bun?.gc(true);
      live += receiver.live;
      sealed += receiver.count - receiver.live;
    }
    // Both ways were gone.
    expect(live).toBeGreaterThan(1000);
    expect(sealed).toBeGreaterThan(1000);
  });
});
