import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openTape, readSchema } from 'ticktape';
import { afterEach, describe, expect, test } from 'vitest';
import type { RecordResult } from '../../dist/src/cli/record-summary.js';
import { type Ended, startTicktape, ticktapeCommand } from '../helpers/command-line.js';
import { RecorderDirectory, SIMULATED } from '../helpers/recorder.js';
import { scratch } from '../helpers/scratch.js';

const running = new Set<ChildProcess>();
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
});

function start(args: string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const started = startTicktape(['record', ...args]);
  running.add(started.child);
  void started.ended.then(() => running.delete(started.child));
  return started;
}

const record = (...args: string[]) => start(args).ended;

function resultIn({ stdout, stderr }: Ended): RecordResult {
  expect(stdout.trimEnd().split('\n').length, stderr).toBe(1);
  return JSON.parse(stdout);
}

const FAST = ['flush_interval = "100ms"', 'capacity = 1000', 'segment_bytes = "1MiB"'];

describe('before anything is recorded', () => {
  test('without a configuration it says how to get one', async () => {
    const { status, stderr } = await record();
    expect(status).toBe(2);
    expect(stderr).toMatch(/^ticktape: --config FILE is missing; ticktape init writes one.*\n$/);
    const file = path.join(scratch(), 'no.toml');
    const absent = await record('--config', file);
    expect(absent).toMatchObject({ status: 1, stdout: '' });
    expect(absent.stderr).toBe(`ticktape: there is no file ${file}: ticktape init ${file} writes one to begin with\n`);
  });

  test('all mistakes of a configuration are named, a line each', async () => {
    const { config, root } = new RecorderDirectory(['redundancy = 3', 'capactiy = 1', '[feed.f]', 'kind = "csv"']);
    const { status, stderr, stdout } = await record('--config', config);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toEqual([
      `ticktape: ${config}:2: redundancy is 3: it must be a whole number from 1 to 2, the number of storage directories`,
      `ticktape: ${config}:3: there is no key capactiy (did you mean capacity?)`,
      `ticktape: ${config}:4: feed.f.path is missing: the file, or "-" for stdin`,
    ]);
    expect(existsSync(path.join(root, 'd0'))).toBe(false);
  });

  test('a dry run says what would be done, and does nothing', async () => {
    const { config, storage, root } = new RecorderDirectory([
      'metrics = "127.0.0.1:1"',
      '[feed.kraken]',
      'kind = "websocket"',
      'parser = "kraken"',
      'channels = ["trade"]',
      'products = ["BTC/USD", "ETH/USD"]',
    ]);
    const { status, stdout, stderr } = await record('--config', config, '--dry-run', '--metrics', '127.0.0.1:2');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const part of [
      ...storage,
      'market',
      'kraken.0',
      'kraken.1',
      'wss://ws.kraken.com/v2',
      'ETH/USD',
      '127.0.0.1:2',
    ]) {
      expect(stdout).toContain(part);
    }
    expect(existsSync(storage[0])).toBe(false);
    const elsewhere = path.join(root, 'x');
    const json = await record('--config', config, '--dry-run', '--json', '--storage', elsewhere, '--redundancy', '1');
    expect(JSON.parse(json.stdout)).toMatchObject({ tape: { storage: [elsewhere], redundancy: 1 } });
    expect(existsSync(elsewhere)).toBe(false);
  });

  test.each([
    [['--duration', 'soon'], /"soon" is no length of time/],
    [['--records', '0'], /--records is a whole number/],
    [['--metrics', 'here'], /--metrics is HOST:PORT/],
    [['--redundancy', '3'], /--redundancy is a whole number from 1 to 2/],
    [['more'], /"more" is too much/],
    [['--colour'], /unknown option --colour/],
  ])('%j is refused', async (args, message) => {
    const { config } = new RecorderDirectory(SIMULATED);
    const { status, stderr } = await record('--config', config, ...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  });

  test('a file that is not there is no feed', async () => {
    const { config, root, storage } = new RecorderDirectory(['[feed.f]', 'kind = "ndjson"', 'path = "none.ndjson"']);
    const { status, stderr } = await record('--config', config);
    expect(status).toBe(1);
    expect(stderr).toBe(
      `ticktape: there is no file ${path.join(root, 'none.ndjson')}: check path of feed.f in ${config}\n`,
    );
    expect(existsSync(storage[0])).toBe(false);
  });
});

