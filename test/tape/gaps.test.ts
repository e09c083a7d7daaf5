import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { defineSchema, type Gap, openTape, timestamp, u32 } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { describe, expect, test } from 'vitest';
import type { OpenMode } from '../../dist/src/files.js';
import { GapLog, NOT_RECORDING } from '../../dist/src/gap-log.js';
import { encodeGapsHeader, GAP_ENTRY_BYTES, GAPS_FILE, readGaps } from '../../dist/src/gaps.js';
import { TAPE_ID } from '../helpers/bench.js';
import { flips } from '../helpers/bits.js';
import { MemoryFiles, systemError } from '../helpers/memory-files.js';
import { MortalFiles } from '../helpers/mortal-files.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf } from '../helpers/tape.js';

const plain = (gaps: readonly Gap[]) => gaps.map((gap) => ({ ...gap }));
const gap = (n: number, toNs: bigint | null = null, reason = `reason ${n}`) => ({
  collector: n,
  name: `collector ${n}`,
  fromNs: BigInt(100 + n),
  toNs,
  reason,
});

function logOn(
  files: ConstructorParameters<typeof GapLog>[0]['files'],
  directories: string[],
  warnings: string[] = [],
) {
  const onWarning = (message: string) => void warnings.push(message);
  const log = new GapLog({ files, directories, tapeId: TAPE_ID, epoch: 3, durable: true, onWarning });
  log.restore();
  return log;
}

/** Files with a few gaps: one that lasts, one of all collectors, and one that has ended by an entry of its own. */
function fewGaps(directories: string[]) {
  const files = new MemoryFiles();
  const log = logOn(files, directories);
  log.add(gap(1));
  const ended = log.add(gap(2));
  log.add({ ...gap(0, 900n), collector: null, name: '' });
  log.end(ended, 500n);
  const all = plain(readGaps(files, directories, TAPE_ID));
  expect(all).toEqual([{ ...gap(0, 900n), collector: null, name: '' }, gap(1), gap(2, 500n)]);
  expect(plain(log.list())).toEqual(all);
  return { files, all };
}

describe('a gaps file that is damaged', () => {
  const directories = ['/d0', '/d1'];
  const file = '/d0/gaps.ttgap';
  const { files, all } = fewGaps(directories);
  const original = files.readFile(file);

  /** What one copy alone says is some of what there is: at most without the end of a gap. */
  function expectSome(found: unknown[]): void {
    for (const one of found) expect([...all, gap(2)]).toContainEqual(one);
  }

  function expectMadeGood(): void {
    const warnings: string[] = [];
    const log = logOn(files, directories, warnings);
    expect(plain(log.list())).toEqual(all);
    expect(warnings.every((message) => message.includes(file))).toBe(true);
    expect(plain(readGaps(files, ['/d0'], TAPE_ID))).toEqual(all);
  }

  test.each(['whole', 'cut'])(
    '%s: every bit, and every length: no gap is invented, and none is lost that another has',
    (how) => {
      const damaged = how === 'whole' ? flips(original) : cuts(original);
      let fewer = 0;
      let count = 0;
      for (const { bytes } of damaged) {
        files.set(file, bytes.slice());
        const alone = plain(readGaps(files, ['/d0'], TAPE_ID));
        expectSome(alone);
        if (JSON.stringify(alone, big) !== JSON.stringify(all, big)) fewer++;
        expect(plain(readGaps(files, directories, TAPE_ID))).toEqual(all);
        if (count++ % 97 === 0) expectMadeGood();
      }
      files.set(file, original);
      // A bit of the header costs no gap, nor does one of the entry that another holds for; any other costs the gap.
      const entries = original.length - 64 - GAP_ENTRY_BYTES;
      expect(fewer).toBe(how === 'whole' ? 8 * entries : count);
    },
  );

  test('gone: made anew', () => {
    files.remove(file);
    expectMadeGood();
  });

  test('that says a length, or holds bytes that nobody wrote: no more than what was written', () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(100_000), new Uint8Array(1_000_001).fill(255)]) {
      files.set(file, bytes);
      expect(readGaps(files, ['/d0'], TAPE_ID)).toEqual([]);
      expectMadeGood();
    }
  });
});

const big = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);

function* cuts(bytes: Uint8Array) {
  for (let length = 0; length < bytes.length; length++) yield { bytes: bytes.subarray(0, length) };
}

test('entries that were written half before a kill are no gaps, and nothing is lost by them', () => {
  for (let changes = 0; ; changes++) {
    const root = scratch();
    const directories = [root];
    const files = new MortalFiles(changes);
    const told: bigint[] = [];
    try {
      const log = logOn(files, directories, []);
      for (let n = 1; n < 4; n++) {
        log.add(gap(n, 500n));
        if (!files.died) told.push(BigInt(100 + n));
      }
    } catch {
      expect(files.died).toBe(true);
    }
    const found = readGaps(runtime.files, directories, TAPE_ID).map(({ fromNs }) => fromNs);
    expect(found.slice(0, told.length)).toEqual(told);
    expect([101n, 102n, 103n].slice(0, found.length)).toEqual(found);
    if (!files.died) break;
    expect(changes).toBeLessThan(100);
  }
});

