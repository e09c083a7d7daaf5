import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openTape, type RepairProgress, repairTape } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { describe, expect, onTestFinished, test } from 'vitest';
import { repairTapeOn } from '../../dist/src/storage/scrub/repair-tape.js';
import { copyOf, filesOf, lastingScratch, scratch, snapshot } from '../helpers/scratch.js';
import {
  expectNothingToDo,
  expectWell,
  flip,
  goodCopies,
  makeTape,
  numbersIn,
  placesOf,
  SMALL,
  scrubbed,
  storageOf,
  upTo,
  watchedFiles,
} from '../helpers/scrub.js';
import { errorOf, recordsOf } from '../helpers/tape.js';

const base = path.join(lastingScratch(), 'tape');
await makeTape(base, { nodes: 4, redundancy: 2 });
const BLOCKS = 15;
const RECORDS = upTo(300);

function copy(): { root: string; storage: string[] } {
  const root = copyOf(base);
  return { root, storage: storageOf(root, 4) };
}

const outOfSpace = () => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });

/** Changes a byte of every copy on the storage node, but for blocks that `spared` has too. */
function spoil(storage: readonly string[], node: number, spared = -1): number {
  const all = placesOf(storage);
  const kept = new Set(all.flatMap((place) => (place.node === spared ? [place.sequence] : [])));
  const places = all.filter((place) => place.node === node && !kept.has(place.sequence));
  for (const { path: file, offset, blockBytes } of places) flip(file, offset + (blockBytes >> 1));
  return places.length;
}

describe('a bad copy', () => {
  test('is mended where it lies', async () => {
    const { storage } = copy();
    const before = snapshot(storage[1]);
    const bad = spoil(storage, 1);
    expect(await repairTape({ storage })).toMatchObject({
      mendedInPlace: bad,
      copiesMade: 0,
      dropped: 0,
      segmentsRewritten: 0,
    });
    expect(snapshot(storage[1])).toEqual(before);
    await expectWell(storage, 2, BLOCKS);
  });

  test('that can not be written over is made anew elsewhere, and dropped', async () => {
    const { storage } = copy();
    const bad = spoil(storage, 1);
    const files = watchedFiles((operation, file) => {
      if (operation === 'writeAsync' && /segment-\d+\.ttseg$/.test(file))
        throw Object.assign(new Error('a bad sector'), { code: 'EIO' });
    });
    const result = await repairTapeOn({ ...runtime, files }, { storage });
    expect(result).toMatchObject({ mendedInPlace: 0, stillUnderReplicated: 0, left: 0 });
    expect(result.copiesMade).toBeGreaterThanOrEqual(bad);
    expect(result.troubles.length).toBe(bad);
    await expectWell(storage, 2, BLOCKS);
    expect(await numbersIn(storage)).toEqual(RECORDS);
  });
});

test('a block without any good copy stays where it is, and all others are restored', async () => {
  const { storage } = copy();
  const places = placesOf(storage);
  // One that is not alone in its segment, and what lies beside it, too.
  const neighbourOf = ({ path: file, sequence }: (typeof places)[number]) =>
    places.find((other) => other.path === file && other.sequence !== sequence);
  const chosen = places.find((place) => neighbourOf(place) !== undefined)!;
  const lost = places.filter(({ sequence }) => sequence === chosen.sequence);
  for (const { path: file, offset } of lost) flip(file, offset + 300);
  const beside = neighbourOf(chosen)!;
  flip(beside.path, beside.offset + 300);
  const bytes = lost.map(({ path: file, offset, blockBytes }) =>
    readFileSync(file).subarray(offset, offset + blockBytes),
  );
  expect(await repairTape({ storage })).toMatchObject({
    lost: 1,
    stillUnderReplicated: 1,
    mendedInPlace: 1,
    missing: [],
  });
  expect(
    lost.map(({ path: file, offset, blockBytes }) => readFileSync(file).subarray(offset, offset + blockBytes)),
  ).toEqual(bytes);
  const good = goodCopies(storage);
  expect([...good].filter(([, copies]) => copies !== 2)).toEqual([[chosen.sequence, 0]]);
  const reader = await openTape(scrubbed, { storage, readOnly: true });
  expect(await reader.verify()).toMatchObject({ lost: 1, underReplicated: 1, redundancy: 2 });
  await reader.close();
});

