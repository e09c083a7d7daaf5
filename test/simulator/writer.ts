import path from 'node:path';
import {
  CONTROL_STATE,
  LANE_CAPACITY,
  LANE_HEAD,
  LANE_SEALED_AT,
  LANE_TAIL,
  TAPE_CLOSING,
  TAPE_FAILED,
} from '../../dist/assembly/layout.js';
import { firstEffort } from '../../dist/src/block/effort.js';
import { BlockEncoder } from '../../dist/src/block/encoder.js';
import { TapeError } from '../../dist/src/errors.js';
import { AdaptiveEffort, GROWTH } from '../../dist/src/flush/adaptive.js';
import { Flusher } from '../../dist/src/flush/flusher.js';
import { Appender } from '../../dist/src/journal/appender.js';
import { BufferedJournal } from '../../dist/src/journal/buffered.js';
import { Journal, readSymbols } from '../../dist/src/journal/journal.js';
import { memoryMap } from '../../dist/src/journal/memory-map.js';
import { planRecovery, type RecoveryReport, recover } from '../../dist/src/journal/recovery.js';
import { instantiateKernels } from '../../dist/src/kernels.js';
import type { ResolvedOptions } from '../../dist/src/options.js';
import { TapeBlocks } from '../../dist/src/read/reader.js';
import type { FileLock } from '../../dist/src/runtime.js';
import { Catalog } from '../../dist/src/segment/catalog.js';
import { DirectoryStorageNode } from '../../dist/src/storage/directory.js';
import { type TapeFile, writeTapeFile } from '../../dist/src/storage/identity.js';
import { Replicator } from '../../dist/src/storage/replicator.js';
import { checkRoster, RESERVED_SEQUENCES, type Roster } from '../../dist/src/storage/roster.js';
import { claimDirectories, makeDirectory, survey } from '../../dist/src/storage/survey.js';
import type { Dice } from './dice.js';
import { ProcessDied, type SimulatedProcess } from './process.js';
import { type Records, schema } from './records.js';

/** Lanes are few, so that a tape's memory is small. */
const LANES = 4;

export interface Setup {
  options: ResolvedOptions;
  tapeId: Uint8Array;
  mapped: boolean;
}

