import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { place } from '../../dist/src/storage/placement.js';

const randomOf = (seed: number) => {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

describe('placement', () => {
  test('picks distinct candidates, as many as there are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 8 }),
        fc.integer({ min: 0, max: 8 }),
        fc.integer(),
        (loads, copies, seed) => {
          const chosen = place([...loads.keys()], copies, (i) => loads[i], randomOf(seed));
          expect(new Set(chosen).size).toBe(chosen.length);
          expect(chosen.length).toBe(Math.min(copies, loads.length));
        },
      ),
    );
  });

  test('never picks the most loaded one where another is to be had', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.integer(), (count, seed) => {
        const loads = Array.from({ length: count }, (_, i) => (i === 0 ? 1 : 0));
        expect(place([...loads.keys()], count - 1, (i) => loads[i], randomOf(seed))).not.toContain(0);
      }),
    );
  });

  test('gives equals equal shares, in each place', () => {
    const random = randomOf(7);
    const counts = [0, 1].map(() => [0, 0, 0, 0]);
    for (let i = 0; i < 40_000; i++) {
      place([0, 1, 2, 3], 2, () => 0, random).forEach((candidate, at) => {
        counts[at][candidate]++;
      });
    }
    for (const count of counts.flat()) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  test('keeps loads level that grow with what was picked', () => {
    const random = randomOf(3);
    const loads = [0, 0, 0, 0, 0];
    for (let i = 0; i < 10_000; i++)
      for (const pick of place([...loads.keys()], 2, (j) => loads[j], random)) loads[pick]++;
    // Two drawn at random: a few apart, where one alone would be some hundred.
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThan(12);
  });
});
