import { KIND_DECIMAL, KIND_I64, KIND_TIMESTAMP, KIND_U64 } from '../../assembly/layout.js';
import { isVarying, type PlacedField } from '../schema.js';
import {
  ALONE,
  BY_CHANGES,
  DICTIONARY,
  decimalPlans,
  groupPlans,
  joinedPlan,
  maskPlans,
  PLANES,
  referencePlans,
  splitPlans,
  suitsAny,
} from './candidates.js';
import { ANY_PLAN, borrowedField, OP_CHANGES, OP_CHANGES_OF, OP_DICTIONARY, OP_SAME_IDS, type Plan } from './plan.js';
import type { BlockColumn, Choice, Sampled, Sampler } from './sampler.js';

/** Columns that each column is tried against. */
const MOST_LENDERS = 4;
/** A plan that borrows ties two columns together: it has to take off this much. */
const BORROWING_PAYS = 0.97;
/** Values of columns that may go together, and how many columns are tried. */
const MOST_JOINED = 64;
const MOST_JOINED_COLUMNS = 8;
/** Bytes of a column that has the ids of another: its values. */
const OWN_VALUES_BYTES = 48;
/** A column of so few bytes is as good as free. */
const FEW_BYTES = 32;

/** What to do with a column. */
export interface ColumnPlan {
  /** null: the values are best left as they are. */
  plan: Plan | null;
  /** For a block whose values the plan doesn't suit. */
  otherwise: Plan;
}

const isInteger64 = (kind: number) => kind === KIND_TIMESTAMP || kind === KIND_I64 || kind === KIND_U64;

/** Whether differences of two columns may be small: of times and ids, or of decimals of one scale. */
const areAlike = (a: PlacedField, b: PlacedField) =>
  a.kindNumber === KIND_DECIMAL
    ? b.kindNumber === KIND_DECIMAL && a.scale === b.scale
    : isInteger64(a.kindNumber) && isInteger64(b.kindNumber);

/** Lengths and optional values neither lend nor borrow: they may be fewer than the rows. */
const mayTie = (field: PlacedField) => !field.optional && !isVarying(field);

function borrowsMask(plan: Plan | null, field: number): boolean {
  if (plan === null) return false;
  if (plan.op === OP_CHANGES_OF) return plan.field === field;
  return 'child' in plan && borrowsMask(plan.child, field);
}

/**
 * Finds a plan for each column of a block: first what is best for each alone, then what columns gain by borrowing from each other, then
 * which of few values go together.
 */
export class Selector {
  readonly #sampler: Sampler;
  #columns: readonly Sampled[] = [];
  /** What is best for each column alone, and what is chosen so far. */
  #alones = new Map<number, Choice>();
  #choices = new Map<number, Choice>();
  /** The best of the plans that suit any values. */
  readonly #otherwise = new Map<number, Plan>();

  constructor(sampler: Sampler) {
    this.#sampler = sampler;
  }

  /** Plans by field for these columns of a block. */
  select(columns: readonly BlockColumn[]): Map<number, ColumnPlan> {
    this.#columns = this.#sampler.take(columns);
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

  #choiceOf({ field }: Sampled): Choice {
    return this.#choices.get(field.index)!;
  }

