import { tmpdir } from 'node:os';
import type { Compression } from 'ticktape';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from '../../src/cli/command-line.js';
import { compressionOf } from '../codec/options.js';
import { RECORDS } from '../flush/records.js';

const OPTIONS: OptionSpec[] = [
  { name: 'runtime', value: 'NAME', help: 'node, deno or bun (all three in turn)' },
  { name: 'dataset', value: 'NAME', help: `one of ${RECORDS.join(', ')} (trade)` },
  { name: 'slower', value: 'N', help: 'the writes of the slow storage node take so many times as long (50)' },
  { name: 'records', value: 'N', help: 'records a run (2,000,000)' },
  { name: 'runs', value: 'N', help: 'runs that the medians are of, after one that does not count (7)' },
  {
    name: 'compression',
    value: 'C',
    help: "the tape's option: adaptive, fast, dense, off, or zstd:LEVEL (what a tape does by default)",
  },
  { name: 'directory', value: 'PATH', help: `where the storage directories are made (${tmpdir()})` },
  { name: 'json', help: 'prints one JSON object' },
];

export interface RedundancyOptions {
  dataSet: string;
  slower: number;
  records: number;
  runs: number;
  compression: Compression;
  directory: string;
  json: boolean;
  help: boolean;
}

/** @throws UsageError */
export function parseOptions(args: string[]): RedundancyOptions {
  const line = new CommandLine(args, OPTIONS);
  if (line.operands.length > 0) throw new UsageError(`unknown argument ${line.operands[0]}`);
  const dataSet = line.text('dataset') ?? 'trade';
  if (!RECORDS.includes(dataSet)) throw new UsageError(`--dataset takes ${RECORDS.join(', ')}, not ${dataSet}`);
  return {
    dataSet,
    slower: line.whole('slower', 1, 10_000, 50),
    records: line.whole('records', 10_000, 50_000_000, 2_000_000),
    runs: line.whole('runs', 1, 1000, 7),
    compression: compressionOf(line.text('compression')),
    directory: line.text('directory') ?? tmpdir(),
    json: line.flag('json'),
    help: line.flag('help'),
  };
}

export const help =
  () => `Records a second from the first append until flush() has resolved, with 1, 2 and 3 copies on four storage nodes, and
with 2 while one of these is slow.

  npm run bench:redundancy -- [options]

${describeOptions(OPTIONS)}
`;
