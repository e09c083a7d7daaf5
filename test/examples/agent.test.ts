import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, type TestContext, test } from 'vitest';
import { WebSocket } from 'ws';
import { scratch } from '../helpers/scratch.js';

// The agent of examples/agent, built as README.md says, alone in a folder: it records, is killed, recovers, and serves what it records.

const root = fileURLToPath(new URL('../..', import.meta.url));
const agent = path.join(root, 'examples', 'agent', 'agent.mjs');
const bin = (name: string) => path.join(root, 'node_modules', '.bin', name);
const MINUTE_MS = 60_000;

function run(command: string, ...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${path.dirname(bin('deno'))}${path.delimiter}${process.env.PATH}`, NO_COLOR: '1' },
  });
  return { status, output: `${stdout}${stderr}${error?.message ?? ''}` };
}

/** A JavaScript file with all that the agent needs. */
function bundleByDeno({ skip }: TestContext): string {
  const bundle = path.join(scratch(), 'agent.mjs');
  const { status, output } = run(bin('deno'), 'bundle', '--no-lock', '--node-modules-dir=manual', '-o', bundle, agent);
  if (/registry\.npmjs\.org/.test(output) && status !== 0) skip(`deno bundle wants esbuild of npm: ${output}`);
  expect(status, output).toBe(0);
  return bundle;
}

interface Trade {
  ts: string;
  symbol: string;
  id: number;
}

class Agent {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #gone: Promise<number | NodeJS.Signals | null>;
  #stderr = '';

  constructor(folder: string, command: string, ...args: string[]) {
    this.#process = spawn(command, [...args, '--port', '0', 'd0', 'd1'], {
      cwd: folder,
      // Nothing of this checkout.
      env: { HOME: folder, PATH: '/usr/bin:/bin' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#gone = new Promise((resolve) => this.#process.once('exit', (status, signal) => resolve(status ?? signal)));
    this.#process.stderr!.setEncoding('utf8').on('data', (text) => {
      this.#stderr += text;
    });
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
    onTestFinished(async () => {
      await this.end('SIGKILL');
    });
  }

  /** What it prints next. */
  async said(): Promise<{ recovered?: number; port?: number; recorded?: number; dropped?: number }> {
    const { value, done } = await this.#lines.next();
    if (done) expect.fail(`the agent ended: ${this.#stderr}`);
    return JSON.parse(value);
  }

  /** Its status, or the signal that ended it. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | NodeJS.Signals | null> {
    const { pid, exitCode, signalCode } = this.#process;
    // Deno's own `kill` takes for granted that the process ends of the signal.
    if (exitCode === null && signalCode === null) process.kill(pid!, signal);
    return this.#gone;
  }
}

/** What the agent serves, from the first trade on, until `isEnough`. */
function tail(port: number, isEnough: (trades: Trade[]) => boolean): Promise<Trade[]> {
  const trades: Trade[] = [];
  const socket = new WebSocket(`ws://127.0.0.1:${port}/?from=start`);
  return new Promise<Trade[]>((resolve, reject) => {
    socket.on('message', (message) => {
      trades.push(...JSON.parse(String(message)));
      if (isEnough(trades)) resolve(trades);
    });
    socket.on('error', reject);
    socket.on('close', (code, reason) => reject(new Error(`closed: ${code} ${reason}`)));
  }).finally(() => socket.terminate());
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
/** A session's trades are numbered from 1 on. */
const restartIn = (trades: Trade[]) => trades.findIndex(({ id }, i) => i > 0 && id === 1);

async function recordsIsKilledAndRecovers(folder: string, command: string, ...args: string[]): Promise<void> {
  const start = () => new Agent(folder, command, ...args);
  const first = start();
  const { recovered, port } = await first.said();
  expect(recovered).toBe(0);
  const seen = (await tail(port!, ({ length }) => length >= 500)).map(({ id }) => id);
  expect(seen).toEqual(upTo(seen.length));
  await first.end('SIGKILL');

  const second = start();
  const again = await second.said();
  expect(again.recovered).toBeGreaterThan(0);
  const trades = await tail(again.port!, (all) => restartIn(all) > 0 && all.length - restartIn(all) >= 500);
  const before = restartIn(trades);
  // All that anybody saw, each once, and what was recorded after that.
  expect(before).toBeGreaterThanOrEqual(seen.length);
  expect(trades.map(({ id }) => id)).toEqual([...upTo(before), ...upTo(trades.length - before)]);
  expect(await second.end('SIGTERM')).toBe(0);
  const ended = await second.said();
  expect(ended.dropped).toBe(0);
  expect(ended.recorded).toBeGreaterThanOrEqual(trades.length - before);

  // Nothing is left to recover of a session that ended well.
  const third = start();
  expect(await third.said()).toMatchObject({ recovered: 0 });
  expect(await third.end('SIGTERM')).toBe(0);
}

test('the agent as one executable file from Bun', { timeout: 3 * MINUTE_MS }, async () => {
  const folder = scratch();
  const file = path.join(folder, 'agent');
  const { status, output } = run(bin('bun'), 'build', '--compile', '--outfile', file, agent);
  expect(status, output).toBe(0);
  expect(readdirSync(folder)).toEqual(['agent']);
  await recordsIsKilledAndRecovers(folder, file);
});

test('the agent as one executable file from Deno (skipped where deno compile finds no denort)', {
  timeout: 3 * MINUTE_MS,
}, async (context) => {
  const folder = scratch();
  const file = path.join(folder, 'agent');
  const { status, output } = run(bin('deno'), 'compile', '-A', '--no-lock', '-o', file, bundleByDeno(context));
  // What runs a compiled program comes from dl.deno.land, or from where DENORT_BIN says; npm does not have it.
  if (status !== 0 && output.includes('denort')) context.skip(`deno compile has no denort: ${output}`);
  expect(status, output).toBe(0);
  expect(readdirSync(folder)).toEqual(['agent']);
  await recordsIsKilledAndRecovers(folder, file);
});

test.skipIf(process.platform === 'win32')(
  'the agent as one executable file that unpacks its Deno (skipped: Windows has no sh)',
  { timeout: 3 * MINUTE_MS },
  async (context) => {
    const folder = scratch();
    const file = path.join(folder, 'agent');
    const pack = path.join(root, 'examples', 'agent', 'pack-deno.sh');
    const { status, output } = run('sh', pack, bundleByDeno(context), file);
    expect(status, output).toBe(0);
    expect(readdirSync(folder)).toEqual(['agent']);
    await recordsIsKilledAndRecovers(folder, file);
  },
);

test('the agent as one JavaScript file on Deno', { timeout: 3 * MINUTE_MS }, async (context) => {
  const folder = scratch();
  copyFileSync(bundleByDeno(context), path.join(folder, 'agent.mjs'));
  const deno = run(bin('deno'), 'eval', 'console.log(Deno.execPath())').output.trim();
  await recordsIsKilledAndRecovers(folder, deno, 'run', '-A', '--no-lock', 'agent.mjs');
});
