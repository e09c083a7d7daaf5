import { LANE_LEFT, LANE_STATE, LANE_WAITING } from '../../assembly/layout.js';
import { TapeError } from '../errors.js';
import type { GapLog } from '../gap-log.js';
import { Gap, type GapId } from '../gaps.js';
import { Appender, type AppenderHandle } from '../journal/appender.js';
import type { Runtime } from '../runtime.js';
import type { Schema } from '../schema.js';
import { Backoff, type BackoffOptions, pause } from './backoff.js';
import type { CollectorCounters } from './collector-counters.js';
import type { CollectorCommand } from './collector-worker.js';
import {
  type CollectorMessage,
  type CollectorSource,
  type CollectorTask,
  loadSource,
  makeContext,
  plainError,
  runSource,
  SHARED_STOP,
  STOP_KINDLY,
  STOP_NOW,
} from './context.js';

/** What happens to the collectors of a source. `collector`: its number among all of the tape. */
export type CollectorEvent =
  | { type: 'started' | 'restarted' | 'ended'; collector: number; name: string }
  /** The source threw, or its thread died; it is started again after `waitMs`, or never (null) where that would not help. */
  | { type: 'failed'; collector: number; name: string; error: Error; waitMs: number | null }
  /** A gap began, or ended: then `gap.toNs` says when. */
  | { type: 'gap'; collector: number; name: string; gap: Gap }
  /** Something is amiss that stops nothing: a rejected message could not be written down. */
  | { type: 'trouble'; collector: number; name: string; message: string };

/** What a collector needs of its tape and of whoever started it. */
export interface CollectorSetup {
  runtime: Runtime;
  schema: Schema;
  task: Omit<CollectorTask, 'attempt'>;
  threads: 'workers' | 'inline';
  restart: BackoffOptions;
  counters: CollectorCounters;
  gaps: GapLog;
  onEvent(event: CollectorEvent): void;
}

/** One run of the source. */
interface Attempt {
  /** Lets it begin, once it is loaded. */
  go(): void;
  /** Asks it to end. */
  stop(): void;
  /** Resolves when nothing of it is left. */
  kill(): Promise<void>;
}

/** How long a source may take to end by itself when it is asked to, and then its generator, in ms. */
const STOP_MS = 2000;
const STOP_NOW_MS = 200;
/** How long it may go on waiting for room in its lane: what it waits with was received. */
const STOP_FULL_MS = 10_000;

/** What goes wrong again however often it is tried, or would record a file's records twice. */
const FATAL = new Set<TapeError['code']>([
  'BAD_OPTION',
  'CLOSED',
  'CORRUPT',
  'FLUSHER_FAILED',
  'IO',
  'NOT_FOUND',
  'UNSUPPORTED',
]);

/** A source that is kept running, with a lane of its own. */
export class Collector {
  /** Resolves when its source can be run, for the first time. */
  readonly loaded: Promise<void>;
  /** Resolves when its source has ended by itself, or was stopped; rejected where it failed for good. */
  readonly finished: Promise<void>;
  readonly #setup: CollectorSetup;
  readonly #words: Int32Array;
  readonly #receivedAt: BigInt64Array;
  readonly #stopping = new AbortController();
  /** Those of the present attempt that last, by their numbers. */
  readonly #openGaps = new Map<number, GapId>();
  /** Those that last until something is received again. */
  #missed: GapId[] = [];
  #hasEnded = false;
  #wasKilled = false;
  #attempt: Attempt | null = null;
  #isFirst = true;
  #resolveLoaded!: () => void;
  #rejectLoaded!: (error: Error) => void;
  #resolveGoing!: () => void;
  readonly #going: Promise<void>;

