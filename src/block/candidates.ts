import {
  ANY_PLAN,
  OP_CHANGES,
  OP_CHANGES_OF,
  OP_DECIMAL,
  OP_DELTA,
  OP_DICTIONARY,
  OP_FRAME,
  OP_GROUP_DELTA,
  OP_PLANES,
  OP_REFERENCE,
  OP_SPLIT,
  OP_TOKENS,
  type Plan,
} from './plan.js';

// Plans that are worth trying, by what is known of a column. What wins on ticks: differences or a frame of reference as tokens, masks
// of changes, dictionaries. What never does, and is left out: differences of differences, XOR of float bits.

const TOKENS: Plan = { op: OP_FRAME, child: { op: OP_TOKENS } };
const DELTA = ANY_PLAN;
export const DICTIONARY: Plan = { op: OP_DICTIONARY };
const changes = (child: Plan): Plan => ({ op: OP_CHANGES, child });
const DICTIONARY_OF_DELTAS: Plan = { op: OP_DELTA, child: DICTIONARY };

/** For integers that need nothing else. */
export const ALONE: readonly Plan[] = [
  DELTA,
  TOKENS,
  DICTIONARY,
  changes(DELTA),
  changes(TOKENS),
  changes(DICTIONARY),
  DICTIONARY_OF_DELTAS,
  { op: OP_DELTA, child: TOKENS },
  changes(DICTIONARY_OF_DELTAS),
];
export const BY_CHANGES = ALONE.filter(({ op }) => op === OP_CHANGES);

/** For quotients, and for differences to another column. */
const HANDED_ON: readonly Plan[] = [
  DELTA,
  TOKENS,
  changes(DELTA),
  changes(TOKENS),
  changes(DICTIONARY_OF_DELTAS),
  DICTIONARY,
];
const REMAINDERS: readonly Plan[] = [changes(DELTA), changes(DICTIONARY), DICTIONARY, TOKENS];
/** For what a mask keeps. */
const KEPT: readonly Plan[] = [TOKENS, DELTA, DICTIONARY];
/** For differences within groups. */
const GROUPED: readonly Plan[] = [{ op: OP_TOKENS }, DICTIONARY, changes(DICTIONARY)];

export const PLANES: Plan = { op: OP_PLANES };

/** For floats of so many decimal places. */
export const decimalPlans = (exponent: number): Plan[] => ALONE.map((child) => ({ op: OP_DECIMAL, exponent, child }));

/** `exact`: all values less the least are multiples of the divisor. */
export function splitPlans(divisor: bigint, exact: boolean): Plan[] {
  // Where all remainders are zero, the encoder leaves them out.
  const [first, ...others] = exact ? [TOKENS] : REMAINDERS;
  const plans = HANDED_ON.map((child): Plan => ({ op: OP_SPLIT, divisor, child, remainder: first }));
  for (const remainder of others) plans.push({ op: OP_SPLIT, divisor, child: changes(DELTA), remainder });
  return plans;
}

export const referencePlans = (field: number): Plan[] => HANDED_ON.map((child) => ({ op: OP_REFERENCE, field, child }));

export const maskPlans = (field: number): Plan[] => KEPT.map((child) => ({ op: OP_CHANGES_OF, field, child }));

/** `own`: the plan of the column alone; where that splits, quotients may be grouped. */
export function groupPlans(field: number, own: Plan | null): Plan[] {
  const plans = GROUPED.map((child): Plan => ({ op: OP_GROUP_DELTA, field, child }));
  return own?.op === OP_SPLIT ? [...plans, ...plans.map((child): Plan => ({ ...own, child }))] : plans;
}

export const joinedPlan = (others: readonly number[]): Plan => ({ op: OP_DICTIONARY, with: others });

/** Whether a plan suits whatever values come; a dictionary may overflow, a split be too wide, a lender not lend. */
export function suitsAny(plan: Plan): boolean {
  if (plan.op === OP_DICTIONARY || plan.op === OP_SPLIT || plan.op === OP_DECIMAL || 'field' in plan) return false;
  return !('child' in plan) || suitsAny(plan.child);
}
