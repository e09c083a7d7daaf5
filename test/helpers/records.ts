import fc from 'fast-check';
import { defineSchema, type Field, type FieldKind, type Schema } from 'ticktape';

// The layout of a record, worked out from the words of assembly/record.ts and nothing else of the code.

const WIDTHS: Record<FieldKind, number> = {
  timestamp: 8,
  symbol: 4,
  decimal: 8,
  f64: 8,
  f32: 4,
  i8: 1,
  i16: 2,
  i32: 4,
  i64: 8,
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  text: 4,
  bytes: 4,
};

export const KINDS = Object.keys(WIDTHS) as FieldKind[];
export const isVarying = (kind: FieldKind) => kind === 'text' || kind === 'bytes';

export interface Layout {
  /** By field, in the schema's order. */
  offsets: number[];
  /** Of the first presence byte. */
  presence: number;
  fixedBytes: number;
}

/**
 * The timestamp first, then the others, widest first, in the schema's order where equally wide; a bit for each optional field; rounded
 * up to 8.
 */
export function layoutOf({ fields }: Schema): Layout {
  const offsets: number[] = [];
  let end = 16;
  const place = (index: number) => {
    offsets[index] = end;
    end += WIDTHS[fields[index].kind];
  };
  fields.forEach(({ kind }, index) => {
    if (kind === 'timestamp') place(index);
  });
  for (const width of [8, 4, 2, 1]) {
    fields.forEach(({ kind }, index) => {
      if (kind !== 'timestamp' && WIDTHS[kind] === width) place(index);
    });
  }
  const optionals = fields.filter(({ optional }) => optional).length;
  return { offsets, presence: end, fixedBytes: Math.ceil((end + Math.ceil(optionals / 8)) / 8) * 8 };
}

const MASK = 2n ** 64n - 1n;

/** The checksum that assembly/record.ts describes, over position, salt and the words behind it. */
export function recordChecksum(record: Uint8Array, position: bigint, salt: bigint): bigint {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  let sum = position * 0x9e3779b97f4a7c15n + salt;
  let multiplier = 0xc2b2ae3d27d4eb4fn;
  for (let at = 8; at < record.length; at += 8) {
    const word = view.getBigUint64(at, true);
    sum += (word ^ (word >> 32n)) * multiplier;
    multiplier += 0x165667b19e3779f8n;
  }
  sum &= MASK;
  sum ^= sum >> 32n;
  sum = (sum * 0x9fb21c651e98df25n) & MASK;
  return sum ^ (sum >> 29n);
}

/** What a decimal of this scale stores for the value: the integer of its last place. */
export const unscaled = (value: number, scale: number): bigint => {
  const multiplier = 10 ** scale;
  const near = Math.round(value * multiplier);
  // The product may be off by one in the last bits; the quotient of the right integer is the value itself.
  const exact = [near, near - 1, near + 1].find((candidate) => candidate / multiplier === value);
  if (exact === undefined) throw new Error(`${value} has more than ${scale} places`);
  return BigInt(exact);
};

export type Value = number | bigint | string | Uint8Array | null;

const encoder = new TextEncoder();

/** The whole record of these values, at this position of a lane with this salt. `idOf` gives the ids of symbols. */
export function encodeRecord(
  schema: Schema,
  values: readonly Value[],
  idOf: (name: string) => number,
  position: bigint,
  salt: bigint,
): Uint8Array {
  const { offsets, presence, fixedBytes } = layoutOf(schema);
  const varying = schema.fields.flatMap(({ kind }, i) => {
    if (!isVarying(kind)) return [];
    const value = values[i] ?? new Uint8Array(0);
    return [kind === 'text' && typeof value === 'string' ? encoder.encode(value) : (value as Uint8Array)];
  });
  const bytes = fixedBytes + varying.reduce((sum, { length }) => sum + length, 0);
  const record = new Uint8Array(Math.ceil(bytes / 8) * 8);
  const view = new DataView(record.buffer);
  view.setUint32(8, record.length, true);
  view.setUint32(12, 1, true);
  const lengths = varying.map(({ length }) => length);
  let bit = 0;
  schema.fields.forEach(({ kind, scale, optional }, i) => {
    const at = offsets[i];
    const value = values[i];
    if (optional) {
      if (value !== null) record[presence + Math.floor(bit / 8)] |= 2 ** (bit % 8);
      bit++;
    }
    if (isVarying(kind)) view.setUint32(at, lengths.shift()!, true);
    else if (value === null) return;
    else if (kind === 'timestamp' || kind === 'i64') view.setBigInt64(at, value as bigint, true);
    else if (kind === 'u64') view.setBigUint64(at, value as bigint, true);
    else if (kind === 'decimal') view.setBigInt64(at, unscaled(value as number, scale), true);
    else if (kind === 'symbol') view.setUint32(at, idOf(value as string), true);
    else if (kind === 'f64') view.setFloat64(at, value as number, true);
    else if (kind === 'f32') view.setFloat32(at, value as number, true);
    else if (kind === 'i8') view.setInt8(at, value as number);
    else if (kind === 'i16') view.setInt16(at, value as number, true);
    else if (kind === 'i32') view.setInt32(at, value as number, true);
    else if (kind === 'u8') view.setUint8(at, value as number);
    else if (kind === 'u16') view.setUint16(at, value as number, true);
    else view.setUint32(at, value as number, true);
  });
  let free = fixedBytes;
  for (const value of varying) {
    record.set(value, free);
    free += value.length;
  }
  view.setBigUint64(0, recordChecksum(record, position, salt), true);
  return record;
}

