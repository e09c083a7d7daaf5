import { spawn } from 'node:child_process';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import {
  bytes,
  decimal,
  defineSchema,
  type FeedOptions,
  f64,
  feedSource,
  i64,
  openTape,
  optional,
  type Schema,
  schemas,
  symbol,
  text,
  timestamp,
  u8,
} from 'ticktape';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CsvRows } from '../../dist/src/collect/sources/csv.js';
import { LineSplitter } from '../../dist/src/collect/sources/lines.js';
import { onDeno } from '../helpers/child.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf, recordsOf } from '../helpers/tape.js';

const small = { segmentBytes: 1024 ** 2, laneBytes: 1024 ** 2, maxSymbols: 100, onWarning: () => {} };

/** What is on the tape after the feed, and what was rejected. */
async function collect(schema: Schema, content: string | Uint8Array, options: Partial<FeedOptions>, collectors = 1) {
  const directory = scratch();
  const file = path.join(directory, 'feed');
  writeFileSync(file, content);
  const rejectedFile = path.join(directory, 'rejected');
  const tape = await openTape(schema, { storage: [path.join(directory, 'd')], ...small });
  onTestFinished(() => tape.close());
  const collection = await tape.collect(feedSource, {
    collectors,
    threads: 'inline',
    options: { name: 'rows', path: file, rejectedFile, ...options },
  });
  await collection.finished;
  await tape.flush();
  const records = await recordsOf(tape);
  const stats = collection.stats();
  const rejected = stats.some((collector) => collector.rejected > 0)
    ? readFileSync(rejectedFile, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
    : [];
  expect(rejected.length).toBe(stats.reduce((sum, collector) => sum + collector.rejected, 0));
  return { records, rejected, stats };
}

const schema = defineSchema(
  'row',
  timestamp('ts'),
  symbol('symbol'),
  decimal('price', 2),
  optional(i64('id')),
  u8('side'),
  optional(f64('x')),
  optional(text('note')),
  optional(bytes('raw')),
) as unknown as Schema;
const empty = { id: null, x: null, note: null, raw: null };

describe('NDJSON', () => {
  test('members by the names of the fields; times in ns or ISO; decimals and whole numbers as they are written', async () => {
    const { records, rejected } = await collect(
      schema,
      [
        '{"ts": 1723161255030314667, "symbol": "BTC", "price": 61800.20, "side": 1, "other": [1, {"ts": 5}]}',
        '{"ts":"2024-08-08T23:54:15.030314667Z","symbol":"B\\u0054C","price":"90071992547409.91","id":-9223372036854775808,"side":2}',
        '',
        '{"ts":-1,"symbol":"ETH","price":1e-2,"side":0,"x":1.5e3,"note":"a\\nb","raw":"AAEC","id":null}\r',
        '{"side":1,"side":7,"ts":0,"symbol":"ETH","price":0}',
      ].join('\n'),
      { kind: 'ndjson' },
    );
    expect(rejected).toEqual([]);
    const ts = 1723161255030314667n;
    expect(records).toEqual([
      { ...empty, ts, symbol: 'BTC', price: 61800.2, side: 1 },
      { ...empty, ts, symbol: 'BTC', price: 90071992547409.91, id: -(2n ** 63n), side: 2 },
      { ...empty, ts: -1n, symbol: 'ETH', price: 0.01, side: 0, x: 1500, note: 'a\nb', raw: Uint8Array.of(0, 1, 2) },
      { ...empty, ts: 0n, symbol: 'ETH', price: 0, side: 7 },
    ]);
  });

  test('without a timestamp: the time of receipt', async () => {
    const before = BigInt(Date.now() - 1000) * 1_000_000n;
    const { records } = await collect(schema, '{"symbol":"B","price":1,"side":0}', { kind: 'ndjson' });
    expect(records[0].ts).toBeGreaterThan(before);
  });

  const good = { ts: '1', symbol: '"B"', price: '1', side: '0' };
  test.each([
    ['{"ts":1', 'not JSON'],
    ['[1,2]', 'not an object of JSON'],
    ['nonsense', 'not an object of JSON'],
    ['{"ts":1,"symbol":"B","price":1,"side":0} x', 'not JSON'],
    [{ price: '1.001' }, 'field price (decimal(2)) can\'t hold "1.001"'],
    [{ price: '"1,5"' }, 'field price'],
    [{ price: '1e30' }, 'field price'],
    [{ price: 'true' }, 'field price'],
    [{ price: '{"a":1}' }, 'field price: not a plain value'],
    [{ price: 'null' }, 'field price is null'],
    [{ side: '256' }, 'field side'],
    [{ side: '1.5' }, 'field side'],
    [{ ts: '"now"' }, 'field ts'],
    [{ ts: '"-15m"' }, 'field ts'],
    [{ ts: '9223372036854775808' }, 'field ts'],
    [{ id: '9223372036854775808' }, 'field id'],
    [{ raw: '"*"' }, 'field raw'],
    [{ symbol: '""' }, 'field symbol'],
    [{ symbol: '"\\ud800"' }, 'field symbol'],
    [{ side: undefined }, 'no field side'],
  ])('%j is rejected, and the rows around it are not', async (given, reason) => {
    const row = (members: object) =>
      `{${Object.entries({ ...good, ...members })
        .flatMap(([name, value]) => (value === undefined ? [] : [`"${name}":${value}`]))
        .join(',')}}`;
    const line = typeof given === 'string' ? given : row(given);
    const { records, rejected } = await collect(schema, [row({}), line, row({})].join('\n'), { kind: 'ndjson' });
    expect(records.length).toBe(2);
    expect(rejected).toMatchObject([{ collector: 0, reason: expect.stringContaining(reason), message: line }]);
  });
});

describe('CSV', () => {
  test('columns by the first line, in any order, others left out; quotes, also over lines', async () => {
    const { records, rejected } = await collect(
      schema,
      '\ufeffsymbol,price,"side",unknown,note,ts,id\r\n' +
        'BTC,61800.20,1,?,"a ""b"", c\nd",2024-08-08T00:00:00Z,\r\n' +
        'ETH,-0.5,2,,,7,12\r\n' +
        'ETH,-0.5,2,,7,12\r\n' +
        'ETH,half,2,,,7,12\r\n' +
        '\r\n' +
        'ETH,1,2,,"not ended,7,12\r\n',
      { kind: 'csv' },
    );
    expect(records).toEqual([
      { ...empty, ts: 1723075200000000000n, symbol: 'BTC', price: 61800.2, side: 1, note: 'a "b", c\nd' },
      { ...empty, ts: 7n, symbol: 'ETH', price: -0.5, side: 2, id: 12n },
    ]);
    expect(rejected.map(({ reason }) => reason)).toEqual([
      '6 cells, not 7',
      'field price (decimal(2)) can\'t hold "half"',
      'a quote that does not end',
    ]);
  });

  test('without a column that is needed: an error that names it', async () => {
    const error = await errorOf(() => collect(schema, 'ts,symbol,side\n1,B,0\n', { kind: 'csv' }));
    expect(error).toMatchObject({ code: 'BAD_OPTION', message: expect.stringContaining('no column price') });
  });

  test('a quote that does not end is given up: what follows is read', () => {
    const rows = new CsvRows();
    expect(rows.add('"begin')).toBeNull();
    let lines = 0;
    while (rows.add('x'.repeat(1000)) === null) lines++;
    expect(lines).toBeLessThan(100);
    expect(rows.add('a,"b""c",')).toEqual(['a', 'b"c', '']);
    expect(rows.end()).toBeNull();
  });

  test('any cells come back from their row', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', ' ', 'é') });
    fc.assert(
      fc.property(fc.array(cell, { minLength: 1, maxLength: 6 }), (cells) => {
        fc.pre(cells.length > 1 || cells[0] !== '');
        const rows = new CsvRows();
        const row = cells.map((value) => `"${value.replaceAll('"', '""')}"`).join(',');
        const found = row.split('\n').map((line) => rows.add(line));
        expect(found.pop()).toEqual(cells);
        expect(found.every((more) => more === null)).toBe(true);
      }),
    );
  });
});

