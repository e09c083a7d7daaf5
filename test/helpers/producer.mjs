import { parentPort, workerData } from 'node:worker_threads';
import { bytes, defineSchema, openAppender, symbol, timestamp, u8, u32 } from 'ticktape';

// A producer thread for the tests: appends `count` records, or until the tape is closed, and says what became of them.
const schema = defineSchema('produced', timestamp('ts'), u8('producer'), symbol('name'), u32('n'), bytes('b'));
const { handle, producer, count, leave } = workerData;
const appender = openAppender(schema, handle);
const payload = new Uint8Array(producer % 7).fill(producer);
const outcome = { appended: 0, dropped: 0, error: null, last: -1 };

parentPort.postMessage('ready');
for (let n = 0; n < count; n++) {
  try {
    // New names again and again, so that several threads intern them at once.
    const position = appender.append(appender.now(), producer, `S${n % 300}`, n, payload);
    if (position >= 0) outcome.appended++;
    else outcome.dropped++;
  } catch (error) {
    outcome.error = error.code ?? String(error);
    break;
  }
  outcome.last = n;
}
if (leave) appender.close();
parentPort.postMessage(outcome);
// Alive until it is terminated, as a program's thread would be.
parentPort.on('message', (message) => {
  if (message !== 'again') return;
  try {
    appender.append(appender.now(), producer, 'S0', 0, payload);
    parentPort.postMessage('appended');
  } catch (error) {
    parentPort.postMessage(error.code ?? String(error));
  }
});
