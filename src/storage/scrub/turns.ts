import type { Runtime } from '../../runtime.js';

const TURN_MS = 10;

/** Long work that leaves the thread to others every 10 ms, and ends where a signal says so. */
export class Turns {
  readonly #clock: Pick<Runtime, 'nowMs' | 'sleep'>;
  readonly #signal: AbortSignal | undefined;
  #sinceMs: number;

  constructor(clock: Pick<Runtime, 'nowMs' | 'sleep'>, signal: AbortSignal | undefined) {
    this.#clock = clock;
    this.#signal = signal;
    this.#sinceMs = clock.nowMs();
  }

  /** To be asked between two steps; `give` is for when it is. */
  get due(): boolean {
    return this.#signal?.aborted === true || this.#clock.nowMs() - this.#sinceMs >= TURN_MS;
  }

  /** @throws the signal's reason */
  async give(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.check();
    this.#sinceMs = this.#clock.nowMs();
  }

  /** @throws the signal's reason */
  async sleep(ms: number): Promise<void> {
    const untilMs = this.#clock.nowMs() + ms;
    for (let leftMs = ms; leftMs > 0; leftMs = untilMs - this.#clock.nowMs()) {
      this.check();
      await this.#clock.sleep(Math.min(leftMs, TURN_MS));
    }
  }

  /** @throws the signal's reason */
  check(): void {
    this.#signal?.throwIfAborted();
  }
}
