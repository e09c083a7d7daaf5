// The gaps of a tape that is open for writing, each told to every storage node: whoever loses one, or gets a new one, has all of them.
import path from 'node:path';
import { TapeError } from './errors.js';
import type { Files, OpenFile } from './files.js';
import {
  encodeGap,
  encodeGapsHeader,
  GAP_ENTRY_BYTES,
  GAPS_FILE,
  GAPS_HEADER_BYTES,
  Gap,
  type GapId,
  GapSet,
  readGapsCopy,
} from './gaps.js';
import { ioError, removeQuietly } from './io.js';

/** Of the gap in which nothing is recorded, as no collector runs. */
export const NOT_RECORDING = 'not recording';

export interface GapLogSetup {
  files: Files;
  directories: readonly string[];
  tapeId: Uint8Array;
  epoch: number;
  /** An entry is on the disk before the next step; else it gets there in the background. */
  durable: boolean;
  onWarning(message: string): void;
}

/** One storage node's file. */
interface Copy {
  directory: string;
  file: string;
  /** Where the next entry goes; null where the file has to be written whole: it lacks something, or is not there. */
  end: number | null;
  /** It could not be written of late, which was told. */
  isFailing: boolean;
  isSyncing: boolean;
}

export class GapLog {
  readonly #setup: GapLogSetup;
  readonly #gaps = new GapSet();
  readonly #copies: Copy[];
  #nextNumber = 0;
  #isClosed = false;

