import fc from 'fast-check';
import { type Compression, decimal, defineSchema, f64, i64, type Schema, symbol, text, timestamp, u8 } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { BlockDecoder } from '../../dist/src/block/decoder.js';
import { DENSE, FAST, firstEffort, OFF, PACKED } from '../../dist/src/block/effort.js';
import { OP_CONSTANT, parsePlan } from '../../dist/src/block/plan.js';
import { type Block, BlockMaker, expectSameValues, zstd } from '../helpers/blocks.js';
import { noise, wrap } from '../helpers/numbers.js';
import type { Value } from '../helpers/records.js';

const COUNT = 8192;
const RING = 1_044_480;

/** Bytes that a coder of single symbols needs at least. */
function entropyBytes(symbols: Iterable<unknown>): number {
  const counts = new Map<unknown, number>();
  let total = 0;
  for (const one of symbols) {
    counts.set(one, (counts.get(one) ?? 0) + 1);
    total++;
  }
  let bits = 0;
  for (const count of counts.values()) bits += count * Math.log2(total / count);
  return bits / 8;
}

/** Bytes of numbers that are all equally likely. */
const evenBytes = (count: number, choices: number) => (count * Math.log2(choices)) / 8;

interface Made {
  /** How each field but the timestamp is coded, and the bytes that its chunk takes. */
  plans: string[];
  bytes: number[];
  block: Block;
}

/** Makes and reads back a block of these rows, in front of which a timestamp of no account is put. */
function made(schema: Schema, columns: (i: number) => Value[], compression: Compression = 'fast'): Made {
  const rows = Array.from({ length: COUNT }, (_, i): Value[] => [BigInt(i) * 1000n, ...columns(i)]);
  return madeOf(schema, rows, compression);
}

function madeOf(schema: Schema, rows: Value[][], compression: Compression = 'fast'): Made {
  const maker = new BlockMaker(schema, { compression, capacity: COUNT, ring: RING });
  const block = maker.block(rows);
  expectSameValues(schema, block, rows);
  const plans = maker.encoder.choice.columns.map(({ plan }) => plan);
  const bytes = schema.fields.map((_, index) =>
    block.header.chunks.reduce((sum, { field, storedBytes }) => (field === index ? sum + storedBytes : sum), 0),
  );
  return { plans, bytes, block };
}

/** Steps up and down, all as likely: which step it is, and where they lead. */
function walk(seed: number, most: number): () => number {
  const next = noise(seed);
  let at = 100_000;
  return () => {
    at += (next() % (2 * most + 1)) - most;
    return at;
  };
}

