import type { Compression, Schema } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { expect } from 'vitest';
import { BlockDecoder, DamagedBlock, type DecodedColumn } from '../../dist/src/block/decoder.js';
import { type Effort, firstEffort } from '../../dist/src/block/effort.js';
import { BlockEncoder } from '../../dist/src/block/encoder.js';
import type { BlockHeader, LaneRange } from '../../dist/src/block/header.js';
import { hash64 } from '../../dist/src/hash.js';
import { columnOf } from '../../dist/src/read/batch.js';
import { Bench, type BenchOptions, DIRT, EPOCH, sameBytes, TAPE_ID } from './bench.js';
import type { Value } from './records.js';

export const zstd = await runtime.zstd();

export interface Block {
  header: BlockHeader;
  bytes: Uint8Array;
}

export interface BlockOptions extends BenchOptions {
  compression?: Compression;
  /** Instead of the one that `compression` starts with. */
  effort?: Effort;
}

/** Makes blocks of rows, one after another, as a flusher does. One at a time: the next one takes its memory over. */
export class BlockMaker {
  readonly encoder: BlockEncoder;
  readonly #bench: Bench;
  readonly #appenders: ReturnType<Bench['appender']>[];

  constructor(schema: Schema, options: BlockOptions = {}) {
    const { lanes = 1, compression = 'off', effort = firstEffort(compression) } = options;
    const bench = new Bench(schema, { ring: 261_632, ...options });
    this.#bench = bench;
    this.#appenders = Array.from({ length: lanes }, (_, lane) => bench.appender(lane));
    this.encoder = new BlockEncoder(schema, bench.kernels, bench.memory, bench.map, zstd, effort);
  }

  /** One block of these rows, which go to the lanes in turn. */
  block(rows: readonly (readonly Value[])[], sequence = 0n): Block {
    const bench = this.#bench;
    const from = this.#appenders.map((_, lane) => bench.counters(lane).drained);
    rows.forEach((values, i) => {
      this.#appenders[i % this.#appenders.length].append(...values);
    });
    bench.emptyRows();
    if (bench.drain() !== rows.length) throw new Error('the rows do not fit one block');
    const laneRanges: LaneRange[] = [];
    this.#appenders.forEach((_, lane) => {
      const { drained } = bench.counters(lane);
      if (drained > from[lane]) laneRanges.push({ epoch: EPOCH, lane, from: from[lane], to: drained });
      bench.release(lane, drained);
    });
    // So that a byte that should have been written shows.
    bench.bytes.fill(DIRT, bench.map.block, bench.map.blockEnd);
    const { header, bytes } = this.encoder.encode({ tapeId: TAPE_ID, sequence, epoch: EPOCH, laneRanges });
    return { header, bytes: bytes.slice() };
  }
}

/** One block of these rows, by an encoder of its own. */
export function blockOf(
  schema: Schema,
  rows: readonly (readonly Value[])[],
  options: BlockOptions & { sequence?: bigint } = {},
): Block {
  return new BlockMaker(schema, { capacity: Math.max(16, rows.length), ...options }).block(rows, options.sequence);
}

/** What a reader does with the bytes of a block that says it has `count` records. @throws DamagedBlock */
export function decodeBlock(
  schema: Schema,
  bytes: Uint8Array,
  count: number,
  decoder = new BlockDecoder(schema, zstd),
): { header: BlockHeader; columns: DecodedColumn[] } {
  decoder.room(bytes.length, count).set(bytes);
  const header = decoder.header();
  const columns: DecodedColumn[] = [];
  for (const field of schema.table) columns[field.index] = decoder.column(header, field);
  return { header, columns };
}

/** The values of a column as they were appended. */
export function valuesOf(schema: Schema, field: number, column: DecodedColumn, header: BlockHeader): Value[] {
  const placed = schema.table.find(({ index }) => index === field)!;
  const shown = columnOf(placed, column, header.symbols, null) as { length: number; at(row: number): Value };
  return Array.from({ length: shown.length }, (_, row) => shown.at(row));
}

/** Puts the right checksum at the end of a header whose fields were changed. */
export function resealHeader(bytes: Uint8Array, headerBytes: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setBigUint64(headerBytes - 8, hash64(bytes.slice(0, headerBytes - 8)), true);
}

/** What a reader makes of the bytes, or null where it says that they are damaged. Any other error is the test's. */
export function tryDecode(
  schema: Schema,
  bytes: Uint8Array,
  count: number,
  decoder?: BlockDecoder,
): ReturnType<typeof decodeBlock> | null {
  try {
    return decodeBlock(schema, bytes, count, decoder);
  } catch (error) {
    if (error instanceof DamagedBlock) return null;
    throw error;
  }
}

/** What a value is after it was stored and read: decimals and whole numbers have no negative zero, floats have 24 bits. */
function stored(value: Value, kind: string): Value {
  if (value === null) return null;
  if (kind === 'f32') return Math.fround(value as number);
  if (kind === 'f64') return value;
  return value === 0 ? 0 : value;
}

/** That a reader finds these rows in the block. */
export function expectSameValues(
  schema: Schema,
  { bytes, header }: Block,
  rows: readonly Value[][],
  decoder?: BlockDecoder,
): void {
  const { columns, header: decoded } = decodeBlock(schema, bytes, rows.length, decoder);
  expect(decoded.checksum).toBe(header.checksum);
  for (const [index, { kind, name }] of schema.fields.entries()) {
    const found = valuesOf(schema, index, columns[index], decoded);
    expect(found.length).toBe(rows.length);
    rows.forEach((row, i) => {
      const expected = stored(row[index], kind);
      if (kind === 'bytes' && expected !== null) sameBytes(found[i] as Uint8Array, expected as Uint8Array);
      else if (!Object.is(found[i], expected)) expect.fail(`${name} (${kind}) ${i}: ${found[i]}, not ${expected}`);
    });
  }
}
