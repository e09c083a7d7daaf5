import { expect, test } from 'vitest';
import {
  BAR_BYTES,
  BAR_COUNT,
  BAR_TURNOVER,
  BAR_VOLUME,
  BARS_BAD_SLOT,
  BARS_TOO_LARGE,
} from '../../dist/assembly/layout.js';
import { CHUNK, guarded, kernels, memory, OUT, SCRATCH, SOURCE, view } from './memory.js';

const [PRICES, SIZES, SLOTS] = [SOURCE + 65536, SOURCE + 131072, SOURCE + 196608];

/** Rows of `slots`, one a time unit from 0 on, each with this price and size. */
function put(slots: readonly number[], price: number, size: number): void {
  new BigInt64Array(memory.buffer, SOURCE, slots.length).set(slots.map((_, i) => BigInt(i)));
  new Float64Array(memory.buffer, PRICES, slots.length).fill(price);
  new Float64Array(memory.buffer, SIZES, slots.length).fill(size);
  new Uint32Array(memory.buffer, SLOTS, slots.length).set(slots);
}

const run = (from: number, count: number, lastNs: bigint, slotCount: number, multiplier: number) =>
  kernels.bars(SLOTS, SOURCE, PRICES, SIZES, from, count, lastNs, OUT, slotCount, SCRATCH, multiplier, multiplier);

/** As before the first row. */
function clear(slotCount: number): void {
  new Uint8Array(memory.buffer, OUT, slotCount * BAR_BYTES).fill(0);
  view.setUint32(SCRATCH, 0, true);
}

test('stops behind the last timestamp that is wanted, and at a slot that there is not', () => {
  put([0, 1, 0, 3, 2], 1, 1);
  clear(4);
  expect(run(0, 5, 2n, 4, 1)).toBe(3);
  expect(run(3, 5, 100n, 4, 1)).toBe(5);
  expect([0, 1, 2, 3, 4].map((i) => view.getUint32(SCRATCH + 4 * i, true))).toEqual([4, 0, 1, 3, 2]);
  clear(3);
  expect(run(0, 5, 100n, 3, 1)).toBe(BARS_BAD_SLOT);
  put([2 ** 32 - 1], 1, 1);
  expect(run(0, 1, 100n, 3, 1)).toBe(BARS_BAD_SLOT);
});

test('writes nothing but accumulators and what was touched', () => {
  put([0, 1, 2, 1], 3, 2);
  guarded(OUT, 3 * BAR_BYTES, () => {
    guarded(SCRATCH, 4 + 3 * 4, () => {
      clear(3);
      return run(0, 4, 100n, 3, 100);
    });
  });
  expect(view.getBigUint64(OUT + BAR_BYTES + BAR_COUNT, true)).toBe(2n);
  expect(CHUNK).toBeGreaterThan(SLOTS);
});

test('a sum that an i128 does not hold is refused, one that it holds is not', () => {
  const most = 2 ** 53 - 1;
  const i128 = (at: number) => (view.getBigInt64(at + 8, true) << 64n) + view.getBigUint64(at, true);
  for (const sign of [1, -1]) {
    put([0, 0], most, sign * most);
    clear(1);
    expect(run(0, 2, 100n, 1, 1)).toBe(2);
    expect(i128(OUT + BAR_VOLUME)).toBe(BigInt(2 * sign) * BigInt(most));
    expect(i128(OUT + BAR_TURNOVER)).toBe(BigInt(2 * sign) * BigInt(most) ** 2n);
    view.setBigInt64(OUT + BAR_TURNOVER + 8, sign > 0 ? 2n ** 63n - 1n : -(2n ** 63n), true);
    expect(run(0, 2, 100n, 1, 1)).toBe(BARS_TOO_LARGE);
  }
});
