import fc from 'fast-check';
import { bytes, defineSchema, type Schema, timestamp, u32 } from 'ticktape';
import { describe, expect, test } from 'vitest';
import {
  DAMAGED,
  FULL,
  LANE_CAPACITY,
  LANE_DROPS,
  LANE_HEAD,
  LANE_OFFSET,
  LANE_TAIL,
  RECORD_CHECKSUM,
  RECORD_TIMESTAMP,
} from '../../dist/assembly/layout.js';
import { Bench, sameBytes } from '../helpers/bench.js';
import { encodeRecord, type Value } from '../helpers/records.js';

const varying: Schema = defineSchema('varying', timestamp('ts'), bytes('b'));
/** Bytes of a record of `varying` before those of its field. */
const OWN_BYTES = 32;
const noSymbols = () => 0;

// ---- the ring against a queue -------------------------------------------------------------------------------------------

interface Queued {
  position: bigint;
  size: number;
  record: Uint8Array;
}

/** What the lane should be: an unbounded tape of positions, of which `capacity` bytes are there. */
class Model {
  head = 0n;
  drained = 0n;
  tail = 0n;
  appended = 0n;
  readonly queue: Queued[] = [];
  readonly #drainedEnds: bigint[] = [];
  readonly #capacity: bigint;

  constructor(capacity: number) {
    this.#capacity = BigInt(capacity);
  }

  /** Where a record of this size goes, or why it does not. */
  place(size: number): bigint | 'full' | 'too large' {
    if (size > Number(this.#capacity >> 2n)) return 'too large';
    const rest = this.#capacity - (this.tail % this.#capacity);
    const position = rest < BigInt(size) ? this.tail + rest : this.tail;
    return position + BigInt(size) - this.head > this.#capacity ? 'full' : position;
  }

  publish(position: bigint, record: Uint8Array): void {
    this.queue.push({ position, size: record.length, record });
    this.tail = position + BigInt(record.length);
    this.appended++;
  }

  /** What draining up to `most` gives. Padding goes with the record before it, once that one is drained. */
  drain(most: number): Queued[] {
    const taken = this.queue.splice(0, most);
    for (const { position, size } of taken) {
      this.drained = position + BigInt(size);
      this.#drainedEnds.push(this.drained);
    }
    return taken;
  }

  /** Where space may be given back up to. */
  ends(): bigint[] {
    return this.#drainedEnds.filter((end) => end >= this.head);
  }
}

type Step = { append: number } | { drain: number } | { release: number };

const steps = (appends: fc.Arbitrary<number>) =>
  fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.record({ append: appends }) },
      { weight: 2, arbitrary: fc.record({ drain: fc.integer({ min: 1, max: 6 }) }) },
      { weight: 2, arbitrary: fc.record({ release: fc.integer({ min: 0, max: 99 }) }) },
    ),
    { minLength: 100, maxLength: 400 },
  );

function walk(ring: number, todo: readonly Step[]): { laps: number; fulls: number; tooLarge: number } {
  const bench = new Bench(varying, { ring, capacity: 64 });
  const { append } = bench.appender();
  const model = new Model(ring);
  const seen = { laps: 0, fulls: 0, tooLarge: 0 };
  let time = 0n;

  const check = () => {
    const { head, drained, tail, records } = bench.counters();
    if (!(head <= drained && drained <= tail && tail <= head + BigInt(ring))) {
      throw new Error(`head ${head}, drained ${drained}, tail ${tail} of a ring of ${ring}`);
    }
    expect([head, tail, records]).toEqual([model.head, model.tail, model.appended]);
    // Padding behind the last record drained is drained with it where the record behind it is already there.
    const next = model.queue[0]?.position;
    expect([model.drained, next]).toContain(drained);
  };

  for (const step of todo) {
    if ('append' in step) {
      const values: Value[] = [time++, new Uint8Array(step.append).fill(step.append + 1)];
      const size = Math.ceil((OWN_BYTES + step.append) / 8) * 8;
      const place = model.place(size);
      if (typeof place === 'bigint') {
        const record = encodeRecord(varying, values, noSymbols, place, bench.salt());
        expect(append(...values)).toBe(Number(place));
        model.publish(place, record);
      } else {
        const code = place === 'full' ? 'FULL' : 'TOO_LARGE';
        expect(() => append(...values)).toThrow(expect.objectContaining({ code }));
        seen[place === 'full' ? 'fulls' : 'tooLarge']++;
      }
    } else if ('drain' in step) {
      const expected = model.drain(step.drain);
      expect(bench.drain(step.drain)).toBe(expected.length);
      const rows = bench.rows();
      expect(rows.length).toBe(expected.length);
      expected.forEach(({ record }, i) => {
        sameBytes(rows[i], record);
      });
      bench.emptyRows();
    } else {
      const ends = model.ends();
      if (ends.length === 0) continue;
      model.head = ends[Math.floor((step.release / 100) * ends.length)];
      bench.release(0, model.head);
    }
    check();
  }
  seen.laps = Number(model.tail / BigInt(ring));
  return seen;
}

