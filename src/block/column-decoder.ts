import type { Kernels } from '../kernels.js';
import { DamagedBlock } from './damaged.js';
import {
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
  type Step,
} from './plan.js';
import type { Workspace } from './workspace.js';

/** What is left of a chunk, as pointers. */
export interface ChunkBytes {
  packed: number;
  packedEnd: number;
  symbols: number;
  symbolsEnd: number;
}

/**
 * Follows a plan back: packed bytes and symbols to values. Counts and lengths are checked before a kernel is called, so any
 * bytes give values or a DamagedBlock.
 */
export class ColumnDecoder {
  readonly #kernels: Kernels;
  readonly #space: Workspace;
  #chunk!: ChunkBytes;
  #borrowed = 0;
  #kind = 0;
  #taken = 0;

  constructor(kernels: Kernels, space: Workspace) {
    this.#kernels = kernels;
    this.#space = space;
  }

  /**
   * Stores `count` values at `out`. `borrowed`: what the plan borrows: values, mask or ids, of as many values. `kind`: that of floats where
   * the plan begins with `decimal`, whose values are then bit patterns.
   * @throws DamagedBlock
   */
  decode(plan: Step, chunk: ChunkBytes, count: number, out: number, borrowed: number, kind: number): void {
    this.#chunk = chunk;
    this.#borrowed = borrowed;
    this.#kind = kind;
    this.#taken = 0;
    this.#step(plan, count, out);
    if (chunk.packed !== chunk.packedEnd || chunk.symbols !== chunk.symbolsEnd) {
      throw new DamagedBlock('a chunk is longer than its values');
    }
  }

  #take(): number {
    if (this.#taken === this.#space.stepVectors.length) throw new DamagedBlock('a plan is too deep');
    return this.#space.stepVectors[this.#taken++];
  }

  #symbols(bytes: number): number {
    const at = this.#chunk.symbols;
    if (bytes > this.#chunk.symbolsEnd - at) throw new DamagedBlock('a chunk lacks symbols');
    this.#chunk.symbols += bytes;
    return at;
  }

  #packed(bytes: number): number {
    const at = this.#chunk.packed;
    if (bytes > this.#chunk.packedEnd - at) throw new DamagedBlock('a chunk lacks packed bytes');
    this.#chunk.packed += bytes;
    return at;
  }

  #unpack(count: number, out: number): void {
    const { packed, packedEnd } = this.#chunk;
    const bytes = this.#kernels.unpack(packed, packedEnd, count, out);
    if (bytes < 0) throw new DamagedBlock('packed values are damaged');
    this.#chunk.packed += bytes;
  }

  #step(step: Step, count: number, out: number): void {
    const kernels = this.#kernels;
    const space = this.#space;
    switch (step.op) {
      case OP_CONSTANT:
        kernels.fill(out, count, step.base);
        return;
      case OP_PACKED:
        this.#unpack(count, out);
        return;
      case OP_TOKENS: {
        const tokens = this.#symbols(count);
        const bits = kernels.tokenBits(tokens, count);
        if (bits < 0) throw new DamagedBlock('a token is none');
        kernels.detokenize(tokens, this.#packed(Math.ceil(bits / 8)), count, out);
        return;
      }
      case OP_PLANES:
        kernels.fromPlanes(this.#symbols(step.width * count), step.width, count, out);
        return;
      case OP_DICTIONARY: {
        this.#unpack(step.known, space.tableB);
        const ids = this.#symbols(Math.ceil((count * step.width) / 8));
        this.#lookUp(ids, step.width, count, step.known, out);
        return;
      }
      case OP_SAME_IDS:
        this.#unpack(step.known, space.tableB);
        this.#lookUp(this.#borrowed, 8, count, step.known, out);
        return;
      case OP_FRAME:
        this.#step(step.children[0], count, out);
        kernels.addConstant(out, count, step.base, out);
        return;
      case OP_DELTA:
        this.#step(step.children[0], count, out);
        kernels.sumDifferences(out, count, step.base, step.zigzag);
        return;
      case OP_GROUP_DELTA:
        this.#step(step.children[0], count, out);
        kernels.sumGroups(out, this.#borrowed, count, space.tableA, step.zigzag);
        return;
      case OP_CHANGES:
        this.#spread(this.#symbols((count + 7) >> 3), step, count, out);
        return;
      case OP_CHANGES_OF:
        this.#spread(this.#borrowed, step, count, out);
        return;
      case OP_REFERENCE:
        this.#step(step.children[0], count, out);
        kernels.add(out, this.#borrowed, count);
        return;
      case OP_SPLIT: {
        this.#step(step.children[0], count, out);
        const remainders = this.#take();
        this.#step(step.children[1], count, remainders);
        kernels.join(out, remainders, count, step.base, step.divisor);
        this.#taken--;
        return;
      }
      case OP_DECIMAL: {
        if (step.known > count) throw new DamagedBlock('it has more exceptions than values');
        const rows = this.#packed(12 * step.known);
        this.#step(step.children[0], count, out);
        const bits = rows + 4 * step.known;
        if (kernels.undecimals(out, this.#kind, count, 10 ** step.width, rows, bits, step.known) < 0) {
          throw new DamagedBlock('an exception is misplaced');
        }
        return;
      }
    }
  }

  #lookUp(ids: number, width: number, count: number, known: number, out: number): void {
    if (this.#kernels.lookUp(ids, width, count, this.#space.tableB, known, out) < 0) {
      throw new DamagedBlock('an id is in no dictionary');
    }
  }

  #spread(mask: number, step: Step, count: number, out: number): void {
    const kept = this.#kernels.maskCount(mask, count);
    if (kept < 0) throw new DamagedBlock('a mask is damaged');
    const values = this.#take();
    this.#step(step.children[0], kept, values);
    this.#kernels.spread(mask, count, values, out);
    this.#taken--;
  }
}
