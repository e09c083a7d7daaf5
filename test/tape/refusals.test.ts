import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  decimal,
  defineSchema,
  f64,
  openTape,
  readSchema,
  type Schema,
  symbol,
  TapeError,
  timestamp,
  u32,
} from 'ticktape';
import { describe, expect, test } from 'vitest';
import { hash64 } from '../../dist/src/hash.js';
import { segmentName } from '../../dist/src/segment/catalog.js';
import { copyOf, filesOf, lastingScratch, scratch, snapshot } from '../helpers/scratch.js';
import { errorOf, readAll } from '../helpers/tape.js';

// What is wrong with a tape on disk, or with where it should be: the error says so, and nothing has changed.

const schema = defineSchema('trade', timestamp('ts'), symbol('s'), decimal('price', 2), u32('n'));
const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 100, laneBytes: 65_536, flushIntervalMs: 0, syncIntervalMs: 0 };
const storageOf = (root: string) => [path.join(root, 'd0'), path.join(root, 'd1')];

/** A tape of 50 records, 20 of them in a lane only, as its process would leave it when killed; beside it, the same one closed. */
async function makeTape(): Promise<{ crashed: string; closed: string }> {
  const root = path.join(lasting, `tape${made++}`);
  const tape = await openTape(schema, { storage: storageOf(root), ...SMALL });
  const append = (from: number, to: number) => {
    for (let n = from; n < to; n++) tape.append(BigInt(n), `S${n % 3}`, n / 100, n);
  };
  append(0, 30);
  await tape.flush();
  append(30, 50);
  const crashed = `${root}-crashed`;
  cpSync(root, crashed, { recursive: true });
  await tape.close();
  return { crashed, closed: root };
}

const lasting = lastingScratch();
let made = 0;
const one = await makeTape();
const other = await makeTape();

const segment = (root: string) => path.join(root, 'd1', segmentName(1));
const lane = (root: string) => filesOf(root, /\.ttlane$/)[0];
const symbols = (root: string) => path.join(root, 'd0', 'journal', 'symbols.ttsym');
const tapeFile = (root: string) => path.join(root, 'd0', 'journal', 'tape.json');
const storageFile = (root: string) => path.join(root, 'd1', 'storage-node.json');

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] ^= 0x20;
  writeFileSync(file, bytes);
}

/** As a newer ticktape would have written it. */
function laterVersion(file: string): void {
  const bytes = readFileSync(file);
  bytes[8] = 2;
  bytes.writeBigUInt64LE(hash64(bytes.subarray(0, 4088)), 4088);
  writeFileSync(file, bytes);
}

/** As if by hand: without a checksum. */
function rewrite(file: string, change: (content: Record<string, unknown>) => unknown): void {
  const { checksum: _, ...content } = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify(change(content)));
}

// The lock is taken before lanes and segments are looked at, and says who had it last.
const LOCK = /lock$/;

async function expectRefusal(root: string, code: string, file: string, open: () => Promise<unknown>): Promise<void> {
  const before = snapshot(root, { times: true, except: LOCK });
  const error = await errorOf(open);
  expect(error).toBeInstanceOf(TapeError);
  expect(error.code, error.message).toBe(code);
  expect(error.message).toContain(file);
  expect(error.path).toBe(file);
  expect(snapshot(root, { times: true, except: LOCK })).toEqual(before);
}

type Damage = [what: string, file: (root: string) => string, damage: (file: string) => void, code: string];

const inSegments: Damage[] = [
  ['a segment of a later version', segment, laterVersion, 'BAD_VERSION'],
  ['a segment of another tape', segment, (file) => cpSync(segment(other.closed), file), 'FOREIGN'],
];

