import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bytes, decimal, defineSchema, openTape, optional, symbol, type TapeOptions, text, timestamp } from 'ticktape';
import { expect, test } from 'vitest';
import { startTicktape } from '../helpers/command-line.js';
import { startRecorder } from '../helpers/live-recorder.js';
import { filesOf, scratch } from '../helpers/scratch.js';

const schema = defineSchema(
  'mixed',
  timestamp('ts'),
  symbol('symbol'),
  decimal('price', 2),
  optional(text('note')),
  bytes('raw'),
);
const START_NS = 1_700_000_000_000_000_000n;
const RECORDS = 1000;
const NOTE = 'é'.repeat(5);

async function recorded(options: Partial<TapeOptions> = {}, records = RECORDS) {
  const directory = scratch();
  const storage = ['d0', 'd1', 'd2'].map((name) => path.join(directory, name));
  const tape = await openTape(schema, { storage, capacity: 100, ...options });
  for (let i = 0; i < records; i++) {
    const name = i % 10 === 0 ? 'RARE' : i % 2 === 0 ? 'EVEN' : 'ODD';
    tape.append(START_NS + BigInt(i) * 1_000_000_000n, name, i / 4, i % 4 === 0 ? null : NOTE, Uint8Array.of(i, 1, 2));
    // So that blocks have as many records as they may.
    if (i % 100 === 99) await tape.flush();
  }
  await tape.close();
  return { directory, storage };
}

const ticktape = (...args: string[]) => startTicktape(args).ended;

async function info(...args: string[]) {
  const { status, stdout, stderr } = await ticktape('info', '--json', ...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.trimEnd().split('\n').length).toBe(1);
  return JSON.parse(stdout);
}

test('what a tape holds, as JSON', async () => {
  const { storage } = await recorded({ compression: 'off' });
  const found = await info(...storage);
  expect(found).toMatchObject({
    tapeId: expect.stringMatching(/^[0-9a-f]{32}$/),
    epoch: 1,
    schema: { name: 'mixed', fields: schema.fields.map((field) => ({ ...field })) },
    writer: null,
    records: RECORDS,
    blocks: 10,
    from: '2023-11-14T22:13:20.000000000Z',
    to: '2023-11-14T22:29:59.000000000Z',
    firstSequence: '0',
    nextSequence: '1000',
    skipped: [],
    missing: [],
    symbols: 3,
    uncounted: null,
    frequentSymbols: [
      { name: 'ODD', records: 500, blocks: 10 },
      { name: 'EVEN', records: 400, blocks: 10 },
      { name: 'RARE', records: 100, blocks: 10 },
    ],
    redundancy: 2,
    underReplicated: 0,
    missingStorageNodes: [],
    damagedSegments: [],
    unreadableBlocks: 0,
    gaps: [],
  });
  const nodes: { path: string; blocks: number; bytes: number }[] = found.storageNodes;
  expect(nodes.map((node) => node.path)).toEqual(storage);
  expect(nodes.reduce((sum, { blocks }) => sum + blocks, 0)).toBe(20);
  expect(nodes.reduce((sum, node) => sum + node.bytes, 0)).toBe(2 * found.storedBytes);
  expect(found.compressionRatio).toBeCloseTo(found.rawBytes / found.storedBytes, 9);

  const column = Object.fromEntries(found.columns.map((of: { name: string }) => [of.name, of]));
  const noted = RECORDS - RECORDS / 4;
  expect(column.ts).toMatchObject({ kind: 'timestamp', rawBytes: 8 * RECORDS, optional: false });
  expect(column.symbol.rawBytes).toBe(4 * RECORDS);
  expect(column.price).toMatchObject({ kind: 'decimal(2)', rawBytes: 8 * RECORDS });
  // Lengths, presence bits (in whole bytes a block), UTF-8.
  expect(column.note).toMatchObject({ kind: 'text', optional: true, rawBytes: 4 * RECORDS + 10 * 13 + 10 * noted });
  expect(column.raw.rawBytes).toBe(4 * RECORDS + 3 * RECORDS);
  for (const { encodings } of found.columns) {
    expect(Object.values(encodings as Record<string, number>).reduce((sum, times) => sum + times)).toBe(10);
    for (const encoding of Object.keys(encodings)) expect(encoding).toMatch(/^(plain|plan)$/);
  }
  expect(column.ts.newestPlan).toMatch(/^[a-z]/);
  const stored: number = found.columns.reduce(
    (sum: number, { storedBytes }: { storedBytes: number }) => sum + storedBytes,
    0,
  );
  expect(stored).toBeGreaterThan(0);
  expect(stored).toBeLessThan(found.storedBytes);
  expect((await info('--symbols', '1', ...storage)).frequentSymbols).toEqual([
    { name: 'ODD', records: 500, blocks: 10 },
  ]);
});

