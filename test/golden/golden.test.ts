import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Compression, openTape, type Schema } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { expect, test } from 'vitest';
import { parsePlan, type Step } from '../../dist/src/block/plan.js';
import { encodeGap, encodeGapsHeader, readGaps } from '../../dist/src/gaps.js';
import { KINDS } from '../../dist/src/schema.js';
import { TAPE_ID } from '../helpers/bench.js';
import { blockOf, decodeBlock, valuesOf } from '../helpers/blocks.js';
import type { Value } from '../helpers/records.js';
import { scratch } from '../helpers/scratch.js';
import { recordsOf } from '../helpers/tape.js';
import { CONTENTS } from './contents-v1.js';

// Blocks and a tape as version 1 of the formats wrote them. Whatever becomes of the encoder, they stay readable. A file is made
// only where there is none, and only when asked for: TICKTAPE_MAKE_GOLDEN=1 node scripts/test.mjs --runtime node golden

const folder = fileURLToPath(new URL('v1', import.meta.url));
const make = process.env.TICKTAPE_MAKE_GOLDEN === '1';

const COMPRESSIONS: [string, Compression][] = [
  ['off', 'off'],
  ['fast', 'fast'],
  ['zstd', { zstd: 3 }],
];
const blocks = Object.keys(CONTENTS).flatMap((name) =>
  COMPRESSIONS.map(([as, compression]) => ({ name, compression, file: path.join(folder, `${name}-${as}.ttblock`) })),
);
const tapeFolder = path.join(folder, 'tape');
const gapsFile = path.join(folder, 'gaps.ttgap');

const GAPS = [
  { collector: null, name: '', fromNs: -5n, toNs: 7n, reason: 'not recording' },
  { collector: 63, name: 'btc', fromNs: 1_723_161_255_030_314_667n, toNs: null, reason: 'disconnected: é' },
];

/** The first one twice: without its end, and with it. */
function gapsOf(gaps: typeof GAPS): Uint8Array {
  const [first, second] = gaps.map((gap, number) => encodeGap(TAPE_ID, { epoch: 3, number }, gap));
  const ended = encodeGap(TAPE_ID, { epoch: 3, number: 0 }, { ...gaps[0], toNs: null });
  return Buffer.concat([encodeGapsHeader(TAPE_ID), ended, second, first]);
}

async function makeTape(): Promise<void> {
  const { schema, rows } = CONTENTS.orders;
  const root = scratch();
  const storage = [path.join(root, 'd0')];
  const tape = await openTape(schema as Schema, {
    storage,
    capacity: 400,
    compression: 'fast',
    segmentBytes: 2 ** 20,
    maxSymbols: 16,
  });
  for (const row of rows.slice(0, 1000)) (tape.append as (...values: Value[]) => number)(...row);
  await tape.close();
  rmSync(path.join(storage[0], 'journal', 'lock'));
  cpSync(storage[0], path.join(tapeFolder, 'd0'), { recursive: true });
}

test.runIf(make)('what is not there yet is made (skipped: TICKTAPE_MAKE_GOLDEN is not 1)', async () => {
  mkdirSync(folder, { recursive: true });
  for (const { name, compression, file } of blocks) {
    const { schema, rows } = CONTENTS[name];
    if (!existsSync(file)) writeFileSync(file, blockOf(schema, rows, { compression }).bytes);
  }
  if (!existsSync(tapeFolder)) await makeTape();
  if (!existsSync(gapsFile)) writeFileSync(gapsFile, gapsOf(GAPS));
});

test.each(blocks)('block $name, compression $compression', ({ name, file }) => {
  const { schema, rows } = CONTENTS[name];
  const { header, columns } = decodeBlock(schema, readFileSync(file), rows.length);
  schema.fields.forEach((_, i) => {
    expect(valuesOf(schema, i, columns[i], header)).toEqual(rows.map((row) => row[i]));
  });
});

test('gaps', () => {
  expect(readGaps(runtime.files, [folder], TAPE_ID).map((gap) => ({ ...gap }))).toEqual(GAPS);
});

test('between them every step of a plan, every compression and every kind of field comes', () => {
  const steps = new Set<number>();
  const seen = { compressions: new Set<number>(), encodings: new Set<number>(), kinds: new Set<number>() };
  const collect = ({ op, children }: Step) => {
    steps.add(op);
    children.forEach(collect);
  };
  for (const { name, file } of blocks) {
    const bytes = readFileSync(file);
    const { schema, rows } = CONTENTS[name];
    for (const chunk of decodeBlock(schema, bytes, rows.length).header.chunks) {
      seen.compressions.add(chunk.compression);
      seen.encodings.add(chunk.encoding);
      seen.kinds.add(chunk.kind);
      if (chunk.encoding === 0) continue;
      const planBytes = bytes.readUInt16LE(chunk.offset);
      collect(parsePlan(bytes.subarray(chunk.offset + 2, chunk.offset + 2 + planBytes)) as Step);
    }
  }
  expect([...steps].sort((a, b) => a - b)).toEqual(Array.from({ length: 14 }, (_, op) => op));
  expect([...seen.compressions].sort()).toEqual([0, 1, 2]);
  expect([...seen.encodings].sort()).toEqual([0, 1]);
  expect(seen.kinds).toEqual(new Set(Object.values(KINDS).map(({ number }) => number)));
});

test('a tape: read, and written on', async () => {
  const { schema, rows } = CONTENTS.orders;
  const root = scratch();
  cpSync(tapeFolder, root, { recursive: true });
  expect(readdirSync(root)).toEqual(['d0']);
  const storage = [path.join(root, 'd0')];
  const expected = rows
    .slice(0, 1000)
    .map((row) => Object.fromEntries(schema.fields.map(({ name }, i) => [name, row[i]])));
  const reader = await openTape(schema as Schema, { storage, readOnly: true });
  expect(await recordsOf(reader)).toEqual(expected);
  await reader.close();
  const tape = await openTape(schema as Schema, { storage });
  (tape.append as (...values: Value[]) => number)(...rows[1000]);
  await tape.flush();
  expect((await recordsOf(tape)).length).toBe(1001);
  await tape.close();
});
