import path from 'node:path';
import type { Files } from '../../files.js';
import {
  type CatalogSegment,
  isByWriter,
  lastSegmentNumber,
  segmentName,
  segmentNumber,
} from '../../segment/catalog.js';
import type { BlockState, NodeState, RepairState, SegmentState } from './plan.js';
import type { Findings, FoundSegment } from './survey-copies.js';

/** What was found, as planning sees it. `retiring`: indices of storage nodes. `alone`: no writer has the tape. */
export function stateOf(
  files: Files,
  { survey, blocks, missing, endUnknown, segments }: Findings,
  redundancy: number,
  { retiring, alone }: { retiring: ReadonlySet<number>; alone: boolean },
): RepairState {
  const latest = survey.tape?.epoch ?? survey.roster?.epoch ?? Infinity;
  /** Blocks that can't be found may be in it, and nowhere else. */
  const mayHide = (segment: FoundSegment) =>
    !segment.sealed &&
    (missing.length > 0 ||
      (endUnknown && (segment.epoch === 0 || segment.epoch >= latest)) ||
      !isReadable(files, segment.path));
  const states = new Map<string, SegmentState>();
  // A writer that opens the tape later numbers its segments from the newest one there.
  const newest = survey.directories.map((directory) =>
    path.join(directory, segmentName(lastSegmentNumber(files, directory))),
  );
  for (const segment of segments) {
    const { path: file, storage, open, damage } = segment;
    const isDamaged = damage !== null || !isSound(segment);
    const state = open || (isDamaged && mayHide(segment)) ? 'fixed' : isDamaged ? 'damaged' : 'sealed';
    states.set(file, { path: file, storage, state, rank: rankOf(file), stays: !alone && file === newest[storage] });
  }
  const nodes: NodeState[] = survey.directories.map((_, storage) => ({
    bytes: 0,
    freeBytes: Infinity,
    retiring: retiring.has(storage),
    takes: true,
  }));
  const known = blocks.map(({ copies, ...block }): BlockState => {
    return {
      ...block,
      copies: copies.map(({ path: file, storage, offset, reason }) => {
        let segment = states.get(file);
        if (segment === undefined) {
          // Made since.
          segment = { path: file, storage, state: 'fixed', rank: rankOf(file), stays: true };
          states.set(file, segment);
        }
        nodes[storage].bytes += block.blockBytes;
        return { segment, offset, good: reason === null, mendable: true };
      }),
    };
  });
  return { nodes, segments: [...states.values()], blocks: known, redundancy };
}

/** Of the segments that repair made the last one; before all of them those of the writer. */
export const rankOf = (file: string): number => {
  const name = path.basename(file);
  return isByWriter(name) ? 0 : segmentNumber(name);
};

/** Blocks lie where blocks may, and none over another: to write one leaves the others as they are. */
export function isSound({ header, end, entries }: CatalogSegment): boolean {
  let free = header?.headerBytes ?? 0;
  for (const { offset, blockBytes } of [...entries].sort((a, b) => a.offset - b.offset)) {
    if (offset < free || offset % 8 !== 0) return false;
    free = offset + blockBytes;
  }
  return free <= end;
}

function isReadable(files: Files, file: string): boolean {
  try {
    const handle = files.open(file, 'read');
    try {
      const piece = new Uint8Array(1024 ** 2);
      for (let at = 0; at < handle.bytes; at += piece.length) handle.read(piece, at);
    } finally {
      handle.close();
    }
    return true;
  } catch {
    return false;
  }
}