  /**
   * Reads what the storage nodes have, and changes nothing.
   * @throws TapeError `FOREIGN`, `BAD_VERSION`
   */
  constructor(setup: GapLogSetup) {
    const { files, directories, tapeId, onWarning } = setup;
    this.#setup = setup;
    const found = directories.map((directory) => {
      const file = path.join(directory, GAPS_FILE);
      try {
        return { directory, file, copy: readGapsCopy(files, file, tapeId) };
      } catch (error) {
        if (!(error instanceof TapeError) || error.code === 'FOREIGN' || error.code === 'BAD_VERSION') throw error;
        onWarning(error.message);
        return { directory, file, copy: null };
      }
    });
    for (const { copy } of found) if (copy !== null) this.#gaps.addAll(copy.gaps);
    this.#copies = found.map(({ directory, file, copy }) => {
      const isWhole = copy !== null && copy.damage === null && copy.gaps.covers(this.#gaps);
      if (copy !== null && copy.damage !== null) {
        onWarning(`${file}: was damaged (${copy.damage}), and is written anew from what the other storage nodes have`);
      }
      return { directory, file, end: isWhole ? copy.bytes : null, isFailing: false, isSyncing: false };
    });
  }

  /** Makes good where a storage node lacks something, or what it has is damaged. */
  restore(): void {
    if (this.#gaps.size > 0) this.#makeGood();
  }

  /** By when they began. */
  list(): Gap[] {
    return this.#gaps.sorted();
  }

  /** Those that nobody has seen the end of. */
  open(): { id: GapId; gap: Gap }[] {
    return [...this.#gaps.entries()].filter(({ gap }) => gap.toNs === null);
  }

  /** Enters a gap. Storage nodes that fail get it later, with a warning. @throws TapeError `CLOSED` */
  add(gap: Gap): GapId {
    const id = { epoch: this.#setup.epoch, number: this.#nextNumber++ };
    this.#enter(id, gap);
    return id;
  }

  /** Ends it and answers it, or null where it has ended before. A clock that was set back gives no gap a negative length. */
  end({ epoch, number }: GapId, toNs: bigint): Gap | null {
    const known = this.open().find(({ id }) => id.epoch === epoch && id.number === number);
    if (known === undefined) return null;
    const { id, gap } = known;
    const ended = new Gap({ ...gap, toNs: toNs > gap.fromNs ? toNs : gap.fromNs });
    this.#enter(id, ended);
    return ended;
  }

  /** A session died while collectors ran: what any of them missed before ends at its last sign of life, and from then on nothing was recorded. */
  diedAt(fromNs: bigint): void {
    for (const { id, gap } of this.open()) if (gap.reason !== NOT_RECORDING) this.end(id, fromNs);
    this.stoppedAt(fromNs);
  }

  /** No collector records any more from `fromNs` on: a gap of all of them that lasts until `recordingAt`. */
  stoppedAt(fromNs: bigint): void {
    if (this.open().some(({ gap }) => gap.reason === NOT_RECORDING && gap.collector === null)) return;
    this.add(new Gap({ collector: null, name: '', fromNs, toNs: null, reason: NOT_RECORDING }));
  }

  /** Collectors record from `toNs` on. */
  recordingAt(toNs: bigint): void {
    for (const { id, gap } of this.open()) if (gap.reason === NOT_RECORDING) this.end(id, toNs);
  }

  /** Tries once more what storage nodes could not take, and puts all on the disk. */
  close(): void {
    this.#isClosed = true;
    if (this.#gaps.size === 0) return;
    this.#makeGood();
    for (const copy of this.#copies) {
      if (copy.end !== null) this.#try(copy, () => this.#withFile(copy.file, 'edit', (handle) => handle.sync()));
    }
  }

  #enter(id: GapId, gap: Gap): void {
    // From here on the files are another session's.
    if (this.#isClosed) throw new TapeError('CLOSED', 'the tape is closed: open it again to tell of gaps');
    this.#gaps.add(id, gap);
    const entry = encodeGap(this.#setup.tapeId, id, gap);
    for (const copy of this.#copies) {
      const { end } = copy;
      if (end !== null && this.#try(copy, () => this.#append(copy, end, entry))) copy.end = end + entry.length;
    }
    this.#makeGood();
  }

  /** @throws the system's error; TapeError `TRUNCATED` where the file is shorter than it was */
  #append(copy: Copy, end: number, entry: Uint8Array): void {
    const { file } = copy;
    this.#withFile(file, 'edit', (handle) => {
      if (handle.bytes < end) throw new TapeError('TRUNCATED', `${file}: was cut`, { path: file });
      handle.write(entry, end);
      if (this.#setup.durable) handle.sync();
      else if (!copy.isSyncing) void this.#syncLater(copy, handle);
    });
  }

  async #syncLater(copy: Copy, handle: OpenFile): Promise<void> {
    copy.isSyncing = true;
    try {
      await handle.syncAsync();
    } catch (cause) {
      this.#fail(copy, cause);
    } finally {
      copy.isSyncing = false;
    }
  }

  /** Writes the files that lack something, whole. */
  #makeGood(): void {
    const behind = this.#copies.filter(({ end }) => end === null);
    if (behind.length === 0) return;
    const { tapeId } = this.#setup;
    const bytes = new Uint8Array(GAPS_HEADER_BYTES + this.#gaps.size * GAP_ENTRY_BYTES);
    bytes.set(encodeGapsHeader(tapeId));
    let at = GAPS_HEADER_BYTES;
    for (const { id, gap } of this.#gaps.entries()) {
      bytes.set(encodeGap(tapeId, id, gap), at);
      at += GAP_ENTRY_BYTES;
    }
    for (const copy of behind) {
      if (this.#try(copy, () => this.#replace(copy, bytes))) copy.end = bytes.length;
    }
  }

  #replace({ directory, file }: Copy, bytes: Uint8Array): void {
    const { files } = this.#setup;
    const made = `${file}.tmp`;
    try {
      this.#withFile(made, 'make', (handle) => {
        handle.write(bytes, 0);
        handle.sync();
      });
      files.rename(made, file);
      files.syncDirectory(directory);
    } catch (error) {
      removeQuietly(files, made);
      throw error;
    }
  }

  #withFile(file: string, mode: 'edit' | 'make', use: (handle: OpenFile) => void): void {
    const handle = this.#setup.files.open(file, mode);
    try {
      use(handle);
    } finally {
      handle.close();
    }
  }

  /** Whether it went well; where not, the file is written whole the next time. */
  #try(copy: Copy, write: () => void): boolean {
    try {
      write();
      copy.isFailing = false;
      return true;
    } catch (cause) {
      this.#fail(copy, cause);
      return false;
    }
  }

  #fail(copy: Copy, cause: unknown): void {
    const { message } = ioError(cause, copy.file, 'write gaps to it');
    copy.end = null;
    if (!copy.isFailing) this.#setup.onWarning(`${message}; the other storage nodes have them`);
    copy.isFailing = true;
  }
}
