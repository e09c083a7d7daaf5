// The process that decodes: every `jobs`-th group of cases. Says on stdout how far it is, a line of JSON each time.
import { mkdirSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { setImmediate } from 'node:timers';
import { CASES_PER_GROUP, Fuzzer } from './fuzzer.mjs';

/** @type {import('./harness.mjs').Task} */
const task = JSON.parse(process.argv[2]);
const { seed, from, to, jobs, job, each, weak, keep } = task;

const SAY_EVERY_MS = 200;
/** What a process may grow by, whatever it decodes, besides the memories of its decoders. */
const GROWTH_BYTES = 256 * 1024 ** 2;
/** With more failures than this there is nothing new in them. */
const MOST_FAILURES = 20;

function say(/** @type {object} */ message) {
  const line = new TextEncoder().encode(`${JSON.stringify(message)}\n`);
  for (let at = 0; at < line.length; ) {
    try {
      at += writeSync(1, line.subarray(at));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

const startRssBytes = process.memoryUsage.rss();
let peakRssBytes = 0;
let failures = 0;
let cases = 0;
/** Said once. */
let tooLarge = false;

/** @param {import('./fuzzer.mjs').Failure} failure */
function fail({ bytes, schema, ...failure }) {
  failures++;
  /** @type {string | undefined} */
  let file;
  if (keep !== undefined) {
    mkdirSync(keep, { recursive: true });
    file = path.join(keep, `case-${failure.case}.block`);
    writeFileSync(file, bytes);
    writeFileSync(path.join(keep, `case-${failure.case}.json`), `${JSON.stringify({ schema, ...failure })}\n`);
  }
  say({ failure: { ...failure, file } });
}

const makeDecoder =
  weak === undefined
    ? undefined
    : await import('./weak-decoders.mjs').then(
        ({ WEAK }) =>
          (/** @type {any} */ schema) =>
            new WEAK[weak](schema),
      );
const fuzzer = new Fuzzer({ seed, onFailure: fail, makeDecoder });

function sayProgress(/** @type {number} */ at) {
  const { decoded, refused, memoryBoundBytes } = fuzzer;
  const boundBytes = startRssBytes + memoryBoundBytes + GROWTH_BYTES;
  let rss = process.memoryUsage.rss();
  if (rss > 0.7 * boundBytes && 'Bun' in globalThis) {
    // It collects garbage by how much memory the machine has.
    globalThis.Bun.gc(true);
    rss = process.memoryUsage.rss();
  }
  peakRssBytes = Math.max(peakRssBytes, rss);
  say({ at, cases, decoded, refused, peakRssBytes, boundBytes });
  if (rss > boundBytes && !tooLarge) {
    tooLarge = true;
    const what = `the process has ${rss} bytes, of ${boundBytes} that it may have`;
    fail({ case: at, what, from, how: [], schema: '', count: 0, bytes: new Uint8Array() });
  }
}

let saidMs = performance.now();
function onCase(/** @type {number} */ number) {
  if (each || (number % 16 === 0 && performance.now() - saidMs > SAY_EVERY_MS)) {
    saidMs = performance.now();
    sayProgress(number);
  }
  cases++;
}

say({ pid: process.pid });
sayProgress(from);
const firstGroup = Math.floor(from / CASES_PER_GROUP);
for (let group = firstGroup; group * CASES_PER_GROUP < to && failures < MOST_FAILURES; group++) {
  if (group % jobs !== job) continue;
  const first = group * CASES_PER_GROUP;
  fuzzer.run(Math.max(from, first), Math.min(to, first + CASES_PER_GROUP), onCase);
  // What node:zlib held for a frame that it refused goes with a turn of the event loop.
  await new Promise((resolve) => setImmediate(resolve));
}
sayProgress(to);
say({ done: true });