describe('sequences that no storage node has', () => {
  test('keep damaged segments from being removed, as they may lie in one', async () => {
    const { storage } = copy();
    const [gone] = placesOf(storage);
    for (const { path: file, offset } of placesOf(storage).filter(({ sequence }) => sequence === gone.sequence)) {
      flip(file, offset + 50);
      flip(file, readFileSync(file).length - 20);
    }
    const files = filesOf(path.dirname(storage[0]), /\.ttseg$/);
    const result = await repairTape({ storage });
    expect(result.missing).toEqual([{ from: 0n, to: 20n }]);
    expect(result.damagedSegments.length).toBe(2);
    for (const file of files) expect(existsSync(file)).toBe(true);
  });

  test('behind the last block are missing too, once the tape was closed', async () => {
    const { storage } = copy();
    const last = placesOf(storage).filter(({ sequence }) => sequence === 280n);
    for (const { path: file } of last) rmSync(file);
    const reader = await openTape(scrubbed, { storage, readOnly: true });
    expect((await reader.verify()).missing.at(-1)!.to).toBe(300n);
    await reader.close();
  });
});

describe('a disk that is full', () => {
  test('is left out: another one is taken', async () => {
    const { storage } = copy();
    for (const file of filesOf(storage[0], /\.ttseg$/)) rmSync(file);
    // The one that is chosen first.
    let full: string | undefined;
    const files = watchedFiles((operation, file) => {
      if (operation !== 'writeAsync') return;
      full ??= storage.find((directory) => file.startsWith(directory));
      if (file.startsWith(full!)) throw outOfSpace();
    });
    const result = await repairTapeOn({ ...runtime, files }, { storage });
    expect(result).toMatchObject({ stillUnderReplicated: 0, left: 0 });
    expect(full).toBeDefined();
    expect(result.troubles).toEqual([{ path: full, message: expect.stringContaining('full') }]);
    await expectWell(storage, 2, BLOCKS);
  });

  test('that says so before is not even tried', async () => {
    const { storage } = copy();
    for (const file of filesOf(storage[0], /\.ttseg$/)) rmSync(file);
    const { files } = runtime;
    const freeBytes = (directory: string) => (directory === storage[1] ? 2000 : Infinity);
    const result = await repairTapeOn({ ...runtime, files: { ...files, freeBytes } }, { storage });
    expect(result).toMatchObject({ stillUnderReplicated: 0, troubles: [] });
    expect(filesOf(storage[1], /repair-.*ttseg$/)).toEqual([]);
    await expectWell(storage, 2, BLOCKS);
  });

  test('as all are: nothing is left behind, and it says what is missing', async () => {
    const { root, storage } = copy();
    for (const file of filesOf(storage[0], /\.ttseg$/)) rmSync(file);
    const before = snapshot(root, { except: /lock$/ });
    const few = [...goodCopies(storage)].flatMap(([sequence, good]) => (good < 2 ? [sequence] : []));
    const places = placesOf(storage);
    // A storage node that has each of these blocks is not asked to take one.
    const asked = upTo(4).filter((node) =>
      few.some((block) => !places.some((at) => at.node === node && at.sequence === block)),
    );
    const full = watchedFiles((operation) => {
      if (operation === 'writeAsync') throw outOfSpace();
    });
    const result = await repairTapeOn({ ...runtime, files: full }, { storage });
    expect(result).toMatchObject({
      copiesMade: 0,
      bytesWritten: 0,
      dropped: 0,
      stillUnderReplicated: few.length,
      lost: 0,
    });
    expect(result.troubles.map(({ path }) => path).sort()).toEqual(asked.map((node) => storage[node]));
    expect(snapshot(root, { except: /lock$/ })).toEqual(before);
    await repairTape({ storage });
    await expectWell(storage, 2, BLOCKS);
  });
});

