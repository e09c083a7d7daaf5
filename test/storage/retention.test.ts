import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openTape } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { expect, test } from 'vitest';
import type { TapeError } from '../../dist/src/errors.js';
import type { Files } from '../../dist/src/files.js';
import { Catalog } from '../../dist/src/segment/catalog.js';
import { storedMark } from '../../dist/src/storage/identity.js';
import { Retention, type RetentionParts } from '../../dist/src/storage/retention.js';
import { survey } from '../../dist/src/storage/survey.js';
import { expectRedundant, LiveTape, SMALL, storageOf, trade } from '../helpers/crashed.js';
import { MortalFiles } from '../helpers/mortal-files.js';
import { copyOf, filesOf, lastingScratch } from '../helpers/scratch.js';
import { errorOf, readAll, reopen } from '../helpers/tape.js';

const NODES = 3;
const BLOCKS = 6;
const OPTIONS = { capacity: 16, segmentMaxAgeMs: 1, syncIntervalMs: 10, ...SMALL };
/** In them. */
const STORED = 10n * BigInt(BLOCKS);
const MINUTE_NS = 60_000_000_000n;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What a process left that was killed: blocks of 10 records, each in segments of its own, and some records in a lane. */
async function left(): Promise<string> {
  const live = await LiveTape.open({ nodes: NODES, ...OPTIONS });
  for (let block = 0; block < BLOCKS; block++) {
    live.append(10);
    await live.tape.flush();
    await pause(3);
  }
  // The segments that are ended are sealed when they are synced.
  const catalog = new Catalog(runtime.files, storageOf(live.root, NODES));
  const open = () => [...catalog.segments.values()].filter(({ sealed }) => !sealed);
  do {
    await pause(20);
    catalog.refresh(null);
  } while (open().length > NODES);
  live.append(5);
  return live.copy();
}

const segments = (root: string) => filesOf(root, /\.ttseg$/).map((file) => path.relative(root, file));

const newestOf = (root: string) =>
  storageOf('', NODES).map((directory) => segments(root).findLast((file) => path.dirname(file) === directory)!);

/** What retention does on the tape at `root` as its writer. */
function retentionOf(root: string, files: Files, parts: Partial<RetentionParts> = {}) {
  const storage = storageOf(root, NODES);
  const { directories, journal, roster } = survey(runtime.files, storage, undefined);
  const troubles: TapeError[] = [];
  const dropped = { firstSequence: roster!.firstSequence, records: 0, segments: 0, bytes: 0 };
  const retention = new Retention({
    files,
    directories,
    journal,
    // All that may go.
    policy: { bytes: 1 },
    epoch: roster!.epoch,
    firstSequence: roster!.firstSequence,
    skipped: [],
    nowNs: () => runtime.nowNs() + MINUTE_NS,
    nowMs: () => performance.now(),
    isAside: () => false,
    onDropped({ firstSequence, records, segments: files, bytes }) {
      dropped.firstSequence = firstSequence;
      dropped.records += records;
      dropped.segments += files;
      dropped.bytes += bytes;
    },
    onTrouble: (error) => troubles.push(error),
    ...parts,
  });
  return { retention, dropped, troubles, run: () => retention.run(STORED) };
}

const upTo = (from: bigint, to: bigint) => Array.from({ length: Number(to - from) }, (_, i) => from + BigInt(i));

async function sequencesOf(root: string): Promise<bigint[]> {
  return (await readAll(trade, storageOf(root, NODES))).map(({ sequence }) => sequence);
}

/** Segments of which every block lies below the mark, but for each storage node's newest. */
function stale(root: string, mark: bigint): string[] {
  const storage = storageOf(root, NODES);
  const catalog = new Catalog(runtime.files, storage);
  catalog.refresh(null);
  return storage.flatMap((_, i) => {
    const own = [...catalog.segments.values()].filter((segment) => segment.storage === i);
    const last = own
      .map((segment) => segment.path)
      .sort()
      .at(-1);
    return own
      .filter((segment) => segment.path !== last)
      .filter(({ entries }) => entries.every(({ sequence, count }) => sequence + BigInt(count) <= mark))
      .map((segment) => segment.path);
  });
}

