import { Buffer } from 'node:buffer';
import process from 'node:process';
import { TapeError } from '../errors.js';
import type { Gap } from '../gaps.js';
import { type Batch, type BytesColumn, OptionalColumn } from '../read/batch.js';
import type { Field, FieldKind, Schema } from '../schema.js';
import { formatTimeNs } from './times.js';

export const ROW_FORMATS = ['table', 'ndjson', 'csv'] as const;
export type RowFormat = (typeof ROW_FORMATS)[number];

/** Records as text, whole lines at a time. */
export interface RowWriter {
  /** What comes first; empty where the format has nothing there. */
  head(): string;
  batch(batch: Batch): string;
  /** A gap between two rows; CSV has no place for one, so it goes to stderr there. */
  gap(gap: Gap): string;
}

/** A value as text. */
type Show = (value: unknown) => string;

/** Records of the schema, all columns or those named, in that order. @throws TapeError `BAD_OPTION` for a column that there isn't */
export function rowWriter(schema: Schema, columns: readonly string[] | undefined, format: RowFormat): RowWriter {
  const fields =
    columns === undefined
      ? schema.fields
      : columns.map((name) => {
          const field = schema.fields.find((candidate) => candidate.name === name);
          if (field !== undefined) return field;
          const names = schema.fields.map((candidate) => candidate.name).join(', ');
          throw new TapeError('BAD_OPTION', `option columns: ${JSON.stringify(name)} is none of ${names}`, {
            field: name,
          });
        });
  return WRITERS[format](fields);
}

const WRITERS: Record<RowFormat, (fields: readonly Field[]) => RowWriter> = { ndjson, csv, table };

/** Each row of the batch as a line of its cells. */
function lines(
  batch: Batch,
  fields: readonly Field[],
  shows: readonly Show[],
  absent: string,
  line: (cells: string[]) => string,
): string {
  const columns = fields.map(({ name }) => (batch.columns as Record<string, { at(row: number): unknown }>)[name]);
  const values = columns.map((column) => (column instanceof OptionalColumn ? column.values : column));
  const cells = new Array<string>(fields.length);
  let out = '';
  for (let row = 0; row < batch.length; row++) {
    for (let i = 0; i < cells.length; i++) {
      const column = columns[i];
      const isAbsent = column instanceof OptionalColumn && column.present[row] === 0;
      cells[i] = isAbsent ? absent : shows[i](values[i].at(row));
    }
    out += line(cells);
  }
  return out;
}

const base64 = (bytes: unknown) => Buffer.from(bytes as ReturnType<BytesColumn['at']>).toString('base64');

/** Times within one second of another differ in their last digits alone. */
function showTimes(): Show {
  let secondNs = 0n;
  let second = '';
  return (value) => {
    const ns = value as bigint;
    const below = Number(ns - secondNs);
    if (second !== '' && below >= 0 && below < 1e9) return `${second}${String(below).padStart(9, '0')}Z`;
    const text = formatTimeNs(ns);
    second = text.slice(0, -10);
    secondNs = ns - BigInt(text.slice(-10, -1));
    return text;
  };
}

// ---- newline-delimited JSON ---------------------------------------------------------------------------------------------------

const quoted: Show = (value) => `"${value}"`;
/** JSON has neither NaN nor infinities as numbers. */
const jsonNumber: Show = (value) => (Number.isFinite(value) ? String(value) : quoted(value));

function jsonShow(kind: FieldKind): Show {
  switch (kind) {
    case 'timestamp': {
      const show = showTimes();
      return (value) => quoted(show(value));
    }
    case 'symbol':
    case 'text':
      return JSON.stringify;
    case 'bytes':
      return (value) => quoted(base64(value));
    case 'i64':
    case 'u64':
      return quoted;
    default:
      return jsonNumber;
  }
}

function ndjson(fields: readonly Field[]): RowWriter {
  const shows = fields.map(({ kind }) => jsonShow(kind));
  const keys = fields.map(({ name }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  const line = (cells: string[]) => {
    let text = fields.length === 0 ? '{' : '';
    for (let i = 0; i < cells.length; i++) text += keys[i] + cells[i];
    return `${text}}\n`;
  };
  return {
    head: () => '',
    batch: (batch) => lines(batch, fields, shows, 'null', line),
    gap: (gap) => `${JSON.stringify({ gap: shownGap(gap) })}\n`,
  };
}

const shownGap = ({ collector, name, fromNs, toNs, reason }: Gap) => ({
  collector,
  name,
  from: formatTimeNs(fromNs),
  to: toNs === null ? null : formatTimeNs(toNs),
  reason,
});

/** A gap in words, on one line. */
function describeGap(gap: Gap): string {
  const { name, from, to, reason } = shownGap(gap);
  return printable(`gap from ${from} ${to === null ? 'on' : `to ${to}`}${name === '' ? '' : `, ${name}`}: ${reason}`);
}

// ---- CSV (RFC 4180) -----------------------------------------------------------------------------------------------------------

const csvText: Show = (value) => {
  const text = String(value);
  // An empty text in quotes, as an absent value has nothing at all.
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

function csvShow(kind: FieldKind): Show {
  if (kind === 'timestamp') return showTimes();
  if (kind === 'bytes') return (value) => csvText(base64(value));
  return kind === 'symbol' || kind === 'text' ? csvText : String;
}

function csv(fields: readonly Field[]): RowWriter {
  const shows = fields.map(({ kind }) => csvShow(kind));
  return {
    head: () => `${fields.map(({ name }) => name).join(',')}\r\n`,
    batch: (batch) => lines(batch, fields, shows, '', (cells) => `${cells.join(',')}\r\n`),
    gap: (gap) => {
      process.stderr.write(`# ${describeGap(gap)}\n`);
      return '';
    },
  };
}

// ---- a table for people -------------------------------------------------------------------------------------------------------

/** Columns that a cell has at least; a column grows with its widest value so far. */
const WIDTHS: Partial<Record<FieldKind, number>> = {
  timestamp: 30,
  symbol: 10,
  decimal: 12,
  f64: 12,
  u64: 12,
  i64: 12,
};

/** What came from outside must not move the cursor of a terminal, nor end the line. */
const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });

function tableShow({ kind, scale }: Field): Show {
  switch (kind) {
    case 'timestamp':
      return showTimes();
    case 'decimal':
      return (value) => (value as number).toFixed(scale);
    case 'bytes':
      return base64;
    case 'symbol':
    case 'text':
      return (value) => printable(value as string);
    default:
      return String;
  }
}

function table(fields: readonly Field[]): RowWriter {
  const shows = fields.map(tableShow);
  const isLeft = fields.map(({ kind }) => ['timestamp', 'symbol', 'text', 'bytes'].includes(kind));
  const widths = fields.map(({ name, kind }) => Math.max(name.length, WIDTHS[kind] ?? 0));
  const line = (cells: readonly string[]) => {
    let text = '';
    for (let i = 0; i < cells.length; i++) {
      widths[i] = Math.max(widths[i], cells[i].length);
      const cell = isLeft[i] ? cells[i].padEnd(widths[i]) : cells[i].padStart(widths[i]);
      text += i === 0 ? cell : `  ${cell}`;
    }
    return `${text.trimEnd()}\n`;
  };
  return {
    head: () => line(fields.map(({ name }) => name)),
    batch: (batch) => lines(batch, fields, shows, '–', line),
    gap: (gap) => `-- ${describeGap(gap)}\n`,
  };
}