const inJournal: Damage[] = [
  ['tape.json of another program', tapeFile, (file) => rewrite(file, () => ({ name: 'x' })), 'BAD_MAGIC'],
  ['tape.json that is null', tapeFile, (file) => writeFileSync(file, 'null'), 'BAD_MAGIC'],
  ['tape.json of a later version', tapeFile, (file) => rewrite(file, (of) => ({ ...of, version: 2 })), 'BAD_VERSION'],
  ['tape.json without an id', tapeFile, (file) => rewrite(file, (of) => ({ ...of, tapeId: 'x' })), 'CORRUPT'],
  [
    'tape.json with an epoch that is none',
    tapeFile,
    (file) => rewrite(file, (of) => ({ ...of, epoch: -1 })),
    'CORRUPT',
  ],
  ['tape.json without a schema', tapeFile, (file) => rewrite(file, ({ schema: _, ...of }) => of), 'CORRUPT'],
  ['storage-node.json of another program', storageFile, (file) => writeFileSync(file, '[]'), 'BAD_MAGIC'],
  [
    'storage-node.json of a later version',
    storageFile,
    (file) => rewrite(file, (of) => ({ ...of, version: 9 })),
    'BAD_VERSION',
  ],
  [
    'storage-node.json with half an id',
    storageFile,
    (file) => rewrite(file, (of) => ({ ...of, tapeId: 'ab' })),
    'CORRUPT',
  ],
];

const forWriting: Damage[] = [
  ['a lane with another magic', lane, (file) => flip(file, 3), 'BAD_MAGIC'],
  ['a lane of a later version', lane, (file) => flip(file, 8), 'BAD_VERSION'],
  ['a lane with a byte of its header changed', lane, (file) => flip(file, 60), 'CORRUPT'],
  ['a lane cut within its header', lane, (file) => truncateSync(file, 4095), 'TRUNCATED'],
  ['a lane cut within its ring', lane, (file) => truncateSync(file, 100_000), 'TRUNCATED'],
  ['a lane that is empty', lane, (file) => truncateSync(file, 0), 'TRUNCATED'],
  ['a lane of another tape', lane, (file) => cpSync(lane(other.crashed), file), 'FOREIGN'],
  ['a symbol table with another magic', symbols, (file) => flip(file, 7), 'BAD_MAGIC'],
  ['a symbol table of a later version', symbols, (file) => flip(file, 8), 'BAD_VERSION'],
  ['a symbol table with a byte of its header changed', symbols, (file) => flip(file, 33), 'CORRUPT'],
  ['a symbol table cut within its header', symbols, (file) => truncateSync(file, 4000), 'TRUNCATED'],
  ['a symbol table cut within its entries', symbols, (file) => truncateSync(file, 5000), 'TRUNCATED'],
  ['a symbol table of another tape', symbols, (file) => cpSync(symbols(other.crashed), file), 'FOREIGN'],
];

test('what is refused below is not refused as it is', async () => {
  for (const { crashed, closed } of [one, other]) {
    for (const root of [crashed, closed]) {
      const copy = copyOf(root);
      await (await openTape(schema, { storage: storageOf(copy), ...SMALL })).close();
      expect((await readAll(schema, storageOf(copy))).map(({ n }) => n)).toEqual(
        Array.from({ length: 50 }, (_, i) => i),
      );
    }
  }
});

describe.each([...inSegments, ...inJournal, ...forWriting])('%s', (_, file, damage, code) => {
  test(`is ${code} for a writer`, async () => {
    const root = copyOf(one.crashed);
    damage(file(root));
    // A storage directory that is yet to be made is not made either.
    const storage = [...storageOf(root), path.join(root, 'd2')];
    await expectRefusal(root, code, file(root), () => openTape(schema, { storage, ...SMALL }));
  });
});

describe.each([...inSegments, ...inJournal])('%s', (_, file, damage, code) => {
  test(`is ${code} for a reader`, async () => {
    const root = copyOf(one.closed);
    damage(file(root));
    await expectRefusal(root, code, file(root), () => openTape(schema, { storage: storageOf(root), readOnly: true }));
  });
});

