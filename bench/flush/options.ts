import { tmpdir } from 'node:os';
import type { Compression } from 'ticktape';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from '../../src/cli/command-line.js';
import { compressionOf } from '../codec/options.js';
import { RECORDS } from './records.js';

const STORAGE_NODES = [2, 4];

const OPTIONS: OptionSpec[] = [
  { name: 'runtime', value: 'NAME', help: 'node, deno or bun (all three in turn)' },
  { name: 'dataset', value: 'NAME', help: `one of ${RECORDS.join(', ')} (all)` },
  {
    name: 'nodes',
    value: 'N',
    help: `${STORAGE_NODES.join(' or ')} storage directories, two of which get each block (both)`,
  },
  { name: 'records', value: 'N', help: 'records a run (5,000,000)' },
  { name: 'runs', value: 'N', help: 'runs that the medians are of, after one that does not count (5)' },
  {
    name: 'compression',
    value: 'C',
    help: "the tape's option: adaptive, fast, dense, off, or zstd:LEVEL (what a tape does by default)",
  },
  { name: 'directory', value: 'PATH', help: `where the storage directories are made (${tmpdir()})` },
  { name: 'json', help: 'prints one JSON object' },
];

export interface FlushOptions {
  dataSets: string[];
  nodes: number[];
  records: number;
  runs: number;
  compression: Compression;
  directory: string;
  json: boolean;
  help: boolean;
}

/** @throws UsageError */
export function parseOptions(args: string[]): FlushOptions {
  const line = new CommandLine(args, OPTIONS);
  if (line.operands.length > 0) throw new UsageError(`unknown argument ${line.operands[0]}`);
  const dataSet = line.text('dataset');
  if (dataSet !== undefined && !RECORDS.includes(dataSet)) {
    throw new UsageError(`--dataset takes ${RECORDS.join(', ')}, not ${dataSet}`);
  }
  const nodes = line.whole('nodes', 2, 4, undefined);
  if (nodes !== undefined && !STORAGE_NODES.includes(nodes)) {
    throw new UsageError(`--nodes takes ${STORAGE_NODES.join(' or ')}, not ${nodes}`);
  }
  return {
    dataSets: dataSet === undefined ? RECORDS : [dataSet],
    nodes: nodes === undefined ? STORAGE_NODES : [nodes],
    records: line.whole('records', 10_000, 50_000_000, 5_000_000),
    runs: line.whole('runs', 1, 1000, 5),
    compression: compressionOf(line.text('compression')),
    directory: line.text('directory') ?? tmpdir(),
    json: line.flag('json'),
    help: line.flag('help'),
  };
}

export const help = () => `Records a second from the first append until flush() has resolved, beside what limits them.

  npm run bench:flush -- [options]

${describeOptions(OPTIONS)}
`;
