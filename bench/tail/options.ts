import { tmpdir } from 'node:os';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from '../../src/cli/command-line.js';

export const RUNTIMES = ['node', 'deno', 'bun'] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

const OPTIONS: OptionSpec[] = [
  { name: 'runtime', value: 'NAME', help: 'node, deno or bun tails (all three in turn)' },
  { name: 'writer', value: 'NAME', help: 'and this one writes (the same)' },
  { name: 'pairs', help: 'each of the three writes in turn' },
  { name: 'records', value: 'N', help: 'records of each measurement (20,000)' },
  { name: 'every', value: 'US', help: 'microseconds from one record to the next (100)' },
  { name: 'idle', value: 'MS', help: 'how long an idle tail is watched (5,000)' },
  { name: 'directory', value: 'PATH', help: `where the tape is made (${tmpdir()})` },
  { name: 'json', help: 'prints one JSON object a pair' },
  { name: 'write', help: 'for the other process' },
];

export interface TailBenchOptions {
  writers: RuntimeName[] | null;
  records: number;
  everyUs: number;
  idleMs: number;
  directory: string;
  json: boolean;
  write: boolean;
  help: boolean;
}

/** @throws UsageError */
export function parseOptions(args: string[]): TailBenchOptions {
  const line = new CommandLine(args, OPTIONS);
  if (line.operands.length > 0) throw new UsageError(`unknown argument ${line.operands[0]}`);
  const writer = RUNTIMES.find((name) => name === line.text('writer'));
  if (writer === undefined && line.text('writer') !== undefined)
    throw new UsageError(`--writer takes ${RUNTIMES.join(', ')}`);
  return {
    writers: line.flag('pairs') ? [...RUNTIMES] : writer === undefined ? null : [writer],
    records: line.whole('records', 100, 10_000_000, 20_000),
    everyUs: line.whole('every', 1, 1_000_000, 100),
    idleMs: line.whole('idle', 0, 600_000, 5000),
    directory: line.text('directory') ?? tmpdir(),
    json: line.flag('json'),
    write: line.flag('write'),
    help: line.flag('help'),
  };
}

export const help = () => `How long after it began to append a record another process has it, and what waiting costs.

  npm run bench:tail -- [options]

${describeOptions(OPTIONS)}
`;
