// Buckets: one a nanosecond below 128, then 64 for every doubling, so that a bucket is at most 1/64 of its values wide.
const LINEAR = 128;
const STEPS_LOG2 = 6;
const STEPS = 1 << STEPS_LOG2;
const FIRST_LOG2 = 7;
const DOUBLINGS = 24;

export const HISTOGRAM_BUCKETS = LINEAR + DOUBLINGS * STEPS;

/** Times in ns, up to two seconds apart told to 1.6 %; longer ones count as the longest. Never allocates while recording. */
export class Histogram {
  readonly buckets: Uint32Array<ArrayBuffer>;
  maxNs: number;

  /** @param buckets of an earlier histogram, or empty ones */
  constructor(buckets = new Uint32Array(HISTOGRAM_BUCKETS), maxNs = 0) {
    this.buckets = buckets;
    this.maxNs = maxNs;
  }

  record(ns: number): void {
    if (ns > this.maxNs) this.maxNs = ns;
    this.buckets[bucketOf(ns)]++;
  }

  merge({ buckets, maxNs }: Histogram): void {
    for (let i = 0; i < HISTOGRAM_BUCKETS; i++) this.buckets[i] += buckets[i];
    this.maxNs = Math.max(this.maxNs, maxNs);
  }

  get count(): number {
    return this.buckets.reduce((sum, times) => sum + times, 0);
  }

  /** The time that a share of `quantile` (0 to 1) did not exceed, never below it by more than rounding; 0 when empty. */
  quantileNs(quantile: number): number {
    const wanted = Math.max(1, Math.ceil(quantile * this.count));
    let seen = 0;
    for (let i = 0; i < HISTOGRAM_BUCKETS; i++) {
      seen += this.buckets[i];
      if (seen >= wanted) return Math.min(lastOf(i), Math.round(this.maxNs));
    }
    return 0;
  }
}

function bucketOf(ns: number): number {
  const whole = ns < 0 ? 0 : ns > 0x7fffffff ? 0x7fffffff : ns | 0;
  if (whole < LINEAR) return whole;
  const log2 = 31 - Math.clz32(whole);
  return LINEAR + ((log2 - FIRST_LOG2) << STEPS_LOG2) + ((whole >>> (log2 - STEPS_LOG2)) & (STEPS - 1));
}

/** The longest whole time that counts to a bucket. */
function lastOf(bucket: number): number {
  if (bucket < LINEAR) return bucket;
  const doubling = (bucket - LINEAR) >>> STEPS_LOG2;
  const step = (bucket - LINEAR) & (STEPS - 1);
  return (STEPS + step + 1) * 2 ** (doubling + FIRST_LOG2 - STEPS_LOG2) - 1;
}
