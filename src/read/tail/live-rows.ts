import { SLACK } from '../../block/workspace.js';
import { TapeError } from '../../errors.js';
import type { Kernels } from '../../kernels.js';
import { type Fields, isVarying, type PlacedField, type Schema } from '../../schema.js';
import {
  type AnyColumn,
  BytesColumn,
  type ColumnsOf,
  NO_SYMBOL,
  OptionalColumn,
  SymbolColumn,
  TextColumn,
} from '../batch.js';
import { type LaneName, LiveBatch } from './live-batch.js';
import type { SymbolNames } from './symbol-names.js';

/** Records that are taken from a lane at once. */
export const MOST_ROWS = 4096;
/** Batches of up to so many records are made once and used again. */
const MOST_KEPT = 256;
/** Bytes of an entry of the table that `gatherColumns` is told. */
const TABLE_ENTRY_BYTES = 12;

/** Where it all lies in the memory. */
interface Places {
  index: number;
  /** By field. */
  columns: number[];
  /** Presence bytes as they are in records; by bit, a byte a row. */
  presence: number;
  present: number;
  mask: number;
  table: number;
  lengths: number;
  varying: number;
  end: number;
}

const COLUMN_BYTES = MOST_ROWS + SLACK;

function lay(schema: Schema, from: number, ringBytes: number): Places {
  let end = from;
  const take = (bytes: number) => {
    const at = Math.ceil(end / 64) * 64;
    end = at + bytes;
    return at;
  };
  return {
    index: take(4 * MOST_ROWS),
    columns: schema.fields.map(() => take(8 * MOST_ROWS + SLACK)),
    presence: take(schema.presence.bytes * COLUMN_BYTES),
    present: take(schema.optionals.length * COLUMN_BYTES),
    mask: take(MOST_ROWS / 8 + SLACK),
    table: take(TABLE_ENTRY_BYTES * (schema.fields.length + schema.presence.bytes)),
    lengths: take(4 * schema.fields.length),
    varying: take(schema.varying.length > 0 ? ringBytes : 0),
    get end() {
      return end;
    },
  };
}

/** Bytes of memory that the rows of a lane with a ring of `ringBytes` take. */
export const liveRowsBytes = (schema: Schema, ringBytes: number): number => lay(schema, 0, ringBytes).end + 64;

/** What is wanted of the rows, by what tells quickly. */
export interface RowFilter {
  /** Names that the schema's first symbol field may have; null for all. */
  symbols: ReadonlySet<string> | null;
  fromNs: bigint | null;
}

/** Records that were copied from a lane, pointed to by an index, as columns. */
export class LiveRows<F extends Fields> {
  /** Points to a u32 a record: where it lies. */
  readonly index: number;
  readonly #schema: Schema<F>;
  readonly #fields: readonly PlacedField[];
  readonly #kernels: Kernels;
  readonly #memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #places: Places;
  readonly #gathered: number;
  readonly #names: SymbolNames;
  readonly #symbolField: PlacedField | undefined;
  readonly #timeOffset: number;
  /** By length. */
  readonly #kept: LiveBatch<F>[] = [];
  /** By varying field: its bytes, in memory that is not shared, as a text decoder wants them. */
  readonly #varying: Uint8Array[];

