import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setColorEnabled } from 'deno-std/fmt/colors.js';
import { runtime } from 'ticktape/runtime';
import { market } from '../collect/market.js';
import { KIND_NAMES } from '../collect/market-batch.js';
import { type FeedCounts, noCounts } from '../collect/sources/binance.js';
import { checkFeedFile } from '../collect/sources/feed-file.js';
import { TapeError } from '../errors.js';
import { openTape, type Tape } from '../index.js';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from './command-line.js';
import { Check, type Expected } from './demo-check.js';
import { type CollectorReport, Crew, firstTrouble } from './demo-crew.js';
import { type DemoResult, quantiles } from './demo-result.js';
import { Histogram } from './histogram.js';
import { Interrupt } from './interrupt.js';
import { Progress } from './progress.js';
import { report } from './report.js';

const OPTIONS: OptionSpec[] = [
  {
    name: 'records',
    value: 'N',
    help: 'how many records; with --feed at most so many (default 2000000, or all of FILE)',
  },
  { name: 'seed', value: 'N', help: 'of the simulated feed (default 1)' },
  {
    name: 'feed',
    value: 'FILE',
    help: 'replay a captured feed instead: gzip, a line a message, "<ns> <json>", of the combined\nstream of Binance (trade, bookTicker, depthUpdate), dealt out to the collectors in turn',
  },
  { name: 'dir', value: 'D', help: 'keep the tape in D, new or empty (default: a temporary directory)' },
  { name: 'collectors', value: 'N', help: 'worker threads that record, 1 to 63 (default 10)' },
  { name: 'storage-nodes', value: 'N', help: 'directories to store in, 1 to 64 (default 4)' },
  { name: 'redundancy', value: 'N', help: 'on how many of them each block is kept (default 2)' },
  { name: 'capacity', value: 'N', help: 'records a block, 16 to 1000000 (default 10000)' },
  { name: 'json', help: 'print one JSON object instead of the report' },
];

const HELP = `Usage: ticktape demo [OPTION...]

Collectors record a market feed, each in a thread of its own, compressed, on several storage nodes. Then everything is
read back, compared with what was appended (count, order and every field), and every copy of every block is verified.

${describeOptions(OPTIONS)}

Throughput counts from the first append until flush() has put everything on its storage nodes. Of a captured feed, up to
65,536 records a collector are decoded before that. The times of the appends (appendNs) are of every single one, the two
clock reads around it included. Exit status 1 when anything was lost, duplicated or changed.
`;

interface Options {
  records: number | undefined;
  seed: number;
  feed: string | undefined;
  dir: string | undefined;
  collectors: number;
  storageNodes: number;
  redundancy: number;
  capacity: number;
}

/** A tape has 64 lanes, one of them for the main thread. */
const MAX_COLLECTORS = 63;
const DEFAULT_RECORDS = 2_000_000;
/** No feed holds more. */
const ALL = Number.MAX_SAFE_INTEGER;

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(args, OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const options = readOptions(commandLine);
  const colors = !process.env.NO_COLOR;
  setColorEnabled(colors);
  if (options.feed !== undefined) await checkFeedFile(options.feed);
  const directory = await makeDirectory(options.dir);
  const temporary = options.dir === undefined;
  const remove = { recursive: true, force: true, maxRetries: 3 } as const;
  const interrupt = new Interrupt(() => {
    if (temporary) rmSync(directory, remove);
  });
  let result: DemoResult;
  try {
    result = await new Demo(options, directory, interrupt).run();
  } finally {
    if (temporary) await rm(directory, remove);
    interrupt.dispose();
  }
  if (commandLine.flag('json')) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    setColorEnabled(colors && process.stdout.isTTY === true);
    process.stdout.write(report(result));
  }
  return judge(result);
}

