import { DICTIONARY_RANGE } from '../../assembly/layout.js';
import { assert } from '../errors.js';
import type { Kernels } from '../kernels.js';
import {
  MAX_PLAN_BYTES,
  OP_CHANGES,
  OP_CHANGES_OF,
  OP_CONSTANT,
  OP_DECIMAL,
  OP_DELTA,
  OP_DICTIONARY,
  OP_FRAME,
  OP_GROUP_DELTA,
  OP_PACKED,
  OP_PLANES,
  OP_REFERENCE,
  OP_SAME_IDS,
  OP_SPLIT,
  OP_TOKENS,
  type Plan,
} from './plan.js';
import type { Workspace } from './workspace.js';

/** What other columns lend to the one being coded, as pointers; 0 where they don't. */
export interface Lenders {
  /** Values of the field, widened to i64. */
  values(field: number): number;
  /** The mask of its changes. */
  mask(field: number): number;
  /** Least and greatest of its values. */
  range(field: number): ValueRange;
  /** Its ids, a byte each, how many there are, and the rows (u32) in which they come first. */
  ids(field: number): number;
  known(field: number): number;
  firstRows(field: number): number;
}

/** As i64, whatever the kind. */
export interface ValueRange {
  least: bigint;
  greatest: bigint;
}

/** No more exceptions than this share of the values, or decimals are not worth it. */
const MOST_EXCEPTIONS = 1 / 8;

function bytesOf(value: bigint): number {
  let bytes = 0;
  for (let rest = value; rest > 0n; rest >>= 8n) bytes++;
  return bytes;
}

/** Follows a plan: values to packed bytes and symbols, which lie in the workspace until the next call. */
export class ColumnEncoder {
  /** Where symbols of one statistical kind end, each with codes of its own. */
  readonly segments: number[] = [];
  /** Of a plan that begins with a dictionary: what `Lenders` gives of it. */
  ids = 0;
  known = 0;
  firstRows = 0;
  readonly #kernels: Kernels;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #space: Workspace;
  readonly #plan = new DataView(new ArrayBuffer(MAX_PLAN_BYTES));
  #planEnd = 0;
  #packedEnd = 0;
  #symbolsEnd = 0;
  #taken = 0;
  #lenders!: Lenders;
  #kind = 0;
  /** The values as they were given, if their range is known. */
  #source = 0;
  #sourceRange: ValueRange | null = null;

  constructor(kernels: Kernels, memory: WebAssembly.Memory, space: Workspace) {
    this.#kernels = kernels;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#space = space;
  }

  get plan(): Uint8Array {
    return new Uint8Array(this.#plan.buffer, 0, this.#planEnd);
  }

  get packedBytes(): number {
    return this.#packedEnd - this.#space.packed;
  }

  get symbolBytes(): number {
    return this.#symbolsEnd - this.#space.symbols;
  }

  /**
   * Codes `count` (1 or more) values at `source`: i64, or floats of `kind` where the plan begins with `decimal`. False where the plan doesn't
   * suit them: too many for a dictionary, changes where there should be none, a lender that doesn't lend.
   */
  encode(
    plan: Plan,
    source: number,
    count: number,
    kind: number,
    lenders: Lenders,
    range: ValueRange | null = null,
  ): boolean {
    this.#source = range === null ? 0 : source;
    this.#sourceRange = range;
    this.#lenders = lenders;
    this.#kind = kind;
    this.#planEnd = 0;
    this.#packedEnd = this.#space.packed;
    this.#symbolsEnd = this.#space.symbols;
    this.#taken = 0;
    this.segments.length = 0;
    this.ids = 0;
    return this.#step(plan, source, count, false);
  }

  #take(): number {
    assert(this.#taken < this.#space.stepVectors.length, 'a plan is not deeper than its workspace');
    return this.#space.stepVectors[this.#taken++];
  }

  #op(op: number): void {
    this.#plan.setUint8(this.#planEnd++, op);
  }

