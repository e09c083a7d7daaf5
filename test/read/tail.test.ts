import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  type Batch,
  decimal,
  defineSchema,
  openAppender,
  openTape,
  optional,
  symbol,
  type TapeOptions,
  text,
  timestamp,
  u32,
} from 'ticktape';
import { describe, expect, onTestFinished, test } from 'vitest';
import { scratch } from '../helpers/scratch.js';
import { errorOf } from '../helpers/tape.js';

const schema = defineSchema(
  'tailed',
  timestamp('ts'),
  symbol('s'),
  decimal('price', 2),
  u32('n'),
  optional(text('note')),
);
type Fields = typeof schema.fields;
const SMALL = {
  redundancy: 1,
  maxSymbols: 64,
  laneBytes: 65_536,
  segmentBytes: 1024 ** 2,
  capacity: 100,
  flushIntervalMs: 0,
};

async function open(options: Partial<TapeOptions> = {}) {
  const storage = [path.join(scratch(), 'd0')];
  const tape = await openTape(schema, { storage, ...SMALL, ...options });
  onTestFinished(() => tape.close());
  const reader = await openTape(schema, { storage, readOnly: true });
  onTestFinished(() => reader.close());
  let n = 0;
  const append = (count: number) => {
    for (const until = n + count; n < until; n++)
      tape.append(BigInt(n), `S${n % 3}`, n / 4, n, n % 2 ? null : `note ${n}`);
  };
  return { storage, tape, reader, append, journal: path.join(storage[0], 'journal') };
}

/** The first `count` records, or all until it ends. */
async function take(batches: AsyncIterable<Batch<Fields>>, count = Infinity): Promise<number[]> {
  const found: number[] = [];
  for await (const { columns } of batches) {
    found.push(...columns.n);
    if (found.length >= count) break;
  }
  return found;
}

const upTo = (to: number, from = 0) => Array.from({ length: to - from }, (_, i) => from + i);

describe('where it begins', () => {
  test('now, with what is appended after the call', async () => {
    const { reader, append, tape } = await open();
    append(250);
    await tape.flush();
    append(30);
    const tail = reader.tail();
    append(40);
    expect(await take(tail, 40)).toEqual(upTo(320, 280));
  });

  test('at the start: blocks, then lanes', async () => {
    const { reader, append, tape } = await open();
    append(250);
    await tape.flush();
    append(30);
    expect(await take(reader.tail({ from: 'start' }), 280)).toEqual(upTo(280));
  });

  test.each([120n, 260n])('at the time %s', async (from) => {
    const { reader, append, tape } = await open();
    append(250);
    await tape.flush();
    append(30);
    expect(await take(reader.tail({ from }), 280 - Number(from))).toEqual(upTo(280, Number(from)));
  });

  test('behind a block of which only a part was there', async () => {
    const { reader, append, tape } = await open({ capacity: 1000 });
    append(60);
    const tail = reader.tail();
    append(60);
    await tape.flush();
    // Laps of the lane, so that the block is all that there is to read.
    for (let i = 0; i < 8; i++) {
      append(500);
      await tape.flush();
    }
    expect(await take(tail, 4060)).toEqual(upTo(4120, 60));
  });
});

describe('what is asked for', () => {
  test('symbols, conditions and columns, live and sealed', async () => {
    const { reader, append, tape } = await open();
    append(300);
    await tape.flush();
    append(300);
    const tail = reader.tail({
      from: 'start',
      symbols: ['S1'],
      where: ['price>=25', 'note!=note 100'],
      columns: ['n', 'note'],
    });
    const found: number[] = [];
    for await (const batch of tail) {
      expect(Object.keys(batch.columns)).toEqual(['n', 'note']);
      for (let row = 0; row < batch.length; row++) {
        expect(batch.columns.note.at(row)).toBe(`note ${batch.columns.n[row]}`);
        found.push(batch.columns.n[row]);
      }
      if (found.at(-1)! >= 595) break;
    }
    expect(found).toEqual(upTo(600).filter((n) => n % 3 === 1 && n >= 100 && n % 2 === 0 && n !== 100));
  });

  test('records one by one', async () => {
    const { reader, append } = await open();
    append(3);
    const found = [];
    for await (const record of reader.tail({ from: 'start' }).records()) if (found.push(record) === 3) break;
    expect(found[0]).toEqual({ ts: 0n, s: 'S0', price: 0, n: 0, note: 'note 0' });
    expect(found[1]).toEqual({ ts: 1n, s: 'S1', price: 0.25, n: 1, note: null });
  });

  test('what can not be', async () => {
    const { reader } = await open();
    for (const options of [{ columns: ['x'] }, { where: ['x=1'] }, { from: 5 }, { wait: 'doze' }, { symbols: 'S1' }]) {
      expect(await errorOf(() => reader.tail(options as never))).toMatchObject({
        name: 'TapeError',
        code: 'BAD_OPTION',
      });
    }
  });
});

