import path from 'node:path';
import { TapeError } from '../../errors.js';
import { ioError } from '../../io.js';
import { lastSegmentNumber, segmentName } from '../../segment/catalog.js';
import { makeDirectory } from '../survey.js';
import type { CopyChecker } from './copy-checker.js';
import {
  type BlockState,
  type CopyState,
  type NewCopy,
  planRepair,
  type RepairPlan,
  type RepairState,
  type SegmentState,
} from './plan.js';
import { copyBytes, RepairSegment, repairFile, SourceFailed } from './repair-segment.js';
import { rankOf } from './state.js';
import type { ScrubbedTape } from './survey-copies.js';
import type { Turns } from './turns.js';

/** What a repair has done so far. */
export interface RepairCounts {
  /** Copies written to new segments, those of segments that were rewritten included. */
  copiesMade: number;
  /** Bad copies that were written over with the bytes of a good one. */
  mendedInPlace: number;
  bytesWritten: number;
  /** Segments that were damaged, or held what was not wanted, and are gone; what was good in them lies in new ones. */
  segmentsRewritten: number;
  /** Copies that are gone with their segments: bad, surplus, or moved. */
  dropped: number;
}

export interface RepairProgress {
  stage: 'check' | 'write';
  /** Of `check` blocks, of `write` bytes. */
  done: number;
  total: number;
  counts: Readonly<RepairCounts>;
}

/** Writing to a storage node, or removing from it, went wrong. */
export interface Trouble {
  path: string;
  message: string;
}

export interface RepairWork {
  tape: ScrubbedTape;
  tapeId: Uint8Array;
  epoch: number;
  state: RepairState;
  checker: CopyChecker;
  turns: Turns;
  segmentBytes: number;
  random: () => number;
  onProgress: (progress: RepairProgress) => void;
}

/** Carries out what planning says, and tells planning what came of it. */
export class Repairer {
  readonly counts: RepairCounts = {
    copiesMade: 0,
    mendedInPlace: 0,
    bytesWritten: 0,
    segmentsRewritten: 0,
    dropped: 0,
  };
  readonly troubles: Trouble[] = [];
  readonly #work: RepairWork;

  constructor(work: RepairWork) {
    this.#work = work;
  }

  /** Writes until there is nothing more to write; answers the last plan. `tidy`: also to get rid of what is not wanted. */
  async restore({ tidy }: { tidy: boolean }): Promise<RepairPlan> {
    for (;;) {
      const plan = this.#plan();
      const writes = tidy ? [...plan.additions, ...plan.rewrites] : plan.additions;
      if (plan.mends.length + writes.length === 0) return plan;
      const total = [...plan.mends, ...writes].reduce((sum, { block }) => sum + block.blockBytes, 0);
      let done = 0;
      const step = (block: BlockState) => {
        done += block.blockBytes;
        this.#work.onProgress({ stage: 'write', done, total, counts: this.counts });
      };
      for (const { block, copy } of plan.mends) {
        await this.#mend(block, copy);
        step(block);
        if (this.#work.turns.due) await this.#work.turns.give();
      }
      for (const storage of this.#work.state.nodes.keys()) {
        const copies = writes.filter((copy) => copy.storage === storage);
        if (copies.length > 0) await this.#write(storage, copies, step);
      }
    }
  }

  /** The same with nothing written: what would be. */
  rehearse(): RepairPlan {
    for (;;) {
      const plan = this.#plan();
      const writes = [...plan.additions, ...plan.rewrites];
      if (plan.mends.length + writes.length === 0) {
        this.#countRemovals(plan.removals);
        return plan;
      }
      for (const { block, copy } of plan.mends) this.#enterMend(block, copy);
      for (const { block, storage } of writes) {
        const segment: SegmentState = {
          path: '',
          storage,
          state: 'sealed',
          rank: Number.MAX_SAFE_INTEGER,
          stays: false,
        };
        this.#enterCopy(block, segment, 0);
      }
    }
  }

  #plan(): RepairPlan {
    const { state, tape, random } = this.#work;
    state.nodes.forEach((node, storage) => {
      node.freeBytes = tape.runtime.files.freeBytes(tape.directories[storage]);
    });
    return planRepair(state, random);
  }

