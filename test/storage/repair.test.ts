import { copyFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { openTape, repairTape } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { expect, test } from 'vitest';
import { repairTapeOn } from '../../dist/src/storage/scrub/repair-tape.js';
import { copyOf, filesOf, lastingScratch } from '../helpers/scratch.js';
import {
  cut,
  expectNothingToDo,
  expectWell,
  flip,
  goodCopies,
  makeTape,
  numbersIn,
  type Place,
  placesOf,
  SMALL,
  scrubbed,
  storageOf,
  upTo,
  watchedFiles,
  wipe,
} from '../helpers/scrub.js';

const lasting = lastingScratch();
const shapes = [
  { nodes: 3, redundancy: 2 },
  { nodes: 4, redundancy: 3 },
  { nodes: 2, redundancy: 2 },
].map((shape) => ({ ...shape, root: path.join(lasting, `${shape.nodes}-${shape.redundancy}`) }));
for (const { root, ...shape } of shapes) await makeTape(root, shape);
const RECORDS = upTo(300);
const BLOCKS = 15;

// ---- random damage --------------------------------------------------------------------------------------------------------------

const blow = fc.record({
  kind: fc.constantFrom('flip', 'flip', 'flip', 'header', 'footer', 'cut', 'remove', 'wipe'),
  at: fc.nat(),
  where: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

/** Strikes where every block keeps a good copy; answers the storage nodes that lost everything. */
function strike(
  storage: readonly string[],
  redundancy: number,
  blows: readonly { kind: string; at: number; where: number }[],
): string[] {
  const places = placesOf(storage);
  const hurt = new Map<bigint, Set<number>>();
  const wiped: string[] = [];
  for (const { kind, at, where } of blows) {
    const place = places[at % places.length];
    const hit = places.filter(
      ({ node, path: file, offset }) =>
        node === place.node &&
        (kind === 'wipe' || (file === place.path && (kind !== 'flip' || offset === place.offset))),
    );
    const nodes = (of: Place) => new Set(hurt.get(of.sequence)).add(place.node);
    if (hit.some((of) => nodes(of).size >= redundancy)) continue;
    const files = filesOf(storage[place.node], /\.ttseg$/);
    // Of another blow nothing may be left to strike at.
    if (!files.includes(place.path)) continue;
    const bytes = runtime.files.readFile(place.path).length;
    if (kind === 'wipe' && wiped.length > 0) continue;
    for (const of of hit) hurt.set(of.sequence, nodes(of));
    if (kind === 'flip') {
      const offset = place.offset + Math.floor(where * place.blockBytes);
      if (offset < bytes) flip(place.path, offset);
    } else if (kind === 'header') flip(place.path, Math.min(bytes - 1, Math.floor(where * 4096)));
    else if (kind === 'footer') flip(place.path, bytes - 1 - Math.floor(where * Math.min(bytes, 64)));
    else if (kind === 'cut') cut(place.path, Math.floor(where * bytes));
    else if (kind === 'remove') rmSync(place.path);
    else {
      wipe(storage[place.node]);
      wiped.push(storage[place.node]);
    }
  }
  return wiped;
}

test.each(shapes)(
  'whatever happens to fewer copies than there are ($redundancy on $nodes storage nodes)',
  async ({ root, nodes, redundancy }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(blow, { minLength: 1, maxLength: 12 }), async (blows) => {
        const copy = copyOf(root);
        const storage = storageOf(copy, nodes);
        // By the paths where they were when the tape was written.
        const lostStorageNodes = strike(storage, redundancy, blows).map((of) => of.replace(copy, root));
        const result = await repairTape({ storage, lostStorageNodes });
        expect(result).toMatchObject({
          blocks: BLOCKS,
          redundancy,
          lost: 0,
          stillUnderReplicated: 0,
          left: 0,
          troubles: [],
        });
        await expectWell(storage, redundancy, BLOCKS);
        expect(await numbersIn(storage)).toEqual(RECORDS);
        await expectNothingToDo(storage, redundancy);
        const tape = await openTape(scrubbed, { storage, redundancy, ...SMALL });
        expect(tape.stats().recovery).toMatchObject({ lanes: 0, openBlocks: 0, copiesMade: 0 });
        await tape.close();
        rmSync(copy, { recursive: true });
      }),
      { numRuns: 25 },
    );
  },
);

// ---- killed at any point ----------------------------------------------------------------------------------------------------------

/** A bit of everything: bad copies, a damaged header, a footer that is cut, a segment that is gone, surplus copies. */
function damaged(): { root: string; storage: string[] } {
  const [{ root, nodes }] = shapes;
  const copy = copyOf(root);
  const storage = storageOf(copy, nodes);
  const files = storage.map((directory) => filesOf(directory, /\.ttseg$/));
  const places = placesOf(storage);
  const other = (place: Place) =>
    places.find(({ sequence, node }) => sequence === place.sequence && node !== place.node)!;
  const first = places.find(({ path: file }) => file === files[0][0])!;
  flip(first.path, first.offset + 200);
  flip(files[1][1], 100);
  // A surplus copy of each block of a segment.
  copyFileSync(files[2][2], path.join(storage[0], 'repair-00000001.ttseg'));
  expect(other(first).path).not.toBe(files[1][1]);
  return { root: copy, storage };
}

test('killed at any of its operations and run again, it ends the same, and no block ever has fewer good copies', async () => {
  const base = damaged();
  const before = goodCopies(base.storage);
  expect([...before.values()].some((good) => good < 2)).toBe(true);
  let operations = 0;
  for (let fatal = 0; ; fatal++) {
    const root = copyOf(base.root);
    const storage = storageOf(root, 3);
    let count = 0;
    const files = watchedFiles((operation, file) => {
      if (count++ >= fatal) throw Object.assign(new Error(`killed: ${operation} ${file}`), { code: 'EIO' });
    });
    const survived = await repairTapeOn({ ...runtime, files }, { storage, redundancy: 2 }).then(
      ({ troubles }) => count <= fatal && troubles.length === 0,
      () => false,
    );
    for (const [sequence, good] of goodCopies(storage))
      expect(good, `${sequence} at ${fatal}`).toBeGreaterThanOrEqual(Math.min(2, before.get(sequence)!));
    if (!survived) await repairTape({ storage, redundancy: 2 });
    await expectWell(storage, 2, BLOCKS);
    expect(await numbersIn(storage)).toEqual(RECORDS);
    rmSync(root, { recursive: true });
    operations = count;
    if (survived) break;
  }
  expect(operations).toBeGreaterThan(100);
}, 300_000);
