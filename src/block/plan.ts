// A plan: how the values of a chunk are coded, as a tree of steps. A step makes other values of the ones that it is given and
// hands them on, or, at a leaf, turns them into bytes. Bytes go to one of two parts of the chunk: *packed* bytes are stored as
// they are, *symbols* go through the entropy stage. On disk a step is its number (u8) and its parameters, little-endian, followed by
// the steps that it hands on to:
//
//   0  constant          i64 value                        all values are the same
//   1  packed            -                                bitpack.ts, to the packed part
//   2  tokens            -                                tokens.ts: tokens to the symbols, low bits to the packed part
//   3  dictionary        u8 id bits, u16 values           dictionary.ts: values to the packed part (bitpack.ts), ids to the symbols
//   4  planes            u8 width                         planes.ts, to the symbols
//   5  frame             i64 base; a step                 frame.ts
//   6  delta             u8 zigzag, i64 first; a step     delta.ts
//   7  changes           a step                           changes.ts: the mask to the symbols; the step has the kept values
//   8  changes of        u16 field; a step                the same with the mask of another field's chunk
//   9  split             i64 base, i64 divisor; two steps split.ts: quotients, remainders
//   10 reference         u16 field; a step                reference.ts: differences to another field's values
//   11 group delta       u16 field, u8 zigzag; a step     group.ts: grouped by the ids of another field's chunk
//   12 same ids          u16 field, u16 values            values to the packed part, ids of another field's chunk: a joint symbol
//   13 decimal           u8 exponent, u32 exceptions; a step   decimal.ts: rows (u32) and bits (u64) to the packed part
//
// Bytes of a step come before those of the steps that it hands on to, and these in their order. What another field's chunk lends
// (the mask of a plan that begins with `changes`, the ids of one that begins with `dictionary`, or its values, which may also be plain)
// it lends only if its own plan borrows nothing, so that a column needs one other at most. A chunk lends to and borrows from chunks of
// as many values.

export const OP_CONSTANT = 0;
export const OP_PACKED = 1;
export const OP_TOKENS = 2;
export const OP_DICTIONARY = 3;
export const OP_PLANES = 4;
export const OP_FRAME = 5;
export const OP_DELTA = 6;
export const OP_CHANGES = 7;
export const OP_CHANGES_OF = 8;
export const OP_SPLIT = 9;
export const OP_REFERENCE = 10;
export const OP_GROUP_DELTA = 11;
export const OP_SAME_IDS = 12;
export const OP_DECIMAL = 13;

/** Steps of a plan at most, however they nest. */
export const MAX_STEPS = 16;
/** Bytes of a plan at most: the longest step has 17. */
export const MAX_PLAN_BYTES = MAX_STEPS * 17;

export type Leaf = { op: typeof OP_CONSTANT | typeof OP_PACKED | typeof OP_TOKENS };

/** How to code a column. Parameters that follow from the values (bases, counts, …) are found when it is done. */
export type Plan =
  | Leaf
  /** `with`: fields whose chunks are to have the same ids. */
  | { op: typeof OP_DICTIONARY; with?: readonly number[] }
  | { op: typeof OP_PLANES }
  | { op: typeof OP_FRAME | typeof OP_DELTA | typeof OP_CHANGES; child: Plan }
  | { op: typeof OP_CHANGES_OF | typeof OP_REFERENCE | typeof OP_GROUP_DELTA; field: number; child: Plan }
  | { op: typeof OP_SPLIT; divisor: bigint; child: Plan; remainder: Plan }
  | { op: typeof OP_SAME_IDS; field: number }
  | { op: typeof OP_DECIMAL; exponent: number; child: Plan };

/** The plan that any integers suit. */
export const ANY_PLAN: Plan = { op: OP_DELTA, child: { op: OP_TOKENS } };

const NAMES = [
  'constant',
  'packed',
  'tokens',
  'dictionary',
  'planes',
  'frame',
  'delta',
  'changes',
  'changes of',
  'split',
  'reference',
  'group delta',
  'same ids',
  'decimal',
];

/** A plan in words: `reference 3 > changes > delta > tokens`. */
export function describePlan(plan: Plan): string {
  let text = NAMES[plan.op];
  if ('field' in plan) text += ` ${plan.field}`;
  if (plan.op === OP_DECIMAL) text += ` ${plan.exponent}`;
  if (plan.op === OP_SPLIT) {
    return `${text} ${plan.divisor} > (${describePlan(plan.child)}, ${describePlan(plan.remainder)})`;
  }
  return 'child' in plan ? `${text} > ${describePlan(plan.child)}` : text;
}

