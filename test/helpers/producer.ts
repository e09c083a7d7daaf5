import { type AppenderHandle, bytes, defineSchema, symbol, timestamp, u8, u32 } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { onTestFinished } from 'vitest';

/** What producer.mjs appends. */
export const produced = defineSchema('produced', timestamp('ts'), u8('producer'), symbol('name'), u32('n'), bytes('b'));

export interface Outcome {
  appended: number;
  dropped: number;
  /** Code of the error that ended it. */
  error: string | null;
  /** Number of the last record that append took. */
  last: number;
}

export interface ProducerTask {
  handle: AppenderHandle;
  producer: number;
  count: number;
  /** Close the appender at the end. */
  leave?: boolean;
}

/** A thread that runs producer.mjs. It goes with the test. */
export class Producer {
  readonly ready: Promise<unknown>;
  readonly outcome: Promise<Outcome>;
  readonly #post: (message: unknown) => void;
  readonly #answers: ((message: unknown) => void)[] = [];

  constructor(task: ProducerTask) {
    const worker = runtime.spawn(new URL('producer.mjs', import.meta.url), task);
    onTestFinished(() => worker.terminate());
    const next = () =>
      new Promise<unknown>((resolve, reject) => {
        this.#answers.push(resolve);
        worker.onFailure(reject);
      });
    worker.onMessage((message) => this.#answers.shift()?.(message));
    this.#post = worker.post;
    this.ready = next();
    this.outcome = next() as Promise<Outcome>;
  }

  /** What one more append comes to. */
  again(): Promise<unknown> {
    this.#post('again');
    return new Promise((resolve) => this.#answers.push(resolve));
  }
}
