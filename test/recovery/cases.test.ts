import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { LANE_SEALED_AT, SYMBOL_BYTES, SYMBOL_HEADER_BYTES } from '../../dist/assembly/layout.js';
import { segmentName } from '../../dist/src/segment/catalog.js';
import {
  capacityOf,
  crashedTape,
  edit,
  expectRedundant,
  forgetRelease,
  LiveTape,
  laneFiles,
  numbersByLane,
  RECORD_BYTES,
  recordIn,
  SMALL,
  setTail,
  storageOf,
  trade,
  upTo,
} from '../helpers/crashed.js';
import { copyOf, filesOf, snapshot } from '../helpers/scratch.js';
import { withReader } from '../helpers/segments.js';
import { reopen } from '../helpers/tape.js';

// The cases at the top of src/journal/recovery.ts, by their names.

/** 30 records: in a lane only; in a block; the first 20 in a block. */
const published = await crashedTape((live) => live.append(30));
const sealed = await crashedTape(async (live) => {
  live.append(30);
  await live.tape.flush();
});
const halfSealed = await crashedTape(async (live) => {
  live.append(20);
  await live.tape.flush();
  live.append(10);
});

const NOTHING = {
  lanes: 0,
  records: 0,
  damagedBytes: 0,
  openBlocks: 0,
  tornCopies: 0,
  copiesMade: 0,
  missingRecords: 0,
};
const segmentsOf = (root: string) => filesOf(root, /segment-\d{8}\.ttseg$/);
const isSealed = (file: string) => withReader(file, (reader) => reader.footer()) !== null;

/** Reopens what was copied, as the writer of two storage nodes would, and checks that each lane's records are there once. */
async function recoverAll(root: string, ...lanes: number[][]) {
  const storage = storageOf(root, 2);
  const warnings: string[] = [];
  const report = await reopen(trade, {
    storage,
    ...SMALL,
    onWarning: (message) => warnings.push(message),
  });
  expect(await numbersByLane(storage)).toEqual(lanes);
  await expectRedundant(storage, 2);
  expect(laneFiles(root)).toEqual([]);
  expect(filesOf(root, /\.tmp$/)).toEqual([]);
  expect(segmentsOf(root).every(isSealed)).toBe(true);
  return { report, warnings };
}

/** Where the blocks of a segment lie. */
const blocksIn = (file: string) =>
  withReader(file, (reader) => [...reader.walk(4096, true)]).map(({ offset, header }) => ({
    offset,
    end: offset + header.blockBytes,
    firstChunk: offset + header.chunks[0].offset,
  }));

test('segment-sealed: its blocks are believed, and nothing of it is touched', async () => {
  const live = await LiveTape.open();
  live.append(30);
  await live.tape.close();
  const before = snapshot(live.root, { times: true });
  const { report } = await recoverAll(live.root, upTo(30));
  expect(report).toEqual(NOTHING);
  const after = snapshot(live.root, { times: true });
  for (const file of segmentsOf(live.root)) {
    const name = path.relative(live.root, file);
    expect(after[name]).toBe(before[name]);
  }
});

test('segment-open: its blocks are checked whole, then a footer closes it', async () => {
  const live = await LiveTape.open({ capacity: 16 });
  live.append(50);
  await live.tape.flush();
  const root = live.copy();
  expect(segmentsOf(root).some(isSealed)).toBe(false);
  const { report } = await recoverAll(root, upTo(50));
  expect(report).toEqual({ ...NOTHING, lanes: 1, openBlocks: 4 });
});

