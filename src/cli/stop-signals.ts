import { constants } from 'node:os';
import process from 'node:process';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Turns the first signal that would end the process into a wish to stop; a second one ends it at once. */
export class StopSignals {
  /** Resolves with the first. */
  readonly first: Promise<NodeJS.Signals>;
  readonly #listener: (signal: NodeJS.Signals) => void;

  constructor() {
    let resolve!: (signal: NodeJS.Signals) => void;
    this.first = new Promise((done) => {
      resolve = done;
    });
    let isStopping = false;
    this.#listener = (signal) => {
      // What a shell expects of a process that the signal ended.
      if (isStopping) process.exit(128 + constants.signals[signal]);
      isStopping = true;
      resolve(signal);
    };
    for (const signal of SIGNALS) process.on(signal, this.#listener);
  }

  dispose(): void {
    for (const signal of SIGNALS) process.off(signal, this.#listener);
  }
}
