import {
  CONTROL_FIELD_COUNT,
  CONTROL_FIELDS,
  FIELD_BITS,
  FIELD_BYTES,
  FIELD_KIND,
  FIELD_MULTIPLIER,
  FIELD_OFFSET,
  FIELD_SCALE,
  KIND_BYTES,
  KIND_DECIMAL,
  KIND_F32,
  KIND_F64,
  KIND_I8,
  KIND_I16,
  KIND_I32,
  KIND_I64,
  KIND_SYMBOL,
  KIND_TEXT,
  KIND_TIMESTAMP,
  KIND_U8,
  KIND_U16,
  KIND_U32,
  KIND_U64,
  MAX_FIELDS,
  RECORD_TIMESTAMP,
} from '../assembly/layout.js';
import { show, TapeError } from './errors.js';
import { hash64 } from './hash.js';

/** Field kinds by name: their number on disk and their width in a record in bytes (varying ones: of their length). */
export const KINDS = {
  timestamp: { number: KIND_TIMESTAMP, width: 8 },
  symbol: { number: KIND_SYMBOL, width: 4 },
  decimal: { number: KIND_DECIMAL, width: 8 },
  f64: { number: KIND_F64, width: 8 },
  f32: { number: KIND_F32, width: 4 },
  i8: { number: KIND_I8, width: 1 },
  i16: { number: KIND_I16, width: 2 },
  i32: { number: KIND_I32, width: 4 },
  i64: { number: KIND_I64, width: 8 },
  u8: { number: KIND_U8, width: 1 },
  u16: { number: KIND_U16, width: 2 },
  u32: { number: KIND_U32, width: 4 },
  u64: { number: KIND_U64, width: 8 },
  text: { number: KIND_TEXT, width: 4 },
  bytes: { number: KIND_BYTES, width: 4 },
} as const;

export type FieldKind = keyof typeof KINDS;

/** A named, typed place in every record. */
export interface Field<
  Name extends string = string,
  Kind extends FieldKind = FieldKind,
  Optional extends boolean = boolean,
> {
  readonly name: Name;
  readonly kind: Kind;
  /** Decimal places of a `decimal`; 0 otherwise. */
  readonly scale: number;
  /** Whether a record may be without a value here; left out: no. */
  readonly optional?: Optional;
}

/** What a field of this kind takes in `append` and gives in a record: of an optional one also null. */
export type ValueOf<Kind extends FieldKind, Optional extends boolean = false> =
  | (Optional extends true ? null : never)
  | (Kind extends 'timestamp' | 'i64' | 'u64'
      ? bigint
      : Kind extends 'symbol' | 'text'
        ? string
        : Kind extends 'bytes'
          ? Uint8Array
          : number);

export type Fields = readonly Field[];

/** Whether the field is optional; `boolean` where its type doesn't say. */
export type IsOptional<F extends Field> =
  F extends Field<string, FieldKind, false> ? false : F extends Field<string, FieldKind, true> ? true : boolean;

/** The arguments of `append`: a value a field, in the schema's order. */
export type ValuesOf<F extends Fields> = { [I in keyof F]: ValueOf<F[I]['kind'], IsOptional<F[I]>> };

/** One record as an object. */
export type RecordOf<F extends Fields> = {
  [Entry in F[number] as Entry['name']]: ValueOf<Entry['kind'], IsOptional<Entry>>;
};

const field = <const Name extends string, Kind extends FieldKind>(
  name: Name,
  kind: Kind,
  scale = 0,
): Field<Name, Kind, false> => ({ name, kind, scale, optional: false });

/** Nanoseconds since the Unix epoch, a bigint from −2⁶³ to 2⁶³ − 1. Every schema has exactly one. */
export const timestamp = <const Name extends string>(name: Name) => field(name, 'timestamp');
/** A name of 1 to 55 bytes of UTF-8 that comes again and again: an instrument, a venue. Stored once. */
export const symbol = <const Name extends string>(name: Name) => field(name, 'symbol');
/**
 * A number with `scale` (0 to 15) decimal places, kept exactly as an integer of up to 2⁵³ − 1 of its last place: what is read is the double
 * that was appended. A value further than a thousandth of the last place from such a number, and not its nearest double, is refused.
 */
