import { laneEpoch, listLanes } from '../../journal/journal.js';
import type { Range } from '../../ranges.js';
import type { Runtime, Zstd } from '../../runtime.js';
import type { Schema } from '../../schema.js';
import { type BlockCopy, Catalog, type CatalogBlock, type CatalogSegment } from '../../segment/catalog.js';
import type { Roster } from '../roster.js';
import { type Survey, survey } from '../survey.js';
import type { CopyChecker } from './copy-checker.js';
import { Turns } from './turns.js';

/** The tape that is looked at. */
export interface ScrubbedTape {
  runtime: Runtime;
  schema: Schema;
  zstd: Zstd;
  directories: readonly string[];
  journal: string;
}

/** A copy, and what is wrong with it. */
export interface FoundCopy extends BlockCopy {
  reason: string | null;
}

export interface FoundBlock extends Omit<CatalogBlock, 'copies'> {
  copies: FoundCopy[];
}

export interface FoundSegment extends CatalogSegment {
  /** A session that is under way, or that did not end, writes it: it has no footer yet. */
  open: boolean;
}

/** Every copy of every block, read and checked. */
export interface Findings {
  survey: Survey;
  blocks: FoundBlock[];
  missing: Range[];
  /** A block may be missing behind the last one without being among the missing: how many there were is not known. */
  endUnknown: boolean;
  segments: FoundSegment[];
  /** Of all good copies. */
  bytes: number;
}

/** A block may be on its way to its last storage node. */
const SETTLE_MS = 250;

/**
 * Reads and checks every copy of every block that is there now. What seems to be amiss it looks at again at the end: a writer, a
 * repair or retention may be at work.
 * @throws TapeError, and the signal's reason
 */
export async function surveyCopies(
  tape: ScrubbedTape,
  checker: CopyChecker,
  redundancy: (roster: Roster | null) => number,
  { onProgress, signal }: { onProgress?: (blocks: number, total: number) => void; signal?: AbortSignal },
): Promise<Findings> {
  const turns = new Turns(tape.runtime, signal);
  turns.check();
  const { files } = tape.runtime;
  const lanesBefore = listLanes(files, tape.journal);
  const found = survey(files, tape.directories, tape.journal);
  const copiesWanted = redundancy(found.roster);
  const catalog = new Catalog(files, tape.directories, found.roster?.skipped, found.roster?.firstSequence);
  refresh(catalog, found.tapeId);
  const blocks: FoundBlock[] = [];
  const segments = [...catalog.segments.values()];
  const total = catalog.blocks.length;
  for (const block of [...catalog.blocks]) {
    const copies = block.copies.map((copy) => ({ ...copy, reason: checkCopy(checker, block, copy) }));
    blocks.push({ ...block, copies });
    onProgress?.(blocks.length, total);
    if (turns.due) await turns.give();
  }

  const isDoubtful = ({ copies }: FoundBlock) =>
    copies.some(({ reason }) => reason !== null) || holders(copies).size < copiesWanted;
  if (lanesBefore.length > 0 && blocks.some(isDoubtful)) await turns.sleep(SETTLE_MS);
  const lanes = [...lanesBefore, ...listLanes(files, tape.journal)].map(laneEpoch);
  const { tape: tapeFile, roster } = survey(files, tape.directories, tape.journal);
  refresh(catalog, found.tapeId);
  const now = new Map(catalog.blocks.map((block) => [block.sequence, block]));
  for (const block of blocks) {
    if (!isDoubtful(block)) continue;
    const before = new Map(block.copies.map((copy) => [placeOf(copy), copy]));
    const copies: FoundCopy[] = [];
    for (const copy of now.get(block.sequence)?.copies ?? []) {
      const known = before.get(placeOf(copy));
      copies.push(known?.reason === null ? known : { ...copy, reason: checkCopy(checker, block, copy) });
      if (turns.due) await turns.give();
    }
    block.copies = copies;
  }

  const isOpen = ({ sealed, epoch }: CatalogSegment) =>
    !sealed && (tapeFile === null || lanes.some((lane) => lane <= epoch || epoch === tapeFile.epoch));
  const missing = catalog.gaps();
  const endUnknown = roster === null || roster.unclosedFrom !== null;
  if (!endUnknown && catalog.nextSequence < roster.nextSequence) {
    missing.push({ from: catalog.nextSequence, to: roster.nextSequence });
  }
  return {
    survey: found,
    // Of what retention took meanwhile nothing is left.
    blocks: blocks.filter((block) => block.copies.length > 0 && !(isDoubtful(block) && catalog.isDropped(block))),
    missing,
    endUnknown,
    segments: segments.flatMap(({ path: file, sealed, entries }) => {
      const segment = catalog.segments.get(file);
      if (segment === undefined) return [];
      // Sealed meanwhile: its later blocks were not looked at.
      const open = isOpen(segment) || (!sealed && segment.sealed);
      const noFooter = segment.sealed || open ? null : 'it has no footer';
      return [{ ...segment, entries: [...entries], open, damage: segment.damage ?? noFooter }];
    }),
    bytes: checker.bytes,
  };
}

/** Distinct storage nodes with a good copy. */
export const holders = (copies: readonly FoundCopy[]): Set<number> =>
  new Set(copies.flatMap(({ storage, reason }) => (reason === null ? [storage] : [])));

const placeOf = ({ path: file, offset }: BlockCopy) => `${offset} ${file}`;

const checkCopy = (checker: CopyChecker, block: Omit<CatalogBlock, 'copies'>, { path: file, offset }: BlockCopy) =>
  checker.check(file, { ...block, offset });

/** Twice: a copy may have moved from a storage node that was not yet read to one that had been. */
function refresh(catalog: Catalog, tapeId: Uint8Array | null): void {
  catalog.refresh(tapeId);
  catalog.refresh(tapeId);
}
