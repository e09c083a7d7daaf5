import { type AppenderHandle, defineSchema, timestamp, u32 } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { onTestFinished } from 'vitest';

/** What the thread appends. */
export const numbered = defineSchema('numbered', timestamp('ts'), u32('n'));
/** Of each record in a lane. */
export const NUMBERED_BYTES = 32;

interface Outcome {
  appended: number;
  /** Code of the error that ended it. */
  error: string | null;
}

/** A thread that runs appending-thread.mjs. It goes with the test. */
export class AppendingThread {
  readonly outcome: Promise<Outcome>;
  readonly #gate: Int32Array | undefined;

  constructor(handle: AppenderHandle, count: number, gate?: Int32Array) {
    this.#gate = gate;
    const worker = runtime.spawn(new URL('appending-thread.mjs', import.meta.url), { handle, count, gate });
    onTestFinished(() => {
      this.goOn();
      return worker.terminate();
    });
    this.outcome = new Promise((resolve, reject) => {
      worker.onFailure(reject);
      worker.onMessage((message) => resolve(message as Outcome));
    });
  }

  /** One that has published a record of a tape that takes no more, and has yet to find that out. */
  static async held(handle: AppenderHandle): Promise<AppendingThread> {
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const thread = new AppendingThread(handle, 1, gate);
    while (Atomics.load(gate, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    return thread;
  }

  goOn(): void {
    if (this.#gate === undefined) return;
    Atomics.store(this.#gate, 0, 2);
    Atomics.notify(this.#gate, 0);
  }
}
