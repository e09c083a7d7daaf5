import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openTape, type TapeOptions } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { SMALL, storageOf, trade, upTo } from '../helpers/crashed.js';
import { copyOf, scratch, snapshot } from '../helpers/scratch.js';
import { errorOf, readAll } from '../helpers/tape.js';

// Which storage nodes a tape has, and what becomes of one that is not given.

const rowOf = (n: number) => [BigInt(n), 0, `S${n % 4}`, n / 100, n] as const;
const numbersOf = async (storage: readonly string[]) => (await readAll(trade, storage)).map(({ n }) => n);
/** What is in the file, without its checksum: it may be written back changed, as if by hand. */
function json(file: string) {
  const { checksum: _, ...content } = JSON.parse(readFileSync(file, 'utf8'));
  return content;
}
const storageFile = (directory: string) => path.join(directory, 'storage-node.json');
const tapeFile = (root: string) => path.join(root, 'd0', 'journal', 'tape.json');
const idOf = (directory: string): string => json(storageFile(directory)).id;

async function open(storage: readonly string[], options: Partial<TapeOptions> = {}) {
  const warnings: string[] = [];
  const quiet = { flushIntervalMs: 0, syncIntervalMs: 0, onWarning: (message: string) => warnings.push(message) };
  const tape = await openTape(trade, { storage, ...SMALL, capacity: 16, laneBytes: 65_536, ...quiet, ...options });
  return { tape, warnings };
}

/** Opens the tape, appends the numbers, a block each ten, and closes it or leaves it as a kill would. */
async function record(
  storage: readonly string[],
  from: number,
  to: number,
  options: Partial<TapeOptions> & { killedIn?: string } = {},
): Promise<string> {
  const { killedIn, ...rest } = options;
  const { tape } = await open(storage, { redundancy: 1, ...rest });
  for (let n = from; n < to; n++) {
    tape.append(...rowOf(n));
    if (n % 10 === 9) await tape.flush();
  }
  await tape.flush();
  const left = killedIn === undefined ? '' : copyOf(killedIn);
  await tape.close();
  return left;
}

/** A tape of 200 records in blocks of ten, each on one of two storage nodes. */
async function tapeOfTwo(options: { killed?: boolean } = {}): Promise<string> {
  const root = scratch();
  const left = await record(storageOf(root, 2), 0, 200, options.killed ? { killedIn: root } : {});
  return options.killed ? left : root;
}

async function expectMissing(root: string, storage: readonly string[], missing: string): Promise<void> {
  const before = snapshot(root, { times: true });
  const error = await errorOf(() => open(storage));
  expect(error).toMatchObject({ name: 'TapeError', code: 'STORAGE_MISSING', path: missing, storageNode: missing });
  expect(error.message).toContain(missing);
  expect(error.message).toContain('lostStorageNodes');
  expect(snapshot(root, { times: true })).toEqual(before);
}

