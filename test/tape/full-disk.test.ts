// Disks that are full while a tape is recorded, when it is opened and when it is closed. The tape is in a process of its own: a store
// into a mapping of a file that has no space would end that with a signal.
import path from 'node:path';
import type { FlushReport, TapeOptions, TapeStats } from 'ticktape';
import { openTape } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Catalog } from '../../dist/src/segment/catalog.js';
import { Child, childSchema, type Reply } from '../helpers/child.js';
import { filesOf, scratch, snapshot } from '../helpers/scratch.js';
import { SmallDisk, whyNoSmallDisks } from '../helpers/small-disk.js';
import { readAll } from '../helpers/tape.js';

/** Segments roll every twenty blocks; a lane holds 1,900 records. */
const OPTIONS = {
  segmentBytes: 1024 ** 2,
  maxSymbols: 100,
  capacity: 1000,
  laneBytes: 65_536,
  flushIntervalMs: 20,
  syncIntervalMs: 20,
  compression: 'off',
} satisfies Partial<TapeOptions>;
/** More than a lane holds. */
const BATCH = 5000;
const DISK_FULL = expect.objectContaining({ name: 'TapeError', code: 'DISK_FULL' });

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const pause = (ms = 20) => new Promise((resolve) => setTimeout(resolve, ms));

/** A tape that another process records, on some storage directories. */
class Recording {
  readonly storage: string[];
  readonly child: Child;

  private constructor(root: string, nodes: number, options: Partial<TapeOptions>) {
    this.storage = upTo(nodes).map((i) => path.join(root, `d${i}`));
    this.child = new Child({ storage: this.storage, ...OPTIONS, ...options });
  }

  static async begin(root: string, nodes: number, options: Partial<TapeOptions>): Promise<Recording> {
    const recording = new Recording(root, nodes, options);
    await recording.ask('open');
    return recording;
  }

  /** @throws Error where it can't be done */
  async ask<T = unknown>(verb: string, ...args: unknown[]): Promise<T> {
    const reply = await this.child.tell(verb, ...args);
    if (reply.code !== undefined) expect.fail(`${verb}: ${reply.code} ${reply.message}`);
    return reply.result as T;
  }

  /** Appends records, with timestamps that nothing compresses. Answers how many there are by now. */
  append(count = BATCH): Promise<number> {
    return this.ask('append', count, true);
  }

  stats(): Promise<TapeStats> {
    return this.ask('stats');
  }

  /** Records until the statistics are as wanted. */
  async recordUntil(isSo: (stats: TapeStats) => boolean, between = () => {}): Promise<TapeStats> {
    for (let turn = 0; ; turn++) {
      const stats = await this.stats();
      if (isSo(stats)) return stats;
      if (turn === 1000) expect.fail(JSON.stringify(stats));
      await this.append(500);
      between();
      await pause();
    }
  }

  /** Fills the disk of this storage node until a block is refused. */
  async fill(disk: SmallDisk, node: number): Promise<void> {
    disk.fill();
    const { storageNodes, trouble } = await this.recordUntil(
      ({ storageNodes, trouble }) => storageNodes[node].state === 'aside' && trouble !== null,
      () => disk.fill(),
    );
    expect(storageNodes[node].errors).toBeGreaterThan(0);
    expect(trouble).toMatchObject({ code: 'DISK_FULL', storageNode: this.storage[node] });
    expect(trouble!.message).toContain('is full; make room');
    const warnings = await this.ask<string[]>('warnings');
    expect(warnings).toContainEqual(expect.stringContaining(`${this.storage[node]} is set aside`));
  }

  /** Records until this storage node gets blocks again. */
  async comeBack(node: number): Promise<void> {
    const before = (await this.stats()).storageNodes[node].blocks;
    await this.recordUntil(
      ({ storageNodes }) => storageNodes[node].state === 'healthy' && storageNodes[node].blocks > before + 3,
    );
  }

  async expectRepairable(redundancy: number): Promise<void> {
    await this.ask('flush');
    expect(await this.ask('repair')).toMatchObject({ lost: 0, stillUnderReplicated: 0, troubles: [], missing: [] });
    expect(await this.ask('verify')).toMatchObject({ redundancy, ...WELL });
  }

  /** Closes it: everything was stored, `redundancy` times. */
  async end(redundancy: number): Promise<void> {
    const records = await this.append(0);
    await this.ask('close');
    await this.expectAll(redundancy, records);
  }

