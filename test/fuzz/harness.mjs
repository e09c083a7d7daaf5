// Has processes of a runtime decode damaged blocks, and watches that each goes on. This runs on any runtime.
import { spawn } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { root, runtimes } from '../../scripts/runtimes.mjs';

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));
/** Cases that are run again one by one, to see at which a process stopped: more than it does between two things that it says. */
const EACH_CASES = 200_000;
/** What a process may take to start. */
const START_MS = 60_000;
/** Processes that one stream of cases may lose. */
const MOST_LOSSES = 5;

/**
 * What a process is told: cases `from` to `to` - 1, of these every `jobs`-th group from number `job` on.
 * @typedef {object} Task
 * @property {number} seed
 * @property {number} from
 * @property {number} to
 * @property {number} jobs
 * @property {number} job
 * @property {boolean} [each] whether it says every case before it runs it
 * @property {string} [weak] a decoder of weak-decoders.mjs in place of the real one
 * @property {string} [keep] a directory for the blocks of cases that fail
 *
 * @typedef {object} FuzzOptions
 * @property {string} runtime
 * @property {number} cases
 * @property {number} seed
 * @property {number} [from] the number of the first case
 * @property {number} [jobs]
 * @property {number} [hangMs] a case that takes so long hangs
 * @property {string} [keep]
 * @property {string} [weak]
 * @property {(report: Report) => void} [onProgress]
 *
 * @typedef {object} Found
 * @property {number} case
 * @property {string} what
 * @property {string[]} how what was done to the block
 * @property {string} [file] the block
 * @property {string} replay the command that runs it again
 */

/** @typedef {ReturnType<typeof emptyReport>} Report */
const emptyReport = (/** @type {string} */ runtime, /** @type {number} */ seed) => ({
  runtime,
  seed,
  cases: 0,
  /** Columns of the right length and type came of all that was asked of it. */
  decoded: 0,
  /** DamagedBlock. */
  refused: 0,
  /** Anything else, hangs and deaths of the process included. */
  failures: 0,
  hangs: 0,
  deaths: 0,
  seconds: 0,
  /** Of one process, as all that is said of memory. */
  peakRssBytes: 0,
  memoryBoundBytes: 0,
  found: /** @type {Found[]} */ ([]),
});

export async function fuzz(/** @type {FuzzOptions} */ options) {
  const {
    runtime: name,
    cases,
    seed,
    from = 0,
    jobs = 1,
    hangMs = 10_000,
    keep,
    weak,
    onProgress = () => {},
  } = options;
  const runtime = runtimes.find((candidate) => candidate.name === name);
  const report = emptyReport(name, seed);
  const to = from + cases;
  const startMs = performance.now();

  function found(/** @type {any} */ { case: number, from: first, what, how, file }) {
    report.failures++;
    const range = first === number ? `--only ${number}` : `--from ${first} --cases ${number + 1 - first}`;
    const replay = `npm run fuzz -- --runtime ${name} --seed ${seed} ${range}`;
    report.found.push({ case: number, what, how, file, replay });
  }

  /** Runs one process; answers how far it came and why it ended. */
  function run(/** @type {Task} */ task) {
    const child = spawn(runtime.command, [...runtime.args, CHILD, JSON.stringify(task)], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    /** What it has added to the report so far. */
    const before = { cases: 0, decoded: 0, refused: 0 };
    const end = { at: task.from, done: false, hung: false, stderr: '' };
    let pid = 0;
    /** @type {ReturnType<typeof setTimeout>} */
    let silence;
    function listen(/** @type {number} */ silenceMs) {
      clearTimeout(silence);
      silence = setTimeout(() => {
        end.hung = true;
        // By the number that it says: what was started may be a script that starts the runtime.
        if (pid > 0) process.kill(pid, 'SIGKILL');
        child.kill('SIGKILL');
      }, silenceMs);
    }
    listen(START_MS);
    child.stderr.setEncoding('utf8').on('data', (text) => {
      end.stderr = (end.stderr + text).slice(-4000);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said = JSON.parse(line);
      listen(hangMs);
      if (said.pid !== undefined) pid = said.pid;
      if (said.done) end.done = true;
      if (said.failure !== undefined) found(said.failure);
      if (said.at === undefined) return;
      end.at = said.at;
      for (const counter of /** @type {const} */ (['cases', 'decoded', 'refused'])) {
        report[counter] += said[counter] - before[counter];
        before[counter] = said[counter];
      }
      report.peakRssBytes = Math.max(report.peakRssBytes, said.peakRssBytes);
      report.memoryBoundBytes = Math.max(report.memoryBoundBytes, said.boundBytes);
      report.seconds = (performance.now() - startMs) / 1000;
      onProgress(report);
    });
    return new Promise((resolve) => {
      child.on('error', (error) => {
        end.stderr += error.message;
        clearTimeout(silence);
        resolve({ ...end, status: 1 });
      });
      child.on('close', (status) => {
        clearTimeout(silence);
        resolve({ ...end, status });
      });
    });
  }

  /** Runs the stream of one job, with another process where one is lost. */
  async function stream(/** @type {number} */ job) {
    const whole = { seed, to, jobs, job, weak, keep };
    let next = from;
    for (let losses = 0; losses < MOST_LOSSES; losses++) {
      const first = await run({ ...whole, from: next });
      if (first.done) return;
      // It said how far it is now and then only: from there on one by one.
      const last = Math.min(to, first.at + EACH_CASES);
      const second = await run({ ...whole, from: first.at, to: last, each: true });
      const { hung, status, stderr } = second.done ? first : second;
      const what = hung
        ? `nothing for ${hangMs / 1000} s`
        : `the process ended with status ${status}: ${stderr.trim()}`;
      const again = second.done ? ', but not when it was run again' : '';
      const at = second.done ? last - 1 : second.at;
      if (hung) report.hangs++;
      else report.deaths++;
      found({ case: at, from: second.done ? first.at : at, what: what + again, how: [] });
      next = second.at + (second.done ? 0 : 1);
      if (next >= to) return;
    }
  }

  await Promise.all(Array.from({ length: jobs }, (_, job) => stream(job)));
  report.found.sort((a, b) => a.case - b.case);
  report.seconds = (performance.now() - startMs) / 1000;
  return report;
}

/** Where the blocks of failed cases go. */
export const keepDirectory = (/** @type {string} */ runtime, /** @type {number} */ seed) =>
  path.join(root, 'build', `fuzz-${runtime}-${seed}`);