test('the same for people', async () => {
  const { storage } = await recorded();
  const { status, stdout, stderr } = await ticktape('info', ...storage, '--symbols', '2');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  for (const part of [
    'ticktape info',
    '3 storage nodes',
    'mixed',
    'none at work',
    '1,000',
    'in 10 blocks',
    '2023-11-14T22:29:59.000000000Z',
    '16 m 39 s',
    '0 to 999',
    '0 missing',
    '2 of each',
    '0 blocks have fewer',
    'optional text',
    'decimal(2)',
    '3 symbols',
    'ODD',
    '… 1 more',
    ...storage,
  ]) {
    expect(stdout).toContain(part);
  }
  expect(stdout).not.toContain('trouble');
  expect(stdout).not.toMatch(/NaN|undefined|Infinity/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
  expect(stdout).not.toMatch(/\x1b/);
});

test('an empty tape', async () => {
  const { storage } = await recorded({}, 0);
  expect(await info(...storage)).toMatchObject({
    records: 0,
    blocks: 0,
    from: null,
    to: null,
    nextSequence: '0',
    compressionRatio: 0,
    symbols: 0,
  });
  const { status, stdout } = await ticktape('info', ...storage);
  expect(status).toBe(0);
  expect(stdout).toMatch(/sequences +none/);
  expect(stdout).not.toMatch(/NaN|undefined|Infinity/);
});

test('no tape there', async () => {
  expect(await ticktape('info', scratch())).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(/^ticktape: .*no tape there\n$/),
  });
});

test('a tape that is written meanwhile', async () => {
  const { storage } = await startRecorder();
  const first = await info(...storage);
  expect(first.writer).toMatchObject({ answering: true, state: 'open' });
  const second = await info(...storage);
  expect(second.records).toBeGreaterThan(first.records);
  expect(second).toMatchObject({ underReplicated: 0, missing: [], uncounted: null, damagedSegments: [] });
  const { stdout } = await ticktape('info', ...storage);
  expect(stdout).toMatch(/writer +at work +since .* records not yet in blocks/);
});

test('what is damaged or missing is said, and all else told', async () => {
  const { storage } = await recorded();
  // The second block of one storage node: its header, and in the footer nothing.
  const [segment] = filesOf(storage[1], /\.ttseg$/);
  const content = readFileSync(segment);
  const second = content.indexOf('TTBLOCK1', content.indexOf('TTBLOCK1') + 8, 'latin1');
  content[second + 40] ^= 1;
  writeFileSync(segment, content);
  // Its other copy is read.
  expect(await info(...storage)).toMatchObject({ records: RECORDS, unreadableBlocks: 0, uncounted: null, symbols: 3 });
  content.fill(0, content.length - 64);
  writeFileSync(segment, content);
  const torn = await info(...storage);
  expect(torn.damagedSegments).toMatchObject([{ path: segment }]);
  expect(torn.underReplicated).toBe(1);
  const { status, stdout } = await ticktape('info', ...storage);
  expect(status).toBe(0);
  expect(stdout).toMatch(new RegExp(`trouble +${segment.replaceAll(/[.\\]/g, '\\$&')}: `));

  const partly = await info(storage[0]);
  expect(partly.missingStorageNodes).toEqual([storage[1], storage[2]]);
  expect(partly.missing.length).toBeGreaterThan(0);
  expect(partly.uncounted).toContain('sequences');
  expect(partly.records).toBeLessThan(RECORDS);
  for (const directory of storage) for (const file of filesOf(directory, /\.ttseg$/)) rmSync(file);
  expect(await info(...storage)).toMatchObject({ records: 0, missing: [{ from: '0', to: '1000' }] });
});
