import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { decimal, defineSchema, openTape, symbol, type TapeReader, text, timestamp, u32 } from 'ticktape';
import { describe, expect, onTestFinished, test } from 'vitest';
import { segmentName } from '../../dist/src/segment/catalog.js';
import { copyOf, lastingScratch } from '../helpers/scratch.js';
import { withReader } from '../helpers/segments.js';
import { errorOf, recordsOf } from '../helpers/tape.js';

const schema = defineSchema('trade', timestamp('ts'), symbol('s'), decimal('price', 2), u32('n'), text('note'));
type Fields = (typeof schema)['fields'];
const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 100, laneBytes: 65_536, flushIntervalMs: 0 };

const lasting = lastingScratch();
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

/** 100 records in blocks of 20, each block on `redundancy` of the storage nodes, always the same ones. */
async function makeTape(nodes: number, redundancy: number): Promise<string> {
  const root = path.join(lasting, `${nodes}-${redundancy}`);
  const storage = upTo(nodes).map((i) => path.join(root, `d${i}`));
  const tape = await openTape(schema, { storage, redundancy, ...SMALL, capacity: 20, compression: 'off' });
  for (const n of upTo(100)) tape.append(BigInt(n), `S${n % 3}`, n / 100, n, `note ${n}`);
  await tape.close();
  return root;
}

const roots = { twice: await makeTape(2, 2), once: await makeTape(1, 1) };
const storageOf = (root: string, nodes: number) => upTo(nodes).map((i) => path.join(root, `d${i}`));

async function read(storage: readonly string[]): Promise<TapeReader<Fields>> {
  const reader = await openTape(schema, { storage, readOnly: true });
  onTestFinished(() => reader.close());
  return reader;
}

const segment = (root: string, node: number) => path.join(root, `d${node}`, segmentName(1));
const blocksIn = (file: string) => withReader(file, (reader) => [...reader.walk(4096, true)]);

/** Changes a byte of the chunk of a field, in block `index`. */
function damage(file: string, index: number, field: number): { block: bigint; path: string; offset: number } {
  const { offset, header } = blocksIn(file)[index];
  const chunk = header.chunks.find((entry) => entry.field === field)!;
  const bytes = readFileSync(file);
  bytes[offset + chunk.offset + 1] ^= 0x40;
  writeFileSync(file, bytes);
  return { block: header.sequence, path: file, offset };
}

test('a tape that is whole', async () => {
  const reader = await read(storageOf(roots.twice, 2));
  expect((await recordsOf(reader)).map(({ n }) => n)).toEqual(upTo(100));
  expect(reader.damage).toEqual([]);
  const seen: [number, number][] = [];
  const verdict = await reader.verify({ redundancy: 2, onProgress: (done, total) => seen.push([done, total]) });
  expect(verdict).toEqual({
    redundancy: 2,
    missingStorageNodes: [],
    blocks: 5,
    copies: 10,
    bytes: 2 * blocksIn(segment(roots.twice, 0)).reduce((sum, { header }) => sum + header.blockBytes, 0),
    damaged: [],
    missing: [],
    underReplicated: 0,
    lost: 0,
    surplus: 0,
    damagedSegments: [],
  });
  expect(seen).toEqual([1, 2, 3, 4, 5].map((done) => [done, 5]));
  expect((await reader.verify({ redundancy: 3 })).underReplicated).toBe(5);
});

