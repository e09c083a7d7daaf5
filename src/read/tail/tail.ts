import { setImmediate } from 'node:timers';
import { show, TapeError } from '../../errors.js';
import { Gap } from '../../gaps.js';
import type { Runtime } from '../../runtime.js';
import type { Fields, RecordOf } from '../../schema.js';
import type { Batch } from '../batch.js';
import { resolveSelection } from '../selection.js';
import { Follower, type TailSource } from './follower.js';
import { GapWatch } from './gap-watch.js';
import { LiveBatch, ownBatch } from './live-batch.js';

/** Where a tail begins: at what is appended after the call, at the oldest record, or at the first with this timestamp (ns) or a later one. */
export type TailStart = 'now' | 'start' | bigint;

/** What a follower is asked for; all of it may be left out. */
export interface FollowOptions {
  /** By default `'now'`. */
  from?: TailStart;
  /** Only records with one of these in the schema's (first) symbol field; never those where it is absent. */
  symbols?: readonly string[];
  /** Only records for which all of these hold: `'price>=61800'`, `'side=1'`. */
  where?: readonly string[];
}

/** What a tail is asked for; all of it may be left out. */
export interface TailOptions<Name extends string = string> extends FollowOptions {
  /** Only these columns. */
  columns?: readonly Name[];
  /** Also yields the tape's gaps. */
  gaps?: boolean;
  /**
   * How it waits for records: `'sleep'` (the default) looks every millisecond or two; `'spin'` looks all the time, and takes the thread.
   */
  wait?: 'sleep' | 'spin';
  signal?: AbortSignal;
}

/** @throws TapeError `BAD_OPTION`, and as `Follower` */
export function makeFollower<F extends Fields>(source: TailSource<F>, options: FollowOptions): Follower<F> {
  const { from = 'now', symbols, where } = options;
  try {
    if (typeof from !== 'bigint' && from !== 'now' && from !== 'start') {
      throw new TapeError('BAD_OPTION', `option from: 'now', 'start' or a time in ns as a bigint, not ${show(from)}`);
    }
    const wanted = resolveSelection(source.schema, { symbols, where });
    const filter = { symbols: wanted.symbols, where: wanted.where, fromNs: typeof from === 'bigint' ? from : null };
    return new Follower(source, filter, from === 'now');
  } catch (error) {
    source.blocks.close();
    throw error;
  }
}

/**
 * How long it sleeps between two looks: while records came of late, and when none did for a while. It is the timer that costs, not the look:
 * see ARCHITECTURE.md.
 */
const BUSY_SLEEP_MS = 1;
const IDLE_SLEEP_MS = 10;
const BUSY_FOR_MS = 1000;
/** How long it keeps the thread before the event loop has its turn. */
const TURN_MS = 5;

/** What stands between a tail and the clock. */
export interface TailHost {
  nowMs(): number;
  nowNs(): bigint;
  sleep(ms: number): Promise<void>;
  /** Whether who asked for the tail has closed the tape: it ends with what is there. */
  isClosed(): boolean;
}

export const hostOf = ({ nowMs, nowNs, sleep }: Runtime): Omit<TailHost, 'isClosed'> => ({ nowMs, nowNs, sleep });

/**
 * The records of a tape as they come, sealed or not: `for await (const batch of tail)`, or record by record with `records()`. Each is
 * yielded once, those of a lane in its order. Once only: it goes on where it was left.
 */
export class Tail<F extends Fields, Name extends string, Item> implements AsyncIterable<Item> {
  readonly #follower: Follower<F>;
  readonly #options: TailOptions<Name>;
  readonly #host: TailHost;
  readonly #names: readonly string[];
  readonly #timeName: string;
  readonly #gaps: GapWatch | null;

  /** Begins now. @throws TapeError `BAD_OPTION`, and as `Follower` */
  constructor(source: TailSource<F>, options: TailOptions<Name>, host: TailHost) {
    const { columns, gaps = false, from, wait = 'sleep' } = options;
    const { schema } = source;
    this.#host = host;
    this.#options = options;
    this.#timeName = schema.table[0].name;
    try {
      if (wait !== 'sleep' && wait !== 'spin') {
        throw new TapeError('BAD_OPTION', `option wait: 'sleep' or 'spin', not ${show(wait)}`);
      }
      this.#names = resolveSelection(schema, { columns }).fields.map(({ name }) => name);
    } catch (error) {
      source.blocks.close();
      throw error;
    }
    this.#follower = makeFollower(source, options);
    this.#gaps = gaps ? new GapWatch(source, from === undefined || from === 'now' ? host.nowNs() : from) : null;
  }

  [Symbol.asyncIterator](): AsyncGenerator<Item> {
    return this.#items() as AsyncGenerator<Item>;
  }

  /** The same, record by record. */
  async *records(): AsyncGenerator<Item extends Gap ? Gap : Pick<RecordOf<F>, Name & keyof RecordOf<F>>> {
    for await (const item of this.#items()) {
      if (item instanceof Gap) yield item as never;
      else for (const record of item.records()) yield record as never;
    }
  }

  async *#items(): AsyncGenerator<Batch<F, Name> | Gap> {
    const follower = this.#follower;
    const gaps = this.#gaps;
    const host = this.#host;
    const { signal, wait = 'sleep' } = this.#options;
    let turnMs = host.nowMs();
    let batchMs = turnMs;
    let isFinishing = false;
    try {
      for (;;) {
        signal?.throwIfAborted();
        const isClosed = host.isClosed();
        const batch = follower.poll();
        const now = host.nowMs();
        if (batch !== null) {
          batchMs = now;
          if (gaps !== null) yield* gaps.before(this.#firstNs(batch));
          yield this.#own(batch);
        } else if (follower.isIdle) {
          if (gaps !== null) yield* gaps.all();
          if (isFinishing) return;
          if (isClosed) {
            isFinishing = true;
            follower.finish();
          } else if (wait === 'sleep') {
            await host.sleep(now - batchMs < BUSY_FOR_MS ? BUSY_SLEEP_MS : IDLE_SLEEP_MS);
            turnMs = host.nowMs();
          }
        }
        if (now - turnMs < TURN_MS) continue;
        await new Promise((resolve) => setImmediate(resolve));
        turnMs = host.nowMs();
      }
    } finally {
      follower.close();
    }
  }

  #firstNs(batch: Batch<F>): bigint {
    return (batch.columns as unknown as Record<string, BigInt64Array>)[this.#timeName][0];
  }

  #own(batch: Batch<F>): Batch<F, Name> {
    const own = batch instanceof LiveBatch ? ownBatch(batch, this.#names) : batch.only(this.#names);
    return own as unknown as Batch<F, Name>;
  }
}
