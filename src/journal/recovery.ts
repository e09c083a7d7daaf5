// What is found when a tape is opened for writing, and what becomes of it. Nothing on disk changes before all of it was looked at.
//
//   case                     what is there                                          what is done
//   segment-sealed           a footer                                               its blocks are believed
//   segment-damaged          its header is damaged, or it can't be read             left as it is, for repair; without a footer its blocks
//                                                                                   are looked for, and count where they are whole
//   segment-open             no footer: its writer died                             its blocks are checked whole, then a footer closes it
//   block-torn               in such a segment, a block that is not whole           not a copy; its space is cut off or stepped over
//   block-too-few            a whole block on fewer storage nodes than it should    its bytes are put on others
//   segment-unfinished       segment-*.tmp                                          removed: no block was ever in it
//   lane-empty               all of the lane in blocks                              removed
//   lane-published           records that no block holds                            made into blocks, then removed
//   lane-half-sealed         a block holds some of them                             only the others are
//   lane-ahead-of-tail       whole records behind `tail` (a power cut kept their    as published ones: their checksums say that
//                            pages and lost the counter's)                          they are of this lane and this place
//   lane-torn                a place before `tail` where no record is whole         stepped over to the next whole one; counted
//   lane-nameless            a record whose symbol is not in the symbol table       as torn: a power cut took the table's page
//   lane-unfinished          lane-*.tmp                                             removed: no record was ever in it
//
// Journal files that are not what they should be (magic, version, length, tape, schema, header checksum) stop it with an error, and so
// do segments of another tape, of another schema or of a newer ticktape.
import path from 'node:path';
import {
  LANE_CAPACITY,
  LANE_DRAINED,
  LANE_HEAD,
  LANE_HEADER_BYTES,
  LANE_SEALED_AT,
  LANE_TAIL,
  LANE_WAITING,
  SYMBOLS,
} from '../../assembly/layout.js';
import { BlockDecoder, DamagedBlock } from '../block/decoder.js';
import { firstEffort } from '../block/effort.js';
import { BlockEncoder } from '../block/encoder.js';
import type { BlockHeader, LaneRange } from '../block/header.js';
import { assert, TapeError } from '../errors.js';
import type { Files } from '../files.js';
import { drive, POLL_MS } from '../flush/assemble.js';
import { Flusher } from '../flush/flusher.js';
import { instantiateKernels, sharedMemory } from '../kernels.js';
import type { ResolvedOptions } from '../options.js';
import { type Range, subtract } from '../ranges.js';
import type { Runtime, Zstd } from '../runtime.js';
import type { PlacedField, Schema } from '../schema.js';
import { type Catalog, type CatalogBlock, type CatalogSegment, holdersOf } from '../segment/catalog.js';
import type { BlockEntry } from '../segment/footer.js';
import { withSegment } from '../segment/reader.js';
import { sealSegmentFile } from '../segment/writer.js';
import { MOST_BLOCKS, type Replicator } from '../storage/replicator.js';
import { listLanes } from './journal.js';
import { checkLaneHeader } from './lane.js';
import { memoryMap } from './memory-map.js';

/** What recovery found and did. */
export interface RecoveryReport {
  /** Lane files of sessions that did not end with `close()`. */
  lanes: number;
  /** Records that were in lanes only. */
  records: number;
  /** Bytes of lanes before `tail` that hold no whole record. */
  damagedBytes: number;
  /** Blocks that were found whole in segments without a footer. */
  openBlocks: number;
  /** Copies in such segments that were not whole. */
  tornCopies: number;
  /** Copies made to reach the redundancy. */
  copiesMade: number;
  /**
   * Records of blocks that a power cut took from all storage nodes before they were synced. Those that lanes still held are among `records`.
   */
  missingRecords: number;
}

export interface RecoveryInput {
  runtime: Runtime;
  schema: Schema;
  tapeId: Uint8Array;
  journal: string;
  catalog: Catalog;
  symbols: { bytes: Uint8Array; count: number } | null;
  zstd: Zstd;
  options: ResolvedOptions;
}

/** A lane file, read and checked. */
interface FoundLane {
  path: string;
  bytes: Uint8Array;
  epoch: number;
  lane: number;
  capacity: number;
  tail: bigint;
  head: bigint;
  /** Where a closing tape stopped taking records, or NEVER. */
  sealedAt: bigint;
}

