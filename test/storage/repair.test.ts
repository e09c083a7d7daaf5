import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { openTape, repairTape } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { expect, test } from 'vitest';
import { repairTapeOn } from '../../dist/src/storage/scrub/repair-tape.js';
import { verifyTape } from '../../dist/src/storage/scrub/verify.js';
import { zstd } from '../helpers/blocks.js';
import { copyOf, filesOf, lastingScratch } from '../helpers/scratch.js';
import {
  contentOf,
  cut,
  expectNothingToDo,
  expectWell,
  flip,
  goodCopies,
  inMemory,
  makeTape,
  numbersIn,
  type Place,
  placesOf,
  runtimeOn,
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
function damaged(): string[] {
  const [{ root, nodes }] = shapes;
  const storage = storageOf(copyOf(root), nodes);
  const files = storage.map((directory) => filesOf(directory, /\.ttseg$/));
  const all = placesOf(storage);
  const hurt = new Set<bigint>();
  const isIn = (file: string) => all.filter((place) => place.path === file).map(({ sequence }) => sequence);
  const spare = (sequences: bigint[]) => {
    if (sequences.some((sequence) => hurt.has(sequence))) return false;
    for (const sequence of sequences) hurt.add(sequence);
    return true;
  };
  for (const { path: file, offset, sequence, blockBytes } of all) {
    if (file.endsWith('1.ttseg') && spare([sequence])) flip(file, offset + blockBytes - 20);
  }
  // A surplus copy of each block of a segment.
  copyFileSync(files[2][2], path.join(storage[0], 'repair-00000001.ttseg'));
  flip(files[0][2], 100);
  if (spare(isIn(files[1][1]))) cut(files[1][1], readFileSync(files[1][1]).length - 100);
  return storage;
}

test.each([
  ['whole', false],
  ['by half', true],
])(
  'killed at any of its operations, that one done %s, and run again: it ends the same, and no block ever has fewer good copies',
  async (_, torn) => {
    const storage = damaged();
    const base = inMemory(storage);
    const before = goodCopies(storage, scrubbed, base);
    const content = contentOf(storage, base);
    expect([...before.values()].filter((good) => good < 2).length).toBeGreaterThan(2);
    const done = new Set<string>();
    for (let fatal = 0; ; fatal++) {
      const memory = base.clone();
      let count = 0;
      const files = watchedFiles((operation, file, tear) => {
        if (count++ < fatal) return;
        if (count === fatal + 1) {
          done.add(operation);
          if (torn) tear();
        }
        throw Object.assign(new Error(`killed: ${operation} ${file}`), { code: 'EIO' });
      }, memory);
      await repairTapeOn(runtimeOn(files), { storage, redundancy: 2 }).catch((error) => {
        expect(error.message).toContain('killed');
      });
      const left = goodCopies(storage, scrubbed, memory);
      for (const [sequence, good] of before)
        expect(left.get(sequence), `${sequence} at ${fatal}`).toBeGreaterThanOrEqual(Math.min(2, good));
      await repairTapeOn(runtimeOn(memory), { storage, redundancy: 2 });
      const journal = path.join(storage[0], 'journal');
      const tape = { runtime: runtimeOn(memory), schema: scrubbed, zstd, directories: storage, journal };
      expect(await verifyTape(tape, { redundancy: 2 })).toMatchObject({
        blocks: BLOCKS,
        copies: 2 * BLOCKS,
        damaged: [],
        damagedSegments: [],
        missing: [],
        underReplicated: 0,
        surplus: 0,
      });
      expect(contentOf(storage, memory)).toEqual(content);
      for (const directory of storage)
        expect(memory.list(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
      if (count <= fatal) break;
    }
    const everything = [
      'open',
      'read',
      'writeAsync',
      'syncAsync',
      'truncate',
      'rename',
      'syncDirectoryAsync',
      'remove',
      'syncDirectory',
    ];
    expect([...done]).toEqual(expect.arrayContaining(everything));
  },
  300_000,
);