describe('a storage node that is not given', () => {
  test('is missed for writing, also where the journal is on it; given again, all is there', async () => {
    const root = await tapeOfTwo();
    const [d0, d1] = storageOf(root, 2);
    await expectMissing(root, [d0], d1);
    await expectMissing(root, [d1], d0);
    await expectMissing(root, [d0, path.join(root, 'd2')], d1);
    await expectMissing(root, [path.join(root, 'd2'), d1], d0);
    const elsewhere = { storage: [path.join(root, 'd2')], journal: path.join(d0, 'journal'), ...SMALL };
    expect(await errorOf(() => openTape(trade, elsewhere))).toMatchObject({ code: 'STORAGE_MISSING' });
    await record([d1, d0], 200, 210);
    expect(await numbersOf([d0, d1])).toEqual(upTo(210));
  });

  test('is not missed for reading, but for what only it has', async () => {
    const root = scratch();
    const storage = storageOf(root, 2);
    await record(storage, 0, 50, { redundancy: 2 });
    for (const directory of storage) expect(await numbersOf([directory])).toEqual(upTo(50));
    await expect(numbersOf([(await tapeOfTwo()).concat('/d1')])).rejects.toMatchObject({ code: 'BLOCK_MISSING' });
  });

  test('is missed where its directory is there, but emptied', async () => {
    const root = await tapeOfTwo();
    const [d0, d1] = storageOf(root, 2);
    const before = idOf(d1);
    rmSync(d1, { recursive: true });
    mkdirSync(d1);
    await expectMissing(root, [d0, d1], d1);
    await record([d0, d1], 200, 210, { lostStorageNodes: [d1] });
    expect(idOf(d1)).not.toBe(before);
    // Named by its old path, which is now that of another: nothing is missing.
    await record([d0, d1], 210, 220, { lostStorageNodes: [d1] });
  });

  test('that was moved is known by its id', async () => {
    const root = await tapeOfTwo();
    const moved = [path.join(root, 'elsewhere'), path.join(root, 'd0')];
    renameSync(path.join(root, 'd1'), moved[0]);
    await record([moved[1], moved[0]], 200, 210);
    renameSync(moved[1], path.join(root, 'd1'));
    renameSync(moved[0], path.join(root, 'd0'));
    await record(storageOf(root, 2), 210, 220);
    expect(await numbersOf(storageOf(root, 2))).toEqual(upTo(220));
    await expectMissing(root, [path.join(root, 'd0')], path.join(root, 'd1'));
  });

  test('a copy of one that is given is no storage node of its own', async () => {
    const root = await tapeOfTwo();
    const twin = path.join(root, 'twin');
    cpSync(path.join(root, 'd1'), twin, { recursive: true });
    const error = await errorOf(() => open([...storageOf(root, 2), twin]));
    expect(error).toMatchObject({ code: 'BAD_PATH', path: twin });
    // In its place it will do.
    await record([path.join(root, 'd0'), twin], 200, 210);
  });
});

