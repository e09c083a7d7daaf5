import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setColorEnabled } from 'deno-std/fmt/colors.js';
import { checkFeedFile } from '../collect/sources/feed-file.js';
import { TapeError } from '../errors.js';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from './command-line.js';
import type { DemoResult } from './demo-result.js';
import { type DemoOptions, DemoRun } from './demo-run.js';
import { Interrupt } from './interrupt.js';
import { report } from './report.js';

/** A tape has 64 lanes, one of them for the main thread. */
const MAX_COLLECTORS = 63;

export const OPTIONS: OptionSpec[] = [
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
    result = await new DemoRun(options, directory, interrupt).run();
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

function readOptions(commandLine: CommandLine): DemoOptions {
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