export const decimal = <const Name extends string>(name: Name, scale: number) => field(name, 'decimal', scale);
/** Any double, bit for bit but for the payload of a NaN. */
export const f64 = <const Name extends string>(name: Name) => field(name, 'f64');
/** A number rounded to the nearest float. */
export const f32 = <const Name extends string>(name: Name) => field(name, 'f32');
export const i8 = <const Name extends string>(name: Name) => field(name, 'i8');
export const i16 = <const Name extends string>(name: Name) => field(name, 'i16');
export const i32 = <const Name extends string>(name: Name) => field(name, 'i32');
/** A bigint from −2⁶³ to 2⁶³ − 1. */
export const i64 = <const Name extends string>(name: Name) => field(name, 'i64');
export const u8 = <const Name extends string>(name: Name) => field(name, 'u8');
export const u16 = <const Name extends string>(name: Name) => field(name, 'u16');
export const u32 = <const Name extends string>(name: Name) => field(name, 'u32');
/** A bigint from 0 to 2⁶⁴ − 1. */
export const u64 = <const Name extends string>(name: Name) => field(name, 'u64');
/** A string of any length that a lane takes. */
export const text = <const Name extends string>(name: Name) => field(name, 'text');
/** A Uint8Array of any length that a lane takes. */
export const bytes = <const Name extends string>(name: Name) => field(name, 'bytes');

/**
 * The field, and its value may be absent: `append` takes null for it, and a record gives null. Of any kind but a timestamp. Absent is
 * none of the kind's values: zero, NaN and an empty string are present.
 * @throws TapeError `BAD_SCHEMA` for a timestamp, and for a field that is optional already
 */
export function optional<const Name extends string, Kind extends Exclude<FieldKind, 'timestamp'>>(
  field: Field<Name, Kind, false>,
): Field<Name, Kind, true> {
  // Also called where nobody checks types.
  const given = field as Field | null;
  if (typeof given !== 'object' || given === null) throw new TapeError('BAD_SCHEMA', `${show(given)} is no field`);
  if (given.kind === 'timestamp') {
    throw new TapeError('BAD_SCHEMA', `field ${given.name}: a timestamp can't be optional`, { field: given.name });
  }
  if (given.optional === true) {
    throw new TapeError('BAD_SCHEMA', `field ${given.name} is optional already`, { field: given.name });
  }
  return { ...field, optional: true };
}

/** Where a field lies in a record. */
export interface PlacedField extends Field {
  readonly optional: boolean;
  /** Number of its bit among the record's presence bits: its place among the schema's optional fields; -1 where it is not optional. */
  readonly presenceBit: number;
  /** Its place in the schema, which is its place among the arguments of `append`. */
  readonly index: number;
  readonly kindNumber: number;
  readonly width: number;
  /** Bytes from the start of the record; for a varying field, of its length word. */
  readonly offset: number;
}

/** The fixed set of typed fields of a tape's records. Made by `defineSchema`. */
export class Schema<F extends Fields = Fields> {
  readonly name: string;
  readonly fields: F;
  /** Fields in the order in which they lie in a record, which is that of the kernels: the timestamp first, then the widest. */
  readonly table: readonly PlacedField[];
  /** Varying fields, in the schema's order. */
  readonly varying: readonly PlacedField[];
  /** Optional fields, in the schema's order. */
  readonly optionals: readonly PlacedField[];
  /**
   * Where a record says which optional values it has: from its byte `offset` on, in `bytes` bytes (0 without optional fields). Bit
   * k mod 8 of byte k >> 3 is 1 where optional field k is present; an absent one's own bytes are zero.
   */
  readonly presence: { readonly offset: number; readonly bytes: number };
  /** Bytes of a record's fixed part, header included; a multiple of 8. */
  readonly recordBytes: number;
  /** The canonical text that the fingerprint is taken of and that segments repeat. */
  readonly json: string;
  /** u64: XXH64 of `json`. */
  readonly fingerprint: bigint;

  constructor(name: string, fields: F) {
    checkSchema(name, fields);
    this.name = name;
    this.fields = fields;
    this.json = JSON.stringify({
      name,
      fields: fields.map(({ name, kind, scale, optional }) => [name, kind, scale, ...(optional ? [true] : [])]),
    });
    this.fingerprint = hash64(new TextEncoder().encode(this.json));

    const placed: PlacedField[] = [];
    // Widest first, so that every field is aligned without a hole; the timestamp leads.
    const order = fields.map((_, index) => index);
    const rank = (index: number) => (fields[index].kind === 'timestamp' ? 16 : KINDS[fields[index].kind].width);
    order.sort((a, b) => rank(b) - rank(a) || a - b);
    const bits = fields.flatMap(({ optional }, index) => (optional ? [index] : []));
    let offset = RECORD_TIMESTAMP;
    for (const index of order) {
      const { number: kindNumber, width } = KINDS[fields[index].kind];
      const presenceBit = bits.indexOf(index);
      placed[index] = { ...fields[index], optional: presenceBit >= 0, presenceBit, index, kindNumber, width, offset };
      offset += width;
    }
    this.presence = { offset, bytes: Math.ceil(bits.length / 8) };
    this.recordBytes = Math.ceil((offset + this.presence.bytes) / 8) * 8;
    this.varying = placed.filter(isVarying);
    this.optionals = bits.map((index) => placed[index]);
    this.table = order.map((index) => placed[index]);
  }

  /** The one that was read last: all files of a tape say the same. */
  static #last: { json: string; schema: Schema } | null = null;

