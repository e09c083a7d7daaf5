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
} from '../../assembly/layout.js';
import type { Zstd } from '../runtime.js';
import { isVarying, type PlacedField, type Schema } from '../schema.js';
import { kindOf } from './block-columns.js';
import { BlockRoom, type Memory, type PlacedBlock, type Windows } from './block-room.js';
import { DamagedBlock } from './damaged.js';
import { decodeSymbols, unzip } from './entropy.js';
import type { BlockFile } from './file-window.js';
import {
  type BlockHeader,
  type ChunkEntry,
  COMPRESSION_NONE,
  COMPRESSION_ZSTD,
  decodeBlockHeader,
  ENCODING_PLAIN,
  ENCODING_PLAN,
  MAX_BLOCK_BYTES,
  peekHeaderBytes,
} from './header.js';
import {
  borrowedBy,
  OP_CHANGES,
  OP_CHANGES_OF,
  OP_DECIMAL,
  OP_DICTIONARY,
  OP_REFERENCE,
  parsePlan,
  type Step,
} from './plan.js';
import { mostSymbols } from './workspace.js';

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

export { DamagedBlock };

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

/** Header bytes that are brought in at first; later what the last block's header had and some. */
const FIRST_HEADER_BYTES = 1024;

/** Of an optional field's values. */
interface Presence {
  mask: number;
  /** How many there are. */
  count: number;
  present: Uint8Array;
}

/**
 * Decodes blocks, one at a time, in a memory of its own that grows with the largest. Trusts no length before it is checked.
 */
export class BlockDecoder {
  readonly #schema: Schema;
  readonly #zstd: Zstd;
  readonly #room: BlockRoom;
  #headerBytes = FIRST_HEADER_BYTES;
  /** Fields whose values others were found to borrow: worth keeping when they are decoded for themselves. */
  readonly #lends = new Set<number>();
  /** What chunks of this block lent so far, by field. */
  readonly #values = new Map<number, number>();
  readonly #streams = new Map<number, number>();

  /** `windows`: null where blocks in files are to be read. */
  constructor(schema: Schema, zstd: Zstd, windows: Windows | null = null) {
    this.#schema = schema;
    this.#zstd = zstd;
    this.#room = new BlockRoom(windows);
  }

  /** Room to read a block of `blockBytes` and `count` records into; it holds until the next call. */
  room(blockBytes: number, count: number): Uint8Array {
    this.#forget();
    return this.#room.take(blockBytes, count);
  }

