// What a tape holds, from its files' footers and the headers of its blocks; no block is decoded but to count symbols.
import { Buffer } from 'node:buffer';
import {
  type BlockHeader,
  type ChunkEntry,
  COMPRESSION_HUFFMAN,
  COMPRESSION_ZSTD,
  ENCODING_PLAIN,
} from '../block/header.js';
import { describePlan, MAX_PLAN_BYTES, type Plan, parsePlan, type Step } from '../block/plan.js';
import { TapeError } from '../errors.js';
import type { Files } from '../files.js';
import { type Gap, readGaps } from '../gaps.js';
import { findJournal, isAnswering, readSession, type SessionSeen } from '../metrics/read-session.js';
import { openTape } from '../open.js';
import type { Range } from '../ranges.js';
import { OptionalColumn, type SymbolColumn } from '../read/batch.js';
import type { Runtime } from '../runtime.js';
import { describeKind, type Schema } from '../schema.js';
import { Catalog, type CatalogBlock, type DamagedSegment, holdersOf } from '../segment/catalog.js';
import { entryOf, SegmentReader } from '../segment/reader.js';
import { Turns } from '../storage/scrub/turns.js';
import { type Survey, survey } from '../storage/survey.js';

export interface Inventory {
  tapeId: string;
  schema: Schema;
  /** How often it was opened for writing; null where its journal is not there. */
  epoch: number | null;
  session: (SessionSeen & { answering: boolean }) | null;
  records: number;
  blocks: number;
  segments: number;
  /** Of the records' timestamps; null without any. */
  leastNs: bigint | null;
  greatestNs: bigint | null;
  /** The mark of retention, and behind the last record. */
  firstSequence: bigint;
  nextSequence: bigint;
  skipped: readonly Range[];
  /** On none of the storage nodes that were looked at. */
  missing: Range[];
  /** Of the records as rows, and of their blocks, each counted once; of blocks whose header could be read. */
  rawBytes: number;
  storedBytes: number;
  columns: ColumnInventory[];
  /** The most frequent first. */
  symbols: SymbolInventory[];
  /** Why `records` of the symbols are not told; null where they are. */
  uncounted: string | null;
  /** On how many storage nodes each block should be; null where the tape doesn't say. */
  redundancy: number | null;
  /** Blocks that are on fewer. */
  underReplicated: number;
  storageNodes: { path: string; blocks: number; bytes: number; segments: number }[];
  /** Of the tape, by their last paths, and not among those that were given. */
  missingStorageNodes: string[];
  damagedSegments: DamagedSegment[];
  /** Blocks of which no copy's header could be read. */
  unreadableBlocks: number;
  gaps: Gap[];
}

export interface ColumnInventory {
  name: string;
  kind: string;
  optional: boolean;
  /** As it lies in records. */
  rawBytes: number;
  storedBytes: number;
  /** In how many blocks its values are stored in which way. */
  encodings: Record<string, number>;
  /** How the newest block has it coded; null where that is plain. */
  newestPlan: string | null;
}

export interface SymbolInventory {
  name: string;
  /** That have it in the first symbol field. */
  records: number | null;
  /** That have it in any. */
  blocks: number;
}

export interface InventoryOptions {
  storage: readonly string[];
  journal: string | undefined;
  redundancy: number | undefined;
  signal: AbortSignal;
  onProgress(stage: 'blocks' | 'symbols', done: number, total: number): void;
}

/** Records up to which symbols are counted: a second or so. */
const MOST_COUNTED = 20_000_000;
/** A block may be on its way to its last storage node. */
const SETTLE_MS = 250;
/** While sequences are missing, as another look may find them. */
const MOST_LOOKS = 4;
const OPEN_FILES = 32;

