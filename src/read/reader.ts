import { WINDOW_ALIGN } from '../../assembly/layout.js';
import type { Windows } from '../block/block-room.js';
import { BlockDecoder, DamagedBlock } from '../block/decoder.js';
import type { BlockHeader } from '../block/header.js';
import { TapeError } from '../errors.js';
import type { Files } from '../files.js';
import type { Range } from '../ranges.js';
import type { Mapper, Zstd } from '../runtime.js';
import type { Fields, PlacedField, Schema } from '../schema.js';
import type { BlockCopy, Catalog, CatalogBlock } from '../segment/catalog.js';
import { SegmentReader } from '../segment/reader.js';
import { Batch, type ColumnsOf, columnOf } from './batch.js';
import { planBlocks, type ScanRange, selectRows } from './plan.js';

/** What a scan is asked for; all of it may be left out. */
export interface ScanOptions<Name extends string = string> extends ScanRange {
  /** Only records with one of these in the schema's (first) symbol field; never those where it is absent. */
  symbols?: readonly string[];
  /** Only these columns are read and decoded. */
  columns?: readonly Name[];
  /**
   * A block of which a copy turns out to be bad is mended when the scan is done with it. Only by the tape that is open for writing;
   * what can't be mended is a warning.
   */
  repair?: boolean;
}

/** Restores the copies of a block. It reports what goes wrong itself. */
export type Mend = (block: CatalogBlock) => Promise<void>;

/** A copy of a block that can't be read. */
export interface Damage {
  block: bigint;
  path: string;
  offset: number;
  reason: string;
}

/** How many segment files a reader keeps open. */
const OPEN_FILES = 32;

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
  readonly #schema: Schema<F>;
  readonly #tapeId: Uint8Array | null;
  readonly #catalog: Catalog;
  readonly #decoder: BlockDecoder;
  readonly #files: Files;
  readonly #segments = new Map<string, SegmentReader>();
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
    this.#schema = schema;
    this.#tapeId = tapeId;
    this.#catalog = catalog;
    const windows = mapper === null ? null : windowsFor(catalog.directories.length, mapper);
    this.#decoder = new BlockDecoder(schema, zstd, windows);
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

  /** @throws TapeError `BAD_OPTION`, `BLOCK_MISSING`, `BLOCK_DAMAGED` */
  async *scan<Name extends F[number]['name']>(
    options: ScanOptions<Name>,
    mend: Mend | null = null,
  ): AsyncGenerator<Batch<F, Name>> {
    const fields = this.#fields(options.columns);
    if (options.symbols !== undefined && !this.#schema.fields.some(({ kind }) => kind === 'symbol')) {
      throw new TapeError('BAD_OPTION', `option symbols: schema ${this.#schema.name} has no symbol field`);
    }
    for (const block of planBlocks(this.list(), options)) {
      const read = this.#read(block, (header) => this.#select(header, fields, options));
      if (read === null) continue;
      const { result: batch, damaged } = read;
      try {
        if (batch !== null) yield batch;
      } finally {
        if (damaged) await mend?.(block);
      }
    }
  }

  /**
   * One block: its header, and all of its records with all columns; null where retention dropped it meanwhile.
   * @throws TapeError `BLOCK_DAMAGED`
   */
  readBlock(block: CatalogBlock): { header: BlockHeader; batch: Batch<F> } | null {
    const fields = this.#fields(undefined);
    const read = this.#read(block, (header) => ({ header, batch: this.#select(header, fields, {})! }));
    return read === null ? null : read.result;
  }

  /** The header alone, for what it says of lanes and symbols. @throws TapeError `BLOCK_DAMAGED` */
  readHeader(block: CatalogBlock): BlockHeader | null {
    return this.#read(block, (header) => header)?.result ?? null;
  }

  /** What is wanted of a block that is open in the decoder; null where that is nothing. */
  #select<Name extends F[number]['name']>(
    header: BlockHeader,
    fields: PlacedField[],
    { from, to, symbols: names }: ScanOptions<Name>,
  ): Batch<F, Name> | null {
    const { table } = this.#schema;
    let symbols: { ids: Uint32Array; present: Uint8Array | null; wanted: Set<number> } | null = null;
    if (names !== undefined) {
      const asked = new Set(names);
      const wanted = new Set(header.symbols.filter(({ name }) => asked.has(name)).map(({ id }) => id));
      if (wanted.size === 0) return null;
      const column = this.#decoder.column(header, table.find(({ kind }) => kind === 'symbol')!);
      symbols = { ids: (column as { values: Uint32Array }).values, present: column.present, wanted };
    }
    const whole = (from === undefined || header.leastNs >= from) && (to === undefined || header.greatestNs < to);
    const times = whole ? null : (this.#decoder.column(header, table[0]) as { values: BigInt64Array }).values;
    const rows = selectRows(header.count, times, { from, to }, symbols);
    if (rows?.length === 0) return null;
    this.#decoder.prepare(header, fields);
    const columns = Object.fromEntries(
      fields.map((field) => [field.name, columnOf(field, this.#decoder.column(header, field), header.symbols, rows)]),
    ) as ColumnsOf<F, Name>;
    return new Batch<F, Name>(rows?.length ?? header.count, columns, header.sequence, rows);
  }

  #fields(columns: readonly string[] | undefined): PlacedField[] {
    const placed = [...this.#schema.table].sort((a, b) => a.index - b.index);
    if (columns === undefined) return placed;
    return columns.map((name) => {
      const field = placed.find((candidate) => candidate.name === name);
      if (field === undefined) {
        const names = placed.map((candidate) => candidate.name).join(', ');
        throw new TapeError('BAD_OPTION', `option columns: ${JSON.stringify(name)} is none of ${names}`, {
          field: name,
        });
      }
      return field;
    });
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
      return this.#file(copy.path).useBlock(this.#decoder, entry, copy.storage, use);
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

  #file(path: string): SegmentReader {
    let reader = this.#segments.get(path);
    // The one used last goes to the end.
    if (reader !== undefined) this.#segments.delete(path);
    else {
      if (this.#segments.size >= OPEN_FILES) this.#closeOldest();
      reader = new SegmentReader(this.#files, path);
    }
    this.#segments.set(path, reader);
    return reader;
  }

  #closeOldest(): void {
    const [[path, reader]] = this.#segments;
    this.#close(path, reader);
  }

  /** An open file keeps its space on the disk after it was removed. */
  #closeGone(): void {
    for (const [path, reader] of this.#segments) if (!this.#catalog.segments.has(path)) this.#close(path, reader);
  }

  #close(path: string, reader: SegmentReader): void {
    this.#decoder.release(reader);
    reader.close();
    this.#segments.delete(path);
  }

  close(): void {
    this.#decoder.release();
    for (const reader of this.#segments.values()) reader.close();
    this.#segments.clear();
  }
}
