import { Gap } from '../gaps.js';
import type { Runtime } from '../runtime.js';
import type { Fields, RecordOf } from '../schema.js';
import { Turns } from '../storage/scrub/turns.js';
import type { AnyColumn, Batch } from './batch.js';
import { factorOf, Pace, type Speed } from './pace.js';
import { planBlocks } from './plan.js';
import type { TapeBlocks } from './reader.js';
import { recordMaker } from './record-maker.js';
import { gapsBetween, gapsWithin, timedBatches } from './scan.js';
import { type RecordOptions, resolveSelection } from './selection.js';
import { firstFrom, type TimedBatch } from './time-order.js';

/** What is replayed, and how fast; all of it may be left out. */
export interface ReplayOptions<Name extends string = string> extends RecordOptions<Name> {
  /** 1: at the pace of the timestamps; any factor above 0; `max`: as fast as records are taken. Default 1. */
  speed?: Speed;
  /** Also yields the gaps that reach into the range, each as its beginning is due. */
  gaps?: boolean;
  /** Ends it: what is waited for is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/** A record of a batch with these columns. */
export type ReplayedRecord<F extends Fields, Name extends string> = Pick<RecordOf<F>, Name & keyof RecordOf<F>>;

/** Rows of a batch that are due together. */
interface Step<F extends Fields, Name extends string> {
  batch: Batch<F, Name>;
  from: number;
  to: number;
}

/** Batches, or gaps, that are read ahead. */
const MOST_AHEAD = 2;
/** What reading ahead is thought to take until it was measured. */
const FIRST_COST_MS = 5;

/**
 * Records as they came, at the pace of their timestamps. The distance of each from the first one is as recorded (over `speed`), so that
 * no delay adds up; what is due while the consumer is busy comes late, all at once and in order, and nothing is left out.
 *
 * Iterated itself it gives batches, of all records that are due at that moment; `records()` gives them one by one. Each iteration
 * begins anew.
 */
export class Replay<F extends Fields, Name extends string, Marker = never>
  implements AsyncIterable<Batch<F, Name> | Marker>
{
  readonly #blocks: TapeBlocks<F>;
  readonly #options: ReplayOptions<Name>;
  readonly #runtime: Runtime;
  readonly #factor: number;

  /** Use `tape.replay()`. @throws TapeError `BAD_OPTION` */
  constructor(blocks: TapeBlocks<F>, options: ReplayOptions<Name>, runtime: Runtime) {
    this.#blocks = blocks;
    this.#options = options;
    this.#runtime = runtime;
    this.#factor = factorOf(options.speed === undefined ? 1 : options.speed);
    resolveSelection(blocks.schema, options);
  }

  /** @throws TapeError `BLOCK_MISSING`, `BLOCK_DAMAGED`; the reason of the signal */
  async *[Symbol.asyncIterator](): AsyncGenerator<Batch<F, Name> | Marker> {
    for await (const step of this.#steps()) {
      yield step instanceof Gap ? (step as Marker) : step.batch.slice(step.from, step.to);
    }
  }

  /** The same, record by record. */
  records(): AsyncIterableIterator<ReplayedRecord<F, Name> | Marker> {
    return new RecordIterator(this.#steps()) as AsyncIterableIterator<ReplayedRecord<F, Name> | Marker>;
  }

  async *#steps(): AsyncGenerator<Step<F, Name> | Gap> {
    const { signal, gaps = false } = this.#options;
    const turns = new Turns(this.#runtime, signal);
    turns.check();
    const ahead = new ReadAhead(this.#items(gaps), this.#runtime);
    const pace = Number.isFinite(this.#factor) ? new Pace(this.#runtime, this.#factor, signal) : null;
    let isStarted = false;
    for (let item = ahead.take(); item !== undefined; item = ahead.take()) {
      if (turns.due) await turns.give();
      if (item === null) continue;
      if (item instanceof Gap) {
        if (pace !== null && isStarted) await ahead.while(pace, item.fromNs);
        yield item;
        continue;
      }
      const { batch, times } = item;
      if (pace === null) {
        yield { batch, from: 0, to: batch.length };
        continue;
      }
      if (!isStarted) pace.start(times[0]);
      isStarted = true;
      for (let from = 0; from < times.length; ) {
        await ahead.while(pace, times[from]);
        const to = firstFrom(times, pace.nowNs() + 1n, from + 1);
        yield { batch, from, to };
        from = to;
        if (turns.due) await turns.give();
      }
    }
  }

  #items(withGaps: boolean): Iterator<TimedBatch<F, Name> | Gap | null> {
    const selection = resolveSelection(this.#blocks.schema, this.#options);
    const planned = planBlocks(this.#blocks.list(), selection.range);
    const batches = timedBatches<F, Name>(this.#blocks, planned, selection);
    if (!withGaps) return batches;
    return gapsBetween(batches, gapsWithin(this.#blocks.gaps(), selection.range), true);
  }
}

/** Takes the next items, each of which may take a block's decoding to get, while there is nothing else to do. */
class ReadAhead<Item> {
  readonly #items: Iterator<Item>;
  readonly #clock: Pick<Runtime, 'nowMs'>;
  readonly #queue: Item[] = [];
  #costMs = FIRST_COST_MS;
  #isDone = false;

  constructor(items: Iterator<Item>, clock: Pick<Runtime, 'nowMs'>) {
    this.#items = items;
    this.#clock = clock;
  }

  /** The next one; undefined behind the last. */
  take(): Item | undefined {
    if (this.#queue.length === 0) this.#read();
    return this.#queue.shift();
  }

  /** Waits for a moment, and reads ahead if there is time for that. */
  async while(pace: Pace, ns: bigint): Promise<void> {
    while (!this.#isDone && this.#queue.length < MOST_AHEAD && pace.leftMs(ns) > this.#costMs) this.#read();
    await pace.until(ns);
  }

  #read(): void {
    const startedMs = this.#clock.nowMs();
    const { value, done } = this.#items.next();
    if (done) this.#isDone = true;
    else this.#queue.push(value);
    // Many items come without a block's decoding.
    this.#costMs = Math.max(1.5 * (this.#clock.nowMs() - startedMs), 0.9 * this.#costMs);
  }
}

/** Records of steps, one by one. By hand, as an async generator takes several times as long for each. */
class RecordIterator<F extends Fields, Name extends string> implements AsyncIterableIterator<unknown> {
  readonly #steps: AsyncGenerator<Step<F, Name> | Gap>;
  #columns: Record<string, AnyColumn> = {};
  #make: ReturnType<typeof recordMaker> = () => ({});
  #row = 0;
  #to = 0;
  /** The call that waits for the next step; calls that come meanwhile go after it. */
  #waiting: Promise<IteratorResult<unknown>> | null = null;

  constructor(steps: AsyncGenerator<Step<F, Name> | Gap>) {
    this.#steps = steps;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#row < this.#to && this.#waiting === null) {
      return Promise.resolve({ value: this.#make(this.#columns, this.#row++), done: false });
    }
    const waiting: Promise<IteratorResult<unknown>> =
      this.#waiting === null ? this.#step() : this.#waiting.then(() => this.#again());
    this.#waiting = waiting;
    const forget = () => {
      if (this.#waiting === waiting) this.#waiting = null;
    };
    waiting.then(forget, forget);
    return waiting;
  }

  async #again(): Promise<IteratorResult<unknown>> {
    if (this.#row < this.#to) return { value: this.#make(this.#columns, this.#row++), done: false };
    return this.#step();
  }

  async #step(): Promise<IteratorResult<unknown>> {
    const { value: step, done } = await this.#steps.next();
    if (done) return { value: undefined, done: true };
    if (step instanceof Gap) return { value: step, done: false };
    this.#columns = step.batch.columns as Record<string, AnyColumn>;
    this.#make = recordMaker(this.#columns);
    this.#row = step.from;
    this.#to = step.to;
    return { value: this.#make(this.#columns, this.#row++), done: false };
  }

  async return(): Promise<IteratorResult<unknown>> {
    this.#row = this.#to;
    await this.#steps.return(undefined);
    return { value: undefined, done: true };
  }
}
