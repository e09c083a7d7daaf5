import process from 'node:process';
import { RUNTIME_NAMES, readCommand } from '../helpers/command.mjs';
import { WRONGS } from './checker.mjs';
import { crash, DEFAULT_WORKERS } from './harness.mjs';
import { ROUNDS_PER_TAPE } from './plan.mjs';

const DEFAULT_ROUNDS = 100;

const USAGE = `Kills a process that records, again and again, and checks that what it acknowledged is on the tape once and in order: ten
workers append, each block is kept on two of four storage nodes. In each round a process is started and killed with SIGKILL while its workers
append, or while it opens or closes the tape; in some it ends by itself or one of its workers is terminated, and in some the processes that
recover what it left are killed too. Then the tape is opened, all of it is read, and every copy is verified.

With --delete one of the storage nodes, chosen at random, is deleted after each kill, with all that is on it. The tape is opened with
that storage node given up as lost and an empty directory in its place, and repaired, by its writer or by repairTape once it is closed. In
some rounds the repair is killed and run again. Then there must be two good copies of every block, on two storage nodes, no more and no
less.

npm run crash -- [options]

  --runtime NAME  of the process that is killed and of the one that recovers: ${RUNTIME_NAMES} (default node)
  --rounds N      how often (default ${DEFAULT_ROUNDS})
  --kills N       instead: until so many kills struck a process at what they were meant for; a few more may
  --delete        delete a storage node in each round, and repair the tape
  --seed N        what happens derives from it, but for the moment that a kill strikes (default 1)
  --from N        the number of the first round, a multiple of ${ROUNDS_PER_TAPE} (default 0): ${ROUNDS_PER_TAPE} rounds share a tape
  --workers N     threads that append, 2 to 32 (default ${DEFAULT_WORKERS})
  --keep          leave the directories of all tapes, not just of those where something is wrong
  --json          print the result as one line of JSON
  --help          print this

A tape on which something is wrong is left as it is, with the command that runs its rounds again. The figures: records acknowledged; lost
(acknowledged and gone), duplicated, reordered (behind a later one of its worker), altered, holes (not acknowledged, gone, with a later one
there), unexpected (never appended), misnumbered (of another sequence than the next; only where a storage node was given up may sequences
jump); kills that struck, killed: at what; deleted storage nodes; repaired: copies that repair made; copiesMade: by recovery;
underReplicated: blocks with too few good copies in the end; failures: rounds with anything wrong.

Exit status: 0 nothing is wrong, 1 something is, 2 wrong usage.`;

const { options, whole, usage } = readCommand('crash', USAGE, {
  rounds: { type: 'string' },
  kills: { type: 'string' },
  delete: { type: 'boolean', default: false },
  seed: { type: 'string', default: '1' },
  from: { type: 'string', default: '0' },
  workers: { type: 'string', default: String(DEFAULT_WORKERS) },
});
const { runtime, keep, json } = options;
if (options.rounds !== undefined && options.kills !== undefined) usage('--rounds and --kills: one of the two');
const kills = options.kills === undefined ? undefined : whole('kills', options.kills, 1, 1_000_000);
const rounds =
  kills === undefined ? whole('rounds', options.rounds ?? String(DEFAULT_ROUNDS), 1, 1_000_000) : undefined;
const seed = whole('seed', options.seed, 0, 2 ** 32 - 1);
const from = whole('from', options.from, 0, 2 ** 31);
const workers = whole('workers', options.workers, 2, 32);
if (from % ROUNDS_PER_TAPE !== 0) usage(`--from ${from}: a multiple of ${ROUNDS_PER_TAPE}`);

const wrongOf = (/** @type {any} */ report) => WRONGS.map((wrong) => `${report[wrong]} ${wrong}`).join(', ');
const report = await crash({
  runtime,
  rounds,
  kills,
  deleting: options.delete,
  seed,
  from,
  workers,
  keep,
  onRound(soFar) {
    if (!process.stderr.isTTY) return;
    const failures = soFar.failures.length === 0 ? '' : `, ${soFar.failures.length} rounds failed`;
    const done =
      kills === undefined
        ? `round ${soFar.rounds} of ${rounds}`
        : `round ${soFar.rounds}, kill ${soFar.kills} of ${kills}`;
    process.stderr.write(`\r\x1b[K${runtime}: ${done}, ${soFar.acknowledged} acknowledged${failures}`);
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
  const deletions = report.deleting
    ? `; ${report.deleted} storage nodes deleted, ${report.repaired} copies repaired, ${report.underReplicated} blocks with too few`
    : '';
  console.log(
    `${runtime}: ${report.rounds} rounds in ${result.seconds} s, ${report.kills} kills struck, ${report.acknowledged} records ` +
      `acknowledged by ${workers} workers: ${wrongOf(report)}${deletions}`,
  );
}
process.exitCode = report.failures.length === 0 ? 0 : 1;
