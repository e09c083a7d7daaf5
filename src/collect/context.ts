import { CONTROL } from '../../assembly/layout.js';
import { TapeError } from '../errors.js';
import type { Appender, AppenderHandle } from '../journal/appender.js';
import type { Fields, Schema, ValuesOf } from '../schema.js';
import { CollectorCounters } from './collector-counters.js';
import { RejectedFile } from './rejected-file.js';

/** What a source is given: where to append, and what to tell of what it does. */
export interface CollectorContext<F extends Fields = Fields, Options = unknown> {
  /** Which of the collectors of this source it is, from 0 on, and how many there are. */
  readonly collector: number;
  readonly collectors: number;
  readonly name: string;
  /** How often the source was started again after a failure. */
  readonly attempt: number;
  readonly options: Options;
  readonly schema: Schema<F>;
  /** As of an appender: see there. */
  readonly append: (...values: ValuesOf<F>) => number;
  readonly appendScaled: (...values: ValuesOf<F>) => number;
  /** Wall clock in ns: the time of receipt. It never steps back, also not when the source is started again. */
  now(): bigint;
  /** Aborted when the collector is to stop: the source appends what it has, and ends. */
  readonly signal: AbortSignal;
  /** The share of the lane, 0 to 1, whose records are not yet on their storage nodes. */
  backlog(): number;
  /** That so many messages came, of so many bytes. The first one after a failure ends its gap. */
  received(messages: number, bytes: number): void;
  /** That a message was not understood: it is counted and goes to the file of rejected messages. */
  rejected(message: string | Uint8Array, reason: string): void;
  /** That something is missed from `fromNs` (now) on, until `end` is called. */
  gap(reason: string, fromNs?: bigint): { end(atNs?: bigint): void };
}

/**
 * The default export of a source's module. A generator yields the values of a record each; any other function appends itself, and its
 * promise ends with it. Where it ends, the collector is done; where it throws, it is started again, and the time until then is a gap.
 */
export type CollectorSource<F extends Fields = Fields, Options = unknown> = (
  context: CollectorContext<F, Options>,
) => AsyncIterable<ValuesOf<F>> | Iterable<ValuesOf<F>> | Promise<void> | void;

/** What whoever minds the collector is told. */
export type CollectorMessage =
  | { type: 'loaded' }
  | { type: 'received'; atNs: bigint }
  | { type: 'gap'; number: number; reason: string; fromNs: bigint }
  | { type: 'gapEnd'; number: number; toNs: bigint }
  /** A message that was rejected could not be written down. */
  | { type: 'trouble'; message: string }
  | { type: 'ended' }
  | { type: 'failed'; error: { message: string; code: TapeError['code'] | null } };

/** What a collector is started with; structured-cloneable. */
export interface CollectorTask {
  /** Of the module. */
  source: string;
  collector: number;
  collectors: number;
  name: string;
  attempt: number;
  options: unknown;
  schemaJson: string;
  handle: AppenderHandle;
  /** Its place among the collectors of the tape. */
  slot: number;
  rejectedFile: string | null;
  /** i64 a lane: the last time that `now` gave for it. */
  clocks: SharedArrayBuffer;
  /** i64: when something was received last, 0 before; i32 behind it: one of STOP_*. */
  shared: SharedArrayBuffer;
}

export const SHARED_BYTES = 16;
export const SHARED_STOP = 2;
export const STOP_KINDLY = 1;
export const STOP_NOW = 2;

/** The time of one append in so many is taken. */
const SAMPLE_EVERY = 1024;
/** After so many records of a generator others have a turn: timers, sockets, the message to stop. */
const RECORDS_A_TURN = 256;

/** A context and what ends it. */
export interface OwnedContext {
  context: CollectorContext;
  /** Nothing more is appended through it. The lane stays whose it is. */
  close(): void;
}

export function makeContext(
  task: CollectorTask,
  schema: Schema,
  appender: Appender,
  signal: AbortSignal,
  nowNs: () => bigint,
  tell: (message: CollectorMessage) => void,
): OwnedContext {
  const { collector, collectors, name, attempt, options, handle, slot } = task;
  const counters = new CollectorCounters(handle.memory.buffer, CONTROL, slot);
  const clocks = new BigInt64Array(task.clocks);
  const receivedAt = new BigInt64Array(task.shared);
  const rejectedFile = task.rejectedFile === null ? null : new RejectedFile(task.rejectedFile);
  let lastNs = clocks[handle.lane];
  /** `now` was called since the last message. */
  let isFresh = false;
  let hasReceived = false;
  let gaps = 0;
  let isTroubled = false;

  const now = (): bigint => {
    const ns = nowNs();
    isFresh = true;
    if (ns > lastNs) {
      lastNs = ns;
      clocks[handle.lane] = ns;
    }
    return lastNs;
  };
  const drops = new Drops((reason, fromNs) => context.gap(reason, fromNs));
  const watch: AppendWatch = {
    nowNs: now,
    timed: (ns) => counters.appended(ns),
    dropped: () => drops.dropped(now()),
    taken: (ns) => drops.taken(ns),
  };
  const plain = sampled(appender.append, schema.fields.length, watch);
  const scaled = sampled(appender.appendScaled, schema.fields.length, watch);

  const context: CollectorContext = {
    collector,
    collectors,
    name,
    attempt,
    options,
    schema,
    append: plain.append,
    appendScaled: scaled.append,
    now,
    signal,
    backlog: () => appender.backlog(),
    received(messages, bytes) {
      const ns = isFresh ? lastNs : now();
      isFresh = false;
      receivedAt[0] = ns;
      counters.received(messages, bytes, Number(ns));
      if (hasReceived) return;
      hasReceived = true;
      tell({ type: 'received', atNs: ns });
    },
    rejected(message, reason) {
      counters.rejected();
      try {
        rejectedFile?.add(lastNs > 0n ? lastNs : now(), slot, reason, message);
        isTroubled = false;
      } catch (error) {
        // Once, until it goes well again: a full disk would say so for every message.
        if (!isTroubled) tell({ type: 'trouble', message: `${task.rejectedFile}: ${(error as Error).message}` });
        isTroubled = true;
      }
    },
    gap(reason, fromNs = now()) {
      const number = gaps++;
      tell({ type: 'gap', number, reason: String(reason), fromNs });
      return { end: (toNs = now()) => tell({ type: 'gapEnd', number, toNs }) };
    },
  };
  return {
    context,
    close() {
      plain.close();
      scaled.close();
      rejectedFile?.close();
    },
  };
}

