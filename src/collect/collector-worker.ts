// A collector in a thread of its own: loads its source, and runs it when it is told to.
import { parentPort, workerData } from 'node:worker_threads';
import { runtime } from 'ticktape/runtime';
import { Appender } from '../journal/appender.js';
import { Schema } from '../schema.js';
import {
  type CollectorMessage,
  type CollectorTask,
  loadSource,
  makeContext,
  plainError,
  runSource,
} from './context.js';

/** To a collector. */
export type CollectorCommand = 'go' | 'stop';

const task = workerData as CollectorTask;
const tell = (message: CollectorMessage) => parentPort!.postMessage(message);
const controller = new AbortController();
const going = new Promise<void>((resolve) => {
  parentPort!.on('message', (command: CollectorCommand) => {
    if (command === 'stop') controller.abort();
    resolve();
  });
});

async function run(): Promise<void> {
  const source = await loadSource(task.source);
  const schema = Schema.parse(task.schemaJson, 'the tape');
  const nowNs = () => runtime.nowNs();
  const appender = new Appender(schema, task.handle, nowNs);
  const { context, close } = makeContext(task, schema, appender, controller.signal, nowNs, tell);
  tell({ type: 'loaded' });
  await going;
  try {
    if (!controller.signal.aborted) await runSource(source, context, task.shared);
  } finally {
    close();
  }
}

run().then(
  () => tell({ type: 'ended' }),
  (error) => tell({ type: 'failed', error: plainError(error) }),
);