describe('until the feeds end', () => {
  test('a simulated feed', async () => {
    const directory = new RecorderDirectory([...FAST, 'collectors = 3', ...SIMULATED, 'records = 20_000']);
    const ended = await record('--config', directory.config, '--json');
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    expect(resultIn(ended)).toMatchObject({
      stoppedBy: 'end',
      records: 20_000,
      stored: 20_000,
      gaps: 0,
      rejected: 0,
      degradedRecords: 0,
      dropped: 0,
      troubles: [],
      schema: 'market',
      feeds: [{ name: 'sim', kind: 'simulator', collectors: 3, records: 20_000 }],
    });
    expect(await directory.expectContiguous(3)).toEqual([6667, 6667, 6666]);
  });

  test('the report for people says it too', async () => {
    const { config } = new RecorderDirectory([...FAST, 'collectors = 2', ...SIMULATED, 'records = 5000']);
    const { status, stdout, stderr } = await record('--config', config);
    expect(status).toBe(0);
    expect(stderr).toContain('recording market with 2 collectors to 2 storage nodes');
    for (const part of ['5,000', 'all feeds have ended', 'closed in', '2 of 2 healthy', 'sim'])
      expect(stdout).toContain(part);
  });

  const TRADES = Array.from({ length: 500 }, (_, i) => ({
    ts: String(1_700_000_000_000_000_000n + BigInt(i)),
    symbol: i % 3 === 0 ? 'ETH' : 'BTC',
    price: 100 + i / 4,
    size: 0.5,
    side: 1 + (i % 2),
    id: i + 1,
    exchangeMs: 1_700_000_000_000.25,
  }));
  const expectTrades = async (directory: RecorderDirectory) => {
    const found = await directory.read();
    expect(found.map(({ id }) => id)).toEqual(TRADES.map(({ id }) => id));
    expect(found[7]).toMatchObject({
      symbol: 'BTC',
      price: 101.75,
      size: 0.5,
      side: 2,
      exchangeMs: 1_700_000_000_000.25,
    });
  };
  const ndjson = `${TRADES.map((trade) => JSON.stringify(trade)).join('\n')}\n`;

  test('lines of JSON in a file, with one that is none', async () => {
    const directory = new RecorderDirectory([
      'schema = "trade"',
      '[feed.lines]',
      'kind = "ndjson"',
      'path = "t.ndjson"',
    ]);
    writeFileSync(path.join(directory.root, 't.ndjson'), `${ndjson}not JSON\n`);
    const ended = await record('--config', directory.config, '--json');
    expect(ended.status).toBe(0);
    expect(resultIn(ended)).toMatchObject({ stoppedBy: 'end', records: 500, stored: 500, rejected: 1 });
    await expectTrades(directory);
    const rejected = readFileSync(path.join(directory.root, 'rejected', 'lines.ndjson'), 'utf8')
      .trimEnd()
      .split('\n');
    expect(rejected.map((line) => JSON.parse(line))).toMatchObject([{ message: 'not JSON' }]);
  });

  test('comma-separated values', async () => {
    const directory = new RecorderDirectory(['schema = "trade"', '[feed.f]', 'kind = "csv"', 'path = "t.csv"']);
    const names = Object.keys(TRADES[0]) as (keyof (typeof TRADES)[0])[];
    const lines = TRADES.map((trade) => names.map((name) => trade[name]).join(','));
    writeFileSync(path.join(directory.root, 't.csv'), `${[names.join(','), ...lines].join('\n')}\n`);
    const ended = await record('--config', directory.config, '--json');
    expect(ended.status).toBe(0);
    expect(resultIn(ended)).toMatchObject({ stoppedBy: 'end', records: 500, stored: 500, rejected: 0 });
    await expectTrades(directory);
  });

  test('stdin', async () => {
    const directory = new RecorderDirectory(['schema = "trade"', '[feed.lines]', 'kind = "ndjson"', 'path = "-"']);
    const [command, ...before] = ticktapeCommand;
    const { status, stderr, stdout } = spawnSync(
      command,
      [...before, 'record', '--config', directory.config, '--json'],
      { input: ndjson, encoding: 'utf8' },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ stoppedBy: 'end', records: 500, stored: 500 });
    await expectTrades(directory);
  });
});

describe('until a limit', () => {
  test('of time', async () => {
    const directory = new RecorderDirectory([...FAST, 'collectors = 2', ...SIMULATED]);
    const ended = await record('--config', directory.config, '--json', '--duration', '300ms');
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    const { stoppedBy, seconds, stored, records } = resultIn(ended);
    expect(stoppedBy).toBe('duration');
    expect(seconds).toBeGreaterThanOrEqual(0.3);
    expect(stored).toBe(records);
    expect((await directory.expectContiguous(2)).reduce((sum, count) => sum + count)).toBe(records);
  });

  test('of records', async () => {
    const directory = new RecorderDirectory([...FAST, 'collectors = 2', ...SIMULATED]);
    const ended = await record('--config', directory.config, '--json', '--records', '5000');
    const { stoppedBy, records, stored } = resultIn(ended);
    expect(stoppedBy).toBe('records');
    expect(records).toBeGreaterThanOrEqual(5000);
    expect(stored).toBe(records);
  });
});

