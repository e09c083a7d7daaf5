import process from 'node:process';
import { RUNTIME_NAMES, readCommand } from '../helpers/command.mjs';
import { WRONGS } from './checker.mjs';
import { crash } from './harness.mjs';
import { ROUNDS_PER_TAPE } from './plan.mjs';

const USAGE = `Kills a process that records, again and again, and checks that what it acknowledged is on the tape once and in order.

npm run crash -- [options]

  --runtime NAME  of the process that is killed and of the one that recovers: ${RUNTIME_NAMES} (default node)
  --rounds N      how often (default 100)
  --seed N        what happens derives from it, but for the moment that a kill strikes (default 1)
  --from N        the number of the first round, a multiple of ${ROUNDS_PER_TAPE} (default 0): ${ROUNDS_PER_TAPE} rounds share a tape
  --workers N     threads that append (default 3)
  --keep          leave the directories of all tapes, not just of those where something is wrong
  --json          print the result as one line of JSON
  --help          print this

Exit status: 0 nothing is wrong, 1 something is, 2 wrong usage.`;

const { options, whole, usage } = readCommand('crash', USAGE, {
  rounds: { type: 'string', default: '100' },
  seed: { type: 'string', default: '1' },
  from: { type: 'string', default: '0' },
  workers: { type: 'string', default: '3' },
});
const { runtime, keep, json } = options;
const rounds = whole('rounds', options.rounds, 1, 1_000_000);
const seed = whole('seed', options.seed, 0, 2 ** 32 - 1);
const from = whole('from', options.from, 0, 2 ** 31);
const workers = whole('workers', options.workers, 2, 32);
if (from % ROUNDS_PER_TAPE !== 0) usage(`--from ${from}: a multiple of ${ROUNDS_PER_TAPE}`);

const wrongOf = (/** @type {any} */ report) => WRONGS.map((wrong) => `${report[wrong]} ${wrong}`).join(', ');
const report = await crash({
  runtime,
  rounds,
  seed,
  from,
  workers,
  keep,
  onRound(soFar) {
    if (!process.stderr.isTTY) return;
    const failures = soFar.failures.length === 0 ? '' : `, ${soFar.failures.length} rounds failed`;
    process.stderr.write(
      `\r\x1b[K${runtime}: round ${soFar.rounds} of ${rounds}, ${soFar.acknowledged} acknowledged${failures}`,
    );
  },
});
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');

for (const { round, ending, wrong, directory, replay } of report.failures) {
  console.error(`round ${round} (${ending}), ${directory}:`);
  for (const line of wrong) console.error(`  ${line}`);
  console.error(`  again: ${replay}`);
}
const { directory, ...result } = { ...report, seconds: Math.round(report.seconds * 10) / 10 };
if (keep) console.error(`directories: ${directory}`);
if (json) console.log(JSON.stringify(result));
else {
  console.log(
    `${runtime}: ${report.rounds} rounds in ${result.seconds} s, ${report.acknowledged} records acknowledged: ${wrongOf(report)}`,
  );
}
process.exitCode = report.failures.length === 0 ? 0 : 1;