/** Everything that is to be done, found out without changing anything. */
export interface RecoveryPlan {
  lanes: FoundLane[];
  /** Without a footer; those without a header too. */
  openSegments: CatalogSegment[];
  report: RecoveryReport;
  decoder: BlockDecoder;
}

/**
 * Looks at lanes and segments. Copies of blocks that are not whole don't enter the catalog.
 * @throws TapeError of the files that are not what they should be
 */
export function planRecovery(
  { runtime: { files }, schema, tapeId, journal, catalog, zstd }: RecoveryInput,
  decoder = new BlockDecoder(schema, zstd),
): RecoveryPlan {
  const report = {
    lanes: 0,
    records: 0,
    damagedBytes: 0,
    openBlocks: 0,
    tornCopies: 0,
    copiesMade: 0,
    missingRecords: 0,
  };
  const lanes = listLanes(files, journal).map((file): FoundLane => {
    const bytes = files.readFile(file);
    const header = checkLaneHeader(bytes, bytes.length, tapeId, schema, file);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const counter = (offset: number) => view.getBigUint64(offset, true);
    return {
      path: file,
      bytes,
      ...header,
      tail: counter(LANE_TAIL),
      head: counter(LANE_HEAD),
      sealedAt: counter(LANE_SEALED_AT),
    };
  });
  report.lanes = lanes.length;

  catalog.refresh(tapeId, (file, entry) => {
    const whole = isWhole(files, decoder, file, entry);
    if (!whole) report.tornCopies++;
    return whole;
  });
  const openSegments = [...catalog.segments.values()].filter(({ sealed }) => !sealed);
  report.openBlocks = blocksOf(catalog, openSegments).length;
  return { lanes, openSegments, report, decoder };
}

function isWhole(files: Files, decoder: BlockDecoder, file: string, entry: BlockEntry): boolean {
  try {
    withSegment(files, file, (reader) => reader.useBlock(decoder, entry, 0, (header) => decoder.verify(header)));
    return true;
  } catch (error) {
    if (error instanceof DamagedBlock) return false;
    throw error;
  }
}

function blocksOf(catalog: Catalog, segments: readonly CatalogSegment[]): CatalogBlock[] {
  const paths = new Set(segments.map(({ path: file }) => file));
  return catalog.blocks.filter(({ copies }) => copies.some((copy) => paths.has(copy.path)));
}

/** Blocks of which the writer that died may not have stored all copies: those that were under way may lie in a sealed segment. */
function unfinishedBlocks(catalog: Catalog, openSegments: readonly CatalogSegment[]): CatalogBlock[] {
  const open = blocksOf(catalog, openSegments);
  return [...new Set([...open, ...catalog.blocks.slice(-MOST_BLOCKS)])];
}

/**
 * Does what the plan says, so that every record is in a block on enough storage nodes, and in one only. Interrupted at any point
 * and run again, it ends in the same state: blocks name the lane positions that they hold, and lanes go last.
 */
export async function recover(
  input: RecoveryInput,
  { lanes, openSegments, report, decoder }: RecoveryPlan,
  replicator: Replicator,
  epoch: number,
): Promise<RecoveryReport> {
  const { runtime, catalog, journal, options } = input;
  const { files } = runtime;
  for (const block of unfinishedBlocks(catalog, openSegments)) {
    const holders = holdersOf(block);
    if (holders.size >= options.redundancy) continue;
    const found = wholeBlock(files, decoder, block);
    if (found === null) continue;
    const storedOn = await storeBlock(runtime, replicator, found.header, found.bytes, [...holders]);
    report.copiesMade += storedOn - holders.size;
  }
  if (lanes.length > 0) await sealLanes(input, lanes, replicator, epoch, report);
  for (const { path: file, entries, header } of openSegments) {
    if (header === null) continue;
    const end = entries.reduce(
      (last, { offset, blockBytes }) => Math.max(last, offset + blockBytes),
      header.headerBytes,
    );
    await sealSegmentFile(files, file, entries, end);
  }
  for (const { path: file } of lanes) files.remove(file);
  // Would they come back after a power cut, their symbols might have other ids by then, and retention might have dropped their blocks.
  if (lanes.length > 0) files.syncDirectory(journal);
  for (const directory of [journal, ...catalog.directories]) {
    for (const name of files.list(directory)) {
      if (/^(lane|segment)-.*\.tmp$/.test(name)) files.remove(path.join(directory, name));
    }
  }
  return report;
}