  #choose({ field }: Sampled, choice: Choice): void {
    this.#choices.set(field.index, choice);
  }

  #alone(column: Sampled): Choice {
    const { field, count, total } = column;
    if (count === 0) return { plan: null, bytes: 0 };
    const { least, greatest } = this.#sampler.range(column);
    if (least === greatest) return { plan: ANY_PLAN, bytes: 0 };
    const plans = [...ALONE];
    if (column.isFloat) {
      const places = this.#sampler.places(column);
      if (places >= 0) plans.push(...decimalPlans(places));
    } else {
      for (const { divisor, exact } of this.#sampler.divisors(column)) plans.push(...splitPlans(divisor, exact));
    }
    if (column.isFloat || field.width === 8) plans.push(PLANES);
    const best = this.#sampler.best(column, plans);
    const isSure = best.plan !== null && suitsAny(best.plan);
    this.#otherwise.set(field.index, (isSure ? best : this.#sampler.best(column, plans.filter(suitsAny))).plan!);
    const plainBytes = total * field.width;
    return best.bytes < plainBytes ? best : { plan: null, bytes: plainBytes };
  }

  // ---- borrowing ------------------------------------------------------------------------------------------------------

  get #time(): Sampled {
    return this.#columns.find(({ field }) => field.kindNumber === KIND_TIMESTAMP)!;
  }

  /** Has the timestamp coded by its changes where that costs little, so that what changes with it can borrow the mask. */
  #offerMask(): void {
    const own = this.#choiceOf(this.#time);
    if (own.plan === null || own.plan.op === OP_CHANGES || own.bytes < FEW_BYTES) return;
    const offered = this.#sampler.best(this.#time, BY_CHANGES);
    if (offered.bytes <= own.bytes / BORROWING_PAYS) this.#choose(this.#time, offered);
  }

  #withdrawMask(): void {
    const { index } = this.#time.field;
    const isTaken = Array.from(this.#choices.values()).some(({ plan }) => borrowsMask(plan, index));
    if (!isTaken) this.#choose(this.#time, this.#alones.get(index)!);
  }

  /** Tries whether columns gain more by the ids of a symbol than the symbol loses by a dictionary. */
  #groupBySymbol(): void {
    const symbol = this.#columns.find(({ field }) => field.kind === 'symbol' && mayTie(field));
    if (symbol === undefined) return;
    const { plan } = this.#choiceOf(symbol);
    if (plan === null || plan.op === OP_DICTIONARY || borrowedField(plan) >= 0) return;
    const grouped = this.#sampler.best(symbol, [DICTIONARY]);
    if (grouped.plan === null) return;
    const before = this.#choices;
    const sum = (choices: Map<number, Choice>) =>
      Array.from(choices.values()).reduce((all, { bytes }) => all + bytes, 0);
    this.#choices = new Map(this.#alones).set(symbol.field.index, grouped);
    this.#borrow();
    if (sum(this.#choices) > sum(before) * BORROWING_PAYS) this.#choices = before;
  }

  /** Lets columns borrow from columns that stand alone, where that pays. */
  #borrow(): void {
    const lending = new Set<number>();
    for (const column of this.#columns) {
      const { field } = column;
      const own = this.#choiceOf(column);
      if (!mayTie(field) || lending.has(field.index) || own.bytes < FEW_BYTES) continue;
      // Every scan of a time range reads the timestamp: it stands alone.
      if (field.kindNumber === KIND_TIMESTAMP) continue;
      const best = this.#sampler.best(column, this.#borrowingPlans(column, own));
      if (best.plan === null || best.bytes >= own.bytes * BORROWING_PAYS) continue;
      this.#choose(column, best);
      lending.add(borrowedField(best.plan));
    }
  }

  #borrowingPlans(column: Sampled, own: Choice): Plan[] {
    const { field } = column;
    const lenders = this.#columns.filter((other) => {
      const { plan, bytes } = this.#choiceOf(other);
      return other !== column && mayTie(other.field) && plan !== null && borrowedField(plan) < 0 && bytes >= FEW_BYTES;
    });
    const plans: Plan[] = [];
    const alike = lenders.filter((other) => areAlike(field, other.field));
    for (const other of alike.slice(0, MOST_LENDERS)) plans.push(...referencePlans(other.field.index));
    const masked = lenders.filter((other) => this.#choiceOf(other).plan!.op === OP_CHANGES);
    for (const other of masked.slice(0, MOST_LENDERS)) plans.push(...maskPlans(other.field.index));
    if (field.width === 8 && !column.isFloat) {
      const symbol = lenders.find(
        (other) => other.field.kind === 'symbol' && this.#choiceOf(other).plan!.op === OP_DICTIONARY,
      );
      if (symbol !== undefined) plans.push(...groupPlans(symbol.field.index, own.plan));
    }
    return plans;
  }

  // ---- joining --------------------------------------------------------------------------------------------------------

  /** Gives columns of few values one id for all of them, where they go together. */
  #joinIds(): void {
    const lending = new Set(this.#columns.map((column) => borrowedField(this.#choiceOf(column).plan ?? ANY_PLAN)));
    // A column that goes with others may look best alone in another way than by a dictionary. Floats have plans of their own.
    const small = this.#columns.filter((column) => {
      const { plan, bytes } = this.#choiceOf(column);
      const isFree = plan !== null && borrowedField(plan) < 0 && !lending.has(column.field.index);
      if (!isFree || !mayTie(column.field) || column.isFloat || bytes < FEW_BYTES) return false;
      const distinct = this.#sampler.distinct(column);
      return distinct > 1 && distinct <= MOST_JOINED;
    });
    let left = small.slice(0, MOST_JOINED_COLUMNS);
    for (;;) {
      const joined = this.#join(left);
      if (joined.length === 0) return;
      left = left.filter((column) => !joined.includes(column));
    }
  }

  /** Joins the columns that gain most by it, if any do: a pair, and what more goes with it. Answers them. */
  #join(columns: readonly Sampled[]): readonly Sampled[] {
    let group: readonly Sampled[] = [];
    let gained = 0;
    let bytes = 0;
    for (;;) {
      const before = gained;
      for (const candidate of largerGroups(columns, group)) {
        const [leader, ...others] = candidate;
        const together = this.#sampler.best(leader, [joinedPlan(others.map(({ field }) => field.index))]).bytes;
        const apart = candidate.reduce((sum, column) => sum + this.#choiceOf(column).bytes, 0);
        const gain = apart - together - OWN_VALUES_BYTES * others.length;
        if (gain <= gained) continue;
        group = candidate;
        gained = gain;
        bytes = together;
      }
      if (gained === before) break;
    }
    if (group.length === 0) return group;
    const [leader, ...others] = group;
    this.#choose(leader, { plan: joinedPlan(others.map(({ field }) => field.index)), bytes });
    const plan: Plan = { op: OP_SAME_IDS, field: leader.field.index };
    for (const column of others) this.#choose(column, { plan, bytes: OWN_VALUES_BYTES });
    return group;
  }
}

/** All pairs, or a group with one more of the columns. */
function largerGroups(columns: readonly Sampled[], group: readonly Sampled[]): (readonly Sampled[])[] {
  if (group.length > 0) return columns.filter((column) => !group.includes(column)).map((column) => [...group, column]);
  return columns.flatMap((leader, i) => columns.slice(i + 1).map((other) => [leader, other]));
}
