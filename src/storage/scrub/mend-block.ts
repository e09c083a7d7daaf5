import type { Catalog, CatalogBlock } from '../../segment/catalog.js';
import { CopyChecker } from './copy-checker.js';
import type { SegmentState } from './plan.js';
import { Repairer, type Trouble } from './repair.js';
import { RepairLocks } from './repair-locks.js';
import { isSound, rankOf } from './state.js';
import type { ScrubbedTape } from './survey-copies.js';
import { Turns } from './turns.js';

export interface MendedTape extends ScrubbedTape {
  tapeId: Uint8Array;
  epoch: number;
  redundancy: number;
  segmentBytes: number;
}

/**
 * Restores the copies of one block that a scan found damaged: where they lie, or by new ones. Nothing is removed.
 * @throws TapeError `LOCKED` where a repair is under way
 */
export async function mendBlock(tape: MendedTape, catalog: Catalog, { sequence }: CatalogBlock): Promise<Trouble[]> {
  const { runtime, schema, zstd, directories, journal } = tape;
  const locks = new RepairLocks(runtime, journal);
  const checker = new CopyChecker(runtime.files, schema, zstd);
  try {
    locks.begin();
    catalog.refresh(tape.tapeId);
    const block = catalog.find(sequence);
    if (block === undefined) return [];
    const segments = new Map<string, SegmentState>();
    const copies = block.copies.map(({ path, storage, offset }) => {
      const found = catalog.segments.get(path)!;
      const mendable = found.sealed && found.damage === null && isSound(found);
      const segment = segments.get(path) ?? {
        path,
        storage,
        state: mendable ? ('sealed' as const) : ('fixed' as const),
        rank: rankOf(path),
        stays: true,
      };
      segments.set(path, segment);
      return { segment, offset, good: checker.check(path, { ...block, offset }) === null, mendable: true };
    });
    const repairer = new Repairer({
      tape,
      tapeId: tape.tapeId,
      epoch: tape.epoch,
      state: {
        nodes: directories.map(() => ({ bytes: 0, freeBytes: Infinity, retiring: false, takes: true })),
        segments: [...segments.values()],
        blocks: [{ ...block, copies }],
        redundancy: tape.redundancy,
      },
      checker,
      turns: new Turns(runtime, undefined),
      segmentBytes: tape.segmentBytes,
      random: Math.random,
      onProgress: () => {},
    });
    await repairer.restore({ tidy: false });
    return repairer.troubles;
  } finally {
    checker.close();
    locks.release();
  }
}
