import { TapeError } from '../../errors.js';
import type { Fields } from '../../schema.js';
import {
  type AnyColumn,
  Batch,
  BytesColumn,
  type ColumnsOf,
  OptionalColumn,
  SymbolColumn,
  TextColumn,
} from '../batch.js';

/** A lane of a session. */
export interface LaneName {
  epoch: number;
  lane: number;
}

/** Records of one lane, in its order, that no block is known to have yet. */
export class LiveBatch<F extends Fields = Fields, Name extends string = F[number]['name']> extends Batch<F, Name> {
  /** Where they come from. */
  lane: LaneName;

  constructor(length: number, columns: ColumnsOf<F, Name>, lane: LaneName) {
    super(length, columns, 0n, null);
    this.lane = lane;
  }

  override get isLive(): boolean {
    return true;
  }

  override sequence(_row: number): bigint {
    throw new TapeError('UNSUPPORTED', 'a live record has no sequence yet: it gets one when its block is sealed');
  }

  override slice(from: number, to: number): LiveBatch<F, Name> {
    return new LiveBatch(to - from, super.slice(from, to).columns, this.lane);
  }

  override pick(rows: Uint32Array): LiveBatch<F, Name> {
    return new LiveBatch(rows.length, super.pick(rows).columns, this.lane);
  }
}

/** A live batch that stays as it is, with these columns alone. */
export function ownBatch<F extends Fields>(batch: LiveBatch<F>, names: readonly string[]): LiveBatch<F> {
  const columns = batch.columns as unknown as Record<string, AnyColumn>;
  const own = Object.fromEntries(names.map((name) => [name, ownColumn(columns[name])]));
  return new LiveBatch(batch.length, own as unknown as ColumnsOf<F, F[number]['name']>, batch.lane);
}

/** The same with arrays of its own, in memory that nobody shares. */
function ownColumn(column: AnyColumn): AnyColumn {
  if (column instanceof OptionalColumn) {
    return new OptionalColumn(ownColumn(column.values), column.present.slice()) as AnyColumn;
  }
  if (column instanceof SymbolColumn) return column.with(column.ids.slice());
  if (column instanceof TextColumn) return new TextColumn(ownColumn(column.encoded) as BytesColumn);
  if (column instanceof BytesColumn) {
    return new BytesColumn(column.offsets.slice(), column.bytes.slice(0, column.offsets[column.length]));
  }
  return column.slice();
}
