import process from 'node:process';
import type { Compression } from 'ticktape';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from '../../src/cli/command-line.js';
import { resolveOptions } from '../../src/options.js';
import { DATA_SETS } from './data.js';

const OPTIONS: OptionSpec[] = [
  { name: 'runtime', value: 'NAME', help: 'node, deno or bun (all three in turn)' },
  { name: 'dataset', value: 'NAME', help: `one of ${DATA_SETS.join(', ')} (all)` },
  { name: 'limit', value: 'N', help: 'at most so many records of each' },
  { name: 'block', value: 'N', help: 'records a block (10,000)' },
  { name: 'runs', value: 'N', help: 'runs over all blocks that the medians are of (11)' },
  {
    name: 'compression',
    value: 'C',
    help: "the tape's option: off, or zstd:LEVEL, or JSON (what a tape does by default)",
  },
  { name: 'columns', help: 'shows how each column is encoded and what it takes, and measures no speed' },
  { name: 'json', help: 'prints one JSON object' },
];

export interface BenchOptions {
  dataSets: string[];
  limit: number;
  blockRecords: number;
  runs: number;
  compression: Compression;
  columns: boolean;
  help: boolean;
}

/** @throws UsageError */
export function parseOptions(args: string[]): BenchOptions {
  const line = new CommandLine(args, OPTIONS);
  if (line.operands.length > 0) throw new UsageError(`unknown argument ${line.operands[0]}`);
  const dataSet = line.text('dataset');
  if (dataSet !== undefined && !DATA_SETS.includes(dataSet)) {
    throw new UsageError(`--dataset takes ${DATA_SETS.join(', ')}, not ${dataSet}`);
  }
  return {
    dataSets: dataSet === undefined ? DATA_SETS : [dataSet],
    limit: line.whole('limit', 1, 1e9, Number.POSITIVE_INFINITY),
    blockRecords: line.whole('block', 16, 1_000_000, 10_000),
    runs: line.whole('runs', 1, 10_000, 11),
    compression: compressionOf(line.text('compression')),
    columns: line.flag('columns'),
    help: line.flag('help'),
  };
}

export const help = () => `Bytes a record and speed of the block codec, beside what else one could do.

  npm run bench:codec -- [options]

${describeOptions(OPTIONS)}
`;

/** What a tape makes of the option. @throws UsageError */
export function compressionOf(text: string | undefined): Compression {
  const level = /^zstd:(\d+)$/.exec(text ?? '')?.[1];
  try {
    const compression = level !== undefined ? { zstd: Number(level) } : text?.startsWith('{') ? JSON.parse(text) : text;
    // What a tape makes of it, the default included.
    return resolveOptions({ storage: ['.'], compression }).compression;
  } catch (error) {
    throw new UsageError(`--compression ${text}: ${(error as Error).message}`);
  }
}

/** Runs a program of the benchmark: what it throws becomes a line and an exit status. */
export async function report(program: () => Promise<void>): Promise<void> {
  try {
    await program();
  } catch (error) {
    console.error(`bench:codec: ${(error as Error).message}`);
    if (process.env.TICKTAPE_DEBUG !== undefined) console.error(error);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
