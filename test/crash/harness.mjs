// Kills a process that records, again and again, and has another one look at what it left, or at what is left when a storage node is
// deleted too. Both run on the runtime that is asked for; this runs on any.
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { root, runtimes } from '../../scripts/runtimes.mjs';
import { WRONGS } from './checker.mjs';
import { planDeletion, planRound, planTape, ROUNDS_PER_TAPE } from './plan.mjs';

const STORAGE_NODES = 4;
export const DEFAULT_WORKERS = 10;
/** Where so many tapes are not as they should be, others would be no better. */
const MOST_FAILURES = 20;
/** While one tape's processes start or are waited for, another's do something. */
const TAPES_AT_ONCE = 2;
/** A process that says nothing for so long hangs. */
const SILENCE_MS = 60_000;
const VICTIM = fileURLToPath(new URL('victim.mjs', import.meta.url));
const VERIFIER = fileURLToPath(new URL('verifier.mjs', import.meta.url));

/** A process of the runtime, which says on stdout how far it is, a line a step. */
class Child {
  #process;
  /** What it said, by the first word of the line, and when. @type {Map<string, { rest: string, atMs: number }>} */
  #said = new Map();
  #stderr = '';
  /** @type {{ status: number | null } | null} */
  #end = null;
  #wake = () => {};

