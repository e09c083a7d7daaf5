import { parentPort, workerData } from 'node:worker_threads';
import { defineSchema, openAppender, timestamp, u32 } from 'ticktape';

// A producer thread that never wakes by itself: who sleeps sleeps until he is woken. `gate`: it stops where an append first looks at what
// others have done since its record was published, and goes on when it is let.
const { handle, count, gate } = workerData;
const { load, wait } = Atomics;
Atomics.wait = (words, index, value) => wait(words, index, value);
if (gate !== undefined) {
  Atomics.load = (words, index) => {
    if (Atomics.compareExchange(gate, 0, 0, 1) === 0) wait(gate, 0, 1);
    return load(words, index);
  };
}

const schema = defineSchema('numbered', timestamp('ts'), u32('n'));
const { append } = openAppender(schema, handle);
const outcome = { appended: 0, error: null };
try {
  for (let n = 0; n < count; n++) {
    append(BigInt(n), n);
    outcome.appended++;
  }
} catch (error) {
  outcome.error = error.code ?? String(error);
}
parentPort.postMessage(outcome);