/** The field that a plan borrows from, or -1. */
export function borrowedField(plan: Plan): number {
  if ('field' in plan) return plan.field;
  if (plan.op === OP_SPLIT) {
    const field = borrowedField(plan.child);
    return field < 0 ? borrowedField(plan.remainder) : field;
  }
  return 'child' in plan ? borrowedField(plan.child) : -1;
}

/** A step as it was read, with its parameters. */
export interface Step {
  op: number;
  /** Of `constant`: the value; `frame`, `split`: the base; `delta`: the first value. */
  base: bigint;
  divisor: bigint;
  zigzag: number;
  /** Bits of an id, bytes of a plane, or the exponent. */
  width: number;
  /** Values of a dictionary, or exceptions. */
  known: number;
  /** The field borrowed from. */
  field: number;
  children: Step[];
}

/** Bytes of parameters, by step. */
const PARAMETER_BYTES = [8, 0, 0, 3, 1, 8, 9, 0, 2, 16, 2, 3, 4, 5];
/** Steps handed on to, by step. */
const CHILDREN = [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 1, 1, 0, 1];

/**
 * The plan that fills `bytes`, or why it is none. Everything in it is within its range; whether it suits the chunk shows as it
 * is followed.
 */
export function parsePlan(bytes: Uint8Array): Step | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  let steps = 0;
  let borrows = 0;
  /** `whole`: the step has as many values as the chunk. */
  function parse(top: boolean, whole: boolean): Step | string {
    if (at >= bytes.length) return 'its plan is cut';
    if (++steps > MAX_STEPS) return `its plan has more than ${MAX_STEPS} steps`;
    const op = bytes[at++];
    if (op >= PARAMETER_BYTES.length) return `step ${op} of its plan is unknown`;
    const from = at;
    at += PARAMETER_BYTES[op];
    if (at > bytes.length) return 'its plan is cut';
    const step: Step = { op, base: 0n, divisor: 0n, zigzag: 0, width: 0, known: 0, field: -1, children: [] };
    if (op === OP_CONSTANT || op === OP_FRAME) step.base = view.getBigInt64(from, true);
    else if (op === OP_DICTIONARY) {
      step.width = bytes[from];
      step.known = view.getUint16(from + 1, true);
      if (![1, 2, 4, 8].includes(step.width)) return `its plan has ids of ${step.width} bits`;
    } else if (op === OP_PLANES) {
      step.width = bytes[from];
      if (step.width < 1 || step.width > 8) return `its plan has values of ${step.width} bytes`;
    } else if (op === OP_DELTA) {
      step.zigzag = bytes[from];
      step.base = view.getBigInt64(from + 1, true);
    } else if (op === OP_SPLIT) {
      step.base = view.getBigInt64(from, true);
      step.divisor = view.getBigInt64(from + 8, true);
    } else if (op === OP_GROUP_DELTA) {
      step.zigzag = bytes[from + 2];
    } else if (op === OP_SAME_IDS) {
      step.known = view.getUint16(from + 2, true);
    } else if (op === OP_DECIMAL) {
      step.width = bytes[from];
      step.known = view.getUint32(from + 1, true);
      if (step.width > 22) return `its plan has ${step.width} decimal places`;
      if (!top) return 'its plan has decimals of what are no floats';
    }
    if (op === OP_DICTIONARY || op === OP_SAME_IDS) {
      if (step.known < 1 || step.known > 256) return `its plan has a dictionary of ${step.known}`;
    }
    if (op === OP_CHANGES_OF || op === OP_REFERENCE || op === OP_GROUP_DELTA || op === OP_SAME_IDS) {
      step.field = view.getUint16(from, true);
      if (++borrows > 1) return 'its plan borrows twice';
      if (!whole) return 'its plan borrows for some of its values';
    }
    if (step.zigzag > 1) return 'its plan has a flag out of range';
    for (let i = 0; i < CHILDREN[op]; i++) {
      const child = parse(false, whole && op !== OP_CHANGES && op !== OP_CHANGES_OF);
      if (typeof child === 'string') return child;
      step.children.push(child);
    }
    return step;
  }
  const plan = parse(true, true);
  if (typeof plan === 'string') return plan;
  return at === bytes.length ? plan : 'its plan is longer than its steps';
}

/** The step of a plan that borrows, or null. */
export function borrowedBy(plan: Step): Step | null {
  if (plan.field >= 0) return plan;
  for (const child of plan.children) {
    const found = borrowedBy(child);
    if (found !== null) return found;
  }
  return null;
}
