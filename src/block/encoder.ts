import { DRAIN_FILL, DRAIN_ROWS, KIND_F32, KIND_F64, KIND_U32, KIND_U64 } from '../../assembly/layout.js';
import { assert, TapeError } from '../errors.js';
import type { MemoryMap } from '../journal/memory-map.js';
import { readSymbol } from '../journal/symbols.js';
import type { Kernels } from '../kernels.js';
import type { Zstd } from '../runtime.js';
import { isVarying, type PlacedField, type Schema } from '../schema.js';
import { ColumnEncoder, type Lenders, type ValueRange } from './column-encoder.js';
import type { Effort } from './effort.js';
import { EntropyEncoder } from './entropy.js';
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
import {
  borrowedField,
  describePlan,
  OP_CHANGES,
  OP_CONSTANT,
  OP_DECIMAL,
  OP_DELTA,
  OP_DICTIONARY,
  OP_PACKED,
  type Plan,
} from './plan.js';
import { Sampler } from './sampler.js';
import { type ColumnPlan, Selector } from './selector.js';
import { SLACK } from './workspace.js';

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

/**
 * Plans are looked for again after so many blocks: soon, as the first block of a session is seldom like the rest, then each time after
 * four times as many, up to the most. Where bytes a record drift, after a quarter of that, but not before the earliest: choosing costs as
 * much as some five blocks.
 */
const FIRST_REVIEW_BLOCKS = 1;
const MOST_REVIEW_BLOCKS = 256;
const EARLIEST_DRIFT_BLOCKS = 16;
/** Drift: a column's bytes a record more or less than after the choice, as a share of them and of the whole record's. */
const DRIFT = 1 / 8;
const DRIFT_FLOOR = 1 / 64;
/** Blocks so many times the size of the one that plans were found for want others. */
const GROWTH = 4;
/** Bytes of a varying field are left alone for so many blocks where zstd didn't take an eighth off. */
const TRY_AGAIN_BLOCKS = 15;
const PAYS_SHIFT = 3;
const LEAST_ZSTD_BYTES = 64;
/** Bytes of a varying field from which on they go through zstd's streaming API. */
const LARGE_BYTES = 4 * 1024 ** 2;

/** Streams at the end of the workspace that are not lent: two of the column encoder, and one of presence. */
const OWN_STREAMS = 3;

const CONSTANT: Plan = { op: OP_CONSTANT };
const PACKED: Plan = { op: OP_PACKED };
const PACKED_DELTA: Plan = { op: OP_DELTA, child: PACKED };

/** Of the column that a field has in blocks: a varying one, of its lengths. */
const kindOf = (field: PlacedField): number => (isVarying(field) ? KIND_U32 : field.kindNumber);

/** Turns the rows in a tape's row buffer into a block in its block buffer. */
export class BlockEncoder {
  #effort: Effort;
  #choiceVersion = 0;
  readonly #schema: Schema;
  readonly #kernels: Kernels;
  readonly #map: MemoryMap;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #zstd: Zstd;
  readonly #columns: ColumnEncoder;
  readonly #entropy: EntropyEncoder;
  readonly #selector: Selector;
  /** Where in #map.block the next chunk goes. */
  #free = 0;
  /** A symbol never changes once it has an id. */
  readonly #symbols: BlockSymbol[] = [];
  /** By field: frames that `prepare` made for the next block; empty where that didn't pay. */
  readonly #largeFrames = new Map<number, Uint8Array>();
  /** By field: blocks for which its bytes are left uncompressed without trying. */
  readonly #unpaying = new Map<number, number>();

