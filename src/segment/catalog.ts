import path from 'node:path';
import { TapeError } from '../errors.js';
import type { Files } from '../files.js';
import { ioError } from '../io.js';
import { type Range, subtract } from '../ranges.js';
import { storedMark } from '../storage/identity.js';
import { type CatalogSegment, type IsWhole, readContents } from './contents.js';
import type { BlockEntry } from './footer.js';

/** By the writer, and by repair, each with numbers of its own. */
const SEGMENT_NAME = /^(segment|repair)-(\d{8,})\.ttseg$/;

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

/** A segment that is not as it was written. What could be found in it is in the catalog. */
export interface DamagedSegment {
  path: string;
  /** Index of its directory among the catalog's. */
  storage: number;
  /** For people. */
  reason: string;
}

/** The storage nodes (indices of the catalog's directories) that have a copy: two on one of them are no more than one. */
export const holdersOf = ({ copies }: CatalogBlock): Set<number> => new Set(copies.map(({ storage }) => storage));

export type { CatalogSegment, IsWhole };

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
  /** Blocks that lost their last copy in the refresh that is under way. */
  readonly #empty = new Set<CatalogBlock>();
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
  isDropped(block: Pick<CatalogBlock, 'sequence' | 'count'>): boolean {
    if (this.#isBelowMark(block)) return true;
    this.#readMark();
    return this.#isBelowMark(block);
  }

  #isBelowMark({ sequence, count }: Pick<CatalogBlock, 'sequence' | 'count'>): boolean {
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

  /** The block whose first sequence it is. */
  find(sequence: bigint): CatalogBlock | undefined {
    return this.#bySequence.get(sequence);
  }

  /** Segments that are not as they were written, as of the last refresh. */
  get damaged(): DamagedSegment[] {
    return [...this.segments.values()].flatMap(({ path: file, storage, damage }) =>
      damage === null ? [] : [{ path: file, storage, reason: damage }],
    );
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
   * Reads what is new on the storage nodes. A directory that isn't there holds nothing; a segment that is damaged, or that can't be
   * read, holds what can be found in it. Recovery gives `isWhole`, which is asked about each copy in a segment without a footer, and
   * has blocks looked for behind damage and behind unwritten space too: a copy that is not whole may hold a sequence that an
   * interrupted recovery gave to another block since.
   * @throws TapeError `BAD_VERSION`, `FOREIGN`, `CONFLICT`, and `IO`, `NOT_WRITABLE` for a directory that can't be listed
   */
  refresh(tapeId: Uint8Array | null, isWhole: IsWhole | null = null): void {
    const listed = new Map<string, number>();
    this.directories.forEach((directory, storage) => {
      for (const name of listSegments(this.#files, directory)) listed.set(path.join(directory, name), storage);
    });
    try {
      for (const [file, segment] of this.segments) if (!listed.has(file)) this.#forget(segment);
      for (const [file, storage] of listed) this.#readSegment(file, storage, tapeId, isWhole);
    } finally {
      this.#dropEmpty();
    }
    // Last: it is written before anything is removed, so whatever was found gone lies below it.
    this.#readMark();
  }

  #readSegment(file: string, storage: number, tapeId: Uint8Array | null, isWhole: IsWhole | null): void {
    const known = this.segments.get(file) ?? null;
    if (known?.sealed && known.damage === null) return;
    try {
      this.#enter(readContents(this.#files, { path: file, storage }, known, tapeId, isWhole), known);
    } catch (error) {
      if (!(error instanceof TapeError && error.code === 'NOT_FOUND')) throw error;
      // Between listing and opening it the writer may drop a segment.
      if (known !== null) this.#forget(known);
    }
  }

  /** Puts what was found in a segment in the place of what was known of it. */
  #enter(segment: CatalogSegment, known: CatalogSegment | null): void {
    const before = known?.entries ?? [];
    let same = 0;
    while (same < before.length && segment.entries[same] === before[same]) same++;
    const keyOf = ({ offset, headerChecksum }: BlockEntry) => `${offset} ${headerChecksum}`;
    const found = segment.entries.slice(same);
    const had = new Set(before.slice(same).map(keyOf));
    const has = new Set(had.size === 0 ? [] : found.map(keyOf));
    this.segments.set(segment.path, segment);
    for (const entry of before.slice(same)) if (!has.has(keyOf(entry))) this.#forgetCopy(segment, entry);
    try {
      for (const entry of found) if (!had.has(keyOf(entry))) this.#add(segment, entry);
    } catch (error) {
      // So that the next refresh meets the same conflict.
      this.#forget(segment);
      throw error;
    }
  }

  #add({ storage, path: file }: CatalogSegment, entry: BlockEntry): void {
    const copy = { storage, path: file, offset: entry.offset };
    const known = this.#bySequence.get(entry.sequence);
    const isNew = known === undefined || (known.copies.length === 0 && known.headerChecksum !== entry.headerChecksum);
    if (isNew) {
      const { offset: _, ...block } = entry;
      this.#bySequence.set(entry.sequence, { ...block, copies: [copy] });
      this.#sorted = null;
    } else {
      if (known.headerChecksum !== entry.headerChecksum) throw conflict(known, copy);
      known.copies.push(copy);
    }
  }

  #forget(segment: CatalogSegment): void {
    for (const entry of segment.entries) this.#forgetCopy(segment, entry);
    this.segments.delete(segment.path);
  }

  #forgetCopy(segment: CatalogSegment, entry: BlockEntry): void {
    const block = this.#bySequence.get(entry.sequence);
    if (block === undefined) return;
    block.copies = block.copies.filter(({ path: file, offset }) => file !== segment.path || offset !== entry.offset);
    if (block.copies.length === 0) this.#empty.add(block);
  }

  /** Not before all is read: a block whose copies move to other files stays what it is for a scan that is under way. */
  #dropEmpty(): void {
    for (const block of this.#empty) {
      if (block.copies.length > 0 || this.#bySequence.get(block.sequence) !== block) continue;
      this.#bySequence.delete(block.sequence);
      this.#sorted = null;
    }
    this.#empty.clear();
  }
}

/** Names of the segments in a directory, in the order of their numbers; none where there is no directory. */
export function listSegments(files: Files, directory: string): string[] {
  try {
    return files
      .list(directory)
      .filter((name) => SEGMENT_NAME.test(name))
      .sort((a, b) => segmentNumber(a) - segmentNumber(b) || (a < b ? -1 : 1));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw ioError(cause, directory, 'list the segments');
  }
}

export const segmentNumber = (name: string): number => Number(SEGMENT_NAME.exec(name)![2]);

export const isByWriter = (name: string): boolean => name.startsWith('segment-');

/** Whether the writer made this segment (by its path) after that other one of the same directory. Of those by repair nothing is known. */
export function isWrittenAfter(file: string, other: string): boolean {
  const names = [path.basename(file), path.basename(other)];
  return names.every(isByWriter) && segmentNumber(names[0]) > segmentNumber(names[1]);
}

/** The greatest number of a segment by the writer in the directory; 0 where there is none. */
export const lastSegmentNumber = (files: Files, directory: string): number =>
  listSegments(files, directory)
    .filter(isByWriter)
    .reduce((last, name) => Math.max(last, segmentNumber(name)), 0);

function conflict(block: CatalogBlock, copy: BlockCopy): TapeError {
  return new TapeError(
    'CONFLICT',
    `${copy.path}: the block at ${copy.offset} and that at ${block.copies[0].path} ${block.copies[0].offset} differ, and both ` +
      `hold sequence ${block.sequence} or follow on it: move one of the files away`,
    { path: copy.path, block: block.sequence },
  );
}
