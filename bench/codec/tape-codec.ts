// All that the benchmark has to do with the codec: rows where the flusher has them, to blocks, to columns.
import type { Compression, Schema } from 'ticktape';
import {
  DRAIN_FILL,
  DRAIN_ROWS,
  LANE_SYMBOL,
  RECORD_DATA,
  RECORD_KIND,
  RECORD_SIZE,
  SYMBOL_BYTES,
  SYMBOL_LENGTH,
  SYMBOL_NAME,
} from '../../assembly/layout.js';
import { BlockDecoder, type Values } from '../../src/block/decoder.js';
import { firstEffort } from '../../src/block/effort.js';
import { BlockEncoder } from '../../src/block/encoder.js';
import * as format from '../../src/block/header.js';
import { type MemoryMap, memoryMap } from '../../src/journal/memory-map.js';
import { instantiateKernels, sharedMemory } from '../../src/kernels.js';
import type { Zstd } from '../../src/runtime.js';
import { scatter } from './columns.js';
import type { DataSet } from './data.js';

const TAPE_ID = new Uint8Array(16);
const EPOCH = 1;

/** Encodes a data set's blocks, again and again, by one encoder as a flusher has it, and decodes them by one decoder. */
export class TapeCodec {
  readonly #schema: Schema;
  readonly #count: number;
  readonly #blockRecords: number;
  /** The row buffer of each block, one behind the other. */
  readonly #rows: Uint8Array;
  readonly #map: MemoryMap;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #encoder: BlockEncoder;
  readonly #decoder: BlockDecoder;
  #block = 0;

  constructor(data: DataSet, blockRecords: number, zstd: Zstd, compression: Compression) {
    this.#schema = data.schema;
    this.#count = data.count;
    this.#blockRecords = blockRecords;
    this.#rows = rowsOf(data);
    const map = memoryMap(data.schema, {
      capacity: blockRecords,
      symbolCapacity: Math.max(1024, data.symbols.length),
      laneCount: 1,
    });
    const memory = sharedMemory(map.totalBytes);
    const kernels = instantiateKernels(memory);
    this.#map = map;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    const staged = map.lanes + LANE_SYMBOL;
    data.symbols.forEach((symbol, id) => {
      const name = new TextEncoder().encode(symbol);
      this.#bytes.fill(0, staged, staged + SYMBOL_BYTES);
      this.#bytes[staged + SYMBOL_LENGTH] = name.length;
      this.#bytes.set(name, staged + SYMBOL_NAME);
      if (kernels.intern(staged, map.symbolCapacity) !== id) throw new Error(`${symbol}: its id is not ${id}`);
    });
    this.#encoder = new BlockEncoder(data.schema, kernels, memory, map, zstd, firstEffort(compression));
    this.#decoder = new BlockDecoder(data.schema, zstd);
  }

  get blocks(): number {
    return Math.ceil(this.#count / this.#blockRecords);
  }

  /** Records in a block. */
  countOf(block: number): number {
    return Math.min(this.#blockRecords, this.#count - block * this.#blockRecords);
  }

  /** Puts a block's rows where the flusher has them when it seals. */
  placeRows(block: number): void {
    const { rows, rowIndex, drainState } = this.#map;
    const { recordBytes } = this.#schema;
    const from = block * this.#blockRecords * recordBytes;
    const bytes = this.countOf(block) * recordBytes;
    this.#bytes.set(this.#rows.subarray(from, from + bytes), rows);
    for (let row = 0; row < this.countOf(block); row++) {
      this.#view.setUint32(rowIndex + 4 * row, rows + row * recordBytes, true);
    }
    this.#view.setUint32(drainState + DRAIN_ROWS, this.countOf(block), true);
    this.#view.setUint32(drainState + DRAIN_FILL, rows + bytes, true);
    this.#block = block;
  }

  /** The block of the rows that were placed; holds until the next call. */
  encode(): Uint8Array {
    const first = this.#block * this.#blockRecords;
    const { recordBytes } = this.#schema;
    return this.#encoder.encode({
      tapeId: TAPE_ID,
      sequence: BigInt(first),
      epoch: EPOCH,
      laneRanges: [
        {
          epoch: EPOCH,
          lane: 0,
          from: BigInt(first * recordBytes),
          to: BigInt((first + this.countOf(this.#block)) * recordBytes),
        },
      ],
    }).bytes;
  }

  /** Puts a block where a reader reads it to. */
  placeBlock(bytes: Uint8Array, count: number): void {
    this.#decoder.room(bytes.length, count).set(bytes);
  }

  /** The columns of the block that was placed, by field: all, or one alone. */
  decode(only?: number): Values[] {
    const header = this.#decoder.header();
    const columns: Values[] = [];
    for (const field of this.#schema.table) {
      if (only !== undefined && field.index !== only) continue;
      const column = this.#decoder.column(header, field);
      if (!('values' in column)) throw new Error(`${field.name}: no data set has a varying field`);
      columns[field.index] = column.values;
    }
    return columns;
  }

  /** What the header of the block that was placed says of each chunk, and the bytes that are in no chunk. */
  describe(): { chunks: ChunkDescription[]; headerBytes: number } {
    const { chunks, blockBytes } = this.#decoder.header();
    const { columns } = this.#encoder.choice;
    const stored = chunks.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    return {
      chunks: chunks.map(({ field, encoding, compression, encodedBytes, storedBytes }) => ({
        field,
        encoding: encoding === format.ENCODING_PLAN ? columns[field].plan : 'plain',
        compression: compressionName(compression),
        encodedBytes,
        storedBytes,
      })),
      headerBytes: blockBytes - stored,
    };
  }
}

export interface ChunkDescription {
  field: number;
  encoding: string;
  compression: string;
  encodedBytes: number;
  storedBytes: number;
}

const COMPRESSION = 'COMPRESSION_';

/** The name of the format's constant with this number. */
function compressionName(number: number): string {
  const found = Object.entries(format).find(([name, value]) => name.startsWith(COMPRESSION) && value === number);
  return found === undefined ? String(number) : found[0].slice(COMPRESSION.length).toLowerCase();
}

/** The records as a row buffer has them. Their checksums, which only drains look at, are zero. */
function rowsOf({ schema, columns, count }: DataSet): Uint8Array {
  const { recordBytes } = schema;
  const rows = new Uint8Array(count * recordBytes);
  const word = (value: number) => new Uint8Array(new Uint32Array(count).fill(value).buffer);
  scatter(word(recordBytes), 4, rows, RECORD_SIZE, recordBytes);
  scatter(word(RECORD_DATA), 4, rows, RECORD_KIND, recordBytes);
  for (const { index, width, offset } of schema.table) {
    const { buffer, byteOffset, byteLength } = columns[index];
    scatter(new Uint8Array(buffer, byteOffset, byteLength), width, rows, offset, recordBytes);
  }
  return rows;
}
