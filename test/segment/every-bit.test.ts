import { describe, expect, test } from 'vitest';
import { flips } from '../helpers/bits.js';
import { blocks, rows, SmallTape } from '../helpers/small-tape.js';

// A sealed segment on each of two storage nodes; one of them with each of its bits changed in turn.

const PAGE = 4096;
const tape = new SmallTape(2, true);
const [whole] = tape.originals;

/** Bytes without meaning: zeros behind a chunk, up to the next multiple of 8. No checksum is over them. */
const padding = new Set<number>();
let end = PAGE;
for (const { header } of blocks) {
  for (const { offset, storedBytes } of header.chunks) {
    for (let at = offset + storedBytes; at % 8 !== 0; at++) padding.add(end + at);
  }
  end += header.blockBytes;
}

test('the segment has all that a segment may have', () => {
  const chunks = blocks.flatMap(({ header }) => header.chunks);
  expect([...new Set(chunks.map(({ compression }) => compression))].sort()).toEqual([0, 1, 2]);
  expect([...new Set(chunks.map(({ encoding }) => encoding))].sort()).toEqual([0, 1]);
  expect([...new Set(chunks.map(({ part }) => part))].sort()).toEqual([0, 1, 2]);
  for (const { header } of blocks) expect(header.symbols.length).toBeGreaterThan(1);
  expect(whole.length).toBe(end + blocks.length * 64 + 64);
  expect(padding.size).toBeGreaterThan(20);
  expect([...padding].every((at) => whole[at] === 0)).toBe(true);
});

test('unchanged: all is read, and nothing is wrong with it', async () => {
  tape.restore();
  expect(await tape.read()).toBe(rows.length);
  expect(await tape.verify(2)).toMatchObject({
    blocks: blocks.length,
    copies: 2 * blocks.length,
    damaged: [],
    missing: [],
    underReplicated: 0,
    damagedSegments: [],
  });
});

describe.each([
  ['its header', 0, PAGE],
  ['its blocks', PAGE, end],
  ['its footer', end, whole.length],
])('each bit of %s', (part, from, to) => {
  test('all is read, and the change is noticed wherever it means anything', { timeout: 300_000 }, async () => {
    const unnoticed = new Set<number>();
    let flipped = 0;
    for (const { at, bytes } of flips(whole, from, to)) {
      flipped++;
      tape.restore(bytes);
      const found = await tape.read();
      if (found !== rows.length) expect.fail(`byte ${at}: ${found} records`);
      const { damaged, missing, underReplicated, damagedSegments } = await tape.verify(2);
      if (missing.length > 0) expect.fail(`byte ${at}: blocks are missing`);
      // What is wrong is told of the place where it is.
      const inBlock = damaged.length === 1 && damaged[0].path === tape.segments[0] && underReplicated === 1;
      const inSegment = damagedSegments.length === 1 && damagedSegments[0].path === tape.segments[0];
      const told = part === 'its blocks' ? inBlock && damagedSegments.length === 0 : inSegment && damaged.length === 0;
      if (!told) {
        const nothing = damaged.length + underReplicated + damagedSegments.length === 0;
        if (!nothing) expect.fail(`byte ${at}: ${JSON.stringify({ damagedSegments, underReplicated })}`);
        unnoticed.add(at);
      }
    }
    expect(flipped).toBe(8 * (to - from));
    expect(unnoticed).toEqual(new Set([...padding].filter((at) => at >= from && at < to)));
  });
});
