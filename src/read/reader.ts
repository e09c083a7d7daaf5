import { WINDOW_ALIGN } from '../../assembly/layout.js';
import type { Windows } from '../block/block-room.js';
import { BlockDecoder, DamagedBlock } from '../block/decoder.js';
import type { BlockHeader } from '../block/header.js';
import { TapeError } from '../errors.js';
import type { Files } from '../files.js';
import { type Gap, readGaps } from '../gaps.js';
import type { Range } from '../ranges.js';
import type { Mapper, Zstd } from '../runtime.js';
import type { Fields, Schema } from '../schema.js';
import type { BlockCopy, Catalog, CatalogBlock } from '../segment/catalog.js';
import { OpenSegments } from '../segment/open-segments.js';
import type { Turns } from '../storage/scrub/turns.js';
import type { Batch } from './batch.js';
import { type ScanOptions, scan, type WithoutGaps } from './scan.js';
import { resolveSelection, type SelectedRows, type Selection, selectFrom } from './selection.js';

/** Restores the copies of a block. It reports what goes wrong itself. */
export type Mend = (block: CatalogBlock) => Promise<void>;

/** A copy of a block that can't be read. */
export interface Damage {
  block: bigint;
  path: string;
  offset: number;
  reason: string;
}

/** While sequences are missing, as another look may find them. */
const MOST_LOOKS = 4;

/**
 * Bytes of all windows together, and of one at most: a segment of the default size, so that pages that were brought in once are there
 * for the next scan. With 1 to 16 MiB scans of one column took 1 to 11 % longer; all that a large window costs is address space.
 */
const WINDOWS_BYTES = 256 * 1024 ** 2;
const MOST_WINDOW_BYTES = 64 * 1024 ** 2;

/** A window for each storage node, since one block after another lies on another one. */
function windowsFor(storageNodes: number, mapper: Mapper): Windows {
  const bytes = Math.min(MOST_WINDOW_BYTES, Math.floor(WINDOWS_BYTES / storageNodes / WINDOW_ALIGN) * WINDOW_ALIGN);
  return { mapper, count: storageNodes, bytes };
}

/** Reads the blocks of a tape from its storage nodes, also while another thread or process writes them. */
export class TapeBlocks<F extends Fields> {
  /** Copies that could not be read so far. */
  readonly damage: Damage[] = [];
  readonly schema: Schema<F>;
  readonly #tapeId: Uint8Array | null;
  readonly #catalog: Catalog;
  readonly #decoder: BlockDecoder;
  readonly #files: Files;
  readonly #segments: OpenSegments;
  readonly #leastNext: bigint;

  /** `mapper`: null where segments are to be read. `leastNext`: every sequence before it was given, and its block stored. */
  constructor(
    files: Files,
    schema: Schema<F>,
    tapeId: Uint8Array | null,
    catalog: Catalog,
    zstd: Zstd,
    mapper: Mapper | null,
    leastNext = 0n,
  ) {
    this.#files = files;
    this.#leastNext = leastNext;
    this.schema = schema;
    this.#tapeId = tapeId;
    this.#catalog = catalog;
    const windows = mapper === null ? null : windowsFor(catalog.directories.length, mapper);
    this.#decoder = new BlockDecoder(schema, zstd, windows);
    this.#segments = new OpenSegments(files, (reader) => this.#decoder.release(reader));
  }

