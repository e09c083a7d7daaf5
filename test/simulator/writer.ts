import { CONTROL_STATE, LANE_HEAD, TAPE_CLOSING } from '../../dist/assembly/layout.js';
import { Duty } from '../../dist/src/flush/duty.js';
import type { FlushReport } from '../../dist/src/flush/flusher.js';
import { Appender } from '../../dist/src/journal/appender.js';
import { failTape, stopLanes } from '../../dist/src/journal/stopping.js';
import type { ResolvedOptions } from '../../dist/src/options.js';
import { TapeBlocks } from '../../dist/src/read/reader.js';
import { Catalog } from '../../dist/src/segment/catalog.js';
import { beginSession, type Session } from '../../dist/src/session.js';
import { type Verdict, verifyTape } from '../../dist/src/storage/scrub/verify.js';
import { survey } from '../../dist/src/storage/survey.js';
import type { Dice } from './dice.js';
import type { SimulatedProcess } from './process.js';
import { type Records, schema } from './records.js';
import type { World } from './world.js';

/** Few, so that a tape's memory is small. */
const LANES = 4;

/** What the flusher does, with a look at what it has put where. */
class WatchedDuty extends Duty {
  /** Called when what was appended so far is in the files of the journal. */
  onPersist: () => void = () => {};
  /** Called when a background sync begins; what it answers, when it has put on the disk all that was stored by then. */
  onSync: () => () => void = () => () => {};
  readonly #world: World;
  #syncs = 0;
  /** When it began. */
  readonly #failedSyncs: number;

  constructor(process: SimulatedProcess, { zstd, flusherSetup }: Session, random: () => number) {
    super(process, zstd, flusherSetup, random, ({ code }) => process.world.trace(process.label, 'trouble', code));
    this.#world = process.world;
    this.#failedSyncs = process.world.failedSyncs;
  }

  protected override persist(): void {
    super.persist();
    this.onPersist();
  }

  override async sync(): Promise<boolean> {
    const { loads } = this.assembly.replicator;
    // Storage nodes that are hung, or at a sync already, are left out; and of what failed to be synced once, later syncs say nothing.
    const isWhole = this.#syncs === 0 && loads.every(({ overdue }) => overdue === 0);
    const synced = this.onSync();
    this.#syncs++;
    try {
      const isDone = await super.sync();
      if (isDone && isWhole && this.#world.failedSyncs === this.#failedSyncs) synced();
      return isDone;
    } finally {
      this.#syncs--;
    }
  }
}

/** A tape that is open for writing, as src/tape.ts has it, on one thread and step by step. */
export class Writer {
  readonly process: SimulatedProcess;
  readonly session: Session;
  /** The flusher can't go on. */
  failure: Error | null = null;
  readonly duty: WatchedDuty;
  readonly #options: ResolvedOptions;
  #turning: Promise<unknown> | null = null;

  private constructor(process: SimulatedProcess, options: ResolvedOptions, session: Session, duty: WatchedDuty) {
    this.process = process;
    this.session = session;
    this.duty = duty;
    this.#options = options;
  }

  static async open(process: SimulatedProcess, options: ResolvedOptions, dice: Dice): Promise<Writer> {
    const random = () => dice.unit();
    const session = await beginSession(process, schema, options, { random, laneCount: LANES });
    return new Writer(process, options, session, new WatchedDuty(process, session, random));
  }

  appender(): { appender: Appender<Records>; at: number } {
    const { journal } = this.session;
    const lane = journal.takeLane();
    const at = journal.laneAt(lane);
    const handle = {
      memory: journal.memory,
      fingerprint: schema.fingerprint,
      lane,
      at,
      symbolCapacity: journal.map.symbolCapacity,
      onFull: this.#options.onFull,
    };
    return { appender: new Appender(schema, handle, () => this.process.nowNs()), at };
  }

  /** Up to where the records of the lane at `at` are on their storage nodes. */
  head(at: number): number {
    return Number(Atomics.load(new BigInt64Array(this.session.journal.memory.buffer), (at + LANE_HEAD) >> 3));
  }

  /** One turn of the flusher's thread, where none is under way. */
  turn(): void {
    if (this.#turning !== null || this.failure !== null) return;
    this.#turning = this.duty
      .cycle()
      .catch((error) => {
        this.failure = error;
        if (!this.process.dead) failTape(this.session.journal.memory, this.session.journal.map);
      })
      .finally(() => {
        this.#turning = null;
      });
  }

  /** `turn` has to be called meanwhile. */
  flush(): Promise<FlushReport> {
    return this.duty.assembly.flusher.flush();
  }

  async close(): Promise<FlushReport> {
    const { journal } = this.session;
    Atomics.store(new Int32Array(journal.memory.buffer), CONTROL_STATE >> 2, TAPE_CLOSING);
    let report: FlushReport | null = null;
    try {
      if (this.failure !== null) throw this.failure;
      report = await this.duty.close();
      return report;
    } finally {
      if (!this.process.dead) {
        if (report !== null) this.session.end(report.records);
        else {
          stopLanes(journal.memory, journal.map);
          failTape(journal.memory, journal.map);
          this.session.abandon();
        }
      }
    }
  }
}

/** The tape as another process reads it; null where there is none to be seen. */
export async function openReader(
  process: SimulatedProcess,
  options: ResolvedOptions,
): Promise<{ blocks: TapeBlocks<Records>; mark: () => bigint; verify: () => Promise<Verdict> } | null> {
  const { files } = process;
  const { directories, journal, tapeId, roster } = survey(files, options.storage, options.journal);
  if (tapeId === null) return null;
  const catalog = new Catalog(files, directories, roster?.skipped, roster?.firstSequence);
  catalog.refresh(tapeId);
  const zstd = await process.zstd();
  return {
    blocks: new TapeBlocks(files, schema, tapeId, catalog, zstd, null),
    mark: () => catalog.firstSequence,
    verify: () =>
      verifyTape({ runtime: process, schema, zstd, directories, journal }, { redundancy: options.redundancy }),
  };
}
