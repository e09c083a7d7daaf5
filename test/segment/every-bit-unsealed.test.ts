import { describe, expect, test } from 'vitest';
import { holdersOf } from '../../dist/src/segment/catalog.js';
import { flips } from '../helpers/bits.js';
import { blocks, rows, SmallTape } from '../helpers/small-tape.js';

// A segment without a footer on each of two storage nodes, as a killed writer leaves them; one of them with each of its bits changed.

const PAGE = 4096;
const tape = new SmallTape(2, false);
const [whole] = tape.originals;

const copies = () => tape.catalog.blocks.map((block) => holdersOf(block).size);
const twice = blocks.map(() => 2);

test('each bit: recovery finds all blocks, before it changes anything, and a reader too', {
  timeout: 300_000,
}, async () => {
  let damaged = 0;
  for (const { at, bit, bytes } of flips(whole)) {
    tape.restore(bytes);
    tape.plan(2);
    if (tape.catalog.gaps().length > 0 || tape.catalog.nextSequence !== BigInt(rows.length)) {
      expect.fail(`byte ${at}: blocks are missing`);
    }
    damaged += tape.catalog.damaged.length;
    if (bit !== at % 8) continue;
    tape.restore(bytes);
    if ((await tape.read()) !== rows.length) expect.fail(`byte ${at}: records are missing`);
  }
  // Of the header each, and more where headers of blocks are.
  expect(damaged).toBeGreaterThan(8 * PAGE);
});

describe('recovered', () => {
  test('with a bit of every byte of its blocks changed: all blocks are on both storage nodes, and sealed', {
    timeout: 300_000,
  }, async () => {
    for (const { at, bit, bytes } of flips(whole, PAGE)) {
      if (at % 8 !== bit) continue;
      tape.restore(bytes);
      await tape.recover(2);
      if ((await tape.read()) !== rows.length) expect.fail(`byte ${at}: records are missing`);
      expect(copies(), `byte ${at}`).toEqual(twice);
      expect(tape.catalog.damaged).toEqual([]);
      expect([...tape.catalog.segments.values()].every(({ sealed }) => sealed)).toBe(true);
    }
  });

  test('with a bit of its header changed: it is left as it is, and its blocks are read', async () => {
    for (const { at, bit, bytes } of flips(whole, 0, PAGE)) {
      if (at % 8 !== bit) continue;
      tape.restore(bytes);
      const { openBlocks, copiesMade } = await tape.recover(2);
      expect({ openBlocks, copiesMade }, `byte ${at}`).toEqual({ openBlocks: blocks.length, copiesMade: 0 });
      expect(await tape.read()).toBe(rows.length);
      expect(copies()).toEqual(twice);
      expect(tape.catalog.damaged.map(({ path }) => path)).toEqual([tape.segments[0]]);
      expect(Buffer.compare(tape.files.get(tape.segments[0]), bytes)).toBe(0);
    }
  });
});