  #u8(value: number): void {
    this.#plan.setUint8(this.#planEnd++, value);
  }

  #u16(value: number): void {
    this.#plan.setUint16(this.#planEnd, value, true);
    this.#planEnd += 2;
  }

  #i64(value: bigint): void {
    this.#plan.setBigInt64(this.#planEnd, value, true);
    this.#planEnd += 8;
  }

  #endSegment(bytes: number): void {
    this.#symbolsEnd += bytes;
    assert(this.#symbolsEnd <= this.#space.symbolsEnd, 'symbols fit their room');
    this.segments.push(bytes);
  }

  #endPacked(bytes: number): void {
    this.#packedEnd += bytes;
    assert(this.#packedEnd <= this.#space.packedEnd, 'packed bytes fit their room');
  }

  /** `own`: the values at `source` may be written over. */
  #step(plan: Plan, source: number, count: number, own: boolean): boolean {
    const kernels = this.#kernels;
    const space = this.#space;
    switch (plan.op) {
      case OP_CONSTANT:
        this.#op(OP_CONSTANT);
        this.#i64(this.#view.getBigInt64(source, true));
        return true;
      case OP_PACKED:
        this.#op(OP_PACKED);
        this.#endPacked(kernels.pack(source, count, this.#packedEnd));
        return true;
      case OP_TOKENS:
        this.#op(OP_TOKENS);
        this.#endPacked(kernels.tokenize(source, count, this.#symbolsEnd, this.#packedEnd));
        this.#endSegment(count);
        return true;
      case OP_PLANES: {
        const { least, greatest } = this.#range(source, count);
        if (least === greatest) return this.#step({ op: OP_CONSTANT }, source, count, own);
        const width = least < 0n ? 8 : bytesOf(greatest);
        this.#op(OP_PLANES);
        this.#u8(width);
        kernels.toPlanes(source, width, count, this.#symbolsEnd);
        for (let plane = 0; plane < width; plane++) this.#endSegment(count);
        return true;
      }
      case OP_DICTIONARY:
        return this.#dictionary(plan.with ?? [], source, count);
      case OP_SAME_IDS: {
        const ids = this.#lenders.ids(plan.field);
        if (ids === 0) return false;
        this.#op(OP_SAME_IDS);
        this.#u16(plan.field);
        this.#table(this.#lenders.firstRows(plan.field), this.#lenders.known(plan.field), source);
        // Equal ids must come with equal values.
        return kernels.idsSuit(ids, count, space.tableB, source) === 1;
      }
      case OP_FRAME: {
        const { least, greatest } = this.#range(source, count);
        if (least === greatest) return this.#step({ op: OP_CONSTANT }, source, count, own);
        this.#op(OP_FRAME);
        this.#i64(least);
        const out = own ? source : this.#take();
        kernels.addConstant(source, count, BigInt.asIntN(64, -least), out);
        return this.#step(plan.child, out, count, true);
      }
      case OP_DELTA: {
        this.#op(OP_DELTA);
        const flag = this.#planEnd;
        this.#u8(0);
        this.#i64(this.#view.getBigInt64(source, true));
        const out = own ? source : this.#take();
        const negative = kernels.differences(source, count, out);
        this.#zigzag(plan.child, negative, out, count, flag);
        return this.#step(plan.child, out, count, true);
      }
      case OP_GROUP_DELTA: {
        const ids = this.#lenders.ids(plan.field);
        if (ids === 0) return false;
        this.#op(OP_GROUP_DELTA);
        this.#u16(plan.field);
        const flag = this.#planEnd;
        this.#u8(0);
        const out = own ? source : this.#take();
        const negative = kernels.groupDifferences(source, ids, count, space.tableA, out);
        this.#zigzag(plan.child, negative, out, count, flag);
        return this.#step(plan.child, out, count, true);
      }
      case OP_CHANGES: {
        this.#op(OP_CHANGES);
        const out = own ? source : this.#take();
        const kept = kernels.keepChanges(source, count, this.#symbolsEnd, out);
        this.#endSegment((count + 7) >> 3);
        return this.#step(plan.child, out, kept, true);
      }
      case OP_CHANGES_OF: {
        const mask = this.#lenders.mask(plan.field);
        if (mask === 0) return false;
        this.#op(OP_CHANGES_OF);
        this.#u16(plan.field);
        const out = own ? source : this.#take();
        const kept = kernels.keepWhere(source, count, mask, out);
        return kept > 0 && this.#step(plan.child, out, kept, true);
      }
      case OP_REFERENCE: {
        const values = this.#lenders.values(plan.field);
        if (values === 0) return false;
        this.#op(OP_REFERENCE);
        this.#u16(plan.field);
        const out = own ? source : this.#take();
        kernels.subtract(source, values, count, out);
        return this.#step(plan.child, out, count, true);
      }
      case OP_SPLIT: {
        const { least } = this.#range(source, count);
        const quotients = own ? source : this.#take();
        const remainders = this.#take();
        const split = kernels.split(source, count, least, plan.divisor, quotients, remainders);
        if (split < 0) return false;
        this.#op(OP_SPLIT);
        this.#i64(least);
        this.#i64(plan.divisor);
        if (!this.#step(plan.child, quotients, count, true)) return false;
        return this.#step(split === 0 ? { op: OP_CONSTANT } : plan.remainder, remainders, count, true);
      }
      case OP_DECIMAL: {
        const out = this.#take();
        const most = Math.floor(count * MOST_EXCEPTIONS);
        // Bits go behind all rows that there may be, and are moved up once their number is known.
        const rows = this.#packedEnd;
        const bits = rows + 4 * most;
        const divisor = 10 ** plan.exponent;
        const exceptions = kernels.decimals(source, this.#kind, count, divisor, out, rows, bits, most);
        if (exceptions < 0) return false;
        this.#bytes.copyWithin(rows + 4 * exceptions, bits, bits + 8 * exceptions);
        this.#endPacked(12 * exceptions);
        this.#op(OP_DECIMAL);
        this.#u8(plan.exponent);
        this.#plan.setUint32(this.#planEnd, exceptions, true);
        this.#planEnd += 4;
        return this.#step(plan.child, out, count, true);
      }
    }
  }

  /** Tokens want small numbers without a sign; whatever else may come next does not mind. */
  #zigzag(child: Plan, negative: number, values: number, count: number, flag: number): void {
    if (negative === 0 || child.op !== OP_TOKENS) return;
    this.#kernels.zigzag(values, count);
    this.#plan.setUint8(flag, 1);
  }

  #range(source: number, count: number): ValueRange {
    if (source === this.#source) return this.#sourceRange!;
    const { tableA } = this.#space;
    this.#kernels.minMax(source, count, 0, tableA);
    return { least: this.#view.getBigInt64(tableA, true), greatest: this.#view.getBigInt64(tableA + 8, true) };
  }

  #dictionary(others: readonly number[], source: number, count: number): boolean {
    const kernels = this.#kernels;
    const { pairs, otherIds } = this.#space;
    const { at: ids, firstRows } = this.#space.ids;
    let known = this.#ids(source, count, this.#range(source, count), ids);
    if (known < 0) return false;
    for (const field of others) {
      const values = this.#lenders.values(field);
      if (values === 0) return false;
      const otherKnown = this.#ids(values, count, this.#lenders.range(field), otherIds);
      if (otherKnown < 0) return false;
      this.#bytes.fill(0, pairs, pairs + 2 * known * otherKnown);
      known = kernels.pairIds(ids, otherIds, count, otherKnown, pairs, ids);
      if (known < 0) return false;
    }
    kernels.firstRows(ids, count, known, firstRows);
    const width = known <= 2 ? 1 : known <= 4 ? 2 : known <= 16 ? 4 : 8;
    this.#op(OP_DICTIONARY);
    this.#u8(width);
    this.#table(firstRows, known, source);
    kernels.packIds(ids, count, width, this.#symbolsEnd);
    this.#endSegment(Math.ceil((count * width) / 8));
    this.ids = ids;
    this.known = known;
    this.firstRows = firstRows;
    return true;
  }

  /** Ids of a column, a byte each; answers how many there are, or -1. */
  #ids(source: number, count: number, { least, greatest }: ValueRange, ids: number): number {
    const { tableB, hash } = this.#space;
    // 6 against 21 µs for 10,000 values.
    return greatest - least < BigInt(DICTIONARY_RANGE)
      ? this.#kernels.rangeDictionary(source, count, least, ids, tableB, hash)
      : this.#kernels.dictionary(source, count, ids, tableB, hash);
  }

  /** The number of ids, and the values that they stand for in this column. */
  #table(rows: number, known: number, source: number): void {
    const { tableB } = this.#space;
    this.#u16(known);
    this.#kernels.valuesInRows(source, rows, known, tableB);
    this.#endPacked(this.#kernels.pack(tableB, known, this.#packedEnd));
  }
}