  /** The schema that `json` (of a segment or a tape file) says. @throws TapeError `CORRUPT` */
  static parse(json: string, path: string): Schema {
    if (Schema.#last?.json === json) return Schema.#last.schema;
    try {
      const { name, fields } = JSON.parse(json) as { name: string; fields: [string, FieldKind, number, true?][] };
      const schema = new Schema(
        name,
        fields.map(([fieldName, kind, scale, ...rest]): Field => {
          const known = rest.length === 0 || (rest.length === 1 && rest[0] === true);
          if (!known) throw new TapeError('BAD_SCHEMA', `field ${fieldName}: ${show(rest)} is unknown`);
          return { ...field(fieldName, kind, scale), optional: rest.length === 1 };
        }),
      );
      Schema.#last = { json, schema };
      return schema;
    } catch (cause) {
      throw new TapeError('CORRUPT', `${path}: the schema in it can't be read`, { cause, path });
    }
  }
}

/**
 * A schema from its fields, in the order in which `append` takes their values. They are arguments rather than the keys of an
 * object because the order of keys is not part of a TypeScript type.
 * @throws TapeError `BAD_SCHEMA`
 */
export function defineSchema<const F extends Fields>(name: string, ...fields: F): Schema<F> {
  return new Schema(name, fields);
}

export const isVarying = ({ kind }: Field): boolean => kind === 'text' || kind === 'bytes';

/** The field's kind as a message names it. */
export const describeKind = ({ kind, scale, optional }: Field): string =>
  `${optional ? 'optional ' : ''}${kind}${kind === 'decimal' ? `(${scale})` : ''}`;

/** Writes the kernels' field table: the fields, then the presence bytes, which are u8 values to the kernels. */
export function writeFieldTable({ table, presence }: Schema, view: DataView): void {
  const presenceBytes = Array.from({ length: presence.bytes }, (_, i) => ({
    kindNumber: KIND_U8,
    scale: 0,
    width: 1,
    offset: presence.offset + i,
  }));
  const entries = [...table, ...presenceBytes];
  view.setUint32(CONTROL_FIELD_COUNT, entries.length, true);
  entries.forEach(({ kindNumber, scale, width, offset }, i) => {
    const entry = CONTROL_FIELDS + i * FIELD_BYTES;
    view.setUint8(entry + FIELD_KIND, kindNumber);
    view.setUint8(entry + FIELD_SCALE, scale);
    view.setUint8(entry + FIELD_BITS, 8 * width);
    view.setUint32(entry + FIELD_OFFSET, offset, true);
    view.setFloat64(entry + FIELD_MULTIPLIER, 10 ** scale, true);
  });
}

const NAME = /^(?!__proto__$)[A-Za-z_][A-Za-z0-9_-]{0,62}$/;

function checkSchema(name: unknown, fields: Fields): void {
  const refuse = (message: string, fieldName?: string) => {
    throw new TapeError('BAD_SCHEMA', message, { field: fieldName });
  };
  const rule = 'a name is a letter or _, then up to 62 letters, digits, _ or -, and not __proto__';
  if (typeof name !== 'string' || !NAME.test(name)) refuse(`schema name ${JSON.stringify(name)}: ${rule}`);
  if (fields.length > MAX_FIELDS) refuse(`schema ${name}: ${fields.length} fields, at most ${MAX_FIELDS}`);
  const names = new Set<string>();
  for (const given of fields) {
    if (typeof given !== 'object' || given === null) refuse(`schema ${name}: ${show(given)} is no field`);
    const { name: fieldName, kind, scale, optional } = given;
    if (typeof fieldName !== 'string' || !NAME.test(fieldName)) {
      refuse(`schema ${name}: field name ${JSON.stringify(fieldName)}: ${rule}`, String(fieldName));
    }
    if (names.has(fieldName)) refuse(`schema ${name}: two fields named ${fieldName}`, fieldName);
    names.add(fieldName);
    if (!Object.hasOwn(KINDS, kind)) refuse(`schema ${name}: field ${fieldName} is of unknown kind ${kind}`, fieldName);
    if (!Number.isInteger(scale) || scale < 0 || scale > 15) {
      refuse(`schema ${name}: field ${fieldName}: a scale is a whole number from 0 to 15, not ${scale}`, fieldName);
    }
    if (optional !== undefined && typeof optional !== 'boolean') {
      refuse(`schema ${name}: field ${fieldName}: optional is true or false, not ${show(optional)}`, fieldName);
    }
    if (optional && kind === 'timestamp') {
      refuse(`schema ${name}: field ${fieldName}: a timestamp can't be optional`, fieldName);
    }
  }
  const timestamps = fields.filter(({ kind }) => kind === 'timestamp').length;
  if (timestamps !== 1) refuse(`schema ${name}: exactly one timestamp field is needed, not ${timestamps}`);
}