describe('a schema that is not the one of the tape', () => {
  const fields = schema.fields;
  const others: [string, Schema][] = [
    ['of another name', defineSchema('trades', ...fields)],
    ['with a field less', defineSchema('trade', ...fields.slice(0, 3))],
    ['with a field more', defineSchema('trade', ...fields, f64('x'))],
    ['in another order', defineSchema('trade', fields[0], fields[2], fields[1], fields[3])],
    ['with another scale', defineSchema('trade', fields[0], fields[1], decimal('price', 3), fields[3])],
    ['with another kind', defineSchema('trade', fields[0], fields[1], f64('price'), fields[3])],
    ['with another field name', defineSchema('trade', fields[0], fields[1], fields[2], u32('m'))],
  ];

  test.each(others)('%s', async (_, given) => {
    const root = copyOf(one.crashed);
    const journal = path.join(root, 'd0', 'journal');
    await expectRefusal(root, 'SCHEMA_MISMATCH', journal, () =>
      openTape(given, { storage: storageOf(root), ...SMALL }),
    );
    const reading = () => openTape(given, { storage: storageOf(root), readOnly: true });
    await expectRefusal(root, 'SCHEMA_MISMATCH', journal, reading);
  });

  test('is told by the segments where the journal is lost', async () => {
    const root = copyOf(one.closed);
    rmSync(path.join(root, 'd0', 'journal', 'tape.json'));
    const [, given] = others[0];
    const [file] = filesOf(root, /\.ttseg$/);
    await expectRefusal(root, 'SCHEMA_MISMATCH', file, () => openTape(given, { storage: storageOf(root), ...SMALL }));
    const reading = () => openTape(given, { storage: storageOf(root), readOnly: true });
    await expectRefusal(root, 'SCHEMA_MISMATCH', file, reading);
    expect(readSchema(storageOf(root)).json).toBe(schema.json);
  });
});

