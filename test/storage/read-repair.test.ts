import { readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { openTape, repairTape } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { copyOf, filesOf, lastingScratch } from '../helpers/scratch.js';
import {
  expectWell,
  flip,
  goodCopies,
  makeTape,
  placesOf,
  SMALL,
  scrubbed,
  storageOf,
  upTo,
} from '../helpers/scrub.js';
import { errorOf } from '../helpers/tape.js';

const base = path.join(lastingScratch(), 'tape');
await makeTape(base, { nodes: 3, redundancy: 2 });
const BLOCKS = 15;

async function open() {
  const storage = storageOf(copyOf(base), 3);
  const warnings: string[] = [];
  const onWarning = (message: string) => warnings.push(message);
  const tape = await openTape(scrubbed, { storage, redundancy: 2, ...SMALL, onWarning });
  onTestFinished(() => tape.close());
  const scan = async (options: object = {}) => {
    const found: number[] = [];
    for await (const { columns } of tape.scan(options)) found.push(...columns.n);
    return found;
  };
  return { storage, tape, scan, warnings };
}

/** Spoils the copy that a scan looks at first, of each of these blocks. */
function spoilFirst(storage: readonly string[], ...sequences: bigint[]): void {
  for (const sequence of sequences) {
    const { path: file, offset, blockBytes } = placesOf(storage).find((place) => place.sequence === sequence)!;
    flip(file, offset + blockBytes - 20);
  }
}

test('a scan mends what it finds bad, where it lies, and reports it', async () => {
  const { storage, tape, scan, warnings } = await open();
  spoilFirst(storage, 20n, 120n, 280n);
  const names = storage.map((directory) => readdirSync(directory));
  expect(await scan()).toEqual(upTo(300));
  expect([...goodCopies(storage).values()].filter((good) => good < 2).length).toBe(3);
  expect(await scan({ repair: true })).toEqual(upTo(300));
  expect(tape.stats().damage.map(({ block }) => block)).toEqual([20n, 120n, 280n]);
  expect(warnings).toEqual([]);
  expect(storage.map((directory) => readdirSync(directory))).toEqual(names);
  await expectWell(storage, 2, BLOCKS);
});

test('also the last block of a scan that is left early', async () => {
  const { storage, tape } = await open();
  spoilFirst(storage, 0n);
  for await (const { columns } of tape.scan({ repair: true })) {
    expect(columns.n[0]).toBe(0);
    break;
  }
  await expectWell(storage, 2, BLOCKS);
});

test('in a segment that is still written: by a copy on another storage node', async () => {
  const { storage, tape, scan } = await open();
  for (const n of upTo(20)) tape.append(BigInt(300 + n), 'S0', 1, 300 + n, 'new');
  await tape.flush();
  spoilFirst(storage, 300n);
  expect((await scan({ repair: true })).length).toBe(320);
  expect(storage.flatMap((directory) => filesOf(directory, /repair-.*ttseg$/)).length).toBe(1);
  expect(goodCopies(storage).get(300n)).toBe(2);
});

test('what it can not mend is a warning, and the scan goes on', async () => {
  const { storage, scan, warnings } = await open();
  spoilFirst(storage, 20n);
  const lock = runtime.lock(path.join(storage[0], 'journal', 'repair-lock'));
  expect(await scan({ repair: true })).toEqual(upTo(300));
  expect(warnings).toEqual([expect.stringMatching(/^block 20 was not mended: .*another repair/)]);
  lock.release();
  expect(await scan({ repair: true })).toEqual(upTo(300));
  await expectWell(storage, 2, BLOCKS);
});

test('a tape that is only read is not repaired', async () => {
  const { storage } = await open();
  const reader = await openTape(scrubbed, { storage, readOnly: true });
  expect(await errorOf(() => reader.scan({ repair: true }))).toMatchObject({ code: 'READ_ONLY' });
  await reader.close();
});

test('blocks that move while they are scanned are found where they are then', async () => {
  const storage = storageOf(copyOf(base), 3);
  const reader = await openTape(scrubbed, { storage, readOnly: true });
  onTestFinished(() => reader.close());
  const scan = reader.scan();
  const found = [...(await scan.next()).value!.columns.n];
  // All of them, to segments of other names.
  for (const directory of storage) {
    for (const file of filesOf(directory, /segment-.*\.ttseg$/)) {
      renameSync(file, file.replace(/segment-0*(\d+)/, 'repair-0000100$1'));
    }
  }
  for await (const { columns } of scan) found.push(...columns.n);
  expect(found).toEqual(upTo(300));
  expect(reader.damage).toEqual([]);
});

test('blocks that are gone while they are scanned: BLOCK_DAMAGED says so', async () => {
  const storage = storageOf(copyOf(base), 3);
  const reader = await openTape(scrubbed, { storage, readOnly: true });
  onTestFinished(() => reader.close());
  const scan = reader.scan();
  await scan.next();
  for (const directory of storage) for (const file of filesOf(directory, /\.ttseg$/)) rmSync(file);
  const error = await errorOf(async () => {
    for await (const batch of scan) expect(batch.length).toBe(20);
  });
  expect(error).toMatchObject({ code: 'BLOCK_DAMAGED', message: expect.stringContaining('gone') });
});

test('a repair after another process retired a storage node: what is not given any more is not read', async () => {
  const storage = storageOf(copyOf(base), 3);
  await repairTape({ storage, retire: [storage[2]] });
  const reader = await openTape(scrubbed, { storage: storage.slice(0, 2), readOnly: true });
  onTestFinished(() => reader.close());
  expect(await reader.verify()).toMatchObject({
    blocks: BLOCKS,
    redundancy: 2,
    underReplicated: 0,
    missingStorageNodes: [],
  });
});