  constructor(/** @type {{ command: string, args: string[] }} */ runtime, /** @type {string} */ script, task) {
    const stdio = /** @type {const} */ (['ignore', 'pipe', 'pipe']);
    this.#process = spawn(runtime.command, [...runtime.args, script, JSON.stringify(task)], { cwd: root, stdio });
    this.#process.stderr.setEncoding('utf8').on('data', (text) => {
      this.#stderr += text;
    });
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      const [word] = line.split(' ', 1);
      this.#said.set(word, { rest: line.slice(word.length + 1), atMs: performance.now() });
      this.#wake();
    });
    const end = (/** @type {number | null} */ status) => {
      this.#end ??= { status };
      this.#wake();
    };
    this.#process.on('error', (error) => {
      this.#stderr += error.message;
      end(1);
    });
    this.#process.on('close', end);
  }

  /** What stands behind `word` once it said that. @throws Error where it ended before */
  async said(/** @type {string} */ word) {
    for (;;) {
      const said = this.#said.get(word);
      if (said !== undefined) return said.rest;
      if (this.#end !== null) throw new Error(`${this.#ended()}, before it said "${word}"`);
      await this.#news(word);
    }
  }

  /** @throws Error where it ended otherwise than with status 0 */
  async ended() {
    while (this.#end === null) await this.#news('that it ended');
    if (this.#end.status !== 0) throw new Error(this.#ended());
  }

  /** Milliseconds between two things that it said, or undefined. */
  between(/** @type {string} */ from, /** @type {string} */ to) {
    const [start, end] = [this.#said.get(from), this.#said.get(to)];
    return start === undefined || end === undefined ? undefined : end.atMs - start.atMs;
  }

  /** Answers whether that is what ended it. @throws Error where it failed by itself */
  async kill() {
    const pid = Number(await this.said('opening'));
    const struck = this.#end === null;
    try {
      // By the number that it says: what was started may be a script that starts the runtime.
      if (struck) process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
    while (this.#end === null) await this.#news('that it ended');
    if (this.#stderr !== '') throw new Error(this.#ended());
    return struck && this.#end.status !== 0;
  }

  #ended() {
    const why = this.#stderr.trim();
    return `${path.basename(this.#process.spawnargs.at(-2) ?? '')} ended with status ${this.#end?.status}: ${why}`;
  }

  async #news(/** @type {string} */ expected) {
    const silent = setTimeout(() => {
      this.#stderr += `nothing about "${expected}" within ${SILENCE_MS / 1000} s after "${[...this.#said.keys()].at(-1) ?? ''}"`;
      const pid = this.#said.get('opening')?.rest;
      if (pid !== undefined) process.kill(Number(pid), 'SIGKILL');
      this.#process.kill('SIGKILL');
    }, SILENCE_MS);
    await new Promise((resolve) => {
      this.#wake = () => resolve(undefined);
    });
    clearTimeout(silent);
  }
}

/** A tape, and what is known of it, from one round to the next. */
class Victim {
  constructor(
    /** @type {number} */ seed,
    /** @type {number} */ index,
    /** @type {number} */ workers,
    /** @type {string} */ parent,
    /** @type {boolean} */ isDeleting,
  ) {
    this.directory = path.join(parent, `tape-${index}`);
    this.tape = path.join(this.directory, 'tape');
    /** A copy of what the last round left, before it was verified. */
    this.left = path.join(this.directory, 'left');
    this.progress = path.join(this.directory, 'progress');
    mkdirSync(this.tape, { recursive: true });
    this.storage = Array.from({ length: STORAGE_NODES }, (_, i) => path.join(this.tape, `d${i}`));
    /** Apart from the storage nodes where these are deleted. */
    this.journal = isDeleting ? path.join(this.tape, 'journal') : undefined;
    /** The storage node that was deleted in this round. @type {string | null} */
    this.lost = null;
    /** Whether the tape must say that it misses it, as it was open with it and not since. */
    this.isMissed = false;
    this.wasOpen = false;
    this.plan = planTape(seed, index);
    /** The last counter of each worker that is on the tape. */
    this.counters = new Array(workers).fill(0);
    this.blocks = 0;
  }

  /** What its processes are told. */
  get task() {
    const { storage, journal, lost, isMissed, progress, counters } = this;
    return { ...this.plan, storage, journal, lost, isMissed, progress, counters, repairer: null };
  }

  writeProgress() {
    writeFileSync(this.progress, new Uint32Array(this.counters.flatMap((counter) => [counter, counter])));
  }

  readProgress() {
    const bytes = readFileSync(this.progress);
    const column = (/** @type {number} */ at) => this.counters.map((_, worker) => bytes.readUInt32LE(8 * worker + at));
    return { acknowledged: column(0), attempted: column(4) };
  }

  /** With all that is in it. */
  delete(/** @type {number} */ storageNode) {
    this.lost = this.storage[storageNode];
    this.isMissed = this.wasOpen;
    rmSync(this.lost, { recursive: true, force: true });
  }

  keepWhatIsLeft() {
    rmSync(this.left, { recursive: true, force: true });
    cpSync(this.tape, this.left, { recursive: true });
  }
}

/**
 * @typedef {object} CrashOptions
 * @property {string} runtime
 * @property {number} [rounds] how many; or
 * @property {number} [kills] as many as it takes for so many to strike
 * @property {boolean} [deleting] whether a storage node is deleted in each round
 * @property {number} seed
 * @property {number} [from] the number of the first round, a multiple of ROUNDS_PER_TAPE
 * @property {number} [workers]
 * @property {boolean} [keep] whether the directories of tapes without a failure stay too
 * @property {(report: Report) => void} [onRound]
 *
 * @typedef {object} Failure
 * @property {number} round
 * @property {string} ending
 * @property {string[]} wrong
 * @property {string} directory the tape as it is now; beside it, in `left`, as it was before it was verified
 * @property {string} replay the command that runs the rounds of this tape again
 */

/** @typedef {ReturnType<typeof emptyReport>} Report */
const emptyReport = (
  /** @type {string} */ runtime,
  /** @type {number} */ seed,
  /** @type {number} */ workers,
  /** @type {boolean} */ deleting,
) => ({
  runtime,
  seed,
  workers,
  deleting,
  rounds: 0,
  /** Those that struck, all of `killed`. */
  kills: 0,
  acknowledged: 0,
  lost: 0,
  duplicated: 0,
  reordered: 0,
  altered: 0,
  holes: 0,
  unexpected: 0,
  misnumbered: 0,
  /** On the tape though the process ended before it could acknowledge them. */
  unacknowledged: 0,
  /** Records that only lanes held. */
  recovered: 0,
  blocks: 0,
  /** By what recovery reports of them. */
  copiesMade: 0,
  tornCopies: 0,
  /** Storage nodes, with all that was on them. */
  deleted: 0,
  /** Copies that the repairs made which came to their end. */
  repaired: 0,
  /** Blocks with fewer good copies than there should be, or on fewer storage nodes, once all was recovered and repaired. */
  underReplicated: 0,
  /** Kills that struck a process at what they were meant for. */
  killed: { appending: 0, recovering: 0, opening: 0, closing: 0, repairing: 0 },
  seconds: 0,
  failures: /** @type {Failure[]} */ ([]),
});

/** What a process says when it begins with it, and when it is done. */
const STEPS = /** @type {const} */ ({
  opening: ['opening', 'open'],
  recovering: ['opening', 'open'],
  closing: ['closing', 'closed'],
  repairing: ['repairing', 'repaired'],
});

export async function crash(/** @type {CrashOptions} */ options) {
  const { runtime: name, seed, from = 0, workers = DEFAULT_WORKERS, deleting = false, keep = false } = options;
  const { rounds = Infinity, kills = Infinity, onRound = () => {} } = options;
  const runtime = runtimes.find((candidate) => candidate.name === name);
  const parent = mkdtempSync(path.join(tmpdir(), 'ticktape-crash-'));
  const startMs = performance.now();
  const report = emptyReport(name, seed, workers, deleting);
  /** How long these take on this machine. */
  const usualMs = { opening: 50, recovering: 150, closing: 50, repairing: 50 };
  const learn = (/** @type {keyof typeof usualMs} */ what, /** @type {number | undefined} */ tookMs) => {
    if (tookMs !== undefined) usualMs[what] += (tookMs - usualMs[what]) / 4;
  };

  const count = (/** @type {keyof Report['killed']} */ what) => {
    report.killed[what]++;
    report.kills++;
  };

  /** Kills it when it has been at this for a fraction of the time that it takes. */
  async function strike(
    /** @type {Child} */ child,
    /** @type {keyof typeof usualMs} */ what,
    /** @type {number} */ fraction,
  ) {
    const [first, last] = STEPS[what];
    await child.said(first);
    await sleep(usualMs[what] * fraction);
    const struck = await child.kill();
    const tookMs = child.between(first, last);
    learn(what, tookMs);
    if (struck && tookMs === undefined) count(what);
  }

  /** The first process of a round, which ends in the way that is planned. */
  async function record(/** @type {Victim} */ victim, /** @type {ReturnType<typeof planRound>} */ plan) {
    const ending = plan.ending === 'recovering' ? 'appending' : plan.ending;
    const child = new Child(runtime, VICTIM, { ...victim.task, ...plan, ending });
    if (ending === 'opening') return strike(child, 'opening', plan.fractions[0]);
    await child.said('appending');
    victim.wasOpen = true;
    learn('opening', child.between('opening', 'open'));
    if (ending === 'exiting') return child.ended();
    if (ending === 'closing') return strike(child, 'closing', plan.fractions[0]);
    if (ending === 'terminating') {
      await child.ended();
      learn('closing', child.between('closing', 'closed'));
      return;
    }
    await sleep(plan.appendMs);
    if (await child.kill()) count('appending');
  }

  /** Those that follow on it and are killed too. */
  async function recover(
    /** @type {Victim} */ victim,
    /** @type {ReturnType<typeof planRound>} */ plan,
    /** @type {ReturnType<typeof planDeletion> | null} */ deletion,
  ) {
    const start = (/** @type {object} */ how) => {
      const child = new Child(runtime, VICTIM, { ...victim.task, options: plan.laterOptions, ...how });
      // It may have given up what was deleted before it is killed.
      victim.isMissed = false;
      return child;
    };
    if (plan.ending === 'recovering') {
      for (const fraction of plan.fractions) await strike(start({ ending: 'opening' }), 'recovering', fraction);
    }
    for (const { repairer, fraction } of deletion?.killedRepairs ?? []) {
      await strike(start({ ending: 'repairing', repairer }), 'repairing', fraction);
    }
  }

  /** Answers what is wrong. @returns {Promise<string[]>} */
  async function verify(
    /** @type {Victim} */ victim,
    /** @type {object} */ options,
    /** @type {string | null} */ repairer,
  ) {
    const { acknowledged, attempted } = victim.readProgress();
    const child = new Child(runtime, VERIFIER, { ...victim.task, options, repairer, acknowledged, attempted });
    const found = JSON.parse(await child.said('found'));
    await child.ended();
    learn('recovering', child.between('opening', 'open'));
    learn('repairing', child.between('repairing', 'repaired'));
    victim.wasOpen = true;
    victim.lost = null;
    const before = victim.counters.reduce((sum, counter) => sum + counter, 0);
    report.acknowledged += acknowledged.reduce((sum, counter) => sum + counter, 0) - before;
    for (const wrong of WRONGS) report[wrong] += found[wrong];
    report.unacknowledged += found.unacknowledged;
    report.recovered += found.recovery.records;
    report.copiesMade += found.recovery.copiesMade;
    report.tornCopies += found.recovery.tornCopies;
    report.repaired += found.repaired;
    report.underReplicated += found.underReplicated;
    report.blocks += found.blocks - victim.blocks;
    victim.blocks = found.blocks;
    victim.counters = found.counters;
    return [...found.examples, ...found.troubles];
  }

  const isEnough = (/** @type {number} */ round) => round >= from + rounds || report.kills >= kills;

  async function runTape(/** @type {number} */ first) {
    const victim = new Victim(seed, first / ROUNDS_PER_TAPE, workers, parent, deleting);
    let failed = false;
    for (let round = first; round < first + ROUNDS_PER_TAPE && !isEnough(round) && !failed; round++) {
      const plan = planRound(seed, round);
      const deletion = deleting ? planDeletion(seed, round, STORAGE_NODES) : null;
      /** @type {string[]} */
      let wrong;
      try {
        victim.writeProgress();
        await record(victim, plan);
        if (deletion !== null) {
          victim.delete(deletion.deleted);
          report.deleted++;
        }
        await recover(victim, plan, deletion);
        victim.keepWhatIsLeft();
        wrong = await verify(victim, plan.laterOptions, deletion?.repairer ?? null);
      } catch (error) {
        wrong = [error.message];
      }
      report.rounds++;
      report.seconds = (performance.now() - startMs) / 1000;
      // What is wrong now would be wrong in the next rounds of this tape again.
      failed = wrong.length > 0;
      if (failed) {
        const replay =
          `npm run crash -- --runtime ${name} --seed ${seed} --from ${first} --rounds ${round - first + 1} ` +
          `--workers ${workers}${deleting ? ' --delete' : ''}`;
        report.failures.push({ round, ending: plan.ending, wrong, directory: victim.directory, replay });
      }
      onRound(report);
    }
    if (!failed && !keep) rmSync(victim.directory, { recursive: true, force: true });
  }

  let next = from;
  async function runTapes() {
    while (!isEnough(next) && report.failures.length < MOST_FAILURES) {
      const first = next;
      next += ROUNDS_PER_TAPE;
      await runTape(first);
    }
  }
  await Promise.all(Array.from({ length: TAPES_AT_ONCE }, runTapes));
  if (report.failures.length === 0 && !keep) rmdirSync(parent);
  return { ...report, directory: report.failures.length > 0 || keep ? parent : null };
}
