import { parentPort, workerData } from 'node:worker_threads';
import { runtime } from 'ticktape/runtime';

// A thread for the tests: does to the shared memory what it is told.
const numbers = new Int32Array(workerData.memory.buffer);

parentPort.on('message', (message) => {
  if (message.fail) throw new Error(message.fail);
  if (message.exit) process.exit(message.exit);
  if (message.map) runtime.mapper().map(message.map, workerData.memory, 0, 65536, 0);
  const before = Atomics.add(numbers, message.add, 1);
  parentPort.postMessage({ before });
});