test('what is old goes from all storage nodes, and what is counted is what went', async () => {
  const root = await left();
  const before = await sequencesOf(root);
  const had = segments(root);
  const { run, dropped, troubles } = retentionOf(root, runtime.files);
  await run();
  expect(troubles).toEqual([]);
  const mark = dropped.firstSequence;
  expect(mark > 0n && mark < BigInt(before.length)).toBe(true);
  expect(dropped.records).toBe(Number(mark));
  expect(dropped.segments).toBe(had.length - segments(root).length);
  expect(dropped.segments).toBeGreaterThan(0);
  expect(dropped.bytes).toBeGreaterThan(dropped.segments * 4096);
  expect(await sequencesOf(root)).toEqual(upTo(mark, BigInt(before.length)));
  expect(stale(root, mark)).toEqual([]);
  // Again, and there is nothing to do.
  const after = segments(root);
  const files = new MortalFiles(Infinity);
  const again = retentionOf(root, files);
  await again.run();
  expect(files.changes).toEqual([]);
  expect(again.dropped).toMatchObject({ records: 0, segments: 0 });
  expect(segments(root)).toEqual(after);
});

test('the newest segment of each storage node stays, whose number no other is to have', async () => {
  const root = await left();
  await reopen(trade, { storage: storageOf(root, NODES), ...OPTIONS });
  const newest = newestOf(root);
  const { run, dropped } = retentionOf(root, runtime.files);
  await run();
  expect(dropped.segments).toBeGreaterThan(0);
  expect(segments(root)).toEqual(expect.arrayContaining(newest));
});

test('the lanes are on the disk before the mark, the mark everywhere before anything is removed', async () => {
  const root = await left();
  const files = new MortalFiles(Infinity);
  await retentionOf(root, files).run();
  const done = files.changes.map((change) => change.replace(`${root}${path.sep}`, ''));
  const identities = done.filter((change) => /^rename .*(storage-node|tape)\.json$/.test(change));
  expect(identities).toEqual([
    ...storageOf('', NODES).map((directory) => `rename ${path.join(directory, 'storage-node.json')}`),
    `rename ${path.join('d0', 'journal', 'tape.json')}`,
  ]);
  const of = (pattern: RegExp) => done.flatMap((change, i) => (pattern.test(change) ? [i] : []));
  const [lanes, marks, removals] = [of(/^sync .*lane-/), of(/^rename/), of(/^remove .*ttseg$/)];
  expect(lanes.length).toBeGreaterThan(0);
  expect(removals.length).toBeGreaterThan(0);
  expect(Math.max(...lanes)).toBeLessThan(Math.min(...of(/\.json/)));
  expect(Math.max(...marks)).toBeLessThan(Math.min(...removals));
});

test('killed at any of its changes: all is there or all of it is gone, and the next open ends it', async () => {
  const base = await left();
  const all = (await sequencesOf(base)).length;
  const whole = copyOf(base);
  const files = new MortalFiles(Infinity);
  const { run, dropped } = retentionOf(whole, files);
  await run();
  const mark = dropped.firstSequence;
  const changes = files.changes.length;
  const outcomes = { kept: 0, dropped: 0, half: 0 };
  for (let at = 0; at <= changes; at++) {
    const root = copyOf(base);
    const mortal = new MortalFiles(at);
    await retentionOf(root, mortal).run();
    expect(mortal.died).toBe(at < changes);
    const storage = storageOf(root, NODES);
    const holds = storedMark(runtime.files, storage) > 0n;
    const from = holds ? mark : 0n;
    const dead = segments(root).length;
    expect(await sequencesOf(root)).toEqual(upTo(from, BigInt(all)));
    // Its process is gone: another opens the tape, recovers its lanes and goes on.
    const warnings: string[] = [];
    const tape = await openTape(trade, { storage, ...OPTIONS, onWarning: (text) => warnings.push(text) });
    expect(tape.stats()).toMatchObject({
      retention: { firstSequence: from },
      recovery: { records: 5, damagedBytes: 0 },
    });
    tape.append(1n, 9, 'S0', 0, 0);
    await tape.close();
    expect(warnings).toEqual([]);
    expect(await sequencesOf(root)).toEqual(upTo(from, BigInt(all + 6)));
    // What was a storage node's newest segment then, and is not any more.
    await reopen(trade, { storage, ...OPTIONS });
    expect(stale(root, from)).toEqual([]);
    await expectRedundant(storage, 2);
    outcomes[holds ? 'dropped' : 'kept']++;
    if (holds && dead > segments(whole).length && dead < segments(base).length) outcomes.half++;
  }
  expect(Math.min(...Object.values(outcomes))).toBeGreaterThan(2);
}, 300_000);

