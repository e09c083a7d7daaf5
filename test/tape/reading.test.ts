import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import { decimal, defineSchema, openTape, symbol, type TapeReader, text, timestamp, u32 } from 'ticktape';
import { describe, expect, onTestFinished, test } from 'vitest';
import { segmentName } from '../../dist/src/segment/catalog.js';
import { copyOf, filesOf, lastingScratch, scratch } from '../helpers/scratch.js';
import { withReader } from '../helpers/segments.js';
import { errorOf, recordsOf } from '../helpers/tape.js';

const schema = defineSchema('trade', timestamp('ts'), symbol('s'), decimal('price', 2), u32('n'), text('note'));
type Fields = (typeof schema)['fields'];
const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 100, laneBytes: 65_536, flushIntervalMs: 0 };
const WAYS = ['mapped', 'copied'] as const;

const lasting = lastingScratch();
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const storageOf = (root: string) => [path.join(root, 'd0'), path.join(root, 'd1')];
const segment = (root: string, node: number) => path.join(root, `d${node}`, segmentName(1));

/** 100 records in blocks of 20, each on both storage nodes. */
async function makeTape(): Promise<string> {
  const root = path.join(lasting, 'tape');
  const tape = await openTape(schema, { storage: storageOf(root), ...SMALL, capacity: 20, compression: 'off' });
  for (const n of upTo(100)) tape.append(BigInt(n), `S${n % 3}`, n / 100, n, `note ${n}`);
  await tape.close();
  return root;
}

const whole = await makeTape();

async function openReader(storage: readonly string[], read: (typeof WAYS)[number]): Promise<TapeReader<Fields>> {
  const reader = await openTape(schema, { storage, readOnly: true, read });
  onTestFinished(() => reader.close());
  return reader;
}

function change(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] ^= 0x40;
  writeFileSync(file, bytes);
}

const blocksIn = (file: string) => withReader(file, (reader) => [...reader.walk(4096, true)]);

/** What can be wrong with the first storage node's segment, and what is left of the tape with that copy alone. */
const harms: Record<string, (file: string) => void> = {
  nothing: () => {},
  'a byte of a chunk': (file) => {
    const { offset, header } = blocksIn(file)[2];
    change(file, offset + header.chunks[1].offset + 1);
  },
  'a byte of a header': (file) => change(file, blocksIn(file)[1].offset + 41),
  'a block that lies elsewhere': (file) => {
    const bytes = readFileSync(file);
    const [, one, two] = blocksIn(file);
    const { blockBytes } = one.header;
    expect(two.header.blockBytes).toBe(blockBytes);
    bytes.copyWithin(one.offset, two.offset, two.offset + blockBytes);
    writeFileSync(file, bytes);
  },
  'zeros from the middle on': (file) => {
    const bytes = readFileSync(file);
    const { offset, header } = blocksIn(file)[3];
    bytes.fill(0, offset + 300, offset + header.blockBytes);
    writeFileSync(file, bytes);
  },
};

/** Everything that a reader says of the storage: records, damage, the verdict, or the error. */
async function said(storage: readonly string[], read: (typeof WAYS)[number], harm: () => void = () => {}) {
  const reader = await openReader(storage, read);
  // Once it knows where blocks lie.
  const first = await errorOf(async () => {
    for await (const { columns } of reader.scan({ columns: ['n'], to: 20n })) columns.n.fill(0);
    throw new Error('none');
  });
  harm();
  const found: unknown[] = [];
  const error = await errorOf(async () => {
    for await (const batch of reader.scan()) found.push(...batch.records());
    throw new Error('none');
  });
  const verdict = await reader.verify({ redundancy: 2 });
  return { first: first.message, found, error: [error.code, error.message], damage: [...reader.damage], verdict };
}

describe.each(Object.entries(harms))('%s is wrong', (name, harm) => {
  test.each([1, 2])('with %i storage nodes: both ways of reading say the same', async (nodes) => {
    const root = copyOf(whole);
    harm(segment(root, 0));
    const storage = storageOf(root).slice(0, nodes);
    const mapped = await said(storage, 'mapped');
    expect(await said(storage, 'copied')).toEqual(mapped);
    if (nodes === 2) expect(mapped.found.length).toBe(100);
    expect(mapped.damage.length > 0).toBe(name !== 'nothing');
  });
});

