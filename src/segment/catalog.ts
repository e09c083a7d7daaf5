import path from 'node:path';
import { TapeError } from '../errors.js';
import type { Files } from '../files.js';
import { ioError } from '../io.js';
import { type Range, subtract } from '../ranges.js';
import { storedMark } from '../storage/identity.js';
import type { BlockEntry } from './footer.js';
import type { SegmentHeader } from './header.js';
import { entryOf, SegmentReader } from './reader.js';

const SEGMENT_NAME = /^segment-(\d{8,})\.ttseg$/;

export const segmentName = (number: number): string => `segment-${String(number).padStart(8, '0')}.ttseg`;

/** Where one copy of a block lies. */
export interface BlockCopy {
  /** Index of its directory among the catalog's. */
  storage: number;
  path: string;
  offset: number;
}

/** A block and all copies of it that the storage nodes have. */
export interface CatalogBlock extends Omit<BlockEntry, 'offset'> {
  copies: BlockCopy[];
}

/** A segment as the catalog knows it. */
export interface CatalogSegment {
  path: string;
  storage: number;
  header: SegmentHeader;
  sealed: boolean;
  /** Behind the last block known. */
  end: number;
  entries: BlockEntry[];
}

/** Whether all of the block is there. */
export type IsWhole = (file: string, entry: BlockEntry) => boolean;

/**
 * Every block on a tape's storage nodes, by sequence, but for those that retention dropped. Kept up to date by `refresh`, from footers
 * and block headers.
 */
export class Catalog {
  readonly directories: readonly string[];
  /** Sequences that are not missed and not given again. */
  skipped: readonly Range[];
  readonly segments = new Map<string, CatalogSegment>();
  readonly #files: Files;
  readonly #bySequence = new Map<bigint, CatalogBlock>();
  #sorted: CatalogBlock[] | null = [];
  #firstSequence: bigint;

  constructor(files: Files, directories: readonly string[], skipped: readonly Range[] = [], firstSequence = 0n) {
    this.#files = files;
    this.directories = directories;
    this.skipped = skipped;
    this.#firstSequence = firstSequence;
  }

  /** The mark of retention: blocks below it are not there, whatever files still hold them. */
  get firstSequence(): bigint {
    return this.#firstSequence;
  }

  /** Whether retention has dropped the block by now, be it since the last `refresh`. */
  isDropped(block: CatalogBlock): boolean {
    if (this.#isBelowMark(block)) return true;
    this.#readMark();
    return this.#isBelowMark(block);
  }

  #isBelowMark({ sequence, count }: CatalogBlock): boolean {
    return sequence + BigInt(count) <= this.#firstSequence;
  }

