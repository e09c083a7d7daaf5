// How small and how fast are blocks? On the runtime that this runs on; scripts/bench-codec.mjs runs it on each and puts the
// figures together:
//
//   npm run bench:codec -- --help
import process from 'node:process';
import { runtime } from 'ticktape/runtime';
import { UsageError } from '../src/cli/command-line.js';
import { loadDataSet, missingFile } from './codec/data.js';
import { help, parseOptions } from './codec/options.js';
import { describeColumns } from './codec/show-columns.js';
import { TapeCodec } from './codec/tape-codec.js';

async function main(args: string[]): Promise<void> {
  const options = parseOptions(args);
  if (options === 'help') {
    process.stdout.write(help());
    return;
  }
  const zstd = await runtime.zstd();
  for (const name of options.dataSets) {
    const missing = missingFile(name);
    if (missing !== undefined) {
      console.error(`${name} is left out: there is no ${missing}`);
      continue;
    }
    const data = await loadDataSet(name, options.limit);
    const codec = new TapeCodec(data, options.blockRecords, zstd, options.compression);
    if (options.columns) console.log(`${describeColumns(name, data, codec, options)}\n`);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`bench:codec: ${(error as Error).message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