describe('a storage node that retires', () => {
  test('gives up all its blocks and leaves the tape', async () => {
    const { root, storage } = copy();
    const moved = placesOf(storage).filter(({ node }) => node === 3).length;
    const result = await repairTape({ storage, retire: [storage[3]] });
    expect(result).toMatchObject({
      retired: [storage[3]],
      copiesMade: moved,
      dropped: moved,
      stillUnderReplicated: 0,
      left: 0,
    });
    expect(readdirSync(storage[3])).toEqual([]);
    const left = storage.slice(0, 3);
    await expectWell(left, 2, BLOCKS);
    const tape = await openTape(scrubbed, { storage: left, redundancy: 2, ...SMALL });
    expect((await recordsOf(tape)).map(({ n }) => n)).toEqual(RECORDS);
    tape.append(300n, 'S0', 3, 300, 'note 300');
    await tape.close();
    await expectNothingToDo(left, 2);
    // And comes back as one that is new.
    rmSync(path.join(root, 'd3'), { recursive: true });
    const again = await openTape(scrubbed, { storage, redundancy: 2, ...SMALL });
    await again.close();
    expect(await numbersIn(storage)).toEqual(upTo(301));
  });

  test('with damage on it and elsewhere', async () => {
    const { storage } = copy();
    const [first] = placesOf(storage).filter(({ node }) => node === 3);
    flip(first.path, first.offset + 300);
    flip(filesOf(storage[1], /\.ttseg$/)[0], 100);
    expect(await repairTape({ storage, retire: [storage[3]] })).toMatchObject({
      retired: [storage[3]],
      stillUnderReplicated: 0,
    });
    await expectWell(storage.slice(0, 3), 2, BLOCKS);
    expect(await numbersIn(storage.slice(0, 3))).toEqual(RECORDS);
  });

  test('stays while it has a block that is on no other in a good copy', async () => {
    const { storage } = copy();
    const sequence = placesOf(storage).find(({ node }) => node === 3)!.sequence;
    for (const place of placesOf(storage)) if (place.sequence === sequence) flip(place.path, place.offset + 300);
    const result = await repairTape({ storage, retire: [storage[3]] });
    expect(result).toMatchObject({ retired: [], lost: 1 });
    expect(placesOf(storage).filter((place) => place.sequence === sequence).length).toBe(2);
    expect(await errorOf(() => openTape(scrubbed, { storage: storage.slice(0, 3), ...SMALL }))).toMatchObject({
      code: 'STORAGE_MISSING',
    });
  });

  test('and one that is new takes its place', async () => {
    const { root, storage } = copy();
    const added = path.join(root, 'new');
    // So that it is needed.
    const result = await repairTape({ storage: [...storage, added], redundancy: 4, retire: [storage[3]] });
    expect(result).toMatchObject({ retired: [storage[3]], stillUnderReplicated: 0, left: 0 });
    const now = [...storage.slice(0, 3), added];
    await expectWell(now, 4, BLOCKS);
    expect(await errorOf(() => openTape(scrubbed, { storage: storage.slice(0, 3), ...SMALL }))).toMatchObject({
      code: 'STORAGE_MISSING',
      path: added,
    });
    const tape = await openTape(scrubbed, { storage: now, redundancy: 4, ...SMALL });
    await tape.close();
    expect(await numbersIn(now)).toEqual(RECORDS);
  });

  test('is refused where it can not be', async () => {
    const { storage } = copy();
    const refused = (options: object) => errorOf(() => repairTape({ storage, ...options }));
    expect(await refused({ retire: [storage[0]] })).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining('journal'),
    });
    expect(await refused({ retire: storage.slice(1) })).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining('redundancy'),
    });
    expect(await refused({ retire: storage[1] })).toMatchObject({ code: 'BAD_OPTION' });
    expect(await refused({ retire: ['elsewhere'] })).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining('elsewhere'),
    });
    const tape = await openTape(scrubbed, { storage, redundancy: 2, ...SMALL });
    onTestFinished(() => tape.close());
    expect(await refused({ retire: [storage[3]] })).toMatchObject({ code: 'LOCKED' });
  });
});