describe('block-torn', () => {
  async function oneBlock(): Promise<string> {
    const root = copyOf(sealed);
    // Killed while it was being written: the lane has not let go of its records.
    forgetRelease(root);
    return root;
  }

  const tears: [string, number, (bytes: Uint8Array, block: ReturnType<typeof blocksIn>[0]) => void][] = [
    ['in its values', 1, (bytes, { firstChunk }) => bytes.fill(0xaa, firstChunk, firstChunk + 8)],
    ['at its end', 1, (bytes, { end }) => bytes.fill(0xaa, end - 30, end)],
    // Nothing says then that a block began there.
    ['in its header', 0, (bytes, { offset, end }) => bytes.fill(0, offset + 64, end)],
    ['before its magic was there', 0, (bytes, { offset }) => bytes.fill(0, offset, offset + 8)],
  ];

  test.each(tears)('%s, on one storage node: the other copy is the good one', async (_, tornCopies, tear) => {
    const root = await oneBlock();
    const [file] = segmentsOf(root);
    const [block] = blocksIn(file);
    edit(file, (bytes) => tear(bytes, block));
    const { report } = await recoverAll(root, upTo(30));
    expect(report).toEqual({ ...NOTHING, lanes: 1, openBlocks: 1, tornCopies, copiesMade: 1 });
  });

  test.each(tears)('%s, on all of them: its records are still in the lane', async (_, tornCopies, tear) => {
    const root = await oneBlock();
    for (const file of segmentsOf(root)) {
      const [block] = blocksIn(file);
      edit(file, (bytes) => tear(bytes, block));
    }
    const { report } = await recoverAll(root, upTo(30));
    expect(report).toEqual({ ...NOTHING, lanes: 1, records: 30, tornCopies: 2 * tornCopies });
  });

  test('with a whole one behind it: stepped over', async () => {
    const live = await LiveTape.open({ capacity: 16 });
    live.append(48);
    await live.tape.flush();
    const root = live.copy();
    forgetRelease(root);
    const [first, second] = segmentsOf(root);
    // The second of three blocks, on one storage node; the first on the other.
    const [one, two] = blocksIn(first);
    edit(first, (bytes) => bytes.fill(0, two.offset, two.offset + 200));
    edit(second, (bytes) => bytes.fill(0xff, one.offset + 8, one.offset + 16));
    const { report } = await recoverAll(root, upTo(48));
    expect(report).toEqual({ ...NOTHING, lanes: 1, openBlocks: 3, copiesMade: 2 });
  });
});

describe('block-too-few: its bytes are put on others', () => {
  test('where a storage node lost its segment', async () => {
    const live = await LiveTape.open({ capacity: 16 });
    live.append(40);
    await live.tape.flush();
    const root = live.copy();
    rmSync(segmentsOf(root)[1]);
    const { report } = await recoverAll(root, upTo(40));
    expect(report).toEqual({ ...NOTHING, lanes: 1, openBlocks: 3, copiesMade: 3 });
  });

  test('where more copies are asked for than were made', async () => {
    const live = await LiveTape.open({ nodes: 3, redundancy: 1 });
    live.append(30);
    await live.tape.flush();
    const root = live.copy();
    const storage = storageOf(root, 3);
    expect(await reopen(trade, { storage, ...SMALL, redundancy: 3 })).toEqual({
      ...NOTHING,
      lanes: 1,
      openBlocks: 1,
      copiesMade: 2,
    });
    await expectRedundant(storage, 3);
    expect(await numbersByLane(storage)).toEqual([upTo(30)]);
  });
});

test('segment-unfinished: removed', async () => {
  const root = copyOf(published);
  for (const node of ['d0', 'd1']) writeFileSync(path.join(root, node, `${segmentName(9)}.tmp`), 'TTSEGMT1');
  const { report } = await recoverAll(root, upTo(30));
  expect(report).toEqual({ ...NOTHING, lanes: 1, records: 30 });
});

describe('lane-empty: removed', () => {
  test('where all of it is in blocks', async () => {
    const live = await LiveTape.open({ lanes: 3 });
    live.append(30);
    await live.tape.flush();
    const { report } = await recoverAll(live.copy(), upTo(10), upTo(10), upTo(10));
    expect(report).toEqual({ ...NOTHING, lanes: 3, openBlocks: 1 });
  });

  test('where nothing ever was in it', async () => {
    const live = await LiveTape.open({ lanes: 2 });
    const { report } = await recoverAll(live.copy());
    expect(report).toEqual({ ...NOTHING, lanes: 2 });
  });

  test('where the blocks that hold it are known by their lane ranges only', async () => {
    const live = await LiveTape.open({ lanes: 2, capacity: 16 });
    live.append(90);
    await live.tape.flush();
    const root = live.copy();
    forgetRelease(root);
    const { report } = await recoverAll(root, upTo(45), upTo(45));
    expect(report).toEqual({ ...NOTHING, lanes: 2, openBlocks: 6 });
  });
});

