import { show, TapeError } from '../errors.js';
import type { Fields, RecordOf } from '../schema.js';
import type { CatalogBlock } from '../segment/catalog.js';
import type { Batch } from './batch.js';
import type { TapeBlocks } from './reader.js';
import { resolveSelection } from './selection.js';

/**
 * The last record of a symbol with a timestamp of `ns` or before; of several with the same one, that of the greatest sequence; null where
 * there is none. Blocks are looked at from `ns` on backwards, until none that is left can hold a later record; of those without the symbol
 * only the header is read. (The mask in footers is of ids, whose names are in the headers alone.)
 * @throws TapeError `BAD_OPTION`, `BLOCK_MISSING`, `BLOCK_DAMAGED`
 */
export function asOf<F extends Fields>(blocks: TapeBlocks<F>, ns: bigint, symbol: string): RecordOf<F> | null {
  if (typeof ns !== 'bigint')
    throw new TapeError('BAD_OPTION', `a time is a bigint, ns since the Unix epoch, not ${show(ns)}`);
  const selection = resolveSelection(blocks.schema, { symbols: [symbol], to: ns + 1n });
  let best: { batch: Batch<F>; row: number; ns: bigint; sequence: bigint } | null = null;
  for (const block of latestFirst(blocks.list(), ns)) {
    const last = lastWithin(block, ns);
    if (best !== null && last < best.ns) break;
    if (best !== null && last === best.ns && block.sequence < best.sequence) continue;
    const rows = blocks.select<F[number]['name']>(block, selection, true)?.rows ?? null;
    if (rows === null) continue;
    const row = lastRow(rows.times!);
    const found = { batch: rows.batch, row, ns: rows.times![row], sequence: rows.batch.sequence(row) };
    if (best === null || found.ns > best.ns || (found.ns === best.ns && found.sequence > best.sequence)) best = found;
  }
  return best === null ? null : (best.batch.record(best.row) as RecordOf<F>);
}

/** The latest timestamp up to `ns` that the block may hold. */
const lastWithin = ({ greatestNs }: CatalogBlock, ns: bigint): bigint => (greatestNs < ns ? greatestNs : ns);

/** Those that may hold a record up to `ns`, by the latest that they may hold; of equals, that of the greater sequence first. */
function latestFirst(blocks: readonly CatalogBlock[], ns: bigint): CatalogBlock[] {
  // Nearly in this order as they are: sorting takes little more than a look at each.
  return blocks
    .filter(({ leastNs }) => leastNs <= ns)
    .reverse()
    .sort((a, b) => {
      const [of, other] = [lastWithin(a, ns), lastWithin(b, ns)];
      return of > other ? -1 : of < other ? 1 : a.sequence > b.sequence ? -1 : 1;
    });
}

function lastRow(times: BigInt64Array): number {
  let last = 0;
  for (let row = 1; row < times.length; row++) if (times[row] >= times[last]) last = row;
  return last;
}
