import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { decimal, defineSchema, openTape, symbol, timestamp, u8 } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { formatTimeNs } from '../../dist/src/cli/times.js';
import { startTicktape, ticktapeCommand } from '../helpers/command-line.js';
import { lastingScratch } from '../helpers/scratch.js';

const schema = defineSchema(
  'trade',
  timestamp('ts'),
  symbol('symbol'),
  decimal('price', 2),
  decimal('size', 3),
  u8('side'),
);
const stuckClient = fileURLToPath(new URL('../helpers/stuck-client.mjs', import.meta.url));

const START = 1_723_161_255_000_000_000n;
const MS = 1_000_000n;
const lasting = lastingScratch();

/** Trades a millisecond apart; every tenth comes a little later than the one behind it. */
const tradeAt = (i: number) => ({
  ts: START + BigInt(i) * MS + (i % 10 === 0 ? 2n * MS + 500_000n : 0n),
  symbol: i % 3 === 0 ? 'ETHUSDT' : 'BTCUSDT',
  price: 61_800 + (i % 100) / 100,
  size: (i % 7) / 1000,
  side: i % 2,
});
type Trade = ReturnType<typeof tradeAt>;

async function makeTape(name: string, count: number): Promise<string[]> {
  const storage = ['d0', 'd1'].map((node) => path.join(lasting, name, node));
  const tape = await openTape(schema, { storage, segmentBytes: 4 * 1024 ** 2, maxSymbols: 100, capacity: 1000 });
  for (let i = 0; i < count; i++) {
    const { ts, symbol: of, price, size, side } = tradeAt(i);
    tape.append(ts, of, price, size, side);
  }
  await tape.close();
  return storage;
}

const COUNT = 3000;
const MANY = 300_000;
const small = await makeTape('small', COUNT);
const large = await makeTape('large', MANY);
const trades = Array.from({ length: COUNT }, (_, i) => tradeAt(i));
const shown = ({ ts, ...rest }: Trade) => ({ ts: formatTimeNs(ts), ...rest });
const byTime = trades.toSorted((a, b) => Number(a.ts - b.ts));

async function run(...args: string[]) {
  const { ended } = startTicktape(args);
  return await ended;
}

const rowsOf = (stdout: string) =>
  stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