  constructor(
    schema: Schema<F>,
    kernels: Kernels,
    memory: WebAssembly.Memory,
    { at, ringBytes }: { at: number; ringBytes: number },
    names: SymbolNames,
  ) {
    this.#schema = schema;
    this.#fields = [...schema.table].sort((a, b) => a.index - b.index);
    this.#kernels = kernels;
    this.#memory = memory;
    this.#view = new DataView(memory.buffer);
    this.#places = lay(schema, at, ringBytes);
    this.index = this.#places.index;
    this.#names = names;
    this.#symbolField = this.#fields.find(({ kind }) => kind === 'symbol');
    this.#timeOffset = schema.table[0].offset;
    this.#varying = schema.varying.map(() => new Uint8Array(ringBytes));
    const gathered = this.#fields.map(({ offset, width, index }) => ({
      offset,
      width,
      at: this.#places.columns[index],
    }));
    for (let byte = 0; byte < schema.presence.bytes; byte++) {
      gathered.push({ offset: schema.presence.offset + byte, width: 1, at: this.#presenceBytes(byte) });
    }
    gathered.forEach((column, i) => {
      const entry = this.#places.table + TABLE_ENTRY_BYTES * i;
      this.#view.setUint32(entry, column.offset, true);
      this.#view.setUint32(entry + 4, column.width, true);
      this.#view.setUint32(entry + 8, column.at, true);
    });
    this.#gathered = gathered.length;
    schema.varying.forEach(({ offset }, i) => {
      this.#view.setUint32(this.#places.lengths + 4 * i, offset, true);
    });
  }

  #presenceBytes(byte: number): number {
    return this.#places.presence + byte * COLUMN_BYTES;
  }

  /** Keeps those of the first `count` records that are wanted; answers how many. */
  keep(count: number, { symbols, fromNs }: RowFilter): number {
    if (symbols === null && fromNs === null) return count;
    let kept = 0;
    for (let row = 0; row < count; row++) {
      const record = this.#view.getUint32(this.index + 4 * row, true);
      if (fromNs !== null && this.#view.getBigInt64(record + this.#timeOffset, true) < fromNs) continue;
      if (symbols !== null && !this.#isOf(record, symbols)) continue;
      this.#view.setUint32(this.index + 4 * kept++, record, true);
    }
    return kept;
  }

  #isOf(record: number, symbols: ReadonlySet<string>): boolean {
    const field = this.#symbolField!;
    if (field.optional) {
      const byte = this.#view.getUint8(record + this.#schema.presence.offset + (field.presenceBit >> 3));
      if (((byte >> (field.presenceBit & 7)) & 1) === 0) return false;
    }
    return symbols.has(this.#names.meet(this.#view.getUint32(record + field.offset, true)));
  }

  /** Keeps these rows (ascending) alone. */
  keepRows(rows: Uint32Array): void {
    for (let i = 0; i < rows.length; i++) {
      this.#view.setUint32(this.index + 4 * i, this.#view.getUint32(this.index + 4 * rows[i], true), true);
    }
  }

  /** The first `count` records as columns, which hold until the next call. @throws TapeError `CORRUPT` */
  batch(count: number, lane: LaneName): LiveBatch<F> {
    const { columns, table, mask, present } = this.#places;
    const kernels = this.#kernels;
    const batch = this.#kept[count] ?? this.#make(count, lane);
    batch.lane = lane;
    kernels.gatherColumns(this.index, 0, 1, count, table, this.#gathered);
    for (const { presenceBit } of this.#schema.optionals) {
      kernels.presenceMask(this.#presenceBytes(presenceBit >> 3), count, presenceBit & 7, mask);
      kernels.expandMask(mask, count, present + presenceBit * COLUMN_BYTES);
    }
    for (const field of this.#fields) {
      const at = columns[field.index];
      if (field.kind === 'decimal') kernels.toDecimals(at, count, 10 ** field.scale, at);
      else if (field.kind === 'symbol') this.#meetSymbols(field, count);
    }
    if (this.#varying.length > 0) this.#gatherVarying(batch, count);
    return batch;
  }

  #meetSymbols({ index, optional, presenceBit }: PlacedField, count: number): void {
    const at = this.#places.columns[index];
    const present = this.#places.present + presenceBit * COLUMN_BYTES;
    for (let row = 0; row < count; row++) {
      if (optional && this.#view.getUint8(present + row) === 0) this.#view.setUint32(at + 4 * row, NO_SYMBOL, true);
      else this.#names.meet(this.#view.getUint32(at + 4 * row, true));
    }
  }

  #gatherVarying(batch: LiveBatch<F>, count: number): void {
    const { recordBytes, varying } = this.#schema;
    const { lengths, columns, varying: out, end } = this.#places;
    varying.forEach((field, which) => {
      const total = this.#kernels.gatherVarying(this.index, count, recordBytes, lengths, which, out, end);
      if (total < 0) {
        throw new TapeError('CORRUPT', `a record in a lane has a ${field.name} that is longer than the record`, {
          field: field.name,
        });
      }
      const given = (batch.columns as unknown as Record<string, AnyColumn>)[field.name];
      const column = given instanceof OptionalColumn ? given.values : given;
      const { offsets } = (column instanceof TextColumn ? column.encoded : column) as BytesColumn;
      let bytesEnd = 0;
      for (let row = 0; row < count; row++) {
        bytesEnd += this.#view.getUint32(columns[field.index] + 4 * row, true);
        offsets[row + 1] = bytesEnd;
      }
      const bytes = this.#varying[which];
      if (total > 64) bytes.set(new Uint8Array(this.#memory.buffer, out, total));
      else for (let i = 0; i < total; i++) bytes[i] = this.#view.getUint8(out + i);
    });
  }

  #make(count: number, lane: LaneName): LiveBatch<F> {
    const columns: Record<string, AnyColumn> = {};
    for (const field of this.#fields) {
      const values = this.#columnOf(field, count);
      columns[field.name] = field.optional
        ? (new OptionalColumn(values as SymbolColumn, this.#presentOf(field, count)) as AnyColumn)
        : values;
    }
    const batch = new LiveBatch<F>(count, columns as unknown as ColumnsOf<F, F[number]['name']>, lane);
    if (count <= MOST_KEPT) this.#kept[count] = batch;
    return batch;
  }

  #presentOf({ presenceBit }: PlacedField, count: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, this.#places.present + presenceBit * COLUMN_BYTES, count);
  }

  #columnOf(field: PlacedField, count: number): AnyColumn {
    if (isVarying(field)) {
      const bytes = new BytesColumn(new Float64Array(count + 1), this.#varying[this.#schema.varying.indexOf(field)]);
      return field.kind === 'text' ? new TextColumn(bytes) : bytes;
    }
    const { buffer } = this.#memory;
    const at = this.#places.columns[field.index];
    switch (field.kind) {
      case 'symbol':
        return new SymbolColumn(new Uint32Array(buffer, at, count), this.#names.known);
      case 'timestamp':
      case 'i64':
        return new BigInt64Array(buffer, at, count);
      case 'u64':
        return new BigUint64Array(buffer, at, count);
      default:
        return new NUMBERS[field.kind as keyof typeof NUMBERS](buffer, at, count);
    }
  }
}

/** Arrays of what is a number to users; a decimal is one by then. */
const NUMBERS = {
  decimal: Float64Array,
  f64: Float64Array,
  f32: Float32Array,
  i8: Int8Array,
  i16: Int16Array,
  i32: Int32Array,
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
};