  /** By field. */
  #plans = new Map<number, ColumnPlan>();
  /** Bytes a record of each field's chunk after plans were chosen. */
  readonly #bytesThen = new Map<number, number>();
  /** Fields that others borrow from. */
  #lending = new Set<number>();
  /** Fields whose plan did not suit a block since. */
  readonly #unfit = new Set<number>();
  /** Fields in the order of their chunks: those that lend before those that borrow. */
  #order: readonly PlacedField[];
  #reason = 'no block yet';
  #blocksSince = 0;
  #countThen = 0;
  #drifted = false;
  #reviewAfter = FIRST_REVIEW_BLOCKS;
  /** Masks and ids of this block's chunks that others borrow, by field. */
  readonly #masks = new Map<number, number>();
  readonly #ids = new Map<number, { at: number; known: number; firstRows: number }>();
  #count = 0;
  /** Values that optional fields have in this block. */
  readonly #present = new Map<number, number>();
  /** Columns that are gathered, presence bytes among them. */
  readonly #gathered: number;
  readonly #lenders: Lenders = {
    values: (index) => this.#lendValues(index),
    mask: (field) => this.#masks.get(field) ?? 0,
    ids: (field) => this.#ids.get(field)?.at ?? 0,
    range: (index) => this.#rangeOf(this.#fieldOf(index)),
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
    this.#columns = new ColumnEncoder(kernels, memory, map.workspace);
    this.#entropy = new EntropyEncoder(kernels, memory, map.workspace, zstd);
    this.#selector = new Selector(new Sampler(kernels, memory, this.#columns, map.workspace, map.sampler));
    this.#order = schema.table;
    const { columnTable, columns, presence, mostRecords } = map;
    const gathered = schema.table.map(({ offset, width, index }) => ({ offset, width, at: columns[index] }));
    for (let byte = 0; byte < schema.presence.bytes; byte++) {
      const at = presence + byte * (mostRecords + SLACK);
      gathered.push({ offset: schema.presence.offset + byte, width: 1, at });
    }
    gathered.forEach(({ offset, width, at }, i) => {
      this.#view.setUint32(columnTable + 12 * i, offset, true);
      this.#view.setUint32(columnTable + 12 * i + 4, width, true);
      this.#view.setUint32(columnTable + 12 * i + 8, at, true);
    });
    this.#gathered = gathered.length;
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
    this.#choiceVersion++;
    this.#bytesThen.clear();
  }

  /** Another number whenever `choice` has changed. */
  get choiceVersion(): number {
    return this.#choiceVersion;
  }

  /** How columns are coded at present, and why. */
  get choice(): EncoderChoice {
    return {
      effort: this.#effort.name,
      planReason: this.#reason,
      columns: this.#schema.fields.map(({ name }, i) => {
        if (!this.#effort.selects) return { field: name, plan: 'packed' };
        const plan = this.#planOf(i);
        return { field: name, plan: plan === null ? 'plain' : describePlan(plan) };
      }),
    };
  }

  /** The plan of a field; null for plain values. */
  #planOf(field: number): Plan | null {
    const chosen = this.#plans.get(field);
    if (chosen === undefined) return null;
    return this.#unfit.has(field) ? chosen.otherwise : chosen.plan;
  }

  /** The block of all rows in the row buffer, as a view that holds until the next call. */
  encode(origin: BlockOrigin): { header: BlockHeader; bytes: Uint8Array } {
    const { block, drainState, rows } = this.#map;
    const count = this.#view.getUint32(drainState + DRAIN_ROWS, true);
    assert(count > 0, 'a block has records');
    this.#count = count;
    this.#gather(count);
    const symbols = this.#symbolsOf();
    const { fields, varying, optionals } = this.#schema;
    const chunkCount = fields.length + varying.length + optionals.length;
    const headerBytes = blockHeaderBytes(origin.laneRanges.length, chunkCount, symbols);
    this.#free = headerBytes;
    if (this.#effort.selects) this.#choose(count);
    this.#masks.clear();
    this.#ids.clear();
    const chunks: ChunkEntry[] = [];
    for (const field of this.#order) {
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
    this.#watch(chunks, count);
    const checksum = this.#view.getBigUint64(block + headerBytes - 8, true);
    return { header: { ...header, checksum }, bytes: this.#bytes.subarray(block, block + this.#free) };
  }

  // ---- choosing --------------------------------------------------------------------------------------------------------

  /** Looks for plans where there are none yet, or where those there are may no longer be the best. */
  #choose(count: number): void {
    const reason = this.#reasonToChoose(count);
    if (reason === '') return;
    const columns = this.#schema.table.map((field) => ({ ...field, kindNumber: kindOf(field) }));
    this.#plans = this.#selector.select(
      columns.map((field) => ({ field, at: this.#map.columns[field.index], count: this.#countOf(field) })),
    );
    const lender = (index: number) => {
      const { plan } = this.#plans.get(index)!;
      return plan === null ? -1 : borrowedField(plan);
    };
    const borrows = ({ index }: PlacedField) => lender(index) >= 0;
    this.#lending = new Set(Array.from(this.#plans.keys(), lender));
    const { table } = this.#schema;
    this.#order = [...table.filter((field) => !borrows(field)), ...table.filter(borrows)];
    this.#reason = reason;
    this.#choiceVersion++;
    this.#blocksSince = 0;
    this.#countThen = count;
    this.#bytesThen.clear();
    this.#unfit.clear();
    this.#drifted = false;
    if (reason !== 'first block') this.#reviewAfter = Math.min(4 * this.#reviewAfter, MOST_REVIEW_BLOCKS);
  }

  #reasonToChoose(count: number): string {
    if (this.#plans.size === 0) return 'first block';
    if (count >= GROWTH * this.#countThen) return 'larger blocks';
    if (this.#blocksSince >= this.#reviewAfter * this.#effort.reviews) return 'review';
    const earliest = Math.max(EARLIEST_DRIFT_BLOCKS, this.#reviewAfter / 4);
    if (this.#blocksSince < earliest * this.#effort.reviews) return '';
    if (this.#unfit.size > 0) return 'a plan no longer fits';
    return this.#drifted ? 'drift' : '';
  }

  /** Notes where a column's bytes a record move away from what they were when its plan was chosen. */
  #watch(chunks: readonly ChunkEntry[], count: number): void {
    this.#blocksSince++;
    // Bytes tell of the data only among blocks that were made alike.
    if (!this.#effort.selects || count * 2 < this.#countThen) return;
    for (const { field, part, storedBytes } of chunks) {
      if (part !== 0) continue;
      const recordBytes = storedBytes / count;
      const then = this.#bytesThen.get(field);
      if (then === undefined) this.#bytesThen.set(field, recordBytes);
      else if (Math.abs(recordBytes - then) > DRIFT * then + DRIFT_FLOOR * (this.#free / count)) this.#drifted = true;
    }
  }

  // ---- columns -----------------------------------------------------------------------------------------------------------

  /** Rows to columns, of optional fields the values that are present. */
  #gather(count: number): void {
    const { rows, rowIndex, columnTable } = this.#map;
    const { recordBytes, varying } = this.#schema;
    const indexed = varying.length > 0;
    const from = indexed ? rowIndex : rows;
    this.#kernels.gatherColumns(from, recordBytes, indexed ? 1 : 0, count, columnTable, this.#gathered);
    for (const field of this.#schema.optionals) {
      const at = this.#map.columns[field.index];
      const kept = this.#kernels.keepPresent(at, field.width, this.#presenceMask(field), count, at);
      this.#present.set(field.index, kept);
    }
  }

  /** Values of the field in this block. */
  #countOf({ index, optional }: PlacedField): number {
    return optional ? this.#present.get(index)! : this.#count;
  }

  #symbolsOf(): BlockSymbol[] {
    const { columns, seenSymbols, symbolCapacity, workspace } = this.#map;
    const [found] = workspace.vectors;
    const ids = new Set<number>();
    for (const field of this.#schema.table) {
      if (field.kind !== 'symbol') continue;
      const count = this.#countOf(field);
      const distinct = this.#kernels.distinct(columns[field.index], count, seenSymbols, symbolCapacity, found);
      if (distinct < 0) {
        throw new TapeError('CORRUPT', `a record holds an unknown symbol in ${field.name}`, { field: field.name });
      }
      for (let i = 0; i < distinct; i++) ids.add(this.#view.getUint32(found + 4 * i, true));
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

  /** Points to the mask of the rows that have a value of an optional field. */
  #presenceMask({ presenceBit }: PlacedField): number {
    const { presence, mostRecords, workspace } = this.#map;
    const mask = workspace.streams[workspace.streams.length - OWN_STREAMS];
    const bytes = presence + (presenceBit >> 3) * (mostRecords + SLACK);
    this.#kernels.presenceMask(bytes, this.#count, presenceBit & 7, mask);
    return mask;
  }

  /** Points to the first values of the column as i64 (floats: their bits), which may be at `out`. */
  #widened(field: PlacedField, out: number, count = this.#countOf(field)): number {
    const column = this.#map.columns[field.index];
    if (field.width === 8) return column;
    this.#kernels.widen(column, kindOf(field), count, out);
    return out;
  }

  #lendValues(index: number): number {
    return this.#widened(this.#fieldOf(index), this.#map.workspace.vectors[1]);
  }

  #fieldOf(index: number): PlacedField {
    return this.#schema.table.find((candidate) => candidate.index === index)!;
  }

  /** Least and greatest of a column that has values, as i64. */
  #rangeOf(field: PlacedField): ValueRange {
    const { columns, workspace } = this.#map;
    const at = workspace.tableA;
    this.#kernels.rangeOf(columns[field.index], kindOf(field), this.#countOf(field), at);
    return { least: this.#view.getBigInt64(at, true), greatest: this.#view.getBigInt64(at + 8, true) };
  }

  /** The chunk of a fixed-width field, or of the lengths of a varying one. */
  #values(field: PlacedField): ChunkEntry {
    const { columns, workspace } = this.#map;
    const count = this.#countOf(field);
    const column = columns[field.index];
    const rawBytes = count * field.width;
    const kind = kindOf(field);
    // What others borrow has to be there; of another constant column one value is enough.
    const isConstant =
      count > 0 && !this.#lending.has(field.index) && this.#kernels.isConstant(column, field.width, count) === 1;
    const wide = this.#widened(field, workspace.vectors[0], isConstant ? 1 : count);
    const range = count === 0 ? null : this.#rangeOf(field);
    const isFloat = kind === KIND_F64 || kind === KIND_F32;
    const hasRange = !isFloat && field.kind !== 'symbol' && !isVarying(field);
    const shown = hasRange && range !== null ? this.#shownRange(field, range, count) : null;
    const plan = range === null ? null : this.#code(field, wide, count, range, isConstant);
    if (plan !== null) {
      const entry = this.#closePlan(field, rawBytes, shown);
      if (entry !== null) {
        this.#keep(field, plan);
        return entry;
      }
    }
    this.#kernels.move(this.#map.block + this.#free, column, rawBytes);
    return this.#close(field, 0, rawBytes, shown);
  }

  /** As the header has it: of a u64 field as u64. */
  #shownRange({ kindNumber, index }: PlacedField, range: ValueRange, count: number): ValueRange {
    if (kindNumber !== KIND_U64 || range.least >= 0n) return range;
    const { columns, workspace } = this.#map;
    this.#kernels.minMax(columns[index], count, 1, workspace.tableA);
    return {
      least: this.#view.getBigInt64(workspace.tableA, true),
      greatest: this.#view.getBigInt64(workspace.tableA + 8, true),
    };
  }

  /** Codes the column by the best plan known that suits it; null where it is best left as it is. */
  #code(field: PlacedField, wide: number, count: number, range: ValueRange, isConstant: boolean): Plan | null {
    const encode = (plan: Plan) => {
      // Decimals are looked for among the floats themselves.
      return plan.op === OP_DECIMAL
        ? this.#columns.encode(plan, this.#map.columns[field.index], count, kindOf(field), this.#lenders)
        : this.#columns.encode(plan, wide, count, kindOf(field), this.#lenders, range);
    };
    if (isConstant) {
      encode(CONSTANT);
      return CONSTANT;
    }
    if (!this.#effort.selects) {
      const [, differences] = this.#map.workspace.vectors;
      this.#kernels.differences(wide, count, differences);
      const packed = this.#kernels.packedSize(wide, count);
      const plan = packed <= this.#kernels.packedSize(differences, count) + 9 ? PACKED : PACKED_DELTA;
      encode(plan);
      return plan;
    }
    for (;;) {
      const plan = this.#planOf(field.index);
      if (plan === null || encode(plan)) return plan;
      assert(!this.#unfit.has(field.index), 'the plan for a block that no other suits does suit it');
      this.#unfit.add(field.index);
      this.#choiceVersion++;
    }
  }

  /** Keeps what other chunks of the block borrow of the one just made. */
  #keep(field: PlacedField, plan: Plan): void {
    const { workspace } = this.#map;
    const kept = this.#masks.size + this.#ids.size;
    if (!this.#lending.has(field.index) || kept >= workspace.streams.length - OWN_STREAMS) return;
    const at = workspace.streams[kept];
    if (plan.op === OP_CHANGES) {
      this.#kernels.move(at, workspace.symbols, (this.#count + 7) >> 3);
      this.#masks.set(field.index, at);
    } else if (plan.op === OP_DICTIONARY) {
      const { ids, known, firstRows } = this.#columns;
      this.#kernels.move(at, ids, this.#count);
      this.#kernels.move(workspace.firstRows[kept], firstRows, 4 * known);
      this.#ids.set(field.index, { at, known, firstRows: workspace.firstRows[kept] });
    }
  }

  /** Puts the column that was coded last at the free end and enters it; null where its values are shorter as they are. */
  #closePlan(field: PlacedField, rawBytes: number, range: ChunkEntry['range']): ChunkEntry | null {
    const { block, workspace } = this.#map;
    const { plan, packedBytes, symbolBytes, segments } = this.#columns;
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
    const mask = this.#presenceMask(field);
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
