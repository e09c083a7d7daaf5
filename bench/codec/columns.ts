// Columns of what a tape's records store: decimals as whole numbers of their last place, symbols as ids.

import type { Schema } from 'ticktape';
import { type FieldKind, KINDS } from '../../src/schema.js';

export type Column =
  | BigInt64Array
  | BigUint64Array
  | Uint32Array
  | Int32Array
  | Uint16Array
  | Int16Array
  | Uint8Array
  | Int8Array;

const ARRAYS: Partial<Record<FieldKind, new (buffer: ArrayBuffer) => Column>> = {
  timestamp: BigInt64Array,
  decimal: BigInt64Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  symbol: Uint32Array,
  u32: Uint32Array,
  i32: Int32Array,
  u16: Uint16Array,
  i16: Int16Array,
  u8: Uint8Array,
  i8: Int8Array,
};

const bytesOf = ({ buffer, byteOffset, byteLength }: Column) => new Uint8Array(buffer, byteOffset, byteLength);

function emptyColumns(schema: Schema, count: number): Column[] {
  return schema.fields.map(({ name, kind }) => {
    const make = ARRAYS[kind];
    if (make === undefined) throw new Error(`${name}: no data set has a field of kind ${kind}`);
    return new make(new ArrayBuffer(count * KINDS[kind].width));
  });
}

/** Columns for `count` records, and what sets a row of them. */
export function makeColumns(
  schema: Schema,
  count: number,
): { columns: Column[]; set(row: number, ...values: (number | bigint)[]): void } {
  const columns = emptyColumns(schema, count);
  const set = (row: number, ...values: (number | bigint)[]) => {
    values.forEach((value, field) => {
      columns[field][row] = value;
      if (columns[field][row] !== value) throw new Error(`${schema.fields[field].name}: ${value} does not fit`);
    });
  };
  return { columns, set };
}

/** Bytes of a record as a packed struct: its fields in order, without holes. */
export function structBytes({ fields }: Schema): number {
  return fields.reduce((bytes, { kind }) => bytes + KINDS[kind].width, 0);
}

/** The records as packed structs, one behind the other. */
export function structsOf(schema: Schema, columns: Column[], count: number): Uint8Array {
  const bytes = structBytes(schema);
  const structs = new Uint8Array(count * bytes);
  let offset = 0;
  schema.fields.forEach(({ kind }, field) => {
    const { width } = KINDS[kind];
    scatter(bytesOf(columns[field]), width, structs, offset, bytes);
    offset += width;
  });
  return structs;
}

/** The columns of packed structs. */
export function columnsOfStructs(schema: Schema, structs: Uint8Array, count: number): Column[] {
  const columns = emptyColumns(schema, count);
  const bytes = structBytes(schema);
  let offset = 0;
  schema.fields.forEach(({ kind }, field) => {
    const { width } = KINDS[kind];
    const column = bytesOf(columns[field]);
    for (let row = 0, from = offset; row < count; row++, from += bytes) {
      for (let i = 0; i < width; i++) column[row * width + i] = structs[from + i];
    }
    offset += width;
  });
  return columns;
}

/** Puts values of `width` bytes each into `rows` of `stride` bytes, at `offset` of each. */
export function scatter(column: Uint8Array, width: number, rows: Uint8Array, offset: number, stride: number): void {
  for (let from = 0, to = offset; from < column.length; from += width, to += stride) {
    for (let i = 0; i < width; i++) rows[to + i] = column[from + i];
  }
}

/** The records as CSV, with a line of names, decimals with their point, symbols by name. */
export function csvOf(schema: Schema, columns: Column[], count: number, symbols: string[]): string {
  const texts = schema.fields.map(({ kind, scale }, field): ((row: number) => string) => {
    const column = columns[field];
    if (kind === 'symbol') return (row) => symbols[Number(column[row])];
    if (kind !== 'decimal' || scale === 0) return (row) => String(column[row]);
    return (row) => {
      const value = column[row] as bigint;
      const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
      return `${value < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
    };
  });
  const lines = [schema.fields.map(({ name }) => name).join(',')];
  for (let row = 0; row < count; row++) lines.push(texts.map((text) => text(row)).join(','));
  return `${lines.join('\n')}\n`;
}

/** The columns as they must come back from a block, by field. */
export function decodedOf(schema: Schema, columns: Column[]): (Column | Float64Array)[] {
  return columns.map((column, field) => {
    const { kind, scale } = schema.fields[field];
    return kind === 'decimal' ? Float64Array.from(column as BigInt64Array, (n) => Number(n) / 10 ** scale) : column;
  });
}
