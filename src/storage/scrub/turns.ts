const TURN_MS = 10;

/** Long work that leaves the thread to others every 10 ms, and ends where a signal says so. */
export class Turns {
  readonly #signal: AbortSignal | undefined;
  #sinceMs = performance.now();

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** To be asked between two steps; `give` is for when it is. */
  get due(): boolean {
    return this.#signal?.aborted === true || performance.now() - this.#sinceMs >= TURN_MS;
  }

  /** @throws the signal's reason */
  async give(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.check();
    this.#sinceMs = performance.now();
  }

  /** @throws the signal's reason */
  async sleep(ms: number): Promise<void> {
    const untilMs = performance.now() + ms;
    while (performance.now() < untilMs) {
      this.check();
      await new Promise((resolve) => setTimeout(resolve, TURN_MS));
    }
  }

  /** @throws the signal's reason */
  check(): void {
    this.#signal?.throwIfAborted();
  }
}
