import type { RetentionOptions } from '../options.js';

/** A segment as retention knows it. */
export interface RetainedSegment {
  /** Index of its storage node. */
  storage: number;
  path: string;
  bytes: number;
  /** The least sequence of its blocks, and that behind the last of them. */
  first: bigint;
  end: bigint;
  /** The later of the greatest timestamp of its blocks and of when it was made; while it is written, now. */
  newestNs: bigint;
  /** Its file may go once all of it lies below the mark. */
  removable: boolean;
}

/** What is to become of the mark, and the files that lie below it then. */
export interface RetentionPlan {
  firstSequence: bigint;
  remove: RetainedSegment[];
}

/**
 * Moves the mark from one end of a removable segment to another, only as far as it must. Its copies are on R of N storage nodes, whose
 * segments end at different sequences: so a segment may lie across the mark. It stays until all of it is below, and what is below is not
 * there for readers.
 *
 * `ageMs`: no block of a segment that has anything newer goes. `bytes`: the segment that ends first goes first, until those that stay
 * have no more than that. `releasedTo`: blocks from there on may have records that lanes still hold, and stay.
 */
export function planRetention(
  segments: readonly RetainedSegment[],
  { ageMs, bytes }: RetentionOptions,
  { firstSequence, releasedTo, nowNs }: { firstSequence: bigint; releasedTo: bigint; nowNs: bigint },
): RetentionPlan {
  const byEnd = segments
    .filter(({ removable }) => removable)
    .sort((a, b) => (a.end < b.end ? -1 : a.end > b.end ? 1 : 0));
  let mark = firstSequence;
  const raiseTo = (end: bigint) => {
    if (end > mark) mark = end;
  };
  if (bytes !== undefined) {
    let total = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    for (const segment of byEnd) {
      if (total <= bytes || (segment.end > releasedTo && segment.end > firstSequence)) break;
      total -= segment.bytes;
      raiseTo(segment.end);
    }
  }
  if (ageMs !== undefined) {
    const oldNs = nowNs - BigInt(ageMs) * 1_000_000n;
    const young = segments
      .filter(({ newestNs, end }) => newestNs >= oldNs && end > mark)
      .reduce((least, { first }) => (first < least ? first : least), releasedTo);
    for (const { end } of byEnd) if (end <= young) raiseTo(end);
  }
  return { firstSequence: mark, remove: byEnd.filter(({ end }) => end <= mark) };
}
