import type { BlockDecoder, DecodedColumn } from '../block/decoder.js';
import type { BlockHeader } from '../block/header.js';
import { show, TapeError } from '../errors.js';
import type { Fields, PlacedField, Schema } from '../schema.js';
import { Batch, type ColumnsOf, columnOf } from './batch.js';
import { type ScanRange, selectRows } from './plan.js';
import { mayPass, parseWhere, type Where, whereRows } from './where.js';

/** Which records of a tape are wanted, and which of their columns; all of it may be left out. */
export interface RecordOptions<Name extends string = string> extends ScanRange {
  /** Only records with one of these in the schema's (first) symbol field; never those where it is absent. */
  symbols?: readonly string[];
  /** Only these columns are read and decoded. */
  columns?: readonly Name[];
  /**
   * Only records for which all of these hold: `price>=61800`, `side=1`, `symbol!=ETHUSDT`. One of = != < <= > >= between a field and a
   * number, a time (ISO 8601 or ns), or a symbol or text as it is. None holds for a value that is absent. Blocks whose statistics say
   * that none of their records pass are not read.
   */
  where?: readonly string[];
}

/** The same, checked against the schema. */
export interface Selection {
  readonly range: ScanRange;
  readonly symbols: ReadonlySet<string> | null;
  readonly symbolField: PlacedField | null;
  readonly where: Where | null;
  /** Fields that the conditions are about. */
  readonly whereFields: readonly PlacedField[];
  readonly fields: readonly PlacedField[];
  readonly timeField: PlacedField;
}

/** Records of one block that are wanted. */
export interface SelectedRows<F extends Fields, Name extends string> {
  readonly batch: Batch<F, Name>;
  /** Their timestamps, whether or not they are a column of the batch; null where nobody asked for them. */
  readonly times: BigInt64Array | null;
}

/** @throws TapeError `BAD_OPTION` */
export function resolveSelection(schema: Schema, options: RecordOptions): Selection {
  const { from, to, symbols, columns, where } = options;
  for (const [name, time] of Object.entries({ from, to })) {
    if (time !== undefined && typeof time !== 'bigint') {
      throw new TapeError('BAD_OPTION', `option ${name} is a bigint, ns since the Unix epoch, not ${show(time)}`);
    }
  }
  for (const [name, list] of Object.entries({ symbols, columns, where })) {
    if (list !== undefined && !(Array.isArray(list) && list.every((member) => typeof member === 'string'))) {
      throw new TapeError('BAD_OPTION', `option ${name} is an array of strings, not ${show(list)}`);
    }
  }
  const symbolField = schema.table.find(({ kind }) => kind === 'symbol') ?? null;
  if (symbols !== undefined && symbolField === null) {
    throw new TapeError('BAD_OPTION', `option symbols: schema ${schema.name} has no symbol field`);
  }
  const conditions = where === undefined || where.length === 0 ? null : parseWhere(schema, where);
  return {
    range: { from, to },
    symbols: symbols === undefined ? null : new Set(symbols),
    symbolField,
    where: conditions,
    whereFields: [...new Set(conditions?.conditions.map(({ field }) => field))],
    fields: fieldsOf(schema, columns),
    timeField: schema.table[0],
  };
}

function fieldsOf({ table }: Schema, columns: readonly string[] | undefined): PlacedField[] {
  const placed = [...table].sort((a, b) => a.index - b.index);
  if (columns === undefined) return placed;
  return columns.map((name) => {
    const field = placed.find((candidate) => candidate.name === name);
    if (field === undefined) {
      const names = placed.map((candidate) => candidate.name).join(', ');
      throw new TapeError('BAD_OPTION', `option columns: ${JSON.stringify(name)} is none of ${names}`, { field: name });
    }
    return field;
  });
}

/** What is wanted of a block that is open in the decoder, with timestamps if asked for; null where that is nothing. */
export function selectFrom<F extends Fields, Name extends string>(
  decoder: BlockDecoder,
  header: BlockHeader,
  selection: Selection,
  withTimes: boolean,
): SelectedRows<F, Name> | null {
  const { range, symbols: names, symbolField, where, whereFields, fields, timeField } = selection;
  const { from, to } = range;
  if (where !== null && !mayPass(where, header)) return null;
  const decoded = new Map<PlacedField, DecodedColumn>();
  const column = (field: PlacedField): DecodedColumn => {
    let known = decoded.get(field);
    if (known === undefined) {
      known = decoder.column(header, field);
      decoded.set(field, known);
    }
    return known;
  };
  const shown = (of: readonly PlacedField[], rows: Uint32Array | null) =>
    Object.fromEntries(of.map((field) => [field.name, columnOf(field, column(field), header.symbols, rows)]));

  let symbols: { ids: Uint32Array; present: Uint8Array | null; wanted: Set<number> } | null = null;
  if (names !== null) {
    const wanted = new Set(header.symbols.filter(({ name }) => names.has(name)).map(({ id }) => id));
    if (wanted.size === 0) return null;
    const ids = column(symbolField!);
    symbols = { ids: (ids as { values: Uint32Array }).values, present: ids.present, wanted };
  }
  const isWhole = (from === undefined || header.leastNs >= from) && (to === undefined || header.greatestNs < to);
  const times = isWhole && !withTimes ? null : (column(timeField) as { values: BigInt64Array }).values;
  let rows = selectRows(header.count, isWhole ? null : times, range, symbols);
  if (rows?.length === 0) return null;
  if (where !== null) {
    decoder.prepare(header, whereFields);
    const compared = new Batch(header.count, shown(whereFields, null), header.sequence, null);
    rows = whereRows(where, compared, rows);
    if (rows?.length === 0) return null;
  }
  decoder.prepare(
    header,
    fields.filter((field) => !decoded.has(field)),
  );
  const columns = shown(fields, rows) as ColumnsOf<F, Name>;
  return {
    batch: new Batch<F, Name>(rows?.length ?? header.count, columns, header.sequence, rows),
    times: withTimes ? (rows === null ? times! : BigInt64Array.from(rows, (row) => times![row])) : null,
  };
}