describe('a storage node that is lost for good', () => {
  test.each([
    ['after a kill', true],
    ['after the tape was closed', false],
  ])('%s: no sequence is given twice, and what is left can be read', async (_, killed) => {
    const root = await tapeOfTwo({ killed });
    const [d0, d1] = storageOf(root, 2);
    const before = await readAll(trade, [d0, d1]);
    const gone = path.join(root, 'gone');
    renameSync(d1, gone);
    // A killed session's list is where it was opened.
    const { path: lastPath } = json(tapeFile(root)).roster.storageNodes[1];

    const { tape, warnings } = await open([d0], { lostStorageNodes: [lastPath] });
    expect(warnings.length).toBe(1);
    expect(warnings[0]).toContain(lastPath);
    for (let n = 200; n < 220; n++) tape.append(...rowOf(n));
    await tape.flush();
    expect(await tape.verify()).toMatchObject({ missing: [], damaged: [] });
    await tape.close();
    const left = await readAll(trade, [d0]);
    const news = left.filter(({ n }) => (n as number) >= 200);
    expect(news.map(({ n }) => n)).toEqual(upTo(220).slice(200));
    expect(left.length).toBeGreaterThan(news.length);
    const first = killed ? 2n ** 48n : 200n;
    expect(news[0].sequence).toBe(first);

    // Recorded: the option may stay or go.
    expect(json(tapeFile(root)).roster).toMatchObject({ lost: [{ path: lastPath }], storageNodes: [{ path: d0 }] });
    await record([d0], 220, 230);
    await record([d0], 230, 240, { lostStorageNodes: [lastPath] });
    // It turns up again: not to be written any more, and whoever reads all of it finds each record under one sequence.
    const back = await errorOf(() => open([d0, gone]));
    expect(back).toMatchObject({ code: 'FOREIGN', path: gone });
    const all = await readAll(trade, [d0, gone]);
    expect(all.map(({ n }) => n)).toEqual(upTo(240));
    expect(all.slice(0, 200)).toEqual(before);
    expect(new Set(all.map(({ sequence }) => sequence)).size).toBe(240);
  });

  test('with a journal on it: likewise', async () => {
    const root = await tapeOfTwo();
    const [d0, d1] = storageOf(root, 2);
    renameSync(d0, path.join(root, 'gone'));
    await expectMissing(root, [d1], d0);
    await record([d1], 200, 220, { lostStorageNodes: [d0] });
    const left = await readAll(trade, [d1]);
    const given = await readAll(trade, [d1, path.join(root, 'gone')]);
    expect(left.filter(({ n }) => (n as number) >= 200).map(({ sequence }) => sequence >= 200n)).not.toContain(false);
    expect(given.map(({ n }) => n)).toEqual(upTo(220));
  });

  test('of which others have all: nothing is missing', async () => {
    const root = scratch();
    const storage = storageOf(root, 3);
    await record(storage, 0, 100, { redundancy: 2 });
    rmSync(storage[2], { recursive: true });
    const left = storage.slice(0, 2);
    await record(left, 100, 120, { redundancy: 2, lostStorageNodes: [path.relative(process.cwd(), storage[2])] });
    expect((await readAll(trade, left)).map(({ sequence, n }) => [sequence, n])).toEqual(
      upTo(120).map((n) => [BigInt(n), n]),
    );
  });

  test('can be named by its id; what is not missing can not be given up', async () => {
    const root = await tapeOfTwo();
    const [d0, d1] = storageOf(root, 2);
    const refused = expect.objectContaining({ name: 'TapeError', code: 'BAD_OPTION' });
    for (const name of [d1, idOf(d1), path.join(root, 'd7'), 'f'.repeat(32)]) {
      const before = snapshot(root, { times: true });
      await expect(open([d0, d1], { lostStorageNodes: [name] })).rejects.toThrow(refused);
      expect(snapshot(root, { times: true })).toEqual(before);
    }
    await expect(open([d0], { lostStorageNodes: d1 as unknown as string[] })).rejects.toThrow(refused);
    await expect(open([d0], { lostStorageNodes: ['a\0'] })).rejects.toMatchObject({ code: 'BAD_PATH' });
    await (await open([d0], { lostStorageNodes: [idOf(d1)] })).tape.close();
  });
});

describe('a tape from before there was a list', () => {
  test('is opened, and gets one', async () => {
    const root = await tapeOfTwo();
    const storage = storageOf(root, 2);
    for (const file of [...storage.map(storageFile), tapeFile(root)]) {
      const { id: _, roster: __, ...content } = json(file);
      writeFileSync(file, JSON.stringify(content));
    }
    expect(await numbersOf(storage)).toEqual(upTo(200));
    await record(storage, 200, 210);
    expect(await numbersOf(storage)).toEqual(upTo(210));
    await expectMissing(root, [storage[0]], storage[1]);
  });
});

test('opening killed between any two files: all storage nodes are known again, and one that has blocks is missed', async () => {
  const before = await tapeOfTwo();
  const [d0, d1, d2] = storageOf('', 3);
  // As it is once opened with a third: copied with the tape, paths and all, so that only the list tells.
  const after = copyOf(before);
  await (await open(storageOf(after, 3))).tape.close();
  const tape = path.join('d0', 'journal', 'tape.json');
  const steps: [string, boolean][] = [
    [storageFile(d2), false],
    [storageFile(d0), true],
    [storageFile(d1), true],
    [storageFile(d2), true],
    [tape, true],
  ];
  for (let done = 0; done <= steps.length; done++) {
    const root = copyOf(before);
    mkdirSync(path.join(root, d2));
    for (const [file, listed] of steps.slice(0, done)) {
      copyFileSync(path.join(after, file), path.join(root, file));
      if (listed) continue;
      const { roster: _, ...content } = json(path.join(root, file));
      writeFileSync(path.join(root, file), JSON.stringify(content));
    }
    const without = await errorOf(() => open([path.join(root, d1), path.join(root, d2)]));
    expect(without).toMatchObject({ code: 'STORAGE_MISSING' });
    await record(storageOf(root, 3), 200, 210);
    expect(await numbersOf(storageOf(root, 3))).toEqual(upTo(210));
    expect(json(path.join(root, tape)).roster.storageNodes).toEqual(
      storageOf(root, 3).map((directory) => ({ id: idOf(directory), path: directory })),
    );
  }
});

