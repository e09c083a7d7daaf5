import {
  type Batch,
  bytes,
  decimal,
  defineSchema,
  type Fields,
  f64,
  i64,
  openTape,
  optional,
  type Schema,
  symbol,
  text,
  timestamp,
  u8,
  u64,
} from 'ticktape';
import { expect, test } from 'vitest';
import { rowWriter } from '../../dist/src/cli/row-writer.js';
import { Gap } from '../../dist/src/gaps.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf } from '../helpers/tape.js';

const schema = defineSchema(
  'rows',
  timestamp('ts'),
  symbol('s'),
  decimal('price', 2),
  f64('x'),
  i64('id'),
  u64('mask'),
  text('note'),
  bytes('raw'),
  optional(text('remark')),
  optional(u8('side')),
);

const SECOND = 1_723_161_255_000_000_000n;
const ROWS = [
  [SECOND + 88_169_167n, 'BTC"USDT', 61800.2, 0.1, -5n, 2n ** 64n - 1n, 'a,b', Uint8Array.of(0, 255), '', 0],
  [SECOND + 5n, 'x', -3, Number.NaN, 0n, 0n, 'two\r\nlines "so"', new Uint8Array(), null, null],
  [-1n, '市場', 0, Number.NEGATIVE_INFINITY, 2n ** 63n - 1n, 1n, '\x1b[2J\u202e', Uint8Array.of(1), 'r', 255],
] as const;

async function batchOf(): Promise<Batch> {
  const tape = await openTape(schema, { storage: [scratch()], maxSymbols: 100, flushIntervalMs: 0 });
  for (const row of ROWS) tape.append(...(row as Parameters<typeof tape.append>));
  await tape.flush();
  for await (const batch of tape.scan()) {
    await tape.close();
    return batch as unknown as Batch;
  }
  throw new Error('no batch');
}

const gap = new Gap({ collector: 2, name: 'feed', fromNs: SECOND, toNs: null, reason: 'closed\nby peer' });
const writer = (format: 'table' | 'ndjson' | 'csv', columns?: string[]) =>
  rowWriter(schema as unknown as Schema<Fields>, columns, format);

test('ndjson: every line is JSON that says the values', async () => {
  const { head, batch, gap: gapLine } = writer('ndjson');
  expect(head()).toBe('');
  const lines = batch(await batchOf()).split('\n');
  expect(lines.pop()).toBe('');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      ts: '2024-08-08T23:54:15.088169167Z',
      s: 'BTC"USDT',
      price: 61800.2,
      x: 0.1,
      id: '-5',
      mask: '18446744073709551615',
      note: 'a,b',
      raw: 'AP8=',
      remark: '',
      side: 0,
    },
    {
      ts: '2024-08-08T23:54:15.000000005Z',
      s: 'x',
      price: -3,
      x: 'NaN',
      id: '0',
      mask: '0',
      note: 'two\r\nlines "so"',
      raw: '',
      remark: null,
      side: null,
    },
    {
      ts: '1969-12-31T23:59:59.999999999Z',
      s: '市場',
      price: 0,
      x: '-Infinity',
      id: '9223372036854775807',
      mask: '1',
      note: '\x1b[2J\u202e',
      raw: 'AQ==',
      remark: 'r',
      side: 255,
    },
  ]);
  expect(JSON.parse(gapLine(gap))).toEqual({
    gap: { collector: 2, name: 'feed', from: '2024-08-08T23:54:15.000000000Z', to: null, reason: 'closed\nby peer' },
  });
});

test('csv: quotes, commas and line ends are within quotes; absent is nothing, an empty text is ""', async () => {
  const { head, batch } = writer('csv');
  expect(head()).toBe('ts,s,price,x,id,mask,note,raw,remark,side\r\n');
  expect(batch(await batchOf())).toBe(
    [
      '2024-08-08T23:54:15.088169167Z,"BTC""USDT",61800.2,0.1,-5,18446744073709551615,"a,b",AP8=,"",0',
      '2024-08-08T23:54:15.000000005Z,x,-3,NaN,0,0,"two\r\nlines ""so""","",,',
      '1969-12-31T23:59:59.999999999Z,市場,0,-Infinity,9223372036854775807,1,\x1b[2J\u202e,AQ==,r,255',
      '',
    ].join('\r\n'),
  );
});

test('table: decimals have their places, columns start where their names do, and nothing moves the cursor', async () => {
  const { head, batch, gap: gapLine } = writer('table', ['ts', 's', 'price', 'note']);
  const [names, first, second, third] = (head() + batch(await batchOf())).split('\n');
  expect(names).toBe('ts                              s                  price  note');
  expect(first).toBe('2024-08-08T23:54:15.088169167Z  BTC"USDT        61800.20  a,b');
  expect(second).toBe('2024-08-08T23:54:15.000000005Z  x                  -3.00  two\\u000d\\u000alines "so"');
  expect(third).toContain('0.00  \\u001b[2J\\u202e');
  expect(gapLine(gap)).toBe('-- gap from 2024-08-08T23:54:15.000000000Z on, feed: closed\\u000aby peer\n');
});

test('columns in the order in which they are named; one that there is not is refused', async () => {
  const { head, batch } = writer('csv', ['side', 'ts']);
  expect(head() + batch(await batchOf())).toBe(
    'side,ts\r\n0,2024-08-08T23:54:15.088169167Z\r\n,2024-08-08T23:54:15.000000005Z\r\n255,1969-12-31T23:59:59.999999999Z\r\n',
  );
  expect(await errorOf(() => writer('csv', ['sides']))).toMatchObject({ code: 'BAD_OPTION', field: 'sides' });
});
