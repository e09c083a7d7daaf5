import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { CONTROL, MAX_COLLECTORS, MAX_LANES } from '../../assembly/layout.js';
import { show, TapeError } from '../errors.js';
import type { GapLog } from '../gap-log.js';
import { NOT_RECORDING } from '../gap-log.js';
import { Gap } from '../gaps.js';
import type { AppenderHandle } from '../journal/appender.js';
import { checkPath } from '../options.js';
import type { Runtime } from '../runtime.js';
import type { Schema } from '../schema.js';
import type { BackoffOptions } from './backoff.js';
import { Collector, type CollectorEvent } from './collector.js';
import { CollectorCounters, type CollectorStats } from './collector-counters.js';
import { SHARED_BYTES } from './context.js';

export interface CollectOptions {
  /** How many run the source, each with a lane and a thread of its own: 1 to 64. Default 1. */
  collectors?: number;
  /** Of each. Default: the `name` in its options, or `collector`, with its number where there are several. */
  names?: readonly string[];
  /** What each is given as `context.options`: a value that threads can be given, or a function of the collector's number that makes it. */
  options?: unknown;
  /** How long after a failure a source is started again: at first, and at most. */
  restart?: BackoffOptions;
  /** `inline`: on the thread that calls. Default `workers`. */
  threads?: 'workers' | 'inline';
  /** Where rejected messages are appended to, a line of JSON each. Default: the `rejectedFile` in the options of each, else nowhere. */
  rejectedFile?: string;
  onEvent?(event: CollectorEvent): void;
}

/** The module of the source that ships: feeds by WebSocket, files, the simulator. Its options are `FeedOptions`. */
export const feedSource = new URL('./feed-source.js', import.meta.url);

/** Collectors that run one source. */
export interface Collection {
  /** Resolves when all sources have ended by themselves or were stopped; rejected where one failed for good. */
  readonly finished: Promise<void>;
  /** Ends the sources. What they have received is on the tape then; from here on nothing is recorded, which is a gap. */
  stop(): Promise<void>;
  stats(): CollectorStats[];
}

/** What collectors need of their tape. */
export interface CollectingSetup {
  runtime: Runtime;
  schema: Schema;
  memory: WebAssembly.Memory;
  gaps: GapLog;
  takeLane(): AppenderHandle;
  onWarning(message: string): void;
}

/** All collectors of a tape. */
export class Collecting {
  readonly #setup: CollectingSetup;
  /** The last time that was given for each lane: who takes it over goes on from there. */
  readonly #clocks = new SharedArrayBuffer(8 * MAX_LANES);
  readonly #active = new Set<RunningCollection>();

  constructor(setup: CollectingSetup) {
    this.#setup = setup;
  }

  get isActive(): boolean {
    return this.#active.size > 0;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#active].map((collection) => collection.stop()));
  }