  #readMark(): void {
    const mark = storedMark(this.#files, this.directories);
    if (mark <= this.#firstSequence) return;
    this.#firstSequence = mark;
    this.#sorted = null;
  }

  /** All blocks, by sequence. */
  get blocks(): readonly CatalogBlock[] {
    if (this.#sorted === null) {
      const blocks = [...this.#bySequence.values()].filter((block) => !this.#isBelowMark(block));
      this.#sorted = blocks.sort((a, b) => (a.sequence < b.sequence ? -1 : 1));
      for (let i = 1; i < this.#sorted.length; i++) {
        const before = this.#sorted[i - 1];
        if (before.sequence + BigInt(before.count) > this.#sorted[i].sequence) {
          throw conflict(before, this.#sorted[i].copies[0]);
        }
      }
    }
    return this.#sorted;
  }

  /** The sequence behind the last block and all that are skipped. */
  get nextSequence(): bigint {
    const last = this.blocks.at(-1);
    let next = last === undefined ? this.#firstSequence : last.sequence + BigInt(last.count);
    for (const { to } of this.skipped) if (to > next) next = to;
    return next;
  }

  /** Runs of sequences from..to, from the mark of retention on, that no block holds, but for those that are skipped. */
  gaps(): Range[] {
    const gaps: Range[] = [];
    let next = this.#firstSequence;
    for (const { sequence, count } of this.blocks) {
      if (sequence > next) gaps.push({ from: next, to: sequence });
      next = sequence + BigInt(count);
    }
    return subtract(gaps, this.skipped);
  }

  /**
   * Reads what is new on the storage nodes. A directory that isn't there holds nothing. Recovery gives `isWhole`, which is asked
   * about each copy in a segment without a footer, and has blocks looked for behind damage and behind unwritten space too: a copy
   * that is not whole may hold a sequence that an interrupted recovery gave to another block since.
   * @throws TapeError `BAD_MAGIC`, `BAD_VERSION`, `CORRUPT`, `TRUNCATED`, `FOREIGN`, `CONFLICT`, `IO`
   */
  refresh(tapeId: Uint8Array | null, isWhole: IsWhole | null = null): void {
    const seen = new Set<string>();
    this.directories.forEach((directory, storage) => {
      for (const name of listSegments(this.#files, directory)) {
        const file = path.join(directory, name);
        seen.add(file);
        if (this.segments.get(file)?.sealed) continue;
        try {
          this.#read(file, storage, tapeId, isWhole);
        } catch (error) {
          // Between listing and opening it the writer may drop a segment.
          if (!(error instanceof TapeError && error.code === 'NOT_FOUND')) throw error;
          seen.delete(file);
        }
      }
    });
    for (const [file, segment] of this.segments) if (!seen.has(file)) this.#forget(segment);
    // Last: it is written before anything is removed, so whatever was found gone lies below it.
    this.#readMark();
  }

  #read(file: string, storage: number, tapeId: Uint8Array | null, isWhole: IsWhole | null): void {
    const reader = new SegmentReader(this.#files, file);
    try {
      const { header } = reader;
      if (tapeId !== null && !header.tapeId.every((byte, i) => byte === tapeId[i])) {
        throw new TapeError('FOREIGN', `${file}: a segment of another tape: move it out of this directory`, {
          path: file,
        });
      }
      const segment: CatalogSegment = this.segments.get(file) ?? {
        path: file,
        storage,
        header,
        sealed: false,
        end: header.headerBytes,
        entries: [],
      };
      this.segments.set(file, segment);
      const footer = reader.footer();
      if (footer !== null) {
        for (const entry of footer.entries) if (entry.offset >= segment.end) this.#add(segment, entry);
        segment.sealed = true;
        return;
      }
      for (const { offset, header: block } of reader.walk(segment.end, isWhole === null)) {
        if (!block.tapeId.every((byte, i) => byte === header.tapeId[i])) continue;
        const entry = entryOf(offset, block);
        if (isWhole === null || isWhole(file, entry)) this.#add(segment, entry);
      }
    } finally {
      reader.close();
    }
  }

  #add(segment: CatalogSegment, entry: BlockEntry): void {
    const copy = { storage: segment.storage, path: segment.path, offset: entry.offset };
    const known = this.#bySequence.get(entry.sequence);
    if (known === undefined) {
      const { offset: _, ...block } = entry;
      this.#bySequence.set(entry.sequence, { ...block, copies: [copy] });
      this.#sorted = null;
    } else {
      if (known.headerChecksum !== entry.headerChecksum) throw conflict(known, copy);
      known.copies.push(copy);
    }
    segment.entries.push(entry);
    segment.end = entry.offset + entry.blockBytes;
  }

  #forget(segment: CatalogSegment): void {
    for (const entry of segment.entries) this.#forgetCopy(segment, entry);
    this.segments.delete(segment.path);
  }

  #forgetCopy(segment: CatalogSegment, entry: BlockEntry): void {
    const block = this.#bySequence.get(entry.sequence)!;
    block.copies = block.copies.filter(({ path: file, offset }) => file !== segment.path || offset !== entry.offset);
    if (block.copies.length === 0) {
      this.#bySequence.delete(entry.sequence);
      this.#sorted = null;
    }
  }
}

/** Names of the segments in a directory, in the order of their numbers; none where there is no directory. */
export function listSegments(files: Files, directory: string): string[] {
  try {
    return files
      .list(directory)
      .filter((name) => SEGMENT_NAME.test(name))
      .sort((a, b) => segmentNumber(a) - segmentNumber(b));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw ioError(cause, directory, 'list the segments');
  }
}

export const segmentNumber = (name: string): number => Number(SEGMENT_NAME.exec(name)![1]);

function conflict(block: CatalogBlock, copy: BlockCopy): TapeError {
  return new TapeError(
    'CONFLICT',
    `${copy.path}: the block at ${copy.offset} and that at ${block.copies[0].path} ${block.copies[0].offset} differ, and both ` +
      `hold sequence ${block.sequence} or follow on it: move one of the files away`,
    { path: copy.path, block: block.sequence },
  );
}
