import {
  KIND_DECIMAL,
  KIND_F32,
  KIND_F64,
  KIND_I8,
  KIND_I16,
  KIND_I32,
  KIND_I64,
  KIND_SYMBOL,
  KIND_TIMESTAMP,
  KIND_U8,
  KIND_U16,
  KIND_U32,
  KIND_U64,
  WINDOW_ALIGN,
} from '../../assembly/layout.js';
import { instantiateKernels, type Kernels, sharedMemory } from '../kernels.js';
import type { Zstd } from '../runtime.js';
import { isVarying, type PlacedField, type Schema } from '../schema.js';
import {
  type BlockHeader,
  type ChunkEntry,
  COMPRESSION_NONE,
  COMPRESSION_ZSTD,
  decodeBlockHeader,
  ENCODING_DELTA,
  ENCODING_PACKED,
  ENCODING_RAW,
  MAX_BLOCK_BYTES,
  peekHeaderBytes,
} from './header.js';

/** Values of a fixed-width field; symbols as ids. */
export type Values =
  | BigInt64Array
  | BigUint64Array
  | Float64Array
  | Float32Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

/**
 * A decoded column: values, or the lengths of a varying field's values and their bytes one after another. `present`: of an optional
 * field, 1 for each row that has a value and 0 for the others, whose values mean nothing; null of another.
 */
export type DecodedColumn = ({ values: Values } | { lengths: Uint32Array; bytes: Uint8Array }) & {
  present: Uint8Array | null;
};

/** Why a block can't be had from these bytes; a reader goes on to another copy. */
export class DamagedBlock extends Error {}

const ARRAYS: Record<number, { width: number; make: (buffer: ArrayBuffer) => Values }> = {
  [KIND_TIMESTAMP]: { width: 8, make: (buffer) => new BigInt64Array(buffer) },
  [KIND_DECIMAL]: { width: 8, make: (buffer) => new Float64Array(buffer) },
  [KIND_I64]: { width: 8, make: (buffer) => new BigInt64Array(buffer) },
  [KIND_U64]: { width: 8, make: (buffer) => new BigUint64Array(buffer) },
  [KIND_F64]: { width: 8, make: (buffer) => new Float64Array(buffer) },
  [KIND_F32]: { width: 4, make: (buffer) => new Float32Array(buffer) },
  [KIND_SYMBOL]: { width: 4, make: (buffer) => new Uint32Array(buffer) },
  [KIND_U32]: { width: 4, make: (buffer) => new Uint32Array(buffer) },
  [KIND_I32]: { width: 4, make: (buffer) => new Int32Array(buffer) },
  [KIND_I16]: { width: 2, make: (buffer) => new Int16Array(buffer) },
  [KIND_I8]: { width: 1, make: (buffer) => new Int8Array(buffer) },
  [KIND_U16]: { width: 2, make: (buffer) => new Uint16Array(buffer) },
  [KIND_U8]: { width: 1, make: (buffer) => new Uint8Array(buffer) },
};

/** Kernels may write a vector past the last value. */
const SLACK = 64;
const SCRATCH = 2 * WINDOW_ALIGN;

/** Decodes blocks, one at a time, in a memory of its own that grows with the largest. Trusts no length before it is checked. */
export class BlockDecoder {
  readonly #schema: Schema;
  readonly #zstd: Zstd;
  #memory!: { kernels: Kernels; bytes: Uint8Array };
  /** Records that the scratch columns have room for, and where the block lies behind them. */
  #count = 0;
  #block = 0;
  #blockBytes = 0;

  constructor(schema: Schema, zstd: Zstd) {
    this.#schema = schema;
    this.#zstd = zstd;
  }

  /** Room to read a block of `blockBytes` and `count` records into; it holds until the next call. */
  room(blockBytes: number, count: number): Uint8Array {
    this.#count = count;
    this.#block = SCRATCH + 3 * this.#columnBytes();
    this.#blockBytes = blockBytes;
    const needed = this.#block + blockBytes + SLACK;
    if (this.#memory === undefined || this.#memory.bytes.length < needed) {
      const memory = sharedMemory(Math.max(needed, 4 * 1024 ** 2));
      this.#memory = { kernels: instantiateKernels(memory), bytes: new Uint8Array(memory.buffer) };
    }
    return this.#memory.bytes.subarray(this.#block, this.#block + blockBytes);
  }

