import { show, TapeError } from '../errors.js';
import type { Gap } from '../gaps.js';
import type { Fields } from '../schema.js';
import type { CatalogBlock } from '../segment/catalog.js';
import type { Turns } from '../storage/scrub/turns.js';
import type { Batch } from './batch.js';
import { planBlocks, type ScanRange } from './plan.js';
import type { Mend, TapeBlocks } from './reader.js';
import { type RecordOptions, resolveSelection, type Selection } from './selection.js';
import { firstFrom, inTimeOrder, type TimedBatch } from './time-order.js';

/** What a scan is asked for; all of it may be left out. */
export interface ScanOptions<Name extends string = string> extends RecordOptions<Name> {
  /**
   * `sequence`: as records were sealed. `time`: by timestamp, those with the same one by sequence; blocks that overlap in time are held
   * together. Default `sequence`.
   */
  order?: 'sequence' | 'time';
  /**
   * Also yields the gaps that reach into the range, each before the first batch that begins at its beginning or later; with `order: 'time'`
   * batches end where one begins.
   */
  gaps?: boolean;
  /**
   * A block of which a copy turns out to be bad is mended when the scan is done with it. Only by the tape that is open for writing;
   * what can't be mended is a warning.
   */
  repair?: boolean;
  /** Ends it: what is waited for is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/** A scan that does not yield gaps. */
export type WithoutGaps<Options> = Options & { gaps?: false };

const ORDERS = ['sequence', 'time'];

/**
 * `turns`: the thread is left to others now and then; null: not between two batches.
 * @throws TapeError `BAD_OPTION`, `BLOCK_MISSING`, `BLOCK_DAMAGED`; the reason of the signal
 */
export async function* scan<F extends Fields, Name extends string>(
  blocks: TapeBlocks<F>,
  options: ScanOptions<Name>,
  mend: Mend | null,
  turns: Turns | null,
): AsyncGenerator<Batch<F, Name> | Gap> {
  const { order = 'sequence', gaps: withGaps = false } = options;
  if (!ORDERS.includes(order)) {
    throw new TapeError('BAD_OPTION', `option order: ${show(order)} is none of ${ORDERS.join(', ')}`);
  }
  const selection = resolveSelection(blocks.schema, options);
  const planned = planBlocks(blocks.list(), selection.range);
  const damaged: CatalogBlock[] = [];
  const onDamage = (block: CatalogBlock) => damaged.push(block);
  const batches =
    order === 'time'
      ? timedBatches<F, Name>(blocks, planned, selection, onDamage)
      : sequentialBatches<F, Name>(blocks, planned, selection, withGaps, onDamage);
  const items = withGaps
    ? gapsBetween(
        batches as Iterable<TimedBatch<F, Name> | null>,
        gapsWithin(blocks.gaps(), selection.range),
        order === 'time',
      )
    : batches;
  try {
    turns?.check();
    for (const item of items) {
      if (turns?.due) await turns.give();
      if (item !== null) yield 'batch' in item ? item.batch : item;
      for (const block of damaged.splice(0)) await mend?.(block);
    }
  } finally {
    for (const block of damaged.splice(0)) await mend?.(block);
  }
}

/** What is wanted of each of the blocks, in their order; null where that is nothing. */
function* sequentialBatches<F extends Fields, Name extends string>(
  blocks: TapeBlocks<F>,
  planned: readonly CatalogBlock[],
  selection: Selection,
  withTimes: boolean,
  onDamage: (block: CatalogBlock) => void,
): Generator<{ batch: Batch<F, Name>; times: BigInt64Array | null } | null> {
  for (const block of planned) {
    const read = blocks.select<Name>(block, selection, withTimes);
    if (read?.damaged) onDamage(block);
    yield read?.rows ?? null;
  }
}

/** What is wanted of the blocks by timestamp; null now and then. Each block is read as the batch is asked for that needs it. */
export function timedBatches<F extends Fields, Name extends string>(
  blocks: TapeBlocks<F>,
  planned: readonly CatalogBlock[],
  selection: Selection,
  onDamage: (block: CatalogBlock) => void = () => {},
): Generator<TimedBatch<F, Name> | null> {
  return inTimeOrder(planned, (block) => {
    const read = blocks.select<Name>(block, selection, true);
    if (read?.damaged) onDamage(block);
    return (read?.rows ?? null) as TimedBatch<F, Name> | null;
  });
}

/** The gaps that reach into the range. */
export function gapsWithin(gaps: readonly Gap[], { from, to }: ScanRange): Gap[] {
  return gaps.filter(
    ({ fromNs, toNs }) => (from === undefined || toNs === null || toNs >= from) && (to === undefined || fromNs < to),
  );
}

/** Batches with the gaps where they belong. `cut`: batches, which are by time, end where a gap begins. */
export function* gapsBetween<F extends Fields, Name extends string>(
  batches: Iterable<TimedBatch<F, Name> | null>,
  gaps: readonly Gap[],
  cut: boolean,
): Generator<TimedBatch<F, Name> | Gap | null> {
  let next = 0;
  for (const item of batches) {
    if (item === null) {
      yield null;
      continue;
    }
    const { batch, times } = item;
    let at = 0;
    while (next < gaps.length) {
      const { fromNs } = gaps[next];
      const row = cut ? firstFrom(times, fromNs, at) : times[0] >= fromNs ? 0 : times.length;
      if (row === times.length) break;
      if (row > at) yield { batch: batch.slice(at, row), times: times.subarray(at, row) };
      at = row;
      yield gaps[next++];
    }
    yield at === 0 ? { batch, times } : { batch: batch.slice(at, batch.length), times: times.subarray(at) };
  }
  for (; next < gaps.length; next++) yield gaps[next];
}
