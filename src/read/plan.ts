import type { CatalogBlock } from '../segment/catalog.js';

/** What a scan is asked for. */
export interface ScanRange {
  /** Timestamp of the first record wanted, in ns. */
  from?: bigint;
  /** Timestamp behind the last record wanted, in ns. */
  to?: bigint;
}

/** The blocks that may hold a record with from ≤ timestamp < to, in sequence order. */
export function planBlocks(blocks: readonly CatalogBlock[], { from, to }: ScanRange): CatalogBlock[] {
  return blocks.filter(
    ({ leastNs, greatestNs }) => (from === undefined || greatestNs >= from) && (to === undefined || leastNs < to),
  );
}

/**
 * Which rows of a block are wanted: null for all, else their numbers. `symbols`: the ids that pass in a column of
 * symbols, of which those that are absent (`present` is 0) never do.
 */
export function selectRows(
  count: number,
  times: BigInt64Array | null,
  { from, to }: ScanRange,
  symbols: { ids: Uint32Array; present: Uint8Array | null; wanted: ReadonlySet<number> } | null,
): Uint32Array | null {
  if (times === null && symbols === null) return null;
  const rows = new Uint32Array(count);
  let kept = 0;
  for (let row = 0; row < count; row++) {
    if (times !== null) {
      if (from !== undefined && times[row] < from) continue;
      if (to !== undefined && times[row] >= to) continue;
    }
    if (symbols !== null) {
      const { ids, present, wanted } = symbols;
      if ((present !== null && present[row] === 0) || !wanted.has(ids[row])) continue;
    }
    rows[kept++] = row;
  }
  return kept === count ? null : rows.slice(0, kept);
}
