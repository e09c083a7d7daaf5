import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { defineSchema, openTape, readSchema, symbol, TapeError, timestamp, u32 } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { describe, expect, test } from 'vitest';
import { segmentName } from '../../dist/src/segment/catalog.js';
import { claimDirectories, restoreIds, type Survey, survey } from '../../dist/src/storage/survey.js';
import { TAPE_ID } from '../helpers/bench.js';
import { flips } from '../helpers/bits.js';
import { MemoryFiles } from '../helpers/memory-files.js';
import { lastingScratch } from '../helpers/scratch.js';
import { errorOf, readAll } from '../helpers/tape.js';

// tape.json and storage-node.json with each of their bits changed in turn: the others say what they said.

const schema = defineSchema('trade', timestamp('ts'), symbol('s'), u32('n'));
const RESERVED = 2n ** 48n;

describe.each([1, 2])('of a tape with %i storage nodes', (nodes) => {
  const files = new MemoryFiles();
  const storage = Array.from({ length: nodes }, (_, i) => `/d${i}`);
  for (const given of [100n + RESERVED, 100n]) {
    // As it is after a session: the journal knows how many sequences were given.
    const found = survey(files, storage, undefined);
    const session = { tapeId: TAPE_ID, schema, epoch: 3 };
    claimDirectories(files, found, session, {
      lost: [],
      nextSequence: given,
      unclosedFrom: given > RESERVED ? 100n : null,
      skipped: [{ from: 5n, to: 9n }],
      redundancy: nodes,
      firstSequence: 0n,
    });
  }
  const names = ['/d0/journal/tape.json', ...storage.map((directory) => `${directory}/storage-node.json`)];
  const whole = survey(files, storage, undefined);
  const told = ({ tapeId, journal, ids, roster }: Survey) => ({ tapeId, journal, ids, roster });

  test.each(names)('%s: each bit', (name) => {
    const original = files.readFile(name);
    const counts = { bits: 0, restored: 0, unchanged: 0 };
    for (const { at, bytes } of flips(original)) {
      counts.bits++;
      files.set(name, bytes);
      const found = restoreIds(survey(files, storage, undefined));
      expect(told(found), `byte ${at}`).toEqual(told(whole));
      if (found.damaged.length === 0) {
        counts.unchanged++;
        expect(found.tape).toEqual(whole.tape);
      } else {
        counts.restored++;
        expect(found.damaged.map(({ code, path: file }) => [code, file])).toEqual([['CORRUPT', name]]);
        expect(found.tape).toEqual(name.endsWith('tape.json') ? null : whole.tape);
      }
    }
    files.set(name, original);
    expect(counts.bits).toBe(8 * original.length);
    // What is left: the line's end turned into another space, and the word "checksum", without which there is none.
    expect(counts.unchanged).toBeLessThan(80);
  });

  test('each of them cut anywhere', () => {
    for (const name of names) {
      const original = files.readFile(name);
      for (let length = 0; length < original.length - 1; length++) {
        files.set(name, original.subarray(0, length));
        expect(told(restoreIds(survey(files, storage, undefined)))).toEqual(told(whole));
      }
      files.set(name, original);
    }
  });

  test('all of them damaged: an error that names one', () => {
    const originals = names.map((name) => files.readFile(name));
    for (const name of names) files.set(name, new Uint8Array(10));
    expect(() => survey(files, storage, undefined)).toThrow(
      expect.objectContaining({ code: 'CORRUPT', path: names[0] }),
    );
    for (const [i, name] of names.entries()) files.set(name, originals[i]);
  });

  test('storage-node.json of a directory that was moved: it can be read, and not written', () => {
    const moved = new MemoryFiles();
    for (const name of names) moved.set(`/moved${name}`, files.readFile(name));
    const [first] = storage;
    moved.set(`/moved${first}/storage-node.json`, new Uint8Array(10));
    const found = survey(
      moved,
      storage.map((directory) => `/moved${directory}`),
      undefined,
    );
    expect(found).toMatchObject({ tapeId: whole.tapeId, roster: whole.roster });
    expect(() => restoreIds(found)).toThrow(
      expect.objectContaining({ code: 'CORRUPT', path: `/moved${first}/storage-node.json` }),
    );
  });
});

