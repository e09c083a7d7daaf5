import { KIND_DECIMAL, KIND_F32, KIND_F64, KIND_I64, KIND_TIMESTAMP, KIND_U64 } from '../../assembly/layout.js';
import type { Kernels } from '../kernels.js';
import { isVarying, type PlacedField } from '../schema.js';
import type { ColumnEncoder, Lenders } from './column-encoder.js';
import {
  ANY_PLAN,
  borrowedField,
  OP_CHANGES,
  OP_CHANGES_OF,
  OP_CONSTANT,
  OP_DECIMAL,
  OP_DELTA,
  OP_DICTIONARY,
  OP_FRAME,
  OP_GROUP_DELTA,
  OP_PLANES,
  OP_REFERENCE,
  OP_SAME_IDS,
  OP_SPLIT,
  OP_TOKENS,
  type Plan,
} from './plan.js';
import { SLACK, type Workspace } from './workspace.js';

/** Values of a sample, in RUNS runs of neighbours, which differences and changes need. */
export const SAMPLE = 2048;
const RUNS = 4;
/** Columns that each column is tried against. */
const MOST_LENDERS = 4;
/** Plans that are tried on all of the sample after half of it, which also tells what grows with the values from what does not. */
const FINALISTS = 3;
/** A plan that borrows ties two columns together: it has to take off this much. */
const BORROWING_PAYS = 0.97;
/** Values of columns that may go together. */
const MOST_JOINED = 64;
const MOST_JOINED_COLUMNS = 8;

/** Bytes of a column that has the ids of another: its values. */
const OWN_VALUES_BYTES = 48;

/** A column that plans are to be found for: of `field`, `values` pointing to its i64 (floats: their bits) in the workspace. */
interface Sampled {
  field: PlacedField;
  /** Pointer to the sample as i64, floats as their bits. */
  values: number;
  isFloat: boolean;
  /** Values in the sample, and about as many in the block. */
  count: number;
  total: number;
}

interface Choice {
  plan: Plan | null;
  bytes: number;
}

/** What to do with a column. */
export interface ColumnPlan {
  /** null: the values are best left as they are. */
  plan: Plan | null;
  /** For a block whose values the plan doesn't suit. */
  otherwise: Plan | null;
}

const TOKENS: Plan = { op: OP_FRAME, child: { op: OP_TOKENS } };
const DELTA = ANY_PLAN;
const DICTIONARY: Plan = { op: OP_DICTIONARY };
const changes = (child: Plan): Plan => ({ op: OP_CHANGES, child });

/** Plans for integers that need nothing else; the first is there whatever the values. */
const ALONE: readonly Plan[] = [
  DELTA,
  TOKENS,
  DICTIONARY,
  changes(DELTA),
  changes(TOKENS),
  changes(DICTIONARY),
  { op: OP_DELTA, child: DICTIONARY },
  { op: OP_DELTA, child: TOKENS },
  changes({ op: OP_DELTA, child: DICTIONARY }),
];
/** Of quotients, and of differences to another column. */
const HANDED: readonly Plan[] = [
  DELTA,
  TOKENS,
  changes(DELTA),
  changes(TOKENS),
  changes({ op: OP_DELTA, child: DICTIONARY }),
  DICTIONARY,
];
/** Of what a mask keeps. */
const KEPT: readonly Plan[] = [TOKENS, DELTA, DICTIONARY];
/** Of differences within groups. */
const GROUPED: readonly Plan[] = [{ op: OP_TOKENS }, DICTIONARY, changes(DICTIONARY)];
/** Of remainders. */
const REMAINDERS: readonly Plan[] = [changes(DELTA), changes(DICTIONARY), DICTIONARY, TOKENS];

const joinedPlan = (others: readonly Sampled[]): Plan => ({
  op: OP_DICTIONARY,
  with: others.map(({ field }) => field.index),
});

function borrowsMask(plan: Plan, field: number): boolean {
  if (plan.op === OP_CHANGES_OF) return plan.field === field;
  return 'child' in plan && borrowsMask(plan.child, field);
}

/** Lengths and optional values neither lend nor borrow: they may be fewer than the rows. */
const standsAlone = (field: PlacedField) => field.optional || isVarying(field);

/** Whether a plan suits whatever integers come; a dictionary may overflow, a split be too wide, a lender not lend. */
function suitsAny(plan: Plan): boolean {
  if (plan.op === OP_DICTIONARY || plan.op === OP_SPLIT || plan.op === OP_DECIMAL || 'field' in plan) return false;
  return !('child' in plan) || suitsAny(plan.child);
}

/** A column of a block: `count` values, `at` pointing to them at their natural width. */
export interface BlockColumn {
  field: PlacedField;
  at: number;
  count: number;
}

