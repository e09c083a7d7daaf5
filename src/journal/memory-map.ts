import {
  CURSOR_BYTES,
  DRAIN_STATE_BYTES,
  LANE_HEADER_BYTES,
  MAX_LANES,
  SYMBOL_BYTES,
  SYMBOL_HEADER_BYTES,
  SYMBOL_NAME_MAX,
  SYMBOLS,
  WINDOW_ALIGN,
} from '../../assembly/layout.js';
import { BLOCK_HEADER_BYTES, CHUNK_ENTRY_BYTES, LANE_RANGE_BYTES } from '../block/header.js';
import { samplerBytes } from '../block/sampler.js';
import { layWorkspace, SLACK, type Workspace } from '../block/workspace.js';
import { TapeError } from '../errors.js';
import type { Schema } from '../schema.js';

/** Where everything lies in a tape's memory; offsets and lengths in bytes. Plain data: it goes to workers as it is. */
export interface MemoryMap {
  /** Records a block, and the most that one has under pressure. */
  capacity: number;
  mostRecords: number;
  symbolCapacity: number;
  /** Of the symbol table's window and file. */
  symbolWindowBytes: number;
  lanes: number;
  laneStride: number;
  laneCount: number;
  ringBytes: number;
  cursors: number;
  drainState: number;
  /** A u32 a row. */
  rowIndex: number;
  rows: number;
  rowsEnd: number;
  /** A pointer a field, in the schema's order: its values in the rows, at their natural width. */
  columns: number[];
  /** The presence bytes of the rows, a column of `mostRecords` (and slack) for each. */
  presence: number;
  /** What `gatherColumns` is told: 12 bytes a column. */
  columnTable: number;
  /** Of the codec. */
  workspace: Workspace;
  sampler: number;
  /** A byte a symbol, all zero between calls. */
  seenSymbols: number;
  lengthOffsets: number;
  block: number;
  blockEnd: number;
  totalBytes: number;
}

const widthOf = (schema: Schema, index: number) => schema.table.find((field) => field.index === index)!.width;

const align = (value: number, to: number) => Math.ceil(value / to) * to;

/** Kernels answer pointers as signed 32-bit numbers. */
const MAX_BYTES = 2 ** 31 - WINDOW_ALIGN;

/** Blocks grow no further than this: larger ones gain nothing, and their columns leave the cache. */
const MOST_GROWN_RECORDS = 65_536;

/** Bytes that a varying field is expected to take, for sizing rings and buffers only. */
const EXPECTED_VARYING_BYTES = 64;

/** Bytes of a ring that holds eight blocks of `capacity` records. */
export function defaultRingBytes(schema: Schema, capacity: number): number {
  const expected = schema.recordBytes + schema.varying.length * EXPECTED_VARYING_BYTES;
  return align(LANE_HEADER_BYTES + 8 * capacity * expected, WINDOW_ALIGN) - LANE_HEADER_BYTES;
}

/** @throws TapeError `BAD_OPTION` where it all does not fit a WASM memory */
export function memoryMap(
  schema: Schema,
  sizes: {
    capacity: number;
    symbolCapacity: number;
    laneBytes?: number;
    laneCount?: number;
    /** How many times `capacity` a block may grow to. Default 1. */
    growth?: number;
  },
): MemoryMap {
  const { capacity, symbolCapacity, laneCount = MAX_LANES, growth = 1 } = sizes;
  const mostRecords = Math.max(capacity, Math.min(capacity * growth, MOST_GROWN_RECORDS));
  let end = SYMBOLS;
  const take = (bytes: number, alignment = 64): number => {
    const at = align(end, alignment);
    end = at + bytes;
    return at;
  };
  const symbolWindowBytes = align(SYMBOL_HEADER_BYTES + symbolCapacity * SYMBOL_BYTES, WINDOW_ALIGN);
  take(symbolWindowBytes, WINDOW_ALIGN);
  const laneStride = align(LANE_HEADER_BYTES + (sizes.laneBytes ?? defaultRingBytes(schema, capacity)), WINDOW_ALIGN);
  const ringBytes = laneStride - LANE_HEADER_BYTES;
  const lanes = take(laneStride * laneCount, WINDOW_ALIGN);

  const cursors = take(laneCount * CURSOR_BYTES);
  const drainState = take(DRAIN_STATE_BYTES);
  const rowIndex = take(mostRecords * 4);
  const varyingRow = schema.varying.length === 0 ? 0 : EXPECTED_VARYING_BYTES * schema.varying.length;
  const rowBytes = Math.max(mostRecords * (schema.recordBytes + varyingRow), ringBytes >> 2);
  const rows = take(rowBytes);
  const columns = schema.fields.map((_, index) => take(mostRecords * widthOf(schema, index) + SLACK));
  const columnTable = take(12 * (schema.fields.length + schema.presence.bytes));
  const presence = take(schema.presence.bytes * (mostRecords + SLACK));
  const workspace = layWorkspace(align(end, 64), mostRecords, true);
  end = workspace.end;
  const sampler = take(samplerBytes(schema.fields.length));
  const seenSymbols = take(symbolCapacity);
  const lengthOffsets = take(4 * schema.fields.length);
  const symbolFields = schema.fields.filter(({ kind }) => kind === 'symbol').length;
  const chunks = schema.fields.length + schema.varying.length + schema.optionals.length;
  const blockBytes =
    BLOCK_HEADER_BYTES +
    laneCount * LANE_RANGE_BYTES +
    chunks * (CHUNK_ENTRY_BYTES + 16) +
    Math.min(mostRecords * symbolFields, symbolCapacity) * (8 + SYMBOL_NAME_MAX) +
    rowBytes +
    4096;
  const block = take(blockBytes, WINDOW_ALIGN);
  const blockEnd = block + blockBytes;
  const totalBytes = align(end, WINDOW_ALIGN);
  if (totalBytes > MAX_BYTES) {
    const mebibytes = Math.ceil(totalBytes / 1024 ** 2);
    throw new TapeError(
      'BAD_OPTION',
      `these options need ${mebibytes} MiB of WASM memory, 2047 at most: lower capacity, laneBytes or maxSymbols`,
    );
  }
  return {
    capacity,
    mostRecords,
    symbolCapacity,
    symbolWindowBytes,
    lanes,
    laneStride,
    laneCount,
    ringBytes,
    cursors,
    drainState,
    rowIndex,
    rows,
    rowsEnd: rows + rowBytes,
    columns,
    columnTable,
    presence,
    workspace,
    sampler,
    seenSymbols,
    lengthOffsets,
    block,
    blockEnd,
    totalBytes,
  };
}