describe('opened', () => {
  const lasting = lastingScratch();
  const [root, backup] = [path.join(lasting, 'tape'), path.join(lasting, 'backup')];
  const storage = [path.join(root, 'd0'), path.join(root, 'd1')];
  const names = [
    path.join('d0', 'journal', 'tape.json'),
    path.join('d0', 'storage-node.json'),
    path.join('d1', 'storage-node.json'),
  ];
  const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
  const numbers = async () => (await readAll(schema, storage)).map(({ n }) => n);
  const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 100, laneBytes: 65_536, flushIntervalMs: 0, syncIntervalMs: 0 };

  async function append(from: number, to: number, onWarning: (message: string) => void = () => {}) {
    const tape = await openTape(schema, { storage, ...SMALL, onWarning });
    for (let n = from; n < to; n++) tape.append(BigInt(n), `S${n % 3}`, n);
    return tape;
  }

  test('for reading and for writing, with a bit of every fourth byte of each changed: the right data, and the file is written anew', async () => {
    const live = await append(0, 20);
    await live.flush();
    await live.close();
    const again = await append(20, 30);
    await again.flush();
    // As a killed session leaves it, with a lane.
    cpSync(root, backup, { recursive: true });
    await again.close();
    for (const name of names) {
      const original = readFileSync(path.join(backup, name));
      for (const { at, bit, bytes } of flips(original)) {
        if (at % 4 !== 0 || (at >> 2) % 8 !== bit) continue;
        rmSync(root, { recursive: true });
        cpSync(backup, root, { recursive: true });
        const file = path.join(root, name);
        writeFileSync(file, bytes);
        expect(await numbers()).toEqual(upTo(30));
        if (at % 48 !== 0) continue;
        expect(readSchema(storage).json).toBe(schema.json);
        const warnings: string[] = [];
        const tape = await append(30, 35, (message) => warnings.push(message));
        await tape.close();
        expect(warnings.every((message) => message.includes(file))).toBe(true);
        expect(await numbers()).toEqual(upTo(35));
        const { damaged, roster } = survey(runtime.files, storage, undefined);
        expect(damaged).toEqual([]);
        expect(roster).toMatchObject({ epoch: 3, nextSequence: 35n });
      }
    }
  }, 300_000);

  test('with another schema, tape.json damaged: refused, as the segments say so', async () => {
    rmSync(root, { recursive: true, force: true });
    cpSync(backup, root, { recursive: true });
    const tapeFile = path.join(root, names[0]);
    writeFileSync(tapeFile, '{');
    const other = defineSchema('trade', timestamp('ts'), u32('n'));
    for (const open of [
      () => openTape(other, { storage, ...SMALL }),
      () => openTape(other, { storage, readOnly: true }),
    ]) {
      const error = await errorOf(open);
      expect(error).toBeInstanceOf(TapeError);
      expect(error.code).toBe('SCHEMA_MISMATCH');
    }
    // Nor do their headers: their blocks do.
    for (const directory of storage) {
      for (const number of [1, 2]) {
        const file = path.join(directory, segmentName(number));
        const bytes = readFileSync(file);
        writeFileSync(file, bytes.fill(0, 0, 100));
      }
    }
    for (const open of [
      () => openTape(other, { storage, ...SMALL }),
      () => openTape(other, { storage, readOnly: true }),
    ]) {
      expect(await errorOf(open)).toMatchObject({
        code: 'SCHEMA_MISMATCH',
        message: expect.stringContaining('another'),
      });
    }
    expect(readFileSync(tapeFile, 'utf8')).toBe('{');
  });
});