/** Whether a copy that was believed so far is whole. */
function isGood(files: Files, decoder: BlockDecoder, file: string, entry: BlockEntry): boolean {
  try {
    return isWhole(files, decoder, file, entry);
  } catch (error) {
    if (error instanceof TapeError) return false;
    throw error;
  }
}

/** The block from the first of its copies that is whole; null where none is. */
function wholeBlock(
  files: Files,
  decoder: BlockDecoder,
  block: CatalogBlock,
): { header: BlockHeader; bytes: Uint8Array } | null {
  for (const { path: file, offset } of block.copies) {
    if (!isGood(files, decoder, file, { ...block, offset })) continue;
    return withSegment(files, file, (reader) => {
      const header = reader.blockHeader(offset);
      assert(typeof header !== 'string', 'a block that was checked whole has a header');
      return { header, bytes: reader.read(offset, block.blockBytes) };
    });
  }
  return null;
}

/** Answers how many storage nodes have the block, with those that `have` it. @throws TapeError where they don't take it */
async function storeBlock(
  runtime: Runtime,
  replicator: Replicator,
  header: BlockHeader,
  bytes: Uint8Array,
  have: readonly number[],
): Promise<number> {
  const flight = replicator.submit(header, bytes, have);
  for (;;) {
    const { changed } = replicator;
    replicator.poll();
    if (replicator.takeStored() !== null) return flight.storedOn;
    if (replicator.starved !== null) throw replicator.starved;
    await Promise.race([changed, runtime.sleep(POLL_MS)]);
  }
}

/** Makes blocks of the records that are in lanes only, by the same code that drains live ones. */
async function sealLanes(
  { runtime, schema, tapeId, catalog, symbols, zstd, options }: RecoveryInput,
  lanes: readonly FoundLane[],
  replicator: Replicator,
  epoch: number,
  report: RecoveryReport,
): Promise<void> {
  const ring = Math.max(...lanes.map(({ capacity }) => capacity));
  const map = memoryMap(schema, {
    capacity: options.capacity,
    symbolCapacity: Math.max(options.maxSymbols, symbols?.count ?? 0),
    laneBytes: ring,
    laneCount: lanes.length,
  });
  const memory = sharedMemory(map.totalBytes);
  const kernels = instantiateKernels(memory);
  const bytes = new Uint8Array(memory.buffer);
  const view = new DataView(memory.buffer);
  if (symbols !== null) bytes.set(symbols.bytes.subarray(0, map.symbolWindowBytes), SYMBOLS);
  const at = (index: number) => map.lanes + index * map.laneStride;
  lanes.forEach((lane, index) => {
    bytes.set(lane.bytes.subarray(0, LANE_HEADER_BYTES + lane.capacity), at(index));
    view.setInt32(at(index) + LANE_WAITING, 0, true);
    for (const counter of [LANE_HEAD, LANE_DRAINED, LANE_TAIL]) view.setBigUint64(at(index) + counter, lane.head, true);
  });

  const held = heldRanges(runtime.files, catalog, lanes);
  const symbolFields = schema.table.filter(({ kind }) => kind === 'symbol');
  const symbolCount = symbols?.count ?? 0;
  const isPresent = (record: number, { optional, presenceBit }: PlacedField) =>
    !optional || ((bytes[record + schema.presence.offset + (presenceBit >> 3)] >> (presenceBit & 7)) & 1) === 1;
  const todo = lanes.map((lane, index) => {
    const ring = at(index) + LANE_HEADER_BYTES;
    const probe = (position: bigint, limit: bigint) => {
      const step = kernels.probe(at(index), position, limit);
      const record = ring + Number(position % BigInt(lane.capacity));
      const isNamed = (field: PlacedField) =>
        !isPresent(record, field) || view.getUint32(record + field.offset, true) < symbolCount;
      const named = step < 0 || symbolFields.every(isNamed);
      return named ? step : 0;
    };
    const parts = subtract([unreleased(lane)], held.get(keyOf(lane)) ?? []);
    return parts.flatMap((part) => {
      const { runs, damagedBytes } = wholeRuns(part, lane.tail, probe);
      report.damagedBytes += damagedBytes;
      return runs;
    });
  });
  const flusher = new Flusher({
    memory,
    map,
    kernels,
    encoder: new BlockEncoder(schema, kernels, memory, map, zstd, firstEffort(options.compression)),
    adaptive: null,
    replicator,
    tapeId,
    epoch,
    laneOf: (index) => lanes[index],
    nextSequence: catalog.nextSequence,
    flushIntervalMs: 0,
    nowMs: runtime.nowMs,
  });
  const before = flusher.nextSequence;
  // A lane may have several runs, with what is in blocks or damaged between them: one of each lane at a time.
  while (todo.some((runs) => runs.length > 0)) {
    todo.forEach((runs, index) => {
      const run = runs.shift();
      const capacity = view.getBigUint64(at(index) + LANE_CAPACITY, true);
      if (run === undefined) return;
      assert(run.to - run.from <= capacity, 'a run of records fits its ring');
      view.setBigUint64(at(index) + LANE_HEAD, run.from, true);
      view.setBigUint64(at(index) + LANE_DRAINED, run.from, true);
      view.setBigUint64(at(index) + LANE_TAIL, run.to, true);
    });
    await drive(runtime, { flusher, replicator }, flusher.flush());
  }
  report.records = Number(flusher.nextSequence - before);
}

