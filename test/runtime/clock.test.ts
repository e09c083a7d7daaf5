import { expect, test } from 'vitest';
import { calibratedClock } from '../../runtimes/clock.js';
import type { Libc } from '../../runtimes/libc.js';
import { posixSteadyClock } from '../../runtimes/posix.js';

const SECOND = 1_000_000_000n;
const EPOCH = 1_790_000_000n * SECOND;

/** A monotonic clock that goes on by `stepNs` a read, and a wall clock that can be set. */
function clocks(stepNs: bigint) {
  let elapsed = 0n;
  const set = { ns: 0n };
  const monotonicNs = () => {
    elapsed += stepNs;
    return elapsed;
  };
  const wallNs = () => EPOCH + elapsed + set.ns;
  return { monotonicNs, wallNs, set, skip: (ns: bigint) => (elapsed += ns) };
}

test('a calibrated clock is the wall clock', () => {
  const { monotonicNs, wallNs } = clocks(10n);
  const nowNs = calibratedClock(monotonicNs, wallNs);
  for (let i = 0; i < 1000; i++) {
    const now = nowNs();
    expect(wallNs() - now).toBeLessThan(200n);
    expect(wallNs() - now).toBeGreaterThan(-200n);
  }
});

test('a calibrated clock takes up a clock that was set forward within a second', () => {
  const { monotonicNs, wallNs, set, skip } = clocks(10n);
  const nowNs = calibratedClock(monotonicNs, wallNs);
  nowNs();
  set.ns = 3600n * SECOND;
  skip(SECOND / 2n);
  expect(wallNs() - nowNs()).toBeGreaterThan(3599n * SECOND);
  skip(SECOND / 2n);
  expect(wallNs() - nowNs()).toBeLessThan(200n);
});

test('a calibrated clock stands still until a clock that was set back has caught up', () => {
  const { monotonicNs, wallNs, set, skip } = clocks(10n);
  const nowNs = calibratedClock(monotonicNs, wallNs);
  const before = nowNs();
  set.ns = -5n * SECOND;
  skip(2n * SECOND);
  expect(nowNs()).toBe(before);
  skip(2n * SECOND);
  expect(nowNs()).toBe(before);
  skip(2n * SECOND);
  const after = nowNs();
  expect(after).toBeGreaterThan(before);
  expect(wallNs() - after).toBeLessThan(200n);
});

test('a calibrated clock goes by its tightest sample', () => {
  let elapsed = 0n;
  let reads = 0;
  const monotonicNs = () => {
    // All samples but the fourth are interrupted.
    elapsed += ++reads === 9 ? 20n : 1_000_000n;
    return elapsed;
  };
  const nowNs = calibratedClock(monotonicNs, () => EPOCH + elapsed);
  const now = nowNs();
  const lag = EPOCH + 1_000_000n - now;
  expect(lag).toBeGreaterThanOrEqual(-20n);
  expect(lag).toBeLessThanOrEqual(20n);
});

test('a clock read straight from the system stands still while that goes back', () => {
  let wall = EPOCH;
  const nowNs = posixSteadyClock({
    clock_gettime(_clock: number, timespec: BigInt64Array) {
      timespec[0] = wall / SECOND;
      timespec[1] = wall % SECOND;
      return 0;
    },
  } as Partial<Libc> as Libc);
  for (const [ns, expected] of [
    [EPOCH, EPOCH],
    [EPOCH + 1n, EPOCH + 1n],
    [EPOCH, EPOCH + 1n],
    [EPOCH - 1n, EPOCH + 1n],
    [EPOCH + 999_999_999n, EPOCH + 999_999_999n],
    [EPOCH + SECOND, EPOCH + SECOND],
    [EPOCH + 999_999_999n, EPOCH + SECOND],
    [EPOCH + 90_000n * SECOND + 7n, EPOCH + 90_000n * SECOND + 7n],
  ]) {
    wall = ns;
    expect(nowNs()).toBe(expected);
  }
});