  /** All blocks there are now, by sequence, none missing between them. @throws TapeError `BLOCK_MISSING` */
  list(): readonly CatalogBlock[] {
    this.#catalog.refresh(this.#tapeId);
    // Twice: a repair may have moved a block to a storage node that had been read from one that was not yet. And a later block may
    // have been found on one storage node after an earlier one had been written to another that was read before.
    for (let i = 0; i === 0 || (i < MOST_LOOKS && this.#catalog.gaps().length > 0); i++)
      this.#catalog.refresh(this.#tapeId);
    this.#closeGone();
    const gap = this.#catalog.gaps()[0] ?? this.#missingEnd();
    if (gap !== undefined) {
      throw new TapeError(
        'BLOCK_MISSING',
        `sequences ${gap.from} to ${gap.to - 1n} are on none of ${this.#catalog.directories.join(', ')}: bring back the storage ` +
          'node that has them',
        { block: gap.from },
      );
    }
    return this.#catalog.blocks;
  }

  /** What a session that ended with `close()` had behind the last block that is there. */
  #missingEnd(): Range | undefined {
    const { nextSequence: from } = this.#catalog;
    return from < this.#leastNext ? { from, to: this.#leastNext } : undefined;
  }

  /** As `Tape.scan` does. `mend`: of blocks of which a copy turns out to be bad. `turns`: for others on this thread. */
  scan<Name extends F[number]['name'] = F[number]['name']>(
    options: WithoutGaps<ScanOptions<Name>>,
    mend?: Mend | null,
    turns?: Turns | null,
  ): AsyncGenerator<Batch<F, Name>>;
  scan<Name extends F[number]['name'] = F[number]['name']>(
    options: ScanOptions<Name>,
    mend?: Mend | null,
    turns?: Turns | null,
  ): AsyncGenerator<Batch<F, Name> | Gap>;
  scan<Name extends F[number]['name']>(
    options: ScanOptions<Name>,
    mend: Mend | null = null,
    turns: Turns | null = null,
  ): AsyncGenerator<Batch<F, Name> | Gap> {
    return scan(this, options, mend, turns);
  }

  /** What the tape was not told, by when it began. */
  gaps(): Gap[] {
    return readGaps(this.#files, this.#catalog.directories, this.#tapeId);
  }

  /**
   * What is wanted of a block, null where that is nothing, and whether a copy of it turned out to be bad; null where retention dropped it
   * meanwhile. @throws TapeError `BLOCK_DAMAGED`
   */
  select<Name extends F[number]['name']>(
    block: CatalogBlock,
    selection: Selection,
    withTimes: boolean,
  ): { rows: SelectedRows<F, Name> | null; damaged: boolean } | null {
    const read = this.#read(block, (header) => selectFrom<F, Name>(this.#decoder, header, selection, withTimes));
    return read === null ? null : { rows: read.result, damaged: read.damaged };
  }

  /**
   * One block: its header, and all of its records with all columns; null where retention dropped it meanwhile.
   * @throws TapeError `BLOCK_DAMAGED`
   */
  readBlock(block: CatalogBlock): { header: BlockHeader; batch: Batch<F> } | null {
    const all = resolveSelection(this.schema, {});
    const read = this.#read(block, (header) => ({
      header,
      batch: selectFrom<F, F[number]['name']>(this.#decoder, header, all, false)!.batch,
    }));
    return read === null ? null : read.result;
  }

  /** The header alone, for what it says of lanes and symbols. @throws TapeError `BLOCK_DAMAGED` */
  readHeader(block: CatalogBlock): BlockHeader | null {
    return this.#read(block, (header) => header)?.result ?? null;
  }

  /**
   * What `use` makes of the block, from the first of its copies that is good for it, and whether one before that was not; null where
   * retention dropped the block meanwhile.
   * @throws TapeError `BLOCK_DAMAGED`
   */
  #read<T>(block: CatalogBlock, use: (header: BlockHeader) => T): { result: T; damaged: boolean } | null {
    const tried = new Set<string>();
    let { copies } = block;
    for (let look = 0; look < 2; look++) {
      for (const copy of copies) {
        const place = `${copy.offset} ${copy.path}`;
        if (tried.has(place)) continue;
        const result = this.#tryCopy(block, copy, use);
        if (!(result instanceof DamagedBlock)) return { result: result as T, damaged: tried.size > 0 };
        tried.add(place);
      }
      if (this.#catalog.isDropped(block)) return null;
      // They may have moved: a repair was at it.
      this.#catalog.refresh(this.#tapeId);
      copies = this.#catalog.find(block.sequence)?.copies ?? [];
    }
    const reasons = this.damage
      .filter((damage) => damage.block === block.sequence)
      .map(({ path, offset, reason }) => `${path} at ${offset}: ${reason}`);
    throw new TapeError(
      'BLOCK_DAMAGED',
      `block ${block.sequence}: no good copy: ${reasons.length > 0 ? reasons.join('; ') : 'their files are gone'}`,
      { block: block.sequence, path: block.copies[0]?.path },
    );
  }

  #tryCopy<T>(block: CatalogBlock, copy: BlockCopy, use: (header: BlockHeader) => T): T | DamagedBlock {
    try {
      const entry = { ...block, offset: copy.offset };
      return this.#segments.reader(copy.path).useBlock(this.#decoder, entry, copy.storage, use);
    } catch (error) {
      const unreadable = error instanceof TapeError || (error as NodeJS.ErrnoException).syscall !== undefined;
      if (!(error instanceof DamagedBlock) && !unreadable) throw error;
      const { message } = error as Error;
      // A file that is gone may have been moved, by a repair.
      if (!(error instanceof TapeError && error.code === 'NOT_FOUND')) {
        this.report({ block: block.sequence, path: copy.path, offset: copy.offset, reason: message });
      }
      return error instanceof DamagedBlock ? error : new DamagedBlock(message, { cause: error });
    }
  }

  /** Enters a copy that can't be read, once. */
  report(found: Damage): void {
    const known = this.damage.some(({ path, offset }) => path === found.path && offset === found.offset);
    if (!known) this.damage.push(found);
  }

  /** An open file keeps its space on the disk after it was removed. */
  #closeGone(): void {
    for (const path of this.#segments.paths) if (!this.#catalog.segments.has(path)) this.#segments.close(path);
  }

  close(): void {
    this.#decoder.release();
    this.#segments.closeAll();
  }
}
