import type { Damage } from '../../read/reader.js';
import type { Roster } from '../roster.js';
import { CopyChecker } from './copy-checker.js';
import { type FoundBlock, holders, type ScrubbedTape, surveyCopies } from './survey-copies.js';

export interface VerifyOptions {
  /** On how many storage nodes each block should be. Default: what the tape was last opened for writing with. */
  redundancy?: number;
  onProgress?: (blocks: number, total: number) => void;
  /** Ends it: it is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/** What `verify` found. */
export interface Verdict {
  /** On how many storage nodes each block should be; null where neither the tape nor an option says. */
  redundancy: number | null;
  /** Storage nodes of the tape, by their last paths, that were not looked at. */
  missingStorageNodes: string[];
  blocks: number;
  /** Copies that are good. */
  copies: number;
  damaged: Damage[];
  /** Segments whose header or footer is damaged, or that are cut. Their blocks are counted as far as they can be found. */
  damagedSegments: { path: string; reason: string }[];
  /** Runs of sequences from..to that no storage node has, but for those given up with a lost one. */
  missing: { from: bigint; to: bigint }[];
  /** Blocks with good copies on fewer than `redundancy` storage nodes. */
  underReplicated: number;
  /** Of these, blocks without any good copy. */
  lost: number;
  /** Good copies beyond `redundancy`, or beyond the first on a storage node. */
  surplus: number;
  /** Of all good copies. */
  bytes: number;
}

/** Reads every copy of every block, against its checksums and by decoding every column, and changes nothing. */
export async function verifyTape(
  tape: ScrubbedTape,
  options: VerifyOptions,
  checker = new CopyChecker(tape.runtime.files, tape.schema, tape.zstd),
): Promise<Verdict> {
  const wanted = (roster: Roster | null) => options.redundancy ?? roster?.redundancy ?? null;
  try {
    const found = await surveyCopies(tape, checker, (roster) => wanted(roster) ?? 1, options);
    const redundancy = wanted(found.survey.roster);
    const good = found.blocks.map(({ copies }) => copies.filter(({ reason }) => reason === null).length);
    const spread = found.blocks.map(({ copies }) => holders(copies).size);
    const { ids, roster } = found.survey;
    return {
      redundancy,
      missingStorageNodes: (roster?.storageNodes ?? []).flatMap(({ id, path }) => (ids.includes(id) ? [] : [path])),
      blocks: found.blocks.length,
      copies: sum(good),
      damaged: found.blocks.flatMap(damageOf),
      damagedSegments: found.segments.flatMap(({ path, damage: reason }) =>
        reason === null ? [] : [{ path, reason }],
      ),
      missing: found.missing,
      underReplicated: spread.filter((nodes) => nodes < (redundancy ?? 1)).length,
      lost: spread.filter((nodes) => nodes === 0).length,
      surplus: sum(good.map((copies, i) => copies - Math.min(spread[i], redundancy ?? Infinity))),
      bytes: found.bytes,
    };
  } finally {
    checker.close();
  }
}

const damageOf = ({ sequence, copies }: FoundBlock): Damage[] =>
  copies.flatMap(({ path, offset, reason }) => (reason === null ? [] : [{ block: sequence, path, offset, reason }]));

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
