// Rows of other programs, NDJSON or CSV, as records: members or columns by the names of the schema's fields. Decimals and whole numbers go from
// their text to the tape, with no double between.
import { Buffer } from 'node:buffer';
import { TapeError } from '../../errors.js';
import { describeKind, type Field, type Schema } from '../../schema.js';
import { parseTime } from '../../times.js';
import { decimalOf, isScaled } from '../parsers/decimal.js';
import { JsonScanner, KeyTable, NO_MEMBER, OPEN_LIST, OPEN_OBJECT, QUOTE } from '../parsers/json-scanner.js';

// biome-ignore lint/suspicious/noExplicitAny: of whatever schema
type AppendScaled = (...values: any[]) => number;

const WHOLE = /^-?\d{1,20}$/;
const BASE64 = /^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/;
const NUMBER = /^-?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|Infinity)$|^NaN$/;
/** A value as a reason shows it. */
const MOST_SHOWN = 80;

/** Appends rows. What the row does not say is null where the field is optional; the timestamp is the time of receipt then. */
export class FieldRows {
  readonly #fields: readonly Field[];
  readonly #append: AppendScaled;
  readonly #now: () => bigint;
  readonly #keys: KeyTable;
  readonly #scanner = new JsonScanner();
  /** Of the row at hand; undefined where it does not say. */
  readonly #values: unknown[];
  /** Of a CSV file: the field of each column, or -1. */
  #columns: number[] = [];

  constructor({ fields }: Schema, append: AppendScaled, now: () => bigint) {
    this.#fields = fields;
    this.#append = append;
    this.#now = now;
    this.#keys = new KeyTable(fields.map(({ name }) => name));
    this.#values = new Array(fields.length).fill(undefined);
  }

  /** Appends the row in an object of JSON. Answers null, or why it is none. */
  json(line: string): string | null {
    const scanner = this.#scanner;
    scanner.begin(line);
    if (scanner.kind !== OPEN_OBJECT) return 'not an object of JSON';
    this.#values.fill(undefined);
    let reason: string | null = null;
    let field = scanner.firstMember(this.#keys);
    for (; field !== NO_MEMBER && !scanner.failed; field = scanner.nextMember(this.#keys)) {
      const from = scanner.at;
      const { kind } = scanner;
      scanner.skip();
      if (scanner.failed || field < 0) continue;
      if (kind === OPEN_OBJECT || kind === OPEN_LIST) reason ??= `field ${this.#fields[field].name}: not a plain value`;
      else if (kind === QUOTE) reason = this.#take(field, scanner.stringAt(from)) ?? reason;
      else {
        const token = line.slice(from, scanner.at);
        if (token === 'null') this.#values[field] = null;
        else reason = this.#take(field, token) ?? reason;
      }
    }
    if (!scanner.end()) return 'not JSON';
    return reason ?? this.#record();
  }

  /**
   * What the columns of a CSV file are called, by its first line.
   * @throws TapeError `BAD_OPTION` where a field that is not optional is not among them
   */
  header(names: readonly string[], path: string): void {
    this.#columns = names.map((name) => this.#fields.findIndex((field) => field.name === name.trim()));
    for (const [index, { name, kind, optional }] of this.#fields.entries()) {
      if (optional || kind === 'timestamp' || this.#columns.includes(index)) continue;
      throw new TapeError(
        'BAD_OPTION',
        `${path}: no column ${name}: its first line must name the fields of the schema`,
        {
          path,
          field: name,
        },
      );
    }
  }

  /** Appends the row of a CSV file. Answers null, or why it is none. An empty cell is an absent value where that may be. */
  cells(cells: readonly string[]): string | null {
    if (cells.length !== this.#columns.length) return `${cells.length} cells, not ${this.#columns.length}`;
    this.#values.fill(undefined);
    for (let i = 0; i < cells.length; i++) {
      const field = this.#columns[i];
      if (field < 0 || (cells[i] === '' && this.#fields[field].optional)) continue;
      const reason = this.#take(field, cells[i]);
      if (reason !== null) return reason;
    }
    return this.#record();
  }

  /** Reads the field's value from its text. */
  #take(field: number, text: string): string | null {
    const value = parseValue(this.#fields[field], text);
    this.#values[field] = value;
    if (value !== undefined) return null;
    const { name } = this.#fields[field];
    const shown = JSON.stringify(text.slice(0, MOST_SHOWN));
    return `field ${name} (${describeKind(this.#fields[field])}) can't hold ${shown}`;
  }

  #record(): string | null {
    const values = this.#values;
    for (let i = 0; i < values.length; i++) {
      const { name, kind, optional } = this.#fields[i];
      if (values[i] === null && !optional) return `field ${name} is null`;
      if (values[i] !== undefined) continue;
      if (optional) values[i] = null;
      else if (kind === 'timestamp') values[i] = this.#now();
      else return `no field ${name}`;
    }
    this.#append(...values);
    return null;
  }
}

/** What `appendScaled` takes for the field; undefined where the text is no such value. Ranges are for it to check. */
function parseValue({ kind, scale }: Field, text: string): unknown {
  switch (kind) {
    case 'timestamp':
      // Not times before now: a row says when it was.
      return /^\d{4}-|^-?\d+$/.test(text) ? (parseTime(text, 0n) ?? undefined) : undefined;
    case 'symbol':
    case 'text':
      return text;
    case 'bytes':
      return BASE64.test(text) ? new Uint8Array(Buffer.from(text, 'base64')) : undefined;
    case 'decimal': {
      const scaled = decimalOf(text, 0, text.length, scale);
      return isScaled(scaled) ? scaled : undefined;
    }
    case 'i64':
    case 'u64':
      return WHOLE.test(text) ? BigInt(text) : undefined;
    case 'f64':
    case 'f32':
      return NUMBER.test(text) ? Number(text) : undefined;
    default:
      return WHOLE.test(text) ? Number(text) : undefined;
  }
}
