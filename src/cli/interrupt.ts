import process from 'node:process';

const STATUS: Record<string, number> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** A signal asked for the end. */
export class Interrupted extends Error {
  /** What a shell expects of a process that the signal ended. */
  readonly status: number;

  constructor(signal: string) {
    super(`stopped by ${signal}`);
    this.status = STATUS[signal];
  }
}

/** Turns the signals that end a process into a rejection, so that it ends as in any other failure: tidily. */
export class Interrupt {
  readonly #interrupted: Promise<never>;
  #reason: Interrupted | undefined;
  readonly #listener: (signal: NodeJS.Signals) => void;

  /** @param onSecond called when the user doesn't want to wait for the tidy end; the process exits after it */
  constructor(onSecond: () => void) {
    const { promise, reject } = withResolvers();
    this.#interrupted = promise;
    // Nobody may be waiting when it comes.
    promise.catch(() => {});
    this.#listener = (signal) => {
      if (this.#reason !== undefined) {
        onSecond();
        process.exit(this.#reason.status);
      }
      this.#reason = new Interrupted(signal);
      reject(this.#reason);
    };
    for (const signal of Object.keys(STATUS)) process.on(signal, this.#listener);
  }

  /** What `work` gives, unless a signal comes first. */
  async race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#interrupted]);
  }

  check(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  dispose(): void {
    for (const signal of Object.keys(STATUS)) process.off(signal, this.#listener);
  }
}

function withResolvers(): { promise: Promise<never>; reject: (reason: Error) => void } {
  let reject!: (reason: Error) => void;
  const promise = new Promise<never>((_, no) => {
    reject = no;
  });
  return { promise, reject };
}
