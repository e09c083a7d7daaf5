import { runtime } from 'ticktape/runtime';
import { CONTROL_STATE, TAPE_CLOSING } from '../assembly/layout.js';
import { Collecting, type Collection, type CollectOptions } from './collect/collect.js';
import { TapeError } from './errors.js';
import type { FlushReport } from './flush/flusher.js';
import type { TapeFlusher } from './flush/local.js';
import { checkGap, Gap } from './gaps.js';
import { Appender, type AppenderHandle } from './journal/appender.js';
import { failTape, stopLanes } from './journal/stopping.js';
import { thisThread } from './journal/this-thread.js';
import type { ResolvedOptions } from './options.js';
import { asOf } from './read/as-of.js';
import { type Bar, type BarOptions, bars } from './read/bars.js';
import type { Batch } from './read/batch.js';
import type { TapeBlocks } from './read/reader.js';
import { Replay, type ReplayOptions } from './read/replay.js';
import type { ScanOptions, WithoutGaps } from './read/scan.js';
import type { Follower, TailSource } from './read/tail/follower.js';
import { type FollowOptions, hostOf, makeFollower, Tail, type TailOptions } from './read/tail/tail.js';
import { makeTailSource } from './read/tail/tail-source.js';
import type { Fields, RecordOf, Schema, ValuesOf } from './schema.js';
import type { CatalogBlock } from './segment/catalog.js';
import type { Session } from './session.js';
import { readCounters, type TapeStats } from './stats.js';
import { mendBlock } from './storage/scrub/mend-block.js';
import { type RepairOptions, type RepairResult, repairTapeOn } from './storage/scrub/repair-tape.js';
import type { ScrubbedTape } from './storage/scrub/survey-copies.js';
import { Turns } from './storage/scrub/turns.js';
import { type Verdict, type VerifyOptions, verifyTape } from './storage/scrub/verify.js';

/** A tape opened for writing. One process at a time has one. */
export class Tape<F extends Fields> {
  readonly schema: Schema<F>;
  /** Appends a record from this thread: see `Appender.append`. */
  readonly append: (...values: ValuesOf<F>) => number;
  /** Appends a record with whole numbers for decimals: see `Appender.appendScaled`. */
  readonly appendScaled: (...values: ValuesOf<F>) => number;
  readonly #parts: TapeParts<F>;
  readonly #appender: Appender<F>;
  readonly #collecting: Collecting;
  #closing: Promise<void> | null = null;
  #trouble: Error | null = null;
  #isClosed = false;

