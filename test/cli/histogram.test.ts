import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Histogram } from '../../dist/src/cli/histogram.js';

const QUANTILES = [0, 0.5, 0.99, 0.999, 0.9999, 1];

test('a quantile is at most 1.6 % above the true one, and never below it', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(300), fc.nat(100_000), fc.nat(2 ** 31 - 1)), { minLength: 1 }), (times) => {
      const histogram = new Histogram();
      for (const ns of times) histogram.record(ns);
      const sorted = times.toSorted((a, b) => a - b);
      for (const quantile of QUANTILES) {
        const exact = sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)];
        const told = histogram.quantileNs(quantile);
        expect(told).toBeGreaterThanOrEqual(exact);
        expect(told).toBeLessThanOrEqual(exact * (1 + 1 / 64));
      }
      expect(histogram.maxNs).toBe(sorted.at(-1));
      expect(histogram.count).toBe(times.length);
    }),
  );
});

test('fractions, a clock set back, and hours', () => {
  const histogram = new Histogram();
  for (const ns of [59.9999, -10, 4e12]) histogram.record(ns);
  expect(histogram.count).toBe(3);
  expect(histogram.quantileNs(0.5)).toBe(59);
  expect(histogram.maxNs).toBe(4e12);
});

test('merged ones are as one', () => {
  const all = new Histogram();
  const sum = new Histogram();
  for (let part = 0; part < 5; part++) {
    const histogram = new Histogram();
    for (let i = 0; i < 1000; i++) {
      const ns = (i * 7919 * (part + 1)) % 1_000_003;
      all.record(ns);
      histogram.record(ns);
    }
    // As it comes out of a worker.
    sum.merge(new Histogram(structuredClone(histogram.buckets), histogram.maxNs));
  }
  expect(sum).toEqual(all);
});

test('an empty one', () => expect(new Histogram().quantileNs(0.5)).toBe(0));
