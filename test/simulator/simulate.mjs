import process from 'node:process';
import { RUNTIME_NAMES, readCommand } from '../helpers/command.mjs';
import { BUGS, hunt, MOST_SEEDS } from './bugs.mjs';
import { simulate } from './harness.mjs';

const USAGE = `Runs ticktape on a simulated storage and clock, where processes die, the power fails and disks break, and checks what is
left: a scenario a seed, and everything in it follows from the seed. What may fail and what must hold stands at the top of test/simulator.ts.

npm run simulate -- [options]

  --runtime NAME  that runs it: ${RUNTIME_NAMES} (default node)
  --seeds N       how many (default 1000)
  --from N        the first (default 1)
  --seed N        this one alone
  --verbose       print every step
  --jobs N        processes (default 2)
  --bugs          show that it finds things: ${BUGS.length} deliberate bugs, each within ${MOST_SEEDS} seeds
  --json          print the result as one line of JSON
  --help          print this

Exit status: 0 nothing is wrong, 1 something is (or a bug was not found), 2 wrong usage.`;

const { options, whole } = readCommand('simulate', USAGE, {
  seeds: { type: 'string', default: '1000' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  jobs: { type: 'string', default: '2' },
  bugs: { type: 'boolean', default: false },
  verbose: { type: 'boolean', default: false },
});
const { runtime, json, verbose } = options;
const only = options.seed === undefined ? undefined : whole('seed', options.seed, 0, 2 ** 40);
const seeds = only === undefined ? whole('seeds', options.seeds, 1, 10 ** 9) : 1;
const from = only ?? whole('from', options.from, 0, 2 ** 40);
const jobs = Math.min(seeds, whole('jobs', options.jobs, 1, 256));

function progress(/** @type {string} */ text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

if (options.bugs) {
  const hunted = await hunt({ runtime, from, jobs, onProgress: progress });
  progress('');
  for (const { name, seeds: needed, violation } of hunted) {
    if (!json)
      console.log(
        `${name.padEnd(52)} ${violation === null ? `not in ${needed} seeds` : `${needed} seeds: ${violation}`}`,
      );
  }
  if (json) console.log(JSON.stringify({ runtime, bugs: hunted }));
  process.exitCode = hunted.every(({ violation }) => violation !== null) ? 0 : 1;
} else {
  const report = await simulate({
    runtime,
    seeds,
    from,
    jobs,
    verbose,
    onTrace: (line) => console.error(line),
    onProgress: (soFar) =>
      progress(
        `${runtime}: ${soFar.seeds} of ${seeds} seeds${soFar.violations > 0 ? `, ${soFar.violations} failed` : ''}`,
      ),
  });
  progress('');
  for (const { seed, violations, replay } of report.found.slice(0, 20)) {
    console.error(`seed ${seed}:`);
    for (const violation of violations) console.error(`  ${violation}`);
    console.error(`  again: ${replay}`);
  }
  if (json) console.log(JSON.stringify(report));
  else {
    const { violations, operations, records, seconds, known, faults } = report;
    console.log(
      `${runtime}: ${report.seeds} seeds in ${seconds} s, ${operations} operations, ${records} records: ${violations} violations`,
    );
    for (const [name, times] of Object.entries(faults)) console.log(`  ${String(times).padStart(8)} ${name}`);
    for (const [name, times] of Object.entries(known)) console.log(`  known, and not counted: ${name}: ${times} seeds`);
  }
  process.exitCode = report.violations === 0 && report.seeds === seeds ? 0 : 1;
}
