import { Worker } from 'node:worker_threads';
import type { RuntimeWorker } from '../src/runtime.js';

/** node:worker_threads is the one thread interface that Node, Deno and Bun share. */
export function spawn(url: URL, data: unknown): RuntimeWorker {
  const worker = new Worker(url, { workerData: data });
  const listeners: ((error: Error) => void)[] = [];
  let failure: Error | undefined;
  let terminated = false;

  function fail(error: Error): void {
    if (terminated || failure !== undefined) return;
    failure = error;
    for (const listener of listeners) listener(error);
  }

  worker.on('error', (error: unknown) => fail(error instanceof Error ? error : new Error(String(error))));
  worker.on('exit', (code: number) => fail(new Error(`The thread of ${url} ended by itself (exit code ${code}).`)));

  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => {
      worker.on('message', listener);
    },
    onFailure(listener) {
      listeners.push(listener);
      const failed = failure;
      if (failed !== undefined) queueMicrotask(() => listener(failed));
    },
    async terminate() {
      terminated = true;
      await worker.terminate();
    },
    keepAlive(hold) {
      if (hold) worker.ref();
      else worker.unref();
    },
  };
}
