import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DemoResult } from '../../dist/src/cli/demo-result.js';
import { noCounts } from '../../dist/src/collect/parsers/binance.js';
import { type Ended, startTicktape, ticktapeCommand } from '../helpers/command-line.js';

// The programs' temporary directory, so that what they leave there is seen.
let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'ticktape-cli-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

const start = (args: string[], env: Record<string, string> = {}) => startTicktape(args, { TMPDIR: scratch, ...env });

const ticktape = (...args: string[]) => start(args).ended;

const temporary = () => readdirSync(scratch).filter((name) => name.startsWith('ticktape-demo-'));

async function demo(...args: string[]): Promise<DemoResult> {
  const { status, stdout, stderr } = await ticktape('demo', '--json', ...args);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout.trimEnd().split('\n').length).toBe(1);
  return JSON.parse(stdout);
}

const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node';

describe('a simulated feed', () => {
  test('is recorded, read back and verified, and leaves nothing', async () => {
    const result = await demo('--records', '123457');
    expect(result).toMatchObject({
      runtime,
      events: 123_457,
      storageNodes: 4,
      redundancy: 2,
      lost: 0,
      duplicated: 0,
      digestsEqual: true,
      collectors: 10,
      capacity: 10_000,
      seed: 1,
    });
    expect(result.replicasVerified).toBe(2 * result.blocks);
    expect(result.blocks).toBeGreaterThanOrEqual(13);
    expect(['mapped', 'buffered']).toContain(result.journal);
    expect(result.seconds).toBeGreaterThan(0);
    expect(Math.abs(result.eventsPerSecond * result.seconds - 123_457) / 123_457).toBeLessThan(0.01);
    expect(result.compressionRatio).toBeGreaterThan(1);
    expect(result.bytesRaw / result.bytesStored).toBeCloseTo(result.compressionRatio, 2);
    expect(Object.values(result.kinds).reduce((sum, times) => sum + times, 0)).toBe(123_457);
    expect(result.storage.reduce((sum, { blocks }) => sum + blocks, 0)).toBe(2 * result.blocks);
    const { p50, p99, p999, p9999, max } = result.appendNs;
    expect([p50, p99, p999, p9999, max].toSorted((a, b) => a - b)).toEqual([p50, p99, p999, p9999, max]);
    expect(p50).toBeGreaterThan(0);
    expect(temporary()).toEqual([]);
  });

  test('is the same for the same seed', async () => {
    const [once, again, other] = [
      await demo('--records', '30000', '--seed', '7'),
      await demo('--records', '30000', '--seed', '7'),
      await demo('--records', '30000', '--seed', '8'),
    ];
    expect(again.kinds).toEqual(once.kinds);
    expect(other.kinds).not.toEqual(once.kinds);
  });

  test('with other numbers of collectors, storage nodes and copies', async () => {
    const args = ['--collectors', '3', '--storage-nodes', '3', '--redundancy', '3', '--capacity', '500'];
    const result = await demo('--records', '10001', ...args);
    expect(result).toMatchObject({ events: 10_001, collectors: 3, storageNodes: 3, redundancy: 3, capacity: 500 });
    expect(result.replicasVerified).toBe(3 * result.blocks);
  });

  test('fewer records than collectors', async () => {
    expect(await demo('--records', '3')).toMatchObject({ events: 3, lost: 0, duplicated: 0, digestsEqual: true });
  });

  test('the report for people says it too', async () => {
    const { status, stdout, stderr } = await ticktape('demo', '--records', '20000');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const part of [
      '20,000',
      'events/s',
      'p99.9',
      '0 lost, 0 duplicated',
      'every field equal',
      'verified',
      'journal',
    ]) {
      expect(stdout).toContain(part);
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
    expect(stdout).not.toMatch(/\x1b/);
  });

  test('is kept with --dir, which must be empty', async () => {
    const dir = path.join(scratch, 'kept', 'tape');
    expect(await demo('--records', '5000', '--dir', dir)).toMatchObject({ events: 5000, dir });
    expect(readdirSync(dir).toSorted()).toEqual(['journal', 'storage-0', 'storage-1', 'storage-2', 'storage-3']);
    const again = await ticktape('demo', '--records', '5000', '--dir', dir);
    expect(again).toMatchObject({ status: 1, stdout: '' });
    expect(again.stderr).toMatch(/^ticktape: .*tape is not empty: .*\n$/);
  });

  test('a --dir that is a file', async () => {
    const file = path.join(scratch, 'file');
    writeFileSync(file, '');
    const { status, stderr } = await ticktape('demo', '--dir', file);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^ticktape: can't use .*\n$/);
  });
});