describe('data made for it gets the plan for it, at about its entropy', () => {
  test('a constant: a step that is all there is', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), i64('x'), f64('y'), symbol('s'));
    const { block, bytes } = made(schema, () => [-123_456_789_012n, NaN, 'S']);
    for (const { field, offset, openBytes } of block.header.chunks) {
      if (field === 0) continue;
      expect(parsePlan(block.bytes.slice(offset + 2, offset + openBytes))).toMatchObject({ op: OP_CONSTANT });
      expect(bytes[field]).toBe(11);
    }
  });

  test('ids: their differences', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), i64('even'), i64('id'));
    const next = noise(1);
    let id = 6_400_000_000_000n;
    const { plans, bytes } = made(schema, (i) => {
      id += BigInt(1 + (next() % 3));
      return [7_000_000n + 2n * BigInt(i), id];
    });
    expect(plans[1]).toMatch(/^delta > /);
    // A bit a row, eight of which are a symbol that comes again and again.
    expect(bytes[1]).toBeLessThan(COUNT / 64 + 100);
    expect(plans[2]).toMatch(/^delta > /);
    expect(bytes[2]).toBeLessThan(1.06 * evenBytes(COUNT, 3) + 100);
  });

  test('a price on a grid of ticks: split by the tick', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), decimal('price', 2));
    const tick = walk(2, 200);
    const { plans, bytes } = made(schema, () => [(tick() * 25) / 100]);
    expect(plans[1]).toMatch(/^split 25 > \(/);
    expect(bytes[1]).toBeLessThan(1.04 * evenBytes(COUNT, 401) + 100);
  });

  test('a clock of 100 ns whose remainder drifts: split by 100', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), i64('clock'));
    const next = noise(3);
    let at = 1_700_000_000_000_000_000n;
    let rest = 17n;
    let drifts = 0;
    const { plans, bytes } = made(schema, () => {
      at += BigInt(next() % 50_000) * 100n;
      if (next() % 200 === 0) {
        rest = (rest + 1n) % 100n;
        drifts++;
      }
      return [at + rest];
    });
    expect(plans[1]).toMatch(/^split 100 > \(/);
    // A drift takes about two bytes: that it is there, and the remainder.
    expect(bytes[1]).toBeLessThan(1.03 * evenBytes(COUNT, 50_000) + COUNT / 64 + 2 * drifts + 100);
  });

  test('a second timestamp: its difference to the first', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), i64('event'));
    const next = noise(4);
    let ts = 1_700_000_000_000_000_000n;
    const rows = Array.from({ length: COUNT }, (): Value[] => {
      ts += BigInt(next() % 1_000_000_000);
      return [ts, ts - BigInt(20_000 + (next() % 1024))];
    });
    const { plans, bytes } = madeOf(schema, rows);
    expect(plans[1]).toMatch(/^reference 0 > /);
    expect(bytes[1]).toBeLessThan(1.04 * evenBytes(COUNT, 1024) + 100);
  });

  test('a column that changes only where another does: by its mask', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), i64('a'), i64('b'));
    const next = noise(5);
    let [a, b] = [0n, 0n];
    let kept = 0;
    const mask: number[] = [];
    const { plans, bytes } = made(schema, (i) => {
      const changes = i === 0 || next() % 20 === 0;
      if (changes) {
        kept++;
        [a, b] = [BigInt(next() % 1_000_000), BigInt(next() % 1_000_000)];
      }
      if (i % 8 === 0) mask.push(0);
      mask[mask.length - 1] += changes ? 2 ** (i % 8) : 0;
      return [a, b];
    });
    expect(plans.slice(1).sort()[0]).toMatch(/^changes > /);
    expect(plans.slice(1).sort()[1]).toMatch(/^changes of [12] > /);
    const needed = entropyBytes(mask) + 2 * evenBytes(kept, 1_000_000);
    expect(bytes[1] + bytes[2]).toBeLessThan(1.05 * needed + 150);
  });

  test('three small columns that go together: one id for all', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), u8('action'), u8('side'), u8('flags'));
    const next = noise(6);
    const together = [
      [65, 1, 130],
      [65, 2, 130],
      [67, 1, 0],
      [67, 2, 0],
      [77, 1, 8],
      [84, 0, 128],
    ];
    const which: number[] = [];
    const { plans, bytes } = made(schema, () => {
      which.push(Math.min(next() % 8, next() % 8) % 6);
      return together[which.at(-1)!];
    });
    expect(plans.slice(1).filter((plan) => plan === 'dictionary')).toHaveLength(1);
    expect(plans.slice(1).filter((plan) => /^same ids [123]$/.test(plan))).toHaveLength(2);
    const all = bytes[1] + bytes[2] + bytes[3];
    expect(all).toBeLessThan(1.04 * entropyBytes(which) + 200);
    // What two of them would take at least, each for itself.
    const apart = [0, 1, 2].map((column) => entropyBytes(which.map((id) => together[id][column])));
    expect(all).toBeLessThan(apart[0] + apart[1]);
  });

  test('doubles that are decimals, but for a NaN or minus zero here and there', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), f64('x'));
    const tick = walk(7, 200);
    const next = noise(8);
    let odd = 0;
    const { plans, bytes } = made(schema, () => {
      const value = tick() / 100;
      if (next() % 100 > 0) return [value];
      odd++;
      return [next() % 2 === 0 ? NaN : -0];
    });
    expect(odd).toBeGreaterThan(50);
    expect(plans[1]).toMatch(/^decimal 2 > /);
    expect(bytes[1]).toBeLessThan(1.04 * evenBytes(COUNT, 401) + 12 * odd + 150);
  });

  test('doubles that are noise from 1 to 2: planes, for the sake of the exponent', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), f64('x'));
    const next = noise(9);
    const { plans, bytes } = made(schema, () => [1 + next() / 2 ** 53]);
    expect(plans[1]).toBe('planes');
    expect(bytes[1]).toBeLessThan(1.01 * evenBytes(COUNT, 2 ** 52) + 200);
  });

  test('doubles and integers that are noise in all bits: as they are', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), f64('x'), i64('y'));
    const next = noise(10);
    const bits = new BigInt64Array(1);
    const any = () => {
      bits[0] = BigInt.asIntN(64, (BigInt(next()) << 32n) ^ BigInt(next()));
      return bits[0];
    };
    const { plans, bytes } = made(schema, () => {
      const y = any();
      // Only one NaN can be told from others by what reads them here.
      const x = new Float64Array(bits.buffer)[0];
      return [Number.isNaN(x) ? 0 : x, y];
    });
    expect(plans.slice(1)).toEqual(['plain', 'plain']);
    expect(bytes.slice(1)).toEqual([8 * COUNT, 8 * COUNT]);
  });

  test('prices of many instruments, one after another: differences within each', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), symbol('s'), i64('price'));
    const next = noise(11);
    const prices = Array.from({ length: 16 }, (_, i) => 1_000_000_007 * (i + 3));
    const { plans, bytes } = made(schema, () => {
      const which = next() % 16;
      prices[which] += (next() % 5) - 2;
      return [`S${which}`, BigInt(prices[which])];
    });
    expect(plans[1]).toBe('dictionary');
    expect(plans[2]).toMatch(/^group delta 1 > /);
    expect(bytes[1]).toBeLessThan(1.02 * evenBytes(COUNT, 16) + 150);
    expect(bytes[2]).toBeLessThan(1.05 * evenBytes(COUNT, 5) + 300);
  });

  test('lengths of texts are neither lent nor borrowed, however well they would go together', () => {
    const schema: Schema = defineSchema('t', timestamp('ts'), u8('a'), text('x'), text('y'));
    const next = noise(12);
    const { plans } = made(schema, () => {
      const which = next() % 3;
      return [which, 'x'.repeat(which), 'y'.repeat(5 * which)];
    });
    for (const plan of plans.slice(1)) expect(plan).not.toMatch(/of|same|reference|group/);
  });
});

