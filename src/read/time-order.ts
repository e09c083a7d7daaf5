import type { Fields } from '../schema.js';
import type { CatalogBlock } from '../segment/catalog.js';
import type { Batch } from './batch.js';
import { gather, type Part } from './gather.js';

/** Records in the order of their timestamps, those with the same one in sequence order. */
export interface TimedBatch<F extends Fields, Name extends string> {
  readonly batch: Batch<F, Name>;
  /** A timestamp a row, ascending. */
  readonly times: BigInt64Array;
}

/** A run of rows of one block that is shorter than this is copied together with others. */
const LEAST_RUN = 256;
/** Rows that are copied together at most. */
const MOST_GATHERED = 8192;
/** What is left of a block is copied out of it when it is no more than this part of it. */
const SMALL_REST = 1 / 4;

/** Rows of a block that are not all given out. */
interface Held<F extends Fields, Name extends string> {
  /** Of its block. */
  readonly sequence: bigint;
  batch: Batch<F, Name>;
  times: BigInt64Array;
  /** The first row that is left. */
  at: number;
}

/**
 * The records of blocks by timestamp. Blocks of a tape overlap in time only a little: a block is read when no other that is unread
 * begins before it, and what lies before the next unread one is given out, so that no more is held than overlaps.
 *
 * `read`: what is wanted of a block, with timestamps; null for nothing, which is also given out, so that whoever waits may do something else.
 */
export function* inTimeOrder<F extends Fields, Name extends string>(
  blocks: readonly CatalogBlock[],
  read: (block: CatalogBlock) => TimedBatch<F, Name> | null,
): Generator<TimedBatch<F, Name> | null> {
  const unread = [...blocks].sort((a, b) => compare(a.leastNs, b.leastNs) || compare(a.sequence, b.sequence));
  let held: Held<F, Name>[] = [];
  for (let next = 0; next < unread.length; next++) {
    const rows = read(unread[next]);
    if (rows === null) yield null;
    else held.push({ sequence: unread[next].sequence, at: 0, ...sorted(rows) });
    yield* giveOut(held, unread[next + 1]?.leastNs ?? null);
    held = held.filter(({ at, batch }) => at < batch.length);
    for (const of of held) shrink(of);
  }
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** All rows that are held and lie before `endNs` (null: all). */
function* giveOut<F extends Fields, Name extends string>(
  held: readonly Held<F, Name>[],
  endNs: bigint | null,
): Generator<TimedBatch<F, Name>> {
  const lies = ({ at, times }: Held<F, Name>) => at < times.length && (endNs === null || times[at] < endNs);
  for (let active = held.filter(lies); active.length > 0; active = active.filter(lies)) {
    active.sort((a, b) => compare(a.times[a.at], b.times[b.at]) || compare(a.sequence, b.sequence));
    const [first, second] = active;
    let end = endNs === null ? first.times.length : firstFrom(first.times, endNs, first.at);
    if (second !== undefined) {
      const secondNs = second.times[second.at];
      // Of rows with the same timestamp those of the earlier block go first.
      end = Math.min(
        end,
        firstFrom(first.times, first.sequence < second.sequence ? secondNs + 1n : secondNs, first.at),
      );
    }
    if (second === undefined || end - first.at >= LEAST_RUN) {
      yield { batch: first.batch.slice(first.at, end), times: first.times.subarray(first.at, end) };
      first.at = end;
    } else yield interleave(active, endNs);
  }
}

/** The first row from `at` on whose timestamp is `ns` or later. */
export function firstFrom(times: BigInt64Array, ns: bigint, at: number): number {
  let [low, high] = [at, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < ns) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Rows of several blocks in turn, until one of these has none left before `endNs`, or they are many. */
function interleave<F extends Fields, Name extends string>(
  active: readonly Held<F, Name>[],
  endNs: bigint | null,
): TimedBatch<F, Name> {
  const heads = active.map(({ times, at }) => times[at]);
  const ends = active.map(({ times, at }) => (endNs === null ? times.length : firstFrom(times, endNs, at)));
  const picks = active.map(() => ({ rows: [] as number[], places: [] as number[] }));
  const times = new BigInt64Array(MOST_GATHERED);
  let length = 0;
  for (let isMore = true; isMore && length < MOST_GATHERED; length++) {
    let least = 0;
    for (let i = 1; i < active.length; i++) {
      const isBefore =
        heads[i] < heads[least] || (heads[i] === heads[least] && active[i].sequence < active[least].sequence);
      if (isBefore) least = i;
    }
    const from = active[least];
    times[length] = heads[least];
    picks[least].rows.push(from.at++);
    picks[least].places.push(length);
    isMore = from.at < ends[least];
    if (isMore) heads[least] = from.times[from.at];
  }
  const parts: Part<F, Name>[] = active.map(({ batch }, i) => ({
    batch,
    rows: Uint32Array.from(picks[i].rows),
    places: Uint32Array.from(picks[i].places),
  }));
  return {
    batch: gather(
      parts.filter(({ rows }) => rows.length > 0),
      length,
    ),
    times: times.slice(0, length),
  };
}

/** Lets go of a block of which little is left. */
function shrink<F extends Fields, Name extends string>(held: Held<F, Name>): void {
  const { batch, times, at } = held;
  const left = batch.length - at;
  if (at === 0 || left > batch.length * SMALL_REST) return;
  held.batch = batch.pick(Uint32Array.from({ length: left }, (_, i) => at + i));
  held.times = times.slice(at);
  held.at = 0;
}

/** The rows by timestamp, those with the same one as they were. */
function sorted<F extends Fields, Name extends string>(rows: TimedBatch<F, Name>): TimedBatch<F, Name> {
  const order = orderOf(rows.times);
  if (order === null) return rows;
  return { batch: rows.batch.pick(order), times: BigInt64Array.from(order, (row) => rows.times[row]) };
}

/** The rows in the order of their times; null where they are in it. Merges runs that ascend: in a block there are few. */
function orderOf(times: BigInt64Array): Uint32Array | null {
  let starts = [0];
  for (let row = 1; row < times.length; row++) if (times[row] < times[row - 1]) starts.push(row);
  if (starts.length === 1) return null;
  let order = Uint32Array.from(times, (_, row) => row);
  let keys = times;
  while (starts.length > 1) {
    const merged = new Uint32Array(order.length);
    const mergedKeys = new BigInt64Array(order.length);
    const mergedStarts: number[] = [];
    for (let run = 0; run < starts.length; run += 2) {
      let left = starts[run];
      const middle = starts[run + 1] ?? order.length;
      const end = starts[run + 2] ?? order.length;
      let right = middle;
      mergedStarts.push(left);
      for (let to = left; to < end; to++) {
        const from = right >= end || (left < middle && keys[left] <= keys[right]) ? left++ : right++;
        merged[to] = order[from];
        mergedKeys[to] = keys[from];
      }
    }
    [order, keys, starts] = [merged, mergedKeys, mergedStarts];
  }
  return order;
}
