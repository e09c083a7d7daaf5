// The process that is killed: opens a tape and has workers append to it, or repairs it. Says on stdout how far it is, a line a step.
import { readFileSync, writeSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { openWriter, repair } from './open.mjs';

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
const tape = await openWriter(task, fail);
say('open');
// Killed while it does that, or soon after.
const beKilled = () => new Promise((resolve) => setTimeout(resolve, 60_000));
if (task.ending === 'opening') await beKilled();
if (task.ending === 'repairing') {
  if (task.repairer === 'alone') await tape.close();
  say('repairing');
  await repair(task, tape);
  say('repaired');
  await beKilled();
}

/** Answers when it was called once for each worker. */
function countdown() {
  let left = task.counters.length;
  let onZero;
  const zero = new Promise((resolve) => {
    onZero = resolve;
  });
  return {
    zero,
    step() {
      if (--left === 0) onZero();
    },
  };
}
const steps = { ready: countdown(), acknowledged: countdown(), closed: countdown() };
const gate = new Int32Array(new SharedArrayBuffer(4));
const producers = task.counters.map((_, worker) => {
  const producer = new Worker(new URL('producer.mjs', import.meta.url), {
    workerData: { handle: tape.appenderHandle(), gate, worker, task },
  });
  producer.on('message', (message) => {
    if (Object.hasOwn(steps, message)) steps[message].step();
    else fail(`worker ${worker}: ${message}`);
  });
  producer.on('error', (error) => fail(`worker ${worker}: ${error.stack}`));
  return producer;
});
// Together, as the first of them would fill the tape while the last ones start.
await steps.ready.zero;
Atomics.store(gate, 0, 1);
Atomics.notify(gate, 0);
await steps.acknowledged.zero;
say('appending');
if (task.ending === 'appending') await beKilled();
await sleep(task.appendMs);
if (task.ending === 'exiting') process.exit(0);

if (task.ending === 'terminating') {
  await producers[0].terminate();
  steps.closed.step();
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
await steps.closed.zero;
say('closed');
process.exit(0);