// ---- schemas and values -----------------------------------------------------------------------------------------------

const whole = (bits: number, signed: boolean) => {
  const low = signed ? -(2 ** (bits - 1)) : 0;
  const high = low + 2 ** bits - 1;
  return fc.oneof(fc.integer({ min: low, max: high }), fc.constantFrom(low, high, 0, -0, 1));
};

const big = (low: bigint, high: bigint) =>
  fc.oneof(fc.bigInt({ min: low, max: high }), fc.constantFrom(low, high, 0n, 1n));

const SPECIAL_DOUBLES = [0, -0, NaN, Infinity, -Infinity, 5e-324, -5e-324, 2.2e-308, Number.MAX_VALUE, 0.1];

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  // U+FEFF is what decoders like to take off the start; the last one is four bytes a character.
  fc.constantFrom('', '\uFEFF', '\uFEFFx', '\0', 'é', '市場', '📈📉'),
);

const symbols = fc.oneof(
  fc.constantFrom('BTCUSDT', 'ETHUSDT', 'A', 'x'.repeat(55), 'é'.repeat(27), '\uFEFF', '\uFEFFA', '\0', '📈'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 }).filter((name) => encoder.encode(name).length <= 55),
);

/** Any value that a field takes; of decimals only those that have one integer of their last place. */
export function valueFor(kind: FieldKind, scale: number): fc.Arbitrary<Value> {
  switch (kind) {
    case 'timestamp':
    case 'i64':
      return big(-(2n ** 63n), 2n ** 63n - 1n);
    case 'u64':
      return big(0n, 2n ** 64n - 1n);
    case 'symbol':
      return symbols;
    case 'decimal':
      return fc
        .oneof(
          fc.integer({ min: -1_000_000, max: 1_000_000 }),
          fc.integer({ min: -(10 ** 15) + 1, max: 10 ** 15 - 1 }),
          fc.constantFrom(0, 1, -1, 10 ** 15 - 1, 1 - 10 ** 15),
        )
        .map((n) => n / 10 ** scale);
    case 'f64':
      return fc.oneof(fc.double(), fc.constantFrom(...SPECIAL_DOUBLES));
    case 'f32':
      return fc.oneof(fc.double(), fc.constantFrom(...SPECIAL_DOUBLES), fc.float());
    case 'text':
      return text;
    case 'bytes':
      return fc.uint8Array({ maxLength: 40 });
    default:
      return whole(Number(kind.slice(1)), kind.startsWith('i'));
  }
}

/** Schemas of up to `most` fields in any order, some of them optional, and rows of values for each. */
export function recorded(
  rows: { minLength: number; maxLength: number },
  most = 14,
): fc.Arbitrary<{ schema: Schema; rows: Value[][] }> {
  const other = fc.record({
    kind: fc.constantFrom(...KINDS.filter((kind) => kind !== 'timestamp')),
    scale: fc.integer({ min: 0, max: 15 }),
    optional: fc.boolean(),
  });
  return fc
    .tuple(fc.array(other, { maxLength: most - 1 }), fc.nat(most - 1))
    .chain(([others, at]) => {
      const fields: Omit<Field, 'name'>[] = others.map(({ kind, scale, optional }) => ({
        kind,
        scale: kind === 'decimal' ? scale : 0,
        optional,
      }));
      fields.splice(Math.min(at, fields.length), 0, { kind: 'timestamp', scale: 0 });
      const schema = defineSchema('random', ...fields.map((of, i) => ({ ...of, name: `f${i}` })));
      const row = fc.tuple(
        ...fields.map(({ kind, scale, optional }) => {
          const value = valueFor(kind, scale);
          return optional ? fc.option(value, { nil: null, freq: 2 }) : value;
        }),
      );
      return fc.record({ schema: fc.constant(schema as Schema), rows: fc.array(row as fc.Arbitrary<Value[]>, rows) });
    })
    .filter(({ rows: made }) => made.length >= rows.minLength);
}
