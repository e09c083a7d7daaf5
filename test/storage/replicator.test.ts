import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlockHeader } from '../../dist/src/block/header.js';
import type { TapeError } from '../../dist/src/errors.js';
import { Replicator, type ReplicatorOptions } from '../../dist/src/storage/replicator.js';
import type { StorageNode, StoredCopy } from '../../dist/src/storage/storage-node.js';

const BLOCK_BYTES = 1000;
const TIMEOUT_MS = 1000;

/** A block, of which the replicator needs no more than this. */
const headerOf = (block: number) => ({ sequence: BigInt(block), blockBytes: BLOCK_BYTES }) as BlockHeader;

type Step = 'write' | 'commit' | 'sync';

/** An operation of a storage node that is under way. */
interface Operation {
  node: FakeNode;
  block: number;
  step: Step;
  succeed(): void;
  fail(): void;
}

/** A storage node whose operations end when, and as, the test says. */
class FakeNode implements StorageNode {
  readonly name: string;
  readonly committed: number[] = [];
  readonly synced = new Set<number>();
  readonly abandoned: number[] = [];
  isClosed = false;
  readonly #world: World;

  constructor(name: string, world: World) {
    this.name = name;
    this.#world = world;
  }

  async write({ sequence }: BlockHeader): Promise<StoredCopy> {
    const block = Number(sequence);
    const isWriting = this.#world.operations.some(({ node, step }) => node === this && step === 'write');
    expect(isWriting, `${this.name} writes one block at a time`).toBe(false);
    await this.#operation(block, 'write');
    return {
      commit: async () => {
        this.#world.noteCommit(block);
        await this.#operation(block, 'commit');
        this.committed.push(block);
      },
      sync: async () => {
        await this.#operation(block, 'sync');
        this.synced.add(block);
      },
      abandon: () => this.abandoned.push(block),
    };
  }

  #operation(block: number, step: Step): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => () => {
        const at = this.#world.operations.indexOf(operation);
        expect(at).toBeGreaterThanOrEqual(0);
        this.#world.operations.splice(at, 1);
        settle();
      };
      const operation: Operation = {
        node: this,
        block,
        step,
        succeed: end(resolve),
        fail: end(() => reject(Object.assign(new Error('EIO: broken'), { code: 'EIO' }))),
      };
      this.#world.operations.push(operation);
    });
  }

  async sync(): Promise<void> {}

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** Storage nodes, a clock, and a replicator over them. */
class World {
  nowMs = 0;
  readonly operations: Operation[] = [];
  readonly nodes: FakeNode[];
  readonly troubles: TapeError[] = [];
  readonly replicator: Replicator;
  /** Blocks in the order in which they were taken as stored, with their number of copies. */
  readonly stored: [number, number][] = [];
  submitted = 0;

  constructor(nodes: number, options: Partial<ReplicatorOptions> = {}) {
    this.nodes = Array.from({ length: nodes }, (_, i) => new FakeNode(`d${i}`, this));
    this.replicator = new Replicator(this.nodes, {
      redundancy: 2,
      degraded: 'continue',
      durable: false,
      writeTimeoutMs: TIMEOUT_MS,
      random: Math.random,
      nowMs: () => this.nowMs,
      onTrouble: (error) => this.troubles.push(error),
      ...options,
    });
  }

  /** A block is committed after all before it are on all of their storage nodes. */
  noteCommit(block: number): void {
    for (const { block: other, step } of this.operations) {
      if (step === 'commit') expect(other, 'commits under way are of one block').toBe(block);
    }
    for (let before = 0; before < block; before++) {
      expect(this.holders(before).length, `block ${before} is committed before ${block}`).toBeGreaterThan(0);
    }
  }

  holders(block: number): FakeNode[] {
    return this.nodes.filter(({ committed }) => committed.includes(block));
  }

  submit(): void {
    this.replicator.submit(headerOf(this.submitted++), new Uint8Array(BLOCK_BYTES));
  }

  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.replicator.poll();
    for (;;) {
      const flight = this.replicator.takeStored();
      if (flight === null) break;
      this.stored.push([Number(flight.header.sequence), flight.storedOn]);
    }
  }

  /** Nothing ends for longer than it may take. */
  async stall(): Promise<void> {
    for (const ms of [TIMEOUT_MS + 1, 50]) {
      this.nowMs += ms;
      await this.settle();
    }
  }

  async finish(): Promise<void> {
    while (this.operations.length > 0) {
      this.operations[0].succeed();
      await this.settle();
    }
  }
}

test('writes to storage nodes go on at once, and several blocks are under way', async () => {
  const world = new World(2, { redundancy: 1 });
  for (let block = 0; block < 2; block++) world.submit();
  await world.settle();
  expect(world.operations.map(({ block, step }) => `${step} ${block}`)).toEqual(['write 0', 'write 1']);
  expect(new Set(world.operations.map(({ node }) => node)).size).toBe(2);
  await world.finish();
  const both = new World(2);
  both.submit();
  await both.settle();
  expect(both.operations.map(({ block, step }) => `${step} ${block}`)).toEqual(['write 0', 'write 0']);
  await both.finish();
  expect([world.stored, both.stored]).toEqual([
    [
      [0, 1],
      [1, 1],
    ],
    [[0, 2]],
  ]);
});