describe('scan', () => {
  test('prints all records, as ndjson where it is not a terminal', async () => {
    const { status, stdout, stderr } = await run('scan', ...small);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(rowsOf(stdout)).toEqual(trades.map(shown));
  });

  test('what is asked for: times, symbols, values, columns, order, how many', async () => {
    const from = START + 100n * MS;
    const to = START + 2000n * MS;
    const args = [
      '--from',
      formatTimeNs(from),
      `--to=${to}`,
      '--symbol',
      'BTCUSDT,NONE',
      '--where',
      'price>=61800.5,side=1',
    ];
    const { status, stdout } = await run(
      'scan',
      ...args,
      '--columns',
      'price,ts',
      '--order',
      'time',
      '--json',
      ...small,
    );
    expect(status).toBe(0);
    const wanted = byTime.filter(
      (of) => of.ts >= from && of.ts < to && of.symbol === 'BTCUSDT' && of.price >= 61800.5 && of.side === 1,
    );
    expect(wanted.length).toBeGreaterThan(100);
    expect(rowsOf(stdout)).toEqual(wanted.map(({ ts, price }) => ({ price, ts: formatTimeNs(ts) })));
    expect(Object.keys(rowsOf(stdout)[0])).toEqual(['price', 'ts']);
    const limited = await run('scan', '--limit', '1234', '--storage', small.join(','));
    expect(rowsOf(limited.stdout)).toEqual(trades.slice(0, 1234).map(shown));
    expect((await run('scan', '--limit', '0', ...small)).stdout).toBe('');
    expect((await run('scan', '--from', '-1h', ...small)).stdout).toBe('');
  });

  test('csv and tables', async () => {
    const csv = await run('scan', '--format', 'csv', '--limit', '2', ...small);
    expect(csv.stdout).toBe(
      'ts,symbol,price,size,side\r\n2024-08-08T23:54:15.002500000Z,ETHUSDT,61800,0,0\r\n2024-08-08T23:54:15.001000000Z,BTCUSDT,61800.01,0.001,1\r\n',
    );
    const table = await run('scan', '--format', 'table', '--limit', '1', '--gaps', ...small);
    expect(table.stdout.split('\n')).toEqual([
      'ts                              symbol             price          size  side',
      '2024-08-08T23:54:15.002500000Z  ETHUSDT         61800.00         0.000     0',
      '',
    ]);
  });

  test.each([
    [['scan'], 2, /storage directories of the tape are missing/],
    [['scan', '--columns', 'cost', ...small], 2, /--columns: "cost" is none of ts, symbol/],
    [['scan', '--where', 'price', ...small], 2, /--where: "price": a condition is/],
    [['scan', '--from', 'yesterday', ...small], 2, /"yesterday" is no time: give one as/],
    [['scan', '--order', 'price', ...small], 2, /--order takes sequence, time/],
    [['scan', '--format', 'xml', ...small], 2, /--format takes table, ndjson, csv/],
    [['scan', '/nowhere'], 1, /no tape there/],
    [['replay', '--speed', '0', ...small], 2, /--speed is a number above 0, or max/],
    [['replay', '--listen', 'localhost', ...small], 2, /--listen takes HOST:PORT/],
  ])('%# is refused', async (args, expected, message) => {
    const { status, stdout, stderr } = await run(...(args as string[]));
    expect({ status, stdout }).toEqual({ status: expected, stdout: '' });
    expect(stderr).toMatch(message as RegExp);
    expect(stderr.split('\n').length).toBe(2);
  });

  test.each(['scan', 'replay'])('%s --help', async (command) => {
    const { status, stdout } = await run(command, '--help');
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^Usage: ticktape ${command} `));
  });

  test('a reader that has seen enough is no failure', async () => {
    const { child, ended } = startTicktape(['scan', ...large]);
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    child.stdout!.destroy();
    const { status, stderr } = await ended;
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('waits for its reader', async () => {
    const { child, ended } = startTicktape(['scan', '--columns', 'ts', ...large]);
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    child.stdout!.pause();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(child.exitCode).toBeNull();
    child.stdout!.resume();
    const { status, stdout } = await ended;
    expect(status).toBe(0);
    expect(stdout.split('\n').length).toBe(MANY + 1);
  });
});

/** What a client is sent, and how it is ended. */
function listenTo(url: string): {
  frames: string[];
  opened: Promise<void>;
  closed: Promise<{ code: number; reason: string }>;
} {
  const client = new WebSocket(url);
  const frames: string[] = [];
  client.on('message', (data) => frames.push(String(data)));
  const opened = new Promise<void>((resolve, reject) => {
    client.on('open', () => resolve());
    client.on('error', reject);
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    client.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
  });
  return { frames, opened, closed };
}

/** A replay that listens, and where. */
async function startServer(...args: string[]) {
  const { child, ended } = startTicktape(['replay', '--listen', '127.0.0.1:0', ...args]);
  let said = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr!.on('data', (text: string) => {
      said += text;
      const found = /ws:\/\/\S+:\d+/.exec(said);
      if (found) resolve(found[0]);
    });
    child.on('close', () => reject(new Error(said)));
  });
  return { child, ended, url };
}

describe('replay', () => {
  test('by time, as fast as can be', async () => {
    const { status, stdout, stderr } = await run('replay', '--speed', 'max', ...small);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(rowsOf(stdout)).toEqual(byTime.map(shown));
  });

  test('at its pace', async () => {
    const args = ['--from', String(START), '--to', String(START + 1000n * MS), '--speed', '2', '--symbol', 'BTCUSDT'];
    const startedMs = performance.now();
    const { stdout } = await run('replay', ...args, ...small);
    expect(performance.now() - startedMs).toBeGreaterThan(490);
    const wanted = byTime.filter(({ ts, symbol: of }) => ts < START + 1000n * MS && of === 'BTCUSDT');
    expect(rowsOf(stdout)).toEqual(wanted.map(shown));
  });

  test('ends tidily when it is interrupted', async () => {
    const { child, ended } = startTicktape(['replay', '--speed', '0.01', ...small]);
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    child.kill('SIGINT');
    const { status, stderr } = await ended;
    expect({ status, stderr }).toEqual({ status: 130, stderr: 'ticktape: stopped by SIGINT\n' });
  });

  test('to clients: the first one gets all, one that joins what comes from then on, and each a close frame', async () => {
    const { ended, url } = await startServer(...small);
    const first = listenTo(url);
    await first.opened;
    while (first.frames.length < 200) await new Promise((resolve) => setTimeout(resolve, 5));
    const second = listenTo(url);
    expect(await first.closed).toEqual({ code: 1000, reason: 'the replay is over' });
    expect(await second.closed).toEqual({ code: 1000, reason: 'the replay is over' });
    expect((await ended).status).toBe(0);
    const expected = byTime.map(shown);
    expect(first.frames.map((frame) => JSON.parse(frame))).toEqual(expected);
    expect(second.frames.length).toBeGreaterThan(100);
    expect(second.frames.length).toBeLessThan(COUNT - 100);
    expect(second.frames.map((frame) => JSON.parse(frame))).toEqual(expected.slice(-second.frames.length));
  });

  test('waits for the only client, and disconnects it when another one reads and it does not', async () => {
    const { ended, url } = await startServer('--speed', 'max', ...large);
    const [command, ...before] = ticktapeCommand.slice(0, -1);
    const stuck = spawn(command, [...before, stuckClient, new URL(url).port]);
    await new Promise((resolve) => stuck.stdout.once('data', resolve));
    const reader = listenTo(url);
    expect(await reader.closed).toEqual({ code: 1000, reason: 'the replay is over' });
    const { status, stderr } = await ended;
    stuck.kill('SIGKILL');
    expect(status).toBe(0);
    expect(stderr).toMatch(/a client was disconnected: too slow: it is more than 8 MiB behind the fastest/);
    // What went to the other one alone is what that and the sockets had room for.
    expect(reader.frames.length).toBeGreaterThan(MANY / 2);
    const last = Array.from({ length: MANY }, (_, i) => tradeAt(i))
      .sort((a, b) => Number(a.ts - b.ts))
      .slice(-reader.frames.length);
    expect(reader.frames.map((frame) => JSON.parse(frame).ts)).toEqual(last.map(({ ts }) => formatTimeNs(ts)));
  });

  test('is stopped while it waits for a client, and while it has one', async () => {
    const idle = await startServer(...small);
    idle.child.kill('SIGINT');
    expect((await idle.ended).status).toBe(130);
    const busy = await startServer('--speed', '0.01', ...small);
    const client = listenTo(busy.url);
    await client.opened;
    busy.child.kill('SIGTERM');
    expect(await client.closed).toEqual({ code: 1001, reason: 'the replay was stopped' });
    expect((await busy.ended).status).toBe(143);
  });

  test('an address that is taken is refused', async () => {
    const { child, ended, url } = await startServer(...small);
    const { status, stderr } = await run('replay', '--listen', `127.0.0.1:${new URL(url).port}`, ...small);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^ticktape: can't listen on 127.0.0.1:\d+ \(.*\): give another --listen\n$/);
    child.kill('SIGINT');
    await ended;
  });
});
