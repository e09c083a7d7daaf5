import { tmpdir } from 'node:os';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from '../../src/cli/command-line.js';

const OPTIONS: OptionSpec[] = [
  { name: 'runtime', value: 'NAME', help: 'node, deno or bun (all three in turn)' },
  { name: 'seconds', value: 'N', help: 'of the feed that are replayed at its own pace (10)' },
  { name: 'records', value: 'N', help: 'that are replayed as fast as can be (5,000,000)' },
  { name: 'runs', value: 'N', help: 'of the latter that the medians are of, after one that does not count (5)' },
  { name: 'directory', value: 'PATH', help: `where the tapes are made (${tmpdir()})` },
  { name: 'json', help: 'prints one JSON object' },
];

export interface ReplayBenchOptions {
  seconds: number;
  records: number;
  runs: number;
  directory: string;
  json: boolean;
  help: boolean;
}

/** @throws UsageError */
export function parseOptions(args: string[]): ReplayBenchOptions {
  const line = new CommandLine(args, OPTIONS);
  if (line.operands.length > 0) throw new UsageError(`unknown argument ${line.operands[0]}`);
  return {
    seconds: line.whole('seconds', 0, 300, 10),
    records: line.whole('records', 100_000, 50_000_000, 5_000_000),
    runs: line.whole('runs', 1, 1000, 5),
    directory: line.text('directory') ?? tmpdir(),
    json: line.flag('json'),
    help: line.flag('help'),
  };
}

export const help =
  () => `Replays a captured feed at its own pace, and says by how much the distances between records are off, in microseconds; then as many
records as wanted as fast as can be, in batches and record by record.

  npm run bench:replay -- [options]

${describeOptions(OPTIONS)}
`;
