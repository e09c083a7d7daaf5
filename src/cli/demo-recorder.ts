import { market } from '../collect/market.js';
import type { MarketBatch } from '../collect/market-batch.js';
import { type Appender, openAppender } from '../index.js';
import { KIND_NAMES } from '../schemas.js';
import type { DemoControl } from './demo-control.js';
import { Digest, hashName } from './digest.js';
import { Histogram } from './histogram.js';

/** Records between two looks at the lane. */
export const BURST = 256;

/**
 * Above this share of its lane, some blocks, a collector pauses before the next burst. Not much more: what has long left the
 * caches is slow to flush, and the flusher must get its part of few processors.
 */
const PAUSE_BACKLOG = 0.2;
const PAUSE_MS = 2;

export type AppenderHandle = Parameters<typeof openAppender>[1];

/** What a collector has appended, as it is posted to the main thread. */
export interface Recorded {
  appended: number;
  /** By kind. */
  kinds: number[];
  digest: string;
  pauses: number;
  /** Of a histogram of the times of the appends. */
  buckets: Uint32Array<ArrayBuffer>;
  maxNs: number;
}

/** Appends batches of a collector's source to its lane: timed, counted and digested. */
export class Recorder {
  readonly #appender: Appender<typeof market.fields>;
  readonly #collector: number;
  readonly #control: DemoControl;
  readonly #digest = new Digest();
  readonly #histogram = new Histogram();
  readonly #kinds: number[] = KIND_NAMES.map(() => 0);
  #hashes = new Int32Array(0);
  #appended = 0;
  #pauses = 0;

  constructor(handle: AppenderHandle, collector: number, control: DemoControl) {
    this.#appender = openAppender(market, handle);
    this.#collector = collector;
    this.#control = control;
  }

  /** Digests `batch`, cut down to what may still be recorded. Answers whether that is all of it. */
  prepare(batch: MarketBatch): boolean {
    const granted = this.#control.claim(batch.length);
    const all = granted === batch.length;
    batch.length = granted;
    if (this.#hashes.length !== batch.names.length) this.#hashes = Int32Array.from(batch.names, hashName);
    for (let row = 0; row < granted; row++) {
      this.#digest.add(batch, row, this.#hashes);
      this.#kinds[batch.kind[row]]++;
    }
    return all;
  }

  /** Appends what was prepared, in bursts. Answers whether to go on. */
  append(batch: MarketBatch): boolean {
    for (let from = 0; from < batch.length; from += BURST) {
      if (!this.#pause()) return false;
      const to = Math.min(from + BURST, batch.length);
      this.#appendBurst(batch, from, to);
      this.#appended += to - from;
      this.#control.report(this.#collector, this.#appended);
    }
    return true;
  }

  finish(): Recorded {
    this.#appender.close();
    return {
      appended: this.#appended,
      kinds: this.#kinds,
      digest: this.#digest.toString(),
      pauses: this.#pauses,
      buckets: this.#histogram.buckets,
      maxNs: this.#histogram.maxNs,
    };
  }

  /** Waits until the lane has room: what is made up or read from a file comes faster than any disk takes it. */
  #pause(): boolean {
    while (this.#appender.backlog() > PAUSE_BACKLOG && !this.#control.stopped) {
      this.#pauses++;
      this.#control.sleep(PAUSE_MS);
    }
    return !this.#control.stopped;
  }

  #appendBurst(batch: MarketBatch, from: number, to: number): void {
    const appender = this.#appender;
    const collector = this.#collector;
    const { names } = batch;
    // One read of the clock between two appends is the end of one and the start of the other: two for each, at the price of one.
    let before = performance.now();
    for (let row = from; row < to; row++) {
      appender.appendScaled(
        batch.tsNs[row],
        names[batch.symbol[row]],
        batch.kind[row],
        batch.flags[row],
        collector,
        batch.price[row],
        batch.size[row],
        batch.askPrice[row],
        batch.askSize[row],
        batch.exchangeUs[row],
        batch.id[row],
      );
      const after = performance.now();
      this.#histogram.record((after - before) * 1e6);
      before = after;
    }
  }
}