/** Looks at the tape, also while it is written. @throws TapeError `NOT_FOUND`, and of files that are not what they should be; the signal's reason */
export async function takeInventory(runtime: Runtime, options: InventoryOptions): Promise<Inventory> {
  const { storage, journal: journalOption, signal } = options;
  const { files } = runtime;
  const found = survey(files, storage, journalOption);
  if (found.tapeId === null) {
    throw new TapeError('NOT_FOUND', `${found.directories.join(', ')}: no tape there`, { path: found.directories[0] });
  }
  const { directories, roster, tapeId, ids } = found;
  const redundancy = options.redundancy ?? roster?.redundancy ?? null;
  const catalog = new Catalog(files, directories, roster?.skipped, roster?.firstSequence);
  catalog.refresh(tapeId);
  for (let i = 0; i < MOST_LOOKS && catalog.gaps().length > 0; i++) catalog.refresh(tapeId);
  const session = sessionOf(runtime, found);
  const hasFew = (block: CatalogBlock) => holdersOf(block).size < (redundancy ?? 1);
  if (session?.answering && catalog.blocks.some(hasFew)) {
    await runtime.sleep(SETTLE_MS);
    catalog.refresh(tapeId);
  }
  const blocks = [...catalog.blocks];
  const schema = schemaOf(found, catalog);
  const tally = new Tally(files, schema);
  const turns = new Turns(runtime, signal);
  try {
    for (const [i, block] of blocks.entries()) {
      tally.add(block);
      options.onProgress('blocks', i + 1, blocks.length);
      if (turns.due) await turns.give();
    }
    tally.describeNewest();
  } finally {
    tally.close();
  }
  const records = blocks.reduce((sum, { count }) => sum + count, 0);
  const { symbols, uncounted } = await countSymbols(schema, tally, records, turns, options);
  const leastNext = roster === null || roster.unclosedFrom !== null ? 0n : roster.nextSequence;
  const { nextSequence, firstSequence } = catalog;
  const segments = [...catalog.segments.values()];
  const held = directories.map(() => ({ blocks: 0, bytes: 0 }));
  for (const block of blocks) {
    for (const at of holdersOf(block)) {
      held[at].blocks++;
      held[at].bytes += block.blockBytes;
    }
  }
  return {
    tapeId: Buffer.from(tapeId).toString('hex'),
    schema,
    epoch: found.tape?.epoch ?? roster?.epoch ?? null,
    session,
    records,
    blocks: blocks.length,
    segments: segments.length,
    leastNs: blocks.reduce<bigint | null>(
      (least, { leastNs }) => (least === null || leastNs < least ? leastNs : least),
      null,
    ),
    greatestNs: blocks.reduce<bigint | null>(
      (greatest, { greatestNs }) => (greatest === null || greatestNs > greatest ? greatestNs : greatest),
      null,
    ),
    firstSequence,
    nextSequence,
    skipped: catalog.skipped,
    missing: [...catalog.gaps(), ...(nextSequence < leastNext ? [{ from: nextSequence, to: leastNext }] : [])],
    rawBytes: tally.rawBytes,
    storedBytes: tally.storedBytes,
    columns: tally.columns,
    symbols,
    uncounted,
    redundancy,
    underReplicated: blocks.filter(hasFew).length,
    storageNodes: directories.map((path, at) => ({
      path,
      ...held[at],
      segments: segments.filter(({ storage }) => storage === at).length,
    })),
    missingStorageNodes: (roster?.storageNodes ?? []).flatMap(({ id, path }) => (ids.includes(id) ? [] : [path])),
    damagedSegments: catalog.damaged,
    unreadableBlocks: tally.unreadable,
    gaps: readGaps(files, directories, tapeId),
  };
}

function sessionOf({ files, nowNs }: Runtime, found: Survey): Inventory['session'] {
  const journal = findJournal(files, found);
  const session = journal === null ? null : readSession(files, journal, found);
  return session && { ...session, answering: isAnswering(session, nowNs()) };
}

function schemaOf({ tape, directories }: Survey, catalog: Catalog): Schema {
  if (tape !== null) return tape.schema;
  for (const { header } of catalog.segments.values()) if (header !== null) return header.schema;
  throw new TapeError(
    'NOT_FOUND',
    `${directories.join(', ')}: neither a journal nor a segment tells the tape's schema`,
    {
      path: directories[0],
    },
  );
}

/** What the headers of blocks say, added up. */
class Tally {
  readonly columns: ColumnInventory[];
  /** In how many blocks a symbol is. */
  readonly symbols = new Map<string, number>();
  rawBytes = 0;
  storedBytes = 0;
  unreadable = 0;
  readonly #files: Files;
  readonly #schema: Schema;
  readonly #readers = new Map<string, SegmentReader>();
  #newest: { header: BlockHeader; path: string; offset: number } | null = null;

  constructor(files: Files, schema: Schema) {
    this.#files = files;
    this.#schema = schema;
    this.columns = schema.fields.map((field) => ({
      name: field.name,
      kind: describeKind({ ...field, optional: false }),
      optional: field.optional === true,
      rawBytes: 0,
      storedBytes: 0,
      encodings: {},
      newestPlan: null,
    }));
  }

  add(block: CatalogBlock): void {
    const header = this.#headerOf(block);
    if (header === null) {
      this.unreadable++;
      return;
    }
    this.rawBytes += header.rowBytes;
    this.storedBytes += header.blockBytes;
    for (const { width, index, optional } of this.#schema.table) {
      const column = this.columns[index];
      column.rawBytes += width * header.count + (optional ? Math.ceil(header.count / 8) : 0);
      for (const chunk of header.chunks) {
        if (chunk.field !== index) continue;
        column.storedBytes += chunk.storedBytes;
        // The bytes of a varying field, whose lengths are its values.
        if (chunk.part === 1) column.rawBytes += chunk.encodedBytes;
        if (chunk.part !== 0) continue;
        const encoding = encodingOf(chunk);
        column.encodings[encoding] = (column.encodings[encoding] ?? 0) + 1;
      }
    }
    for (const { name } of header.symbols) this.symbols.set(name, (this.symbols.get(name) ?? 0) + 1);
  }