describe('a captured feed', () => {
  const trade = (i: number) =>
    `172316125508817${1000 + i} {"stream":"a@trade","data":{"e":"trade","T":1723161256322,"s":"S${i % 5}","t":${i},"p":"${i}.25","q":"0.006","m":${i % 2 === 0}}}`;

  function write(lines: string[]): string {
    const file = path.join(scratch, 'feed.gz');
    writeFileSync(file, gzipSync(`${lines.join('\n')}\n`));
    return file;
  }

  test('is read back equal', async () => {
    const file = write(Array.from({ length: 3000 }, (_, i) => trade(i + 1)));
    const result = await demo('--feed', file);
    expect(result).toMatchObject({ events: 3000, lost: 0, duplicated: 0, digestsEqual: true });
    expect(result.kinds).toEqual({ trade: 3000, quote: 0, level: 0 });
    expect(result.feed).toEqual({
      file,
      messages: { ...noCounts(), trade: 3000 },
    });
  });

  test('up to --records', async () => {
    const file = write(Array.from({ length: 3000 }, (_, i) => trade(i + 1)));
    expect(await demo('--feed', file, '--records', '777')).toMatchObject({ events: 777, lost: 0, digestsEqual: true });
    expect(await demo('--feed', file, '--records', '5000000')).toMatchObject({ events: 3000, lost: 0 });
  });

  test('with more for one collector than it decodes ahead, and little for the other', async () => {
    const levels = Array.from({ length: 100 }, (_, i) => [`${i}.5`, '1.125']);
    const depth = (i: number) =>
      `17231612550881${80000 + i} ${JSON.stringify({ data: { e: 'depthUpdate', s: 'A', u: i, T: i, b: levels, a: levels } })}`;
    const file = write(Array.from({ length: 2000 }, (_, i) => (i % 2 === 0 ? depth(i) : trade(i))));
    const result = await demo('--feed', file, '--collectors', '2');
    expect(result).toMatchObject({ events: 201_000, lost: 0, duplicated: 0, digestsEqual: true });
    expect(result.kinds).toEqual({ trade: 1000, quote: 0, level: 200_000 });
    const cut = await demo('--feed', file, '--collectors', '2', '--records', '100123');
    expect(cut).toMatchObject({ events: 100_123, lost: 0, duplicated: 0, digestsEqual: true });
  });

  test('what it holds besides is counted and told', async () => {
    const lines = Array.from({ length: 40 }, (_, i) => trade(i + 1));
    lines[23] = 'what is this';
    lines[30] = '1723161255088171000 {"data":{"e":"forceOrder"}}';
    const { status, stdout, stderr } = await ticktape('demo', '--json', '--feed', write(lines));
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ events: 38, feed: { messages: { trade: 38, unknown: 1, broken: 1 } } });
    expect(stderr).toMatch(/^ticktape: .*1 broken and 1 unknown messages were left out; the first, line 24: .*\n$/);
  });

  test.each([
    ['nothing that is known', 'x\ny\n'],
    ['nothing', ''],
  ])('with %s in it', async (_, text) => {
    const file = path.join(scratch, 'feed.gz');
    writeFileSync(file, gzipSync(text));
    const { status, stdout, stderr } = await ticktape('demo', '--json', '--feed', file);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^ticktape: .*holds no message.*\n$/);
    expect(temporary()).toEqual([]);
  });

  test('that is cut short', async () => {
    const compressed = gzipSync(Array.from({ length: 20_000 }, (_, i) => trade(i + 1)).join('\n'));
    const file = path.join(scratch, 'feed.gz');
    writeFileSync(file, compressed.subarray(0, compressed.length - 1000));
    const { status, stdout, stderr } = await ticktape('demo', '--json', '--feed', file);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^ticktape: .*feed\.gz is damaged or cut short.*\n$/);
    expect(temporary()).toEqual([]);
  });

  test('that is not there, or not gzip, is refused before anything is made', async () => {
    const dir = path.join(scratch, 'tape');
    const missing = await ticktape('demo', '--feed', path.join(scratch, 'none.gz'), '--dir', dir);
    expect(missing.status).toBe(1);
    expect(missing.stderr).toMatch(/^ticktape: there is no file .*none\.gz.*\n$/);
    const plain = path.join(scratch, 'plain');
    writeFileSync(plain, trade(1));
    const notGzip = await ticktape('demo', '--feed', plain, '--dir', dir);
    expect(notGzip.status).toBe(1);
    expect(notGzip.stderr).toMatch(/^ticktape: .*plain is not a gzip file.*\n$/);
    expect(existsSync(dir)).toBe(false);
  });

  const capture = path.resolve('../shared/data/binance-usdm-btcusdt-20240808.feed.gz');
  test.skipIf(!existsSync(capture))('of 345 s (skipped where ../shared/data is not there)', async () => {
    const result = await demo('--feed', capture);
    expect(result).toMatchObject({ events: 532_923, lost: 0, duplicated: 0, digestsEqual: true });
    expect(result.kinds).toEqual({ trade: 21_313, quote: 66_089, level: 445_521 });
    expect(result.feed?.messages).toEqual({
      ...noCounts(),
      bookTicker: 66_089,
      trade: 21_313,
      depthUpdate: 6_551,
      snapshot: 1,
    });
    expect(result.replicasVerified).toBe(2 * result.blocks);
  });
});

