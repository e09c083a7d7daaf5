import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { setColorEnabled } from 'deno-std/fmt/colors.js';
import { hostAndPort } from '../config/address.js';
import { type Config, readConfig } from '../config/config.js';
import { ConfigError } from '../config/mistake.js';
import { TapeError } from '../errors.js';
import { resolveOptions } from '../options.js';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from './command-line.js';
import { plan, planJson } from './record-plan.js';
import { recordFeeds } from './record-run.js';
import { summary } from './record-summary.js';
import { StopSignals } from './stop-signals.js';
import { parseDurationMs } from './times.js';

export const OPTIONS: OptionSpec[] = [
  { name: 'config', value: 'FILE', help: 'what to record, and where: ticktape init writes one' },
  { name: 'storage', value: 'DIR,…', list: true, help: 'storage directories in the place of those of FILE' },
  { name: 'journal', value: 'DIR', help: 'directory of the journal in the place of that of FILE' },
  { name: 'redundancy', value: 'N', help: 'on how many storage nodes each block is kept, whatever FILE says' },
  { name: 'metrics', value: 'HOST:PORT', help: 'figures for Prometheus, whatever FILE says' },
  { name: 'duration', value: 'TIME', help: 'stop after it: 10s, 15m, 1h30m' },
  { name: 'records', value: 'N', help: 'stop once so many records are recorded, or a few more' },
  { name: 'dry-run', help: 'check FILE, say what would be done, and do nothing' },
  { name: 'json', help: 'print one JSON object at the end instead of the report' },
];

const HELP = `Usage: ticktape record --config FILE [OPTION...]

Records the feeds of a configuration, each collector in a thread of its own, until all feeds have ended (files do), or it is
stopped.

${describeOptions(OPTIONS)}

  ticktape init
  ticktape record --config market.toml --dry-run
  ticktape record --config market.toml --duration 10s

Ctrl-C (SIGINT), SIGTERM and SIGHUP (a closed terminal) stop it: what was received is recorded, put on the storage nodes, and
the tape is closed; the exit status is 0. A second signal ends it at once, with 130, 143 or 129; what was recorded is in the
journal then, and the next start recovers it. Exit status 1 when something could not be stored, 2 when FILE has mistakes:
each is named with its line.
`;

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(args, OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const [surplus] = commandLine.operands;
  if (surplus !== undefined)
    throw new UsageError(`${JSON.stringify(surplus)} is too much: the configuration goes to --config`);
  const duration = commandLine.text('duration');
  const limits = {
    durationMs: duration === undefined ? undefined : parseDurationMs(duration),
    records: commandLine.whole('records', 1, Number.MAX_SAFE_INTEGER, undefined),
  };
  let config: Config;
  try {
    config = override(readConfigFile(commandLine.text('config')), commandLine);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const line of error.message.split('\n')) process.stderr.write(`ticktape: ${line}\n`);
    return 2;
  }
  const json = commandLine.flag('json');
  const colors = !process.env.NO_COLOR;
  setColorEnabled(colors && process.stdout.isTTY === true);
  if (commandLine.flag('dry-run')) {
    process.stdout.write(json ? `${planJson(config)}\n` : plan(config));
    return 0;
  }
  checkFiles(config);
  outliveOutput();
  const signals = new StopSignals();
  try {
    setColorEnabled(colors && process.stderr.isTTY === true);
    const result = await recordFeeds(config, limits, signals.first, json);
    setColorEnabled(colors && process.stdout.isTTY === true);
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : summary(result));
    return result.troubles.length > 0 ? 1 : 0;
  } finally {
    signals.dispose();
  }
}

function readConfigFile(file: string | undefined): Config {
  if (file === undefined) {
    throw new UsageError('--config FILE is missing; ticktape init writes one to begin with');
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const absent = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const message = absent
      ? `there is no file ${file}: ticktape init ${file} writes one to begin with`
      : `can't read ${file}: ${(cause as Error).message}`;
    throw new TapeError(absent ? 'NOT_FOUND' : 'IO', message, { path: file, cause });
  }
  return readConfig(text, file);
}

/** @throws UsageError, TapeError `BAD_OPTION` */
function override(config: Config, commandLine: CommandLine): Config {
  const storage = commandLine.list('storage').map((directory) => path.resolve(directory));
  const journal = commandLine.text('journal');
  const { tape } = config;
  const used = {
    ...tape,
    ...(storage.length > 0 ? { storage } : {}),
    ...(journal === undefined ? {} : { journal: path.resolve(journal) }),
  };
  used.redundancy = commandLine.whole('redundancy', 1, used.storage.length, used.redundancy);
  resolveOptions(used);
  const address = commandLine.text('metrics');
  const metrics = address === undefined ? config.metrics : hostAndPort(address);
  if (metrics === null)
    throw new UsageError(`--metrics is HOST:PORT, as 127.0.0.1:9464, not ${JSON.stringify(address)}`);
  return { ...config, tape: used, metrics };
}

/** Files that are not there now are not waited for. */
function checkFiles({ feeds, path: file }: Config): void {
  for (const { name, collectors } of feeds) {
    const { path: from } = collectors[0].options;
    if (from !== undefined && from !== '-' && !existsSync(from)) {
      throw new TapeError('NOT_FOUND', `there is no file ${from}: check path of feed.${name} in ${file}`, {
        path: from,
      });
    }
  }
}

/** A terminal that is closed, or a reader of a pipe that has gone, is no reason not to close the tape. */
function outliveOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error');
    stream.on('error', () => {});
  }
}