test('opening that fails at any of these files leaves a tape that can be opened', async () => {
  const before = await tapeOfTwo();
  for (const file of [...storageOf('', 3).map(storageFile), path.join('d0', 'journal', 'tape.json')]) {
    const root = copyOf(before);
    // Not to be written over.
    const blocked = path.join(root, `${file}.tmp`);
    mkdirSync(path.join(blocked, 'x'), { recursive: true });
    await errorOf(() => open(storageOf(root, 3)));
    rmSync(blocked, { recursive: true });
    await record(storageOf(root, 3), 200, 210);
    expect(await numbersOf(storageOf(root, 3))).toEqual(upTo(210));
  }
});

test('making a tape killed before its journal says so: it is made the next time', async () => {
  const made = scratch();
  await (await open(storageOf(made, 2))).tape.close();
  for (const listed of [0, 1, 2]) {
    const root = copyOf(made);
    rmSync(path.join(root, 'd0', 'journal'), { recursive: true });
    for (const directory of storageOf(root, 2).slice(listed)) {
      const { roster: _, ...content } = json(storageFile(directory));
      writeFileSync(storageFile(directory), JSON.stringify(content));
    }
    await record(storageOf(root, 2), 0, 20);
    expect(existsSync(tapeFile(root))).toBe(true);
    expect(await numbersOf(storageOf(root, 2))).toEqual(upTo(20));
  }
});

describe('a list that is damaged', () => {
  type Content = Record<string, unknown>;
  const damages: [string, (roster: Content) => unknown][] = [
    ['is no list', () => 5],
    ['is null', () => null],
    ['has no storage nodes', ({ storageNodes: _, ...rest }) => rest],
    ['has one without an id', (roster) => ({ ...roster, storageNodes: [{ path: '/x' }] })],
    ['has one that is null', (roster) => ({ ...roster, lost: [null] })],
    ['has half an id', (roster) => ({ ...roster, lost: [{ id: 'ab', path: '/x' }] })],
    ['has an epoch that is none', (roster) => ({ ...roster, epoch: 2 ** 32 })],
    ['has a sequence that is a number', (roster) => ({ ...roster, nextSequence: 5 })],
    ['has a sequence of too many digits', (roster) => ({ ...roster, nextSequence: '9'.repeat(1000) })],
    ['has a sequence of 65 bits', (roster) => ({ ...roster, nextSequence: String(2n ** 64n) })],
    ['skips backwards', (roster) => ({ ...roster, skipped: [['5', '5']] })],
    ['skips half a range', (roster) => ({ ...roster, skipped: [['5']] })],
    ['skips nothing', (roster) => ({ ...roster, skipped: [{}] })],
  ];

  test.each(damages)('%s', async (_, damage) => {
    const base = scratch();
    await record(storageOf(base, 2), 0, 20);
    for (const file of [storageFile('d1'), path.join('d0', 'journal', 'tape.json')]) {
      const root = copyOf(base);
      const content = json(path.join(root, file));
      writeFileSync(path.join(root, file), JSON.stringify({ ...content, roster: damage(content.roster) }));
      const before = snapshot(root, { times: true });
      for (const opening of [
        () => open(storageOf(root, 2)),
        () => openTape(trade, { storage: storageOf(root, 2), readOnly: true }),
      ]) {
        expect(await errorOf(opening)).toMatchObject({ code: 'CORRUPT', path: path.join(root, file) });
      }
      expect(snapshot(root, { times: true })).toEqual(before);
    }
  });
});
