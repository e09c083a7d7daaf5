import { bold, dim, green, red, yellow } from 'deno-std/fmt/colors.js';
import type { Config } from '../config/config.js';
import type { TapeStats } from '../stats.js';
import { bytes, count, mark, row, seconds } from './rows.js';
import { appendedOf } from './status-line.js';

/** `end`: all feeds have ended. */
export type StoppedBy = NodeJS.Signals | 'duration' | 'records' | 'end' | 'error';

/** One session of a recorder. */
export interface RecordResult {
  runtime: string;
  config: string;
  schema: string;
  stoppedBy: StoppedBy;
  /** From the opening of the tape until the stop; then until it was closed. */
  seconds: number;
  closeSeconds: number;
  /** Appended, and of them on their storage nodes. */
  records: number;
  stored: number;
  dropped: number;
  recovered: number;
  blocks: number;
  bytesRaw: number;
  bytesStored: number;
  compressionRatio: number;
  /** Records that have fewer copies than asked for. */
  degradedRecords: number;
  messages: number;
  rejected: number;
  gaps: number;
  restarts: number;
  journal: TapeStats['journal'];
  storage: { path: string; state: string; blocks: number; bytes: number; errors: number }[];
  feeds: FeedResult[];
  /** What went wrong, for the user to see to; empty where the tape was closed with everything on it. */
  troubles: string[];
}

export interface FeedResult {
  name: string;
  kind: string;
  collectors: number;
  /** Collectors that have received anything. */
  receiving: number;
  messages: number;
  bytes: number;
  records: number;
  rejected: number;
  gaps: number;
  restarts: number;
}

type Course = Pick<RecordResult, 'seconds' | 'closeSeconds' | 'stoppedBy' | 'troubles' | 'runtime'>;

export function resultOf(config: Config, stats: TapeStats, course: Course): RecordResult {
  const feeds = feedsOf(config, stats);
  const sum = (of: 'messages' | 'rejected' | 'gaps' | 'restarts') => feeds.reduce((total, feed) => total + feed[of], 0);
  return {
    ...course,
    seconds: rounded(course.seconds),
    closeSeconds: rounded(course.closeSeconds),
    config: config.path,
    schema: config.schema.name,
    records: appendedOf(stats),
    stored: stats.records,
    dropped: stats.lanes.reduce((total, { drops }) => total + Number(drops), 0),
    recovered: stats.recovery.records,
    blocks: stats.blocks,
    bytesRaw: stats.rawBytes,
    bytesStored: stats.storedBytes,
    compressionRatio: rounded(stats.compressionRatio),
    degradedRecords: stats.degraded.records,
    messages: sum('messages'),
    rejected: sum('rejected'),
    gaps: sum('gaps'),
    restarts: sum('restarts'),
    journal: stats.journal,
    storage: stats.storageNodes.map(({ path, state, blocks, bytes, errors }) => ({
      path,
      state,
      blocks,
      bytes,
      errors,
    })),
    feeds,
  };
}

const rounded = (value: number) => Number(value.toFixed(3));

function feedsOf({ feeds }: Config, { collectors, lanes }: TapeStats): FeedResult[] {
  const records = new Map(lanes.map((lane) => [lane.lane, Number(lane.records)]));
  return feeds.map((feed) => {
    const names = new Set(feed.collectors.map(({ name }) => name));
    const own = collectors.filter(({ name }) => names.has(name));
    const sum = (of: (collector: (typeof own)[number]) => number) =>
      own.reduce((total, collector) => total + of(collector), 0);
    return {
      name: feed.name,
      kind: feed.kind,
      collectors: feed.collectors.length,
      receiving: sum(({ messages }) => Math.min(1, messages)),
      messages: sum(({ messages }) => messages),
      bytes: sum((collector) => collector.bytes),
      records: sum(({ lane }) => records.get(lane) ?? 0),
      rejected: sum(({ rejected }) => rejected),
      gaps: sum(({ gaps }) => gaps),
      restarts: sum(({ restarts }) => restarts),
    };
  });
}

const STOPPED: Partial<Record<StoppedBy, string>> = {
  end: 'all feeds have ended',
  duration: 'the time was over',
  records: 'there were enough records',
};

/** For people. */
export function summary(result: RecordResult): string {
  const { records, stored, recovered, storage, rejected, gaps, restarts, degradedRecords, dropped } = result;
  const rate = `${count(result.seconds > 0 ? records / result.seconds : 0)} events/s for ${seconds(result.seconds)}`;
  const isAll = stored >= records - dropped;
  const healthy = storage.filter(({ state }) => state === 'healthy').length;
  const odd = (value: number) => (value > 0 ? yellow : (text: string) => text);
  return [
    '',
    `${bold('ticktape record')} ${dim(`on ${result.runtime}: ${STOPPED[result.stoppedBy] ?? `stopped by ${result.stoppedBy}`}`)}`,
    '',
    row('records', count(records), rate, bold),
    row(
      'stored',
      mark(isAll, count(stored)),
      `${count(result.blocks)} blocks, closed in ${seconds(result.closeSeconds)}`,
      isAll ? green : red,
    ),
    ...(recovered > 0 ? [row('recovered', count(recovered), 'that the session before had left in the journal')] : []),
    row(
      'size',
      bytes(result.bytesStored),
      `${result.compressionRatio.toFixed(2)} times smaller than ${bytes(result.bytesRaw)}`,
    ),
    row('storage nodes', `${healthy} of ${storage.length} healthy`, '', healthy < storage.length ? red : undefined),
    ...(degradedRecords > 0
      ? [row('degraded', count(degradedRecords), 'records with too few copies: ticktape repair', yellow)]
      : []),
    ...(dropped > 0 ? [row('dropped', count(dropped), 'while a lane was full', red)] : []),
    row('gaps', count(gaps), restarts > 0 ? `${count(restarts)} restarts` : '', odd(gaps)),
    row('rejected', count(rejected), 'messages', odd(rejected)),
    '',
    ...result.feeds.map((feed) =>
      row(
        feed.name,
        `${count(feed.records)} records`,
        `${count(feed.messages)} messages; ${feed.receiving} of ${feed.collectors} collectors received`,
        feed.receiving < feed.collectors ? yellow : undefined,
      ),
    ),
    '',
    '',
  ].join('\n');
}
