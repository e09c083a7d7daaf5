import type { Fields, Tape } from 'ticktape';
import { producerOf, type Records } from './records.js';

/** Appends records to a tape, up to the end of `flush()`. */
export class FlushedProducer {
  readonly #tape: Tape<Fields>;
  readonly #produce: (from: number, to: number) => void;
  readonly #count: number;

  constructor(tape: Tape<Fields>, records: Records) {
    this.#tape = tape;
    this.#produce = producerOf(records, tape.append);
    this.#count = records.count;
  }

  /** Answers the seconds that it took. */
  async run(): Promise<number> {
    const startMs = performance.now();
    this.#produce(0, this.#count);
    await this.#tape.flush();
    return (performance.now() - startMs) / 1000;
  }
}