describe('a segment that is cut while it is read', () => {
  const blocks = blocksIn(segment(whole, 0));
  const { offset, header } = blocks[2];
  const end = offset + header.blockBytes;

  test.each([end, end - 1, offset + 200, offset, 4096, 100, 0])(
    'to %i bytes: both ways say the same',
    async (bytes) => {
      const left = 20 * blocks.filter((block) => block.offset + block.header.blockBytes <= bytes).length;
      for (const nodes of [1, 2]) {
        const answers = [];
        for (const way of WAYS) {
          const root = copyOf(whole);
          const answer = await said(storageOf(root).slice(0, nodes), way, () => truncateSync(segment(root, 0), bytes));
          // In words, since they are of different directories.
          answers.push(inspect(answer, { depth: 9, maxArrayLength: null, maxStringLength: null }).replaceAll(root, ''));
          expect(answer.found.length).toBe(nodes === 2 ? 100 : left);
          expect(answer.damage.every(({ reason }) => reason === 'the file is cut')).toBe(true);
          expect(answer.verdict.copies).toBe((nodes === 2 ? 5 : 0) + left / 20);
          expect(answer.verdict.damagedSegments.length).toBe(1);
        }
        expect(answers[1]).toBe(answers[0]);
      }
    },
  );
});

describe.each(WAYS)('%s', (read) => {
  test('more segments than are kept open, from one scan and from two at once', async () => {
    const root = scratch();
    const storage = storageOf(root);
    const SEGMENTS = 36;
    const tape = await openTape(schema, { storage, ...SMALL, capacity: 16, segmentMaxAgeMs: 1 });
    for (const number of upTo(SEGMENTS)) {
      for (const n of upTo(3)) tape.append(BigInt(3 * number + n), 'S', n, 3 * number + n, '');
      await tape.flush();
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    await tape.close();
    expect(filesOf(root, /ttseg$/).length).toBe(2 * SEGMENTS);
    const reader = await openReader(storage, read);
    for (let i = 0; i < 2; i++) expect((await recordsOf(reader)).map(({ n }) => n)).toEqual(upTo(3 * SEGMENTS));
    const scans = [reader.scan({ columns: ['n'] }), reader.scan({ columns: ['n', 'price'] })];
    const found: number[][] = [[], []];
    // The second one half the tape behind.
    for (let i = 0; i < SEGMENTS + SEGMENTS / 2; i++) {
      for (const [which, scan] of scans.entries()) {
        if (which === 1 && i < SEGMENTS / 2) continue;
        const { value, done } = await scan.next();
        if (!done) found[which].push(...value.columns.n);
      }
    }
    expect(found).toEqual([upTo(3 * SEGMENTS), upTo(3 * SEGMENTS)]);
    expect(await reader.verify({ redundancy: 2 })).toMatchObject({ copies: 2 * SEGMENTS, damaged: [] });
  });

  test('a tape that is being written, also past the end of what was there when its segment was opened', async () => {
    const root = scratch();
    const storage = storageOf(root);
    const tape = await openTape(schema, { storage, ...SMALL, capacity: 16, read });
    const reader: TapeReader<Fields>[] = [];
    for (const round of upTo(6)) {
      for (const n of upTo(40)) tape.append(BigInt(n), `S${n % 3}`, n / 4, 40 * round + n, 'x'.repeat(n));
      await tape.flush();
      if (round === 0) reader.push(await openReader(storage, read));
      for (const from of [tape, reader[0]]) {
        expect((await recordsOf(from)).map(({ n }) => n)).toEqual(upTo(40 * (round + 1)));
      }
    }
    await tape.close();
    expect((await recordsOf(reader[0])).map(({ n }) => n)).toEqual(upTo(240));
  });

  test('a segment that goes away under the reader', async () => {
    const root = copyOf(whole);
    const reader = await openReader(storageOf(root), read);
    const scan = reader.scan({ columns: ['n'] });
    const found: number[] = [...(await scan.next()).value!.columns.n];
    rmSync(segment(root, 0));
    for await (const { columns } of scan) found.push(...columns.n);
    expect(found).toEqual(upTo(100));
  });

  test.runIf(process.platform === 'linux')(
    'a segment is mapped while it is read, or not, and not after close',
    async () => {
      const root = copyOf(whole);
      const reader = await openReader(storageOf(root), read);
      const isMapped = () => readFileSync('/proc/self/maps', 'utf8').includes(segment(root, 0));
      expect((await recordsOf(reader)).length).toBe(100);
      expect(isMapped()).toBe(read === 'mapped');
      await reader.close();
      expect(isMapped()).toBe(false);
    },
  );

  test('after close, a scan opens what it needs again', async () => {
    const reader = await openReader(storageOf(copyOf(whole)), read);
    for (let i = 0; i < 3; i++) {
      expect((await recordsOf(reader)).length).toBe(100);
      await reader.close();
    }
  });
});

test('what is neither mapped nor copied is refused', async () => {
  const error = await errorOf(() => openReader(storageOf(whole), 'fast' as 'mapped'));
  expect(error).toMatchObject({ name: 'TapeError', code: 'BAD_OPTION', message: expect.stringContaining('read') });
});
