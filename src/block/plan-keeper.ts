import type { PlacedField } from '../schema.js';
import type { ChunkEntry } from './header.js';
import { borrowedField, describePlan, type Plan } from './plan.js';
import type { BlockColumn } from './sampler.js';
import type { ColumnPlan, Selector } from './selector.js';

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
/** Blocks so many times the size of the one that plans were found for want others; those so many times smaller tell little of them. */
const GROWTH = 4;
const ALIKE = 8;

/** The plans of a tape's columns from block to block: keeps what was chosen, and sees when it is time to choose anew. */
export class PlanKeeper {
  readonly #selector: Selector;
  readonly #fields: readonly PlacedField[];
  /** By field. */
  #plans = new Map<number, ColumnPlan>();
  #order: readonly PlacedField[];
  #lending: ReadonlySet<number> = new Set();
  /** Fields whose plan did not suit a block since. */
  readonly #unfit = new Set<number>();
  #reason = 'no block yet';
  #version = 0;
  /** Of the block that plans were found for: its records, and bytes a record of each field's chunk. */
  #countThen = 0;
  readonly #bytesThen = new Map<number, number>();
  #blocksSince = 0;
  #drifted = false;
  #reviewAfter = FIRST_REVIEW_BLOCKS;

  constructor(selector: Selector, fields: readonly PlacedField[]) {
    this.#selector = selector;
    this.#fields = fields;
    this.#order = fields;
  }

  /** Fields in the order of their chunks: those that lend before those that borrow. */
  get order(): readonly PlacedField[] {
    return this.#order;
  }

  /** Why plans were last looked for. */
  get reason(): string {
    return this.#reason;
  }

  /** Another number whenever a plan has changed. */
  get version(): number {
    return this.#version;
  }

  /** Whether others borrow from the field. */
  lends({ index }: PlacedField): boolean {
    return this.#lending.has(index);
  }

  /** The plan of a field; null for plain values. */
  planOf(field: number): Plan | null {
    const chosen = this.#plans.get(field);
    if (chosen === undefined) return null;
    return this.#unfit.has(field) ? chosen.otherwise : chosen.plan;
  }

  describe(field: number): string {
    const plan = this.planOf(field);
    return plan === null ? 'plain' : describePlan(plan);
  }

  /** Has the field coded by the plan that suits whatever comes, until plans are chosen anew; false where it already is. */
  misfit({ index }: PlacedField): boolean {
    if (this.#unfit.has(index)) return false;
    this.#unfit.add(index);
    this.#version++;
    return true;
  }

  /** Looks for plans where there are none yet, or where those there are may no longer be the best. `patience`: times the usual blocks. */
  review(columns: () => readonly BlockColumn[], count: number, patience: number): void {
    const reason = this.#reasonToChoose(count, patience);
    if (reason === '') return;
    this.#plans = this.#selector.select(columns());
    const lenderOf = (index: number) => {
      const { plan } = this.#plans.get(index)!;
      return plan === null ? -1 : borrowedField(plan);
    };
    const borrows = ({ index }: PlacedField) => lenderOf(index) >= 0;
    this.#lending = new Set(Array.from(this.#plans.keys(), lenderOf));
    this.#order = [...this.#fields.filter((field) => !borrows(field)), ...this.#fields.filter(borrows)];
    this.#reason = reason;
    this.#version++;
    this.#blocksSince = 0;
    this.#countThen = count;
    this.#bytesThen.clear();
    this.#unfit.clear();
    this.#drifted = false;
    if (reason !== 'first block') this.#reviewAfter = Math.min(4 * this.#reviewAfter, MOST_REVIEW_BLOCKS);
  }

  #reasonToChoose(count: number, patience: number): string {
    if (this.#plans.size === 0) return 'first block';
    if (count >= GROWTH * this.#countThen) return 'larger blocks';
    if (this.#blocksSince >= this.#reviewAfter * patience) return 'review';
    const earliest = Math.max(EARLIEST_DRIFT_BLOCKS, this.#reviewAfter / 4);
    if (this.#blocksSince < earliest * patience) return '';
    if (this.#unfit.size > 0) return 'a plan no longer fits';
    return this.#drifted ? 'drift' : '';
  }

  /** Notes where a column's bytes a record move away from what they were when its plan was chosen. */
  watch(chunks: readonly ChunkEntry[], count: number, blockBytes: number): void {
    this.#blocksSince++;
    if (count * ALIKE < this.#countThen) return;
    for (const { field, part, storedBytes } of chunks) {
      if (part !== 0) continue;
      const recordBytes = storedBytes / count;
      const then = this.#bytesThen.get(field);
      if (then === undefined) this.#bytesThen.set(field, recordBytes);
      else if (Math.abs(recordBytes - then) > DRIFT * then + DRIFT_FLOOR * (blockBytes / count)) this.#drifted = true;
    }
  }

  /** Blocks are made in another way from here on: their bytes tell of the data only among blocks that were made alike. */
  forgetBytes(): void {
    this.#bytesThen.clear();
  }
}