  async #mend(block: BlockState, copy: CopyState): Promise<void> {
    const { tape, checker } = this.#work;
    const { path: file } = copy.segment;
    const source = sourceOf(block);
    if (source === undefined) return;
    try {
      const target = tape.runtime.files.open(file, 'edit');
      try {
        const entry = { ...block, offset: source.offset };
        await copyBytes(checker.reader(source.segment.path), entry, target, copy.offset);
        await target.syncAsync();
      } finally {
        target.close();
      }
    } catch (cause) {
      if (cause instanceof SourceFailed) source.good = false;
      else {
        copy.mendable = false;
        this.#note(file, ioError(cause, file, 'mend a block'));
      }
      return;
    }
    const reason = checker.check(file, { ...block, offset: copy.offset });
    if (reason === null) this.#enterMend(block, copy);
    else {
      copy.mendable = false;
      this.#note(file, new Error(`${file}: block ${block.sequence} is bad after it was written anew: ${reason}`));
    }
  }

  #enterMend(block: BlockState, copy: CopyState): void {
    copy.good = true;
    this.counts.mendedInPlace++;
    this.counts.bytesWritten += block.blockBytes;
  }

  #enterCopy(block: BlockState, segment: SegmentState, offset: number): void {
    block.copies.push({ segment, offset, good: true, mendable: true });
    this.#work.state.nodes[segment.storage].bytes += block.blockBytes;
    this.counts.copiesMade++;
    this.counts.bytesWritten += block.blockBytes;
  }

  /** New copies on one storage node, many to a segment. Where it fails, none goes there any more. */
  async #write(storage: number, copies: readonly NewCopy[], step: (block: BlockState) => void): Promise<void> {
    const { tape, turns, segmentBytes, checker } = this.#work;
    const sorted = [...copies].sort((a, b) => (a.block.sequence < b.block.sequence ? -1 : 1));
    let segment: RepairSegment | null = null;
    let blocks: BlockState[] = [];
    const finish = async () => {
      if (segment === null) return;
      const made = segment;
      segment = null;
      if (blocks.length === 0) return made.abandon();
      await made.finish(checker);
      const known: SegmentState = { path: made.path, storage, state: 'sealed', rank: rankOf(made.path), stays: false };
      this.#work.state.segments.push(known);
      for (const [i, block] of blocks.entries()) this.#enterCopy(block, known, made.entries[i].offset);
      blocks = [];
    };
    try {
      for (const { block } of sorted) {
        if (turns.due) await turns.give();
        if (segment !== null && segment.bytes + block.blockBytes > segmentBytes) await finish();
        segment ??= this.#newSegment(storage);
        const source = sourceOf(block);
        if (source === undefined) continue;
        try {
          await segment.add(this.#readerOf(source), { ...block, offset: source.offset });
          blocks.push(block);
        } catch (error) {
          if (!(error instanceof SourceFailed)) throw error;
          source.good = false;
        }
        step(block);
      }
      await finish();
    } catch (error) {
      (segment as RepairSegment | null)?.abandon();
      turns.check();
      if (!(error instanceof TapeError)) throw error;
      this.#work.state.nodes[storage].takes = false;
      this.#note(tape.directories[storage], error);
    }
  }

  #readerOf({ segment }: CopyState) {
    try {
      return this.#work.checker.reader(segment.path);
    } catch (cause) {
      throw new SourceFailed((cause as Error).message, { cause });
    }
  }

  #newSegment(storage: number): RepairSegment {
    const { tape } = this.#work;
    const directory = tape.directories[storage];
    makeDirectory(tape.runtime.files, directory);
    const last = Math.max(
      0,
      ...this.#work.state.segments.flatMap((segment) => (segment.storage === storage ? [segment.rank] : [])),
    );
    // By the clock, so that no number comes back once its segment is gone: readers know segments by their names.
    let number = Math.max(last + 1, Number(tape.runtime.nowNs() / 1_000_000n));
    while (tape.runtime.files.exists(repairFile(directory, number))) number++;
    return this.#makeSegment(storage, repairFile(directory, number));
  }

  #makeSegment(storageNode: number, file: string): RepairSegment {
    const { tape, tapeId, epoch } = this.#work;
    const createdNs = tape.runtime.nowNs();
    return new RepairSegment(tape.runtime.files, file, { tapeId, storageNode, createdNs, epoch, schema: tape.schema });
  }

  /**
   * Where the writer's newest segment is to go, an empty one follows it: a writer numbers its segments from the newest, and a name that
   * came back would be taken for the file that had it before. Answers which of the segments may go.
   */
  async keepNumbers(segments: readonly SegmentState[]): Promise<SegmentState[]> {
    const { tape, checker, state } = this.#work;
    const mayGo: SegmentState[] = [];
    for (const segment of segments) {
      const { path: file, storage } = segment;
      const directory = tape.directories[storage];
      try {
        const last = lastSegmentNumber(tape.runtime.files, directory);
        if (!state.nodes[storage].retiring && path.basename(file) === segmentName(last)) {
          await this.#makeSegment(storage, path.join(directory, segmentName(last + 1))).finish(checker);
        }
        mayGo.push(segment);
      } catch (error) {
        if (!(error instanceof TapeError)) throw error;
        this.#note(file, error);
      }
    }
    return mayGo;
  }

  /** Removes segments of which nothing is wanted. */
  remove(segments: readonly SegmentState[]): void {
    const { tape, checker } = this.#work;
    const removed: SegmentState[] = [];
    for (const segment of segments) {
      try {
        checker.forget(segment.path);
        tape.runtime.files.remove(segment.path);
        removed.push(segment);
      } catch (cause) {
        this.#note(segment.path, ioError(cause, segment.path, 'remove it'));
      }
    }
    this.#countRemovals(removed);
    for (const storage of new Set(removed.map((segment) => segment.storage))) {
      try {
        tape.runtime.files.syncDirectory(tape.directories[storage]);
      } catch (error) {
        this.#note(tape.directories[storage], error as Error);
      }
    }
  }

  #countRemovals(removed: readonly SegmentState[]): void {
    const { nodes, blocks } = this.#work.state;
    const gone = new Set(removed);
    for (const block of blocks) {
      const left = block.copies.filter(({ segment }) => !gone.has(segment));
      this.counts.dropped += block.copies.length - left.length;
      block.copies = left;
    }
    this.#work.state.segments = this.#work.state.segments.filter((segment) => !gone.has(segment));
    this.counts.segmentsRewritten += removed.filter(({ storage }) => !nodes[storage].retiring).length;
  }

  #note(file: string, { message }: Error): void {
    this.troubles.push({ path: file, message });
  }
}

/** None where the last one has just gone bad. */
const sourceOf = ({ copies }: BlockState): CopyState | undefined => copies.find(({ good }) => good);
