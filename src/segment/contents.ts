// What one segment holds, as far as it can be read: a damaged one holds what can still be found in it.
//
//   header   footer   its blocks are
//   good     good     those of the footer
//   good     none     found by walking their headers: it is being written, or its writer died, or the footer is damaged
//   damaged  good     those of the footer, if those block headers that are whole are of this tape
//   damaged  none     searched for, and checked whole: recovery leaves such a file as it is, with torn blocks too
import type { BlockHeader } from '../block/header.js';
import { TapeError } from '../errors.js';
import type { Files } from '../files.js';
import { type BlockEntry, FOOTER_MAGIC, TRAILER_BYTES } from './footer.js';
import { SEGMENT_PAGE, type SegmentHeader } from './header.js';
import { entryOf, isSameId, type SegmentReader, withSegment } from './reader.js';

/** A segment as the catalog knows it. */
export interface CatalogSegment {
  path: string;
  /** Index of its directory among the catalog's. */
  storage: number;
  /** Null where it is damaged or can't be read. */
  header: SegmentHeader | null;
  /** Of the session that made it; without a header the latest of its blocks, 0 without any. */
  epoch: number;
  /** Of its schema; without a header that of its blocks, null without any. */
  fingerprint: bigint | null;
  /** Its footer is good. */
  sealed: boolean;
  /** Behind the last block known, or where one before it is not committed yet. */
  end: number;
  entries: readonly BlockEntry[];
  /** What is wrong with it, for people; null where nothing is. */
  damage: string | null;
  /** The file system did not give all of it: it may hold more, and give it one day. */
  unreadable: boolean;
}

/** Whether all of the block is there. */
export type IsWhole = (file: string, entry: BlockEntry) => boolean;

/**
 * What is in the segment now. `known`: what was found in it before. `isWhole`: as `Catalog.refresh` is given it.
 * @throws TapeError `NOT_FOUND`, `FOREIGN`, `BAD_VERSION`
 */
export function readContents(
  files: Files,
  { path, storage }: { path: string; storage: number },
  known: CatalogSegment | null,
  tapeId: Uint8Array | null,
  isWhole: IsWhole | null,
): CatalogSegment {
  const segment: CatalogSegment = {
    path,
    storage,
    header: null,
    epoch: 0,
    fingerprint: null,
    sealed: false,
    end: 0,
    entries: [],
    damage: null,
    unreadable: false,
  };
  try {
    withSegment(files, path, (reader) => {
      const header = attempt(() => reader.header());
      if (typeof header === 'string') segment.damage = header;
      else {
        if (tapeId !== null && !isSameId(header.tapeId, tapeId)) {
          throw new TapeError('FOREIGN', `${path}: a segment of another tape: move it out of this directory`, { path });
        }
        segment.header = header;
        segment.epoch = header.epoch;
        segment.fingerprint = header.fingerprint;
      }
      const footer = attempt(() => reader.footer());
      if (typeof footer === 'string') segment.damage ??= footer;
      if (footer === null || typeof footer === 'string') walkBlocks(reader, segment, known, tapeId, isWhole);
      else {
        segment.sealed = true;
        segment.end = footer.offset;
        segment.entries = footer.entries;
        if (segment.header === null) checkTape(reader, segment, tapeId);
      }
    });
  } catch (error) {
    if (!isOfDisk(error)) throw error;
    // What was found before may be there again when the disk answers.
    return { ...(known ?? segment), header: null, sealed: false, damage: error.message, unreadable: true };
  }
  return segment;
}

/** Whether the file could not be read. */
const isOfDisk = (error: unknown): error is TapeError =>
  error instanceof TapeError && !['NOT_FOUND', 'FOREIGN', 'BAD_VERSION'].includes(error.code);

/** What `read` gives, or why the file could not be read there. */
function attempt<T>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (isOfDisk(error)) return error.message;
    throw error;
  }
}

/** Of a sealed segment without a header: whose are its blocks? */
function checkTape(reader: SegmentReader, segment: CatalogSegment, tapeId: Uint8Array | null): void {
  const headers = segment.entries
    .map(({ offset }) => reader.blockHeader(offset))
    .filter((header) => typeof header !== 'string');
  if (headers.length > 0 && headers.every((header) => tapeId === null || isSameId(header.tapeId, tapeId))) {
    for (const header of headers) takeFrom(header, segment);
  } else segment.entries = [];
}

/** What the segment's own header can't say. */
function takeFrom({ epoch, fingerprint }: BlockHeader, segment: CatalogSegment): void {
  segment.epoch = Math.max(segment.epoch, epoch);
  segment.fingerprint ??= fingerprint;
}

function walkBlocks(
  reader: SegmentReader,
  segment: CatalogSegment,
  known: CatalogSegment | null,
  tapeId: Uint8Array | null,
  isWhole: IsWhole | null,
): void {
  const { path, header } = segment;
  // What was damaged is looked at again from its beginning: a writer may have been at it.
  const goesOn = header !== null && known !== null && known.damage === null && !known.sealed;
  const entries = goesOn ? known.entries.filter(({ offset }) => offset < known.end) : [];
  segment.entries = entries;
  segment.end = goesOn ? known.end : (header?.headerBytes ?? SEGMENT_PAGE);
  const damaged = (reason: string) => {
    segment.damage ??= reason;
  };
  const wasWhole = new Set(header === null ? known?.entries.map(({ headerChecksum }) => headerChecksum) : []);
  const whose = header?.tapeId ?? tapeId;
  let firstHole = -1;
  for (const { offset, header: block } of reader.walk(segment.end, header !== null && isWhole === null, whose)) {
    if (offset !== segment.end) {
      if (reader.read(segment.end, 8).some((byte) => byte !== 0)) {
        damaged(`from byte ${segment.end} to ${offset} it holds no whole block`);
      } else if (firstHole < 0) firstHole = segment.end;
    }
    segment.end = offset + block.blockBytes;
    const entry = entryOf(offset, block);
    if (isWhole !== null && !isWhole(path, entry)) continue;
    if (header === null) {
      if (isWhole === null && !wasWhole.has(block.checksum) && !reader.isWhole(offset, block)) continue;
      takeFrom(block, segment);
    }
    entries.push(entry);
  }
  const reason = tailDamage(reader, segment.end);
  // A block that was not committed may be the next time; from there on it is looked at again.
  if (isWhole === null && firstHole >= 0) segment.end = firstHole;
  // Looked at again: it may have been sealed just now.
  if (reason !== null && reader.footer() === null) damaged(reason);
}

/** What is wrong behind the last block, which ends at `end`; null where nothing is, or nothing was written yet. */
function tailDamage(reader: SegmentReader, end: number): string | null {
  if (end > reader.fileBytes) return `it is cut at byte ${reader.fileBytes}, within a block`;
  const trailer = reader.read(Math.max(0, reader.fileBytes - TRAILER_BYTES), FOOTER_MAGIC.length);
  if (new TextDecoder().decode(trailer) === FOOTER_MAGIC) return 'its footer is damaged';
  const isUnwritten = reader.read(end, 8).every((byte) => byte === 0);
  if (isUnwritten || typeof reader.blockHeader(end) !== 'string') return null;
  return `from byte ${end} on it holds no whole block`;
}
