import { KIND_F32, KIND_F64 } from '../../assembly/layout.js';
import type { Kernels } from '../kernels.js';
import type { PlacedField } from '../schema.js';
import type { ColumnEncoder, Lenders, ValueRange } from './column-encoder.js';
import { OP_DECIMAL, type Plan } from './plan.js';
import { SLACK, type Workspace } from './workspace.js';

/** Values of a sample, in RUNS runs of neighbours, which differences and changes need. */
const SAMPLE = 2048;
const RUNS = 4;
const SAMPLE_BYTES = 8 * SAMPLE + SLACK;
/** Plans that are tried on all of the sample after half of it, which also tells what grows with the values from what does not. */
const FINALISTS = 3;
/** Floats whose decimal places are looked at, and the most places. */
const EXPONENT_SAMPLE = 256;
const MOST_PLACES = 15;

/** A column of a block: `count` values, `at` pointing to them at their natural width. */
export interface BlockColumn {
  field: PlacedField;
  at: number;
  count: number;
}

/** A sample of a column. */
export interface Sampled {
  field: PlacedField;
  /** Pointer to the values as i64, floats as their bits. */
  values: number;
  isFloat: boolean;
  count: number;
  /** Values of the whole column. */
  total: number;
}

export interface Choice {
  /** null: the values are best left as they are. */
  plan: Plan | null;
  /** What the whole column is expected to take. */
  bytes: number;
}

/** Bytes that the sampler works in, beside the workspace. */
export const samplerBytes = (fields: number) => fields * SAMPLE_BYTES;

/** Tells what plans would take, by coding a sample of a column. */
export class Sampler {
  readonly #kernels: Kernels;
  readonly #view: DataView;
  readonly #encoder: ColumnEncoder;
  readonly #space: Workspace;
  readonly #at: number;
  #columns: readonly Sampled[] = [];

  /** `at`: `samplerBytes` of room. */
  constructor(kernels: Kernels, memory: WebAssembly.Memory, encoder: ColumnEncoder, space: Workspace, at: number) {
    this.#kernels = kernels;
    this.#view = new DataView(memory.buffer);
    this.#encoder = encoder;
    this.#space = space;
    this.#at = at;
  }

  /** Samples of these columns; they hold until the next call. */
  take(columns: readonly BlockColumn[]): readonly Sampled[] {
    this.#columns = columns.map((column, i) => this.#sample(column, this.#at + i * SAMPLE_BYTES));
    return this.#columns;
  }