describe('lines', () => {
  test('any bytes, in any pieces: the lines of all of them', () => {
    const pieces = fc.array(fc.array(fc.constantFrom(10, 13, 97, 98, 0xc3, 0xa9, 0xff), { maxLength: 9 }));
    fc.assert(
      fc.property(pieces, (parts) => {
        const all = (of: number[][]) => {
          const splitter = new LineSplitter(6);
          const lines = of.flatMap((part) => splitter.add(Uint8Array.from(part)));
          return [...lines, ...splitter.end()].map((line) => (typeof line === 'string' ? line : line.reason));
        };
        const whole = parts.flat();
        expect(all(parts)).toEqual(all([whole]));
        expect(all(parts)).toEqual(all(whole.map((byte) => [byte])));
        const plain = Buffer.from(whole).toString('latin1').split('\n');
        if (plain.at(-1) === '') plain.pop();
        expect(all(parts).length).toBe(plain.length);
        plain.forEach((line, i) => {
          if (line.length > 6) expect(all(parts)[i]).toContain('in one line');
        });
      }),
    );
  });

  test('a line without an end takes no more memory than it may, and is told of', () => {
    const splitter = new LineSplitter(1000);
    const piece = new Uint8Array(100).fill(120);
    let lines = 0;
    for (let i = 0; i < 100_000; i++) lines += splitter.add(piece).length;
    expect(lines).toBe(0);
    const [line] = splitter.add(Uint8Array.of(10));
    expect(line).toMatchObject({ reason: '10000000 bytes in one line: 1000 at most' });
    expect((line as { bytes: Uint8Array }).bytes.length).toBeLessThanOrEqual(1024);
    expect(splitter.add(Buffer.from('next\n'))).toEqual(['next']);
  });

  test('that are not UTF-8 are rejected, with their bytes', async () => {
    const content = Buffer.concat([Buffer.from('{"x":1}\n'), Buffer.of(0xff, 0xfe, 10), Buffer.from('é')]);
    const { records, rejected } = await collect(schemas.raw() as unknown as Schema, content, {
      kind: 'ndjson',
      parser: 'raw',
    });
    expect(records.map(({ message }) => message)).toEqual(['{"x":1}', 'é']);
    expect(rejected).toMatchObject([{ reason: 'not UTF-8', base64: '//4=' }]);
  });
});

