import { TapeError } from '../errors.js';
import type { Gap } from '../gaps.js';
import type { Fields, Schema } from '../schema.js';
import type { ScrubbedTape } from '../storage/scrub/survey-copies.js';
import { type Verdict, type VerifyOptions, verifyTape } from '../storage/scrub/verify.js';
import type { Batch } from './batch.js';
import type { Damage, TapeBlocks } from './reader.js';
import type { ScanOptions, WithoutGaps } from './scan.js';

/** A tape opened for reading, in any process, also while another writes it. */
export class TapeReader<F extends Fields> {
  readonly schema: Schema<F>;
  readonly #blocks: TapeBlocks<F>;
  readonly #scrubbed: ScrubbedTape;

  constructor(schema: Schema<F>, blocks: TapeBlocks<F>, scrubbed: ScrubbedTape) {
    this.schema = schema;
    this.#blocks = blocks;
    this.#scrubbed = scrubbed;
  }

  /**
   * Sealed records by sequence or by time, a batch of columns at a time; with `gaps`, the gaps of the tape between them.
   * @throws TapeError `BAD_OPTION`, `BLOCK_MISSING`, `BLOCK_DAMAGED`; `READ_ONLY` where it is asked to repair
   */
  scan<Name extends F[number]['name'] = F[number]['name']>(
    options?: WithoutGaps<ScanOptions<Name>>,
  ): AsyncGenerator<Batch<F, Name>>;
  scan<Name extends F[number]['name'] = F[number]['name']>(
    options: ScanOptions<Name>,
  ): AsyncGenerator<Batch<F, Name> | Gap>;
  scan<Name extends F[number]['name']>(options: ScanOptions<Name> = {}): AsyncGenerator<Batch<F, Name> | Gap> {
    if (options.repair) {
      throw new TapeError('READ_ONLY', 'option repair: this tape is only read: open it for writing, or use repairTape');
    }
    return this.#blocks.scan(options);
  }

  /** What the tape was not told while it was recorded, by when it began. */
  gaps(): Gap[] {
    return this.#blocks.gaps();
  }

  /** Reads and checks every copy of every block, also while a writer is at work. */
  async verify(options: VerifyOptions = {}): Promise<Verdict> {
    const verdict = await verifyTape(this.#scrubbed, options);
    for (const found of verdict.damaged) this.#blocks.report(found);
    return verdict;
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
