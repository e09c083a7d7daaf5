// What is old goes, from all storage nodes or from none, also across a crash:
//   1. the lanes are synced: one whose `head` a power cut set back would be recovered, and it is its blocks that tell what of it is stored;
//   2. the mark, `firstSequence`, is written into each storage-node.json: with the first of them it holds, since the greatest counts;
//   3. and into tape.json;
//   4. segments wholly below the mark are removed.
// Killed in between, the next open for writing writes the mark everywhere and removes what is left (`finishRetention`).
//
// The newest segment of a storage node stays, though all of it may be below the mark: segments are numbered from there, and a name
// that came again would be taken for the file that had it before.
import path from 'node:path';
import { assert, TapeError } from '../errors.js';
import type { Files } from '../files.js';
import { ioError } from '../io.js';
import { listLanes } from '../journal/journal.js';
import type { RetentionOptions } from '../options.js';
import { lengthOf, type Range, subtract } from '../ranges.js';
import { type Catalog, isByWriter, listSegments, segmentNumber } from '../segment/catalog.js';
import { FOOTER_ENTRY_BYTES, TRAILER_BYTES } from '../segment/footer.js';
import type { SegmentHeader } from '../segment/header.js';
import { type SegmentReader, withSegment } from '../segment/reader.js';
import type { RetentionStats } from '../stats.js';
import { changeStorageRosterInBackground, changeTapeRosterInBackground, STORAGE_FILE } from './identity.js';
import { planRetention, type RetainedSegment } from './retention-plan.js';
import type { Roster } from './roster.js';

/** Between two looks at what there is; less where the age asks for it. */
const LONGEST_PAUSE_MS = 2000;
const SHORTEST_PAUSE_MS = 50;
/** While a segment without a footer grows it is young; once it has not grown for so long, its blocks say how old it is. */
const SETTLED_NS = 60_000_000_000n;
/** Behind every sequence. */
const NEVER = 2n ** 64n;

export interface RetentionParts {
  files: Files;
  directories: readonly string[];
  journal: string;
  policy: RetentionOptions;
  /** Of this session: its segments may be without a footer. */
  epoch: number;
  /** The mark, as every roster has it. */
  firstSequence: bigint;
  /** Sequences that no record has. */
  skipped: readonly Range[];
  /** The wall clock. */
  nowNs(): bigint;
  /** One that is never set. */
  nowMs(): number;
  /** Whether the storage node with this index fails, and is to be left alone for now. */
  isAside(storage: number): boolean;
  /** What went since the call before. */
  onDropped(dropped: RetentionStats): void;
  onTrouble(error: TapeError): void;
}

interface KnownSegment extends RetainedSegment {
  sealed: boolean;
  /** When it was seen to have grown, and whether that was so long ago that its blocks were looked at. */
  grownNs: bigint;
  isSettled: boolean;
}

/** Drops what is old while the tape is written. It has no timer: whoever writes the tape calls `tick` again and again. */
export class Retention {
  readonly #parts: RetentionParts;
  readonly #pauseMs: number;
  readonly #startNs: bigint;
  readonly #startMs: number;
  readonly #segments = new Map<string, KnownSegment>();
  /** Storage nodes that were looked at. */
  readonly #seen = new Set<number>();
  /** The mark as each storage node's roster has it, and as tape.json has it. */
  readonly #marks: bigint[];
  #tapeMark: bigint;
  #mark: bigint;
  #running: Promise<void> | null = null;
  #closing = false;
  #nextMs: number;
  /** What went wrong this time, and the time before: the same is said once. */
  #troubles = new Set<string>();
  #toldOf = new Set<string>();

  constructor(parts: RetentionParts) {
    const { policy, firstSequence, directories } = parts;
    this.#parts = parts;
    this.#pauseMs = Math.max(SHORTEST_PAUSE_MS, Math.min(LONGEST_PAUSE_MS, (policy.ageMs ?? Infinity) / 8));
    this.#startNs = parts.nowNs();
    this.#startMs = parts.nowMs();
    this.#nextMs = this.#startMs;
    this.#mark = firstSequence;
    this.#tapeMark = firstSequence;
    this.#marks = directories.map(() => firstSequence);
  }