describe('who else has the tape', () => {
  test('two repairs at once: the second is LOCKED', async () => {
    const { storage } = copy();
    const first = repairTape({ storage });
    expect(await errorOf(() => repairTape({ storage }))).toMatchObject({
      code: 'LOCKED',
      message: expect.stringContaining('another repair'),
    });
    await first;
    await expectNothingToDo(storage, 2);
  });

  test('while nobody writes it, nobody can open it for writing', async () => {
    const { storage } = copy();
    let tried = false;
    await repairTape({
      storage,
      onProgress() {
        tried = true;
        expect(() => runtime.lock(path.join(storage[0], 'journal', 'lock'))).toThrow(/another writer/);
      },
    });
    expect(tried).toBe(true);
  });

  test('the journal elsewhere, and not said where: refused', async () => {
    const { root, storage } = copy();
    const journal = path.join(root, 'journal');
    renameSync(path.join(storage[0], 'journal'), journal);
    expect(await errorOf(() => repairTape({ storage }))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('journal'),
    });
    spoil(storage, 2);
    expect(await repairTape({ storage, journal })).toMatchObject({ stillUnderReplicated: 0 });
    await expectWell(storage, 2, BLOCKS);
  });

  test('a storage node that is not given', async () => {
    const { storage } = copy();
    expect(await errorOf(() => repairTape({ storage: storage.slice(0, 3) }))).toMatchObject({
      code: 'STORAGE_MISSING',
    });
    const lost = path.join(base, 'd3');
    const result = await repairTape({ storage: storage.slice(0, 3), lostStorageNodes: [lost] });
    expect(result).toMatchObject({ stillUnderReplicated: 0, missing: [] });
    await expectWell(storage.slice(0, 3), 2, BLOCKS);
    expect(await numbersIn(storage.slice(0, 3))).toEqual(RECORDS);
    expect(await errorOf(() => openTape(scrubbed, { storage, ...SMALL }))).toMatchObject({ code: 'FOREIGN' });
  });
});

test('fewer copies than before are asked for: what is too much goes, and comes back when more are', async () => {
  const { storage } = copy();
  const result = await repairTape({ storage, redundancy: 1 });
  expect(result).toMatchObject({ stillUnderReplicated: 0, left: 0, redundancy: 1 });
  await expectWell(storage, 1, BLOCKS);
  expect(await repairTape({ storage, redundancy: 3 })).toMatchObject({ copiesMade: 2 * BLOCKS, dropped: 0 });
  await expectWell(storage, 3, BLOCKS);
  expect(await numbersIn(storage)).toEqual(RECORDS);
});

test('a dry run changes nothing, and says what a run would do', async () => {
  const { root, storage } = copy();
  spoil(storage, 1, 2);
  for (const file of filesOf(storage[2], /\.ttseg$/).slice(1)) rmSync(file);
  flip(filesOf(storage[3], /\.ttseg$/)[0], 10);
  const before = snapshot(root, { except: /lock$/ });
  const dry = await repairTape({ storage, dryRun: true });
  expect(snapshot(root, { except: /lock$/ })).toEqual(before);
  const { retired: _, damagedSegments: __, ...counts } = dry;
  const { retired: ___, damagedSegments: ____, ...done } = await repairTape({ storage });
  expect(counts).toEqual(done);
  expect(done.mendedInPlace * done.copiesMade * done.segmentsRewritten * done.dropped).toBeGreaterThan(0);
  await expectWell(storage, 2, BLOCKS);
});

