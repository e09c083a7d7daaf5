import { show, TapeError } from '../errors.js';
import type { Runtime } from '../runtime.js';

/** How fast records are given out: so many times as fast as they were recorded, or as fast as they are taken. */
export type Speed = number | 'max';

export type Clock = Pick<Runtime, 'nowMs'>;

/** A timer comes up to a millisecond or two late; from here on it is waited for otherwise. */
const TIMER_LEAD_MS = 2;
/** Of blocking the thread, after which it is left to others for a turn. */
const MOST_BLOCKED_MS = 0.5;
/** Shorter than the system takes to wake a thread. */
const SPIN_MS = 0.02;
/** No timer is longer: one of more than 2³¹ ms ends at once. */
const MOST_TIMER_MS = 1e9;

/** Blocks the thread, which uses no processor time meanwhile. */
const cell = new Int32Array(new SharedArrayBuffer(4));
const block = (ms: number) => Atomics.wait(cell, 0, 0, ms);

/** The factor; Infinity for as fast as can be. @throws TapeError `BAD_OPTION` */
export function factorOf(speed: unknown): number {
  if (speed === 'max') return Number.POSITIVE_INFINITY;
  if (typeof speed === 'number' && speed > 0) return speed;
  throw new TapeError('BAD_OPTION', `option speed is a number above 0, or 'max', not ${show(speed)}`);
}

/** When moments of a recording are due: by the distance from the first one, so that no delay adds up. */
export class Pace {
  readonly #clock: Clock;
  readonly #factor: number;
  readonly #signal: AbortSignal | undefined;
  #firstNs = 0n;
  #firstMs = 0;

  /** `factor`: so many times as fast as recorded; finite. */
  constructor(clock: Clock, factor: number, signal: AbortSignal | undefined) {
    this.#clock = clock;
    this.#factor = factor;
    this.#signal = signal;
  }

  /** The moment is now. */
  start(firstNs: bigint): void {
    this.#firstNs = firstNs;
    this.#firstMs = this.#clock.nowMs();
  }

  /** The moment of the recording that is now. */
  nowNs(): bigint {
    const elapsedMs = this.#clock.nowMs() - this.#firstMs;
    return this.#firstNs + BigInt(Math.floor(elapsedMs * this.#factor * 1e6));
  }

  /** Milliseconds until a moment is due; below zero where it is late. */
  leftMs(ns: bigint): number {
    return Number(ns - this.#firstNs) / this.#factor / 1e6 - (this.#clock.nowMs() - this.#firstMs);
  }

  /** Waits until the moment is due, never less, and leaves the thread to others as long as it can. @throws the signal's reason */
  async until(ns: bigint): Promise<void> {
    for (let leftMs = this.leftMs(ns); leftMs > 0; leftMs = this.leftMs(ns)) {
      if (leftMs > TIMER_LEAD_MS) await this.#sleep(leftMs - TIMER_LEAD_MS);
      else if (leftMs > SPIN_MS) {
        block(Math.min(leftMs, MOST_BLOCKED_MS));
        await new Promise((resolve) => setImmediate(resolve));
      }
      this.#signal?.throwIfAborted();
    }
  }

  async #sleep(ms: number): Promise<void> {
    const signal = this.#signal;
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, Math.min(ms, MOST_TIMER_MS));
      signal?.addEventListener('abort', end);
    });
  }
}
