// What is appended, made before anything is timed: a typed array a field with what `append` takes.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { decimal, defineSchema, type Schema, symbol, timestamp, u8 } from 'ticktape';
import { MBO_BYTES, mbo, readDbn } from '../../src/collect/sources/dbn.js';
import { Random } from '../../src/collect/sources/random.js';
import { KINDS } from '../../src/schema.js';
import { type Column, columnsOfStructs, scatter } from '../codec/columns.js';

/** As `append` takes them; of a symbol its place among `symbols`, of a decimal the number itself. */
type Given = Column | Float64Array;

export interface Records {
  schema: Schema;
  given: Given[];
  count: number;
  symbols: string[];
  /** Where the values come from. */
  source: string;
}

// This module lies in dist/bench/flush.
const MBO = fileURLToPath(new URL('../../../../shared/data/cme-esh4-20231225.mbo.dbn.zst', import.meta.url));

const SOURCES: Record<string, (count: number) => Records | Promise<Records>> = { trade: makeTrades, mbo: loadMbo };

export const RECORDS = Object.keys(SOURCES);

export const makeRecords = (name: string, count: number): Records | Promise<Records> => SOURCES[name](count);

const START_NS = 1_723_161_255_030_314_667n;

/** The README's record: four symbols, a price for each that walks, sizes that are mostly small. */
function makeTrades(count: number): Records {
  const schema = defineSchema(
    'trade',
    timestamp('ts'),
    symbol('symbol'),
    decimal('price', 2),
    decimal('size', 3),
    u8('side'),
  );
  const random = new Random(1);
  const ts = new BigInt64Array(count);
  const symbols = new Uint32Array(count);
  const price = new Float64Array(count);
  const size = new Float64Array(count);
  const side = new Uint8Array(count);
  const cents = [6_180_020, 268_134, 14_602, 60_025];
  let elapsedNs = 0;
  for (let i = 0; i < count; i++) {
    const of = Math.floor(4 * random.unit() ** 2);
    elapsedNs += Math.ceil(-200 * Math.log(1 - random.unit()));
    cents[of] += Math.floor(11 * random.unit()) - 5;
    ts[i] = START_NS + BigInt(elapsedNs);
    symbols[i] = of;
    price[i] = cents[of] / 100;
    size[i] = Math.ceil(5000 * random.unit() ** 4) / 1000;
    side[i] = random.bits() & 1;
  }
  return {
    schema,
    given: [ts, symbols, price, size, side],
    count,
    symbols: ['BTCUSDT', 'ETHUSDT', 'SOLUSDT', 'XRPUSDT'],
    source: 'synthetic',
  };
}

/** The captured records again and again, each time with their times, orders and sequence numbers moved on; else invented ones. */
async function loadMbo(count: number): Promise<Records> {
  const captured = existsSync(MBO);
  const lap = captured ? await capturedMbo() : inventedMbo();
  const { length } = lap[0];
  const given = lap.map((column) => new (column.constructor as new (length: number) => Column)(count));
  mbo.fields.forEach(({ name }, field) => {
    const [from, to] = [lap[field], given[field]];
    const movesOn = ['tsEvent', 'tsRecv', 'orderId', 'sequence'].includes(name);
    const step = movesOn ? span(from) : 0n;
    for (let row = 0; row < count; row++) {
      const value = from[row % length];
      if (row < length || !movesOn) to[row] = value;
      else if (typeof value === 'bigint') to[row] = value + BigInt(Math.floor(row / length)) * step;
      else to[row] = value + Math.floor(row / length) * Number(step);
    }
  });
  const source = captured
    ? `${length} captured records of ${path.basename(MBO)}, repeated with their times and ids moved on`
    : `synthetic: there is no ${MBO}`;
  return { schema: mbo, given, count, symbols: [], source };
}

async function capturedMbo(): Promise<Column[]> {
  const { records, count } = await readDbn(MBO);
  return columnsOfStructs(mbo, records, count);
}

/** From the least to behind the greatest. */
function span(column: Column): bigint {
  let least = column[0];
  let greatest = column[0];
  for (const value of column) {
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return BigInt(greatest) - BigInt(least) + 1n;
}

/** A book of orders around a price that walks. */
function inventedMbo(): Column[] {
  const count = 100_000;
  const random = new Random(2);
  const columns = columnsOfStructs(mbo, new Uint8Array(count * MBO_BYTES), count);
  const set = (row: number, values: Record<string, number | bigint>) => {
    mbo.fields.forEach(({ name }, field) => {
      columns[field][row] = values[name];
    });
  };
  let elapsedNs = 0;
  let ticks = 19_200;
  for (let row = 0; row < count; row++) {
    elapsedNs += Math.ceil(-50_000 * Math.log(1 - random.unit()));
    ticks += Math.floor(3 * random.unit()) - 1;
    set(row, {
      length: MBO_BYTES / 4,
      rtype: 160,
      publisherId: 1,
      instrumentId: 17_077,
      tsEvent: START_NS + BigInt(elapsedNs),
      orderId: 6_409_000_000_000n + BigInt(row - Math.floor(1000 * random.unit() ** 3)),
      price: BigInt(ticks + Math.floor(20 * random.unit()) - 10) * 250_000_000n,
      size: Math.ceil(10 * random.unit() ** 3),
      flags: random.unit() < 0.9 ? 130 : 0,
      channelId: 0,
      action: 'ACM'.charCodeAt(Math.floor(3 * random.unit())),
      side: 'AB'.charCodeAt(random.bits() & 1),
      tsRecv: START_NS + BigInt(elapsedNs + 15_000),
      tsInDelta: 12_000 + Math.floor(4000 * random.unit()),
      sequence: row,
    });
  }
  return columns;
}

/** A loop that appends the records `from` up to `to`, written out as a program for this schema would have it. */
export function producerOf(
  { schema, given, symbols }: Records,
  append: (...values: never[]) => number,
): (from: number, to: number) => void {
  const values = schema.fields.map(({ kind }, i) => (kind === 'symbol' ? `symbols[c${i}[row]]` : `c${i}[row]`));
  // Made anew for each tape, as the engine would else go by all the append functions that it has seen.
  return new Function(
    'append',
    'symbols',
    ...given.map((_, i) => `c${i}`),
    `return (from, to) => { for (let row = from; row < to; row++) append(${values.join(', ')}); };`,
  )(append, symbols, ...given);
}

/** The records as packed structs, whole ones in buffers of `bufferBytes` at most. */
export function structBuffers({ schema, given, count }: Records, bufferBytes: number): Uint8Array[] {
  const recordBytes = schema.fields.reduce((bytes, { kind }) => bytes + KINDS[kind].width, 0);
  const perBuffer = Math.floor(bufferBytes / recordBytes);
  const buffers: Uint8Array[] = [];
  for (let from = 0; from < count; from += perBuffer) {
    const to = Math.min(count, from + perBuffer);
    const buffer = new Uint8Array((to - from) * recordBytes);
    let offset = 0;
    schema.fields.forEach(({ kind }, field) => {
      const { width } = KINDS[kind];
      const column = given[field].subarray(from, to);
      scatter(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), width, buffer, offset, recordBytes);
      offset += width;
    });
    buffers.push(buffer);
  }
  return buffers;
}