test('a signal ends it at any point, and another run goes on from there', async () => {
  const { root, storage } = copy();
  spoil(storage, 1, 2);
  for (const file of filesOf(storage[2], /\.ttseg$/)) rmSync(file);
  const steps: RepairProgress['stage'][] = [];
  let last = 0;
  for (let stop = 0; ; stop++) {
    const again = storageOf(copyOf(root), 4);
    const controller = new AbortController();
    let step = 0;
    const run = repairTape({
      storage: again,
      signal: controller.signal,
      onProgress({ stage, done, total }) {
        expect(done).toBeLessThanOrEqual(total);
        if (step++ !== stop) return;
        steps.push(stage);
        controller.abort(new Error('enough'));
      },
    });
    const error = await run.then(
      () => null,
      (thrown) => thrown,
    );
    if (error !== null) expect(error.message).toBe('enough');
    for (const directory of again) expect(filesOf(directory, /\.tmp$/)).toEqual([]);
    await repairTape({ storage: again });
    await expectWell(again, 2, BLOCKS);
    last = stop;
    if (error === null) break;
  }
  expect(new Set(steps)).toEqual(new Set(['check', 'write']));
  expect(last).toBeGreaterThan(BLOCKS);
  const aborted = AbortSignal.abort(new Error('before'));
  expect(await errorOf(() => repairTape({ storage, signal: aborted }))).toMatchObject({ message: 'before' });
});

test('what a repair that was killed left behind goes, and nothing else', async () => {
  const { storage } = copy();
  writeFileSync(path.join(storage[1], 'repair-00000007.tmp'), 'unfinished');
  writeFileSync(path.join(storage[1], 'notes.tmp'), 'of someone');
  await repairTape({ storage });
  expect(readdirSync(storage[1]).filter((name) => name.endsWith('.tmp'))).toEqual(['notes.tmp']);
});

test('no tape, no storage, no redundancy that fits', async () => {
  expect(await errorOf(() => repairTape({ storage: [scratch()] }))).toMatchObject({ code: 'NOT_FOUND' });
  expect(await errorOf(() => repairTape({ storage: [] }))).toMatchObject({ code: 'BAD_OPTION' });
  const { storage } = copy();
  expect(await errorOf(() => repairTape({ storage, redundancy: 5 }))).toMatchObject({ code: 'BAD_OPTION' });
  expect(await errorOf(() => repairTape({ storage, nonsense: 1 } as never))).toMatchObject({ code: 'BAD_OPTION' });
});

test('the name of a segment that is gone never comes back: readers would take it for the one that had it', async () => {
  const { storage } = copy();
  const reader = await openTape(scrubbed, { storage, readOnly: true });
  onTestFinished(() => reader.close());
  expect((await recordsOf(reader)).length).toBe(300);
  const names = () => storage.flatMap((directory) => filesOf(directory, /\.ttseg$/));
  const before = names();
  // A damaged header in every segment: all of them are written anew.
  for (const file of before) flip(file, 30);
  expect(await repairTape({ storage })).toMatchObject({
    segmentsRewritten: before.length,
    stillUnderReplicated: 0,
    left: 0,
  });
  await expectWell(storage, 2, BLOCKS);
  expect(names().filter((name) => before.includes(name))).toEqual([]);
  const tape = await openTape(scrubbed, { storage, redundancy: 2, ...SMALL, capacity: 20 });
  for (const n of upTo(100)) tape.append(BigInt(300 + n), `S${n % 3}`, n, 300 + n, 'new');
  await tape.close();
  expect(names().filter((name) => before.includes(name))).toEqual([]);
  expect((await recordsOf(reader)).map(({ n }) => n)).toEqual(upTo(400));
  expect(reader.damage).toEqual([]);
});