  #headerOf(block: CatalogBlock): BlockHeader | null {
    for (const { path, offset } of block.copies) {
      try {
        const reader = this.#reader(path);
        const header = reader.blockHeader(offset);
        if (typeof header === 'string' || entryOf(offset, header).headerChecksum !== block.headerChecksum) continue;
        this.#newest = { header, path, offset };
        return header;
      } catch (error) {
        // Its disk fails, or retention removed it just now.
        if (!(error instanceof TapeError)) throw error;
      }
    }
    return null;
  }

  #reader(path: string): SegmentReader {
    const known = this.#readers.get(path);
    if (known !== undefined) return known;
    if (this.#readers.size >= OPEN_FILES) this.close();
    const reader = new SegmentReader(this.#files, path);
    this.#readers.set(path, reader);
    return reader;
  }

  /** Blocks come by sequence: the last one is the newest. */
  describeNewest(): void {
    if (this.#newest === null) return;
    const { header, path, offset } = this.#newest;
    try {
      const reader = this.#reader(path);
      for (const chunk of header.chunks) {
        if (chunk.part !== 0 || chunk.encoding === ENCODING_PLAIN || chunk.field >= this.columns.length) continue;
        const start = reader.read(offset + chunk.offset, Math.min(chunk.storedBytes, 2 + MAX_PLAN_BYTES));
        this.columns[chunk.field].newestPlan = this.#planOf(start);
      }
    } catch (error) {
      if (!(error instanceof TapeError)) throw error;
    }
  }

  #planOf(chunk: Uint8Array): string | null {
    if (chunk.length < 2) return null;
    const plan = parsePlan(chunk.subarray(2, 2 + (chunk[0] | (chunk[1] << 8))));
    if (typeof plan === 'string') return null;
    const nameOf = (field: string) => this.columns[Number(field)]?.name ?? field;
    return describePlan(planOf(plan)).replaceAll(
      /(changes of|reference|group delta|same ids) (\d+)/g,
      (_, step: string, field: string) => `${step} ${nameOf(field)}`,
    );
  }

  close(): void {
    for (const reader of this.#readers.values()) reader.close();
    this.#readers.clear();
  }
}

function encodingOf({ encoding, compression }: ChunkEntry): string {
  const coded = encoding === ENCODING_PLAIN ? 'plain' : 'plan';
  if (compression === COMPRESSION_ZSTD) return `${coded} + zstd`;
  return compression === COMPRESSION_HUFFMAN ? `${coded} + Huffman` : coded;
}

/** A plan as it was read, as one that can be put in words. */
function planOf({ op, field, width, divisor, children }: Step): Plan {
  const [child, remainder] = children.map(planOf);
  return {
    op,
    exponent: width,
    divisor,
    ...(field >= 0 ? { field } : {}),
    ...(child === undefined ? {} : { child }),
    ...(remainder === undefined ? {} : { remainder }),
  } as Plan;
}

async function countSymbols(
  schema: Schema,
  { symbols: blocksOf }: Tally,
  records: number,
  turns: Turns,
  { storage, journal, onProgress }: InventoryOptions,
): Promise<{ symbols: SymbolInventory[]; uncounted: string | null }> {
  const field = schema.fields.find(({ kind }) => kind === 'symbol');
  const recordsOf = new Map<string, number>();
  let uncounted: string | null = null;
  if (field !== undefined && records > MOST_COUNTED) uncounted = 'there are many records';
  else if (field !== undefined && records > 0) {
    try {
      const reader = await openTape(schema, { storage, journal, readOnly: true });
      let done = 0;
      try {
        for await (const batch of reader.scan({ columns: [field.name] })) {
          countBatch(
            (batch.columns as Record<string, SymbolColumn | OptionalColumn<SymbolColumn>>)[field.name],
            recordsOf,
          );
          done += batch.length;
          onProgress('symbols', done, records);
          if (turns.due) await turns.give();
        }
      } finally {
        await reader.close();
      }
    } catch (error) {
      if (!(error instanceof TapeError)) throw error;
      uncounted = error.message;
    }
  }
  const symbols = [...blocksOf].map(([name, blocks]) => ({
    name,
    blocks,
    records: uncounted === null ? (recordsOf.get(name) ?? 0) : null,
  }));
  symbols.sort((a, b) => (b.records ?? 0) - (a.records ?? 0) || b.blocks - a.blocks || (a.name < b.name ? -1 : 1));
  return { symbols, uncounted };
}

function countBatch(column: SymbolColumn | OptionalColumn<SymbolColumn>, recordsOf: Map<string, number>): void {
  const [symbols, present] = column instanceof OptionalColumn ? [column.values, column.present] : [column, null];
  const counts = new Map<number, number>();
  const { ids } = symbols;
  for (let row = 0; row < ids.length; row++) {
    if (present !== null && present[row] === 0) continue;
    counts.set(ids[row], (counts.get(ids[row]) ?? 0) + 1);
  }
  for (const [id, times] of counts) {
    const name = symbols.name(id);
    recordsOf.set(name, (recordsOf.get(name) ?? 0) + times);
  }
}