// ---- from block to block -------------------------------------------------------------------------------------------------------

describe('from block to block', () => {
  const schema: Schema = defineSchema('t', timestamp('ts'), i64('x'));
  const SMALL = 400;

  /** Makes blocks of what `value` gives, and notes when plans were chosen, and why. */
  function run(blocks: number, value: (block: number, i: number) => bigint) {
    const maker = new BlockMaker(schema, { compression: 'fast', capacity: SMALL });
    const decoder = new BlockDecoder(schema, zstd);
    const chosen: [block: number, reason: string][] = [];
    const sizes: number[] = [];
    let version = -1;
    for (let block = 0; block < blocks; block++) {
      const rows = Array.from({ length: SMALL }, (_, i): Value[] => {
        const row = block * SMALL + i;
        return [BigInt(row) * 1000n, value(block, row)];
      });
      const one = maker.block(rows);
      expectSameValues(schema, one, rows, decoder);
      sizes.push(one.header.chunks.find(({ field }) => field === 1)!.storedBytes);
      if (maker.encoder.choiceVersion !== version) chosen.push([block, maker.encoder.choice.planReason]);
      version = maker.encoder.choiceVersion;
    }
    return { chosen, sizes, plan: maker.encoder.choice.columns[1].plan };
  }

  test('plans are kept, and reviewed after one block, then ever more seldom', () => {
    const next = noise(1);
    const { chosen } = run(90, () => BigInt(next() % 1000));
    expect(chosen).toEqual([
      [0, 'first block'],
      [1, 'review'],
      [5, 'review'],
      [21, 'review'],
      [85, 'review'],
    ]);
  });

  test('data that drifts gets other plans, but not before 16 blocks', () => {
    const next = noise(2);
    let at = 0n;
    // Of few values first, then ids that never come again.
    const { chosen, sizes, plan } = run(60, (block) => {
      at += BigInt(1 + (next() % 100));
      return block < 25 ? (at % 4n) * 1_000_000_007n : at;
    });
    expect(chosen.slice(0, 4).map(([block]) => block)).toEqual([0, 1, 5, 21]);
    const [block, reason] = chosen.find(([block]) => block > 25)!;
    // The dictionary no longer fits at once; another choice comes 16 blocks after the last one.
    expect(block).toBe(37);
    expect(reason).toMatch(/drift|no longer fits/);
    expect(plan).toMatch(/^delta > /);
    expect(sizes[59]).toBeLessThan(1.2 * evenBytes(SMALL, 100) + 100);
    expect(sizes[30]).toBeGreaterThan(sizes[10]);
  });

  test('drift alone, of a plan that fits whatever comes', () => {
    const next = noise(3);
    let at = 0n;
    const { chosen } = run(60, (block) => {
      at += BigInt(next() % (block < 25 ? 1000 : 1_000_000));
      return at;
    });
    expect(chosen).toContainEqual([37, 'drift']);
  });

  test('a dictionary that overflows: another plan for that block, and nothing is lost', () => {
    const next = noise(4);
    const maker = new BlockMaker(schema, { compression: 'fast', capacity: SMALL });
    const block = (values: () => bigint) => {
      const rows = Array.from({ length: SMALL }, (_, i): Value[] => [BigInt(i), values()]);
      expectSameValues(schema, maker.block(rows), rows);
      return maker.encoder.choice.columns[1].plan;
    };
    const few = () => [5n, 10n ** 15n, -(10n ** 17n)][next() % 3];
    for (let i = 0; i < 4; i++) expect(block(few)).toBe('dictionary');
    expect(block(() => BigInt(next()))).not.toBe('dictionary');
    // From then on, until plans are chosen again, which they are soon here.
    expect(block(few)).toBe('dictionary');
    expect(maker.encoder.choice.planReason).toBe('review');
  });

  test('larger blocks get plans of their own', () => {
    const next = noise(5);
    const maker = new BlockMaker(schema, { compression: 'fast', capacity: 4 * SMALL });
    const reasons = [SMALL, SMALL, SMALL, 4 * SMALL].map((count) => {
      maker.block(Array.from({ length: count }, (_, i): Value[] => [BigInt(i), BigInt(next() % 100)]));
      return maker.encoder.choice.planReason;
    });
    expect(reasons).toEqual(['first block', 'review', 'review', 'larger blocks']);
  });
});

