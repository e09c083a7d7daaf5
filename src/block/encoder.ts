import { DRAIN_FILL, DRAIN_ROWS, KIND_F32, KIND_F64, KIND_U32, KIND_U64 } from '../../assembly/layout.js';
import { assert, TapeError } from '../errors.js';
import type { MemoryMap } from '../journal/memory-map.js';
import { readSymbol } from '../journal/symbols.js';
import type { Kernels } from '../kernels.js';
import type { Compression } from '../options.js';
import type { Zstd } from '../runtime.js';
import type { PlacedField, Schema } from '../schema.js';
import {
  align8,
  type BlockHeader,
  type BlockSymbol,
  blockHeaderBytes,
  type ChunkEntry,
  COMPRESSION_NONE,
  COMPRESSION_ZSTD,
  ENCODING_DELTA,
  ENCODING_PACKED,
  ENCODING_RAW,
  encodeBlockHeader,
  type LaneRange,
} from './header.js';

/** What the encoder is told of the block that it makes. */
export interface BlockOrigin {
  tapeId: Uint8Array;
  sequence: bigint;
  epoch: number;
  laneRanges: LaneRange[];
}

/** A chunk is kept compressed where that takes off an eighth or more. zstd is most of what a block costs to make. */
const PAYS_SHIFT = 3;
/** Where it didn't, it isn't tried again for so many blocks. */
const TRY_AGAIN_BLOCKS = 15;

/** Turns the rows in a tape's row buffer into a block in its block buffer. */
export class BlockEncoder {
  readonly #schema: Schema;
  readonly #kernels: Kernels;
  readonly #map: MemoryMap;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #zstd: { codec: Zstd; level: number } | null;
  /** Where in #map.block the next chunk goes. */
  #free = 0;
  /** A symbol never changes once it has an id. */
  readonly #symbols: BlockSymbol[] = [];
  /** Blocks for which each chunk, in their order, is left uncompressed without trying. */
  readonly #unpaying: number[] = [];

  constructor(
    schema: Schema,
    kernels: Kernels,
    memory: WebAssembly.Memory,
    map: MemoryMap,
    zstd: Zstd,
    compression: Compression,
  ) {
    this.#schema = schema;
    this.#kernels = kernels;
    this.#map = map;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#zstd = compression === 'off' ? null : { codec: zstd, level: compression.zstd };
    schema.varying.forEach(({ offset }, i) => {
      this.#view.setUint32(map.lengthOffsets + 4 * i, offset, true);
    });
  }