describe('a byte changed in a block of which there are two copies', () => {
  test.each([0, 1])('on storage node %i: it is read from the other copy, and reported once', async (node) => {
    const root = copyOf(roots.twice);
    const damaged = damage(segment(root, node), 2, 3);
    const reader = await read(storageOf(root, 2));
    for (let i = 0; i < 2; i++) expect((await recordsOf(reader)).map(({ n }) => n)).toEqual(upTo(100));
    const verdict = await reader.verify({ redundancy: 2 });
    expect(verdict).toMatchObject({
      blocks: 5,
      copies: 9,
      damaged: [{ ...damaged, reason: expect.stringContaining('checksum') }],
      missing: [],
      underReplicated: 1,
      damagedSegments: [],
    });
    // Of the other one scans read nothing; verify does.
    expect(reader.damage).toEqual([{ ...damaged, reason: expect.stringContaining('checksum') }]);
  });

  test('on both of them: BLOCK_DAMAGED, with what was read before it', async () => {
    const root = copyOf(roots.twice);
    const places = [damage(segment(root, 0), 3, 3), damage(segment(root, 1), 3, 1)];
    const reader = await read(storageOf(root, 2));
    const found: number[] = [];
    const error = await errorOf(async () => {
      for await (const { columns } of reader.scan()) found.push(...columns.n);
    });
    expect(error).toMatchObject({ name: 'TapeError', code: 'BLOCK_DAMAGED', block: 60n });
    for (const place of places) expect(error.message).toContain(place.path);
    expect(found).toEqual(upTo(60));
    expect(reader.damage.map(({ path: file, offset }) => ({ path: file, offset }))).toEqual(
      places.map(({ path: file, offset }) => ({ path: file, offset })),
    );
    // Of what is not in that block all can be read.
    const others: number[] = [];
    for await (const { columns } of reader.scan({ from: 80n })) others.push(...columns.n);
    expect(others).toEqual(upTo(100).slice(80));
  });

  test('in a column that nobody asks for: not noticed, as it is not read', async () => {
    const root = copyOf(roots.once);
    damage(segment(root, 0), 0, 4);
    const reader = await read(storageOf(root, 1));
    const found: number[] = [];
    for await (const { columns } of reader.scan({ columns: ['n'] })) found.push(...columns.n);
    expect(found).toEqual(upTo(100));
    expect(reader.damage).toEqual([]);
    expect(await errorOf(() => recordsOf(reader))).toMatchObject({ code: 'BLOCK_DAMAGED', block: 0n });
  });
});

test('a byte changed in the only copy: BLOCK_DAMAGED, naming the block', async () => {
  const root = copyOf(roots.once);
  const { block } = damage(segment(root, 0), 2, 0);
  const reader = await read(storageOf(root, 1));
  expect(await errorOf(() => recordsOf(reader))).toMatchObject({ name: 'TapeError', code: 'BLOCK_DAMAGED', block });
  expect(await reader.verify()).toMatchObject({ blocks: 5, copies: 4, underReplicated: 1 });
});

test('a byte changed in the header of a block: the same, as its footer says what should lie there', async () => {
  const root = copyOf(roots.twice);
  const file = segment(root, 0);
  const { offset } = blocksIn(file)[1];
  const bytes = readFileSync(file);
  bytes[offset + 41] ^= 1;
  writeFileSync(file, bytes);
  const reader = await read(storageOf(root, 2));
  expect((await recordsOf(reader)).map(({ n }) => n)).toEqual(upTo(100));
  expect(reader.damage).toMatchObject([{ block: 20n, path: file, offset }]);
});

describe('what is missing', () => {
  test('on one storage node is read from the other', async () => {
    const root = copyOf(roots.twice);
    rmSync(segment(root, 1));
    const reader = await read(storageOf(root, 2));
    expect((await recordsOf(reader)).map(({ n }) => n)).toEqual(upTo(100));
    expect(await reader.verify({ redundancy: 2 })).toMatchObject({ blocks: 5, copies: 5, underReplicated: 5 });
    const single = await read(storageOf(root, 1));
    expect((await recordsOf(single)).length).toBe(100);
  });

  test('on both of them, with records behind it: BLOCK_MISSING', async () => {
    const root = copyOf(roots.twice);
    const storage = storageOf(root, 2);
    // A second segment on each, of a second session.
    const tape = await openTape(schema, { storage, ...SMALL });
    tape.append(100n, 'S1', 1, 100, '');
    await tape.close();
    for (const node of [0, 1]) rmSync(segment(root, node));
    const reader = await read(storage);
    const error = await errorOf(() => recordsOf(reader));
    expect(error).toMatchObject({ name: 'TapeError', code: 'BLOCK_MISSING', block: 0n });
    expect(error.message).toContain('0 to 99');
    expect((await reader.verify({ redundancy: 2 })).missing).toEqual([{ from: 0n, to: 100n }]);
    // And it is back when they are.
    cpSync(segment(roots.twice, 1), segment(root, 1));
    expect((await recordsOf(reader)).length).toBe(101);
  });

  test('while a reader has it open', async () => {
    const root = copyOf(roots.twice);
    const reader = await read(storageOf(root, 2));
    expect((await recordsOf(reader)).length).toBe(100);
    rmSync(segment(root, 0));
    expect((await recordsOf(reader)).length).toBe(100);
    const scan = reader.scan();
    await scan.next();
    rmSync(segment(root, 1));
    // What is open stays readable.
    let left = 20;
    for await (const batch of scan) left += batch.length;
    expect(left).toBe(100);
  });
});

