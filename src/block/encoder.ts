import { DRAIN_FILL, DRAIN_ROWS, KIND_F32, KIND_F64, KIND_SYMBOL, KIND_U64 } from '../../assembly/layout.js';
import { assert } from '../errors.js';
import type { MemoryMap } from '../journal/memory-map.js';
import { readSymbol } from '../journal/symbols.js';
import type { Kernels } from '../kernels.js';
import type { Zstd } from '../runtime.js';
import { isVarying, type PlacedField, type Schema } from '../schema.js';
import { BlockColumns, kindOf } from './block-columns.js';
import { ColumnEncoder, type Lenders, type ValueRange } from './column-encoder.js';
import type { Effort } from './effort.js';
import { EntropyEncoder, LEAST_ZSTD_BYTES, PAYS_SHIFT } from './entropy.js';
import {
  align8,
  type BlockHeader,
  type BlockSymbol,
  blockHeaderBytes,
  type ChunkEntry,
  COMPRESSION_NONE,
  COMPRESSION_ZSTD,
  ENCODING_PLAIN,
  ENCODING_PLAN,
  encodeBlockHeader,
  type LaneRange,
} from './header.js';
import { OP_CHANGES, OP_CONSTANT, OP_DECIMAL, OP_DELTA, OP_DICTIONARY, OP_PACKED, type Plan } from './plan.js';
import { PlanKeeper } from './plan-keeper.js';
import { type BlockColumn, Sampler } from './sampler.js';
import { Selector } from './selector.js';
import type { IdColumn } from './workspace.js';

/** What the encoder is told of the block that it makes. */
export interface BlockOrigin {
  tapeId: Uint8Array;
  sequence: bigint;
  epoch: number;
  laneRanges: LaneRange[];
}

/** How a column is coded at present. */
export interface ColumnChoice {
  field: string;
  /** Its steps, as `reference 0 > changes > delta > tokens`; `plain` for the values as they are. */
  plan: string;
}

/** What the encoder works with at present, and why. */
export interface EncoderChoice {
  effort: Effort['name'];
  /** Why plans were last looked for: `no block yet`, `first block`, `larger blocks`, `review`, `drift`, `a plan no longer fits`. */
  planReason: string;
  columns: ColumnChoice[];
}

/** Bytes of a varying field are left alone for so many blocks where zstd didn't take an eighth off; so long a packed plan is kept. */
const TRY_AGAIN_BLOCKS = 15;
/** Bytes of a varying field from which on they go through zstd's streaming API. */
const LARGE_BYTES = 4 * 1024 ** 2;

const CONSTANT: Plan = { op: OP_CONSTANT };
const PACKED: Plan = { op: OP_PACKED };
const PACKED_DELTA: Plan = { op: OP_DELTA, child: PACKED };

