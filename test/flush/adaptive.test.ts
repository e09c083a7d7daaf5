import { decimal, defineSchema, openTape, text, timestamp, u8 } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { AdaptiveEffort, type BlockObservation, GROWTH } from '../../dist/src/flush/adaptive.js';

import { scratch } from '../helpers/scratch.js';
import { recordsOf } from '../helpers/tape.js';

const calm: BlockObservation = { backlog: 0, busy: 0.1, recordBytes: 10 };

/** The efforts after each of these observations. */
function efforts(...observations: Partial<BlockObservation>[]): string[] {
  const adaptive = new AdaptiveEffort();
  return observations.map((observation) => {
    adaptive.observe({ ...calm, ...observation });
    return adaptive.effort.name;
  });
}

describe('the effort that goes into a block', () => {
  test('is the fast one while there is neither pressure nor idleness', () => {
    expect(efforts({}, { backlog: 0.49 }, { busy: 0.9 }, {})).toEqual(['fast', 'fast', 'fast', 'fast']);
  });

  test('falls where a lane is nearly full, and rises when it is half empty', () => {
    const seen = efforts({ backlog: 0.87 }, { backlog: 0.88 }, { backlog: 0.5 }, { backlog: 0.49, busy: 0 }, {});
    expect(seen).toEqual(['fast', 'packed', 'packed', 'fast', 'fast']);
  });

  test('is not raised while there is pressure, and falls from dense at once', () => {
    expect(efforts({ backlog: 0.6 }, { backlog: 0.13, busy: 0 }, { backlog: 0.12 }, { busy: 0 })).toEqual([
      'fast',
      'fast',
      'fast',
      'dense',
    ]);
    expect(efforts({ busy: 0 }, { backlog: 0.6, recordBytes: 8 })).toEqual(['dense', 'fast']);
  });

  test('rises when there is next to nothing to do, and falls when there is something again', () => {
    const dense = { busy: 0.1, recordBytes: 8 };
    expect(efforts({ busy: 0.01 }, dense, dense, { ...dense, busy: 0.31 }, {})).toEqual([
      'dense',
      'dense',
      'dense',
      'fast',
      'fast',
    ]);
    expect(efforts({ busy: 0.01 }, { backlog: 0.9, recordBytes: 8 })).toEqual(['dense', 'packed']);
  });

  test('does not stay dense where that saves nothing, and is not tried again for a while', () => {
    const idle = { busy: 0, recordBytes: 10 };
    const seen = efforts(...new Array(130).fill(idle));
    expect(seen.slice(0, 3)).toEqual(['dense', 'fast', 'fast']);
    expect(seen.filter((name) => name === 'dense').length).toBe(2);
  });

  test('has a reason that says what was seen; blocks grow under pressure alone', () => {
    const adaptive = new AdaptiveEffort();
    expect([adaptive.reason, adaptive.growth]).toEqual(['start', 1]);
    adaptive.observe({ ...calm, backlog: 0.625 });
    expect([adaptive.effort.name, adaptive.growth]).toEqual(['fast', GROWTH]);
    adaptive.observe({ ...calm, backlog: 0.925 });
    expect([adaptive.reason, adaptive.growth]).toEqual(['pressure: a lane was 93 % full', GROWTH]);
    adaptive.observe({ ...calm, backlog: 0.25 });
    expect([adaptive.reason, adaptive.growth]).toEqual(['the pressure falls: a lane was 25 % full', GROWTH]);
    adaptive.observe(calm);
    expect(adaptive.growth).toBe(1);
    adaptive.observe({ ...calm, busy: 0.012 });
    expect(adaptive.reason).toBe('idle: 1 % of the time was needed');
  });
});

describe('a tape says how it compresses, and why', () => {
  const schema = defineSchema('s', timestamp('ts'), decimal('price', 2), u8('side'), text('note'));

  test.each([
    ['fast', 'fast'],
    ['dense', 'dense'],
    ['off', 'packed'],
    [{ zstd: 3 }, 'zstd'],
  ] as const)('compression %j: effort %s, as asked for', async (compression, effort) => {
    const tape = await openTape(schema, { storage: [scratch()], compression, capacity: 1000 });
    for (let i = 0; i < 3000; i++) tape.append(BigInt(1000 * i), 100 + (i % 7) / 100, 1, `note ${i % 3}`);
    await tape.flush();
    const { compression: choice } = tape.stats();
    expect(choice).toMatchObject({ effort, effortReason: 'as asked for' });
    expect(choice!.columns.map(({ field }) => field)).toEqual(['ts', 'price', 'side', 'note']);
    if (effort !== 'packed') expect(choice!.columns[0].plan).toMatch(/delta/);
    expect((await recordsOf(tape)).length).toBe(3000);
    await tape.close();
  });

  test('adaptive: blocks of a tape that has to hurry are larger, and nothing is lost', async () => {
    const tape = await openTape(schema, { storage: [scratch()], capacity: 1000 });
    const count = 200_000;
    for (let i = 0; i < count; i++) tape.append(BigInt(1000 * i), 100 + (i % 7) / 100, i & 1, '');
    await tape.flush();
    const { blocks, records, compression } = tape.stats();
    expect(records).toBe(count);
    expect(blocks).toBeGreaterThanOrEqual(count / (1000 * GROWTH));
    expect(compression!.effortReason).not.toBe('as asked for');
    let next = 0n;
    for await (const { columns } of tape.scan({ columns: ['ts'] })) {
      for (const ts of columns.ts) {
        if (ts !== next) throw new Error(`${ts} where ${next} should be`);
        next += 1000n;
      }
    }
    expect(next).toBe(BigInt(count) * 1000n);
    await tape.close();
  });
});