test('what one storage node alone has of the mark counts', async () => {
  const root = await left();
  const storage = storageOf(root, NODES);
  const file = path.join(storage[1], 'storage-node.json');
  const { checksum: _, ...content } = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...content, roster: { ...content.roster, firstSequence: '30' } }));
  expect(await sequencesOf(root)).toEqual(upTo(30n, STORED));
  // The second time of those that were newest, too.
  await reopen(trade, { storage, ...OPTIONS });
  await reopen(trade, { storage, ...OPTIONS });
  expect(stale(root, 30n)).toEqual([]);
  for (const directory of [...storage, path.join(storage[0], 'journal')]) {
    const text = readFileSync(
      path.join(directory, directory.endsWith('journal') ? 'tape.json' : 'storage-node.json'),
      'utf8',
    );
    expect(JSON.parse(text).roster.firstSequence).toBe('30');
  }
  expect(await sequencesOf(root)).toEqual(upTo(30n, STORED + 5n));
});

test('sequences go on at the mark where nothing is left', async () => {
  const root = await left();
  const storage = storageOf(root, NODES);
  await reopen(trade, { storage, ...OPTIONS });
  for (const directory of storage) {
    const file = path.join(directory, 'storage-node.json');
    const { checksum: _, ...content } = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(
      file,
      JSON.stringify({ ...content, roster: { ...content.roster, firstSequence: String(STORED + 5n) } }),
    );
  }
  expect(await sequencesOf(root)).toEqual([]);
  const newest = newestOf(root);
  const tape = await openTape(trade, { storage, ...OPTIONS });
  tape.append(1n, 0, 'S0', 0, 0);
  await tape.close();
  expect(await sequencesOf(root)).toEqual([STORED + 5n]);
  expect(segments(root)).toEqual(expect.arrayContaining(newest));
  expect(segments(root).length).toBeLessThanOrEqual(2 * NODES);
});

test.each([['x'], [7], [null], [String(2n ** 64n)], ['-1']])('a mark of %j is CORRUPT', async (firstSequence) => {
  const root = await left();
  const file = path.join(root, 'd1', 'storage-node.json');
  const { checksum: _, ...content } = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...content, roster: { ...content.roster, firstSequence } }));
  const error = await errorOf(() => sequencesOf(root));
  expect(error).toMatchObject({ code: 'CORRUPT', path: file });
  expect(error.message).toContain('firstSequence');
});

test('a file that can not be removed is told of once, tried again, and holds up nothing', async () => {
  const root = await left();
  const [blocked] = segments(root);
  let blocking = true;
  const files = new MortalFiles(Infinity, (change) => {
    if (blocking && change === `remove ${path.join(root, blocked)}`)
      throw Object.assign(new Error('no'), { code: 'EACCES' });
  });
  const { run, dropped, troubles } = retentionOf(root, files);
  await run();
  await run();
  expect(troubles.map(({ code, path: file }) => [code, file])).toEqual([['NOT_WRITABLE', path.join(root, blocked)]]);
  expect(stale(root, dropped.firstSequence)).toEqual([path.join(root, blocked)]);
  expect((await sequencesOf(root))[0]).toBe(dropped.firstSequence);
  blocking = false;
  await run();
  expect(stale(root, dropped.firstSequence)).toEqual([]);
  expect(troubles).toHaveLength(1);
});