test('lane-empty: removed, also where many blocks of other lanes came since', async () => {
  const live = await LiveTape.open({ lanes: 2, capacity: 1000 });
  live.appendTo(1, 10);
  for (let i = 0; i < 6; i++) {
    await live.tape.flush();
    live.appendTo(0, 2000);
  }
  await live.tape.flush();
  const root = live.copy();
  // A power cut may leave an old head.
  forgetRelease(root);
  const { report } = await recoverAll(root, upTo(12_000), upTo(10));
  expect(report).toMatchObject({ lanes: 2, records: 0, damagedBytes: 0 });
});

describe('lane-published: made into blocks, then removed', () => {
  test('of one lane', async () => {
    const { report } = await recoverAll(copyOf(published), upTo(30));
    expect(report).toEqual({ ...NOTHING, lanes: 1, records: 30 });
  });

  test('of several, in order of time', async () => {
    const live = await LiveTape.open({ lanes: 5 });
    live.append(100);
    const root = live.copy();
    const { report } = await recoverAll(root, ...Array.from({ length: 5 }, () => upTo(20)));
    expect(report).toEqual({ ...NOTHING, lanes: 5, records: 100 });
  });

  test('of more than a block', async () => {
    const live = await LiveTape.open({ capacity: 1000 });
    live.append(500);
    const root = live.copy();
    const storage = storageOf(root, 2);
    expect(await reopen(trade, { storage, ...SMALL, capacity: 16 })).toEqual({
      ...NOTHING,
      lanes: 1,
      records: 500,
    });
    expect(await numbersByLane(storage)).toEqual([upTo(500)]);
  });

  test('of a lane that has gone round', async () => {
    const live = await LiveTape.open();
    const records = Math.floor(capacityOf(laneFiles(live.root)[0]) / RECORD_BYTES);
    for (let lap = 0; lap < 3; lap++) {
      live.append(records - 100);
      await live.tape.flush();
    }
    live.append(records - 1);
    const total = 3 * (records - 100) + records - 1;
    const { report } = await recoverAll(live.copy(), upTo(total));
    expect(report).toEqual({ ...NOTHING, lanes: 1, records: records - 1, openBlocks: 3 });
  });

  test('of a full lane, to its last byte', async () => {
    const live = await LiveTape.open({ onFull: 'throw', capacity: 10_000 });
    const [file] = laneFiles(live.root);
    const records = Math.floor(capacityOf(file) / RECORD_BYTES);
    live.append(records);
    expect(() => live.append(1)).toThrow(expect.objectContaining({ code: 'FULL' }));
    const { report } = await recoverAll(live.copy(), upTo(records));
    expect(report).toEqual({ ...NOTHING, lanes: 1, records });
  });
});

describe('lane-half-sealed: only the others are', () => {
  test('where the first ones are in a block', async () => {
    const root = copyOf(halfSealed);
    forgetRelease(root);
    const { report } = await recoverAll(root, upTo(30));
    expect(report).toEqual({ ...NOTHING, lanes: 1, records: 10, openBlocks: 1 });
  });

  test('of several lanes, each up to another place', async () => {
    const live = await LiveTape.open({ capacity: 16, lanes: 3 });
    live.append(64);
    await live.tape.flush();
    live.append(11);
    const root = live.copy();
    forgetRelease(root);
    const { report } = await recoverAll(root, upTo(25), upTo(25), upTo(25));
    expect(report).toEqual({ ...NOTHING, lanes: 3, records: 11, openBlocks: 4 });
  });
});

describe('lane-ahead-of-tail: as published ones', () => {
  test.each([0, 1, 29])('with the tail behind record %i', async (records) => {
    const root = copyOf(published);
    setTail(laneFiles(root)[0], records * RECORD_BYTES);
    const { report } = await recoverAll(root, upTo(30));
    expect(report).toEqual({ ...NOTHING, lanes: 1, records: 30 });
  });

  test('up to the first hole', async () => {
    const root = copyOf(published);
    const [file] = laneFiles(root);
    setTail(file, 10 * RECORD_BYTES);
    edit(file, (bytes) => recordIn(bytes, 20).fill(0));
    const { report } = await recoverAll(root, upTo(20));
    expect(report).toEqual({ ...NOTHING, lanes: 1, records: 20 });
  });

  test('but none of the lap before', async () => {
    const live = await LiveTape.open();
    const records = Math.floor(capacityOf(laneFiles(live.root)[0]) / RECORD_BYTES);
    live.append(records);
    await live.tape.flush();
    live.append(500);
    await live.tape.flush();
    // Behind the tail whole records lie, in the very places of those that would come next.
    const { report } = await recoverAll(live.copy(), upTo(records + 500));
    expect(report).toEqual({ ...NOTHING, lanes: 1, openBlocks: 2 });
  });
});

