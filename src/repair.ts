import { runtime } from 'ticktape/runtime';
import { type RepairOptions, type RepairResult, repairTapeOn } from './storage/scrub/repair-tape.js';

/**
 * Restores all copies of every block of the tape on these storage nodes, and removes what is bad or too many: in any process, also
 * beside the one that writes the tape. Interrupted at any point and run again, it ends in the same state.
 * @throws TapeError `NOT_FOUND`, `BAD_OPTION`, `LOCKED` by another repair, `STORAGE_MISSING`, `FOREIGN`, …; the signal's reason
 */
export const repairTape = (options: RepairOptions): Promise<RepairResult> => repairTapeOn(runtime, options);
