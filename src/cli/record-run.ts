import process from 'node:process';
import { runtime } from 'ticktape/runtime';
import type { Config } from '../config/config.js';
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
  const troubles: string[] = [];
  const events = new CollectorEvents();
  let metrics: MetricsServer | undefined;
  let stoppedBy: StoppedBy = 'error';
  let stats: TapeStats;
  let stopMs = startedMs;
  try {
    if (config.metrics !== undefined) metrics = await startMetrics(config.metrics, () => tape.stats());
    const feeds = config.feeds.flatMap(({ collectors }) => collectors);
    const collection = await tape.collect(SOURCE, {
      collectors: feeds.length,
      names: feeds.map(({ name }) => name),
      options: (collector: number) => feeds[collector].options,
      onEvent(event) {
        const line = events.describe(event);
        if (line !== null) warn(line);
      },
    });
    if (!quiet) warn(begun(config, feeds.length, metrics));
    status = new StatusLine(() => tape.stats());
    status.begin();
    stoppedBy = await untilEnd(tape, collection.finished, limits, signal, troubles);
    stopMs = performance.now();
    const impatient = setTimeout(
      () => warn('what is left is being stored; after a second signal the next start does it'),
      PATIENCE_MS,
    );
    await collection.stop().catch((error) => troubles.push(error.message));
    await tape.flush().catch((error) => troubles.push(error.message));
    clearTimeout(impatient);
  } finally {
    stats = tape.stats();
    status?.end();
    await metrics?.close();
    await tape.close().catch((error) => troubles.push(error.message));
  }
  const closedMs = performance.now();
  return resultOf(config, stats, {
    seconds: (stopMs - startedMs) / 1000,
    closeSeconds: (closedMs - stopMs) / 1000,
    stoppedBy,
    troubles: [...new Set(troubles)],
    runtime: runtime.name,
  });
}

function begun({ tape, schema }: Config, collectors: number, metrics: MetricsServer | undefined): string {
  const told = metrics === undefined ? '' : `; metrics at ${metrics.url}`;
  return `recording ${schema.name} with ${collectors} collectors to ${tape.storage.length} storage nodes, until Ctrl-C${told}`;
}

/** What came first. */
async function untilEnd(
  tape: Pick<Tape<Fields>, 'stats'>,
  finished: Promise<void>,
  { durationMs, records }: Limits,
  signal: Promise<NodeJS.Signals>,
  troubles: string[],
): Promise<StoppedBy> {
  const timers: NodeJS.Timeout[] = [];
  const before = appendedOf(tape.stats());
  const enough = new Promise<StoppedBy>((resolve) => {
    if (durationMs !== undefined) timers.push(setTimeout(() => resolve('duration'), durationMs));
    if (records === undefined) return;
    timers.push(
      setInterval(() => {
        if (appendedOf(tape.stats()) - before >= records) resolve('records');
      }, COUNT_MS),
    );
  });
  const ended = finished.then<StoppedBy, StoppedBy>(
    () => 'end',
    (error: Error) => {
      troubles.push(error.message);
      return 'error';
    },
  );
  try {
    return await Promise.race([ended, signal, enough]);
  } finally {
    for (const timer of timers) clearInterval(timer);
  }
}