  /** @throws TapeError `BAD_SOURCE`, `BAD_OPTION`, and what taking a lane throws */
  async collect(source: URL | string, options: CollectOptions): Promise<Collection> {
    const { runtime, schema, memory, gaps, takeLane, onWarning } = this.#setup;
    const { collectors, names, threads, restart, onEvent, rejectedFile } = checkOptions(options);
    const url = urlOf(source);
    const given: unknown[] = [];
    for (let i = 0; i < collectors; i++) {
      given.push(typeof options.options === 'function' ? await options.options(i) : options.options);
    }
    const used = new Set([...this.#active].flatMap((collection) => collection.slots));
    const free = Array.from({ length: MAX_COLLECTORS }, (_, slot) => slot).filter((slot) => !used.has(slot));
    if (free.length < collectors) {
      throw new TapeError(
        'BAD_OPTION',
        `option collectors is ${collectors}: the tape has room for ${free.length} more`,
      );
    }
    const tasks = given.map((value, collector) => {
      const own = (value ?? {}) as { name?: unknown; rejectedFile?: unknown };
      const name = typeof own.name === 'string' && own.name !== '' ? own.name : 'collector';
      return {
        source: url,
        collector,
        collectors,
        name: names?.[collector] ?? (collectors > 1 ? `${name}-${collector}` : name),
        options: value,
        schemaJson: schema.json,
        slot: free[collector],
        rejectedFile: rejectedFile ?? (typeof own.rejectedFile === 'string' ? own.rejectedFile : null),
        clocks: this.#clocks,
        shared: new SharedArrayBuffer(SHARED_BYTES),
      };
    });
    const tell = (event: CollectorEvent) => {
      try {
        onEvent?.(event);
      } catch (error) {
        onWarning(`onEvent threw: ${(error as Error).message}`);
      }
    };
    const members: Collector[] = [];
    const collection = new RunningCollection(
      members,
      tasks.map(({ slot }) => slot),
      memory,
      (stopped) => this.#stopped(stopped),
    );
    this.#active.add(collection);
    try {
      for (const task of tasks) {
        const counters = new CollectorCounters(memory.buffer, CONTROL, task.slot);
        const setup = { runtime, schema, threads, restart, counters, gaps, onEvent: tell };
        members.push(new Collector({ ...setup, task: { ...task, handle: takeLane() } }));
      }
      await Promise.all(members.map(({ loaded }) => loaded));
      if (collection.isStopping) throw new TapeError('CLOSED', 'the tape was closed while its collectors started');
    } catch (error) {
      await Promise.all(members.map((member) => member.stop()));
      this.#active.delete(collection);
      throw error;
    }
    gaps.recordingAt(runtime.nowNs());
    collection.begin(() => this.#active.delete(collection));
    return collection;
  }

  /** Collectors were stopped before they had ended: from here on something is missed. */
  #stopped(collection: RunningCollection): void {
    const { runtime, gaps } = this.#setup;
    const others = [...this.#active].some((other) => other !== collection && !other.isStopping);
    const fromNs = runtime.nowNs();
    if (!others) {
      gaps.stoppedAt(fromNs);
      return;
    }
    for (const { collector, name } of collection.running()) {
      gaps.add(new Gap({ collector, name, fromNs, toNs: null, reason: NOT_RECORDING }));
    }
  }
}

class RunningCollection implements Collection {
  readonly slots: readonly number[];
  readonly finished: Promise<void>;
  readonly #members: readonly Collector[];
  readonly #counters: CollectorCounters[];
  readonly #onStop: (collection: RunningCollection) => void;
  #resolveFinished!: (done: Promise<void>) => void;
  #stopping: Promise<void> | null = null;
  #hasBegun = false;

  constructor(
    members: readonly Collector[],
    slots: readonly number[],
    memory: WebAssembly.Memory,
    onStop: (collection: RunningCollection) => void,
  ) {
    this.slots = slots;
    this.#members = members;
    this.#counters = slots.map((slot) => new CollectorCounters(memory.buffer, CONTROL, slot));
    this.#onStop = onStop;
    this.finished = new Promise((resolve) => {
      this.#resolveFinished = resolve;
    });
    this.finished.catch(() => {});
  }

  get isStopping(): boolean {
    return this.#stopping !== null;
  }

  /** Those that have not ended. */
  running(): CollectorStats[] {
    return this.stats().filter((_, i) => !this.#members[i].hasEnded);
  }

  begin(onEnd: () => void): void {
    this.#hasBegun = true;
    for (const member of this.#members) member.go();
    const ended = Promise.allSettled(this.#members.map(({ finished }) => finished)).then(onEnd);
    this.#resolveFinished(Promise.all(this.#members.map(({ finished }) => finished)).then(() => {}));
    void ended;
  }

  stop(): Promise<void> {
    if (this.#stopping === null) {
      const isCutShort = this.#hasBegun && this.#members.some((member) => !member.hasEnded);
      this.#stopping = Promise.all(this.#members.map((member) => member.stop())).then(() => {});
      if (isCutShort) this.#onStop(this);
    }
    return this.#stopping;
  }

  stats(): CollectorStats[] {
    return this.#counters.flatMap((counters, i) => counters.read(this.slots[i]) ?? []);
  }
}

/** A path, from the working directory on, or a URL. */
function urlOf(source: URL | string): string {
  if (source instanceof URL) return source.href;
  checkPath('source', source);
  return /^[a-z][a-z\d+.-]+:/i.test(source) ? source : pathToFileURL(path.resolve(source)).href;
}

function checkOptions({
  collectors = 1,
  names,
  restart = {},
  threads = 'workers',
  rejectedFile,
  onEvent,
}: CollectOptions) {
  const refuse = (name: string, value: unknown, expected: string): never => {
    throw new TapeError('BAD_OPTION', `option ${name} is ${show(value)}: it must be ${expected}`);
  };
  const isWhole = (value: unknown) => Number.isInteger(value) && (value as number) >= 1;
  if (!isWhole(collectors) || collectors > MAX_COLLECTORS) {
    refuse('collectors', collectors, `a whole number from 1 to ${MAX_COLLECTORS}`);
  }
  const isNames =
    Array.isArray(names) && names.length === collectors && names.every((name) => typeof name === 'string');
  if (names !== undefined && !isNames) refuse('names', names, 'an array with a name for each collector');
  if (typeof restart !== 'object' || restart === null) refuse('restart', restart, 'an object with firstMs and mostMs');
  for (const name of ['firstMs', 'mostMs'] as const) {
    const value = restart[name];
    if (value !== undefined && !(isWhole(value) && value <= 86_400_000)) {
      refuse(`restart.${name}`, value, 'a whole number of milliseconds');
    }
  }
  if (threads !== 'workers' && threads !== 'inline') refuse('threads', threads, `'workers' or 'inline'`);
  if (rejectedFile !== undefined) checkPath('rejectedFile', rejectedFile);
  if (onEvent !== undefined && typeof onEvent !== 'function') refuse('onEvent', onEvent, 'a function');
  return { collectors, names, restart, threads, rejectedFile, onEvent };
}
