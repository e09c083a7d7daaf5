// A worker that appends a record for each of many names, which others append at the same time.
import { parentPort, workerData } from 'node:worker_threads';
import { openAppender } from 'ticktape';
import { plainSchema } from './records.mjs';

const { handle, worker, names, gate } = workerData;
const { append } = openAppender(plainSchema, handle);
const words = new Int32Array(gate);
parentPort.postMessage('ready');
Atomics.wait(words, 0, 0);
for (let i = 0; i < names; i++) append(BigInt(i), `name ${i}`, worker, i, 0, 0);
parentPort.postMessage('done');