describe('the command line', () => {
  test('--help', async () => {
    const all = await ticktape('--help');
    expect(all).toMatchObject({ status: 0, stderr: '' });
    expect(all.stdout).toContain('demo');
    for (const flag of ['--help', '-h']) {
      const { status, stdout, stderr } = await ticktape('demo', flag);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      for (const option of ['--records', '--seed', '--feed', '--dir', '--json']) expect(stdout).toContain(option);
    }
  });

  test('--version', async () => {
    expect((await ticktape('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test.each([
    [[]],
    [['nonsense']],
    [['constructor']],
    [['demo', 'more']],
    [['demo', '--nonsense']],
    [['demo', '-x']],
    [['demo', '--no-json']],
    [['demo', '--records']],
    [['demo', '--records', '0']],
    [['demo', '--records', '-5']],
    [['demo', '--records=-5']],
    [['demo', '--records', 'abc']],
    [['demo', '--records', '1.5']],
    [['demo', '--records', '1e6']],
    [['demo', '--records', '99999999999999999999']],
    [['demo', '--seed', 'x']],
    [['demo', '--feed']],
    [['demo', '--dir', '--json']],
    [['demo', '--collectors', '64']],
    [['demo', '--redundancy', '5']],
  ])('%j is wrong usage', async (args) => {
    const { status, stdout, stderr } = await ticktape(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^ticktape: [^\n]*--help\)\n$/);
    expect(temporary()).toEqual([]);
  });

  test.skipIf(process.platform === 'win32')(
    'a reader that closes the pipe ends it quietly (skipped: Windows has no sh)',
    async () => {
      const command = [...ticktapeCommand, 'demo', '--help'].map((word) => `'${word}'`).join(' ');
      const child = spawn('sh', ['-c', `{ ${command}; echo "status $?" >&2; } | { exec 0<&-; sleep 3; }`]);
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text) => {
        stderr += text;
      });
      await new Promise((resolve) => child.on('close', resolve));
      expect(stderr).toBe('status 0\n');
    },
  );
});

describe.skipIf(process.platform === 'win32')('a signal (skipped: Windows has none)', () => {
  async function interrupt(signal: 'SIGINT' | 'SIGTERM', ...args: string[]): Promise<Ended> {
    const { child, ended } = start(['demo', '--records', '400000000', ...args]);
    const running = () => readdirSync(scratch, { recursive: true }).some((name) => String(name).includes('storage-3'));
    while (!running() && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    child.kill(signal);
    return ended;
  }

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends it cleanly', async (signal, status) => {
    expect(await interrupt(signal)).toEqual({ status, stdout: '', stderr: `ticktape: stopped by ${signal}\n` });
    expect(temporary()).toEqual([]);
  });

  test('a tape in --dir is kept', async () => {
    const dir = path.join(scratch, 'tape');
    mkdirSync(dir);
    expect((await interrupt('SIGINT', '--dir', dir)).status).toBe(130);
    expect(readdirSync(dir)).toContain('storage-0');
  });
});
