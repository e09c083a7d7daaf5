// The process that is killed: opens a tape and has workers append to it. Says on stdout how far it is, a line a step.
import { readFileSync, writeSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { openTape } from 'ticktape';
import { schemaOf } from './records.mjs';

/** Records that each of the others must append after a worker was terminated: enough for some new symbols. */
const GO_ON = 2000;
const GO_ON_MS = 20_000;

const task = JSON.parse(process.argv[2]);
const say = (line) => writeSync(1, `${line}\n`);

function fail(message) {
  writeSync(2, `${message}\n`);
  process.exit(1);
}
process.on('uncaughtException', (error) => fail(error.stack));
process.on('unhandledRejection', (error) => fail(error?.stack ?? String(error)));

say(`opening ${process.pid}`);
const tape = await openTape(schemaOf(task.noted), { ...task.options, storage: task.storage, onWarning: fail });
say('open');
// Killed while it opens, or soon after.
if (task.ending === 'opening') await new Promise((resolve) => setTimeout(resolve, 60_000));

let onFirst;
let onAllClosed;
const first = new Promise((resolve) => {
  onFirst = resolve;
});
const allClosed = new Promise((resolve) => {
  onAllClosed = resolve;
});
let appending = task.counters.length;
const producers = task.counters.map((_, worker) => {
  const producer = new Worker(new URL('producer.mjs', import.meta.url), {
    workerData: { handle: tape.appenderHandle(), worker, task },
  });
  producer.on('message', (message) => {
    if (message === 'acknowledged') onFirst();
    else if (message !== 'closed') fail(`worker ${worker}: ${message}`);
    else if (--appending === 0) onAllClosed();
  });
  producer.on('error', (error) => fail(`worker ${worker}: ${error.stack}`));
  return producer;
});
await first;
say('appending');
if (task.ending === 'appending') await new Promise((resolve) => setTimeout(resolve, 60_000));
await sleep(task.appendMs);
if (task.ending === 'exiting') process.exit(0);

if (task.ending === 'terminating') {
  await producers[0].terminate();
  appending--;
  const progress = () => {
    const bytes = readFileSync(task.progress);
    return task.counters.map((_, worker) => bytes.readUInt32LE(8 * worker));
  };
  const before = progress();
  const until = performance.now() + GO_ON_MS;
  while (progress().some((counter, worker) => worker > 0 && counter < before[worker] + GO_ON)) {
    if (performance.now() > until) fail(`the other workers did not go on: ${before} then ${progress()}`);
    await sleep(2);
  }
}
say('closing');
await tape.close();
if (appending > 0) await allClosed;
say('closed');
process.exit(0);
