// How soon does another process have a record? One process appends, a record every so often; this one tails the tape. A record's
// timestamp is read just before it is appended, and the same system clock again when the tail has given it; what reading the clock
// takes is not subtracted. Both poll; then this one sleeps between its looks, as a tail does by default. Last, what a tail costs that sleeps
// while nothing comes: its share of one core.
//
//   npm run bench:tail -- --help
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openTape, type TapeReader } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { UsageError } from '../src/cli/command-line.js';
import { help, parseOptions, type RuntimeName, type TailBenchOptions } from './tail/options.js';
import { schema, writeTape } from './tail/writer.js';

type Reader = TapeReader<typeof schema.fields>;

const script = fileURLToPath(import.meta.url);
const bin = path.resolve(path.dirname(script), '../../node_modules/.bin');
const COMMANDS: Record<RuntimeName, string[]> = {
  node: [runtime.name === 'node' ? process.execPath : 'node', script],
  deno: [path.join(bin, 'deno'), 'run', '-A', '--no-lock', '--node-modules-dir=manual', script],
  bun: [path.join(bin, 'bun'), '--bun', script],
};

/** µs, but for the count. */
interface Latency {
  records: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  most: number;
}

interface Result {
  tail: RuntimeName;
  writer: RuntimeName;
  polling: Latency;
  sleeping: Latency;
  /** Percent of a core; null where it was not watched. */
  idleCpu: number | null;
}

/** Those received first do not count: code is not compiled yet. */
const WARM_UP = 5000;

class Writer {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(name: RuntimeName, directory: string) {
    const [command, ...args] = COMMANDS[name];
    this.#process = spawn(command, [...args, '--write', '--directory', directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  async says(): Promise<void> {
    if ((await this.#lines.next()).done) throw new Error('the writer ended');
  }

  /** Resolves once it is told; `done` once it has done so. */
  async append(records: number, everyUs: number): Promise<{ done: Promise<void> }> {
    this.#process.stdin!.write(`${records} ${everyUs}\n`);
    // Who polls from here on leaves no time to the pipe.
    await runtime.sleep(10);
    return { done: this.says() };
  }

  async close(): Promise<void> {
    const gone = once(this.#process, 'exit');
    this.#process.stdin!.end();
    await gone;
  }
}

function latencyOf(ns: Float64Array): Latency {
  const sorted = ns.slice().sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] / 1000;
  return { records: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), most: at(1) };
}

/** Polls without a pause. */
async function polling(reader: Reader, writer: Writer, { records, everyUs }: TailBenchOptions): Promise<Latency> {
  const total = records + WARM_UP;
  const ns = new Float64Array(total);
  const follower = reader.follow();
  const { done } = await writer.append(total, everyUs);
  for (let seen = 0; seen < total; ) {
    const batch = follower.poll();
    if (batch === null) continue;
    const now = runtime.nowNs();
    const { ts } = batch.columns;
    for (let row = 0; row < batch.length; row++) ns[seen++] = Number(now - ts[row]);
  }
  follower.close();
  await done;
  return latencyOf(ns.subarray(WARM_UP));
}

async function sleeping(reader: Reader, writer: Writer, { records }: TailBenchOptions): Promise<Latency> {
  // So far apart that it sleeps in between: some seconds of it.
  const total = Math.min(records, 2000);
  const ns = new Float64Array(total);
  const tail = reader.tail();
  const { done } = await writer.append(total, 1500);
  let seen = 0;
  for await (const batch of tail) {
    const now = runtime.nowNs();
    const { ts } = batch.columns;
    for (let row = 0; row < batch.length; row++) ns[seen++] = Number(now - ts[row]);
    if (seen >= total) break;
  }
  await done;
  return latencyOf(ns);
}

async function idle(reader: Reader, idleMs: number): Promise<number | null> {
  if (idleMs === 0) return null;
  const ended = new AbortController();
  const tail = reader.tail({ signal: ended.signal });
  const running = (async () => {
    for await (const _ of tail);
  })().catch(() => {});
  // Until it has settled down.
  await runtime.sleep(1500);
  const before = process.cpuUsage();
  const beganMs = performance.now();
  await runtime.sleep(idleMs);
  const { user, system } = process.cpuUsage(before);
  const share = (user + system) / 1000 / (performance.now() - beganMs);
  ended.abort();
  await running;
  return 100 * share;
}

async function measure(name: RuntimeName, options: TailBenchOptions): Promise<Result> {
  const directory = mkdtempSync(path.join(options.directory, 'ticktape-bench-'));
  const writer = new Writer(name, directory);
  try {
    await writer.says();
    const reader = await openTape(schema, { storage: [path.join(directory, 'd0')], readOnly: true });
    const result = {
      tail: runtime.name,
      writer: name,
      polling: await polling(reader, writer, options),
      sleeping: await sleeping(reader, writer, options),
      idleCpu: await idle(reader, options.idleMs),
    };
    await reader.close();
    return result;
  } finally {
    await writer.close();
    rmSync(directory, { recursive: true });
  }
}

function print({ tail, writer, polling, sleeping, idleCpu }: Result): void {
  const line = (title: string, { p50, p90, p99, p999, most, records }: Latency) =>
    `  ${title.padEnd(10)} ${[p50, p90, p99, p999, most].map((us) => us.toFixed(2).padStart(10)).join('')}  ${records} records`;
  console.log(`${tail} tails what ${writer} writes; µs: p50, p90, p99, p99.9, most`);
  console.log(line('polling', polling));
  console.log(line('sleeping', sleeping));
  if (idleCpu !== null) console.log(`  asleep while nothing comes: ${idleCpu.toFixed(2)} % of a core`);
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(help());
  else if (options.write) await writeTape([path.join(options.directory, 'd0')]);
  else {
    for (const writer of options.writers ?? [runtime.name]) {
      const result = await measure(writer, options);
      if (options.json) console.log(JSON.stringify(result));
      else print(result);
    }
  }
} catch (error) {
  console.error(`bench:tail: ${(error as Error).message}`);
  if (process.env.TICKTAPE_DEBUG !== undefined) console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
