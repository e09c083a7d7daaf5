import { spawn, spawnSync } from 'node:child_process';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { startTicktape, ticktapeCommand } from '../helpers/command-line.js';
import { startRecorder } from '../helpers/live-recorder.js';
import { scratch } from '../helpers/scratch.js';

const ticktape = (...args: string[]) => startTicktape(args).ended;

describe('one look', () => {
  test.each(['auto', 'buffered'] as const)('at a recorder in another process: journal %s', async (journalMode) => {
    const { storage } = await startRecorder(journalMode);
    const { status, stdout, stderr } = await ticktape('top', '--once', storage[1], '--interval', '500ms');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^ticktape top {2}open, up .*, ticks, tape [0-9a-f]{8}, session 1\n/);
    for (const part of ['binance', 'kraken', 'running', ...storage]) expect(stdout).toContain(part);
    expect(stdout).toMatch(/^ {2}records {2}[\d,]+, [\d.]+( k)?\/s$/m);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
    expect(stdout).not.toMatch(/\x1b/);
    // No terminal: the same without being asked for one.
    expect(await ticktape('top', ...storage.toReversed())).toMatchObject({
      status: 0,
      stdout: expect.stringContaining(storage[2]),
    });
    const json = await ticktape('top', '--once', '--json', storage[0]);
    expect(json).toMatchObject({ status: 0, stderr: '' });
    const pace = JSON.parse(json.stdout);
    expect(pace).toMatchObject({ schema: 'ticks', state: 'open', answering: true, redundancy: 2, gaps: [] });
    expect(pace.appendedPerSecond).toBeGreaterThan(0);
    expect(pace.collectors).toMatchObject([
      { name: 'binance', lane: 1, state: 'running', rejected: 0, appendNs: { p50: 111 } },
      { name: 'kraken', lane: 2, state: 'running', rejected: 1 },
    ]);
    expect(pace.collectors[0].eventsPerSecond).toBeGreaterThan(0);
    expect(Math.abs(Date.parse(pace.collectors[0].lastMessage) - Date.now())).toBeLessThan(60_000);
    expect(pace.storageNodes.map(({ path }: { path: string }) => path)).toEqual(storage);
    expect(pace.lanes.map(({ lane }: { lane: number }) => lane)).toEqual([0, 1, 2]);
  });

  test('where nobody records: status 1, in one line', async () => {
    const nobody = {
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^ticktape: no recorder is at work on [^\n]*\n$/),
    };
    expect(await ticktape('top', '--once', scratch())).toMatchObject(nobody);
    const { storage, end } = await startRecorder();
    await end();
    expect(await ticktape('top', '--once', '--json', ...storage)).toMatchObject(nobody);
  });

  test('where the recorder was killed: status 1, and for how long it has been silent', async () => {
    const { storage, kill } = await startRecorder();
    await kill();
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const { status, stdout, stderr } = await ticktape('top', '--once', '--interval', '100ms', ...storage);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^ticktape: no recorder is at work on .*has not answered for [5-9]\.\d s.*\n$/);
  });

  test('wrong usage', async () => {
    for (const args of [[], ['--interval', '1'], ['--interval', '10ms'], ['--interval', '2h']]) {
      const { status, stdout, stderr } = await ticktape('top', ...(args.length > 0 ? ['d0', ...args] : []));
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
      expect(stderr).toMatch(/^ticktape: [^\n]*ticktape top --help\)\n$/);
    }
  });
});

test('--json goes on, a line a look, with or without a recorder', async () => {
  const { storage, end } = await startRecorder();
  const { child, ended } = startTicktape(['top', '--json', '--interval', '100ms', ...storage]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  child.stdout!.on('data', (text) => {
    output += text;
  });
  const looks = () =>
    output
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  await vi.waitFor(() => expect(looks().length).toBeGreaterThan(2), { timeout: 20_000 });
  expect(looks()[0]).toMatchObject({ answering: true, appendedPerSecond: null });
  expect(looks()[1].appendedPerSecond).toBeGreaterThanOrEqual(0);
  await end();
  await vi.waitFor(() => expect(looks().at(-1)).toEqual({ time: expect.any(String), answering: false }), {
    timeout: 20_000,
  });
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ status: 143, stderr: 'ticktape: stopped by SIGTERM\n' });
});

const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true;

// `script` gives a program a terminal. Elsewhere than on Linux it is another one, or missing.
describe.skipIf(!hasScript)('on a terminal', () => {
  const ENTER = '\x1b[?1049h';
  const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';

  function onTerminal(...args: string[]) {
    const command = ['stty cols 90 rows 18;', 'exec', ...[...ticktapeCommand, ...args].map((word) => `'${word}'`)].join(
      ' ',
    );
    const child = spawn('script', ['-qfec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let screen = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      screen += text;
    });
    const status = new Promise<number | null>((resolve) => child.on('close', resolve));
    const until = (part: string) =>
      vi.waitFor(() => expect(screen.includes(part), part).toBe(true), { timeout: 30_000 });
    return { child, status, until, screen: () => screen };
  }

  test.each([
    ['q', 'q'],
    ['Ctrl-C', '\x03'],
  ])('it draws in place until %s, and gives the terminal back', async (_, key) => {
    const { storage } = await startRecorder();
    const { child, status, until, screen } = onTerminal('top', '--interval', '100ms', storage[0]);
    await until('binance');
    await until('q quits');
    await vi.waitFor(() => expect(screen().split('\x1b[H').length).toBeGreaterThan(4), { timeout: 30_000 });
    child.stdin.write(key);
    expect(await status).toBe(0);
    expect(screen().startsWith(ENTER)).toBe(true);
    expect(screen().trimEnd().endsWith(LEAVE)).toBe(true);
    for (const frame of screen().split('\x1b[H').slice(1)) expect(frame.split('\n').length).toBeLessThanOrEqual(18);
    expect(screen().includes('\x1b[32mrunning\x1b[39m')).toBe(true);
  });

  test('it waits for a recorder', async () => {
    const { child, status, until, screen } = onTerminal('top', scratch());
    await until('waiting for one');
    child.stdin.write('q');
    expect(await status).toBe(0);
    expect(screen().trimEnd().endsWith(LEAVE)).toBe(true);
  });

  test('an error leaves the screen alone', async () => {
    const { status, screen } = onTerminal('top', '--interval', 'x', scratch());
    expect(await status).toBe(2);
    expect(screen()).not.toContain(ENTER);
  });
});