test('a storage node that fails gets its gaps once it is back, with one warning', () => {
  let away = false;
  class FailingFiles extends MemoryFiles {
    override open(file: string, mode: OpenMode) {
      if (away && file.startsWith('/d1')) throw systemError('EIO', file);
      return super.open(file, mode);
    }
  }
  const files = new FailingFiles();
  const warnings: string[] = [];
  const log = logOn(files, ['/d0', '/d1'], warnings);
  log.add(gap(1));
  away = true;
  log.add(gap(2));
  log.add(gap(3));
  expect(warnings.length).toBe(1);
  expect(warnings[0]).toContain('/d1/gaps.ttgap');
  expect(readGaps(files, ['/d0'], TAPE_ID).length).toBe(3);
  away = false;
  expect(readGaps(files, ['/d1'], TAPE_ID).length).toBe(1);
  log.add(gap(4));
  expect(readGaps(files, ['/d1'], TAPE_ID)).toEqual(log.list());
});

test('names and reasons are cut to whole characters; the end of a gap is never before it began', () => {
  const files = new MemoryFiles();
  const log = logOn(files, ['/d0']);
  const id = log.add({ ...gap(1), name: 'é'.repeat(100), reason: '€'.repeat(1000) });
  log.end(id, 5n);
  log.end(id, 5000n);
  const [found] = readGaps(files, ['/d0'], TAPE_ID);
  expect(plain([found])).toEqual([{ ...gap(1, 101n), name: 'é'.repeat(24), reason: '€'.repeat(56) }]);
});

test('a file of another tape, or of a newer format, is neither read nor written over', async () => {
  const files = new MemoryFiles();
  const file = '/d0/gaps.ttgap';
  const other = encodeGapsHeader(TAPE_ID.map((byte) => byte ^ 1));
  files.set(file, other);
  expect(await errorOf(() => readGaps(files, ['/d0'], TAPE_ID))).toMatchObject({ code: 'FOREIGN', path: file });
  expect(await errorOf(() => logOn(files, ['/d0', '/d1']))).toMatchObject({ code: 'FOREIGN', path: file });
  expect(files.readFile(file)).toEqual(other);
});

describe('of a tape', () => {
  const schema = defineSchema('trade', timestamp('ts'), u32('n'));
  const small = { segmentBytes: 1024 ** 2, laneBytes: 65_536, maxSymbols: 100 };

  test('every storage node has all of them, also one that comes later and those that are left', async () => {
    const root = scratch();
    const storage = ['d0', 'd1', 'd2'].map((name) => path.join(root, name));
    const tape = await openTape(schema, { storage: storage.slice(0, 2), ...small });
    expect(tape.gaps()).toEqual([]);
    const { end } = tape.gap({ collector: 3, name: 'btc', reason: 'disconnected', fromNs: 10n });
    tape.gap({ reason: 'by hand', fromNs: 5n, toNs: 8n }).end();
    expect(plain(tape.gaps())).toEqual([
      { collector: null, name: '', fromNs: 5n, toNs: 8n, reason: 'by hand' },
      { collector: 3, name: 'btc', fromNs: 10n, toNs: null, reason: 'disconnected' },
    ]);
    const before = tape.now();
    end();
    end();
    const { toNs } = tape.gaps()[1];
    expect(toNs).toBeGreaterThanOrEqual(before);
    expect(toNs).toBeLessThanOrEqual(tape.now());
    const all = tape.gaps();
    await tape.close();

    rmSync(path.join(storage[0], GAPS_FILE));
    const warnings: string[] = [];
    const again = await openTape(schema, { storage, ...small, onWarning: (message) => warnings.push(message) });
    expect(again.gaps()).toEqual(all);
    expect(warnings).toEqual([]);
    await again.close();
    const { tapeId } = JSON.parse(readFileSync(path.join(storage[1], 'storage-node.json'), 'utf8'));
    const id = new Uint8Array(Buffer.from(tapeId, 'hex'));
    for (const directory of storage) expect(readGaps(runtime.files, [directory], id)).toEqual(all);
  });

  test('a damaged file is written anew at the next open, which says so; a foreign one stops it', async () => {
    const root = scratch();
    const storage = ['d0', 'd1'].map((name) => path.join(root, name));
    const tape = await openTape(schema, { storage, ...small });
    tape.gap({ reason: 'x', fromNs: 1n, toNs: 2n });
    await tape.close();
    const file = path.join(storage[1], GAPS_FILE);
    const original = readFileSync(file);
    const bytes = Uint8Array.from(original);
    bytes[bytes.length - GAP_ENTRY_BYTES + 100] ^= 4;
    writeFileSync(file, bytes);
    const warnings: string[] = [];
    const again = await openTape(schema, { storage, ...small, onWarning: (message) => warnings.push(message) });
    expect(warnings).toEqual([expect.stringContaining(`${file}: was damaged`)]);
    expect(again.gaps().length).toBe(1);
    await again.close();
    expect(readFileSync(file)).toEqual(original);
    writeFileSync(file, encodeGapsHeader(TAPE_ID));
    expect(await errorOf(() => openTape(schema, { storage, ...small }))).toMatchObject({ code: 'FOREIGN', path: file });
  });

  test('a gap of a tape that is closed: CLOSED', async () => {
    const tape = await openTape(schema, { storage: [scratch()], ...small });
    for (const bad of [{ collector: -1 }, { name: 5 }, { reason: null }, { fromNs: 5 }, { fromNs: 9n, toNs: 8n }]) {
      const error = await errorOf(() => tape.gap({ reason: 'x', ...bad } as never));
      expect(error).toMatchObject({ code: 'BAD_OPTION', message: expect.stringContaining(Object.keys(bad).at(-1)!) });
    }
    const { end } = tape.gap({ reason: 'lasts' });
    await tape.close();
    expect(await errorOf(() => end())).toMatchObject({ code: 'CLOSED' });
    expect(await errorOf(() => tape.gap({ reason: NOT_RECORDING }))).toMatchObject({ code: 'CLOSED' });
  });
});