describe('a ring behaves as a queue of what was appended', () => {
  // Not a multiple of 16, so that 8 bytes may be left at the end, where no padding record fits; and one that is.
  test.each([584, 1000, 1024, 4104])('of %i bytes, with records of varying length', (ring) => {
    const seen = { laps: 0, fulls: 0, tooLarge: 0 };
    fc.assert(
      fc.property(steps(fc.integer({ min: 0, max: ring / 4 - 20 })), (todo) => {
        const { laps, fulls, tooLarge } = walk(ring, todo);
        seen.laps += laps;
        seen.fulls += fulls;
        seen.tooLarge += tooLarge;
      }),
      { numRuns: 30 },
    );
    // The walk got where it was meant to.
    expect(seen.laps).toBeGreaterThan(50);
    expect(seen.fulls).toBeGreaterThan(50);
    expect(seen.tooLarge).toBeGreaterThan(5);
  });

  test('with 8 bytes left at its end, which belong to nothing', () => {
    const seen = walk(584, [
      // 64 + 64 + … = 576 bytes, 8 left.
      ...Array.from({ length: 9 }, () => ({ append: 32 })),
      { append: 0 },
      { drain: 6 },
      { release: 99 },
      { append: 0 },
      { append: 32 },
      { drain: 3 },
      { drain: 2 },
      { release: 50 },
      { release: 99 },
      ...Array.from({ length: 8 }, () => ({ append: 32 })),
    ]);
    expect(seen.laps).toBeGreaterThan(0);
    expect(seen.fulls).toBeGreaterThan(0);
  });

  test('that takes every byte of it', () => {
    const bench = new Bench(varying, { ring: 1024 });
    const { append } = bench.appender();
    for (let i = 0; i < 16; i++) append(BigInt(i), new Uint8Array(32));
    expect(bench.counters().tail).toBe(1024n);
    expect(() => append(16n, new Uint8Array(0))).toThrow(expect.objectContaining({ code: 'FULL' }));
    expect(bench.drain(1)).toBe(1);
    expect(() => append(16n, new Uint8Array(0))).toThrow(expect.objectContaining({ code: 'FULL' }));
    bench.release(0, 64n);
    append(16n, new Uint8Array(32));
    expect(() => append(17n, new Uint8Array(0))).toThrow(expect.objectContaining({ code: 'FULL' }));
    expect(bench.drain()).toBe(16);
  });
});

test('what does not fit the row buffer stays in the lane for the next time', () => {
  const bench = new Bench(varying, { ring: 8192, capacity: 64 });
  const { append } = bench.appender();
  for (let i = 0; i < 20; i++) append(BigInt(i), new Uint8Array(i * 8));
  let next = 0n;
  while (next < 20n) {
    const drained = bench.drain(64, bench.map.rows + 300);
    expect(drained).toBeGreaterThan(0);
    for (const row of bench.rows()) expect(new DataView(row.buffer).getBigInt64(RECORD_TIMESTAMP, true)).toBe(next++);
    expect(bench.isFull).toBe(next < 20n);
    bench.emptyRows();
  }
});

test('a release may not pass what was drained, nor go back', () => {
  const bench = new Bench(varying);
  const { append } = bench.appender();
  append(1n, new Uint8Array(0));
  append(2n, new Uint8Array(0));
  expect(() => bench.release(0, 32n)).toThrow(/invariant/);
  bench.drain(1);
  bench.release(0, 32n);
  expect(() => bench.release(0, 0n)).toThrow(/invariant/);
  expect(() => bench.release(0, 64n)).toThrow(/invariant/);
  expect(bench.counters().head).toBe(32n);
});

test.each([
  ['head before drained', LANE_HEAD],
  ['drained before tail', LANE_TAIL],
])('draining a lane whose counters are out of order (%s) is refused', (_, counter) => {
  const bench = new Bench(varying);
  const { append } = bench.appender();
  append(1n, new Uint8Array(0));
  append(2n, new Uint8Array(0));
  bench.drain(1);
  bench.view.setBigUint64(bench.at(0) + counter, counter === LANE_HEAD ? 40n : 24n, true);
  expect(() => bench.drain(1)).toThrow(/invariant/);
});

// ---- damage -------------------------------------------------------------------------------------------------------------