/** A lane that is full now and then gives one gap, not one each time. */
const DROPS_NS = 1_000_000_000n;

/** The gap of records that were dropped (`onFull: 'drop'`): from the first to the first one taken after which none was for a second. */
class Drops {
  readonly #begin: (reason: string, fromNs: bigint) => { end(atNs: bigint): void };
  #gap: { end(atNs: bigint): void } | null = null;
  /** Of the first record since the last drop; null while they are dropped. */
  #takenNs: bigint | null = null;

  constructor(begin: (reason: string, fromNs: bigint) => { end(atNs: bigint): void }) {
    this.#begin = begin;
  }

  dropped(ns: bigint): void {
    this.#gap ??= this.#begin('the lane was full: records were dropped', ns);
    this.#takenNs = null;
  }

  /** Whether all is well. */
  taken(ns: bigint): boolean {
    if (this.#gap === null) return true;
    this.#takenNs ??= ns;
    if (ns - this.#takenNs < DROPS_NS) return false;
    this.#gap.end(this.#takenNs);
    this.#gap = null;
    return true;
  }
}

/** What is to be known of appends. */
export interface AppendWatch {
  nowNs(): bigint;
  /** That one took so long. */
  timed(ns: number): void;
  /** That a record was dropped; then `taken` is asked at each one that is not, until it says that all is well. */
  dropped(): void;
  taken(ns: bigint): boolean;
}

type AnyAppend = (...values: never[]) => number;

/**
 * `append`, with the time of one call in SAMPLE_EVERY taken, until it is closed. Written out for the number of arguments: one that passes them on
 * with `...` would allocate.
 */
export function sampled<Append extends AnyAppend>(
  append: Append,
  fields: number,
  watch: AppendWatch,
): { append: Append; close(): void } {
  const values = Array.from({ length: fields }, (_, i) => `v${i}`).join(', ');
  // Where `left` is 1 the next call is slow.
  const body = `'use strict';
    let left = ${SAMPLE_EVERY};
    let isClosed = false;
    function slow(${values}) {
      left = 1;
      if (isClosed) throw closed();
      const from = watch.nowNs();
      const position = append(${values});
      if (position < 0) watch.dropped();
      else {
        watch.timed(Number(watch.nowNs() - from));
        if (watch.taken(from)) left = ${SAMPLE_EVERY};
      }
      return position;
    }
    return {
      append: function (${values}) {
        if (--left <= 0) return slow(${values});
        const position = append(${values});
        if (position < 0) {
          left = 1;
          watch.dropped();
        }
        return position;
      },
      close() {
        isClosed = true;
        left = 1;
      },
    };`;
  const closed = () => new TapeError('CLOSED', 'this collector has ended: its source must not append any more');
  return new Function('append', 'watch', 'closed', body)(append, watch, closed);
}

/** Runs the source until it ends. `stop`: i32 at SHARED_STOP of `shared`. @throws what the source throws */
export async function runSource(
  source: CollectorSource,
  context: CollectorContext,
  shared: SharedArrayBuffer,
): Promise<void> {
  const words = new Int32Array(shared);
  const { received } = context;
  let countsItself = false;
  context.received = (messages, bytes) => {
    countsItself = true;
    received(messages, bytes);
  };
  const result: unknown = source(context);
  if (!isIterable(result)) {
    await result;
    return;
  }
  let records = 0;
  for await (const values of result) {
    context.append(...values);
    if (!countsItself) received(1, 0);
    if (Atomics.load(words, SHARED_STOP) === STOP_NOW) break;
    if (++records % RECORDS_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

const isIterable = (value: unknown): value is AsyncIterable<never[]> | Iterable<never[]> =>
  typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);

/** The source in a module. @throws Error that says what is wrong with it */
export async function loadSource(url: string): Promise<CollectorSource> {
  let module: { default?: unknown };
  try {
    module = await import(url);
  } catch (cause) {
    throw new Error(`${url}: can't be loaded: ${(cause as Error)?.message ?? cause}`, { cause });
  }
  if (typeof module.default !== 'function') {
    throw new Error(`${url}: its default export must be a function that takes a collector's context`);
  }
  return module.default as CollectorSource;
}

/** An error as it crosses between threads. */
export function plainError(error: unknown): { message: string; code: TapeError['code'] | null } {
  const message = error instanceof Error ? error.message : String(error);
  return { message, code: error instanceof TapeError ? error.code : null };
}
