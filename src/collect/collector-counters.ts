import {
  COLLECTOR_BUCKETS,
  COLLECTOR_BYTES,
  COLLECTOR_ENDED,
  COLLECTOR_NAME,
  COLLECTOR_NAME_BYTES,
  COLLECTOR_RUNNING,
  COLLECTOR_STARTING,
  COLLECTOR_WAITING,
  CONTROL,
  CONTROL_COLLECTORS,
} from '../../assembly/layout.js';

/** `waiting`: to be started again, after a failure. */
export type CollectorState = 'none' | 'starting' | 'running' | 'waiting' | 'ended';

const STATES: Record<number, CollectorState> = {
  [COLLECTOR_STARTING]: 'starting',
  [COLLECTOR_RUNNING]: 'running',
  [COLLECTOR_WAITING]: 'waiting',
  [COLLECTOR_ENDED]: 'ended',
};

// Places of the figures: f64 each.
const STATE = 0;
const LANE = 1;
const MESSAGES = 2;
const BYTES = 3;
const REJECTED = 4;
const GAPS = 5;
const RESTARTS = 6;
const SINCE_NS = 7;
const LAST_NS = 8;

// Buckets of times: one a nanosecond below 8, then 8 for every doubling. The last one counts all from 3.9 ms on.
const STEPS = 8;
const BUCKETS = (COLLECTOR_BYTES - COLLECTOR_BUCKETS) / 4;

/** What a collector has done in this session. */
export interface CollectorStats {
  collector: number;
  name: string;
  state: CollectorState;
  /** Its lane. */
  lane: number;
  messages: number;
  /** Of the messages. */
  bytes: number;
  /** Messages that were not understood, and are in the side file. */
  rejected: number;
  gaps: number;
  restarts: number;
  /** Wall clock in ns, to a quarter of a microsecond: when it began to receive, and when it last did; 0 before. */
  sinceNs: number;
  lastNs: number;
  /** Of appends of which the time was taken: counts by `appendBucketNs`. */
  appendTimes: Uint32Array;
}

/**
 * One collector's figures in the counters of its tape: written by its thread alone (its state by the thread that minds it when it has
 * failed), read by any, also of another process.
 */
export class CollectorCounters {
  readonly #numbers: Float64Array;
  readonly #name: Uint8Array;
  readonly #buckets: Uint32Array;

  /** `window`: the control window of the tape's memory, or a copy of it; `at`: where that starts in `window`'s buffer. */
  constructor(window: ArrayBufferLike, at: number, collector: number) {
    const from = at + CONTROL_COLLECTORS - CONTROL + collector * COLLECTOR_BYTES;
    this.#numbers = new Float64Array(window, from, COLLECTOR_NAME / 8);
    this.#name = new Uint8Array(window, from + COLLECTOR_NAME, COLLECTOR_NAME_BYTES);
    this.#buckets = new Uint32Array(window, from + COLLECTOR_BUCKETS, BUCKETS);
  }

  /** Everything anew, for a collector that starts. */
  begin(name: string, lane: number): void {
    this.#numbers.fill(0);
    this.#buckets.fill(0);
    this.#name.fill(0);
    new TextEncoder().encodeInto(name, this.#name);
    this.#numbers[LANE] = lane;
    this.state = 'starting';
  }

  set state(state: CollectorState) {
    const number = Object.keys(STATES).find((key) => STATES[Number(key)] === state);
    this.#numbers[STATE] = Number(number ?? 0);
  }

  set lane(lane: number) {
    this.#numbers[LANE] = lane;
  }

  received(messages: number, bytes: number, nowNs: number): void {
    this.#numbers[MESSAGES] += messages;
    this.#numbers[BYTES] += bytes;
    this.#numbers[LAST_NS] = nowNs;
    if (this.#numbers[SINCE_NS] === 0) this.#numbers[SINCE_NS] = nowNs;
  }

  rejected(): void {
    this.#numbers[REJECTED]++;
  }

  gap(): void {
    this.#numbers[GAPS]++;
  }

  restarted(): void {
    this.#numbers[RESTARTS]++;
  }

  /** That an append took so long. */
  appended(ns: number): void {
    this.#buckets[bucketOf(ns)]++;
  }

  /** Null where there is no such collector. */
  read(collector: number): CollectorStats | null {
    const numbers = this.#numbers;
    const state = STATES[numbers[STATE]] ?? 'none';
    if (state === 'none') return null;
    const name = this.#name.slice();
    const end = name.indexOf(0);
    return {
      collector,
      name: new TextDecoder().decode(end < 0 ? name : name.subarray(0, end)),
      state,
      lane: numbers[LANE],
      messages: numbers[MESSAGES],
      bytes: numbers[BYTES],
      rejected: numbers[REJECTED],
      gaps: numbers[GAPS],
      restarts: numbers[RESTARTS],
      sinceNs: numbers[SINCE_NS],
      lastNs: numbers[LAST_NS],
      appendTimes: this.#buckets.slice(),
    };
  }
}

function bucketOf(ns: number): number {
  if (!(ns >= STEPS)) return ns > 0 ? ns | 0 : 0;
  const log2 = 31 - Math.clz32(Math.min(ns, 0x7fffffff));
  return Math.min(BUCKETS - 1, (log2 - 2) * STEPS + ((ns >>> (log2 - 3)) & (STEPS - 1)));
}

/** The longest time, in ns, that counts to a bucket; of the last one the shortest. */
export function appendBucketNs(bucket: number): number {
  if (bucket < STEPS) return bucket;
  const shift = (bucket >>> 3) - 1;
  const least = (STEPS + (bucket & (STEPS - 1))) * 2 ** shift;
  return bucket === BUCKETS - 1 ? least : least + 2 ** shift - 1;
}

/** The time in ns that a share of `quantile` (0 to 1) of the appends did not exceed; 0 where none was timed. */
export function appendQuantileNs(appendTimes: Uint32Array, quantile: number): number {
  const wanted = Math.max(1, Math.ceil(quantile * appendTimes.reduce((sum, times) => sum + times, 0)));
  let seen = 0;
  for (let bucket = 0; bucket < appendTimes.length; bucket++) {
    seen += appendTimes[bucket];
    if (seen >= wanted) return appendBucketNs(bucket);
  }
  return 0;
}
