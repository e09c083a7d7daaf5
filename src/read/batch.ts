import type { DecodedColumn, Values } from '../block/decoder.js';
import type { BlockSymbol } from '../block/header.js';
import { assert } from '../errors.js';
import type { FieldKind, Fields, IsOptional, PlacedField, RecordOf } from '../schema.js';
import { recordMaker } from './record-maker.js';

/** A column of symbols: ids that hold within one batch, and their names. */
export class SymbolColumn {
  readonly ids: Uint32Array;
  readonly #names: ReadonlyMap<number, string>;

  constructor(ids: Uint32Array, names: ReadonlyMap<number, string>) {
    this.ids = ids;
    this.#names = names;
  }

  get length(): number {
    return this.ids.length;
  }

  /** The name of an id of this column. */
  name(id: number): string {
    const name = this.#names.get(id);
    assert(name !== undefined, `symbol ${id} is named in its block`);
    return name;
  }

  at(row: number): string {
    return this.name(this.ids[row]);
  }

  /** The ids of this column that stand for the name: one, or none. */
  idsOf(name: string): number[] {
    const ids: number[] = [];
    for (const [id, named] of this.#names) if (named === name) ids.push(id);
    return ids;
  }

  /** The names of ids; of some there may be no row. */
  get names(): ReadonlyMap<number, string> {
    return this.#names;
  }

  /** Other rows of the same batch. */
  with(ids: Uint32Array): SymbolColumn {
    return new SymbolColumn(ids, this.#names);
  }
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A column of byte strings: value i is `bytes` from `offsets[i]` up to `offsets[i + 1]`. */
export class BytesColumn {
  readonly offsets: Float64Array;
  readonly bytes: Uint8Array;

  constructor(offsets: Float64Array, bytes: Uint8Array) {
    this.offsets = offsets;
    this.bytes = bytes;
  }

  get length(): number {
    return this.offsets.length - 1;
  }

  /** A view, not a copy. */
  at(row: number): Uint8Array {
    return this.bytes.subarray(this.offsets[row], this.offsets[row + 1]);
  }
}

/** A column of strings, decoded when asked for. */
export class TextColumn {
  readonly #bytes: BytesColumn;

  constructor(bytes: BytesColumn) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  at(row: number): string {
    return decoder.decode(this.#bytes.at(row));
  }

  /** The texts in UTF-8. */
  get encoded(): BytesColumn {
    return this.#bytes;
  }
}

/** The id of rows without a symbol in a column of optional ones: no symbol's own. Its name is ''. */
export const NO_SYMBOL = 2 ** 32 - 1;

/** A column of values that may be absent. */
export class OptionalColumn<C extends { readonly length: number; at(row: number): unknown }> {
  /**
   * The column that a field of this kind has where it isn't optional, with a value for every row: where it is absent, 0, no bytes, an
   * empty text; of symbols the id 2³² − 1, which is no symbol's, and whose name is ''.
   */
  readonly values: C;
  /** A byte a row: 1 where the record has a value, 0 where it doesn't. */
  readonly present: Uint8Array;

  constructor(values: C, present: Uint8Array) {
    this.values = values;
    this.present = present;
  }

  get length(): number {
    return this.present.length;
  }

  /** The value of a row, from 0 to `length` − 1; null where it is absent. */
  at(row: number): Exclude<ReturnType<C['at']>, undefined> | null {
    return this.present[row] === 1 ? (this.values.at(row) as Exclude<ReturnType<C['at']>, undefined>) : null;
  }
}

interface ColumnTypes {
  timestamp: BigInt64Array;
  symbol: SymbolColumn;
  /** Numbers, each the double nearest to the decimal. */
  decimal: Float64Array;
  f64: Float64Array;
  f32: Float32Array;
  i8: Int8Array;
  i16: Int16Array;
  i32: Int32Array;
  i64: BigInt64Array;
  u8: Uint8Array;
  u16: Uint16Array;
  u32: Uint32Array;
  u64: BigUint64Array;
  text: TextColumn;
  bytes: BytesColumn;
}

/** The column that a batch has for a field of this kind. */
export type ColumnOf<Kind extends FieldKind, Optional extends boolean = false> = Optional extends true
  ? OptionalColumn<ColumnTypes[Kind]>
  : ColumnTypes[Kind];

/** The columns of a batch by field name. */
export type ColumnsOf<F extends Fields, Name extends string> = {
  [Entry in F[number] as Entry['name'] extends Name ? Entry['name'] : never]: ColumnOf<
    Entry['kind'],
    IsOptional<Entry>
  >;
};

/** A column of any kind, optional or not. */
export type AnyColumn = ColumnOf<FieldKind, boolean>;

/** Records in columns: some or all of one block, or what lies together in time of several. */
export class Batch<F extends Fields = Fields, Name extends string = F[number]['name']> {
  readonly length: number;
  readonly columns: ColumnsOf<F, Name>;
  readonly #sequence: bigint | BigUint64Array;
  readonly #rows: Uint32Array | null;
  #make: ReturnType<typeof recordMaker> | null = null;

  /** `sequence`: of row 0 of what `rows` (null: all) are rows of, or of each of its rows. */
  constructor(
    length: number,
    columns: ColumnsOf<F, Name>,
    sequence: bigint | BigUint64Array,
    rows: Uint32Array | null,
  ) {
    this.length = length;
    this.columns = columns;
    this.#sequence = sequence;
    this.#rows = rows;
  }

  /** Whether its records come from a lane: they have no sequences yet. */
  get isLive(): boolean {
    return false;
  }

  /** The number of the record in the tape, from 0 on. @throws TapeError `UNSUPPORTED` for live records, which have none yet */
  sequence(row: number): bigint {
    const from = this.#rows === null ? row : this.#rows[row];
    return typeof this.#sequence === 'bigint' ? this.#sequence + BigInt(from) : this.#sequence[from];
  }

  /** The rows `from` up to `to`, as views of the same columns. */
  slice(from: number, to: number): Batch<F, Name> {
    if (from === 0 && to === this.length) return this;
    const columns = this.#mapColumns((column) => sliceColumn(column, from, to));
    if (this.#rows !== null) return new Batch(to - from, columns, this.#sequence, this.#rows.subarray(from, to));
    const sequence = this.#sequence;
    const first = typeof sequence === 'bigint' ? sequence + BigInt(from) : sequence.subarray(from, to);
    return new Batch(to - from, columns, first, null);
  }

  /** These rows (numbers below `length`), copied, in this order. */
  pick(rows: Uint32Array): Batch<F, Name> {
    const columns = this.#mapColumns((column) => pickColumn(column, rows));
    return new Batch(rows.length, columns, this.#sequence, this.#rows === null ? rows : pick(this.#rows, rows));
  }

  /** The same records with these columns alone. */
  only(names: readonly string[]): Batch<F, Name> {
    const columns = this.columns as unknown as Record<string, AnyColumn>;
    const kept = Object.fromEntries(names.map((name) => [name, columns[name]]));
    return new Batch(this.length, kept as unknown as ColumnsOf<F, Name>, this.#sequence, this.#rows);
  }

  #mapColumns(map: (column: AnyColumn) => AnyColumn): ColumnsOf<F, Name> {
    const columns: Record<string, AnyColumn> = {};
    for (const name in this.columns) columns[name] = map(this.columns[name] as AnyColumn);
    return columns as ColumnsOf<F, Name>;
  }

  /** One record as an object. */
  record(row: number): Pick<RecordOf<F>, Name & keyof RecordOf<F>> {
    const columns = this.columns as Record<string, AnyColumn>;
    this.#make ??= recordMaker(columns);
    return this.#make(columns, row) as Pick<RecordOf<F>, Name & keyof RecordOf<F>>;
  }

  /** All records as objects. */
  *records(): Generator<Pick<RecordOf<F>, Name & keyof RecordOf<F>>> {
    for (let row = 0; row < this.length; row++) yield this.record(row);
  }
}

/** The column that users see. `rows`: those to keep, ascending; null for all. */
export function columnOf(
  field: PlacedField,
  decoded: DecodedColumn,
  symbols: readonly BlockSymbol[],
  rows: Uint32Array | null,
): ColumnOf<FieldKind, boolean> {
  const present = decoded.present === null || rows === null ? decoded.present : pick(decoded.present, rows);
  const values = valuesOf(field, decoded, symbols, rows);
  if (present === null) return values;
  if (values instanceof SymbolColumn) {
    for (let row = 0; row < present.length; row++) if (present[row] === 0) values.ids[row] = NO_SYMBOL;
  }
  return new OptionalColumn(values, present);
}

/** The column with a value for every row. */
function valuesOf(
  field: PlacedField,
  decoded: DecodedColumn,
  symbols: readonly BlockSymbol[],
  rows: Uint32Array | null,
): ColumnOf<FieldKind> {
  if ('lengths' in decoded) {
    const offsets = new Float64Array(decoded.lengths.length + 1);
    for (let i = 0; i < decoded.lengths.length; i++) offsets[i + 1] = offsets[i] + decoded.lengths[i];
    const column = pickBytes(new BytesColumn(offsets, decoded.bytes), rows);
    return field.kind === 'text' ? new TextColumn(column) : column;
  }
  const values = rows === null ? decoded.values : pick(decoded.values, rows);
  if (field.kind === 'symbol') {
    const names = new Map(symbols.map(({ id, name }) => [id, name]));
    if (field.optional) names.set(NO_SYMBOL, '');
    return new SymbolColumn(values as Uint32Array, names);
  }
  return values as ColumnOf<FieldKind>;
}

/** Rows of a column as a view of it. */
function sliceColumn(column: AnyColumn, from: number, to: number): AnyColumn {
  if (column instanceof OptionalColumn) {
    return new OptionalColumn(sliceColumn(column.values, from, to), column.present.subarray(from, to)) as AnyColumn;
  }
  if (column instanceof SymbolColumn) return column.with(column.ids.subarray(from, to));
  if (column instanceof BytesColumn) return new BytesColumn(column.offsets.subarray(from, to + 1), column.bytes);
  if (column instanceof TextColumn) return new TextColumn(sliceColumn(column.encoded, from, to) as BytesColumn);
  return column.subarray(from, to);
}

function pickColumn(column: AnyColumn, rows: Uint32Array): AnyColumn {
  if (column instanceof OptionalColumn) {
    return new OptionalColumn(pickColumn(column.values, rows), pick(column.present, rows)) as AnyColumn;
  }
  if (column instanceof SymbolColumn) return column.with(pick(column.ids, rows));
  if (column instanceof BytesColumn) return pickBytes(column, rows);
  if (column instanceof TextColumn) return new TextColumn(pickBytes(column.encoded, rows));
  return pick(column, rows);
}

function pick<T extends Values>(values: T, rows: Uint32Array): T {
  const picked = new (values.constructor as new (length: number) => T)(rows.length);
  for (let i = 0; i < rows.length; i++) picked[i] = values[rows[i]];
  return picked;
}

function pickBytes(column: BytesColumn, rows: Uint32Array | null): BytesColumn {
  if (rows === null) return column;
  const offsets = new Float64Array(rows.length + 1);
  for (let i = 0; i < rows.length; i++) {
    offsets[i + 1] = offsets[i] + column.offsets[rows[i] + 1] - column.offsets[rows[i]];
  }
  const bytes = new Uint8Array(offsets[rows.length]);
  for (let i = 0; i < rows.length; i++) bytes.set(column.at(rows[i]), offsets[i]);
  return new BytesColumn(offsets, bytes);
}