  async expectAll(redundancy: number, records: number): Promise<void> {
    expect(await this.numbers()).toEqual(upTo(records));
    const reader = await openTape(childSchema, { storage: this.storage, readOnly: true });
    onTestFinished(() => reader.close());
    expect(await reader.verify({ redundancy })).toMatchObject(WELL);
  }

  async numbers(): Promise<unknown[]> {
    return (await readAll(childSchema, this.storage)).map(({ n }) => n);
  }
}

const WELL = { damaged: [], damagedSegments: [], missing: [], underReplicated: 0, lost: 0 };

/** Whether the promise is still pending after so long. */
const isPending = (promise: Promise<unknown>, ms: number) =>
  Promise.race([promise.then(() => false), pause(ms).then(() => true)]);

const unsealed = (directory: string) => {
  const catalog = new Catalog(runtime.files, [directory]);
  catalog.refresh(null);
  return [...catalog.segments.values()].filter(({ sealed }) => !sealed);
};

const needsMounts = whyNoSmallDisks === null ? '' : ` (skipped: no tmpfs can be mounted: ${whyNoSmallDisks})`;

describe.skipIf(whyNoSmallDisks !== null)(`a full disk${needsMounts}`, () => {
  describe('of a storage node', () => {
    test('while there are others: they take its share, and it comes back', async () => {
      const root = scratch();
      const disk = new SmallDisk(path.join(root, 'd1'));
      const tape = await Recording.begin(root, 3, { redundancy: 2 });
      await tape.recordUntil(({ storageNodes }) => storageNodes.every(({ blocks }) => blocks > 5));
      await tape.fill(disk, 1);
      await tape.append();
      const report = await tape.ask<FlushReport>('flushReport');
      expect(report).toMatchObject({ leastCopies: 2, degradedBlocks: 0, degradedRecords: 0 });
      disk.free();
      await tape.comeBack(1);
      expect((await tape.stats()).degraded).toEqual({ blocks: 0, records: 0 });
      await tape.expectRepairable(2);
      await tape.end(2);
    });

    test('while there is no other, degraded continue: fewer copies, and repair makes up for them', async () => {
      const root = scratch();
      const disk = new SmallDisk(path.join(root, 'd1'));
      const tape = await Recording.begin(root, 2, { redundancy: 2, degraded: 'continue' });
      await tape.append();
      expect(await tape.ask('flushReport')).toMatchObject({ leastCopies: 2, degradedBlocks: 0 });
      await tape.fill(disk, 1);
      await tape.append();
      const report = await tape.ask<FlushReport>('flushReport');
      expect(report).toMatchObject({ leastCopies: 1, records: await tape.append(0) });
      expect(report.degradedBlocks).toBeGreaterThan(0);
      expect(report.degradedRecords).toBeGreaterThanOrEqual(BATCH);
      const { degraded } = await tape.stats();
      expect(degraded).toEqual({ blocks: report.degradedBlocks, records: report.degradedRecords });
      // Once what was written of a block before the disk was full is cut off.
      await expect
        .poll(() => tape.ask('verify'))
        .toMatchObject({ ...WELL, underReplicated: report.degradedBlocks, redundancy: 2 });
      disk.free();
      await tape.comeBack(1);
      await tape.ask('flush');
      await tape.append();
      expect(await tape.ask('flushReport')).toMatchObject({ leastCopies: 2 });
      await tape.expectRepairable(2);
      await tape.end(2);
    });

    test('while there is no other, degraded stop: flush says so, producers wait, and it goes on by itself', async () => {
      const root = scratch();
      const disk = new SmallDisk(path.join(root, 'd1'));
      const tape = await Recording.begin(root, 2, { redundancy: 2, degraded: 'stop' });
      await tape.append();
      await tape.ask('flush');
      const before = await tape.append(0);
      disk.fill();
      // Less than a lane holds.
      await tape.append(1500);
      const reply = await tape.child.tell('flush');
      expect(reply).toEqual(DISK_FULL);
      expect(reply.message).toContain('1 of 2 storage nodes');
      const { storageNodes, trouble, degraded, records } = await tape.stats();
      expect(storageNodes.map(({ state }) => state)).toEqual(['healthy', 'aside']);
      expect(trouble).toMatchObject({ code: 'DISK_FULL', storageNode: tape.storage[1] });
      expect(degraded).toEqual({ blocks: 0, records: 0 });
      // What fits the first page of what the segment had left may be there by now.
      expect(records).toBeLessThan(before + 1500);
      const appended = tape.append(20_000);
      expect(await isPending(appended, 500)).toBe(true);
      disk.free();
      expect(await appended).toBe(before + 21_500);
      expect(await tape.ask('flushReport')).toMatchObject({ leastCopies: 2, degradedBlocks: 0 });
      expect((await tape.stats()).storageNodes.map(({ state }) => state)).toEqual(['healthy', 'healthy']);
      await tape.end(2);
    });
  });

  describe('of all storage nodes', () => {
    async function fullEverywhere(onFull: TapeOptions['onFull']) {
      const root = scratch();
      const disks = [0, 1].map((i) => new SmallDisk(path.join(root, `d${i}`)));
      const tape = await Recording.begin(root, 2, { redundancy: 2, onFull, journal: path.join(root, 'journal') });
      await tape.append(1000);
      await tape.ask('flush');
      for (const disk of disks) disk.fill();
      return { tape, disks };
    }

    test('onFull throw: FULL once the lane is, and on it goes', async () => {
      const { tape, disks } = await fullEverywhere('throw');
      let reply: Reply = {};
      for (let turn = 0; turn < 100 && reply.code === undefined; turn++) {
        reply = await tape.child.tell('append', 500, true);
        await pause();
      }
      expect(reply).toMatchObject({ name: 'TapeError', code: 'FULL' });
      expect(await tape.child.tell('flush')).toEqual(DISK_FULL);
      const { storageNodes, lanes } = await tape.stats();
      expect(storageNodes.every(({ errors }) => errors > 0)).toBe(true);
      expect(lanes[0].drops).toBe(0);
      expect(await tape.child.tell('append', 1, true)).toMatchObject({ code: 'FULL' });
      for (const disk of disks) disk.free();
      await expect.poll(() => tape.child.tell('append', 1, true), { timeout: 20_000 }).toHaveProperty('result');
      await tape.ask('flush');
      await tape.expectRepairable(2);
      await tape.end(2);
    });

    test('onFull drop: what is dropped is counted, and nothing else is missing', async () => {
      const { tape, disks } = await fullEverywhere('drop');
      const drops = async () => Number((await tape.stats()).lanes[0].drops);
      for (let turn = 0; turn < 100 && (await drops()) < 1000; turn++) {
        await tape.append(500);
        await pause();
      }
      expect(await drops()).toBeGreaterThanOrEqual(1000);
      for (const disk of disks) disk.free();
      await expect
        .poll(async () => (await tape.child.tell('flushReport')).code, { timeout: 20_000, interval: 100 })
        .toBeUndefined();
      const atOnce = await drops();
      // Less than the lane, which is empty now, holds.
      const records = await tape.append(1000);
      await tape.ask('flush');
      expect(await drops()).toBe(atOnce);
      await tape.expectRepairable(2);
      await tape.ask('close');
      const numbers = await tape.numbers();
      expect(numbers.length).toBe(records - atOnce);
      expect(numbers.slice(0, 1000)).toEqual(upTo(1000));
      expect(numbers.slice(-1000)).toEqual(upTo(1000).map((i) => records - 1000 + i));
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => Number(a) - Number(b)));
    });

    test('onFull wait: producers wait, and it goes on by itself', async () => {
      const { tape, disks } = await fullEverywhere('wait');
      const appended = tape.append(20_000);
      expect(await isPending(appended, 500)).toBe(true);
      for (const disk of disks) disk.free();
      expect(await appended).toBe(21_000);
      await tape.ask('flush');
      await tape.expectRepairable(2);
      await tape.end(2);
    });
  });

  describe.each(['mapped', 'buffered'] as const)('of the journal (%s)', (journalMode) => {
    test('lanes that are there go round and round, and another is DISK_FULL', async () => {
      const root = scratch();
      const journal = path.join(root, 'journal');
      const disk = new SmallDisk(journal);
      const tape = await Recording.begin(root, 2, { redundancy: 2, journal, journalMode });
      disk.fill();
      const before = snapshot(journal, { except: /filler|\.tt(lane|sym|cnt)$/ });
      const lanes = filesOf(journal, /ttlane/);
      expect(lanes.length).toBe(1);
      // Twenty times round, with symbols that are new.
      await tape.append(40_000);
      await tape.ask('flush');
      const reply = await tape.child.tell('takeLane');
      expect(reply).toEqual(DISK_FULL);
      expect(reply.message).toContain(journal);
      expect(filesOf(journal, /ttlane/)).toEqual(lanes);
      expect(snapshot(journal, { except: /filler|\.tt(lane|sym|cnt)$/ })).toEqual(before);
      await tape.append(40_000);
      expect(await tape.ask('flushReport')).toMatchObject({ leastCopies: 2, records: 80_000 });
      expect(await tape.stats()).toMatchObject({ trouble: null, journal: journalMode });
      disk.free();
      expect(await tape.ask('takeLane')).toBe(1);
      await tape.end(2);
    });

    test('and its process is killed: what the lane held is recovered', async () => {
      const root = scratch();
      const journal = path.join(root, 'journal');
      const disk = new SmallDisk(journal);
      const tape = await Recording.begin(root, 2, { redundancy: 2, journal, journalMode, flushIntervalMs: 0 });
      disk.fill();
      await tape.append(20_000);
      await tape.ask('flush');
      await tape.append(700);
      await pause(100);
      await tape.child.kill();
      disk.free();
      const again = await Recording.begin(root, 2, { redundancy: 2, journal, journalMode });
      expect((await again.stats()).recovery).toMatchObject({ lanes: 1, records: 700 });
      await again.ask('close');
      await again.expectAll(2, 20_700);
    });

    test('at the end: tape.json stays as it is, with a warning', async () => {
      const root = scratch();
      const journal = path.join(root, 'journal');
      const disk = new SmallDisk(journal);
      const tape = await Recording.begin(root, 2, { redundancy: 2, journal, journalMode });
      await tape.append();
      disk.fill();
      await tape.end(2);
      const warnings = await tape.ask<string[]>('warnings');
      expect(warnings).toEqual([expect.stringContaining(path.join(journal, 'tape.json'))]);
      expect(warnings[0]).toContain('full');
      expect(filesOf(journal, /\.tmp$|ttlane/)).toEqual([]);
      disk.free();
      const again = await Recording.begin(root, 2, { redundancy: 2, journal, journalMode });
      expect((await again.stats()).recovery).toMatchObject({ lanes: 0, records: 0, missingRecords: 0 });
      await again.append(1000);
      await again.ask('close');
      expect((await again.numbers()).length).toBe(BATCH + 1000);
    });
  });

  describe('at open', () => {
    test.each(['d1', 'journal'])('of a new tape (%s): says so, and makes nothing', async (name) => {
      const root = scratch();
      const disk = new SmallDisk(path.join(root, name));
      disk.fill();
      const before = snapshot(root, { times: true, except: /filler/ });
      const child = new Child({
        storage: upTo(2).map((i) => path.join(root, `d${i}`)),
        journal: path.join(root, 'journal'),
        ...OPTIONS,
      });
      const reply = await child.tell('open');
      expect(reply).toEqual(DISK_FULL);
      expect(reply.message).toContain(path.join(root, name));
      expect(reply.message).toContain('MiB needed');
      expect(snapshot(root, { times: true, except: /filler/ })).toEqual(before);
      disk.free();
      expect(await child.tell('open')).toHaveProperty('result');
      await child.tell('append', 10);
      await child.tell('close');
    });

    test.each(['d1', 'journal'])(
      'of a tape that was killed (%s): nothing changes, and all is recovered once there is space',
      async (name) => {
        const root = scratch();
        const disk = new SmallDisk(path.join(root, name));
        const options = { redundancy: 2, journal: path.join(root, 'journal'), flushIntervalMs: 0 };
        const tape = await Recording.begin(root, 2, options);
        await tape.append();
        await tape.ask('flush');
        await tape.append(700);
        await pause(100);
        await tape.child.kill();
        disk.fill();
        const before = snapshot(root, { times: true, except: /filler/ });
        const again = new Child({ storage: tape.storage, ...OPTIONS, ...options });
        expect(await again.tell('open')).toEqual(DISK_FULL);
        expect(snapshot(root, { times: true, except: /filler/ })).toEqual(before);
        disk.free();
        expect(await again.tell('open')).toHaveProperty('result');
        expect(await again.tell('stats')).toMatchObject({ result: { recovery: { lanes: 1, records: 700 } } });
        await again.tell('close');
        await tape.expectAll(2, BATCH + 700);
      },
    );
  });

  describe('when a footer is to be written', () => {
    /** Blocks so small that the footer is several pages. */
    const LONG = { timeout: 30_000, interval: 100 };
    const TINY = { redundancy: 2, capacity: 16, segmentMaxAgeMs: 400 };

    test('its segment is ended later, when there is space', async () => {
      const root = scratch();
      const disk = new SmallDisk(path.join(root, 'd1'));
      const tape = await Recording.begin(root, 2, TINY);
      await tape.append(BATCH);
      await tape.ask('flush');
      const [first] = unsealed(tape.storage[1]);
      expect(first).toBeDefined();
      disk.fill();
      await pause(500);
      // It is too old for more.
      await tape.fill(disk, 1);
      const { trouble } = await tape.recordUntil(({ trouble }) => trouble !== null);
      expect(trouble).toMatchObject({ code: 'DISK_FULL', storageNode: tape.storage[1] });
      const hasSaid = async () =>
        (await tape.ask<string[]>('warnings')).some((text) => text.includes(`${first.path}: can't seal`));
      await expect.poll(hasSaid, LONG).toBe(true);
      expect(unsealed(tape.storage[1]).map(({ path: file }) => file)).toContain(first.path);
      // Ten more times it is tried, and nothing more is said.
      await pause(300);
      const said = (await tape.ask<string[]>('warnings')).filter((text) => text.includes(`${first.path}: can't seal`));
      expect(said.length).toBeLessThanOrEqual(2);
      disk.free();
      await tape.comeBack(1);
      await expect.poll(() => unsealed(tape.storage[1]).map(({ path: file }) => file), LONG).not.toContain(first.path);
      await tape.expectRepairable(2);
      await tape.end(2);
      expect(tape.storage.flatMap(unsealed)).toEqual([]);
    });

    test('at close, on one storage node: a warning, and the next open ends it', async () => {
      const root = scratch();
      const disk = new SmallDisk(path.join(root, 'd1'));
      const tape = await Recording.begin(root, 2, { ...TINY, segmentMaxAgeMs: 60_000 });
      await tape.append(BATCH);
      await tape.ask('flush');
      disk.fill();
      await tape.ask('close');
      const warnings = await tape.ask<string[]>('warnings');
      expect(warnings).toEqual([expect.stringContaining("can't seal the segment")]);
      expect(await tape.numbers()).toEqual(upTo(BATCH));
      const [left] = unsealed(tape.storage[1]);
      const reader = await openTape(childSchema, { storage: tape.storage, readOnly: true });
      onTestFinished(() => reader.close());
      // After a session that ended, nothing else tells it from one that lost its end.
      const damagedSegments = [{ path: left.path, reason: 'it has no footer' }];
      expect(await reader.verify({ redundancy: 2 })).toMatchObject({ ...WELL, damagedSegments });
      disk.free();
      const again = await Recording.begin(root, 2, TINY);
      expect(unsealed(again.storage[1])).toEqual([]);
      await again.ask('close');
      await again.expectAll(2, BATCH);
    });

    test('at close, on all storage nodes: a warning for each, as every record is stored', async () => {
      const root = scratch();
      const disks = [0, 1].map((i) => new SmallDisk(path.join(root, `d${i}`)));
      const tape = await Recording.begin(root, 2, {
        ...TINY,
        segmentMaxAgeMs: 60_000,
        journal: path.join(root, 'journal'),
      });
      await tape.append(BATCH);
      await tape.ask('flush');
      for (const disk of disks) disk.fill();
      await tape.end(2);
      const warnings = await tape.ask<string[]>('warnings');
      expect(warnings.length).toBe(2);
      for (const warning of warnings) expect(warning).toContain("can't seal the segment");
      for (const disk of disks) disk.free();
      const again = await Recording.begin(root, 2, { ...TINY, journal: path.join(root, 'journal') });
      expect(again.storage.flatMap(unsealed)).toEqual([]);
      await again.ask('close');
      await again.expectAll(2, BATCH);
    });

    test('at close, with records that fit no storage node: close says so, and the next open recovers them', async () => {
      const root = scratch();
      const disks = [0, 1].map((i) => new SmallDisk(path.join(root, `d${i}`)));
      const journal = path.join(root, 'journal');
      const tape = await Recording.begin(root, 2, { redundancy: 2, journal, flushIntervalMs: 0 });
      await tape.append(BATCH);
      await tape.ask('flush');
      for (const disk of disks) disk.fill();
      await tape.append(900);
      expect(await tape.child.tell('close')).toEqual(DISK_FULL);
      for (const disk of disks) disk.free();
      const again = await Recording.begin(root, 2, { redundancy: 2, journal });
      expect((await again.stats()).recovery).toMatchObject({ lanes: 1, records: 900 });
      await again.ask('close');
      await again.expectAll(2, BATCH + 900);
    });
  });
});