describe('directories', () => {
  test("another tape's storage directory is refused", async () => {
    const root = scratch();
    cpSync(path.join(one.closed, 'd0'), path.join(root, 'd0'), { recursive: true });
    cpSync(path.join(other.closed, 'd1'), path.join(root, 'd1'), { recursive: true });
    const d1 = path.join(root, 'd1');
    await expectRefusal(root, 'FOREIGN', d1, () => openTape(schema, { storage: storageOf(root), ...SMALL }));
    await expectRefusal(root, 'FOREIGN', d1, () => openTape(schema, { storage: storageOf(root), readOnly: true }));
  });

  test('two segments that claim the same sequences are in conflict', async () => {
    // Two histories of one tape, as when it was opened once without one of its storage nodes.
    const [left, right] = [copyOf(one.closed), copyOf(one.closed)];
    for (const [i, root] of [left, right].entries()) {
      const tape = await openTape(schema, { storage: storageOf(root), ...SMALL });
      tape.append(99n, 'S', i, i);
      await tape.close();
    }
    const files = filesOf(right, /d1.*\.ttseg$/);
    const file = path.join(left, 'd1', segmentName(99));
    cpSync(files.at(-1)!, file);
    await expectRefusal(left, 'CONFLICT', file, () => openTape(schema, { storage: storageOf(left), ...SMALL }));
    const reader = await openTape(schema, { storage: storageOf(copyOf(one.closed)), readOnly: true });
    await reader.close();
  });

  test('twice the same one, by any name', async () => {
    const root = scratch();
    mkdirSync(path.join(root, 'd0'));
    symlinkSync(path.join(root, 'd0'), path.join(root, 'link'));
    symlinkSync(root, path.join(root, 'up'));
    const first = path.join(root, 'd0');
    const names = [first, `${first}/`, `${root}/x/../d0`, path.join(root, 'link'), path.join(root, 'up', 'd0')];
    for (const name of names) {
      const before = snapshot(root, { times: true });
      const error = await errorOf(() => openTape(schema, { storage: [first, name], ...SMALL }));
      expect(error).toMatchObject({ name: 'TapeError', code: 'BAD_PATH' });
      expect(snapshot(root, { times: true })).toEqual(before);
    }
    // Below a link, and not there yet.
    const storage = [path.join(root, 'new'), path.join(root, 'up', 'new')];
    expect(await errorOf(() => openTape(schema, { storage, ...SMALL }))).toMatchObject({ code: 'BAD_PATH' });
  });

  test.each([
    ['a file', 'file'],
    ['below a file', 'file/d0'],
    ['far below a file', 'file/a/b/c'],
  ])('%s in the place of a directory', async (_, name) => {
    const root = scratch();
    writeFileSync(path.join(root, 'file'), 'x');
    const directory = path.join(root, name);
    await expectRefusal(root, 'NOT_WRITABLE', directory, () => openTape(schema, { storage: [directory], ...SMALL }));
    await expectRefusal(root, 'NOT_FOUND', directory, () => openTape(schema, { storage: [directory], readOnly: true }));
    expect(() => readSchema([directory])).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
    const journal = { storage: [path.join(root, 'd0')], journal: directory, ...SMALL };
    await expectRefusal(root, 'NOT_WRITABLE', directory, () => openTape(schema, journal));
  });

  test.each(['', '\0', 'a\0b', '/tmp/x\0'])('a path of %j', async (name) => {
    const code = name === '' ? 'BAD_OPTION' : 'BAD_PATH';
    const expected = expect.objectContaining({ name: 'TapeError', code });
    const fine = path.join(scratch(), 'd0');
    for (const storage of [[name], [fine, name]]) {
      await expect(openTape(schema, { storage })).rejects.toThrow(expected);
      await expect(openTape(schema, { storage, readOnly: true })).rejects.toThrow(expected);
      expect(() => readSchema(storage)).toThrow(expected);
    }
    await expect(openTape(schema, { storage: [fine], journal: name })).rejects.toThrow(expected);
    expect(snapshot(path.dirname(fine))).toEqual({});
  });

  test('nothing there to read', async () => {
    const root = scratch();
    mkdirSync(path.join(root, 'd0'));
    for (const storage of [[path.join(root, 'd0')], [path.join(root, 'none')], storageOf(root)]) {
      const code = expect.objectContaining({ name: 'TapeError', code: 'NOT_FOUND' });
      await expect(openTape(schema, { storage, readOnly: true })).rejects.toThrow(code);
      expect(() => readSchema(storage)).toThrow(code);
    }
    expect(Object.keys(snapshot(root))).toEqual(['d0']);
  });

  test('a journal elsewhere than where the tape has it', async () => {
    const root = copyOf(one.crashed);
    const elsewhere = path.join(root, 'journal');
    const options = { storage: storageOf(root), journal: elsewhere, ...SMALL };
    const before = snapshot(root, { times: true });
    expect(await errorOf(() => openTape(schema, options))).toMatchObject({ code: 'BAD_OPTION' });
    expect(snapshot(root, { times: true })).toEqual(before);
    // Where it is, it may be named.
    const at = { ...options, journal: path.join(root, 'd0', 'journal') };
    await (await openTape(schema, at)).close();
  });

  test('a journal of its own, moved with it, is found by its name', async () => {
    const root = scratch();
    const options = { storage: storageOf(root), journal: path.join(root, 'fast'), ...SMALL };
    const tape = await openTape(schema, options);
    tape.append(1n, 'S', 1, 0);
    cpSync(root, `${root}-moved`, { recursive: true });
    await tape.close();
    renameSync(`${root}-moved`, path.join(root, 'moved'));
    const moved = path.join(root, 'moved');
    const again = await openTape(schema, { storage: storageOf(moved), journal: path.join(moved, 'fast'), ...SMALL });
    expect(again.stats().recovery.records).toBe(1);
    await again.close();
  });
});
