import type { Fields, Schema } from '../schema.js';
import type { Batch } from './batch.js';
import type { Damage, ScanOptions, TapeBlocks, Verdict } from './reader.js';

/** A tape opened for reading, in any process, also while another writes it. */
export class TapeReader<F extends Fields> {
  readonly schema: Schema<F>;
  readonly #blocks: TapeBlocks<F>;

  constructor(schema: Schema<F>, blocks: TapeBlocks<F>) {
    this.schema = schema;
    this.#blocks = blocks;
  }

  /**
   * Sealed records by sequence, a batch of columns at a time.
   * @throws TapeError `BAD_OPTION`, `BLOCK_MISSING`, `BLOCK_DAMAGED`
   */
  scan<Name extends F[number]['name'] = F[number]['name']>(
    options: ScanOptions<Name> = {},
  ): AsyncGenerator<Batch<F, Name>> {
    return this.#blocks.scan(options);
  }

  /** Reads and checks every copy of every block. `redundancy`: how many copies a block should have. */
  verify(options: { redundancy?: number; onProgress?: (done: number, total: number) => void } = {}): Promise<Verdict> {
    return this.#blocks.verify(options.redundancy ?? 1, options.onProgress);
  }

  /** Copies of blocks that could not be read so far. */
  get damage(): readonly Damage[] {
    return this.#blocks.damage;
  }

  async close(): Promise<void> {
    this.#blocks.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
