// A tape's storage nodes, as tape.json and every storage-node.json list them: a storage node that is not given when the tape is
// opened for writing may hold blocks, and their sequences would be given a second time.
//
// Each open for writing writes the list in three steps, and may be killed between any two files:
//   1. storage-node.json with an id in the directories that have none: an id is listed only when its directory knows it;
//   2. the list, with the new epoch, into each storage-node.json;
//   3. and into tape.json. Blocks come after that.
// Of several lists that of the latest epoch holds, with the greatest `firstSequence` of all of them.
import { TapeError } from '../errors.js';
import type { Range } from '../ranges.js';

/** A storage node by its id, and where it was when it was last opened for writing. */
export interface RosterNode {
  /** 32 hex digits. A directory keeps it when it is moved. */
  id: string;
  path: string;
}

export interface Roster {
  /** Of the open that wrote it. */
  epoch: number;
  storageNodes: RosterNode[];
  /** Given up for good. */
  lost: RosterNode[];
  /** No sequence from here on was ever given. */
  nextSequence: bigint;
  /** The first sequence of the session that has it open, or did not end with `close()`; else null. */
  unclosedFrom: bigint | null;
  /** What was missing when storage nodes were given up: not missed any more, and not given again. */
  skipped: readonly Range[];
  /** On how many storage nodes the session keeps each block; null in a list from before that was told. */
  redundancy: number | null;
  /** Retention dropped all before it: blocks below it are not there, whatever files still hold them. */
  firstSequence: bigint;
}

/**
 * A session reserves so many sequences in the list, which can't be written again with every block; a session that ends with
 * `close()` gives back what it did not use. At ten million records a second they last for 300 days.
 */
export const RESERVED_SEQUENCES = 2n ** 48n;

/** The list that holds: of the latest epoch, and of that one the last written, as a session gives back what it reserved. */
export function latest(rosters: readonly (Roster | null)[]): Roster | null {
  const held = rosters.reduce((best, roster) => {
    if (best === null || roster === null) return best ?? roster;
    if (roster.epoch !== best.epoch) return roster.epoch > best.epoch ? roster : best;
    return roster.nextSequence < best.nextSequence ? roster : best;
  }, null);
  return held && { ...held, firstSequence: greatestMark(rosters) };
}

/** Once one of the lists has it, blocks below it may go. */
export function greatestMark(rosters: readonly (Roster | null)[]): bigint {
  return rosters.reduce(
    (mark, roster) => (roster !== null && roster.firstSequence > mark ? roster.firstSequence : mark),
    0n,
  );
}

/**
 * The storage nodes that are to be given up: those of the list that are not among `ids`.
 * @throws TapeError `STORAGE_MISSING` for one that `given up` (paths or ids) does not name, `BAD_OPTION`, `FOREIGN`, `BAD_PATH`
 */
export function checkRoster(
  roster: Roster | null,
  directories: readonly string[],
  ids: readonly (string | null)[],
  givenUp: readonly string[],
): RosterNode[] {
  ids.forEach((id, i) => {
    const [directory, twin] = [directories[i], directories[ids.indexOf(id)]];
    if (id === null) return;
    const details = { path: directory, storageNode: directory };
    if (twin !== directory) {
      throw new TapeError('BAD_PATH', `${directory}: a copy of the storage node ${twin}: give one of the two`, details);
    }
    if (roster?.lost.some((node) => node.id === id)) {
      throw new TapeError(
        'FOREIGN',
        `${directory}: this storage node was given up as lost, and its records may have been stored again since: leave it out ` +
          'of storage; it can be opened with readOnly',
        details,
      );
    }
  });
  const missing = (roster?.storageNodes ?? []).filter(({ id }) => !ids.includes(id));
  const names = ({ id, path }: RosterNode) => givenUp.includes(path) || givenUp.includes(id);
  const needed = missing.find((node) => !names(node));
  if (needed !== undefined) {
    throw new TapeError(
      'STORAGE_MISSING',
      `${needed.path}: this storage node of the tape (id ${needed.id}) is not among the directories in storage, and may hold ` +
        'blocks that no other has: bring it back (moved, it is known by its id), or, if it is lost for good, open the tape ' +
        `with lostStorageNodes: [${JSON.stringify(needed.path)}]`,
      { path: needed.path, storageNode: needed.path },
    );
  }
  // What was given up before may still be named: a program's options stay as they are.
  const known = [...missing, ...(roster?.lost ?? [])];
  const unknown = givenUp.find((name) => !known.some(({ id, path }) => id === name || path === name));
  if (unknown !== undefined) {
    throw new TapeError('BAD_OPTION', `option lostStorageNodes: ${unknown} is no storage node that the tape misses`);
  }
  return missing;
}

/** What JSON can hold. */
export function rosterJson({
  nextSequence,
  unclosedFrom,
  firstSequence,
  skipped,
  ...rest
}: Roster): Record<string, unknown> {
  return {
    ...rest,
    nextSequence: String(nextSequence),
    firstSequence: String(firstSequence),
    ...(unclosedFrom === null ? {} : { unclosedFrom: String(unclosedFrom) }),
    skipped: skipped.map(({ from, to }) => [String(from), String(to)]),
  };
}

/** The list in a JSON file; null in a file from before there was one. @throws TapeError `CORRUPT` */
export function parseRoster(value: unknown, file: string): Roster | null {
  if (value === undefined) return null;
  const refuse = (what: string): never => {
    throw new TapeError(
      'CORRUPT',
      `${file}: its list of storage nodes is damaged (${what}): restore it from another copy`,
      {
        path: file,
      },
    );
  };
  const of = (value ?? {}) as Record<string, unknown>;
  const list = (name: string): unknown[] => {
    const found = of[name];
    return Array.isArray(found) ? found : refuse(name);
  };
  const nodes = (name: string): RosterNode[] =>
    list(name).map((node) => {
      const { id, path } = (node ?? {}) as Partial<RosterNode>;
      if (!isNodeId(id) || typeof path !== 'string') return refuse(name);
      return { id, path };
    });
  const sequence = (found: unknown, name: string): bigint => {
    if (typeof found !== 'string' || !/^\d{1,20}$/.test(found) || BigInt(found) >= 2n ** 64n) return refuse(name);
    return BigInt(found);
  };
  const { epoch, redundancy = null } = of;
  if (!isEpoch(epoch)) return refuse('epoch');
  if (redundancy !== null && !(Number.isInteger(redundancy) && (redundancy as number) > 0)) return refuse('redundancy');
  return {
    epoch,
    storageNodes: nodes('storageNodes'),
    lost: nodes('lost'),
    nextSequence: sequence(of.nextSequence, 'nextSequence'),
    unclosedFrom: of.unclosedFrom === undefined ? null : sequence(of.unclosedFrom, 'unclosedFrom'),
    skipped: list('skipped').map((range) => {
      const [from, to] = Array.isArray(range) ? range.map((end) => sequence(end, 'skipped')) : [];
      return from < to ? { from, to } : refuse('skipped');
    }),
    redundancy: redundancy as number | null,
    // Lists from before there was retention have none.
    firstSequence: of.firstSequence === undefined ? 0n : sequence(of.firstSequence, 'firstSequence'),
  };
}

export function isNodeId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);
}

export function isEpoch(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}