/** A tape that is open for writing: what src/open.ts and src/flush/worker.ts put together, on one thread and step by step. */
export class Writer {
  readonly process: SimulatedProcess;
  readonly recovery: RecoveryReport;
  readonly blocks: TapeBlocks<Records>;
  readonly journal: Journal;
  readonly flusher: Flusher;
  /** Errors that the flusher went on after. */
  readonly troubles: Error[] = [];
  /** The flusher can't go on. */
  failure: Error | null = null;
  readonly #parts: Parts;
  #turning: Promise<void> | null = null;
  #syncing = false;
  #syncedMs: number;
  readonly #commands: (() => Promise<void>)[] = [];
  /** Called when what was appended so far is in the files of the journal. */
  onPersist: () => void = () => {};
  /** Called when a background sync is done; made when it begins. */
  onSync: () => () => void = () => () => {};

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.process = parts.process;
    this.recovery = parts.recovery;
    this.blocks = parts.blocks;
    this.journal = parts.journal;
    this.flusher = parts.flusher;
    this.#syncedMs = parts.process.world.scheduler.nowMs;
  }

  static async open(process: SimulatedProcess, { options, tapeId, mapped }: Setup, dice: Dice): Promise<Writer> {
    const { files } = process;
    const before = survey(files, options.storage, options.journal);
    checkRoster(before.roster, before.directories, before.ids, options.lostStorageNodes);
    makeDirectory(files, before.journal);
    const lock = process.lock(path.posix.join(before.journal, 'lock'));
    let journal: Journal | undefined;
    try {
      const found = survey(files, options.storage, options.journal);
      const { roster } = found;
      const givenUp = checkRoster(roster, found.directories, found.ids, options.lostStorageNodes);
      const catalog = new Catalog(files, found.directories, roster?.skipped);
      const symbols = readSymbols(files, found.journal, tapeId);
      const zstd = await process.zstd();
      const input = { files, schema, tapeId, journal: found.journal, catalog, symbols, zstd, options };
      const plan = planRecovery(input);
      for (const directory of found.directories) makeDirectory(files, directory);
      let epoch = Math.max(found.tape?.epoch ?? 0, roster?.epoch ?? 0);
      for (const { header } of catalog.segments.values()) epoch = Math.max(epoch, header.epoch);
      for (const lane of plan.lanes) epoch = Math.max(epoch, lane.epoch);
      epoch++;
      if (givenUp.length > 0) {
        const next = catalog.nextSequence;
        const to = roster!.nextSequence;
        catalog.skipped = [...catalog.skipped, ...catalog.gaps(), ...(next < to ? [{ from: next, to }] : [])];
      }
      const tapeFile = claimDirectories(
        files,
        found,
        { tapeId, schema, epoch },
        {
          lost: [...(roster?.lost ?? []), ...givenUp],
          nextSequence: catalog.nextSequence + RESERVED_SEQUENCES,
          skipped: catalog.skipped,
        },
      );
      const { segmentBytes, segmentMaxAgeMs } = options;
      const session = { tapeId, schema, epoch, segmentBytes, segmentMaxAgeMs };
      const nodes = () =>
        found.directories.map(
          (directory, ordinal) => new DirectoryStorageNode(directory, process, { ...session, ordinal }),
        );
      const nowMs = () => process.world.scheduler.nowMs;
      const random = () => dice.unit();
      const ended = new Replicator(nodes(), options.redundancy, random, nowMs);
      const recovery = await recover(input, plan, ended, epoch);
      await ended.close(true);
      catalog.refresh(tapeId);
      const { capacity, laneBytes, maxSymbols } = options;
      const adaptive = options.compression === 'adaptive';
      const map = memoryMap(schema, {
        capacity,
        growth: adaptive ? GROWTH : 1,
        laneBytes,
        laneCount: LANES,
        symbolCapacity: Math.max(maxSymbols, symbols?.capacity ?? 0),
      });
      const mapper = mapped ? process.mapper() : null;
      const { nextSequence } = catalog;
      journal = new Journal({ runtime: process, mapper, directory: found.journal, tapeId, epoch, schema, map });
      const { memory } = journal;
      const kernels = instantiateKernels(memory);
      const replicator = new Replicator(nodes(), options.redundancy, random, nowMs);
      const flusher = new Flusher({
        memory,
        map,
        kernels,
        encoder: new BlockEncoder(schema, kernels, memory, map, zstd, firstEffort(options.compression)),
        adaptive: adaptive ? new AdaptiveEffort() : null,
        replicator,
        tapeId,
        epoch,
        laneOf: (lane) => ({ epoch, lane }),
        nextSequence,
        durable: options.durability === 'disk',
        flushIntervalMs: options.flushIntervalMs,
        nowMs,
      });
      return new Writer({
        process,
        options,
        journal,
        flusher,
        replicator,
        buffered: mapped ? null : new BufferedJournal(files, memory, map, found.journal, epoch),
        blocks: new TapeBlocks(files, schema, tapeId, catalog, zstd, null),
        recovery,
        lock,
        tapeFile,
        nextSequence,
        journalDirectory: found.journal,
      });
    } catch (error) {
      if (!process.dead) {
        journal?.close(true);
        lock.release();
      }
      throw error;
    }
  }

  appender(): { append: Appender<Records>; at: number } {
    const { journal, options, process } = this.#parts;
    const lane = journal.takeLane();
    const at = journal.laneAt(lane);
    const handle = {
      memory: journal.memory,
      fingerprint: schema.fingerprint,
      lane,
      at,
      symbolCapacity: journal.map.symbolCapacity,
      onFull: options.onFull,
    };
    return { append: new Appender(schema, handle, () => process.nowNs()), at };
  }

  /** Up to where the records of the lane at `at` are on their storage nodes. */
  head(at: number): number {
    return Number(Atomics.load(new BigInt64Array(this.journal.memory.buffer), (at + LANE_HEAD) >> 3));
  }

  get isBusy(): boolean {
    return this.#turning !== null;
  }

  /** One turn of the flusher's thread, where none is under way. */
  turn(): void {
    if (this.#turning !== null || this.failure !== null) return;
    this.#turning = this.#turn()
      .catch((error) => {
        this.failure = error;
        if (this.process.dead) return;
        Atomics.store(new Int32Array(this.journal.memory.buffer), CONTROL_STATE >> 2, TAPE_FAILED);
      })
      .finally(() => {
        this.#turning = null;
      });
  }

  async #turn(): Promise<void> {
    const { flusher, options, buffered, process } = this.#parts;
    const { nowMs } = process.world.scheduler;
    try {
      buffered?.persist();
      this.onPersist();
      await flusher.doWork();
      if (options.syncIntervalMs > 0 && !this.#syncing && nowMs - this.#syncedMs >= options.syncIntervalMs) {
        void this.sync();
      }
    } catch (error) {
      if (!(error instanceof TapeError) || error.code === 'CORRUPT') throw error;
      this.troubles.push(error);
    }
    await this.#commands.shift()?.();
  }

  /** As the flusher does in the background. */
  async sync(): Promise<void> {
    if (this.#syncing) return;
    this.#syncing = true;
    const synced = this.onSync();
    try {
      this.#parts.buffered?.sync();
      await this.#parts.replicator.syncInBackground();
      synced();
    } catch (error) {
      if (!(error instanceof ProcessDied)) this.troubles.push(error as Error);
    } finally {
      this.#syncing = false;
      this.#syncedMs = this.process.world.scheduler.nowMs;
    }
  }

  #command(work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#commands.push(() => work().then(resolve, reject));
    });
  }

  flush(): Promise<void> {
    return this.#command(() => this.flusher.flush());
  }

  async close(): Promise<void> {
    const { journal, replicator, options, buffered, blocks, lock, process } = this.#parts;
    const words = new Int32Array(journal.memory.buffer);
    Atomics.store(words, CONTROL_STATE >> 2, TAPE_CLOSING);
    let empty = false;
    try {
      await this.#command(async () => {
        const longs = new BigInt64Array(journal.memory.buffer);
        for (let lane = 0; lane < journal.map.laneCount; lane++) {
          const at = journal.laneAt(lane);
          if (longs[(at + LANE_CAPACITY) >> 3] === 0n) continue;
          Atomics.store(longs, (at + LANE_SEALED_AT) >> 3, Atomics.load(longs, (at + LANE_TAIL) >> 3));
        }
        await this.flusher.flush();
        await replicator.close(options.durability === 'disk');
        buffered?.close();
      });
      empty = true;
      this.#giveBackSequences();
    } finally {
      if (!process.dead) {
        if (!empty) Atomics.store(words, CONTROL_STATE >> 2, TAPE_FAILED);
        blocks.close();
        journal.close(empty);
        lock.release();
      }
    }
  }

  #giveBackSequences(): void {
    const { tapeFile, flusher, journalDirectory, process } = this.#parts;
    try {
      const roster = { ...tapeFile.roster, nextSequence: flusher.nextSequence };
      writeTapeFile(process.files, journalDirectory, { ...tapeFile, roster });
    } catch (error) {
      if (!(error instanceof TapeError)) throw error;
      this.troubles.push(error);
    }
  }
}

interface Parts {
  process: SimulatedProcess;
  options: ResolvedOptions;
  journal: Journal;
  flusher: Flusher;
  replicator: Replicator;
  buffered: BufferedJournal | null;
  blocks: TapeBlocks<Records>;
  recovery: RecoveryReport;
  lock: FileLock;
  tapeFile: TapeFile & { roster: Roster };
  nextSequence: bigint;
  journalDirectory: string;
}

/** The tape as another process reads it. */
export async function openReader(process: SimulatedProcess, { options, tapeId }: Setup): Promise<TapeBlocks<Records>> {
  const { files } = process;
  const found = survey(files, options.storage, options.journal);
  const catalog = new Catalog(files, found.directories, found.roster?.skipped);
  catalog.refresh(tapeId);
  return new TapeBlocks(files, schema, tapeId, catalog, await process.zstd(), null);
}
