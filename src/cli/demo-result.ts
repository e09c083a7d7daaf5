import type { FeedCounts } from '../collect/parsers/binance.js';
import type { Histogram } from './histogram.js';

export interface Quantiles {
  p50: number;
  p99: number;
  p999: number;
  p9999: number;
  max: number;
}

/** What `ticktape demo --json` prints. */
export interface DemoResult {
  runtime: string;
  events: number;
  /** From the start of the collectors until all that they appended was on its storage nodes. */
  seconds: number;
  eventsPerSecond: number;
  appendNs: Quantiles;
  bytesRaw: number;
  /** Of one copy. */
  bytesStored: number;
  compressionRatio: number;
  storageNodes: number;
  redundancy: number;
  blocks: number;
  replicasVerified: number;
  lost: number;
  duplicated: number;
  journal: string;
  /** Whether every field of every record came back as it was appended, in the order of its collector. */
  digestsEqual: boolean;
  collectors: number;
  capacity: number;
  /** How often a collector waited for its lane before a burst. */
  pauses: number;
  /** Records by kind. */
  kinds: Record<string, number>;
  /** The seed of a simulated feed, or the file of a captured one with its messages by kind. */
  seed?: number;
  feed?: { file: string; messages: FeedCounts };
  readBack: { seconds: number; eventsPerSecond: number };
  verify: { seconds: number };
  storage: { path: string; blocks: number; bytes: number; errors: number }[];
  /** The directory of the tape, if it was kept. */
  dir?: string;
}

export function quantiles(histogram: Histogram): Quantiles {
  return {
    p50: histogram.quantileNs(0.5),
    p99: histogram.quantileNs(0.99),
    p999: histogram.quantileNs(0.999),
    p9999: histogram.quantileNs(0.9999),
    max: Math.round(histogram.maxNs),
  };
}
