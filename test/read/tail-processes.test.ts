import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { isInstalled, ownRuntime, Peer, type RuntimeName } from '../helpers/peers.js';
import { scratch } from '../helpers/scratch.js';

// The writer and the tail are processes of their own. The tail itself looks whether each lane's records come once and in order.

const LANES = 3;
const storageIn = (root: string) => [path.join(root, 'd0'), path.join(root, 'd1')];
const SMALL = { laneBytes: 65_536, capacity: 200, lanes: LANES };

async function expectTailed(writer: RuntimeName, reader: RuntimeName, count: number): Promise<void> {
  const storage = storageIn(scratch());
  const write = new Peer(writer, 'write', { storage, ...SMALL });
  await write.says();
  const tail = new Peer(reader, 'tail', { storage, lanes: LANES, count, wait: 'spin' });
  await tail.says();
  await write.tell('append', count / 2);
  await write.tell('flush');
  await write.tell('append', count / 2);
  expect(await tail.says()).toMatchObject({ seen: LANES * count, next: new Array(LANES).fill(count) });
  await write.tell('close');
}

const NAMES: RuntimeName[] = ['node', 'deno', 'bun'];
const pairs = NAMES.flatMap((writer) => NAMES.map((reader) => [writer, reader] as const));

describe('written by one runtime and tailed by another', () => {
  test.for(pairs)('%s, %s', { timeout: 60_000 }, async ([writer, reader], { skip }) => {
    skip(ownRuntime !== 'node', 'all nine start from Node: the others have the one of their own below');
    skip(!isInstalled(writer) || !isInstalled(reader), `${writer} or ${reader} is not in node_modules/.bin`);
    await expectTailed(writer, reader, 1000);
  });
});

test('tailed by another process of this runtime', { timeout: 60_000 }, async () => {
  await expectTailed(ownRuntime, ownRuntime, 4000);
});

describe('a writer that is killed and opens again', () => {
  test.each([
    ['a tail that keeps up', 0],
    ['a tail that pauses, and is lapped', 40],
  ])('%s', { timeout: 60_000 }, async (_, pauses) => {
    const storage = storageIn(scratch());
    const rounds = 4;
    const each = 1500;
    let write = new Peer(ownRuntime, 'write', { storage, ...SMALL });
    await write.says();
    const tail = new Peer(ownRuntime, 'tail', { storage, lanes: LANES, count: rounds * each, pauses });
    await tail.says();
    for (let round = 1; round <= rounds; round++) {
      await write.tell('append', each);
      await write.kill();
      if (round === rounds) break;
      write = new Peer(ownRuntime, 'write', { storage, ...SMALL, first: round * each });
      await write.says();
    }
    // What only lanes have is recovered by whoever opens the tape next.
    write = new Peer(ownRuntime, 'write', { storage, ...SMALL });
    await write.says();
    expect(await tail.says()).toMatchObject({ next: new Array(LANES).fill(rounds * each) });
  });

  test('in the middle of appending', { timeout: 60_000 }, async () => {
    const storage = storageIn(scratch());
    const write = new Peer(ownRuntime, 'write', { storage, ...SMALL });
    await write.says();
    const counted = 400;
    const tail = new Peer(ownRuntime, 'tail', { storage, lanes: LANES, count: counted, wait: 'sleep' });
    await tail.says();
    // Killed as soon as the tail has seen enough.
    const appended = write.tell('append', 100_000).catch(() => null);
    expect(await tail.says()).toMatchObject({ live: expect.any(Number) });
    await write.kill();
    await appended;
  });
});
