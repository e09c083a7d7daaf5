// How small and how fast are blocks? Prints what this runtime makes of the data sets as JSON; scripts/bench-codec.mjs runs it on
// each runtime and puts the figures together:
//
//   npm run bench:codec -- --help
import process from 'node:process';
import { runtime } from 'ticktape/runtime';
import { Progress } from '../src/cli/progress.js';
import { loadDataSet, missingFile } from './codec/data.js';
import { type Measured, measure } from './codec/measure.js';
import { help, parseOptions, report } from './codec/options.js';
import { describeColumns } from './codec/show-columns.js';
import { TapeCodec } from './codec/tape-codec.js';

await report(async () => {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(help());
    return;
  }
  const zstd = await runtime.zstd();
  const measured: Record<string, Measured> = {};
  const progress = new Progress();
  for (const name of options.dataSets) {
    const missing = missingFile(name);
    if (missing !== undefined) {
      console.error(`${name} is left out: there is no ${missing}`);
      continue;
    }
    const data = await loadDataSet(name, options.limit);
    const codec = new TapeCodec(data, options.blockRecords, zstd, options.compression);
    if (options.columns) {
      console.log(`${describeColumns(name, data, codec, options)}\n`);
      continue;
    }
    progress.begin(`${runtime.name} ${name}`);
    measured[name] = measure(data, codec, options, zstd, (run) => progress.update(run, options.runs));
    progress.end();
  }
  if (!options.columns) console.log(JSON.stringify(measured));
});
