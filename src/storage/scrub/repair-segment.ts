import path from 'node:path';
import { TapeError } from '../../errors.js';
import type { Files, OpenFile } from '../../files.js';
import { ioError } from '../../io.js';
import { segmentNumber } from '../../segment/catalog.js';
import { type BlockEntry, FOOTER_ENTRY_BYTES, TRAILER_BYTES } from '../../segment/footer.js';
import { encodeSegmentHeader, type SegmentHeader } from '../../segment/header.js';
import type { SegmentReader } from '../../segment/reader.js';
import { writeFooter } from '../../segment/writer.js';
import type { CopyChecker } from './copy-checker.js';

const PIECE_BYTES = 1024 ** 2;
const UNFINISHED = /^(repair|segment)-\d+\.tmp$/;

export const repairFile = (directory: string, number: number): string =>
  path.join(directory, `repair-${String(number).padStart(8, '0')}.ttseg`);

/** Removes what a repair that was killed left behind. */
export function removeUnfinished(files: Files, directory: string): void {
  if (!files.exists(directory)) return;
  try {
    for (const name of files.list(directory)) if (UNFINISHED.test(name)) files.remove(path.join(directory, name));
  } catch (cause) {
    throw ioError(cause, directory, 'remove an unfinished repair');
  }
}

/** A copy of a block could not be read; the reader's file is to be looked at again. */
export class SourceFailed extends Error {}

/** Copies the bytes of a block, a piece at a time. @throws SourceFailed; what writing throws */
export async function copyBytes(source: SegmentReader, entry: BlockEntry, target: OpenFile, at: number): Promise<void> {
  const piece = new Uint8Array(Math.min(PIECE_BYTES, entry.blockBytes));
  for (let done = 0; done < entry.blockBytes; done += piece.length) {
    const bytes = piece.subarray(0, Math.min(piece.length, entry.blockBytes - done));
    let got: number;
    try {
      got = source.readInto(bytes, entry.offset + done);
    } catch (cause) {
      throw new SourceFailed(`${source.path}: ${(cause as Error).message}`, { cause });
    }
    if (got < bytes.length) throw new SourceFailed(`${source.path}: it was cut`);
    await target.writeAsync(bytes, at + done);
  }
}

/** A segment of copies that is being made: it is whole, on the disk and was read back when it gets its name. */
export class RepairSegment {
  readonly path: string;
  readonly entries: BlockEntry[] = [];
  readonly #files: Files;
  readonly #made: string;
  readonly #file: OpenFile;
  #end: number;
  #closed = false;

  /** `file`: no other segment ever had that name. @throws TapeError */
  constructor(files: Files, file: string, header: Omit<SegmentHeader, 'headerBytes' | 'fingerprint' | 'number'>) {
    this.path = file;
    this.#files = files;
    this.#made = this.path.replace(/ttseg$/, 'tmp');
    const start = encodeSegmentHeader({ ...header, number: segmentNumber(path.basename(file)) % 2 ** 32 });
    this.#end = start.length;
    try {
      this.#file = files.open(this.#made, 'new');
    } catch (cause) {
      throw ioError(cause, this.#made, 'make a segment');
    }
    this.#write(() => this.#file.write(start, 0));
  }

  /** With its footer. */
  get bytes(): number {
    return this.#end + this.entries.length * FOOTER_ENTRY_BYTES + TRAILER_BYTES;
  }

  /** @throws SourceFailed, and then it goes on without the block; TapeError, and then it is gone */
  async add(source: SegmentReader, entry: BlockEntry): Promise<void> {
    try {
      await copyBytes(source, entry, this.#file, this.#end);
    } catch (cause) {
      if (cause instanceof SourceFailed) throw cause;
      this.abandon();
      throw ioError(cause, this.#made, 'write a block');
    }
    this.entries.push({ ...entry, offset: this.#end });
    this.#end += entry.blockBytes;
  }

  /** Closes it, reads it back and gives it its name. Answers how long it is. @throws TapeError, and then it is gone */
  async finish(checker: CopyChecker): Promise<number> {
    const { bytes } = this;
    try {
      await writeFooter(this.#file, this.entries, this.#end);
      await this.#file.syncAsync();
      for (const entry of this.entries) {
        const reason = checker.check(this.#made, entry);
        if (reason !== null) {
          throw new TapeError('CORRUPT', `${this.#made}: what was written there is read otherwise: ${reason}`, {
            path: this.#made,
          });
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      checker.forget(this.#made);
      this.#close();
      this.#files.rename(this.#made, this.path);
    } catch (cause) {
      checker.forget(this.#made);
      this.abandon();
      throw ioError(cause, this.#made, 'finish a segment');
    }
    // It has its name: a copy counts, but may be gone after a power cut.
    await this.#files.syncDirectoryAsync(path.dirname(this.path));
    return bytes;
  }

  /** Removes what there is of it. */
  abandon(): void {
    try {
      this.#close();
      this.#files.remove(this.#made);
    } catch {
      // The next repair removes it.
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#file.close();
  }

  #write(write: () => void): void {
    try {
      write();
    } catch (cause) {
      this.abandon();
      throw ioError(cause, this.#made, 'write a segment');
    }
  }
}