test("a live batch says so, has no sequences, and is the user's own", async () => {
  const { reader, append } = await open();
  const tail = reader.tail()[Symbol.asyncIterator]();
  append(5);
  const first = (await tail.next()).value as Batch<Fields>;
  append(5);
  const second = (await tail.next()).value as Batch<Fields>;
  expect(first.isLive).toBe(true);
  expect(await errorOf(() => first.sequence(0))).toMatchObject({ code: 'UNSUPPORTED' });
  expect([...first.columns.n, ...second.columns.n]).toEqual(upTo(10));
  expect(first.columns.n.buffer).toBeInstanceOf(ArrayBuffer);
  await tail.return?.(undefined);
});

test("a lane that comes later, and the tape's own tail, which ends with it", async () => {
  const { tape, append } = await open();
  const tail = tape.tail();
  const all = take(tail);
  append(5);
  const appender = openAppender(schema, tape.appenderHandle());
  for (let n = 1000; n < 1005; n++) appender.append(1n, 'L', 1, n, null);
  await new Promise((resolve) => setTimeout(resolve, 30));
  append(5);
  await tape.close();
  expect((await all).sort((a, b) => a - b)).toEqual([...upTo(10), ...upTo(1005, 1000)]);
});

test('a signal ends it', async () => {
  const { reader } = await open();
  const error = await errorOf(() => take(reader.tail({ signal: AbortSignal.timeout(30) })));
  expect(error.name).toBe('TimeoutError');
  const spinning = await errorOf(() => take(reader.tail({ wait: 'spin', signal: AbortSignal.timeout(30) })));
  expect(spinning.name).toBe('TimeoutError');
});

test('a follower that is closed is done', async () => {
  const { reader, append } = await open();
  const follower = reader.follow({ where: ['n>2'] });
  append(5);
  let batch = follower.poll();
  while (batch === null) batch = follower.poll();
  expect([...batch.columns.n]).toEqual([3, 4]);
  follower.close();
  follower.close();
  expect(await errorOf(() => follower.poll())).toMatchObject({ code: 'CLOSED' });
});

describe('files of the journal that are not what they should be', () => {
  /** The journal of a process that died, with its lane, and a tail of it. */
  async function left() {
    const { storage, tape, append, journal } = await open({ journalMode: 'buffered' });
    append(20);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const lane = readdirSync(journal).find((name) => name.endsWith('.ttlane'))!;
    const files = {
      lane: path.join(journal, lane),
      counters: path.join(journal, 'counters.ttcnt'),
      symbols: path.join(journal, 'symbols.ttsym'),
    };
    const kept = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, readFileSync(file)]));
    await tape.close();
    for (const [name, file] of Object.entries(files)) writeFileSync(file, kept[name]);
    return { storage, files };
  }

  async function tailOf(storage: string[], read: 'mapped' | 'copied') {
    const reader = await openTape(schema, { storage, readOnly: true, read });
    onTestFinished(() => reader.close());
    return reader;
  }

  test.each([
    ['a lane that was cut', 'lane', (file: string) => truncateSync(file, 5000), 'TRUNCATED'],
    ['a lane of which not even a header is there', 'lane', (file: string) => truncateSync(file, 100), 'TRUNCATED'],
    ['a lane with a changed header', 'lane', (file: string) => change(file, 57), 'CORRUPT'],
    [
      "something else with a lane's name",
      'lane',
      (file: string) => writeFileSync(file, new Uint8Array(200_000)),
      'BAD_MAGIC',
    ],
    ['counters that were cut', 'counters', (file: string) => truncateSync(file, 1000), 'TRUNCATED'],
    [
      "something else with the counters' name",
      'counters',
      (file: string) => writeFileSync(file, new Uint8Array(65_536)),
      'BAD_MAGIC',
    ],
    ['counters of another tape', 'counters', (file: string) => change(file, 915), 'FOREIGN'],
  ] as const)('%s', async (_, which, damage, code) => {
    for (const read of ['mapped', 'copied'] as const) {
      const { storage, files } = await left();
      damage(files[which]);
      const reader = await tailOf(storage, read);
      const error = await errorOf(() => take(reader.tail(), 1));
      expect(error).toMatchObject({ name: 'TapeError', code });
      expect(error.message).toContain(files[which]);
    }
  });

  test('a record that is damaged, and all behind it, is waited for; the rest of the file does no harm', async () => {
    const { storage, files } = await left();
    const size = readFileSync(files.lane).length;
    // Any counters, and any words of the ring behind the first record.
    for (let seed = 0; seed < 60; seed++) {
      const bytes = readFileSync(files.lane);
      for (let i = 0; i < 40; i++) bytes[128 + ((seed * 7919 + i * 104_729) % 900)] = (seed * 31 + i * 17) & 255;
      for (let i = 0; i < 400; i++)
        bytes[4200 + ((seed * 1009 + i * 7_368_787) % (size - 4200))] = (seed + i * 13) & 255;
      writeFileSync(files.lane, bytes);
      const reader = await tailOf(storage, seed % 2 ? 'mapped' : 'copied');
      const follower = reader.follow();
      for (let i = 0; i < 200; i++) follower.poll();
      follower.close();
      await reader.close();
    }
  });
});

function change(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] ^= 0x10;
  writeFileSync(file, bytes);
}
