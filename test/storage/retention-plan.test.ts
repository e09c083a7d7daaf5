import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planRetention, type RetainedSegment } from '../../dist/src/storage/retention-plan.js';

interface Block {
  sequence: bigint;
  end: bigint;
  ns: bigint;
}

type Segment = RetainedSegment & { blocks: Block[] };

const MS = 1_000_000n;

/** A tape: blocks on R of N storage nodes, each of which ends its segments where it likes and may be writing the last. */
const tapes = fc
  .record({
    nodes: fc.integer({ min: 1, max: 4 }),
    blocks: fc.array(
      fc.record({
        count: fc.integer({ min: 1, max: 4 }),
        /** Mostly one after another; some late, some of the future. */
        laterMs: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: -20, max: 100 })),
        copies: fc.integer({ min: 1, max: 3 }),
        firstNode: fc.nat(3),
        bytes: fc.integer({ min: 1, max: 50 }),
        /** Ends the segments that it goes to. */
        cuts: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        madeMs: fc.integer({ min: -40, max: 5 }),
      }),
      { minLength: 1, maxLength: 40, size: 'max' },
    ),
    writing: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    from: fc.oneof(fc.constant(0), fc.nat(40)),
    released: fc.oneof(fc.constant(40), fc.nat(40)),
    nowMs: fc.integer({ min: 0, max: 120 }),
  })
  .map(({ nodes, blocks, writing, from, released, nowMs }) => {
    const segments: Segment[] = [];
    const last = new Map<number, Segment>();
    const boundaries = [0n];
    let sequence = 0n;
    blocks.forEach(({ count, laterMs, copies, firstNode, bytes, cuts, madeMs }, i) => {
      const block = { sequence, end: sequence + BigInt(count), ns: BigInt(i + laterMs) * MS };
      sequence = block.end;
      boundaries.push(sequence);
      for (let copy = 0; copy < Math.min(copies, nodes); copy++) {
        const storage = (firstNode + copy) % nodes;
        let segment = last.get(storage);
        if (segment === undefined || cuts[storage]) {
          if (segment !== undefined) segment.removable = true;
          segment = {
            storage,
            path: `d${storage}/${segments.length}`,
            bytes: 10,
            first: block.sequence,
            end: 0n,
            newestNs: BigInt(i + madeMs) * MS,
            removable: false,
            blocks: [],
          };
          last.set(storage, segment);
          segments.push(segment);
        }
        segment.blocks.push(block);
        segment.end = block.end;
        segment.bytes += bytes;
        if (block.ns > segment.newestNs) segment.newestNs = block.ns;
      }
    });
    for (const [storage, segment] of last) if (writing[storage]) segment.newestNs = BigInt(nowMs) * MS;
    const at = (place: number) => boundaries[Math.min(boundaries.length - 1, place)];
    return {
      segments,
      boundaries,
      place: { firstSequence: at(from), releasedTo: at(released), nowNs: BigInt(nowMs) * MS },
    };
  });

type Made = typeof tapes extends fc.Arbitrary<infer T> ? T : never;

const ages = fc.integer({ min: 1, max: 60 });
const limits = fc.integer({ min: 0, max: 2500 });
const total = (segments: readonly RetainedSegment[]) => segments.reduce((sum, { bytes }) => sum + bytes, 0);

/** Whether lanes have let go of all before it. */
const isFree = ({ place }: Made, mark: bigint) => mark <= place.releasedTo;

/** Whether none of it is in a segment that has anything younger. */
const isOld = ({ segments, place }: Made, ageMs: number, mark: bigint) =>
  segments.every(
    ({ newestNs, end, blocks }) =>
      newestNs < place.nowNs - BigInt(ageMs) * MS ||
      end <= place.firstSequence ||
      blocks.every(({ sequence }) => sequence >= mark),
  );

/** Ends of segments that may go. */
const marksOf = ({ segments, place }: Made) =>
  segments.filter(({ removable, end }) => removable && end > place.firstSequence).map(({ end }) => end);

const greatest = (marks: readonly bigint[], otherwise: bigint) => marks.reduce((a, b) => (b > a ? b : a), otherwise);

test('no block goes in part: what is removed lies wholly below the mark, and all of it that may', () => {
  fc.assert(
    fc.property(tapes, fc.option(ages), fc.option(limits), (made, age, limit) => {
      const policy = { ageMs: age ?? undefined, bytes: limit ?? undefined };
      const { segments, boundaries, place } = made;
      const plan = planRetention(segments, policy, place);
      expect(boundaries).toContain(plan.firstSequence);
      expect(plan.firstSequence >= place.firstSequence).toBe(true);
      const below = segments.filter(
        ({ removable, blocks }) => removable && blocks.every(({ end }) => end <= plan.firstSequence),
      );
      expect(new Set(plan.remove)).toEqual(new Set(below));
      if (plan.firstSequence > place.firstSequence) expect(isFree(made, plan.firstSequence)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('by age: as far as nothing younger goes, and no further', () => {
  let moved = 0;
  fc.assert(
    fc.property(tapes, ages, (made, ageMs) => {
      const { segments, place } = made;
      const plan = planRetention(segments, { ageMs }, place);
      const possible = marksOf(made).filter((mark) => isFree(made, mark) && isOld(made, ageMs, mark));
      expect(plan.firstSequence).toBe(greatest(possible, place.firstSequence));
      if (plan.firstSequence === place.firstSequence) return;
      moved++;
      for (const { blocks } of segments) {
        for (const { sequence, ns } of blocks) {
          if (sequence < place.firstSequence || sequence >= plan.firstSequence) continue;
          expect(ns < place.nowNs - BigInt(ageMs) * MS).toBe(true);
        }
      }
    }),
    { numRuns: 2000 },
  );
  expect(moved).toBeGreaterThan(300);
});

test('by bytes: until there are no more than that, with the least mark that does it', () => {
  let moved = 0;
  fc.assert(
    fc.property(tapes, limits, (made, bytes) => {
      const { segments, place } = made;
      const plan = planRetention(segments, { bytes }, place);
      const possible = marksOf(made).filter((mark) => isFree(made, mark));
      const left = (mark: bigint) => total(segments.filter(({ removable, end }) => !removable || end > mark));
      const enough = possible.filter((mark) => left(mark) <= bytes);
      if (left(place.firstSequence) <= bytes) expect(plan.firstSequence).toBe(place.firstSequence);
      else if (enough.length === 0) expect(plan.firstSequence).toBe(greatest(possible, place.firstSequence));
      else expect(plan.firstSequence).toBe(enough.reduce((a, b) => (b < a ? b : a)));
      if (plan.firstSequence > place.firstSequence) moved++;
    }),
    { numRuns: 2000 },
  );
  expect(moved).toBeGreaterThan(300);
});

test('by both: whatever either lets go, and a second look finds nothing more', () => {
  fc.assert(
    fc.property(tapes, ages, limits, ({ segments, place }, ageMs, bytes) => {
      const plan = planRetention(segments, { ageMs, bytes }, place);
      const byBytes = planRetention(segments, { bytes }, place);
      const rest = { ...place, firstSequence: byBytes.firstSequence };
      expect(plan).toEqual(planRetention(segments, { ageMs }, rest));
      expect(plan.firstSequence >= planRetention(segments, { ageMs }, place).firstSequence).toBe(true);
      const left = segments.filter((segment) => !plan.remove.includes(segment));
      const again = planRetention(left, { ageMs, bytes }, { ...place, firstSequence: plan.firstSequence });
      expect(again).toEqual({ firstSequence: plan.firstSequence, remove: [] });
    }),
    { numRuns: 1000 },
  );
});
