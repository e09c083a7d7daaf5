import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CONTROL_BYTES } from '../../dist/assembly/layout.js';
import { appendBucketNs, appendQuantileNs, CollectorCounters } from '../../dist/src/collect/collector-counters.js';

test('what a collector counts is what is read, and no other has any of it', () => {
  const window = new ArrayBuffer(CONTROL_BYTES + 4096);
  const counters = new CollectorCounters(window, 4096, 63);
  expect(counters.read(63)).toBeNull();
  counters.begin('binance', 5);
  expect(counters.read(63)).toMatchObject({ collector: 63, name: 'binance', lane: 5, state: 'starting', sinceNs: 0 });
  counters.state = 'running';
  counters.received(2, 300, 1e18);
  counters.received(1, 50, 2e18);
  counters.rejected();
  counters.gap();
  counters.restarted();
  counters.appended(40);
  expect(counters.read(63)).toMatchObject({
    state: 'running',
    messages: 3,
    bytes: 350,
    rejected: 1,
    gaps: 1,
    restarts: 1,
    sinceNs: 1e18,
    lastNs: 2e18,
  });
  for (let other = 0; other < 63; other++) expect(new CollectorCounters(window, 4096, other).read(other)).toBeNull();
  counters.begin('x'.repeat(100), 0);
  expect(counters.read(63)).toMatchObject({ name: 'x'.repeat(48), messages: 0, lastNs: 0 });
});

test('a time counts to the bucket that it lies in, an eighth wide at most', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3_000_000 }), (ns) => {
      const counters = new CollectorCounters(new ArrayBuffer(CONTROL_BYTES), 0, 0);
      counters.begin('', 0);
      counters.appended(ns);
      const { appendTimes } = counters.read(0)!;
      const bucket = appendTimes.indexOf(1);
      expect(appendTimes.reduce((sum, times) => sum + times)).toBe(1);
      expect(appendBucketNs(bucket)).toBeGreaterThanOrEqual(ns);
      if (bucket > 0) expect(appendBucketNs(bucket - 1)).toBeLessThan(ns);
      expect(appendBucketNs(bucket)).toBeLessThanOrEqual(ns * 1.125 + 1);
    }),
  );
});

test('quantiles are of all that was timed; what is longer than can be told counts as the longest', () => {
  const counters = new CollectorCounters(new ArrayBuffer(CONTROL_BYTES), 0, 0);
  counters.begin('', 0);
  expect(appendQuantileNs(counters.read(0)!.appendTimes, 0.5)).toBe(0);
  for (let i = 0; i < 99; i++) counters.appended(6);
  counters.appended(1e12);
  const { appendTimes } = counters.read(0)!;
  expect(appendQuantileNs(appendTimes, 0.5)).toBe(6);
  expect(appendQuantileNs(appendTimes, 0.99)).toBe(6);
  expect(appendQuantileNs(appendTimes, 0.999)).toBe(appendBucketNs(159));
  expect(appendBucketNs(159)).toBeGreaterThan(3_900_000);
});