describe('a flipped bit is detected', () => {
  const fixed: Schema = defineSchema('fixed', timestamp('ts'), u32('a'), u32('b'));

  /** Flips each bit of the ring in [from, to) in turn. */
  function flipEach(bench: Bench, lane: number, from: bigint, to: bigint, expectation: (bit: number) => void): void {
    for (let position = from; position < to; position++) {
      const at = bench.addressOf(lane, position);
      for (let bit = 0; bit < 8; bit++) {
        bench.bytes[at] ^= 1 << bit;
        expectation(Number(position - from) * 8 + bit);
        bench.bytes[at] ^= 1 << bit;
      }
    }
  }

  test('wherever it is in a record', () => {
    const bench = new Bench(fixed, { lanes: 2 });
    const { append } = bench.appender(1);
    for (let i = 0; i < 5; i++) append(BigInt(i), i, 7);
    let flips = 0;
    // The third of five: draining as a whole answers that there is damage, and takes nothing.
    flipEach(bench, 1, 64n, 96n, () => {
      expect(bench.drain()).toBe(DAMAGED - 1);
      expect(bench.counters(1).drained).toBe(0n);
      expect(bench.rows().length).toBe(0);
      expect(bench.kernels.probe(bench.at(1), 64n, 160n)).toBe(0);
      flips++;
    });
    expect(flips).toBe(256);
    expect(bench.drain()).toBe(5);
  });

  test('in a record of varying length, its last byte and the zeros behind it too', () => {
    const bench = new Bench(varying);
    bench.appender().append(1n, new Uint8Array([1, 2, 3]));
    flipEach(bench, 0, 0n, 40n, () => {
      expect(bench.drain()).toBe(DAMAGED);
    });
    expect(bench.drain()).toBe(1);
  });

  test('and in padding at the end of the ring, of which its first 16 bytes mean something', () => {
    const bench = new Bench(varying, { ring: 1024 });
    const { append } = bench.appender();
    for (let i = 0; i < 12; i++) append(BigInt(i), new Uint8Array(48));
    bench.drain();
    bench.emptyRows();
    bench.release(0, bench.counters().drained);
    // 960 bytes are taken; a record of 80 leaves 64 bytes of padding.
    append(12n, new Uint8Array(48));
    const tail = bench.counters().tail;
    expect(tail).toBe(1024n + 80n);
    flipEach(bench, 0, 960n, 976n, () => {
      expect(bench.drain()).toBe(DAMAGED);
    });
    flipEach(bench, 0, 976n, 1024n, () => {
      expect(bench.kernels.probe(bench.at(0), 960n, tail)).toBe(-64);
    });
    expect(bench.drain()).toBe(1);
  });
});

test('a record of an earlier lap is never taken for a new one', () => {
  const bench = new Bench(varying, { ring: 1024 });
  const { append } = bench.appender();
  const lap = () => {
    for (let i = 0; i < 16; i++) append(BigInt(i), new Uint8Array(32));
    expect(bench.drain()).toBe(16);
    bench.emptyRows();
    bench.release(0, bench.counters().drained);
  };
  lap();
  lap();
  // As if the tail had moved on without a record under it.
  for (let size = 64n; size <= 1024n; size += 64n) {
    bench.view.setBigUint64(bench.at(0) + LANE_TAIL, 2048n + size, true);
    expect(bench.drain()).toBe(DAMAGED);
    bench.view.setBigUint64(bench.at(0) + LANE_TAIL, 2048n, true);
  }
  for (let position = 2048n; position < 3064n; position += 8n) {
    expect(bench.kernels.probe(bench.at(0), position, 3072n)).toBe(0);
  }
  // In their own lap they would be good, so it is the position that tells.
  expect(bench.kernels.probe(bench.at(0), 1024n, 2048n)).toBe(64);
});

test('a record of another lane is not taken for one of this', () => {
  const bench = new Bench(varying, { lanes: 2 });
  bench.appender(0).append(1n, new Uint8Array(8));
  const from = bench.addressOf(0, 0n);
  bench.bytes.copyWithin(bench.addressOf(1, 0n), from, from + 40);
  bench.view.setBigUint64(bench.at(1) + LANE_TAIL, 40n, true);
  expect(bench.drain()).toBe(DAMAGED - 1);
});

test('probing finds whole records only, whatever lies in the ring', () => {
  const bench = new Bench(varying, { ring: 1024 });
  const random = fc.sample(fc.uint8Array({ minLength: 1024, maxLength: 1024 }), { numRuns: 30, seed: 5 });
  for (const noise of random) {
    bench.bytes.set(noise, bench.addressOf(0, 0n));
    for (let position = 0n; position < 1016n; position += 8n) {
      expect(bench.kernels.probe(bench.at(0), position, 1024n)).toBe(0);
    }
    // Eight bytes at the end are no place for anything.
    expect(bench.kernels.probe(bench.at(0), 1016n, 1024n)).toBe(-8);
    expect(bench.kernels.probe(bench.at(0), 1016n, 1020n)).toBe(0);
  }
});

// ---- full lanes -----------------------------------------------------------------------------------------------------------