describe('a segment whose header is damaged', () => {
  const warned = async (root: string, nodes: number, n: number) => {
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    const tape = await openTape(schema, { storage: storageOf(root, nodes), ...SMALL, onWarning });
    tape.append(BigInt(n), 'S1', 1, n, '');
    await tape.close();
    return warnings;
  };

  test.each([
    [1, 'once'],
    [2, 'twice'],
  ] as const)(
    'with %i copies of each block: all is read, verified and written on; it is left as it is',
    async (nodes, name) => {
      const root = copyOf(roots[name]);
      const file = segment(root, 0);
      const bytes = readFileSync(file);
      bytes.fill(0, 0, 4096);
      writeFileSync(file, bytes);
      const reader = await read(storageOf(root, nodes));
      expect((await recordsOf(reader)).map(({ n }) => n)).toEqual(upTo(100));
      expect(await reader.verify({ redundancy: nodes })).toMatchObject({
        copies: 5 * nodes,
        damaged: [],
        underReplicated: 0,
        damagedSegments: [{ path: file, reason: expect.stringContaining('does not begin as a segment') }],
      });
      const warnings = await warned(root, nodes, 100);
      expect(warnings).toEqual([expect.stringContaining(file)]);
      expect(Buffer.compare(readFileSync(file), bytes)).toBe(0);
      const again = await read(storageOf(root, nodes));
      expect((await recordsOf(again)).map(({ n }) => n)).toEqual(upTo(101));
    },
  );

  test('of which nothing is left: sequences that it may have held are not given again', async () => {
    const root = copyOf(roots.once);
    const file = segment(root, 0);
    const original = readFileSync(file);
    writeFileSync(file, 'gone');
    const warnings = await warned(root, 1, 100);
    expect(warnings.length).toBe(2);
    expect(warnings[0]).toContain('sequences go on at 100');
    const reader = await read(storageOf(root, 1));
    expect((await recordsOf(reader)).map(({ n }) => n)).toEqual([100]);
    expect((await reader.verify()).damagedSegments.map((found) => found.path)).toEqual([file]);
    // And if it comes back, nothing is in its way.
    writeFileSync(file, original);
    expect((await recordsOf(await read(storageOf(root, 1)))).map(({ n }) => n)).toEqual(upTo(101));
  });

  test('in each segment, where nothing else tells of epochs: none comes back', async () => {
    const root = copyOf(roots.once);
    for (const n of [100, 101]) await warned(root, 1, n);
    const [directory] = storageOf(root, 1);
    const file = path.join(directory, 'storage-node.json');
    const { roster: _, checksum: __, ...before } = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify(before));
    rmSync(path.join(directory, 'journal', 'tape.json'));
    for (const number of [1, 2, 3]) {
      const damaged = path.join(directory, segmentName(number));
      const bytes = readFileSync(damaged);
      bytes[20] ^= 1;
      writeFileSync(damaged, bytes);
    }
    await warned(root, 1, 102);
    expect(JSON.parse(readFileSync(path.join(directory, 'journal', 'tape.json'), 'utf8')).epoch).toBe(4);
    expect((await recordsOf(await read([directory]))).map(({ n }) => n)).toEqual(upTo(103));
  });
});