/** Opens the tape for writing: what the session before left, and whether anybody has it still. */
async function reopen({ storage }: RecorderDirectory) {
  const tape = await openTape(readSchema(storage), { storage, onWarning() {} });
  const { recovery } = tape.stats();
  await tape.close();
  return recovery;
}

describe('a signal', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s stops it, with everything on the tape', async (signal) => {
    const directory = new RecorderDirectory([...FAST, 'collectors = 4', ...SIMULATED]);
    const { child, ended } = start(['--config', directory.config, '--json']);
    await directory.until(20_000, ended);
    const sentMs = performance.now();
    process.kill(child.pid!, signal);
    const end = await ended;
    const tookMs = performance.now() - sentMs;
    expect(end).toMatchObject({ status: 0, stderr: '' });
    const result = resultIn(end);
    console.log(`${signal}: ended in ${tookMs.toFixed(0)} ms, of it ${result.closeSeconds * 1000} ms to close`);
    expect(result).toMatchObject({ stoppedBy: signal, gaps: 0, dropped: 0, troubles: [] });
    expect(result.stored).toBe(result.records);
    const counts = await directory.expectContiguous(4);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect(counts.reduce((sum, count) => sum + count)).toBe(result.records);
    expect((await reopen(directory)).lanes).toBe(0);
  });

  test('a second one ends it at once, and nothing is lost', async () => {
    const directory = new RecorderDirectory([...FAST, 'collectors = 4', ...SIMULATED]);
    const { child, ended } = start(['--config', directory.config, '--json']);
    await directory.until(20_000, ended);
    process.kill(child.pid!, 'SIGTERM');
    process.kill(child.pid!, 'SIGINT');
    const { status, stdout } = await ended;
    // Which of the two the system hands over first is its own affair.
    expect([130, 143]).toContain(status);
    expect(stdout).toBe('');
    expect((await reopen(directory)).lanes).toBeGreaterThan(0);
    const counts = await directory.expectContiguous(4);
    expect(counts.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(20_000);
  });

  test('reaches one that reads an idle stdin', async () => {
    const directory = new RecorderDirectory(['schema = "trade"', '[feed.lines]', 'kind = "ndjson"', 'path = "-"']);
    const [command, ...before] = ticktapeCommand;
    const child = spawn(command, [...before, 'record', '--config', directory.config, '--json']);
    running.add(child);
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    child.stdin.write('{"ts":"1","symbol":"A","price":1,"size":1,"side":1,"id":1,"exchangeMs":1}\n');
    await directory.until(1, new Promise(() => {}));
    const sentMs = performance.now();
    process.kill(child.pid!, 'SIGTERM');
    expect(await ended).toBe(0);
    console.log(`idle stdin: ended in ${(performance.now() - sentMs).toFixed(0)} ms`);
    expect(JSON.parse(stdout)).toMatchObject({ stoppedBy: 'SIGTERM', records: 1, stored: 1 });
    expect((await directory.read()).map(({ symbol }) => symbol)).toEqual(['A']);
  });
});