  /**
   * What `use` makes of a block that lies whole in the file. Mapped through window `which` if it can be, else read; `use` may be called
   * a second time where the first was in vain.
   * @throws DamagedBlock; what `file.readInto` throws
   */
  read<T>(file: BlockFile, placed: PlacedBlock, which: number, use: (header: BlockHeader) => T): T {
    return this.#room.open(file, placed, which, () => {
      this.#forget();
      return use(this.header());
    });
  }

  /** Lets go of the file, or of all files. No block may be in use. */
  release(file: BlockFile | null = null): void {
    this.#room.release(file);
  }

  #forget(): void {
    this.#values.clear();
    this.#streams.clear();
  }

  get #parts(): Memory {
    return this.#room.memory;
  }

  /**
   * Brings in the chunks of these fields together, where `column` alone would each for itself: worth a call before several columns
   * are decoded. @throws DamagedBlock
   */
  prepare(header: BlockHeader, fields: readonly PlacedField[]): void {
    const wanted = new Set(fields.map(({ index }) => index));
    this.#room.bringInChunks(header.chunks.filter(({ field }) => wanted.has(field)));
  }

  /**
   * The header of the block, of the length and count that it was said to have and of this schema.
   * @throws DamagedBlock
   */
  header(): BlockHeader {
    const { bytes } = this.#parts;
    const block = bytes.subarray(this.#room.at, this.#room.at + this.#room.blockBytes);
    const expected = Math.min(this.#headerBytes, block.length);
    this.#room.bringIn(0, expected);
    const headerBytes = Math.min(peekHeaderBytes(block), block.length);
    if (headerBytes > expected) this.#room.bringIn(expected, headerBytes);
    const header = decodeBlockHeader(block.slice(0, headerBytes));
    if (typeof header === 'string') throw new DamagedBlock(header);
    if (header.blockBytes !== this.#room.blockBytes || header.count !== this.#room.count) {
      throw new DamagedBlock('another block than the one looked for');
    }
    const { fingerprint, fields, varying, optionals } = this.#schema;
    if (header.fingerprint !== fingerprint) throw new DamagedBlock('of another schema');
    if (header.chunks.length !== fields.length + varying.length + optionals.length)
      throw new DamagedBlock('it lacks chunks');
    this.#headerBytes = (headerBytes & ~1023) + 1024;
    return header;
  }

  /** Checks the checksum of every chunk. @throws DamagedBlock */
  verify(header: BlockHeader): void {
    this.#room.bringInChunks(header.chunks);
    for (const entry of header.chunks) this.#named(this.#field(entry.field), () => this.#checkSum(entry));
  }

  /** One column, without the others but for one that its chunk may refer to. @throws DamagedBlock */
  column(header: BlockHeader, field: PlacedField): DecodedColumn {
    return this.#named(field, () => {
      const presence = field.optional ? this.#presence(header, field) : null;
      const present = presence?.present ?? null;
      const values = this.#typed(header, field, presence);
      if (!isVarying(field)) return { values, present };
      return { ...this.#varying(header, field, values as Uint32Array), present };
    });
  }

  /** Says which field it is that is damaged. */
  #named<T>({ name }: PlacedField, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (error instanceof DamagedBlock) throw new DamagedBlock(`${name}: ${error.message}`, { cause: error.cause });
      if (!this.#room.isMapped || !(error instanceof WebAssembly.RuntimeError)) throw error;
      throw new DamagedBlock(`${name}: its bytes changed while they were decoded`, { cause: error });
    }
  }

  #varying(header: BlockHeader, field: PlacedField, lengths: Uint32Array): { lengths: Uint32Array; bytes: Uint8Array } {
    const entry = this.#chunk(header, field.index, 1);
    let sum = 0;
    for (const length of lengths) sum += length;
    if (sum !== entry.encodedBytes || sum > MAX_BLOCK_BYTES) throw new DamagedBlock("its lengths don't add up");
    if (entry.encoding !== ENCODING_PLAIN) throw new DamagedBlock(`encoding ${entry.encoding} is unknown`);
    return { lengths, bytes: this.#plain(entry) };
  }

  #chunk(header: BlockHeader, field: number, part: number): ChunkEntry {
    const entry = header.chunks.find((chunk) => chunk.field === field && chunk.part === part);
    if (entry === undefined || entry.kind !== this.#field(field).kindNumber) throw new DamagedBlock('it has no chunk');
    this.#room.bringInChunks([entry]);
    this.#checkSum(entry);
    return entry;
  }

  #field(index: number): PlacedField {
    const field = this.#schema.table.find((candidate) => candidate.index === index);
    if (field === undefined) throw new DamagedBlock(`there is no field ${index}`);
    return field;
  }

  #checkSum({ offset, storedBytes, checksum }: ChunkEntry): void {
    // The header was proven to hold only chunks that lie in the block.
    const sum = this.#parts.kernels.xxh64(this.#room.at + offset, storedBytes, 0n);
    if (BigInt.asUintN(64, sum) !== checksum) throw new DamagedBlock('the checksum of a chunk differs');
  }

  /** The bytes of a plain chunk as they were before compression, in an array of its own. */
  #plain({ offset, storedBytes, encodedBytes, openBytes, compression }: ChunkEntry): Uint8Array {
    const at = this.#room.at + offset;
    const stored = this.#parts.bytes.slice(at, at + storedBytes);
    if (openBytes !== 0) throw new DamagedBlock('plain values are not open');
    if (compression === COMPRESSION_NONE) {
      if (storedBytes !== encodedBytes) throw new DamagedBlock('its lengths differ');
      return stored;
    }
    if (compression !== COMPRESSION_ZSTD) throw new DamagedBlock(`compression ${compression} is unknown`);
    return unzip(this.#zstd, stored, encodedBytes);
  }

  /** Which rows have a value of an optional field: a mask in the workspace, and a byte a row. */
  #presence(header: BlockHeader, field: PlacedField): Presence {
    const { kernels, bytes, space } = this.#parts;
    const entry = this.#chunk(header, field.index, 2);
    const maskBytes = (header.count + 7) >> 3;
    if (entry.encoding !== ENCODING_PLAIN || entry.openBytes !== 0 || entry.encodedBytes !== maskBytes) {
      throw new DamagedBlock(`it doesn't say for ${header.count} rows which have a value`);
    }
    const symbols = this.#symbols(entry, maskBytes);
    const mask = space.presence;
    kernels.move(mask, symbols, maskBytes);
    const count = kernels.expandMask(mask, header.count, space.symbols);
    return { mask, count, present: bytes.slice(space.symbols, space.symbols + header.count) };
  }

  /** The values of the column, or the lengths of a varying one, as users see them. */
  #typed(header: BlockHeader, field: PlacedField, presence: Presence | null): Values {
    const { kernels, bytes, space } = this.#parts;
    const kind = kindOf(field);
    const { width, make } = ARRAYS[kind];
    const count = presence?.count ?? header.count;
    const entry = this.#chunk(header, field.index, 0);
    const narrow = space.vectors[1];
    let at: number;
    let isNarrow = false;
    if (entry.encoding === ENCODING_PLAIN) {
      at = this.#plainAt(entry, count, width);
      isNarrow = true;
    } else {
      at = this.#wide(header, field, entry, count);
    }
    if (presence !== null) {
      const [wide, , spread] = space.vectors;
      if (isNarrow) {
        kernels.widen(at, kind, count, wide);
        at = wide;
        isNarrow = false;
      }
      kernels.spreadPresent(presence.mask, header.count, at, spread);
      at = spread;
      // It may have held values that another column refers to.
      this.#values.clear();
    }
    if (!isNarrow && width < 8) {
      if (kernels.narrow(at, kind, header.count, narrow) < 0) throw new DamagedBlock('a value is out of range');
      at = narrow;
    }
    if (kind === KIND_DECIMAL) {
      kernels.toDecimals(at, header.count, 10 ** field.scale, narrow);
      at = narrow;
    }
    return make(bytes.slice(at, at + header.count * width).buffer as ArrayBuffer);
  }

  /** Where the values of a plain chunk lie. */
  #plainAt(entry: ChunkEntry, count: number, width: number): number {
    const { bytes, space } = this.#parts;
    const { offset, storedBytes, encodedBytes, openBytes, compression } = entry;
    if (encodedBytes !== count * width) throw new DamagedBlock(`${encodedBytes} bytes for ${count} values`);
    if (compression === COMPRESSION_NONE && storedBytes === encodedBytes && openBytes === 0)
      return this.#room.at + offset;
    const [, at] = space.vectors;
    bytes.set(this.#plain(entry), at);
    return at;
  }

  // ---- chunks with a plan ---------------------------------------------------------------------------------------------------

  /** Where the values of a chunk with a plan lie as i64, floats as their bits. */
  #wide(header: BlockHeader, field: PlacedField, entry: ChunkEntry, count: number): number {
    if (count === 0) throw new DamagedBlock('it has a plan for no values');
    const known = this.#values.get(field.index);
    if (known !== undefined) return known;
    const { space } = this.#parts;
    const { plan, packed } = this.#plan(entry);
    const borrowed = this.#borrow(header, field, plan);
    // What borrows lends to none in this block, and must not take the place of what it borrows.
    if (!this.#lends.has(field.index) || borrowed !== 0) {
      this.#follow(plan, packed, entry, count, space.vectors[0], borrowed);
      return space.vectors[0];
    }
    return this.#keepValues(field.index, (out) => this.#follow(plan, packed, entry, count, out, borrowed));
  }

  /** Two columns are kept. */
  #keepValues(field: number, store: (out: number) => void): number {
    const { vectors } = this.#parts.space;
    let out = vectors[2];
    if (this.#values.size === 2) {
      const [[oldest, at]] = this.#values;
      this.#values.delete(oldest);
      out = at;
    } else if (this.#values.size === 1) {
      const [at] = this.#values.values();
      out = at === vectors[2] ? vectors[3] : vectors[2];
    }
    store(out);
    this.#values.set(field, out);
    return out;
  }

  /** The plan of a chunk, and where its packed bytes begin. */
  #plan(entry: ChunkEntry): { plan: Step; packed: number } {
    if (entry.encoding !== ENCODING_PLAN) throw new DamagedBlock(`encoding ${entry.encoding} is unknown`);
    const { bytes } = this.#parts;
    const { offset, storedBytes, openBytes, encodedBytes } = entry;
    if (openBytes < 2 || openBytes > storedBytes || openBytes > encodedBytes)
      throw new DamagedBlock('its lengths differ');
    const at = this.#room.at + offset;
    const planBytes = bytes[at] | (bytes[at + 1] << 8);
    if (2 + planBytes > openBytes) throw new DamagedBlock('its plan is cut');
    const packed = at + 2 + planBytes;
    const plan = parsePlan(bytes.slice(at + 2, packed));
    if (typeof plan === 'string') throw new DamagedBlock(plan);
    return { plan, packed };
  }

  /** Puts the first `needed` symbols of the chunk where they can be read; answers the pointer. */
  #symbols(entry: ChunkEntry, needed: number): number {
    const { kernels, bytes, space } = this.#parts;
    const { offset, storedBytes, openBytes, encodedBytes, compression } = entry;
    const from = this.#room.at + offset + openBytes;
    const end = this.#room.at + offset + storedBytes;
    const plainBytes = encodedBytes - openBytes;
    if (plainBytes > mostSymbols(this.#room.count)) throw new DamagedBlock('it has too many symbols');
    if (needed > plainBytes) throw new DamagedBlock('it lacks symbols');
    if (compression === COMPRESSION_NONE) {
      if (storedBytes !== encodedBytes) throw new DamagedBlock('its lengths differ');
      return from;
    }
    decodeSymbols({ kernels, bytes, space, zstd: this.#zstd }, compression, from, end, plainBytes, needed);
    return space.symbols;
  }

  #follow(plan: Step, packed: number, entry: ChunkEntry, count: number, out: number, borrowed: number): void {
    const { kindNumber } = this.#field(entry.field);
    if (plan.op === OP_DECIMAL && kindNumber !== KIND_F64 && kindNumber !== KIND_F32) {
      throw new DamagedBlock('its plan has decimals of what are no floats');
    }
    const plainBytes = entry.encodedBytes - entry.openBytes;
    const symbols = this.#symbols(entry, plainBytes);
    const packedEnd = this.#room.at + entry.offset + entry.openBytes;
    const chunk = { packed, packedEnd, symbols, symbolsEnd: symbols + plainBytes };
    this.#parts.columns.decode(plan, chunk, count, out, borrowed, kindNumber);
  }

  /** What a plan borrows of another chunk, as a pointer; 0 where it borrows nothing. */
  #borrow(header: BlockHeader, field: PlacedField, plan: Step): number {
    const step = borrowedBy(plan);
    if (step === null) return 0;
    const lender = this.#field(step.field);
    if ([field, lender].some((either) => isVarying(either) || either.optional)) {
      throw new DamagedBlock('lengths and optional values are neither lent nor borrowed');
    }
    const entry = this.#chunk(header, lender.index, 0);
    const isReference = step.op === OP_REFERENCE;
    if (isReference && lender.width !== 8) throw new DamagedBlock('it refers to values that are not of 8 bytes');
    if (isReference && entry.encoding === ENCODING_PLAIN) return this.#plainAt(entry, header.count, lender.width);
    const { plan: lenderPlan } = this.#plan(entry);
    if (borrowedBy(lenderPlan) !== null) throw new DamagedBlock('it borrows of a chunk that borrows');
    if (isReference) {
      this.#lends.add(lender.index);
      return this.#wide(header, lender, entry, header.count);
    }
    if (step.op === OP_CHANGES_OF && lenderPlan.op !== OP_CHANGES) {
      throw new DamagedBlock('it borrows a mask where there is none');
    }
    if (step.op !== OP_CHANGES_OF && lenderPlan.op !== OP_DICTIONARY) {
      throw new DamagedBlock('it borrows ids where there are none');
    }
    const known = this.#streams.get(lender.index);
    if (known !== undefined) return known;
    const { kernels, space } = this.#parts;
    const { at: out } = space.lent[this.#streams.size % space.lent.length];
    for (const [lent, at] of this.#streams) if (at === out) this.#streams.delete(lent);
    const count = header.count;
    if (step.op === OP_CHANGES_OF) {
      const maskBytes = (count + 7) >> 3;
      const mask = this.#symbols(entry, maskBytes);
      kernels.move(out, mask, maskBytes);
    } else {
      const ids = this.#symbols(entry, Math.ceil((count * lenderPlan.width) / 8));
      kernels.unpackIds(ids, lenderPlan.width, count, out);
    }
    this.#streams.set(lender.index, out);
    return out;
  }
}