function readOptions(commandLine: CommandLine): Options {
  if (commandLine.operands.length > 0) throw new UsageError(`${JSON.stringify(commandLine.operands[0])} is too much`);
  const storageNodes = commandLine.whole('storage-nodes', 1, 64, 4);
  return {
    records: commandLine.whole('records', 1, 4_000_000_000, undefined),
    seed: commandLine.whole('seed', 0, Number.MAX_SAFE_INTEGER, 1),
    feed: commandLine.text('feed'),
    dir: commandLine.text('dir'),
    collectors: commandLine.whole('collectors', 1, MAX_COLLECTORS, 10),
    storageNodes,
    redundancy: commandLine.whole('redundancy', 1, storageNodes, Math.min(2, storageNodes)),
    capacity: commandLine.whole('capacity', 16, 1_000_000, 10_000),
  };
}

/** Says on stderr what is wrong with the result, if anything; answers the exit status. */
function judge({ lost, duplicated, digestsEqual, replicasVerified, blocks, redundancy }: DemoResult): number {
  const wrong: string[] = [];
  if (lost > 0 || duplicated > 0) wrong.push(`${lost} records were lost and ${duplicated} duplicated`);
  else if (!digestsEqual) wrong.push('what was read back differs from what was appended, though no record is missing');
  if (replicasVerified !== redundancy * blocks) {
    wrong.push(`${replicasVerified} of ${redundancy * blocks} copies could be verified`);
  }
  if (wrong.length > 0) process.stderr.write(`ticktape: ${wrong.join('; ')}\n`);
  return wrong.length > 0 ? 1 : 0;
}

async function makeDirectory(wanted: string | undefined): Promise<string> {
  if (wanted === undefined) return mkdtemp(path.join(tmpdir(), 'ticktape-demo-'));
  let entries: string[];
  try {
    await mkdir(wanted, { recursive: true });
    entries = await readdir(wanted);
  } catch (cause) {
    throw new TapeError('IO', `can't use ${wanted} as a directory: ${(cause as Error).message}`, {
      path: wanted,
      cause,
    });
  }
  if (entries.length > 0) {
    throw new TapeError('BAD_PATH', `${wanted} is not empty: give --dir a new or an empty directory`, { path: wanted });
  }
  return path.resolve(wanted);
}

/** One run of the demo. */
class Demo {
  readonly #options: Options;
  readonly #directory: string;
  readonly #interrupt: Interrupt;
  readonly #progress = new Progress();

  constructor(options: Options, directory: string, interrupt: Interrupt) {
    this.#options = options;
    this.#directory = directory;
    this.#interrupt = interrupt;
  }