test('a storage node that is gone from the start is told of once, and nothing goes before it was seen', async () => {
  const root = await left();
  const had = segments(root);
  const { run, dropped, troubles } = retentionOf(root, runtime.files);
  const [gone, elsewhere] = [path.join(root, 'd1'), path.join(lastingScratch(), 'd1')];
  renameSync(gone, elsewhere);
  await run();
  await run();
  expect(existsSync(gone)).toBe(false);
  expect(troubles.map(({ code, storageNode }) => [code, storageNode])).toEqual([['NOT_FOUND', gone]]);
  renameSync(elsewhere, gone);
  expect(segments(root)).toEqual(had);
  await run();
  expect(dropped.segments).toBeGreaterThan(0);
  expect(stale(root, dropped.firstSequence)).toEqual([]);
});

test('a storage node that is set aside is not touched, and its segments go once it is back', async () => {
  const root = await left();
  let aside = false;
  const touched = new MortalFiles(Infinity);
  let nowNs = runtime.nowNs();
  const { run, dropped, troubles } = retentionOf(root, touched, {
    policy: { ageMs: 60_000 },
    isAside: (storage) => aside && storage === 1,
    nowNs: () => nowNs,
    nowMs: () => Number(nowNs / 1_000_000n),
  });
  await run();
  expect(dropped.segments).toBe(0);
  aside = true;
  nowNs += 100n * MINUTE_NS;
  await run();
  const mark = dropped.firstSequence;
  expect(mark > 0n).toBe(true);
  expect(touched.changes.filter((change) => change.includes(path.join(root, 'd1')))).toEqual([]);
  expect((await sequencesOf(root))[0]).toBe(mark);
  expect(stale(root, mark).length).toBeGreaterThan(0);
  aside = false;
  await run();
  expect(stale(root, dropped.firstSequence)).toEqual([]);
  expect(troubles).toEqual([]);
});

test('a clock that jumps ahead makes nothing old', async () => {
  const root = await left();
  const had = segments(root);
  let aheadNs = 0n;
  const { run } = retentionOf(root, runtime.files, {
    policy: { ageMs: 60_000 },
    nowNs: () => runtime.nowNs() + aheadNs,
  });
  await run();
  aheadNs = 1_000_000n * MINUTE_NS;
  await run();
  expect(segments(root)).toEqual(had);
});

test('a segment that is being written is young, and as old as its blocks once it has not grown for long', async () => {
  const root = await left();
  let nowNs = runtime.nowNs();
  const { run, dropped } = retentionOf(root, runtime.files, {
    policy: { ageMs: 30_000 },
    nowNs: () => nowNs,
    nowMs: () => Number(nowNs / 1_000_000n),
  });
  await run();
  nowNs += MINUTE_NS / 2n + 1n;
  await run();
  const young = dropped.firstSequence;
  const catalog = new Catalog(runtime.files, storageOf(root, NODES));
  catalog.refresh(null);
  const open = [...catalog.segments.values()].filter(({ sealed }) => !sealed);
  expect(open.length).toBeGreaterThan(0);
  for (const { entries } of open) expect(entries[0].sequence >= young).toBe(true);
  const ends = [...catalog.segments.values()]
    .filter(({ path: file }) => !newestOf(root).includes(path.relative(root, file)))
    .map(({ entries }) => entries.at(-1)!)
    .map(({ sequence, count }) => sequence + BigInt(count));
  nowNs += 2n * MINUTE_NS;
  await run();
  expect(dropped.firstSequence).toBe(ends.reduce((a, b) => (b > a ? b : a), young));
});

test('nothing goes that lanes may still hold', async () => {
  const root = await left();
  const { retention, dropped } = retentionOf(root, runtime.files);
  await retention.run(35n);
  expect(dropped.firstSequence > 0n && dropped.firstSequence <= 35n).toBe(true);
});