/** Turns the rows in a tape's row buffer into a block in its block buffer. */
export class BlockEncoder {
  #effort: Effort;
  #effortVersion = 0;
  readonly #schema: Schema;
  readonly #kernels: Kernels;
  readonly #map: MemoryMap;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #zstd: Zstd;
  readonly #columns: BlockColumns;
  readonly #plans: PlanKeeper;
  readonly #coder: ColumnEncoder;
  readonly #entropy: EntropyEncoder;
  /** Where in #map.block the next chunk goes. */
  #free = 0;
  /** A symbol never changes once it has an id. */
  readonly #symbols: BlockSymbol[] = [];
  /** By field: frames that `prepare` made for the next block; empty where that didn't pay. */
  readonly #largeFrames = new Map<number, Uint8Array>();
  /** By field: blocks for which its bytes are left uncompressed without trying. */
  readonly #unpaying = new Map<number, number>();
  /** By field: how it is packed without selection, and for how many more blocks. */
  readonly #packed = new Map<number, { plan: Plan; blocks: number }>();
  /** Masks and ids of this block's chunks that others borrow, by field. */
  readonly #masks = new Map<number, number>();
  readonly #ids = new Map<number, IdColumn & { known: number }>();
  readonly #lenders: Lenders = {
    values: (index) => this.#columns.widened(this.#fieldOf(index), this.#map.workspace.vectors[1]),
    range: (index) => this.#columns.rangeOf(this.#fieldOf(index)),
    mask: (field) => this.#masks.get(field) ?? 0,
    ids: (field) => this.#ids.get(field)?.at ?? 0,
    known: (field) => this.#ids.get(field)?.known ?? 0,
    firstRows: (field) => this.#ids.get(field)?.firstRows ?? 0,
  };

  constructor(
    schema: Schema,
    kernels: Kernels,
    memory: WebAssembly.Memory,
    map: MemoryMap,
    zstd: Zstd,
    effort: Effort,
  ) {
    this.#schema = schema;
    this.#kernels = kernels;
    this.#map = map;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#zstd = zstd;
    this.#effort = effort;
    this.#columns = new BlockColumns(schema, kernels, memory, map);
    this.#coder = new ColumnEncoder(kernels, memory, map.workspace);
    this.#entropy = new EntropyEncoder(kernels, memory, map.workspace, zstd);
    const sampler = new Sampler(kernels, memory, this.#coder, map.workspace, map.sampler);
    this.#plans = new PlanKeeper(new Selector(sampler), schema.table);
    schema.varying.forEach(({ offset }, i) => {
      this.#view.setUint32(map.lengthOffsets + 4 * i, offset, true);
    });
  }

  get effort(): Effort {
    return this.#effort;
  }

  /** May change from block to block. */
  set effort(effort: Effort) {
    if (effort === this.#effort) return;
    this.#effort = effort;
    this.#effortVersion++;
    this.#plans.forgetBytes();
  }

  /** Another number whenever `choice` has changed. */
  get choiceVersion(): number {
    return this.#effortVersion + this.#plans.version;
  }

  /** How columns are coded at present, and why. */
  get choice(): EncoderChoice {
    return {
      effort: this.#effort.name,
      planReason: this.#plans.reason,
      columns: this.#schema.fields.map(({ name }, i) => ({
        field: name,
        plan: this.#effort.selects ? this.#plans.describe(i) : 'packed',
      })),
    };
  }

  #fieldOf(index: number): PlacedField {
    return this.#schema.table.find((field) => field.index === index)!;
  }

  /** The block of all rows in the row buffer, as a view that holds until the next call. */
  encode(origin: BlockOrigin): { header: BlockHeader; bytes: Uint8Array } {
    const { block, drainState, rows } = this.#map;
    const count = this.#columns.gather();
    const symbols = this.#symbolsOf();
    const { fields, varying, optionals } = this.#schema;
    const chunkCount = fields.length + varying.length + optionals.length;
    const headerBytes = blockHeaderBytes(origin.laneRanges.length, chunkCount, symbols);
    this.#free = headerBytes;
    if (this.#effort.selects) this.#plans.review(() => this.#sampled(), count, this.#effort.reviews);
    this.#masks.clear();
    this.#ids.clear();
    const chunks: ChunkEntry[] = [];
    for (const field of this.#plans.order) {
      chunks.push(this.#values(field));
      const which = varying.indexOf(field);
      if (which >= 0) chunks.push(this.#varying(field, which, count));
      if (field.optional) chunks.push(this.#presence(field, count));
    }
    const times = chunks.find(({ field }) => field === this.#schema.table[0].index)!.range;
    assert(times !== null, 'the timestamp has a range');
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
    this.#largeFrames.clear();
    if (this.#effort.selects) this.#plans.watch(chunks, count, this.#free);
    const checksum = this.#view.getBigUint64(block + headerBytes - 8, true);
    return { header: { ...header, checksum }, bytes: this.#bytes.subarray(block, block + this.#free) };
  }

  /** What plans are found by. */
  #sampled(): BlockColumn[] {
    return this.#schema.table.map((field) => ({
      field: { ...field, kindNumber: kindOf(field) },
      at: this.#columns.at(field),
      count: this.#columns.countOf(field),
    }));
  }

  #symbolsOf(): BlockSymbol[] {
    return Array.from(this.#columns.symbolIds(), (id) => {
      const known = this.#symbols[id];
      if (known !== undefined) return known;
      const bytes = readSymbol(this.#bytes, id);
      const symbol = { id, name: new TextDecoder().decode(bytes), bytes };
      this.#symbols[id] = symbol;
      return symbol;
    });
  }

  /** The chunk of a fixed-width field, or of the lengths of a varying one. */
  #values(field: PlacedField): ChunkEntry {
    const { block, workspace } = this.#map;
    const count = this.#columns.countOf(field);
    const column = this.#columns.at(field);
    const rawBytes = count * field.width;
    const range = count === 0 ? null : this.#columns.rangeOf(field);
    const shown = range === null ? null : this.#shownRange(field, range);
    // What others borrow has to be there.
    const isConstant = range !== null && range.least === range.greatest && !this.#plans.lends(field);
    // Of a constant column one value is enough.
    const wide = this.#columns.widened(field, workspace.vectors[0], isConstant ? 1 : count);
    const plan = range === null ? null : this.#code(field, wide, range, isConstant);
    if (plan !== null) {
      const entry = this.#closePlan(field, rawBytes, shown);
      if (entry !== null) {
        this.#keep(field, plan, count);
        return entry;
      }
    }
    this.#kernels.move(block + this.#free, column, rawBytes);
    return this.#close(field, 0, rawBytes, shown);
  }

  /** As the header has it: null for kinds that have no order, of a u64 field as u64. */
  #shownRange(field: PlacedField, range: ValueRange): ValueRange | null {
    const kind = field.kindNumber;
    if (kind === KIND_F64 || kind === KIND_F32 || kind === KIND_SYMBOL || isVarying(field)) return null;
    return kind === KIND_U64 && range.least < 0n ? this.#columns.unsignedRangeOf(field) : range;
  }

  /** Codes the column by the best plan known that suits it; null where it is best left as it is. */
  #code(field: PlacedField, wide: number, range: ValueRange, isConstant: boolean): Plan | null {
    const count = this.#columns.countOf(field);
    const encode = (plan: Plan) =>
      // Decimals are looked for among the floats themselves.
      plan.op === OP_DECIMAL
        ? this.#coder.encode(plan, this.#columns.at(field), count, kindOf(field), this.#lenders)
        : this.#coder.encode(plan, wide, count, kindOf(field), this.#lenders, range);
    if (isConstant) {
      encode(CONSTANT);
      return CONSTANT;
    }
    if (!this.#effort.selects) {
      const plan = this.#packedPlan(field, wide, count);
      encode(plan);
      return plan;
    }
    for (;;) {
      const plan = this.#plans.planOf(field.index);
      if (plan === null || encode(plan)) return plan;
      assert(this.#plans.misfit(field), 'the plan for a block that no other suits does suit it');
    }
  }

  /** Whether values or their differences are packed: kept for some blocks, as finding it costs as much as doing it. */
  #packedPlan({ index }: PlacedField, wide: number, count: number): Plan {
    const known = this.#packed.get(index);
    if (known !== undefined && known.blocks > 0) {
      known.blocks--;
      return known.plan;
    }
    const [, differences] = this.#map.workspace.vectors;
    this.#kernels.differences(wide, count, differences);
    const packed = this.#kernels.packedSize(wide, count);
    const plan = packed <= this.#kernels.packedSize(differences, count) + 9 ? PACKED : PACKED_DELTA;
    this.#packed.set(index, { plan, blocks: TRY_AGAIN_BLOCKS });
    return plan;
  }

  /** Keeps what other chunks of the block borrow of the one just made. */
  #keep(field: PlacedField, plan: Plan, count: number): void {
    const { workspace } = this.#map;
    const kept = this.#masks.size + this.#ids.size;
    if (!this.#plans.lends(field) || kept >= workspace.lent.length) return;
    const lent = workspace.lent[kept];
    if (plan.op === OP_CHANGES) {
      this.#kernels.move(lent.at, workspace.symbols, (count + 7) >> 3);
      this.#masks.set(field.index, lent.at);
    } else if (plan.op === OP_DICTIONARY) {
      const { ids, known, firstRows } = this.#coder;
      this.#kernels.move(lent.at, ids, count);
      this.#kernels.move(lent.firstRows, firstRows, 4 * known);
      this.#ids.set(field.index, { ...lent, known });
    }
  }

  /** Puts the column that was coded last at the free end and enters it; null where its values are shorter as they are. */
  #closePlan(field: PlacedField, rawBytes: number, range: ChunkEntry['range']): ChunkEntry | null {
    const { block, workspace } = this.#map;
    const { plan, packedBytes, symbolBytes, segments } = this.#coder;
    const coded = this.#entropy.encode(segments, this.#effort.entropy);
    const openBytes = 2 + plan.length + packedBytes;
    const storedBytes = openBytes + coded.bytes;
    if (storedBytes >= rawBytes) return null;
    const at = block + this.#free;
    this.#view.setUint16(at, plan.length, true);
    this.#bytes.set(plan, at + 2);
    this.#kernels.move(at + 2 + plan.length, workspace.packed, packedBytes);
    this.#kernels.move(at + openBytes, coded.at, coded.bytes);
    return this.#enter(field, 0, range, {
      encoding: ENCODING_PLAN,
      compression: coded.compression,
      storedBytes,
      openBytes,
      encodedBytes: openBytes + symbolBytes,
    });
  }

  #varying(field: PlacedField, which: number, count: number): ChunkEntry {
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
    return this.#close(field, 1, bytes, null);
  }

  /** The chunk that says which values of an optional field there are. */
  #presence(field: PlacedField, count: number): ChunkEntry {
    const { block, workspace } = this.#map;
    const maskBytes = (count + 7) >> 3;
    const mask = this.#columns.presenceMask(field);
    this.#kernels.move(workspace.symbols, mask, maskBytes);
    const coded = this.#entropy.encode([maskBytes], this.#effort.entropy);
    this.#kernels.move(block + this.#free, coded.at, coded.bytes);
    return this.#enter(field, 2, null, {
      encoding: ENCODING_PLAIN,
      compression: coded.compression,
      storedBytes: coded.bytes,
      openBytes: 0,
      encodedBytes: maskBytes,
    });
  }

  /** Enters the `encodedBytes` plain bytes at the free end; those of a varying field compressed where that pays. */
  #close(field: PlacedField, part: number, encodedBytes: number, range: ChunkEntry['range']): ChunkEntry {
    const at = this.#map.block + this.#free;
    let storedBytes = encodedBytes;
    let compression = COMPRESSION_NONE;
    const frame = part === 1 ? this.#compressed(field, at, encodedBytes) : -1;
    if (frame >= 0) {
      storedBytes = frame;
      compression = COMPRESSION_ZSTD;
    }
    return this.#enter(field, part, range, {
      encoding: ENCODING_PLAIN,
      compression,
      storedBytes,
      openBytes: 0,
      encodedBytes,
    });
  }

  /** Puts the frame of a varying field's bytes in their place, where that pays; answers its length or -1. */
  #compressed(field: PlacedField, at: number, bytes: number): number {
    const level = this.#effort.bytesZstd;
    if (level === 0 || bytes < LEAST_ZSTD_BYTES) return -1;
    const large = this.#largeFrames.get(field.index);
    if (large !== undefined) {
      this.#bytes.set(large, at);
      return large.length > 0 ? large.length : -1;
    }
    const wait = this.#unpaying.get(field.index) ?? 0;
    if (wait > 0) {
      this.#unpaying.set(field.index, wait - 1);
      return -1;
    }
    const content = this.#bytes.subarray(at, at + bytes);
    const frame = this.#zstd.compressInto(content, level, content.subarray(0, bytes - (bytes >> PAYS_SHIFT)));
    if (frame < 0) this.#unpaying.set(field.index, TRY_AGAIN_BLOCKS);
    return frame;
  }

  /** Whether `prepare` has to be called before the next `encode`. */
  get needsPreparing(): boolean {
    const { drainState, rows } = this.#map;
    const count = this.#view.getUint32(drainState + DRAIN_ROWS, true);
    const varyingBytes = this.#view.getUint32(drainState + DRAIN_FILL, true) - rows - count * this.#schema.recordBytes;
    return varyingBytes >= LARGE_BYTES && this.#effort.bytesZstd > 0;
  }

  /** Compresses large texts and bytes of the rows ahead of `encode`: in steps, and off this thread where the runtime can. */
  async prepare(): Promise<void> {
    const { block, blockEnd, drainState, lengthOffsets, rowIndex } = this.#map;
    const count = this.#view.getUint32(drainState + DRAIN_ROWS, true);
    const { recordBytes, varying } = this.#schema;
    for (const [which, field] of varying.entries()) {
      // The block buffer is free until `encode`.
      const bytes = this.#kernels.gatherVarying(rowIndex, count, recordBytes, lengthOffsets, which, block, blockEnd);
      if (bytes < LARGE_BYTES) continue;
      const out = new Uint8Array(bytes - (bytes >> PAYS_SHIFT));
      const content = this.#bytes.subarray(block, block + bytes);
      const length = await this.#zstd.compressStream(content, this.#effort.bytesZstd, out);
      this.#largeFrames.set(field.index, out.subarray(0, Math.max(0, length)));
    }
  }

  #enter(
    field: PlacedField,
    part: number,
    range: ChunkEntry['range'],
    sizes: Pick<ChunkEntry, 'encoding' | 'compression' | 'storedBytes' | 'openBytes' | 'encodedBytes'>,
  ): ChunkEntry {
    const { block, blockEnd } = this.#map;
    const at = block + this.#free;
    const end = align8(this.#free + sizes.storedBytes);
    assert(block + end <= blockEnd, 'a block fits the block buffer');
    this.#bytes.fill(0, at + sizes.storedBytes, block + end);
    const entry: ChunkEntry = {
      field: field.index,
      part,
      kind: field.kindNumber,
      range,
      offset: this.#free,
      ...sizes,
      checksum: BigInt.asUintN(64, this.#kernels.xxh64(at, sizes.storedBytes, 0n)),
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