  #sample({ field, at, count: total }: BlockColumn, values: number): Sampled {
    const { kindNumber, width } = field;
    const count = Math.min(SAMPLE, total);
    const runs = total > count ? RUNS : 1;
    const run = count / runs;
    for (let i = 0; i < runs; i++) {
      const from = runs === 1 ? 0 : Math.floor((i * (total - run)) / (runs - 1));
      // A kernel may write past its last value: the next run comes after it.
      this.#kernels.widen(at + from * width, kindNumber, run, values + i * run * 8);
    }
    return { field, values, isFloat: kindNumber === KIND_F64 || kindNumber === KIND_F32, count, total };
  }

  /**
   * The best of some plans for the whole column. Bytes that grow with the values are told from those that don't by coding half of the
   * sample, then all of it.
   */
  best(column: Sampled, plans: readonly Plan[]): Choice {
    const { count, total } = column;
    const half = count >> 1;
    const sized = plans.map((plan) => ({ plan, bytes: this.#size(column, plan, half > 0 ? half : count) }));
    sized.sort((a, b) => a.bytes - b.bytes);
    let best: Choice = { plan: null, bytes: Number.POSITIVE_INFINITY };
    for (const { plan, bytes } of sized.slice(0, FINALISTS)) {
      if (bytes === Number.POSITIVE_INFINITY) break;
      let whole = half > 0 ? this.#size(column, plan, count) : bytes;
      if (total > count) whole += (Math.max(0, whole - bytes) / (count - half)) * (total - count);
      if (whole < best.bytes) best = { plan, bytes: whole };
    }
    return best;
  }

  /** Bytes that a plan takes for the first `count` values of the sample, or Infinity where it doesn't suit them. */
  #size(column: Sampled, plan: Plan, count: number): number {
    const { kindNumber } = column.field;
    const source = plan.op === OP_DECIMAL ? this.#floats(column, count) : column.values;
    const encoder = this.#encoder;
    if (!encoder.encode(plan, source, count, kindNumber, this.#lenders(count))) return Number.POSITIVE_INFINITY;
    let bytes = encoder.plan.length + encoder.packedBytes;
    let at = this.#space.symbols;
    for (const segment of encoder.segments) {
      bytes += this.#kernels.huffmanSize(at, segment, this.#space.huffman);
      at += segment;
    }
    return bytes;
  }

  /** Points to the floats as they lie in records. */
  #floats({ field, values }: Sampled, count: number): number {
    if (field.kindNumber !== KIND_F32) return values;
    const [narrow] = this.#space.vectors;
    this.#kernels.narrow(values, KIND_F32, count, narrow);
    return narrow;
  }

  /** Lends from the samples themselves. */
  #lenders(count: number): Lenders {
    const find = (field: number) => this.#columns.find((column) => column.field.index === field)!;
    const { hash, tableA, vectors } = this.#space;
    const [{ at, firstRows }] = this.#space.lent;
    let known = 0;
    return {
      values: (field) => find(field).values,
      mask: (field) => {
        this.#kernels.keepChanges(find(field).values, count, at, vectors[0]);
        return at;
      },
      range: (field) => this.range(find(field)),
      ids: (field) => {
        known = this.#kernels.dictionary(find(field).values, count, at, tableA, hash);
        if (known < 0) return 0;
        this.#kernels.firstRows(at, count, known, firstRows);
        return at;
      },
      known: () => known,
      firstRows: () => firstRows,
    };
  }

  /** Least and greatest value of the sample. */
  range({ values, count }: Sampled): ValueRange {
    const { tableA } = this.#space;
    this.#kernels.minMax(values, count, 0, tableA);
    return { least: this.#view.getBigInt64(tableA, true), greatest: this.#view.getBigInt64(tableA + 8, true) };
  }

  /** How many different values the sample has, or -1 for more than a dictionary holds. */
  distinct({ values, count }: Sampled): number {
    const { ids, hash, tableA } = this.#space;
    return this.#kernels.dictionary(values, count, ids.at, tableA, hash);
  }

  /** Least number of decimal places that all but some of the floats have, or -1. */
  places(column: Sampled): number {
    const { vectors, symbols } = this.#space;
    const count = Math.min(column.count, EXPONENT_SAMPLE);
    const most = count >> 3;
    const source = this.#floats(column, count);
    const bits = symbols + 4 * most;
    for (let places = 0; places <= MOST_PLACES; places++) {
      const { kindNumber } = column.field;
      const found = this.#kernels.decimals(source, kindNumber, count, 10 ** places, vectors[1], symbols, bits, most);
      if (found >= 0) return places;
    }
    return -1;
  }

  /**
   * Divisors worth a try: the greatest common one of the values less the least, and the largest power of ten by which the remainder seldom
   * changes, which is the resolution of the clock that they come from.
   */
  divisors(column: Sampled): { divisor: bigint; exact: boolean }[] {
    const { values, count, field } = column;
    const { least } = this.range(column);
    const common = BigInt.asUintN(64, this.#kernels.commonDivisor(values, count, least));
    const found: { divisor: bigint; exact: boolean }[] = [];
    if (common > 1n && common < 1n << 52n) found.push({ divisor: common, exact: true });
    if (field.width < 8) return found;
    let largest = 0n;
    for (let divisor = 10n; divisor <= 1_000_000_000n; divisor *= 10n) {
      if (common % divisor === 0n) continue;
      const [quotients, remainders, kept] = this.#space.vectors;
      if (this.#kernels.split(values, count, least, divisor, quotients, remainders) < 0) break;
      const changed = this.#kernels.keepChanges(remainders, count, this.#space.symbols, kept);
      if (changed * 2 > count) break;
      largest = divisor;
    }
    if (largest > 0n) found.push({ divisor: largest, exact: false });
    return found;
  }
}
