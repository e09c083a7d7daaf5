/** How long to wait before something is tried again, in ms: doubled each time, up to the most. */
export interface BackoffOptions {
  /** Default 100. */
  firstMs?: number;
  /** Default 30,000. */
  mostMs?: number;
}

/** What went well for so long begins anew when it fails. */
const GOOD_MS = 60_000;

export class Backoff {
  readonly #firstMs: number;
  readonly #mostMs: number;
  readonly #random: () => number;
  #nextMs: number;

  constructor({ firstMs = 100, mostMs = 30_000 }: BackoffOptions = {}, random = Math.random) {
    this.#firstMs = firstMs;
    this.#mostMs = mostMs;
    this.#random = random;
    this.#nextMs = firstMs;
  }

  /** How long to wait after a failure, when it had gone well for `goodMs`: at random from the half on, so that many don't come back as one. */
  next(goodMs: number): number {
    if (goodMs >= GOOD_MS) this.#nextMs = this.#firstMs;
    const waitMs = Math.min(this.#nextMs, this.#mostMs);
    this.#nextMs = Math.min(2 * waitMs, this.#mostMs);
    return waitMs * (0.5 + this.#random() / 2);
  }
}

/** Resolves after `ms`, or when `signal` is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