test('what lies behind the place where a closing tape sealed the lane was answered with CLOSED, and is left out', async () => {
  const root = copyOf(published);
  edit(laneFiles(root)[0], (_, view) => view.setBigUint64(LANE_SEALED_AT, BigInt(20 * RECORD_BYTES), true));
  const { report } = await recoverAll(root, upTo(20));
  expect(report).toEqual({ ...NOTHING, lanes: 1, records: 20 });
});

describe('lane-torn: stepped over to the next whole one, and counted', () => {
  test.each<[string, (record: Uint8Array) => void]>([
    ['a bit', (record) => (record[30] ^= 4)],
    ['its checksum', (record) => record.fill(0, 0, 8)],
    ['its length', (record) => record.set([0xf8, 0xff, 0xff, 0xff], 8)],
    ['all of it', (record) => record.fill(0)],
    ['all of it, by noise', (record) => record.fill(0x5a)],
  ])('a record that lost %s', async (_, damage) => {
    const root = copyOf(published);
    edit(laneFiles(root)[0], (bytes) => {
      damage(recordIn(bytes, 7));
    });
    const { report, warnings } = await recoverAll(root, [...upTo(7), ...upTo(30).slice(8)]);
    expect(report).toEqual({ ...NOTHING, lanes: 1, records: 29, damagedBytes: RECORD_BYTES });
    expect(warnings.join()).toContain(`${RECORD_BYTES} bytes`);
  });

  test('the first, the last and some between, in each of two lanes', async () => {
    const live = await LiveTape.open({ lanes: 2 });
    live.append(60);
    const root = live.copy();
    for (const file of laneFiles(root)) {
      edit(file, (bytes) => {
        for (const index of [0, 10, 11, 29]) recordIn(bytes, index)[40] ^= 0xff;
      });
    }
    const left = upTo(30).filter((n) => ![0, 10, 11, 29].includes(n));
    const { report } = await recoverAll(root, left, left);
    expect(report).toEqual({ ...NOTHING, lanes: 2, records: 52, damagedBytes: 8 * RECORD_BYTES });
  });

  test('what is damaged but in a block is not counted', async () => {
    const root = copyOf(halfSealed);
    forgetRelease(root);
    edit(laneFiles(root)[0], (bytes) => recordIn(bytes, 7).fill(0));
    const { report } = await recoverAll(root, upTo(30));
    expect(report).toEqual({ ...NOTHING, lanes: 1, records: 10, openBlocks: 1 });
  });
});

test('lane-nameless: as torn', async () => {
  const root = copyOf(published);
  // S3 is the fourth that was entered; seven of the thirty have it.
  const [symbols] = filesOf(root, /symbols\.ttsym$/);
  edit(symbols, (bytes) =>
    bytes.fill(0, SYMBOL_HEADER_BYTES + 3 * SYMBOL_BYTES, SYMBOL_HEADER_BYTES + 4 * SYMBOL_BYTES),
  );
  const { report, warnings } = await recoverAll(
    root,
    upTo(30).filter((n) => n % 4 !== 3),
  );
  expect(report).toEqual({ ...NOTHING, lanes: 1, records: 23, damagedBytes: 7 * RECORD_BYTES });
  expect(warnings.join()).toContain('symbol');
});

test('lane-unfinished: removed', async () => {
  const root = copyOf(published);
  writeFileSync(path.join(root, 'd0', 'journal', 'lane-1-7.ttlane.tmp'), 'TTLANE01');
  const { report } = await recoverAll(root, upTo(30));
  expect(report).toEqual({ ...NOTHING, lanes: 1, records: 30 });
});

test('files of other names are left alone', async () => {
  const root = copyOf(published);
  const others = ['d0/notes.txt', 'd0/segment-1.ttseg', 'd0/journal/lane-x.ttlane', 'd1/segment-00000001.ttseg.bak'];
  for (const name of others) writeFileSync(path.join(root, name), 'mine');
  const before = snapshot(root, { times: true });
  await recoverAll(root, upTo(30));
  const after = snapshot(root, { times: true });
  for (const name of others) expect(after[name]).toBe(before[name]);
  expect(readdirSync(path.join(root, 'd0')).length).toBeGreaterThan(3);
});
