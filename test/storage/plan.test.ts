import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type BlockState,
  type CopyState,
  planRepair,
  type RepairState,
  type SegmentState,
} from '../../dist/src/storage/scrub/plan.js';

const MiB = 1024 ** 2;

/** Segments of any state on up to five storage nodes, with copies of blocks strewn over them. */
const states: fc.Arbitrary<RepairState> = fc
  .record({
    nodes: fc.array(
      fc.record({
        retiring: fc.boolean(),
        takes: fc.boolean(),
        freeBytes: fc.constantFrom(0, 1.5 * MiB, Infinity),
        segments: fc.array(fc.constantFrom<SegmentState['state']>('sealed', 'sealed', 'fixed', 'damaged'), {
          maxLength: 4,
        }),
      }),
      { minLength: 1, maxLength: 5 },
    ),
    redundancy: fc.integer({ min: 1, max: 3 }),
    blocks: fc.array(
      fc.array(fc.record({ segment: fc.nat(), good: fc.boolean(), mendable: fc.boolean() }), {
        minLength: 1,
        maxLength: 5,
      }),
      { maxLength: 12 },
    ),
  })
  .map(({ nodes, redundancy, blocks }) => {
    const segments = nodes.flatMap((node, storage) =>
      node.segments.map(
        (state, i): SegmentState => ({
          path: `d${storage}/${i}`,
          storage,
          state,
          rank: i % 2 === 0 ? 0 : i,
          stays: i === 1,
        }),
      ),
    );
    const strewn = blocks.map((copies, i): BlockState => {
      const sequence = BigInt(i);
      const placed = copies.map(
        ({ segment, good, mendable }, offset): CopyState => ({
          segment: segments[segment % Math.max(1, segments.length)],
          offset: 100 * i + offset,
          good,
          mendable,
        }),
      );
      const entry = { count: 1, leastNs: 0n, greatestNs: 0n, symbolMask: 0n, headerChecksum: sequence };
      return { ...entry, sequence, blockBytes: 1000, copies: segments.length === 0 ? [] : placed };
    });
    return {
      nodes: nodes.map(({ retiring, takes, freeBytes }) => ({ retiring, takes, freeBytes, bytes: 0 })),
      segments,
      blocks: strewn.filter(({ copies }) => copies.length > 0),
      redundancy,
    };
  });

const holders = (copies: readonly CopyState[]) =>
  new Set(copies.filter(({ good }) => good).map(({ segment }) => segment.storage));

/** Carries plans out until there is nothing to write, and then removes; some writes fail. */
function carryOut(state: RepairState, fails: () => boolean, random: () => number): void {
  let made = 100;
  for (let round = 0; ; round++) {
    expect(round, 'it comes to an end').toBeLessThan(200);
    const plan = planRepair(state, random);
    const writes = [...plan.additions, ...plan.rewrites];
    if (plan.mends.length + writes.length === 0) {
      for (const block of state.blocks) {
        const left = block.copies.filter(({ segment }) => !plan.removals.includes(segment));
        const [before, after] = [holders(block.copies).size, holders(left).size];
        expect(after).toBeGreaterThanOrEqual(Math.min(before, state.redundancy));
        expect(left.length, 'a block is never dropped').toBeGreaterThan(0);
        block.copies = left;
      }
      for (const { state: was } of plan.removals) expect(was).not.toBe('fixed');
      state.segments = state.segments.filter((segment) => !plan.removals.includes(segment));
      return;
    }
    for (const { copy } of plan.mends) {
      expect(copy).toMatchObject({ good: false, mendable: true });
      expect(copy.segment.state).toBe('sealed');
      if (fails()) copy.mendable = false;
      else copy.good = true;
    }
    for (const storage of new Set(writes.map((write) => write.storage))) {
      expect(state.nodes[storage]).toMatchObject({ takes: true, retiring: false });
      if (fails()) {
        state.nodes[storage].takes = false;
        continue;
      }
      const rank = made++;
      const segment: SegmentState = { path: `d${storage}/${rank}`, storage, state: 'sealed', rank, stays: false };
      state.segments.push(segment);
      for (const { block } of writes.filter((write) => write.storage === storage)) {
        expect(holders(block.copies).size, 'there is something to copy').toBeGreaterThan(0);
        block.copies.push({ segment, offset: rank, good: true, mendable: true });
      }
    }
  }
}

test('whatever there is, and whatever fails: it ends, nothing has fewer copies than before, and again there is nothing to do', () => {
  fc.assert(
    fc.property(
      states,
      fc.infiniteStream(fc.integer({ min: 0, max: 9 })),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      (state, dice, random) => {
        const next = <T>(stream: Iterator<T>) => stream.next().value as T;
        const before = new Map(state.blocks.map(({ sequence, copies }) => [sequence, holders(copies).size]));
        carryOut(
          state,
          () => next(dice) === 0,
          () => next(random),
        );
        for (const { sequence, copies } of state.blocks) {
          expect(holders(copies).size).toBeGreaterThanOrEqual(Math.min(state.redundancy, before.get(sequence)!));
        }
        const plan = planRepair(state, () => 0.5);
        expect({ ...plan, lost: 0, short: 0 }).toMatchObject({ mends: [], additions: [], rewrites: [], removals: [] });
      },
    ),
    { numRuns: 2000 },
  );
});

test('with room everywhere and nothing that fails: every block exactly as often as it should be, each time good', () => {
  fc.assert(
    fc.property(states, (drawn) => {
      const state = drawn;
      for (const node of state.nodes) Object.assign(node, { retiring: false, takes: true, freeBytes: Infinity });
      for (const segment of state.segments) {
        segment.stays = false;
        if (segment.state === 'fixed') segment.state = 'sealed';
      }
      state.redundancy = Math.min(state.redundancy, state.nodes.length);
      for (const { copies } of state.blocks) copies[0].good = true;
      carryOut(
        state,
        () => false,
        () => 0.3,
      );
      for (const { copies } of state.blocks) {
        expect(copies.map(({ good }) => good)).toEqual(new Array(state.redundancy).fill(true));
        expect(holders(copies).size).toBe(state.redundancy);
      }
      for (const { state: is } of state.segments) expect(is).toBe('sealed');
    }),
    { numRuns: 2000 },
  );
});
