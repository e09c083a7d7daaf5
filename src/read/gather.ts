import type { Fields } from '../schema.js';
import {
  type AnyColumn,
  Batch,
  BytesColumn,
  type ColumnsOf,
  OptionalColumn,
  SymbolColumn,
  TextColumn,
} from './batch.js';

/** Rows of one batch, and where each of them comes in the batch that is gathered. */
export interface Part<F extends Fields, Name extends string> {
  readonly batch: Batch<F, Name>;
  readonly rows: Uint32Array;
  readonly places: Uint32Array;
}

/** One batch of `length` rows from those of several with the same columns. */
export function gather<F extends Fields, Name extends string>(
  parts: readonly Part<F, Name>[],
  length: number,
): Batch<F, Name> {
  const columns: Record<string, AnyColumn> = {};
  for (const name in parts[0].batch.columns) {
    const pieces = parts.map(({ batch, rows, places }) => ({ column: batch.columns[name] as AnyColumn, rows, places }));
    columns[name] = gatherColumn(pieces, length);
  }
  const sequences = new BigUint64Array(length);
  for (const { batch, rows, places } of parts) {
    for (let i = 0; i < rows.length; i++) sequences[places[i]] = batch.sequence(rows[i]);
  }
  return new Batch(length, columns as ColumnsOf<F, Name>, sequences, null);
}

interface Piece<Column> {
  column: Column;
  rows: Uint32Array;
  places: Uint32Array;
}

function gatherColumn(pieces: readonly Piece<AnyColumn>[], length: number): AnyColumn {
  const [{ column: first }] = pieces;
  const mapped = <C>(map: (column: AnyColumn) => C) => pieces.map((piece) => ({ ...piece, column: map(piece.column) }));
  if (first instanceof OptionalColumn) {
    const values = gatherColumn(
      mapped((column) => (column as OptionalColumn<AnyColumn>).values) as Piece<AnyColumn>[],
      length,
    );
    const present = gatherColumn(
      mapped((column) => (column as OptionalColumn<AnyColumn>).present),
      length,
    );
    return new OptionalColumn(values, present as Uint8Array) as AnyColumn;
  }
  if (first instanceof SymbolColumn) return gatherSymbols(pieces as readonly Piece<SymbolColumn>[], length);
  if (first instanceof BytesColumn) return gatherBytes(pieces as readonly Piece<BytesColumn>[], length);
  if (first instanceof TextColumn)
    return new TextColumn(
      gatherBytes(
        mapped((column) => (column as TextColumn).encoded),
        length,
      ),
    );
  const out = new (first.constructor as new (length: number) => AnyColumn)(length) as Float64Array;
  for (const { column, rows, places } of pieces as readonly Piece<Float64Array>[]) {
    for (let i = 0; i < rows.length; i++) out[places[i]] = column[rows[i]];
  }
  return out;
}

/** Ids hold within a block: where two blocks mean different names by one, one of the names gets another id. */
function gatherSymbols(pieces: readonly Piece<SymbolColumn>[], length: number): SymbolColumn {
  const names = new Map<number, string>();
  const ids = new Uint32Array(length);
  for (const { column, rows, places } of pieces) {
    const renamed = new Map<number, number>();
    for (const [id, name] of column.names) {
      const known = names.get(id);
      if (known === undefined) names.set(id, name);
      else if (known !== name) renamed.set(id, idFor(name, names));
    }
    if (renamed.size === 0) for (let i = 0; i < rows.length; i++) ids[places[i]] = column.ids[rows[i]];
    else {
      for (let i = 0; i < rows.length; i++) {
        const id = column.ids[rows[i]];
        ids[places[i]] = renamed.get(id) ?? id;
      }
    }
  }
  return new SymbolColumn(ids, names);
}

/** The id that has the name already, or a free one for it. */
function idFor(name: string, names: Map<number, string>): number {
  let free = 0;
  for (const [id, known] of names) {
    if (known === name) return id;
    free = Math.max(free, id + 1);
  }
  // Beyond what any block has: that one may be the id of absent symbols.
  for (free = Math.min(free, 2 ** 31); names.has(free); ) free++;
  names.set(free, name);
  return free;
}

function gatherBytes(pieces: readonly Piece<BytesColumn>[], length: number): BytesColumn {
  const offsets = new Float64Array(length + 1);
  for (const { column, rows, places } of pieces) {
    for (let i = 0; i < rows.length; i++) {
      offsets[places[i] + 1] = column.offsets[rows[i] + 1] - column.offsets[rows[i]];
    }
  }
  for (let i = 0; i < length; i++) offsets[i + 1] += offsets[i];
  const bytes = new Uint8Array(offsets[length]);
  for (const { column, rows, places } of pieces) {
    for (let i = 0; i < rows.length; i++) bytes.set(column.at(rows[i]), offsets[places[i]]);
  }
  return new BytesColumn(offsets, bytes);
}