test('takes eight blocks and no more', async () => {
  const world = new World(4);
  while (!world.replicator.isFull) world.submit();
  expect(world.submitted).toBe(8);
  await world.settle();
  await world.finish();
  expect(world.replicator.isFull).toBe(false);
  expect(world.stored.map(([block]) => block)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test('with durable copies a block counts as stored once they are synced, and the next is committed meanwhile', async () => {
  const world = new World(2, { durable: true });
  world.submit();
  world.submit();
  await world.settle();
  const end = async (step: Step) => {
    for (const operation of world.operations.filter((candidate) => candidate.step === step)) operation.succeed();
    await world.settle();
  };
  await end('write');
  await end('commit');
  await end('write');
  expect(world.operations.map(({ block, step }) => `${step} ${block}`).sort()).toEqual([
    'commit 1',
    'commit 1',
    'sync 0',
    'sync 0',
  ]);
  expect(world.stored).toEqual([]);
  await end('sync');
  expect(world.stored).toEqual([[0, 2]]);
  await world.finish();
  expect(world.nodes.map(({ synced }) => [...synced])).toEqual([
    [0, 1],
    [0, 1],
  ]);
});

describe('a storage node that fails', () => {
  test('is set aside, each time for longer, and its share goes to another', async () => {
    const world = new World(3);
    const [bad] = world.nodes;
    const asides: number[] = [];
    for (let round = 0; round < 400 && asides.length < 12; round++) {
      world.submit();
      await world.settle();
      const errors = world.replicator.loads[0].errors;
      while (world.operations.length > 0) {
        const [operation] = world.operations;
        if (operation.node === bad) operation.fail();
        else operation.succeed();
        await world.settle();
      }
      const load = world.replicator.loads[0];
      if (load.errors > errors) asides.push(load.asideUntilMs - world.nowMs);
      world.nowMs += 500;
    }
    expect(asides).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000]);
    expect(world.stored.every(([, copies]) => copies === 2)).toBe(true);
    expect(bad.committed).toEqual([]);
    // Said once, not each time.
    expect(world.troubles.map(({ storageNode }) => storageNode)).toEqual(['d0']);
  });

  test('comes back by itself, and is then as good as before', async () => {
    const world = new World(2, { degraded: 'stop' });
    world.submit();
    await world.settle();
    world.operations.find(({ node }) => node === world.nodes[1])!.fail();
    await world.settle();
    await world.finish();
    expect(world.stored).toEqual([]);
    expect(world.replicator.starved?.message).toContain('1 of 2 storage nodes');
    world.nowMs += 100;
    await world.settle();
    expect(world.replicator.starved).toBe(null);
    await world.finish();
    expect(world.stored).toEqual([[0, 2]]);
    expect(world.replicator.loads[1]).toMatchObject({ errors: 1, blocks: 1, bytes: BLOCK_BYTES, inFlightBytes: 0 });
  });

  test("'continue' keeps fewer copies, and says how many; with none healthy it waits", async () => {
    const world = new World(2);
    world.submit();
    await world.settle();
    world.operations.find(({ node }) => node === world.nodes[1])!.fail();
    await world.settle();
    await world.finish();
    expect(world.stored).toEqual([[0, 1]]);
    world.submit();
    await world.settle();
    world.operations[0].fail();
    await world.settle();
    expect(world.replicator.starved?.message).toContain('0 of 2 storage nodes');
    world.nowMs += 100;
    await world.settle();
    await world.finish();
    expect(world.stored).toEqual([
      [0, 1],
      [1, 2],
    ]);
  });

  test('at the commit: another takes its place, and later blocks wait for that', async () => {
    const world = new World(3, { random: () => 0 });
    world.submit();
    world.submit();
    await world.settle();
    while (!world.operations.some(({ step }) => step === 'commit')) {
      world.operations.find(({ step }) => step === 'write')!.succeed();
      await world.settle();
    }
    world.operations.find(({ step }) => step === 'commit')!.fail();
    await world.settle();
    await world.finish();
    expect(world.stored).toEqual([
      [0, 2],
      [1, 2],
    ]);
  });
});

describe('a write that hangs', () => {
  test('costs its storage node its share until it comes back; the block goes to another', async () => {
    const world = new World(3);
    world.submit();
    await world.settle();
    const [hung, other] = world.operations;
    other.succeed();
    await world.settle();
    const at = world.nodes.indexOf(hung.node);
    await world.stall();
    expect(world.replicator.loads[at]).toMatchObject({ overdue: 1, errors: 1 });
    expect(world.troubles[0].message).toContain('is it hung?');
    for (let block = 1; block < 40; block++) {
      world.submit();
      world.nowMs += TIMEOUT_MS;
      await world.settle();
      while (world.operations.length > 1) {
        world.operations.find((operation) => operation !== hung)!.succeed();
        await world.settle();
      }
    }
    expect(world.stored.map(([, copies]) => copies)).toEqual(new Array(40).fill(2));
    expect(hung.node.committed).toEqual([]);
    hung.succeed();
    await world.settle();
    // What it wrote after all is not committed: others have the block.
    expect(hung.node.abandoned).toEqual([0]);
    expect(world.replicator.loads[at].overdue).toBe(0);
    for (let i = 0; i < 20; i++) {
      world.submit();
      await world.settle();
      await world.finish();
    }
    expect(hung.node.committed.length).toBeGreaterThan(0);
  });

  test('does not hold up closing', async () => {
    const world = new World(3);
    world.submit();
    await world.settle();
    const [hung, other] = world.operations;
    other.succeed();
    await world.settle();
    await world.stall();
    while (world.operations.length > 1) {
      world.operations.find((operation) => operation !== hung)!.succeed();
      await world.settle();
    }
    await world.replicator.close(() => new Promise(() => {}));
    expect(world.nodes.map((node) => node.isClosed)).toEqual(world.nodes.map((node) => node !== hung.node));
  });
});

describe('when it is given up', () => {
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

  test('nothing more is begun, and what is under way has come back', async () => {
    const world = new World(2);
    world.submit();
    world.submit();
    await world.settle();
    let isEnded = false;
    const ending = world.replicator.abandon(turn).then(() => {
      isEnded = true;
    });
    const [first, second] = world.operations;
    first.succeed();
    await world.settle();
    expect(isEnded).toBe(false);
    second.succeed();
    await ending;
    await world.settle();
    expect(world.operations).toEqual([]);
    expect(world.nodes.map(({ committed }) => committed)).toEqual([[], []]);
  });

  test('what hangs is not waited for', async () => {
    const world = new World(2);
    world.submit();
    await world.settle();
    world.operations[0].succeed();
    const [hung] = world.operations;
    const ending = world.replicator.abandon(async () => {
      world.nowMs += 60;
      await turn();
    });
    await ending;
    expect(world.operations).toEqual([hung]);
    hung.succeed();
    await world.settle();
    expect(world.operations).toEqual([]);
    expect(world.nodes.map(({ committed }) => committed)).toEqual([[], []]);
  });
});

test('a slow storage node gets less than its share', async () => {
  const world = new World(4);
  const [slow] = world.nodes;
  const ends = new Map<Operation, number>();
  for (let tick = 0; tick < 1000; tick++) {
    world.nowMs += 1;
    if (!world.replicator.isFull) world.submit();
    await world.settle();
    for (const operation of [...world.operations]) {
      if (!ends.has(operation)) ends.set(operation, world.nowMs + (operation.node === slow ? 100 : 2));
      if (ends.get(operation)! <= world.nowMs) operation.succeed();
    }
  }
  const shares = world.nodes.map(({ committed }) => committed.length);
  expect(shares[0]).toBeLessThan(Math.min(...shares.slice(1)) / 10);
  expect(shares[0]).toBeGreaterThan(0);
  expect(world.stored.every(([, copies]) => copies === 2)).toBe(true);
});

test('whatever fails, hangs and comes back: blocks in order, on distinct storage nodes, on as many as was said', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        nodes: fc.integer({ min: 1, max: 4 }),
        copies: fc.integer({ min: 1, max: 3 }),
        degraded: fc.constantFrom('continue' as const, 'stop' as const),
        durable: fc.boolean(),
        seed: fc.integer(),
      }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.nat()), { maxLength: 150 }),
      async ({ nodes, copies, degraded, durable, seed }, steps) => {
        let state = seed >>> 0;
        const random = () => {
          state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
          return state / 2 ** 32;
        };
        const redundancy = Math.min(copies, nodes);
        const world = new World(nodes, { redundancy, degraded, durable, random });
        for (const [what, which] of steps) {
          const operation = world.operations[which % Math.max(1, world.operations.length)];
          if (what <= 2) {
            if (!world.replicator.isFull) world.submit();
          } else if (what <= 6) operation?.succeed();
          else if (what === 7) operation?.fail();
          else world.nowMs += what === 8 ? 50 : TIMEOUT_MS + 1;
          await world.settle();
        }
        // All is well again.
        for (let i = 0; i < 100 && world.stored.length < world.submitted; i++) {
          await world.finish();
          world.nowMs += 30_000;
          for (const operation of [...world.operations]) operation.succeed();
          await world.settle();
        }
        await world.finish();
        expect(world.stored.map(([block]) => block)).toEqual(Array.from({ length: world.submitted }, (_, i) => i));
        for (const [block, storedOn] of world.stored) {
          const holders = world.holders(block);
          expect(holders.length).toBeGreaterThanOrEqual(storedOn);
          if (durable) {
            expect(holders.filter(({ synced }) => synced.has(block)).length).toBeGreaterThanOrEqual(storedOn);
          }
          if (degraded === 'stop') expect(storedOn).toBeGreaterThanOrEqual(redundancy);
          else expect(storedOn).toBeGreaterThan(0);
        }
        for (const { inFlightBytes, overdue } of world.replicator.loads)
          expect([inFlightBytes, overdue]).toEqual([0, 0]);
      },
    ),
    { numRuns: 200 },
  );
});
