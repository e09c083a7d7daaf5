// Has processes of a runtime run seeds, and watches that each goes on. This runs on any runtime.
import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { root, runtimes } from '../../scripts/runtimes.mjs';
import { build } from './build.mjs';
import { KNOWN } from './known.mjs';

/** A process that says nothing for so long hangs in a seed. */
const HANG_MS = 120_000;

/**
 * @typedef {object} SimulateOptions
 * @property {string} runtime
 * @property {number} seeds how many
 * @property {number} [from] the first
 * @property {number} [jobs] processes
 * @property {boolean} [verbose]
 * @property {boolean} [stop] a violation that is not known ends it
 * @property {string} [name] of what is run
 * @property {readonly import('./build.mjs').Patch[]} [patches] to it
 * @property {(report: Report) => void} [onProgress]
 * @property {(line: string) => void} [onTrace]
 */

/** @typedef {ReturnType<typeof emptyReport>} Report */
const emptyReport = (/** @type {string} */ runtime) => ({
  runtime,
  seeds: 0,
  /** Seeds with one. */
  violations: 0,
  faults: /** @type {Record<string, number>} */ ({}),
  operations: 0,
  records: 0,
  /** Of all that happened and was read in all seeds: the same on every runtime. */
  traceHash: 0,
  seconds: 0,
  /** Seeds whose violation is a known one, by its name. */
  known: /** @type {Record<string, number>} */ ({}),
  found: /** @type {{ seed: number, violations: string[], replay: string }[]} */ ([]),
});

export async function simulate(/** @type {SimulateOptions} */ options) {
  const { runtime: name, seeds, from = 1, jobs = 1, verbose = false, stop = false } = options;
  const { onProgress = () => {}, onTrace = () => {} } = options;
  const runtime = /** @type {typeof runtimes[number]} */ (runtimes.find((candidate) => candidate.name === name));
  const entry = build(runtime, options.name ?? 'sound', options.patches);
  const report = emptyReport(name);
  const startMs = performance.now();
  const to = from + seeds;
  /** @type {Set<() => void>} */
  const ends = new Set();

  function fail(/** @type {number} */ seed, /** @type {string[]} */ violations) {
    const known = KNOWN.find(({ pattern }) => pattern.test(violations[0]));
    if (known !== undefined) {
      report.known[known.name] = (report.known[known.name] ?? 0) + 1;
      return;
    }
    report.violations++;
    const replay = `npm run simulate -- --runtime ${name} --seed ${seed}`;
    report.found.push({ seed, violations, replay });
    if (stop) for (const end of ends) end();
  }

  function run(/** @type {number} */ job) {
    const task = { from: from + job, to, step: jobs, verbose, stop: false };
    const child = spawn(runtime.command, [...runtime.args, entry, JSON.stringify(task)], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let pid = 0;
    let at = task.from;
    let done = false;
    let ended = false;
    let stderr = '';
    const end = () => {
      ended = true;
      // By the number that it says: what was started may be a script that starts the runtime.
      if (pid > 0) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {}
      }
      child.kill('SIGKILL');
    };
    ends.add(end);
    /** @type {ReturnType<typeof setTimeout>} */
    let silence;
    const listen = () => {
      clearTimeout(silence);
      silence = setTimeout(() => {
        fail(at, [`nothing for ${HANG_MS / 1000} s, from this seed on (every ${jobs}th)`]);
        end();
      }, HANG_MS);
    };
    listen();
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr = (stderr + text).slice(-4000);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      listen();
      if (ended) return;
      const said = JSON.parse(line);
      if (said.pid !== undefined) pid = said.pid;
      if (said.done) done = true;
      if (said.trace !== undefined) onTrace(said.trace);
      if (said.failure !== undefined) fail(said.failure.seed, said.failure.violations);
      if (said.at === undefined) return;
      at = said.at;
      report.seeds += said.seeds;
      report.operations += said.operations;
      report.records += said.records;
      report.traceHash = (report.traceHash + said.traceHash) >>> 0;
      for (const [fault, times] of Object.entries(said.faults)) {
        report.faults[fault] = (report.faults[fault] ?? 0) + times;
      }
      report.seconds = (performance.now() - startMs) / 1000;
      onProgress(report);
    });
    return new Promise((resolve) => {
      child.on('error', (error) => {
        stderr += error.message;
      });
      child.on('close', (status) => {
        clearTimeout(silence);
        if (!done && !ended) fail(at, [`the process ended with status ${status} after seed ${at}: ${stderr.trim()}`]);
        resolve(undefined);
      });
    });
  }

  await Promise.all(Array.from({ length: Math.min(jobs, seeds) }, (_, job) => run(job)));
  report.found.sort((a, b) => a.seed - b.seed);
  report.faults = Object.fromEntries(Object.entries(report.faults).sort(([a], [b]) => (a < b ? -1 : 1)));
  report.seconds = Math.round((performance.now() - startMs) / 100) / 10;
  return report;
}
