// What one segment holds, as far as it can be read: a damaged one holds what can still be found in it.
//
//   header   footer   its blocks are
//   good     good     those of the footer
//   good     none     found by walking their headers: it is being written, or its writer died, or the footer is damaged
//   damaged  good     those of the footer, if those block headers that are whole are of this tape
//   damaged  none     searched for, and checked whole: recovery leaves such a file as it is, with torn blocks too
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
  /** Its footer is good. */
  sealed: boolean;
  /** Behind the last block known. */
  end: number;
  entries: readonly BlockEntry[];
  /** What is wrong with it, for people; null where nothing is. */
  damage: string | null;
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
    sealed: false,
    end: 0,
    entries: [],
    damage: null,
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
    return { ...(known ?? segment), header: null, sealed: false, damage: error.message };
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
  let ours = false;
  for (const { offset } of segment.entries) {
    const header = reader.blockHeader(offset);
    if (typeof header === 'string') continue;
    segment.epoch = Math.max(segment.epoch, header.epoch);
    ours = tapeId === null || isSameId(header.tapeId, tapeId);
    if (!ours) break;
  }
  if (!ours) segment.entries = [];
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
  const entries = goesOn ? [...known.entries] : [];
  segment.entries = entries;
  segment.end = goesOn ? known.end : (header?.headerBytes ?? SEGMENT_PAGE);
  const damaged = (reason: string) => {
    segment.damage ??= reason;
  };
  const wasWhole = new Set(header === null ? known?.entries.map(({ headerChecksum }) => headerChecksum) : []);
  const whose = header?.tapeId ?? tapeId;
  for (const { offset, header: block } of reader.walk(segment.end, header !== null && isWhole === null, whose)) {
    if (offset !== segment.end) damaged(`from byte ${segment.end} to ${offset} it holds no whole block`);
    segment.end = offset + block.blockBytes;
    const entry = entryOf(offset, block);
    if (isWhole !== null && !isWhole(path, entry)) continue;
    if (header === null) {
      if (isWhole === null && !wasWhole.has(block.checksum) && !reader.isWhole(offset, block)) continue;
      segment.epoch = Math.max(segment.epoch, block.epoch);
    }
    entries.push(entry);
  }
  if (segment.end > reader.fileBytes) damaged(`it is cut at byte ${reader.fileBytes}, within a block`);
  else if (endsAsSealed(reader)) damaged('its footer is damaged');
  else if (
    reader.read(segment.end, 8).some((byte) => byte !== 0) &&
    typeof reader.blockHeader(segment.end) === 'string'
  )
    damaged(`from byte ${segment.end} on it holds no whole block`);
}

function endsAsSealed(reader: SegmentReader): boolean {
  const magic = reader.read(Math.max(0, reader.fileBytes - TRAILER_BYTES), FOOTER_MAGIC.length);
  return new TextDecoder().decode(magic) === FOOTER_MAGIC;
}