describe('columns that borrow', () => {
  const schema: Schema = defineSchema(
    't',
    timestamp('ts'),
    symbol('s'),
    decimal('price', 2),
    i64('event'),
    i64('id'),
    u8('action'),
    u8('side'),
    u8('flags'),
    f64('x'),
    i64('bidSize'),
    i64('askSize'),
  );
  const ROWS = 600;

  /** Rows of one mood: what a column is like, and so which plan suits it, is another every few blocks. */
  function rowsOf(seed: number, moods: readonly number[]): Value[][] {
    const next = noise(seed);
    let ts = 1_700_000_000_000_000_000n;
    let [price, x] = [5000, 0];
    let [bidSize, askSize] = [0n, 0n];
    const prices = Array.from({ length: 16 }, (_, i) => 100_000 * (i + 1));
    const anything = () => BigInt.asIntN(64, (BigInt(next()) << 32n) ^ BigInt(next()));
    return Array.from({ length: ROWS }, (_, i): Value[] => {
      ts += BigInt(next() % 1_000_000);
      const which = next() % [16, 1, 400, 3][moods[0]];
      if (next() % 10 === 0) price += (next() % 5) - 2;
      prices[which % 16] += (next() % 3) - 1;
      const pair = next() % 4;
      if (i % 7 === 0) x = (next() % 1000) / 100;
      if (next() % 10 === 0) [bidSize, askSize] = [BigInt(next() % 10 ** 6), BigInt(next() % 10 ** 6)];
      const bid = [bidSize, 5n, anything(), BigInt(i % 3)][moods[8]];
      return [
        ts,
        `S${which}`,
        [price * 25, prices[which % 16], 5, next() % 10 ** 12][moods[1]] / 100,
        [ts - BigInt(next() % 500), 7n, anything(), BigInt(i)][moods[2]],
        [ts + 3n, anything(), BigInt(i) * 5n, 0n][moods[3]],
        [pair, 1, next() % 256, 9][moods[4]],
        [pair * 2, pair, next() % 256, 200][moods[5]],
        [pair * 60, 0, next() % 256, pair][moods[6]],
        [x, NaN, -0, next() / 2 ** 30][moods[7]],
        bid,
        [askSize, wrap(bid + BigInt(next() % 3)), anything(), -1n][moods[9]],
      ];
    });
  }

  const mood = fc.array(fc.nat(3), { minLength: 10, maxLength: 10 });

  test('whatever becomes of what they borrow from, with any effort, all is there', () => {
    const efforts = [FAST, FAST, FAST, DENSE, PACKED, OFF, firstEffort({ zstd: 3 })];
    const seen = new Set<string>();
    const block = fc.record({
      moods: mood,
      blocks: fc.integer({ min: 1, max: 7 }),
      effort: fc.constantFrom(...efforts),
    });
    // One after another, what all kinds of borrowing are for, and what is none of it.
    const moodyParts = [0, 1, 2, 3, 0].map((one) => ({
      moods: [0, one === 0 ? 1 : 0, one, one, one, one, one, one, one, one],
      blocks: 6,
      effort: FAST,
    }));
    fc.assert(
      fc.property(fc.array(block, { minLength: 3, maxLength: 6 }), fc.nat(1000), (parts, seed) => {
        const maker = new BlockMaker(schema, { compression: 'fast', capacity: ROWS, symbols: 512, ring: 261_632 });
        const decoder = new BlockDecoder(schema, zstd);
        for (const { moods, blocks, effort } of parts) {
          maker.encoder.effort = effort;
          for (let i = 0; i < blocks; i++) {
            const rows = rowsOf(seed + i, moods);
            expectSameValues(schema, maker.block(rows), rows, decoder);
            for (const { plan } of maker.encoder.choice.columns) seen.add(plan.split(/ \d| >/)[0]);
          }
        }
      }),
      { numRuns: 12, examples: [[moodyParts, 1]] },
    );
    for (const plan of [
      'reference',
      'same ids',
      'group delta',
      'changes of',
      'dictionary',
      'decimal',
      'plain',
      'packed',
    ]) {
      expect(seen).toContain(plan);
    }
  });
});