const keyOf = ({ epoch, lane }: { epoch: number; lane: number }) => `${epoch}-${lane}`;

/** Positions of each lane that blocks hold, from its `head` on. */
function heldRanges(files: Files, catalog: Catalog, lanes: readonly FoundLane[]): Map<string, LaneRange[]> {
  const held = new Map<string, LaneRange[]>(lanes.map((lane) => [keyOf(lane), []]));
  /** Lanes of which older blocks may hold more. */
  const open = new Map(lanes.map((lane) => [keyOf(lane), lane]));
  for (let i = catalog.blocks.length - 1; i >= 0 && open.size > 0; i--) {
    const header = headerOf(files, catalog.blocks[i]);
    if (header === null) continue;
    // No lane is in a block of a session before its own.
    for (const [key, { epoch }] of open) if (epoch > header.epoch) open.delete(key);
    for (const range of header.laneRanges) {
      const key = keyOf(range);
      held.get(key)?.push(range);
      // In the blocks of its own session a lane's ranges follow on each other.
      const lane = open.get(key);
      if (lane !== undefined && lane.epoch === header.epoch && range.from <= lane.head) open.delete(key);
    }
  }
  return held;
}

function headerOf(files: Files, { copies, headerChecksum }: CatalogBlock): BlockHeader | null {
  for (const copy of copies) {
    try {
      const header = withSegment(files, copy.path, (reader) => reader.blockHeader(copy.offset));
      if (typeof header !== 'string' && header.checksum === headerChecksum) return header;
    } catch (error) {
      if (!(error instanceof TapeError)) throw error;
    }
  }
  return null;
}

/** The positions of a lane whose records may not be in blocks. */
function unreleased({ head, tail, capacity, sealedAt }: FoundLane): Range {
  // After a power cut `head` may be older than `tail`; what lies further back than the ring is long was overwritten.
  const from = tail - head > BigInt(capacity) ? tail - BigInt(capacity) : head;
  const ringEnd = from + BigInt(capacity);
  // What was published behind `sealedAt` was answered with CLOSED.
  return { from, to: sealedAt < ringEnd ? sealedAt : ringEnd };
}

/** Runs of positions in `part` whose records are whole: up to `tail`, and behind it as far as there is no hole. */
function wholeRuns(
  part: Range,
  tail: bigint,
  probe: (position: bigint, limit: bigint) => number,
): { runs: Range[]; damagedBytes: number } {
  const runs: Range[] = [];
  let damagedBytes = 0;
  let position = part.from;
  let from = position;
  const close = () => {
    if (position > from) runs.push({ from, to: position });
  };
  while (position < part.to) {
    const step = probe(position, part.to);
    if (step !== 0) {
      position += BigInt(Math.abs(step));
      continue;
    }
    if (position >= tail) break;
    close();
    position += 8n;
    damagedBytes += 8;
    from = position;
  }
  close();
  return { runs, damagedBytes };
}
