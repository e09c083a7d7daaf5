import type { Compression, Schema } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { BlockDecoder, DamagedBlock, type DecodedColumn } from '../../dist/src/block/decoder.js';
import { firstEffort } from '../../dist/src/block/effort.js';
import { BlockEncoder } from '../../dist/src/block/encoder.js';
import type { BlockHeader, LaneRange } from '../../dist/src/block/header.js';
import { hash64 } from '../../dist/src/hash.js';
import { columnOf } from '../../dist/src/read/batch.js';
import { Bench, type BenchOptions, DIRT, EPOCH, TAPE_ID } from './bench.js';
import type { Value } from './records.js';

export const zstd = await runtime.zstd();

export interface Block {
  header: BlockHeader;
  bytes: Uint8Array;
}

/** One block of these rows, which go to the lanes in turn. */
export function blockOf(
  schema: Schema,
  rows: readonly (readonly Value[])[],
  options: BenchOptions & { compression?: Compression; sequence?: bigint } = {},
): Block {
  const { lanes = 1, compression = 'off', sequence = 0n } = options;
  const bench = new Bench(schema, { ring: 261_632, capacity: Math.max(16, rows.length), ...options });
  const appenders = Array.from({ length: lanes }, (_, lane) => bench.appender(lane));
  rows.forEach((values, i) => {
    appenders[i % lanes].append(...values);
  });
  const laneRanges: LaneRange[] = [];
  if (bench.drain() !== rows.length) throw new Error('the rows do not fit one block');
  for (let lane = 0; lane < lanes; lane++) {
    const { drained } = bench.counters(lane);
    if (drained > 0n) laneRanges.push({ epoch: EPOCH, lane, from: 0n, to: drained });
  }
  // So that a byte that should have been written shows.
  bench.bytes.fill(DIRT, bench.map.block, bench.map.blockEnd);
  const encoder = new BlockEncoder(schema, bench.kernels, bench.memory, bench.map, zstd, firstEffort(compression));
  const { header, bytes } = encoder.encode({ tapeId: TAPE_ID, sequence, epoch: EPOCH, laneRanges });
  return { header, bytes: bytes.slice() };
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
