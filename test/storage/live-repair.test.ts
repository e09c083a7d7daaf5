import { openTape, repairTape } from 'ticktape';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Child, childSchema } from '../helpers/child.js';
import { scratch } from '../helpers/scratch.js';
import { flip, goodCopies, placesOf, storageOf, upTo } from '../helpers/scrub.js';
import { readAll } from '../helpers/tape.js';

const NODES = 3;
/** Segments roll all the while. */
const OPTIONS = {
  redundancy: 2,
  segmentBytes: 1024 ** 2,
  maxSymbols: 100,
  capacity: 500,
  segmentMaxAgeMs: 100,
  syncIntervalMs: 50,
  compression: 'off',
} as const;

/** Changes a byte of one copy of some blocks that lie in segments that are sealed. */
function strike(storage: readonly string[], round: number): number {
  const seen = new Set<bigint>();
  const sealed = placesOf(storage, { sealed: true }).filter(({ sequence }) => {
    const first = !seen.has(sequence);
    seen.add(sequence);
    return first && Number(sequence / 500n) % 7 === round % 7;
  });
  for (const { path: file, offset, blockBytes } of sealed) flip(file, offset + blockBytes - 100);
  return sealed.length;
}

async function expectAll(storage: readonly string[], records: number): Promise<void> {
  const found = (await readAll(childSchema, storage)).map(({ n }) => n);
  expect(found).toEqual(upTo(records));
  const reader = await openTape(childSchema, { storage, readOnly: true });
  onTestFinished(() => reader.close());
  expect(await reader.verify()).toMatchObject({
    redundancy: 2,
    damaged: [],
    damagedSegments: [],
    missing: [],
    underReplicated: 0,
    surplus: 0,
  });
}

describe('while the tape is written', () => {
  test('by another process: what is bad is mended, nothing is lost, nothing is there too often', async () => {
    const storage = storageOf(scratch(), NODES);
    const child = new Child({ storage, ...OPTIONS });
    await child.tell('open');
    let appended = 0;
    let done = false;
    let struck = 0;
    const writing = (async () => {
      while (!done) {
        await child.tell('append', 700);
        appended += 700;
        await child.tell('flush');
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    for (const round of upTo(8)) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      const hit = strike(storage, round);
      struck += hit;
      const result = await repairTape({ storage });
      expect(result).toMatchObject({ lost: 0, stillUnderReplicated: 0, troubles: [], missing: [] });
      expect(result.mendedInPlace).toBe(hit);
      // Those that were on their way to their second storage node were waited for.
      expect(result.copiesMade).toBe(0);
    }
    done = true;
    await writing;
    expect(struck).toBeGreaterThan(5);
    await child.tell('close');
    await expectAll(storage, appended);
  });

  test('by this one: tape.repair() and tape.verify()', async () => {
    const storage = storageOf(scratch(), NODES);
    const tape = await openTape(childSchema, { storage, ...OPTIONS });
    onTestFinished(() => tape.close());
    let appended = 0;
    const timer = setInterval(() => {
      for (const _ of upTo(300)) tape.append(BigInt(appended), 'A', appended++);
    }, 5);
    onTestFinished(() => clearInterval(timer));
    let struck = 0;
    for (const round of upTo(5)) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await tape.flush();
      struck += strike(storage, round);
      expect(await tape.verify()).toMatchObject({ missing: [], damagedSegments: [], lost: 0 });
      expect(await tape.repair()).toMatchObject({ lost: 0, stillUnderReplicated: 0, troubles: [], missing: [] });
    }
    clearInterval(timer);
    expect(struck).toBeGreaterThan(3);
    expect(await tape.verify()).toMatchObject({ damaged: [], underReplicated: 0, surplus: 0 });
    await tape.close();
    await expectAll(storage, appended);
  });

  test('and its process is killed: what it had is recovered beside what was repaired', async () => {
    const storage = storageOf(scratch(), NODES);
    const child = new Child({ storage, ...OPTIONS });
    await child.tell('open');
    for (const _ of upTo(10)) {
      await child.tell('append', 1000);
      await child.tell('flush');
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    await child.tell('append', 300);
    await child.kill();
    const struck = strike(storage, 0);
    expect(struck).toBeGreaterThan(0);
    // Nobody writes it, and its session did not end: what has no footer is not touched.
    expect(await repairTape({ storage })).toMatchObject({
      mendedInPlace: struck,
      lost: 0,
      stillUnderReplicated: 0,
      damagedSegments: [],
    });
    const tape = await openTape(childSchema, { storage, ...OPTIONS });
    await tape.close();
    expect(await repairTape({ storage })).toMatchObject({ lost: 0, stillUnderReplicated: 0, left: 0 });
    expect(new Set(goodCopies(storage, childSchema).values())).toEqual(new Set([2]));
    await expectAll(storage, 10_300);
  });
});