/** Bytes that the sampler works in, beside the workspace. */
export const samplerBytes = (fields: number) => (fields + 3) * (8 * SAMPLE + SLACK) + 64;

/** Finds a plan for each column of a block by coding a sample in the ways that may suit it. */
export class Selector {
  readonly #kernels: Kernels;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #encoder: ColumnEncoder;
  readonly #space: Workspace;
  readonly #at: number;
  #columns: Sampled[] = [];
  /** What is best for each column alone, and what is chosen so far. */
  #alones = new Map<number, Choice>();
  #choices = new Map<number, Choice>();
  /** The best of the plans that suit any values. */
  #otherwise = new Map<number, Plan>();

  /** `at`: `samplerBytes` of room. */
  constructor(kernels: Kernels, memory: WebAssembly.Memory, encoder: ColumnEncoder, space: Workspace, at: number) {
    this.#kernels = kernels;
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#encoder = encoder;
    this.#space = space;
    this.#at = at;
  }

  /** Plans by field for these columns of a block. */
  select(columns: readonly BlockColumn[]): Map<number, ColumnPlan> {
    this.#columns = columns.map((column, i) => this.#sample(column, this.#at + i * (8 * SAMPLE + SLACK)));
    this.#otherwise.clear();
    this.#alones = new Map(this.#columns.map((column) => [column.field.index, this.#alone(column)]));
    this.#choices = new Map(this.#alones);
    this.#offerMask();
    this.#borrow();
    this.#withdrawMask();
    this.#groupBySymbol();
    this.#joinIds();
    return new Map(
      Array.from(this.#choices, ([field, { plan }]) => [
        field,
        { plan, otherwise: this.#otherwise.get(field) ?? ANY_PLAN },
      ]),
    );
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

  /** Bytes that a plan takes for the first `count` rows of the sample, or Infinity where it doesn't suit them. */
  #size(column: Sampled, plan: Plan, count: number): number {
    const { kindNumber } = column.field;
    let source = column.values;
    if (plan.op === OP_DECIMAL && kindNumber === KIND_F32) {
      source = this.#space.vectors[0];
      this.#kernels.narrow(column.values, kindNumber, count, source);
    }
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

  /** The best of some plans for the whole block, by what it takes for half of the sample and for all. */
  #best(column: Sampled, plans: readonly Plan[]): Choice {
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

  #alone(column: Sampled): Choice {
    const { field, values, count, total } = column;
    if (count === 0) return { plan: null, bytes: 0 };
    this.#kernels.minMax(values, count, 0, this.#space.tableA);
    const least = this.#view.getBigInt64(this.#space.tableA, true);
    if (least === this.#view.getBigInt64(this.#space.tableA + 8, true)) return { plan: ANY_PLAN, bytes: 18 };
    const plain: Choice = { plan: null, bytes: total * field.width };
    const plans = [...ALONE];
    if (column.isFloat) {
      const exponent = this.#exponent(column);
      if (exponent >= 0) {
        plans.push(...ALONE.map((child): Plan => ({ op: OP_DECIMAL, exponent, child })));
      }
      plans.push({ op: OP_PLANES });
    } else {
      for (const divisor of this.#divisors(column, least)) {
        const remainder = this.#kernels.commonDivisor(values, count, least) % divisor === 0n ? [TOKENS] : REMAINDERS;
        for (const rest of remainder) {
          plans.push({
            op: OP_SPLIT,
            divisor,
            child: remainder.length === 1 ? DELTA : changes(DELTA),
            remainder: rest,
          });
        }
        plans.push(...HANDED.map((child): Plan => ({ op: OP_SPLIT, divisor, child, remainder: remainder[0] })));
      }
      if (field.width === 8) plans.push({ op: OP_PLANES });
    }
    const best = this.#best(column, plans);
    const sure = !column.isFloat ? plans.filter(suitsAny) : [];
    if (best.plan !== null && suitsAny(best.plan)) this.#otherwise.set(field.index, best.plan);
    else if (sure.length > 0) this.#otherwise.set(field.index, this.#best(column, sure).plan!);
    return best.bytes < plain.bytes ? best : plain;
  }

  /** Least number of decimal places that all but some of the floats have, or -1. */
  #exponent(column: Sampled): number {
    const { vectors, symbols } = this.#space;
    const { kindNumber } = column.field;
    const count = Math.min(column.count, 256);
    const most = count >> 3;
    let source = column.values;
    if (kindNumber === KIND_F32) {
      source = vectors[0];
      this.#kernels.narrow(column.values, kindNumber, count, source);
    }
    for (let exponent = 0; exponent <= 15; exponent++) {
      const found = this.#kernels.decimals(
        source,
        kindNumber,
        count,
        10 ** exponent,
        vectors[1],
        symbols,
        symbols + 4 * most,
        most,
      );
      if (found >= 0) return exponent;
    }
    return -1;
  }

  /** The values' greatest common divisor, and powers of ten by which the remainder seldom changes: a clock's resolution. */
  #divisors(column: Sampled, least: bigint): bigint[] {
    const divisors: bigint[] = [];
    const common = BigInt.asUintN(64, this.#kernels.commonDivisor(column.values, column.count, least));
    if (common > 1n && common < 1n << 52n) divisors.push(common);
    if (column.field.width < 8) return divisors;
    let largest = 0n;
    for (let divisor = 10n; divisor <= 1_000_000_000n; divisor *= 10n) {
      if (common % divisor === 0n) continue;
      const [quotients, remainders, kept] = this.#space.vectors;
      if (this.#kernels.split(column.values, column.count, least, divisor, quotients, remainders) < 0) break;
      const changed = this.#kernels.keepChanges(remainders, column.count, this.#space.symbols, kept);
      if (changed * 2 > column.count) break;
      largest = divisor;
    }
    if (largest > 0n) divisors.push(largest);
    return divisors;
  }

  // ---- borrowing ------------------------------------------------------------------------------------------------------

  /** Lends from the sample itself. */
  #lenders(count: number): Lenders {
    const find = (field: number) => this.#columns.find((column) => column.field.index === field)!;
    const { streams, hash, tableA } = this.#space;
    const kernels = this.#kernels;
    let known = 0;
    return {
      values: (field) => find(field).values,
      mask: (field) => {
        kernels.keepChanges(find(field).values, count, streams[0], this.#space.vectors[0]);
        return streams[0];
      },
      ids: (field) => {
        const { plan } = this.#choices.get(field)!;
        const others = plan?.op === OP_DICTIONARY ? (plan.with ?? []) : [];
        known = kernels.dictionary(find(field).values, count, streams[0], tableA, hash);
        for (const other of others) {
          const more = kernels.dictionary(find(other).values, count, streams[1], tableA, hash);
          if (known < 0 || more < 0) return 0;
          this.#bytes.fill(0, this.#space.pairs, this.#space.pairs + 2 * known * more);
          known = kernels.pairIds(streams[0], streams[1], count, more, this.#space.pairs, streams[0]);
        }
        return known < 0 ? 0 : streams[0];
      },
      known: () => known,
    };
  }

  /** Has the timestamp coded by its changes where that costs little, so that what changes with it can borrow the mask. */
  #offerMask(): void {
    const time = this.#columns.find(({ field }) => field.kindNumber === KIND_TIMESTAMP)!;
    const own = this.#choices.get(time.field.index)!;
    if (own.plan === null || own.plan.op === OP_CHANGES) return;
    const offered = this.#best(
      time,
      ALONE.filter(({ op }) => op === OP_CHANGES),
    );
    if (offered.bytes <= own.bytes / BORROWING_PAYS) this.#choices.set(time.field.index, offered);
  }

  #withdrawMask(): void {
    const time = this.#columns.find(({ field }) => field.kindNumber === KIND_TIMESTAMP)!;
    const { index } = time.field;
    const taken = Array.from(this.#choices.values(), ({ plan }) => plan).some(
      (plan) => plan !== null && borrowsMask(plan, index),
    );
    if (!taken) this.#choices.set(index, this.#alones.get(index)!);
  }

  /** Tries whether columns gain more by the ids of a symbol than the symbol loses by a dictionary. */
  #groupBySymbol(): void {
    const symbol = this.#columns.find(({ field }) => field.kind === 'symbol' && !standsAlone(field));
    if (symbol === undefined) return;
    const choice = this.#choices.get(symbol.field.index)!;
    if (choice.plan === null || choice.plan.op === OP_DICTIONARY || borrowedField(choice.plan) >= 0) return;
    const before = this.#choices;
    const bytesOf = (choices: Map<number, Choice>) =>
      Array.from(choices.values()).reduce((sum, { bytes }) => sum + bytes, 0);
    const grouped = this.#best(symbol, [DICTIONARY]);
    if (grouped.plan === null) return;
    this.#choices = new Map(this.#alones).set(symbol.field.index, grouped);
    this.#borrow();
    if (bytesOf(this.#choices) > bytesOf(before) * BORROWING_PAYS) this.#choices = before;
  }

  /** Lets columns borrow from columns that stand alone, where that pays. */
  #borrow(): void {
    const lending = new Set<number>();
    for (const column of this.#columns) {
      const { field } = column;
      const own = this.#choices.get(field.index)!;
      if (standsAlone(field)) continue;
      // The timestamp is read by every scan of a time range: it stands alone.
      if (lending.has(field.index) || own.bytes < 32 || field.kindNumber === KIND_TIMESTAMP) continue;
      const others = this.#columns.filter((other) => {
        const choice = this.#choices.get(other.field.index)!;
        return (
          other !== column &&
          !standsAlone(other.field) &&
          choice.plan !== null &&
          borrowedField(choice.plan) < 0 &&
          choice.bytes > 32
        );
      });
      const plans: Plan[] = [];
      const integers = (kind: number) => kind === KIND_TIMESTAMP || kind === KIND_I64 || kind === KIND_U64;
      const near = others.filter(({ field: { kindNumber, scale } }) =>
        field.kindNumber === KIND_DECIMAL
          ? kindNumber === KIND_DECIMAL && scale === field.scale
          : integers(field.kindNumber) && integers(kindNumber),
      );
      for (const { field: other } of near.slice(0, MOST_LENDERS)) {
        plans.push(...HANDED.map((child): Plan => ({ op: OP_REFERENCE, field: other.index, child })));
      }
      const masks = others.filter((other) => this.#choices.get(other.field.index)!.plan!.op === OP_CHANGES);
      for (const { field: other } of masks.slice(0, MOST_LENDERS)) {
        plans.push(...KEPT.map((child): Plan => ({ op: OP_CHANGES_OF, field: other.index, child })));
      }
      const groups = others.filter(
        (other) => other.field.kind === 'symbol' && this.#choices.get(other.field.index)!.plan!.op === OP_DICTIONARY,
      );
      if (field.width === 8 && !column.isFloat) {
        for (const { field: other } of groups.slice(0, 1)) {
          const grouped = GROUPED.map((child): Plan => ({ op: OP_GROUP_DELTA, field: other.index, child }));
          plans.push(...grouped);
          const { plan } = own;
          if (plan?.op === OP_SPLIT) {
            plans.push(...grouped.map((child): Plan => ({ ...plan, child })));
          }
        }
      }
      if (plans.length === 0) continue;
      const best = this.#best(column, plans);
      if (best.bytes < own.bytes * BORROWING_PAYS) {
        this.#choices.set(field.index, best);
        lending.add(borrowedField(best.plan!));
      }
    }
  }

  /** Gives columns of few values one id for all of them, where they go together. */
  #joinIds(): void {
    const lending = new Set(
      Array.from(this.#choices.values(), ({ plan }) => (plan === null ? -1 : borrowedField(plan))),
    );
    const free = this.#columns.filter(({ field }) => {
      if (standsAlone(field)) return false;
      const { plan, bytes } = this.#choices.get(field.index)!;
      if (plan?.op === OP_DICTIONARY) return !lending.has(field.index);
      // A column that changes with another's id may look best alone in another way.
      return (
        plan !== null && plan.op !== OP_CONSTANT && bytes > 32 && borrowedField(plan) < 0 && !lending.has(field.index)
      );
    });
    const small = free.filter(({ values, count }) => {
      const { streams, tableA, hash } = this.#space;
      const known = this.#kernels.dictionary(values, count, streams[0], tableA, hash);
      return known > 1 && known <= MOST_JOINED;
    });
    // Floats have plans of their own; the ids of a chunk are those of its integers.
    let left = small.filter(({ isFloat }) => !isFloat).slice(0, MOST_JOINED_COLUMNS);
    for (;;) {
      const joined = this.#join(left);
      if (joined === null) return;
      left = left.filter((column) => !joined.includes(column));
    }
  }

  /** Joins the columns that gain most by it, if any do: a pair, and what more goes with it. */
  #join(columns: readonly Sampled[]): Sampled[] | null {
    let group: Sampled[] = [];
    let gained = 0;
    let bytes = 0;
    for (;;) {
      const base = group;
      const before = gained;
      const candidates: Sampled[][] = [];
      if (base.length > 0) {
        for (const column of columns) if (!base.includes(column)) candidates.push([...base, column]);
      } else {
        columns.forEach((leader, i) => {
          for (const other of columns.slice(i + 1)) candidates.push([leader, other]);
        });
      }
      for (const candidate of candidates) {
        const [leader, ...others] = candidate;
        const together = this.#best(leader, [joinedPlan(others)]).bytes;
        const apart = candidate.reduce((sum, { field }) => sum + this.#choices.get(field.index)!.bytes, 0);
        const gain = apart - together - OWN_VALUES_BYTES * others.length;
        if (gain > gained) {
          group = candidate;
          gained = gain;
          bytes = together;
        }
      }
      if (gained === before) break;
    }
    if (group.length === 0) return null;
    const [leader, ...others] = group;
    this.#choices.set(leader.field.index, { plan: joinedPlan(others), bytes });
    for (const { field } of others) {
      const plan: Plan = { op: OP_SAME_IDS, field: leader.field.index };
      this.#choices.set(field.index, { plan, bytes: OWN_VALUES_BYTES });
    }
    return group;
  }
}
