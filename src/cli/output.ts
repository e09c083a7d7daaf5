import process from 'node:process';

/** Standard output, no faster than its reader takes it. */
export class Output {
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /**
   * Resolves when the text is written. The callback of `write` says so on every runtime, where `drain` does not come on all of them. A
   * reader that has seen enough ends the process.
   * @throws the signal's reason
   */
  async write(text: string): Promise<void> {
    this.#signal.throwIfAborted();
    if (text === '') return;
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => reject(this.#signal.reason);
      this.#signal.addEventListener('abort', onAbort);
      process.stdout.write(text, (error) => {
        this.#signal.removeEventListener('abort', onAbort);
        if ((error as NodeJS.ErrnoException | null | undefined)?.code === 'EPIPE') process.exit(0);
        if (error) reject(error);
        else resolve();
      });
    });
  }
}