describe('files', () => {
  const row = (n: number) => `{"ts":${n},"symbol":"B","price":${n},"side":0}\n`;
  const rows = Array.from({ length: 20_000 }, (_, n) => row(n)).join('');

  test.each([1, 3])(
    "gzip or not, dealt out to %i collectors: every line once, each collector's in order",
    async (collectors) => {
      for (const content of [rows, gzipSync(rows)]) {
        const { records, stats } = await collect(schema, content, { kind: 'ndjson' }, collectors);
        const found = records.map(({ price }) => price as number);
        for (let collector = 0; collector < collectors; collector++) {
          const own = found.filter((price) => price % collectors === collector);
          expect(own).toEqual([...own].sort((a, b) => a - b));
        }
        expect([...found].sort((a, b) => a - b)).toEqual(Array.from({ length: 20_000 }, (_, n) => n));
        expect(stats.map(({ messages }) => messages)).toEqual(
          stats.map((_, i) => Math.floor((20_000 + collectors - 1 - i) / collectors)),
        );
      }
    },
  );

  test('a gzip file that is cut short, or damaged: what came before is there, then an error that is not tried again', async () => {
    const whole = gzipSync(rows);
    const error = await errorOf(() => collect(schema, whole.subarray(0, whole.length - 1000), { kind: 'ndjson' }));
    expect(error).toMatchObject({ code: 'CORRUPT', message: expect.stringContaining('cut short') });
    const missing = await errorOf(() => collect(schema, '', { kind: 'ndjson', path: '/nowhere/at all' }));
    expect(missing.code).toBe('NOT_FOUND');
  });

  test('captured messages have the time at which they were received', async () => {
    const trade = '{"e":"trade","E":5,"T":1723161256322,"s":"BTCUSDT","t":17,"p":"61800.30","q":"0.006","m":true}';
    const lines = [`1000 ${trade}`, `x ${trade}`, '2000 {', '3000 {"result":null,"id":1}', `4000 ${trade}`, ''];
    const trades = schemas.trade({ priceScale: 2, sizeScale: 3 }) as unknown as Schema;
    const { records, rejected } = await collect(trades, lines.join('\n'), { kind: 'feed-file', parser: 'binance' });
    const known = { symbol: 'BTCUSDT', price: 61800.3, size: 0.006, side: 2, id: 17, exchangeMs: 1723161256322 };
    expect(records).toEqual([
      { ts: 1000n, ...known },
      { ts: 4000n, ...known },
    ]);
    expect(rejected.map(({ message }) => message)).toEqual([lines[1], lines[2]]);
  });

  test('the simulator: as many records as asked for, the same for the same seed', async () => {
    const market = schemas.market({ priceScale: 4, sizeScale: 3 }) as unknown as Schema;
    const run = () => collect(market, '', { kind: 'simulator', seed: 5, records: 1001 }, 2);
    const { records } = await run();
    expect(records.length).toBe(1001);
    expect(new Set(records.map(({ kind }) => kind))).toEqual(new Set([1, 2, 3]));
    const sorted = (found: typeof records) => found.map((record) => Object.values(record).join(' ')).sort();
    expect(sorted((await run()).records)).toEqual(sorted(records));
  });
});

test.each(['another process', 'a file'])('stdin is %s: read in a thread of its own', async (what) => {
  const directory = scratch();
  const script = path.join(directory, 'stdin.mjs');
  writeFileSync(
    script,
    `import { feedSource, openTape, schemas } from ${JSON.stringify(new URL('../../dist/src/index.js', import.meta.url).href)};
     const tape = await openTape(schemas.raw(), { storage: [${JSON.stringify(path.join(directory, 'd'))}], laneBytes: 65536 });
     const options = { name: 'in', kind: 'ndjson', parser: 'raw', path: '-' };
     await (await tape.collect(feedSource, { options })).finished;
     await tape.flush();
     let n = 0;
     for await (const batch of tape.scan()) n += batch.length;
     await tape.close();
     console.log(n);`,
  );
  const flags = onDeno ? ['run', '-A', '--node-modules-dir=manual', '--no-lock'] : [];
  const rows = '{"a":1}\n'.repeat(5000);
  writeFileSync(path.join(directory, 'rows'), rows);
  const stdin = what === 'a file' ? openSync(path.join(directory, 'rows'), 'r') : 'pipe';
  const child = spawn(process.execPath, [...flags, script], { stdio: [stdin, 'pipe', 'inherit'] });
  child.stdin?.end(rows);
  let out = '';
  for await (const data of child.stdout!) out += data;
  expect(out.trim()).toBe('5000');
});
