// A worker of the victim: appends in bursts, and after each writes to a file how far it has got. What it wrote there outlives
// it, as the page cache outlives the process.
import { openSync, writeSync } from 'node:fs';
import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { Appender } from '../../dist/src/journal/appender.js';
import { randomOf } from './plan.mjs';
import { hashOf, noteOf, payloadOf, priceOf, schemaOf, symbolOf, timestampOf } from './records.mjs';

const LONGEST_BURST = 64;
const BURSTS_PER_TURN = 3;

const { handle, gate, worker, task } = workerData;
const { recordSeed, noted, progress, restMs, burstSeed } = task;
const { append } = new Appender(schemaOf(noted), handle, () => process.hrtime.bigint());
const random = randomOf(burstSeed, worker);
const file = openSync(progress, 'r+');
const entry = new Uint32Array(2);
const bytes = new Uint8Array(entry.buffer);
const rest = new Int32Array(new SharedArrayBuffer(4));
let acknowledged = task.counters[worker];

/** One write for both numbers: what was appended, and what the next burst may append. */
function note(attempted) {
  entry[0] = acknowledged;
  entry[1] = attempted;
  writeSync(file, bytes, 0, bytes.length, worker * bytes.length);
}

function burst() {
  const last = acknowledged + 1 + Math.floor(random() * LONGEST_BURST);
  note(last);
  for (let counter = acknowledged + 1; counter <= last; counter++) {
    const hash = hashOf(recordSeed, worker, counter);
    const ts = timestampOf(hash, counter);
    const symbol = symbolOf(hash, counter);
    if (noted) append(ts, symbol, worker, counter, priceOf(hash), payloadOf(hash, counter), noteOf(hash));
    else append(ts, symbol, worker, counter, priceOf(hash), payloadOf(hash, counter));
    acknowledged = counter;
  }
}

async function run() {
  parentPort.postMessage('ready');
  Atomics.wait(gate, 0, 0);
  burst();
  note(acknowledged);
  parentPort.postMessage('acknowledged');
  for (;;) {
    for (let i = 0; i < BURSTS_PER_TURN; i++) burst();
    if (restMs > 0) Atomics.wait(rest, 0, 0, random() * restMs);
    // Deno ends a thread between turns of its event loop only.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

run().catch((error) => {
  note(acknowledged);
  parentPort.postMessage(error.code === 'CLOSED' ? 'closed' : (error.stack ?? String(error)));
});