  /** Use `openTape`. */
  constructor(schema: Schema<F>, parts: TapeParts<F>) {
    this.schema = schema;
    this.#parts = parts;
    this.#appender = new Appender(schema, this.appenderHandle(), () => runtime.nowNs());
    this.append = this.#appender.append;
    this.appendScaled = this.#appender.appendScaled;
    const { gaps, journal } = parts.session;
    this.#collecting = new Collecting({
      runtime,
      schema,
      memory: journal.memory,
      gaps,
      takeLane: () => this.appenderHandle(),
      onWarning: parts.options.onWarning,
    });
    parts.onTrouble((error) => {
      this.#trouble = error;
    });
  }

  /** Wall clock in ns since the Unix epoch; never steps back. */
  now(): bigint {
    return runtime.nowNs();
  }

  /** The share of this thread's lane, 0 to 1, whose records are not yet on their storage nodes. */
  backlog(): number {
    return this.#appender.backlog();
  }

  /**
   * A lane for another thread: post it to a worker and give it to `openAppender` there.
   * @throws TapeError `NO_LANE`, `CLOSED`, `DISK_FULL`, `IO`
   */
  appenderHandle(): AppenderHandle {
    this.#checkOpen();
    const { options } = this.#parts;
    const { journal } = this.#parts.session;
    const lane = journal.takeLane();
    return {
      memory: journal.memory,
      fingerprint: this.schema.fingerprint,
      lane,
      at: journal.laneAt(lane),
      symbolCapacity: journal.map.symbolCapacity,
      onFull: options.onFull,
      ...(options.flusher === 'inline' && { flusherThread: thisThread }),
    };
  }

  /**
   * Resolves when everything appended before, on all threads, is on its storage nodes (with `durability: 'disk'`: and would
   * survive a power cut), and says on how many: fewer than `redundancy` where too few are healthy (`degraded: 'continue'`).
   * @throws TapeError of the storage nodes; what could not be written stays in the lanes and is tried again
   */
  flush(): Promise<FlushReport> {
    this.#checkOpen();
    return this.#parts.flusher.flush();
  }

  /**
   * Sealed records by sequence or by time, a batch of columns at a time; with `gaps`, the gaps of the tape between them. Call `flush()`
   * first to see what was appended just now. `repair`: a block of which a copy turns out to be bad is mended when the scan is done with it.
   */
  scan<Name extends F[number]['name'] = F[number]['name']>(
    options?: WithoutGaps<ScanOptions<Name>>,
  ): AsyncGenerator<Batch<F, Name>>;
  scan<Name extends F[number]['name'] = F[number]['name']>(
    options: ScanOptions<Name>,
  ): AsyncGenerator<Batch<F, Name> | Gap>;
  scan<Name extends F[number]['name']>(options: ScanOptions<Name> = {}): AsyncGenerator<Batch<F, Name> | Gap> {
    const mend = options.repair ? (block: CatalogBlock) => this.#mend(block) : null;
    return this.#parts.blocks.scan(options, mend, new Turns(runtime, options.signal));
  }

  /**
   * Sealed records by time, at the pace of their timestamps: `for await (const batch of tape.replay({ speed: 10 }))`, or record by record
   * with `.records()`; with `gaps`, the gaps of the tape between them. @throws TapeError `BAD_OPTION`
   */
  replay<Name extends F[number]['name'] = F[number]['name']>(
    options?: WithoutGaps<ReplayOptions<Name>>,
  ): Replay<F, Name>;
  replay<Name extends F[number]['name'] = F[number]['name']>(options: ReplayOptions<Name>): Replay<F, Name, Gap>;
  replay<Name extends F[number]['name']>(options: ReplayOptions<Name> = {}): Replay<F, Name, Gap> {
    return new Replay(this.#parts.blocks, options, runtime);
  }

  /**
   * Sealed records as bars of each symbol: open, high, low, close, volume and more of every interval in which it has records, by time:
   * `for await (const { ts, symbol, close } of tape.bars({ interval: '1m' }))`.
   * @throws TapeError `BAD_OPTION`, `BLOCK_MISSING`, `BLOCK_DAMAGED`
   */
  bars(options: BarOptions): AsyncGenerator<Bar> {
    return bars(this.#parts.blocks, options, runtime);
  }

  /**
   * Records as they come, of all threads, sealed or not: an async iterable of batches, or with `records()` of records. It begins now,
   * whenever it is iterated, and ends once the tape is closed.
   * @throws TapeError `BAD_OPTION`, `CLOSED`
   */
  tail<Name extends F[number]['name'] = F[number]['name']>(
    options?: WithoutGaps<TailOptions<Name>>,
  ): Tail<F, Name, Batch<F, Name>>;
  tail<Name extends F[number]['name'] = F[number]['name']>(
    options: TailOptions<Name>,
  ): Tail<F, Name, Batch<F, Name> | Gap>;
  tail<Name extends F[number]['name']>(options: TailOptions<Name> = {}): Tail<F, Name, Batch<F, Name> | Gap> {
    this.#checkOpen();
    return new Tail(this.#tailSource(), options, { ...hostOf(runtime), isClosed: () => this.#isClosed });
  }

  /** The same to be polled: nothing is allocated, and a live batch holds until the next poll. @throws TapeError as `tail` */
  follow(options: FollowOptions = {}): Follower<F> {
    this.#checkOpen();
    return makeFollower(this.#tailSource(), options);
  }

  #tailSource(): TailSource<F> {
    const { session, options } = this.#parts;
    const { tapeId, zstd, catalog, survey } = session;
    const { read } = options;
    return makeTailSource(runtime, { schema: this.schema, tapeId, journal: survey.journal, zstd, read, catalog });
  }

  /**
   * The last sealed record of a symbol at `ns` or before; null where there is none. Reads backwards from there, not the whole tape.
   * @throws TapeError `BAD_OPTION` where the schema has no symbol field, `BLOCK_MISSING`, `BLOCK_DAMAGED`
   */
  async asOf(ns: bigint, symbol: string): Promise<RecordOf<F> | null> {
    return asOf(this.#parts.blocks, ns, symbol);
  }

  async #mend(block: CatalogBlock): Promise<void> {
    const { session, options } = this.#parts;
    const { tapeId, catalog, flusherSetup } = session;
    const { redundancy, segmentBytes, onWarning } = options;
    try {
      const tape = { ...this.#scrubbed, tapeId, epoch: flusherSetup.epoch, redundancy, segmentBytes };
      for (const { message } of await mendBlock(tape, catalog, block)) onWarning(message);
    } catch (error) {
      onWarning(`block ${block.sequence} was not mended: ${(error as Error).message}`);
    }
  }

  get #scrubbed(): ScrubbedTape {
    const { survey, zstd } = this.#parts.session;
    return {
      runtime,
      schema: this.schema,
      zstd,
      directories: survey.directories,
      journal: survey.journal,
    };
  }

  /** Reads and checks every copy of every block, while records may come in. */
  async verify(options: VerifyOptions = {}): Promise<Verdict> {
    this.#checkOpen();
    const { redundancy } = this.#parts.options;
    const verdict = await verifyTape(this.#scrubbed, { redundancy, ...options });
    for (const found of verdict.damaged) this.#parts.blocks.report(found);
    return verdict;
  }

  /**
   * Restores all copies of every block and removes what is bad or too many, while records may come in. What the flusher has open is
   * left as it is.
   * @throws TapeError `LOCKED` where another repair is under way
   */
  repair(options: Pick<RepairOptions, 'dryRun' | 'onProgress' | 'signal'> = {}): Promise<RepairResult> {
    this.#checkOpen();
    const { session, options: own } = this.#parts;
    const { directories: storage, journal } = session.survey;
    return repairTapeOn(runtime, {
      storage,
      journal,
      redundancy: own.redundancy,
      segmentBytes: own.segmentBytes,
      ...options,
    });
  }

  /**
   * Runs a source, the default export of the module at `source` (a path or a URL), in threads of their own, each with a lane. Resolves when all
   * of them run.
   * @throws TapeError `BAD_SOURCE`, `BAD_OPTION`, `NO_LANE`, `DISK_FULL`, `IO`, `CLOSED`
   */
  async collect(source: URL | string, options: CollectOptions = {}): Promise<Collection> {
    this.#checkOpen();
    return this.#collecting.collect(source, options);
  }

  /** What the tape was not told, by when that began: all sessions'. */
  gaps(): Gap[] {
    return this.#parts.session.gaps.list();
  }

  /**
   * Tells readers that something was missed from `fromNs` (now) on, up to `toNs` or until `end` is called. It is on every storage node
   * then, or a warning says on which not. `reason`: some 160 bytes of it are kept.
   * @throws TapeError `BAD_OPTION`, `CLOSED`
   */
  gap({ collector = null, name = '', reason, fromNs = this.now(), toNs = null }: GapOptions): OpenGap {
    this.#checkOpen();
    const gap = new Gap({ collector, name, fromNs, toNs, reason });
    checkGap(gap);
    const { gaps } = this.#parts.session;
    const id = gaps.add(gap);
    return {
      end: (atNs = this.now()) => {
        gaps.end(id, atNs);
      },
    };
  }

  stats(): TapeStats {
    const { session, options, blocks, flusher } = this.#parts;
    const { journal, survey, recovery } = session;
    return {
      ...readCounters(journal, survey.directories),
      redundancy: options.redundancy,
      compression: flusher.choice,
      recovery,
      trouble: this.#trouble,
      damage: blocks.damage,
    };
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new TapeError('CLOSED', 'the tape is closed: open it again');
  }

  /**
   * Puts everything on the storage nodes and lets go of the tape. Appends on other threads throw `CLOSED` from here on. Where it
   * fails, the lanes keep what could not be written, and the next open recovers it.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#appender.close();
    const { session, flusher, blocks } = this.#parts;
    const { journal } = session;
    if (this.#collecting.isActive) await this.#collecting.stop();
    const words = new Int32Array(journal.memory.buffer);
    Atomics.store(words, CONTROL_STATE >> 2, TAPE_CLOSING);
    let empty = false;
    try {
      await flusher.close();
      empty = true;
    } finally {
      blocks.close();
      if (empty) session.end(this.stats().records);
      else {
        // Before the tape is unlocked: whoever opens it next takes from the lanes what append returned for, and nothing else.
        stopLanes(journal.memory, journal.map);
        failTape(journal.memory, journal.map);
        session.abandon();
      }
      this.#isClosed = true;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A gap that a program tells of. */
export interface GapOptions {
  reason: string;
  /** Which collector missed something, and its name. Default: all of them. */
  collector?: number | null;
  name?: string;
  /** Wall clock in ns. Default: now. */
  fromNs?: bigint;
  /** Default: it lasts until `end` is called. */
  toNs?: bigint | null;
}

export interface OpenGap {
  /** That it ended now, or at `atNs`. A gap ends once. */
  end(atNs?: bigint): void;
}

/** What `openTape` puts together. */
export interface TapeParts<F extends Fields> {
  options: ResolvedOptions;
  session: Session;
  flusher: TapeFlusher;
  blocks: TapeBlocks<F>;
  onTrouble(listener: (error: Error) => void): void;
}