describe('output that nobody reads any more', () => {
  test('pipes: it goes on, and a signal still closes the tape', async () => {
    const directory = new RecorderDirectory([...FAST, 'collectors = 3', ...SIMULATED, '[feed.off]', ...NOBODY]);
    const { child, ended } = start(['--config', directory.config]);
    await directory.until(5000, ended);
    child.stdout!.destroy();
    child.stderr!.destroy();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(child.exitCode).toBe(null);
    process.kill(child.pid!, 'SIGTERM');
    expect((await ended).status).toBe(0);
    expect((await reopen(directory)).lanes).toBe(0);
    expect(Math.min(...(await directory.expectContiguous(2)))).toBeGreaterThan(0);
  });

  const noTerminal = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux')
    ? null
    : 'script of util-linux is not there';
  test.skipIf(noTerminal !== null)(`a closed terminal: the tape is closed ${noTerminal ?? ''}`, async () => {
    const directory = new RecorderDirectory([...FAST, 'collectors = 3', ...SIMULATED, '[feed.off]', ...NOBODY]);
    const [seen, pidFile] = ['seen', 'pid'].map((name) => path.join(directory.root, name));
    const quoted = [...ticktapeCommand, 'record', '--config', directory.config].map((word) => `'${word}'`).join(' ');
    const shell = `echo $$ > '${pidFile}'; exec ${quoted}`;
    const terminal = spawn('script', ['--quiet', '--flush', '--command', shell, seen], {
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { ...process.env, SHELL: '/bin/sh', TERM: 'xterm' },
    });
    running.add(terminal);
    await directory.until(5000, new Promise(() => {}));
    const pid = Number(readFileSync(pidFile, 'utf8'));
    // Long enough for the line of a terminal to be drawn.
    while (!/events\/s/.test(readFileSync(seen, 'utf8'))) await new Promise((resolve) => setTimeout(resolve, 20));
    const sentMs = performance.now();
    terminal.kill('SIGKILL');
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
    console.log(`closed terminal: ended in ${(performance.now() - sentMs).toFixed(0)} ms`);
    expect((await reopen(directory)).lanes).toBe(0);
    expect(Math.min(...(await directory.expectContiguous(2)))).toBeGreaterThan(0);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // One whose parent has died, and that nobody has asked for its end.
  return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** A feed whose exchange is not there: nothing listens on that port. */
const NOBODY = ['kind = "websocket"', 'parser = "binance"', 'url = "ws://127.0.0.1:1"', 'streams = ["a@trade"]'];

describe('what goes wrong beside', () => {
  test('a second recorder of the tape is told so, and does the first no harm', async () => {
    const directory = new RecorderDirectory([...FAST, 'collectors = 2', ...SIMULATED]);
    const first = start(['--config', directory.config, '--json']);
    await directory.until(5000, first.ended);
    const second = await record('--config', directory.config, '--json');
    expect(second).toMatchObject({ status: 1, stdout: '' });
    expect(second.stderr).toMatch(/^ticktape: .*another (process|writer).*\n$/);
    process.kill(first.child.pid!, 'SIGINT');
    const end = await first.ended;
    expect(end.status).toBe(0);
    expect((await directory.expectContiguous(2)).reduce((sum, count) => sum + count)).toBe(resultIn(end).records);
  });

  test('a feed that never connects stops no other; it is counted and told', async () => {
    const directory = new RecorderDirectory([
      ...FAST,
      ...SIMULATED,
      'collectors = 2',
      'records = 3000',
      '[feed.off]',
      ...NOBODY,
    ]);
    const ended = await record('--config', directory.config, '--json', '--duration', '2s');
    expect(ended.status).toBe(0);
    const { stoppedBy, feeds, gaps } = resultIn(ended);
    expect(stoppedBy).toBe('duration');
    expect(feeds).toMatchObject([
      { name: 'sim', records: 3000, receiving: 2 },
      { name: 'off', records: 0, receiving: 0, messages: 0 },
    ]);
    expect(gaps).toBeGreaterThan(0);
    expect(ended.stderr).toMatch(/^ticktape: off: /m);
  });

  test('a storage node that goes away costs no record', async () => {
    const directory = new RecorderDirectory([...FAST, 'collectors = 2', ...SIMULATED], 3);
    const { child, ended } = start(['--config', directory.config, '--json']);
    await directory.until(50_000, ended);
    renameSync(directory.storage[1], path.join(directory.root, 'gone'));
    writeFileSync(directory.storage[1], 'not a directory');
    let stderr = '';
    child.stderr!.on('data', (text) => {
      stderr += text;
    });
    while (!/d1/.test(stderr)) await new Promise((resolve) => setTimeout(resolve, 20));
    process.kill(child.pid!, 'SIGTERM');
    const end = await ended;
    expect(end.stderr).toContain(directory.storage[1]);
    expect(end.status).toBe(0);
    const result = resultIn(end);
    expect(result.stored).toBe(result.records);
    expect(result.storage[1].errors).toBeGreaterThan(0);
    spawnSync('rm', [directory.storage[1]]);
    renameSync(path.join(directory.root, 'gone'), directory.storage[1]);
    expect((await directory.expectContiguous(2)).reduce((sum, count) => sum + count)).toBe(result.records);
  });
});

test('figures for Prometheus', async () => {
  const directory = new RecorderDirectory([...FAST, 'collectors = 2', ...SIMULATED]);
  const { child, ended } = start(['--config', directory.config, '--metrics', '127.0.0.1:0']);
  let said = '';
  child.stderr!.on('data', (text) => {
    said += text;
  });
  await directory.until(5000, ended);
  while (!/metrics at \S+\n/.test(said)) await new Promise((resolve) => setTimeout(resolve, 20));
  const [, url] = /metrics at (\S+)/.exec(said)!;
  const answer = await fetch(url);
  expect(answer.status).toBe(200);
  expect(await answer.text()).toMatch(/^ticktape_\w+.* \d/m);
  process.kill(child.pid!, 'SIGTERM');
  expect((await ended).status).toBe(0);
});
