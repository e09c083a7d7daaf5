import { copyFileSync, cpSync, existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { runtime } from 'ticktape/runtime';
import { describe, expect, test } from 'vitest';
import type { BlockHeader } from '../../dist/src/block/header.js';
import { readSymbols } from '../../dist/src/journal/journal.js';
import { planRecovery, recover } from '../../dist/src/journal/recovery.js';
import { resolveOptions } from '../../dist/src/options.js';
import { Catalog } from '../../dist/src/segment/catalog.js';
import { DirectoryStorageNode } from '../../dist/src/storage/directory.js';
import { writeTapeFile } from '../../dist/src/storage/identity.js';
import { Replicator } from '../../dist/src/storage/replicator.js';
import type { StorageNode, StoredCopy } from '../../dist/src/storage/storage-node.js';
import { survey } from '../../dist/src/storage/survey.js';
import { zstd } from '../helpers/blocks.js';
import {
  edit,
  expectRedundant,
  forgetRelease,
  LiveTape,
  laneFiles,
  numbersByLane,
  SMALL,
  storageOf,
  trade,
  upTo,
} from '../helpers/crashed.js';
import { copyOf, filesOf, snapshot } from '../helpers/scratch.js';
import { reopen } from '../helpers/tape.js';

const CAPACITY = 40;
const NODES = 2;

/** A storage node of a process that is killed at one of its writes, whole or torn; nothing goes to any disk after that. */
class Mortal implements StorageNode {
  readonly name: string;
  readonly #node: DirectoryStorageNode;
  readonly #fate: { writes: number; torn: boolean };

  constructor(node: DirectoryStorageNode, fate: { writes: number; torn: boolean }) {
    this.name = node.name;
    this.#node = node;
    this.#fate = fate;
  }

  async write(header: BlockHeader, bytes: Uint8Array): Promise<StoredCopy> {
    if (this.#fate.writes-- > 0) return this.#node.write(header, bytes);
    if (this.#fate.writes === -1 && this.#fate.torn) {
      const torn = bytes.slice();
      torn.fill(0, header.chunks[1].offset);
      const copy = await this.#node.write(header, torn);
      await copy.commit();
    }
    throw Object.assign(new Error('killed'), { code: 'EIO', syscall: 'write' });
  }

  async sync(): Promise<void> {}
  async close(): Promise<void> {}
}

/** Recovery as opening a tape does it, up to the write at which its process is killed. Answers whether it got to its end. */
async function recoverUntil(root: string, writes: number, torn: boolean): Promise<boolean> {
  const storage = storageOf(root, NODES);
  const options = resolveOptions({ storage, capacity: CAPACITY, ...SMALL });
  const { directories, journal, tape, tapeId } = survey(runtime.files, storage, undefined);
  const catalog = new Catalog(runtime.files, directories);
  const input = {
    runtime,
    schema: trade,
    tapeId: tapeId!,
    journal,
    catalog,
    symbols: readSymbols(runtime.files, journal, tapeId!),
    zstd,
    options,
  };
  const plan = planRecovery(input);
  const epoch = tape!.epoch + 1;
  writeTapeFile(runtime.files, journal, { tapeId: tapeId!, epoch, schema: trade });
  const fate = { writes, torn };
  const session = { tapeId: tapeId!, schema: trade, epoch, segmentBytes: 1024 ** 2, segmentMaxAgeMs: 1e9 };
  const nodes = directories.map(
    (directory, ordinal) => new Mortal(new DirectoryStorageNode(directory, runtime, { ...session, ordinal }), fate),
  );
  const replicator = new Replicator(nodes, {
    redundancy: NODES,
    degraded: 'stop',
    durable: true,
    writeTimeoutMs: 10_000,
    random: Math.random,
    nowMs: runtime.nowMs,
    onTrouble() {},
  });
  return await recover(input, plan, replicator, epoch).then(
    () => true,
    () => false,
  );
}

/** A crashed tape with all that there is to do: blocks too few and torn, lanes half sealed and wholly unsealed. */
async function crashed(): Promise<string> {
  const live = await LiveTape.open({ lanes: 3, capacity: CAPACITY });
  live.append(100);
  await live.tape.flush();
  live.append(25);
  const root = live.copy();
  forgetRelease(root);
  // The second storage node lost the start of its first block.
  const [, second] = filesOf(root, /\.ttseg$/);
  edit(second, (bytes) => bytes.fill(0, 4096, 4096 + 200));
  return root;
}

const LANES = [upTo(42), upTo(42), upTo(41)];

async function expectWhole(root: string): Promise<void> {
  const storage = storageOf(root, NODES);
  await reopen(trade, { storage, capacity: CAPACITY, ...SMALL });
  expect(await numbersByLane(storage)).toEqual(LANES);
  await expectRedundant(storage, NODES);
  expect(laneFiles(root)).toEqual([]);
}

describe.each([
  ['whole', false],
  ['torn', true],
])('recovery killed at any of its writes, that one %s', (_, torn) => {
  test('and run again ends the same', async () => {
    const base = await crashed();
    let interruptions = 0;
    for (let writes = 0; ; writes++) {
      const root = copyOf(base);
      const done = await recoverUntil(root, writes, torn);
      if (!done) {
        interruptions++;
        // Twice in a row, at another write.
        if (writes % 2 === 1) await recoverUntil(root, writes - 1, !torn);
      }
      await expectWhole(root);
      if (done) break;
    }
    // A copy of one block, and two copies of that of 25 records.
    expect(interruptions).toBe(3);
  });
});

test('killed while it closes segments and removes lanes, and run again, ends the same', async () => {
  const base = await crashed();
  const done = copyOf(base);
  expect(await recoverUntil(done, 1000, false)).toBe(true);
  const segments = filesOf(base, /\.ttseg$/).map((file) => path.relative(base, file));
  const lanes = laneFiles(base).map((file) => path.relative(base, file));
  expect([segments.length, lanes.length]).toEqual([2, 3]);
  // What was not yet done, first to last: of the segments none, one, all closed; then of the lanes none, some removed.
  const stages = [[...segments, ...lanes], [segments[1], ...lanes], lanes, lanes.slice(1), lanes.slice(2)];
  for (const undone of stages) {
    const root = copyOf(done);
    for (const name of undone) copyFileSync(path.join(base, name), path.join(root, name));
    await expectWhole(root);
  }
});

test('a storage node that fails stops recovery with what it says, and what there was is recovered later', async () => {
  const base = await crashed();
  const root = copyOf(base);
  const storage = storageOf(root, NODES);
  // A directory in the place of the segment that would be made next: not to be renamed over.
  const blocked = path.join(root, 'd1', 'segment-00000002.ttseg.tmp');
  cpSync(path.join(root, 'd0', 'journal'), blocked, { recursive: true });
  const error = await reopen(trade, { storage, capacity: CAPACITY, degraded: 'stop', onWarning() {}, ...SMALL }).catch(
    (thrown) => thrown,
  );
  expect(error).toMatchObject({ name: 'TapeError', storageNode: storage[1] });
  expect(error.message).toContain('1 of 2 storage nodes');
  expect(laneFiles(root).length).toBe(3);
  rmSync(blocked, { recursive: true });
  await expectWhole(root);
});

test('opening once more changes nothing', async () => {
  const root = await crashed();
  const storage = storageOf(root, NODES);
  const first = await reopen(trade, { storage, capacity: CAPACITY, ...SMALL });
  expect(first).toEqual({
    lanes: 3,
    records: 25,
    damagedBytes: 0,
    openBlocks: 3,
    tornCopies: 0,
    copiesMade: 1,
    missingRecords: 0,
  });
  // The epoch in tape.json and storage-node.json counts the openings, the symbol table is made anew each time, and the lock says
  // who held it.
  const except = /tape\.json|storage-node\.json|symbols\.ttsym|lock$/;
  const before = snapshot(root, { times: true, except });
  const second = await reopen(trade, { storage, capacity: CAPACITY, ...SMALL });
  expect(second).toEqual({
    lanes: 0,
    records: 0,
    damagedBytes: 0,
    openBlocks: 0,
    tornCopies: 0,
    copiesMade: 0,
    missingRecords: 0,
  });
  const after = snapshot(root, { times: true, except });
  const journal = path.join('d0', 'journal');
  const written = { d0: '', d1: '', [journal]: '' };
  expect({ ...after, ...written }).toEqual({ ...before, ...written });
  expect(existsSync(path.join(root, journal, 'tape.json'))).toBe(true);
  expect(await numbersByLane(storage)).toEqual(LANES);
});

test('sessions that follow on each other, each killed, keep all of all of them in order', async () => {
  let root = (await LiveTape.open()).copy();
  const expected: number[] = [];
  for (let session = 0; session < 4; session++) {
    const live = await LiveTape.open({ root, capacity: CAPACITY });
    live.append(60 + session);
    if (session % 2 === 1) await live.tape.flush();
    expected.push(...upTo(60 + session));
    root = live.copy();
  }
  const storage = storageOf(root, NODES);
  await reopen(trade, { storage, ...SMALL });
  expect(await numbersByLane(storage)).toEqual([expected]);
});