  /** Starts to look, when it is time to. `releasedTo`: blocks below it are stored, and the lanes' files have let go of their records. */
  tick(releasedTo: bigint): void {
    if (this.#running !== null || this.#closing || this.#parts.nowMs() < this.#nextMs) return;
    this.#running = this.run(releasedTo).finally(() => {
      this.#running = null;
      this.#nextMs = this.#parts.nowMs() + this.#pauseMs;
    });
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#running;
  }

  /** Looks at what there is and drops what may go. In steps, with the thread left to others between them. */
  async run(releasedTo: bigint): Promise<void> {
    this.#troubles = new Set();
    const nowNs = this.#nowNs();
    const reached = await this.#look(nowNs);
    if (reached !== null && !this.#closing) {
      const place = { firstSequence: this.#mark, releasedTo, nowNs };
      const plan = planRetention([...this.#segments.values()], this.#parts.policy, place);
      if (await this.#moveMark(plan.firstSequence, reached)) {
        for (const segment of plan.remove) if (reached.has(segment.storage)) await this.#remove(segment);
      }
    }
    this.#toldOf = this.#troubles;
  }

  /**
   * The wall clock, but not ahead of what has passed since the start: when it jumps ahead nothing is older for that. Nor is anything
   * when it is set back.
   */
  #nowNs(): bigint {
    const { nowNs, nowMs } = this.#parts;
    const passedNs = BigInt(Math.floor((nowMs() - this.#startMs) * 1e6));
    const [wall, steady] = [nowNs(), this.#startNs + passedNs];
    return wall < steady ? wall : steady;
  }

  /**
   * Reads the footers of segments that are new. Answers the storage nodes that it could look at; of the others it knows what it knew. Null
   * where it knows nothing of one of them yet.
   */
  async #look(nowNs: bigint): Promise<Set<number> | null> {
    const { directories, isAside } = this.#parts;
    const reached = new Set<number>();
    for (const [storage, directory] of directories.entries()) {
      if (!isAside(storage) && (await this.#lookAt(storage, directory, nowNs))) {
        reached.add(storage);
        this.#seen.add(storage);
      }
      if (this.#closing) return null;
    }
    return this.#seen.size === directories.length ? reached : null;
  }

  async #lookAt(storage: number, directory: string, nowNs: bigint): Promise<boolean> {
    try {
      if (this.#parts.files.exists(path.join(directory, STORAGE_FILE))) {
        await this.#list(storage, directory, nowNs);
        return true;
      }
      throw new TapeError('NOT_FOUND', `${directory}: retention finds nothing there: is its disk mounted?`, {
        path: directory,
        storageNode: directory,
      });
    } catch (error) {
      this.#tell(error, directory, 'look for what is old');
      return false;
    }
  }

  async #list(storage: number, directory: string, nowNs: bigint): Promise<void> {
    const names = listSegments(this.#parts.files, directory);
    const newest = newestOf(names);
    const paths = new Set(names.map((name) => path.join(directory, name)));
    for (const segment of this.#segments.values()) {
      if (segment.storage === storage && !paths.has(segment.path)) this.#segments.delete(segment.path);
    }
    for (const name of names) {
      const file = path.join(directory, name);
      let known = this.#segments.get(file) ?? null;
      if (!known?.sealed) {
        known = this.#read(storage, file, known, nowNs);
        if (known === null) this.#segments.delete(file);
        else this.#segments.set(file, known);
        await breath();
        if (this.#closing) return;
      }
      if (known !== null) known.removable = known.sealed && !newest.has(name);
    }
  }

  /** Null for a file that went meanwhile, or of which too little can be read: it stays where it is. */
  #read(storage: number, file: string, known: KnownSegment | null, nowNs: bigint): KnownSegment | null {
    try {
      return withSegment(this.#parts.files, file, (reader) => {
        const header = reader.header();
        const footer = reader.footer();
        const base = { storage, path: file, bytes: reader.fileBytes, removable: false };
        if (footer !== null) {
          // A segment that repair made is not younger for its copies being new.
          const isDated = typeof header !== 'string' && isByWriter(path.basename(file));
          let newestNs = isDated ? header.createdNs : NO_TIME;
          let [first, end] = [NEVER, 0n];
          for (const { sequence, count, greatestNs } of footer.entries) {
            if (sequence < first) first = sequence;
            if (sequence + BigInt(count) > end) end = sequence + BigInt(count);
            if (greatestNs > newestNs) newestNs = greatestNs;
          }
          return { ...base, first, end, newestNs, sealed: true, isSettled: true, grownNs: newestNs };
        }
        // Damaged, or left by a session before.
        if (typeof header === 'string' || header.epoch !== this.#parts.epoch) return null;
        return { ...base, end: NEVER, sealed: false, ...this.#readOpen(reader, header, known, nowNs) };
      });
    } catch (error) {
      if (error instanceof TapeError && (error.code === 'NOT_FOUND' || error.code === 'BAD_VERSION')) return null;
      throw error;
    }
  }

  /** Of a segment without a footer only the first block is looked at, until it is settled. */
  #readOpen(reader: SegmentReader, { headerBytes, tapeId }: SegmentHeader, known: KnownSegment | null, nowNs: bigint) {
    const grownNs = known?.bytes === reader.fileBytes ? known.grownNs : nowNs;
    let first = known?.first ?? NEVER;
    if (nowNs - grownNs < SETTLED_NS) {
      if (first === NEVER) {
        const block = reader.blockHeader(headerBytes);
        if (typeof block !== 'string') first = block.sequence;
      }
      return { first, newestNs: nowNs, isSettled: false, grownNs };
    }
    if (known?.isSettled && known.grownNs === grownNs)
      return { first, newestNs: known.newestNs, isSettled: true, grownNs };
    let newestNs = grownNs;
    for (const { header } of reader.walk(headerBytes, false, tapeId)) {
      if (header.sequence < first) first = header.sequence;
      if (header.greatestNs > newestNs) newestNs = header.greatestNs;
    }
    return { first, newestNs, isSettled: true, grownNs };
  }

  /** Answers whether the mark holds. */
  async #moveMark(mark: bigint, reached: ReadonlySet<number>): Promise<boolean> {
    const { files, directories, journal, skipped } = this.#parts;
    assert(mark >= this.#mark, 'the mark of retention only rises');
    if (mark > this.#mark) {
      try {
        for (const file of listLanes(files, journal)) await syncLane(files, file);
      } catch (error) {
        this.#tell(error, journal, 'sync the lanes');
        return false;
      }
    }
    const raise = (roster: Roster) => ({
      ...roster,
      firstSequence: mark > roster.firstSequence ? mark : roster.firstSequence,
    });
    for (const storage of reached) {
      if (this.#marks[storage] >= mark) continue;
      try {
        await changeStorageRosterInBackground(files, directories[storage], raise);
        this.#marks[storage] = mark;
      } catch (error) {
        this.#tell(error, directories[storage], 'write what retention drops');
      }
    }
    if (!this.#marks.some((written) => written >= mark)) return false;
    if (mark > this.#mark) {
      const records = lengthOf(subtract([{ from: this.#mark, to: mark }], skipped));
      this.#mark = mark;
      this.#parts.onDropped({ firstSequence: mark, records, segments: 0, bytes: 0 });
    }
    if (this.#tapeMark < mark) {
      try {
        await changeTapeRosterInBackground(files, journal, raise);
        this.#tapeMark = mark;
      } catch (error) {
        this.#tell(error, journal, 'write what retention drops');
      }
    }
    return true;
  }

  async #remove({ path: file, bytes }: RetainedSegment): Promise<void> {
    try {
      this.#parts.files.remove(file);
      this.#segments.delete(file);
      this.#parts.onDropped({ firstSequence: this.#mark, records: 0, segments: 1, bytes });
    } catch (error) {
      this.#tell(error, file, 'remove a segment that retention dropped');
    }
    await breath();
  }

  #tell(error: unknown, file: string, action: string): void {
    if (!(error instanceof TapeError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
    const trouble = ioError(error, file, action);
    if (!this.#toldOf.has(trouble.message) && !this.#troubles.has(trouble.message)) this.#parts.onTrouble(trouble);
    this.#troubles.add(trouble.message);
  }
}

/** Before any time. */
const NO_TIME = -(2n ** 63n);

/** Lets others have the thread. */
const breath = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The file, with what was stored into a mapping of it, on the disk. */
async function syncLane(files: Files, file: string): Promise<void> {
  const handle = files.open(file, 'edit');
  try {
    await handle.syncAsync();
  } finally {
    handle.close();
  }
}

/** Of the segments of one storage node, those by the writer and those by repair. */
function newestOf(names: readonly string[]): Set<string> {
  const newest = [true, false].map((byWriter) =>
    names
      .filter((name) => isByWriter(name) === byWriter)
      .reduce((last, name) => (last === '' || segmentNumber(name) > segmentNumber(last) ? name : last), ''),
  );
  return new Set(newest);
}

/**
 * Removes what an earlier session dropped and did not get to remove. The catalog is complete, and every roster has its mark.
 * What can't be removed stays, and `onWarning` is told.
 */
export function finishRetention(
  files: Files,
  catalog: Catalog,
  onWarning: (message: string) => void,
): { segments: number; bytes: number } {
  const done = { segments: 0, bytes: 0 };
  if (catalog.firstSequence === 0n) return done;
  for (const [storage] of catalog.directories.entries()) {
    const segments = [...catalog.segments.values()].filter((segment) => segment.storage === storage);
    const newest = newestOf(segments.map((segment) => path.basename(segment.path)));
    for (const { path: file, sealed, entries, end } of segments) {
      const isBelow = entries.every(({ sequence, count }) => sequence + BigInt(count) <= catalog.firstSequence);
      if (!sealed || !isBelow || newest.has(path.basename(file))) continue;
      try {
        files.remove(file);
        done.segments++;
        done.bytes += end + entries.length * FOOTER_ENTRY_BYTES + TRAILER_BYTES;
      } catch (cause) {
        onWarning(ioError(cause, file, 'remove a segment that retention dropped').message);
      }
    }
  }
  return done;
}
