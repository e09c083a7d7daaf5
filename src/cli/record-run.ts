import process from 'node:process';
import { runtime } from 'ticktape/runtime';
import { pause } from '../collect/backoff.js';
import type { CollectorEvent } from '../collect/collector.js';
import type { Config } from '../config/config.js';
import { TapeError } from '../errors.js';
import { type MetricsServer, startMetrics } from '../metrics/server.js';
import { openTape } from '../open.js';
import type { Fields } from '../schema.js';
import { builtInSchema } from '../schemas.js';
import type { TapeStats } from '../stats.js';
import type { Tape } from '../tape.js';
import { CollectorEvents } from './collector-events.js';
import { type RecordResult, resultOf, type StoppedBy } from './record-summary.js';
import { appendedOf, StatusLine } from './status-line.js';

const SOURCE = new URL('../collect/feed-source.js', import.meta.url);
/** How often it is looked whether enough is recorded. */
const COUNT_MS = 20;
/** A timer can't run for longer than 24 days. */
const MOST_PAUSE_MS = 86_400_000;
/** After so long the user is told what there is to wait for. */
const PATIENCE_MS = 2000;

export interface Limits {
  durationMs: number | undefined;
  records: number | undefined;
}

/**
 * Records until all feeds have ended, a limit is reached or a signal comes, and closes the tape. What goes wrong at the end is among the result's
 * troubles.
 * @throws TapeError where the tape can't be opened, or its collectors not be started
 */
export async function recordFeeds(
  config: Config,
  limits: Limits,
  signal: Promise<NodeJS.Signals>,
  quiet: boolean,
): Promise<RecordResult> {
  let status: StatusLine | undefined;
  const warn = (message: string) => {
    const line = `ticktape: ${message}`;
    if (status === undefined) process.stderr.write(`${line}\n`);
    else status.tell(line);
  };
  const schema = builtInSchema(config.schema.name, config.schema);
  const tape = await openTape(schema, { ...config.tape, onWarning: warn });
  const startedMs = performance.now();
  const feeds = config.feeds.flatMap(({ collectors }) => collectors);
  const ends = new Ends(feeds.length);
  const { troubles } = ends;
  const trouble = ({ message }: Error) => {
    if (troubles.includes(message)) return;
    troubles.push(message);
    warn(message);
  };
  const over = new AbortController();
  const events = new CollectorEvents();
  let metrics: MetricsServer | undefined;
  let stoppedBy: StoppedBy = 'error';
  let stats: TapeStats;
  let stopMs = startedMs;
  try {
    if (config.metrics !== undefined) metrics = await startMetrics(config.metrics, () => tape.stats());
    const collection = await tape.collect(SOURCE, {
      collectors: feeds.length,
      names: feeds.map(({ name }) => name),
      options: (collector: number) => feeds[collector].options,
      onEvent(event) {
        ends.add(event);
        const line = events.describe(event);
        if (line !== null) warn(line);
      },
    });
    if (!quiet) warn(begun(config, feeds.length, metrics));
    status = new StatusLine(() => tape.stats());
    status.begin();
    stoppedBy = await Promise.race([ends.all, signal, untilLimit(tape, limits, over.signal)]);
    stopMs = performance.now();
    events.isStopping = true;
    const impatient = setTimeout(
      () => warn('what is left is being stored; after a second signal the next start does it'),
      PATIENCE_MS,
    );
    await collection.stop().catch(trouble);
    await tape.flush().catch(trouble);
    clearTimeout(impatient);
  } finally {
    over.abort();
    stats = tape.stats();
    status?.end();
    await metrics?.close();
    await tape.close().catch(trouble);
  }
  const closedMs = performance.now();
  return resultOf(config, stats, {
    seconds: (stopMs - startedMs) / 1000,
    closeSeconds: (closedMs - stopMs) / 1000,
    stoppedBy,
    troubles,
    runtime: runtime.name,
  });
}

function begun({ tape, schema }: Config, collectors: number, metrics: MetricsServer | undefined): string {
  const told = metrics === undefined ? '' : `; metrics at ${metrics.url}`;
  return `recording ${schema.name} with ${collectors} collectors to ${tape.storage.length} storage nodes, until Ctrl-C${told}`;
}

/** Tells when the last of so many collectors is done, or when none can record any more, and what they died of. */
class Ends {
  /** Resolves then. */
  readonly all: Promise<StoppedBy>;
  readonly troubles: string[] = [];
  readonly #resolve: (stoppedBy: StoppedBy) => void;
  #left: number;

  constructor(collectors: number) {
    this.#left = collectors;
    let resolve!: (stoppedBy: StoppedBy) => void;
    this.all = new Promise((done) => {
      resolve = done;
    });
    this.#resolve = resolve;
  }

  add(event: CollectorEvent): void {
    if (event.type === 'failed' && event.waitMs === null) {
      const { error, name } = event;
      this.troubles.push(`${name}: ${error.message}`);
      if (error instanceof TapeError && (error.code === 'CLOSED' || error.code === 'FLUSHER_FAILED'))
        this.#resolve('error');
    } else if (event.type !== 'ended') return;
    this.#left--;
    if (this.#left === 0) this.#resolve(this.troubles.length > 0 ? 'error' : 'end');
  }
}

/** Resolves when a limit is reached. */
async function untilLimit(
  tape: Pick<Tape<Fields>, 'stats'>,
  { durationMs, records }: Limits,
  signal: AbortSignal,
): Promise<StoppedBy> {
  const startedMs = performance.now();
  const before = appendedOf(tape.stats());
  while (!signal.aborted) {
    const leftMs = durationMs === undefined ? Number.POSITIVE_INFINITY : startedMs + durationMs - performance.now();
    if (leftMs <= 0) return 'duration';
    if (records !== undefined && appendedOf(tape.stats()) - before >= records) return 'records';
    await pause(Math.min(leftMs, records === undefined ? MOST_PAUSE_MS : COUNT_MS), signal);
  }
  return 'end';
}