test('a full lane that drops counts what it drops and leaves the rest as it was', () => {
  const bench = new Bench(varying, { ring: 1024 });
  const { append } = bench.appender(0, 'drop');
  const positions = Array.from({ length: 50 }, (_, i) => append(BigInt(i), new Uint8Array(32)));
  expect(positions).toEqual([...Array.from({ length: 16 }, (_, i) => i * 64), ...new Array(34).fill(-1)]);
  expect(bench.counter(0, LANE_DROPS)).toBe(34n);
  expect(bench.counters().records).toBe(16n);
  bench.drain();
  bench.rows().forEach((row, i) => {
    sameBytes(row, encodeRecord(varying, [BigInt(i), new Uint8Array(32)], noSymbols, BigInt(i * 64), bench.salt()));
  });
  bench.release(0, 1024n);
  expect(append(99n, new Uint8Array(32))).toBe(1024);
});

test('the kernel says FULL without moving anything', () => {
  const bench = new Bench(varying, { ring: 1024 });
  const { append } = bench.appender();
  for (let i = 0; i < 16; i++) append(BigInt(i), new Uint8Array(32));
  const header = bench.bytes.slice(bench.at(0), bench.at(0) + 4096);
  expect(bench.kernels.reserve(bench.at(0), 40)).toBe(FULL);
  sameBytes(bench.bytes.slice(bench.at(0), bench.at(0) + 4096), header);
  expect(bench.counter(0, LANE_OFFSET)).toBe(0n);
  expect(bench.counter(0, LANE_CAPACITY)).toBe(1024n);
});

// ---- merging lanes ----------------------------------------------------------------------------------------------------------

describe('lanes are merged by timestamp', () => {
  const fixed: Schema = defineSchema('merge', timestamp('ts'), u32('lane'), u32('n'));

  interface Row {
    ts: bigint;
    lane: number;
    n: number;
  }

  function merged(times: bigint[][], limits: number[]): Row[] {
    const bench = new Bench(fixed, { lanes: times.length, capacity: 512 });
    times.forEach((lane, i) => {
      const { append } = bench.appender(i);
      lane.forEach((ts, n) => {
        append(ts, i, n);
      });
    });
    const rows: Row[] = [];
    for (let turn = 0; ; turn++) {
      const drained = bench.drain(limits[turn % limits.length]);
      if (drained === 0) break;
      expect(drained).toBeGreaterThan(0);
      for (const row of bench.rows()) {
        const view = new DataView(row.buffer);
        rows.push({ ts: view.getBigInt64(16, true), lane: view.getUint32(24, true), n: view.getUint32(28, true) });
      }
      bench.emptyRows();
    }
    return rows;
  }

  function expectEachLaneInOrder(rows: readonly Row[], times: bigint[][]): void {
    const next = times.map(() => 0);
    for (const { ts, lane, n } of rows) {
      expect(n).toBe(next[lane]++);
      expect(ts).toBe(times[lane][n]);
    }
    expect(next).toEqual(times.map(({ length }) => length));
  }

  const time = fc.oneof(
    fc.bigInt({ min: 0n, max: 40n }),
    fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 63n - 2n, -1n),
  );
  const lanes = fc.array(fc.array(time, { maxLength: 40 }), { minLength: 1, maxLength: 6 });
  const limits = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 });

  test('where each lane is in order, so is what comes out', () => {
    fc.assert(
      fc.property(lanes, limits, (unsorted, most) => {
        const times = unsorted.map((lane) => lane.toSorted((a, b) => (a < b ? -1 : Number(a > b))));
        const rows = merged(times, most);
        expectEachLaneInOrder(rows, times);
        for (let i = 1; i < rows.length; i++) {
          if (rows[i].ts < rows[i - 1].ts) expect.fail(`${rows[i].ts} comes after ${rows[i - 1].ts}`);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('where one is not, each lane keeps its own order', () => {
    fc.assert(
      fc.property(lanes, limits, (times, most) => {
        expectEachLaneInOrder(merged(times, most), times);
      }),
      { numRuns: 200 },
    );
  });

  test('damage in one lane is told by its number, and nothing of any lane is taken', () => {
    const bench = new Bench(fixed, { lanes: 3 });
    for (const lane of [0, 1, 2]) bench.appender(lane).append(BigInt(lane), lane, 0);
    bench.bytes[bench.addressOf(2, 0n) + RECORD_CHECKSUM] ^= 1;
    expect(bench.drain()).toBe(DAMAGED - 2);
    expect([0, 1, 2].map((lane) => bench.counters(lane).drained)).toEqual([0n, 0n, 0n]);
    bench.bytes[bench.addressOf(2, 0n) + RECORD_CHECKSUM] ^= 1;
    expect(bench.drain()).toBe(3);
  });
});