  async run(): Promise<DemoResult> {
    const { storageNodes, redundancy, capacity } = this.#options;
    const tape = await openTape(market, {
      storage: Array.from({ length: storageNodes }, (_, i) => path.join(this.#directory, `storage-${i}`)),
      journal: path.join(this.#directory, 'journal'),
      redundancy,
      capacity,
    });
    let result: DemoResult;
    try {
      result = await this.#use(tape);
    } catch (error) {
      this.#progress.end();
      // What went wrong first is what the user must know.
      await tape.close().catch(() => {});
      throw error;
    }
    await tape.close();
    return result;
  }

  async #use(tape: Tape<typeof market.fields>): Promise<DemoResult> {
    const { reports, seconds } = await this.#record(tape);
    const recorded = reports.map((report) => report.recorded);
    const events = recorded.reduce((sum, { appended }) => sum + appended, 0);
    if (events === 0) throw new Error(`${this.#options.feed} holds no message that could be recorded`);
    const readStartMs = performance.now();
    const check = await this.#readBack(tape, reports, events);
    const verifyStartMs = performance.now();
    const replicas = await this.#verify(tape);
    const endMs = performance.now();
    this.#progress.end();

    const times = new Histogram();
    for (const { buckets, maxNs } of recorded) times.merge(new Histogram(buckets, maxNs));
    const stats = tape.stats();
    const { seed, feed, dir, redundancy, collectors, capacity } = this.#options;
    const readSeconds = (verifyStartMs - readStartMs) / 1000;
    return {
      runtime: runtime.name,
      events,
      seconds: round(seconds, 3),
      eventsPerSecond: Math.round(events / seconds),
      appendNs: quantiles(times),
      bytesRaw: stats.rawBytes,
      bytesStored: stats.storedBytes,
      compressionRatio: round(stats.rawBytes / stats.storedBytes, 3),
      storageNodes: stats.storageNodes.length,
      redundancy,
      blocks: stats.blocks,
      replicasVerified: replicas,
      lost: check.lost,
      duplicated: check.duplicated,
      journal: stats.journal,
      digestsEqual: check.digestsEqual,
      collectors,
      capacity,
      pauses: recorded.reduce((sum, { pauses }) => sum + pauses, 0),
      kinds: Object.fromEntries(
        KIND_NAMES.map((name, kind) => [name, recorded.reduce((sum, { kinds }) => sum + kinds[kind], 0)]).slice(1),
      ),
      ...(feed === undefined ? { seed } : { feed: { file: feed, messages: this.#messages(reports) } }),
      readBack: { seconds: round(readSeconds, 3), eventsPerSecond: Math.round(check.read / readSeconds) },
      verify: { seconds: round((endMs - verifyStartMs) / 1000, 3) },
      storage: stats.storageNodes.map(({ path, blocks, bytes, errors }) => ({ path, blocks, bytes, errors })),
      ...(dir === undefined ? {} : { dir: this.#directory }),
    };
  }

  async #record(tape: Tape<typeof market.fields>): Promise<{ reports: CollectorReport[]; seconds: number }> {
    const { feed, seed, collectors } = this.#options;
    const records = this.#options.records ?? (feed === undefined ? DEFAULT_RECORDS : ALL);
    const handles = Array.from({ length: collectors }, () => tape.appenderHandle());
    const crew = new Crew(handles, records, feed === undefined ? seed : undefined);
    const { control } = crew;
    let ticker: NodeJS.Timeout | undefined;
    try {
      if (feed !== undefined) this.#progress.begin('decoding');
      const dealt = feed === undefined ? crew.finished : crew.deal(feed);
      await this.#interrupt.race(Promise.race([crew.primed, dealt.then(() => crew.primed)]));
      this.#progress.begin('recording');
      ticker = setInterval(() => this.#progress.update(control.appended, records === ALL ? undefined : records), 100);
      const startMs = performance.now();
      control.openGate();
      const [reports] = await this.#interrupt.race(Promise.all([crew.finished, dealt]));
      await this.#interrupt.race(tape.flush());
      return { reports, seconds: (performance.now() - startMs) / 1000 };
    } finally {
      clearInterval(ticker);
      await crew.stop();
    }
  }

  async #readBack(tape: Tape<typeof market.fields>, reports: CollectorReport[], events: number) {
    const numbered = this.#options.feed === undefined;
    const expected = reports.map(({ recorded }): Expected => ({ ...recorded, numbered }));
    const check = new Check(expected);
    this.#progress.begin('reading back');
    let read = 0;
    for await (const batch of tape.scan()) {
      this.#interrupt.check();
      check.add(batch);
      read += batch.length;
      this.#progress.update(read, events);
    }
    return check.verdict();
  }

  /** How many copies of blocks are good. */
  async #verify(tape: Tape<typeof market.fields>): Promise<number> {
    this.#progress.begin('verifying');
    const { copies } = await this.#interrupt.race(
      tape.verify({ onProgress: (done, total) => this.#progress.update(done, total) }),
    );
    return copies;
  }

  #messages(reports: CollectorReport[]): FeedCounts {
    const messages = noCounts();
    for (const { feed } of reports) {
      for (const name of Object.keys(messages) as (keyof FeedCounts)[]) messages[name] += feed?.counts[name] ?? 0;
    }
    const trouble = firstTrouble(reports);
    if (trouble !== undefined) {
      process.stderr.write(
        `ticktape: ${this.#options.feed}: ${messages.broken} broken and ${messages.unknown} unknown messages were left out; the first, line ${trouble.line}: ${trouble.reason}\n`,
      );
    }
    return messages;
  }
}

const round = (value: number, places: number) => Number(value.toFixed(places));