  #columnBytes(): number {
    return Math.ceil((8 * this.#count + SLACK) / 64) * 64 + 64;
  }

  /**
   * The header of the block in the room, of the length and count that the room was made for and of this schema.
   * @throws DamagedBlock
   */
  header(): BlockHeader {
    const block = this.#memory.bytes.subarray(this.#block, this.#block + this.#blockBytes);
    const header = decodeBlockHeader(block.slice(0, peekHeaderBytes(block)));
    if (typeof header === 'string') throw new DamagedBlock(header);
    if (header.blockBytes !== this.#blockBytes || header.count !== this.#count) {
      throw new DamagedBlock('another block than the one looked for');
    }
    const { fingerprint, fields, varying, optionals } = this.#schema;
    if (header.fingerprint !== fingerprint) throw new DamagedBlock('of another schema');
    if (header.chunks.length !== fields.length + varying.length + optionals.length)
      throw new DamagedBlock('it lacks chunks');
    return header;
  }

  /** Checks the checksum of every chunk. @throws DamagedBlock */
  verify(header: BlockHeader): void {
    for (const entry of header.chunks) this.#checkSum(entry);
  }

  /** One column, without the others. @throws DamagedBlock */
  column(header: BlockHeader, field: PlacedField): DecodedColumn {
    const values = this.#values(this.#chunk(header, field, 0), field, header.count);
    const present = field.optional ? this.#present(this.#chunk(header, field, 2), field, header.count) : null;
    if (!isVarying(field)) return { values, present };
    const lengths = values as Uint32Array;
    const entry = this.#chunk(header, field, 1);
    let sum = 0;
    for (const length of lengths) sum += length;
    if (sum !== entry.encodedBytes || sum > MAX_BLOCK_BYTES)
      throw new DamagedBlock(`${field.name}: its lengths don't add up`);
    return { lengths, bytes: this.#plain(entry, field), present };
  }

  #chunk(header: BlockHeader, field: PlacedField, part: number): ChunkEntry {
    const entry = header.chunks.find((chunk) => chunk.field === field.index && chunk.part === part);
    if (entry === undefined || entry.kind !== field.kindNumber) throw new DamagedBlock(`no chunk of ${field.name}`);
    this.#checkSum(entry);
    return entry;
  }

  #checkSum({ field, part, offset, storedBytes, checksum }: ChunkEntry): void {
    // The header was proven to hold only chunks that lie in the block.
    const sum = this.#memory.kernels.xxh64(this.#block + offset, storedBytes, 0n);
    if (BigInt.asUintN(64, sum) !== checksum) throw new DamagedBlock(`the checksum of chunk ${field}.${part} differs`);
  }

  /** The chunk as it was before compression, in an array of its own. */
  #plain({ offset, storedBytes, encodedBytes, compression }: ChunkEntry, { name }: PlacedField): Uint8Array {
    const stored = this.#memory.bytes.slice(this.#block + offset, this.#block + offset + storedBytes);
    if (compression === COMPRESSION_NONE) {
      if (storedBytes !== encodedBytes) throw new DamagedBlock(`${name}: its lengths differ`);
      return stored;
    }
    if (compression !== COMPRESSION_ZSTD) throw new DamagedBlock(`${name}: compression ${compression} is unknown`);
    try {
      return this.#zstd.decompress(stored, encodedBytes);
    } catch (cause) {
      throw new DamagedBlock(`${name}: its zstd frame is damaged`, { cause });
    }
  }

  #values(entry: ChunkEntry, field: PlacedField, count: number): Values {
    const kind = isVarying(field) ? KIND_U32 : field.kindNumber;
    const { width, make } = ARRAYS[kind];
    const rawBytes = count * width;
    // An encoding is chosen only where it is shorter than the plain values.
    if (entry.encodedBytes > rawBytes) throw new DamagedBlock(`${field.name}: longer than ${count} values`);
    const { kernels, bytes } = this.#memory;
    const wide = SCRATCH + this.#columnBytes();
    const narrow = wide + this.#columnBytes();
    const source = this.#place(entry, field);
    let plain = source;
    if (entry.encoding === ENCODING_RAW) {
      if (entry.encodedBytes !== rawBytes) {
        throw new DamagedBlock(`${field.name}: ${entry.encodedBytes} bytes for ${count} values`);
      }
    } else {
      if (entry.encoding !== ENCODING_PACKED && entry.encoding !== ENCODING_DELTA) {
        throw new DamagedBlock(`${field.name}: encoding ${entry.encoding} is unknown`);
      }
      if (kind === KIND_F64 || kind === KIND_F32) throw new DamagedBlock(`${field.name}: floats are never packed`);
      const decode = entry.encoding === ENCODING_PACKED ? kernels.unpack : kernels.deltaDecode;
      if (decode(source, source + entry.encodedBytes, count, wide) !== entry.encodedBytes) {
        throw new DamagedBlock(`${field.name}: its packed values are damaged`);
      }
      if (kernels.narrow(wide, kind, count, narrow) < 0) {
        throw new DamagedBlock(`${field.name}: a value is out of range`);
      }
      plain = narrow;
    }
    if (kind === KIND_DECIMAL) {
      kernels.toDecimals(plain, count, 10 ** field.scale, wide);
      plain = wide;
    }
    return make(bytes.slice(plain, plain + rawBytes).buffer as ArrayBuffer);
  }

  #present(entry: ChunkEntry, field: PlacedField, count: number): Uint8Array {
    const { kernels, bytes } = this.#memory;
    if (entry.encoding !== ENCODING_RAW || entry.encodedBytes !== Math.ceil(count / 8)) {
      throw new DamagedBlock(`${field.name}: it doesn't say for ${count} rows which have a value`);
    }
    const wide = SCRATCH + this.#columnBytes();
    kernels.expandMask(this.#place(entry, field), count, wide);
    return bytes.slice(wide, wide + count);
  }

  /** Where in the memory the chunk lies as it was before compression. */
  #place(entry: ChunkEntry, field: PlacedField): number {
    if (entry.compression === COMPRESSION_NONE && entry.storedBytes === entry.encodedBytes) {
      return this.#block + entry.offset;
    }
    this.#memory.bytes.set(this.#plain(entry, field), SCRATCH);
    return SCRATCH;
  }
}
