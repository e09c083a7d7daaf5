import os from 'node:os';
import process from 'node:process';
import { RUNTIME_NAMES, readCommand } from '../helpers/command.mjs';
import { fuzz, keepDirectory } from './harness.mjs';

const USAGE = `Damages blocks in every way it knows, mostly under right checksums, and has them decoded: columns of the right length and type
must come of it, or DamagedBlock. No other error, no crash, no hang, no memory beyond a bound, and nothing left for the next block.

npm run fuzz -- [options]

  --runtime NAME  that decodes: ${RUNTIME_NAMES} (default node)
  --cases N       how many (default 1000000)
  --seed N        what happens derives from it and the number of the case (default 1)
  --from N        the number of the first case (default 0)
  --only N        this case alone
  --jobs N        processes (default: one a core)
  --keep          write the blocks of cases that fail to build/fuzz-<runtime>-<seed>/
  --json          print the result as one line of JSON
  --help          print this

Exit status: 0 nothing is wrong, 1 something is, 2 wrong usage.`;

const { options, whole } = readCommand('fuzz', USAGE, {
  cases: { type: 'string', default: '1000000' },
  seed: { type: 'string', default: '1' },
  from: { type: 'string', default: '0' },
  only: { type: 'string' },
  jobs: { type: 'string', default: String(os.availableParallelism()) },
});
const { runtime, json } = options;
const only = options.only === undefined ? undefined : whole('only', options.only, 0, 2 ** 40);
const cases = only === undefined ? whole('cases', options.cases, 1, 10 ** 10) : 1;
const seed = whole('seed', options.seed, 0, 2 ** 32 - 1);
const from = only ?? whole('from', options.from, 0, 2 ** 40);
const jobs = Math.min(cases, whole('jobs', options.jobs, 1, 256));
const keep = options.keep ? keepDirectory(runtime, seed) : undefined;

const report = await fuzz({
  runtime,
  cases,
  seed,
  from,
  jobs,
  keep,
  onProgress(soFar) {
    if (!process.stderr.isTTY) return;
    const failures = soFar.failures === 0 ? '' : `, ${soFar.failures} failed`;
    process.stderr.write(`\r\x1b[K${runtime}: ${soFar.cases} of ${cases} cases${failures}`);
  },
});
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');

for (const { case: number, what, how, file, replay } of report.found) {
  console.error(`case ${number}${how.length === 0 ? '' : ` (${how.join(', ')})`}: ${what}`);
  if (file !== undefined) console.error(`  the block: ${file}`);
  console.error(`  again: ${replay}`);
}
const result = { ...report, seconds: Math.round(report.seconds * 10) / 10 };
if (json) console.log(JSON.stringify(result));
else {
  const { decoded, refused, failures, hangs, seconds, peakRssBytes, memoryBoundBytes } = result;
  const mebibytes = (/** @type {number} */ bytes) => Math.round(bytes / 1024 ** 2);
  const done = result.cases < cases ? `${result.cases} of ${cases}` : cases;
  console.log(
    `${runtime}: ${done} cases in ${seconds} s, ${decoded} decoded, ${refused} refused, ${failures} failures (${hangs} hangs), ` +
      `${mebibytes(peakRssBytes)} MiB a process of ${mebibytes(memoryBoundBytes)} at most`,
  );
}
process.exitCode = report.failures === 0 && report.cases === cases ? 0 : 1;