  /** The block of all rows in the row buffer, as a view that holds until the next call. */
  encode(origin: BlockOrigin): { header: BlockHeader; bytes: Uint8Array } {
    const { block, drainState, rows } = this.#map;
    const count = this.#view.getUint32(drainState + DRAIN_ROWS, true);
    assert(count > 0, 'a block has records');
    const symbols = this.#symbolsOf(count);
    const { fields, varying, optionals } = this.#schema;
    const chunkCount = fields.length + varying.length + optionals.length;
    const headerBytes = blockHeaderBytes(origin.laneRanges.length, chunkCount, symbols);
    this.#free = headerBytes;
    const chunks: ChunkEntry[] = [];
    for (const field of this.#schema.table) {
      chunks.push(this.#values(field, count, chunks.length));
      const which = varying.indexOf(field);
      if (which >= 0) chunks.push(this.#varying(field, which, count, chunks.length));
      if (field.optional) chunks.push(this.#presence(field, count, chunks.length));
    }
    const times = chunks[0].range;
    assert(times !== null, 'the timestamp is the first chunk and has a range');
    const header = {
      ...origin,
      fingerprint: this.#schema.fingerprint,
      count,
      leastNs: times.least,
      greatestNs: times.greatest,
      blockBytes: this.#free,
      rowBytes: this.#view.getUint32(drainState + DRAIN_FILL, true) - rows,
      symbolMask: maskOf(symbols),
      chunks,
      symbols,
    };
    const encoded = encodeBlockHeader(header);
    assert(encoded.length === headerBytes, 'a block header is as long as foretold');
    this.#bytes.set(encoded, block);
    const checksum = this.#view.getBigUint64(block + headerBytes - 8, true);
    return { header: { ...header, checksum }, bytes: this.#bytes.subarray(block, block + this.#free) };
  }

  #symbolsOf(count: number): BlockSymbol[] {
    const { columnA, columnB, seenSymbols, symbolCapacity } = this.#map;
    const ids = new Set<number>();
    for (const field of this.#schema.table) {
      if (field.kind !== 'symbol') continue;
      const present = this.#gatherPresent(field, count);
      const found = this.#kernels.distinct(columnA, present, seenSymbols, symbolCapacity, columnB);
      if (found < 0) {
        throw new TapeError('CORRUPT', `a record holds an unknown symbol in ${field.name}`, { field: field.name });
      }
      for (let i = 0; i < found; i++) ids.add(this.#view.getUint32(columnB + 4 * i, true));
    }
    return Array.from(ids, (id) => {
      const known = this.#symbols[id];
      if (known !== undefined) return known;
      const bytes = readSymbol(this.#bytes, id);
      const symbol = { id, name: new TextDecoder().decode(bytes), bytes };
      this.#symbols[id] = symbol;
      return symbol;
    });
  }

  /** The values that are present into #map.columnA; #map.columnB is overwritten. Answers how many. */
  #gatherPresent(field: PlacedField, count: number): number {
    const { columnA, columnB } = this.#map;
    if (!field.optional) {
      this.#gather(field, count, columnA);
      return count;
    }
    this.#mask(field, count, columnB);
    this.#gather(field, count, columnA);
    return this.#kernels.keepPresent(columnA, field.width, columnB, count, columnA);
  }

  /** The mask of an optional field's present values, at `out`; #map.columnA is overwritten. */
  #mask({ presenceBit }: PlacedField, count: number, out: number): void {
    const { columnA } = this.#map;
    const byte = { offset: this.#schema.presence.offset + (presenceBit >> 3), width: 1 };
    this.#gather(byte, count, columnA);
    this.#kernels.presenceMask(columnA, count, presenceBit & 7, out);
  }

  #gather(field: { offset: number; width: number }, count: number, out: number): void {
    const { rows, rowIndex } = this.#map;
    if (this.#schema.varying.length === 0) {
      this.#kernels.gatherStrided(rows, this.#schema.recordBytes, count, field.offset, field.width, out);
    } else {
      this.#kernels.gatherIndexed(rowIndex, count, field.offset, field.width, out);
    }
  }

  /** The chunk of a fixed-width field, or of the lengths of a varying one. */
  #values(field: PlacedField, count: number, chunk: number): ChunkEntry {
    const { block, columnA, columnB } = this.#map;
    const at = block + this.#free;
    const rawBytes = count * field.width;
    const varying = field.kind === 'text' || field.kind === 'bytes';
    const kind = varying ? KIND_U32 : field.kindNumber;
    if (kind === KIND_F64 || kind === KIND_F32) {
      this.#gather(field, count, at);
      return this.#close(chunk, field, 0, ENCODING_RAW, rawBytes, null);
    }
    this.#gather(field, count, columnA);
    this.#kernels.widen(columnA, kind, count, columnB);
    this.#kernels.minMax(columnB, count, kind === KIND_U64 ? 1 : 0, columnA);
    const range =
      // The zeros of absent values are none.
      field.kind === 'symbol' || varying || field.optional
        ? null
        : { least: this.#view.getBigInt64(columnA, true), greatest: this.#view.getBigInt64(columnA + 8, true) };
    const packed = this.#kernels.packedSize(columnB, count);
    const delta = this.#kernels.deltaSize(columnB, count);
    if (Math.min(packed, delta) >= rawBytes) {
      this.#gather(field, count, at);
      return this.#close(chunk, field, 0, ENCODING_RAW, rawBytes, range);
    }
    if (packed <= delta) {
      const bytes = this.#kernels.pack(columnB, count, at);
      return this.#close(chunk, field, 0, ENCODING_PACKED, bytes, range);
    }
    const bytes = this.#kernels.deltaEncode(columnB, count, columnA, at);
    return this.#close(chunk, field, 0, ENCODING_DELTA, bytes, range);
  }

  #varying(field: PlacedField, which: number, count: number, chunk: number): ChunkEntry {
    const { block, blockEnd, lengthOffsets, rowIndex } = this.#map;
    const at = block + this.#free;
    const bytes = this.#kernels.gatherVarying(
      rowIndex,
      count,
      this.#schema.recordBytes,
      lengthOffsets,
      which,
      at,
      blockEnd,
    );
    assert(bytes >= 0, 'the varying bytes of all rows fit the block buffer');
    return this.#close(chunk, field, 1, ENCODING_RAW, bytes, null);
  }

  #presence(field: PlacedField, count: number, chunk: number): ChunkEntry {
    this.#mask(field, count, this.#map.block + this.#free);
    return this.#close(chunk, field, 2, ENCODING_RAW, Math.ceil(count / 8), null);
  }

  /** Compresses the `encodedBytes` at the free end where that pays, and enters them. */
  #close(
    chunk: number,
    field: PlacedField,
    part: number,
    encoding: number,
    encodedBytes: number,
    range: ChunkEntry['range'],
  ): ChunkEntry {
    const { block, blockEnd } = this.#map;
    const at = block + this.#free;
    let storedBytes = encodedBytes;
    let compression = COMPRESSION_NONE;
    if (this.#zstd !== null && encodedBytes >= 64 && (this.#unpaying[chunk] ?? 0) === 0) {
      const frame = this.#zstd.codec.compress(this.#bytes.subarray(at, at + encodedBytes), this.#zstd.level);
      if (frame.length <= encodedBytes - (encodedBytes >> PAYS_SHIFT)) {
        this.#bytes.set(frame, at);
        storedBytes = frame.length;
        compression = COMPRESSION_ZSTD;
      } else this.#unpaying[chunk] = TRY_AGAIN_BLOCKS;
    } else if (this.#unpaying[chunk] > 0) this.#unpaying[chunk]--;
    const end = align8(this.#free + storedBytes);
    assert(block + end <= blockEnd, 'a block fits the block buffer');
    this.#bytes.fill(0, at + storedBytes, block + end);
    const entry: ChunkEntry = {
      field: field.index,
      part,
      kind: field.kindNumber,
      encoding,
      compression,
      range,
      offset: this.#free,
      storedBytes,
      encodedBytes,
      checksum: BigInt.asUintN(64, this.#kernels.xxh64(at, storedBytes, 0n)),
    };
    this.#free = end;
    return entry;
  }
}

function maskOf(symbols: readonly BlockSymbol[]): bigint {
  // Two halves: shifts of bigints for some hundred symbols cost more than a column's encoding.
  const halves = new Uint32Array(2);
  for (const { id } of symbols) halves[(id >> 5) & 1] |= 1 << (id & 31);
  return (BigInt(halves[1]) << 32n) | BigInt(halves[0]);
}
