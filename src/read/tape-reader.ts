import { TapeError } from '../errors.js';
import type { Gap } from '../gaps.js';
import type { Fields, RecordOf, Schema } from '../schema.js';
import type { ScrubbedTape } from '../storage/scrub/survey-copies.js';
import { Turns } from '../storage/scrub/turns.js';
import { type Verdict, type VerifyOptions, verifyTape } from '../storage/scrub/verify.js';
import { asOf } from './as-of.js';
import { type Bar, type BarOptions, bars } from './bars.js';
import type { Batch } from './batch.js';
import type { Damage, TapeBlocks } from './reader.js';
import { Replay, type ReplayOptions } from './replay.js';
import type { ScanOptions, WithoutGaps } from './scan.js';
import type { Follower, TailSource } from './tail/follower.js';
import { type FollowOptions, hostOf, makeFollower, Tail, type TailOptions } from './tail/tail.js';

/** A tape opened for reading, in any process, also while another writes it. */
export class TapeReader<F extends Fields> {
  readonly schema: Schema<F>;
  readonly #blocks: TapeBlocks<F>;
  readonly #scrubbed: ScrubbedTape;
  readonly #tailSource: () => TailSource<F>;
  #isClosed = false;

  constructor(schema: Schema<F>, blocks: TapeBlocks<F>, scrubbed: ScrubbedTape, tailSource: () => TailSource<F>) {
    this.#tailSource = tailSource;
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
    return this.#blocks.scan(options, null, new Turns(this.#scrubbed.runtime, options.signal));
  }

  /**
   * Sealed records by time, at the pace of their timestamps: `for await (const batch of reader.replay({ speed: 10 }))`, or record by
   * record with `.records()`; with `gaps`, the gaps of the tape between them. @throws TapeError `BAD_OPTION`
   */
  replay<Name extends F[number]['name'] = F[number]['name']>(
    options?: WithoutGaps<ReplayOptions<Name>>,
  ): Replay<F, Name>;
  replay<Name extends F[number]['name'] = F[number]['name']>(options: ReplayOptions<Name>): Replay<F, Name, Gap>;
  replay<Name extends F[number]['name']>(options: ReplayOptions<Name> = {}): Replay<F, Name, Gap> {
    return new Replay(this.#blocks, options, this.#scrubbed.runtime);
  }

  /**
   * Sealed records as bars of each symbol: open, high, low, close, volume and more of every interval in which it has records, by time:
   * `for await (const { ts, symbol, close } of reader.bars({ interval: '1m' }))`.
   * @throws TapeError `BAD_OPTION`, `BLOCK_MISSING`, `BLOCK_DAMAGED`
   */
  bars(options: BarOptions): AsyncGenerator<Bar> {
    return bars(this.#blocks, options, this.#scrubbed.runtime);
  }

  /**
   * Records as they come, from any process, sealed or not: an async iterable of batches, or with `records()` of records. It goes on from
   * one session of the writer to the next, and waits for one. It begins now, whenever it is iterated.
   * @throws TapeError `BAD_OPTION`, and of files that are not what they should be
   */
  tail<Name extends F[number]['name'] = F[number]['name']>(
    options?: WithoutGaps<TailOptions<Name>>,
  ): Tail<F, Name, Batch<F, Name>>;
  tail<Name extends F[number]['name'] = F[number]['name']>(
    options: TailOptions<Name>,
  ): Tail<F, Name, Batch<F, Name> | Gap>;
  tail<Name extends F[number]['name']>(options: TailOptions<Name> = {}): Tail<F, Name, Batch<F, Name> | Gap> {
    return new Tail(this.#tailSource(), options, { ...hostOf(this.#scrubbed.runtime), isClosed: () => this.#isClosed });
  }

  /** The same to be polled: nothing is allocated, and a live batch holds until the next poll. @throws TapeError as `tail` */
  follow(options: FollowOptions = {}): Follower<F> {
    return makeFollower(this.#tailSource(), options);
  }

  /**
   * The last sealed record of a symbol at `ns` or before; null where there is none. Reads backwards from there, not the whole tape.
   * @throws TapeError `BAD_OPTION` where the schema has no symbol field, `BLOCK_MISSING`, `BLOCK_DAMAGED`
   */
  async asOf(ns: bigint, symbol: string): Promise<RecordOf<F> | null> {
    return asOf(this.#blocks, ns, symbol);
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

  /** Tails end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#blocks.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
