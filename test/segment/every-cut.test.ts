import { describe, expect, test } from 'vitest';
import { holdersOf } from '../../dist/src/segment/catalog.js';
import { blocks, rows, SmallTape } from '../helpers/small-tape.js';

// A segment that is cut: at every length that it may have, from none on.

const PAGE = 4096;
const once = new SmallTape(1, true);
const twice = new SmallTape(2, true);
const [whole] = once.originals;

let end = PAGE;
const placed = blocks.map(({ header }) => {
  const offset = end;
  end += header.blockBytes;
  return { offset, end, count: header.count };
});

/** As long as it was, with zeros behind the cut. */
function emptied(bytes: Uint8Array, length: number): Uint8Array {
  const left = new Uint8Array(bytes.length);
  left.set(bytes.subarray(0, length));
  return left;
}

const lengths = Array.from({ length: whole.length + 1 }, (_, length) => length);
const LEFT: [string, (bytes: Uint8Array, length: number) => Uint8Array][] = [
  ['nothing behind the cut', (bytes, length) => bytes.subarray(0, length)],
  ['zeros behind the cut', emptied],
];

/** Records of the blocks of which nothing is missing in what is left. */
function recordsIn(left: Uint8Array): number {
  const isWhole = (from: number, to: number) => Buffer.compare(left.subarray(from, to), whole.subarray(from, to)) === 0;
  if (!isWhole(0, PAGE)) return 0;
  return placed.reduce((sum, block) => sum + (isWhole(block.offset, block.end) ? block.count : 0), 0);
}

describe.each(LEFT)('with %s', (_, cut) => {
  test('all is read from the other copy', { timeout: 300_000 }, async () => {
    for (const length of lengths) {
      twice.restore(cut(twice.originals[0], length));
      if ((await twice.read()) !== rows.length) expect.fail(`cut at ${length}: records are missing`);
    }
  });

  test('recovered: all blocks are on both storage nodes again', { timeout: 300_000 }, async () => {
    for (const length of lengths) {
      if (length % 16 !== 0) continue;
      // The other one without its footer: these are blocks of the last session.
      twice.restore(cut(twice.originals[0], length));
      twice.files.set(twice.segments[1], twice.originals[1].slice(0, end));
      await twice.recover(2);
      expect(await twice.read()).toBe(rows.length);
      expect(twice.catalog.blocks.map((block) => holdersOf(block).size)).toEqual([2, 2]);
    }
  });

  test('the only copy, recovered: each block that is whole is kept, and none comes up', {
    timeout: 300_000,
  }, async () => {
    for (const length of lengths) {
      const left = cut(whole, length);
      once.restore(left);
      await once.recover(1);
      const found = await once.read();
      if (found !== recordsIn(left)) expect.fail(`cut at ${length}: ${found} records, not ${recordsIn(left)}`);
      const isHeaderLost = Buffer.compare(left.subarray(0, PAGE), whole.subarray(0, PAGE)) !== 0;
      expect(once.catalog.damaged.map(({ path }) => path)).toEqual(isHeaderLost ? once.segments : []);
    }
  });
});