  constructor(setup: CollectorSetup) {
    this.#setup = setup;
    this.#words = new Int32Array(setup.task.shared);
    this.#receivedAt = new BigInt64Array(setup.task.shared);
    this.loaded = new Promise((resolve, reject) => {
      this.#resolveLoaded = resolve;
      this.#rejectLoaded = reject;
    });
    this.#going = new Promise((resolve) => {
      this.#resolveGoing = resolve;
    });
    setup.counters.begin(setup.task.name, setup.task.handle.lane);
    this.finished = this.#run();
    // Who started it may not have come to the one or the other yet.
    this.loaded.catch(() => {});
    this.finished.catch(() => {});
  }

  go(): void {
    this.#resolveGoing();
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Asks the source to end, then its generator, then ends its thread. What it has appended is on the tape. */
  async stop(): Promise<void> {
    Atomics.store(this.#words, SHARED_STOP, STOP_KINDLY);
    this.#stopping.abort();
    this.#resolveGoing();
    this.#attempt?.stop();
    const ended = this.finished.then(
      () => true,
      () => true,
    );
    if (await within(ended, STOP_MS)) return;
    Atomics.store(this.#words, SHARED_STOP, STOP_NOW);
    const { runtime, task } = this.#setup;
    const untilMs = runtime.nowMs() + STOP_FULL_MS;
    do {
      if (await within(ended, STOP_NOW_MS)) return;
    } while (isWaiting(task.handle) && runtime.nowMs() < untilMs);
    this.#wasKilled = true;
    await this.#attempt?.kill();
    await ended;
  }

  async #run(): Promise<void> {
    const { runtime, task, counters, restart } = this.#setup;
    const backoff = new Backoff(restart);
    try {
      for (let attempt = 0; ; attempt++) {
        const startedMs = runtime.nowMs();
        const startedNs = runtime.nowNs();
        const outcome = await this.#runOnce({ ...task, attempt });
        // Where it failed something may still run of it: only what is gone leaves its lane to another.
        await this.#attempt?.kill();
        this.#attempt = null;
        if (outcome === null || this.#stopping.signal.aborted) break;
        if (this.#isFirst) throw new TapeError('BAD_SOURCE', outcome.message);
        const waitMs =
          outcome.code !== null && FATAL.has(outcome.code) ? null : backoff.next(runtime.nowMs() - startedMs);
        const error = outcome.code === null ? new Error(outcome.message) : new TapeError(outcome.code, outcome.message);
        this.#missed.push(...this.#openGaps.values());
        this.#openGaps.clear();
        if (this.#missed.length === 0) {
          const lastNs = this.#receivedAt[0];
          this.#missed.push(this.#beginGap(`failed: ${outcome.message}`, lastNs > startedNs ? lastNs : startedNs));
        }
        counters.state = 'waiting';
        this.#tell({ type: 'failed', error, waitMs });
        if (waitMs === null) throw error;
        await pause(waitMs, this.#stopping.signal);
        if (this.#stopping.signal.aborted) break;
        counters.restarted();
      }
    } finally {
      const endedNs = runtime.nowNs();
      for (const id of [...this.#openGaps.values(), ...this.#missed]) this.#endGap(id, endedNs);
      counters.state = 'ended';
      // Not every runtime tells when a thread that was busy is gone: nobody else gets its lane.
      if (!this.#wasKilled) leaveLane(task.handle);
      this.#hasEnded = true;
    }
    this.#tell({ type: 'ended' });
  }

  /** Null where the source ended by itself, else what it failed of. */
  async #runOnce(task: CollectorTask): Promise<{ message: string; code: TapeError['code'] | null } | null> {
    const { threads } = this.#setup;
    const outcome = new Promise<{ message: string; code: TapeError['code'] | null } | null>((resolve) => {
      const onMessage = (message: CollectorMessage) => {
        if (message.type === 'ended') resolve(null);
        else if (message.type === 'failed') resolve(message.error);
        else this.#receive(message);
      };
      try {
        this.#attempt = threads === 'inline' ? this.#inline(task, onMessage) : this.#thread(task, onMessage);
      } catch (error) {
        // Options that can't be given to another thread.
        resolve(plainError(error));
      }
    });
    if (this.#stopping.signal.aborted) this.#attempt?.stop();
    const found = await outcome;
    if (found !== null) this.#rejectLoaded(new TapeError('BAD_SOURCE', found.message));
    else this.#resolveLoaded();
    return found;
  }

  #thread(task: CollectorTask, onMessage: (message: CollectorMessage) => void): Attempt {
    const { runtime } = this.#setup;
    const worker = runtime.spawn(new URL('./collector-worker.js', import.meta.url), task);
    worker.onMessage((message) => onMessage(message as CollectorMessage));
    worker.onFailure((error) => onMessage({ type: 'failed', error: plainError(error) }));
    return {
      go: () => worker.post('go' satisfies CollectorCommand),
      stop: () => worker.post('stop' satisfies CollectorCommand),
      async kill() {
        await worker.terminate();
        onMessage({ type: 'ended' });
      },
    };
  }

  #inline(task: CollectorTask, onMessage: (message: CollectorMessage) => void): Attempt {
    const { runtime, schema } = this.#setup;
    const controller = new AbortController();
    let go!: () => void;
    const going = new Promise<void>((resolve) => {
      go = resolve;
    });
    let close = () => {};
    const run = async () => {
      const source: CollectorSource = await loadSource(task.source);
      const nowNs = () => runtime.nowNs();
      const appender = new Appender(schema, task.handle, nowNs);
      const owned = makeContext(task, schema, appender, controller.signal, nowNs, onMessage);
      close = owned.close;
      onMessage({ type: 'loaded' });
      await going;
      if (!controller.signal.aborted) await runSource(source, owned.context, task.shared);
    };
    run().then(
      () => onMessage({ type: 'ended' }),
      (error) => onMessage({ type: 'failed', error: plainError(error) }),
    );
    return {
      go,
      stop() {
        controller.abort();
        go();
      },
      // What is left of it can't be ended, and appends nothing any more.
      async kill() {
        controller.abort();
        close();
        onMessage({ type: 'ended' });
      },
    };
  }

  #receive(message: CollectorMessage): void {
    const { counters } = this.#setup;
    switch (message.type) {
      case 'loaded':
        counters.state = 'running';
        void this.#begin(this.#isFirst ? 'started' : 'restarted');
        this.#isFirst = false;
        this.#resolveLoaded();
        break;
      case 'received':
        // Whatever the attempts before did not see the end of.
        for (const id of this.#missed) this.#endGap(id, message.atNs);
        this.#missed = [];
        break;
      case 'gap':
        this.#openGaps.set(message.number, this.#beginGap(message.reason, message.fromNs));
        break;
      case 'gapEnd': {
        const id = this.#openGaps.get(message.number);
        if (id !== undefined) this.#endGap(id, message.toNs);
        this.#openGaps.delete(message.number);
        break;
      }
      case 'trouble':
        this.#tell({ type: 'trouble', message: message.message });
    }
  }

  async #begin(type: 'started' | 'restarted'): Promise<void> {
    const attempt = this.#attempt;
    await this.#going;
    this.#tell({ type });
    attempt?.go();
  }

  #beginGap(reason: string, fromNs: bigint): GapId {
    const { gaps, task, counters } = this.#setup;
    const gap = new Gap({ collector: task.slot, name: task.name, fromNs, toNs: null, reason });
    counters.gap();
    const id = gaps.add(gap);
    this.#tell({ type: 'gap', gap });
    return id;
  }

  #endGap(id: GapId, toNs: bigint): void {
    const gap = this.#setup.gaps.end(id, toNs);
    if (gap !== null) this.#tell({ type: 'gap', gap });
  }

  #tell(event: DistributiveOmit<CollectorEvent, 'collector' | 'name'>): void {
    const { task, onEvent } = this.#setup;
    onEvent({ ...event, collector: task.slot, name: task.name } as CollectorEvent);
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** Whether `promise` resolves within `ms`. */
async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const done = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return done;
}

/** Whether the lane's producer is asleep in `append`. */
const isWaiting = ({ memory, at }: AppenderHandle): boolean =>
  Atomics.load(new Int32Array(memory.buffer), (at + LANE_WAITING) >> 2) !== 0;

/** Gives the lane of a producer that is gone back, once what is in it has been flushed. */
function leaveLane({ memory, at }: AppenderHandle): void {
  Atomics.store(new Int32Array(memory.buffer), (at + LANE_STATE) >> 2, LANE_LEFT);
}
