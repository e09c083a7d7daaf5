// A look at a recorder, and what two of them a while apart say of its pace.
import { Buffer } from 'node:buffer';
import { appendQuantileNs, type CollectorState } from '../collect/collector-counters.js';
import type { Files } from '../files.js';
import { type Gap, readGaps } from '../gaps.js';
import type { RetentionStats, SessionState, StorageNodeStats } from '../stats.js';
import { survey } from '../storage/survey.js';
import { backlogOf, findJournal, isAnswering, readSession, type SessionSeen } from './read-session.js';

export interface Look {
  /** Wall clock. */
  takenNs: bigint;
  session: SessionSeen | null;
  gaps: Gap[];
}

/** @throws TapeError of files that are not what they should be */
export function takeLook(
  files: Files,
  storage: readonly string[],
  journalOption: string | undefined,
  nowNs: () => bigint,
): Look {
  const found = survey(files, storage, journalOption);
  const journal = findJournal(files, found);
  const session = journal === null ? null : readSession(files, journal, found);
  const directories = session === null ? found.directories : session.storageNodes.map(({ path }) => path);
  return { takenNs: nowNs(), session, gaps: readGaps(files, directories, found.tapeId) };
}

/** What a recorder does. Rates are null where the look before was none of this session. */
export interface Pace {
  tapeId: string;
  schema: string;
  state: SessionState;
  /** Its process gives signs of life. */
  answering: boolean;
  epoch: number;
  takenNs: bigint;
  startedNs: bigint;
  heartbeatNs: bigint;
  redundancy: number;
  /** Appended in this session, on all lanes. */
  appended: number;
  appendedPerSecond: number | null;
  drops: number;
  records: number;
  blocks: number;
  rawBytes: number;
  storedBytes: number;
  compressionRatio: number;
  degraded: { blocks: number; records: number };
  retention: RetentionStats;
  collectors: CollectorPace[];
  lanes: LanePace[];
  storageNodes: (StorageNodeStats & { bytesPerSecond: number | null })[];
  gaps: Gap[];
}

export interface CollectorPace {
  collector: number;
  name: string;
  state: CollectorState;
  lane: number;
  /** Appended to its lane. */
  eventsPerSecond: number | null;
  messages: number;
  messagesPerSecond: number | null;
  bytes: number;
  rejected: number;
  gaps: number;
  restarts: number;
  /** Of appends of which the time was taken, since the collector began; null where none was. */
  appendNs: { p50: number; p99: number; p999: number } | null;
  /** Wall clock; null before the first message. */
  lastNs: number | null;
}

export interface LanePace {
  lane: number;
  records: number;
  recordsPerSecond: number | null;
  /** The share of its ring, 0 to 1, that is not yet stored. */
  backlog: number;
  drops: number;
}

/** What the session of `now` does; null where there is none. */
export function paceOf(before: Look | null, now: Look): Pace | null {
  const { session, takenNs, gaps } = now;
  if (session === null) return null;
  const earlier = before?.session?.epoch === session.epoch ? before.session : null;
  const seconds = Number(takenNs - (before?.takenNs ?? takenNs)) / 1e9;
  const rate = (value: number, was: number | undefined): number | null =>
    was === undefined || !(seconds > 0) ? null : Math.max(0, value - was) / seconds;

  const lanes = session.lanes.map(({ lane, records, drops, ...ring }): LanePace => {
    const was = earlier?.lanes.find((other) => other.lane === lane);
    const recordsPerSecond = rate(Number(records), was && Number(was.records));
    return { lane, records: Number(records), recordsPerSecond, backlog: backlogOf(ring), drops: Number(drops) };
  });
  const collectors = session.collectors.map(({ sinceNs, lastNs, appendTimes, ...collector }): CollectorPace => {
    const was = earlier?.collectors.find((other) => other.collector === collector.collector);
    const isTimed = appendTimes.some((times) => times > 0);
    const quantile = (share: number) => appendQuantileNs(appendTimes, share);
    return {
      ...collector,
      eventsPerSecond: lanes.find(({ lane }) => lane === collector.lane)?.recordsPerSecond ?? null,
      messagesPerSecond: rate(collector.messages, was?.messages),
      appendNs: isTimed ? { p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999) } : null,
      lastNs: lastNs > 0 && lastNs < 2 ** 63 ? lastNs : null,
    };
  });
  const { tapeId, schema, lanes: _, collectors: __, storageNodes, ...figures } = session;
  const appended = lanes.reduce((sum, { records }) => sum + records, 0);
  return {
    tapeId: Buffer.from(tapeId).toString('hex'),
    schema: schema.name,
    answering: isAnswering(session, takenNs),
    takenNs,
    ...figures,
    appended,
    appendedPerSecond: rate(
      appended,
      earlier?.lanes.reduce((sum, { records }) => sum + Number(records), 0),
    ),
    drops: lanes.reduce((sum, { drops }) => sum + drops, 0),
    collectors,
    lanes,
    storageNodes: storageNodes.map((node, i) => ({
      ...node,
      bytesPerSecond: rate(node.bytes, earlier?.storageNodes[i]?.bytes),
    })),
    gaps,
  };
}
