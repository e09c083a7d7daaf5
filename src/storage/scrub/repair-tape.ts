import path from 'node:path';
import { show, TapeError } from '../../errors.js';
import { listLanes } from '../../journal/journal.js';
import { checkPath, resolveOptions } from '../../options.js';
import type { Runtime } from '../../runtime.js';
import { Catalog } from '../../segment/catalog.js';
import { STORAGE_FILE, type TapeFile } from '../identity.js';
import { checkRoster, type RosterNode } from '../roster.js';
import { claimDirectories, makeDirectory, type Survey, surveyUndamaged } from '../survey.js';
import { CopyChecker } from './copy-checker.js';
import { type RepairCounts, Repairer, type RepairProgress, type Trouble } from './repair.js';
import { RepairLocks } from './repair-locks.js';
import { removeUnfinished } from './repair-segment.js';
import { stateOf } from './state.js';
import { surveyCopies } from './survey-copies.js';
import { Turns } from './turns.js';

export interface RepairOptions {
  /** The tape's storage nodes: all of them. */
  storage: readonly string[];
  /** Where the journal is, if not in a storage directory. */
  journal?: string;
  /** On how many storage nodes each block is to be. Default: what the tape was last opened for writing with. */
  redundancy?: number;
  /** Of `storage`, those that are to hold nothing any more and leave the tape. Needs that no writer has it. */
  retire?: readonly string[];
  /** Storage nodes that are lost for good, as for `openTape`. Needs that no writer has the tape. */
  lostStorageNodes?: readonly string[];
  /** Bytes of a new segment. Default 64 MiB. */
  segmentBytes?: number;
  /** Says what would be done, and does nothing. */
  dryRun?: boolean;
  onProgress?: (progress: RepairProgress) => void;
  /** Ends it: it is rejected with the signal's reason. What was done stays, and another repair goes on from there. */
  signal?: AbortSignal;
}

/** What a repair found and did, or with `dryRun` would do. */
export interface RepairResult extends RepairCounts {
  blocks: number;
  redundancy: number;
  /** Blocks without any good copy; they were left where they are. */
  lost: number;
  /** Blocks that are on fewer storage nodes than they should be, those lost included. */
  stillUnderReplicated: number;
  /** Copies that are bad or too many and could not be dropped yet: a writer has their segments open, or no disk has room. */
  left: number;
  /** Segments that are damaged and were left, as what can't be found in them may be nowhere else. */
  damagedSegments: string[];
  /** Runs of sequences from..to that no storage node has. */
  missing: { from: bigint; to: bigint }[];
  /** Storage nodes that have left the tape. */
  retired: string[];
  troubles: Trouble[];
}

/**
 * Restores `redundancy` good copies of every block, also beside a writer, and removes what is bad or too many. Interrupted at any
 * point and run again, it ends in the same state, and no block has fewer good copies at any moment than it had before.
 * @throws TapeError `NOT_FOUND`, `BAD_OPTION`, `LOCKED`, `STORAGE_MISSING`, `FOREIGN`, …; the signal's reason
 */
export async function repairTapeOn(runtime: Runtime, options: RepairOptions): Promise<RepairResult> {
  const { onProgress = () => {}, signal, dryRun = false, redundancy, retire = [], ...rest } = options;
  const { storage, journal, segmentBytes, lostStorageNodes } = resolveOptions({ redundancy, ...rest });
  const { files } = runtime;
  const before = surveyUndamaged(files, storage, journal);
  if (before.tapeId === null) {
    throw new TapeError('NOT_FOUND', `${before.directories.join(', ')}: no tape there`, {
      path: before.directories[0],
    });
  }
  tapeFileOf(before);
  if (!Array.isArray(retire)) {
    throw new TapeError('BAD_OPTION', `option retire is ${show(retire)}: it must be an array of directories`);
  }
  const retiring = new Set(retire.map((directory) => indexOf(before, directory)));
  const turns = new Turns(runtime, signal);
  const locks = new RepairLocks(runtime, before.journal);
  try {
    const alone = locks.begin();
    if (!alone && retiring.size + lostStorageNodes.length > 0) {
      throw new TapeError(
        'LOCKED',
        `${before.journal}: a writer has the tape: close it before a storage node leaves the tape`,
        {
          path: before.journal,
        },
      );
    }
    const found = surveyUndamaged(files, storage, journal);
    const givenUp = checkNodes(found, lostStorageNodes);
    const wanted = redundancy ?? found.roster?.redundancy ?? null;
    if (wanted === null) {
      throw new TapeError('BAD_OPTION', 'option redundancy is missing: the tape does not say what it was written with');
    }
    if (wanted > storage.length - retiring.size) {
      throw new TapeError(
        'BAD_OPTION',
        `option redundancy is ${wanted}, and ${storage.length - retiring.size} storage nodes stay: add some, or give a lower one`,
      );
    }
    if (retiring.size + givenUp.length > 0) checkLeaving(runtime, found, retiring);
    if (givenUp.length > 0 && !dryRun) giveUp(runtime, found, givenUp);
    else if (alone && found.ids.includes(null) && !dryRun) join(runtime, found);
    if (!dryRun) for (const directory of found.directories) removeUnfinished(files, directory);

    const zstd = await runtime.zstd();
    const { schema, epoch } = tapeFileOf(found);
    const tape = { runtime, schema, zstd, directories: found.directories, journal: found.journal };
    const checker = new CopyChecker(files, schema, zstd);
    try {
      let repairer: Repairer | null = null;
      const none = { copiesMade: 0, mendedInPlace: 0, bytesWritten: 0, segmentsRewritten: 0, dropped: 0 };
      const findings = await surveyCopies(tape, checker, () => wanted, {
        signal,
        onProgress: (done, total) => onProgress({ stage: 'check', done, total, counts: none }),
      });
      const state = stateOf(files, findings, wanted, { retiring, alone });
      found.ids.forEach((id, i) => {
        // It is new, and the writer doesn't know of it.
        if (id === null && !alone) state.nodes[i].takes = false;
      });
      repairer = new Repairer({
        tape,
        tapeId: found.tapeId!,
        epoch,
        state,
        checker,
        turns,
        segmentBytes,
        random: Math.random,
        onProgress,
      });
      const plan = dryRun ? repairer.rehearse() : await repairer.restore({ tidy: true });
      if (!dryRun && plan.removals.length > 0) {
        const mayGo = await repairer.keepNumbers(plan.removals);
        const held = await locks.whileDropping(turns, () => repairer.remove(mayGo));
        if (held !== null) repairer.troubles.push({ path: found.journal, message: held.message });
      }
      const emptied = [...retiring].filter((storageNode) =>
        state.segments.every((segment) => segment.storage !== storageNode),
      );
      if (!dryRun && emptied.length > 0) leave(runtime, found, new Set(emptied));
      const spread = state.blocks.map(({ copies }) => copies.filter(({ good }) => good));
      const nodesOf = (copies: (typeof spread)[number]) =>
        new Set(copies.flatMap(({ segment: { storage: node } }) => (retiring.has(node) ? [] : [node]))).size;
      return {
        blocks: state.blocks.length,
        redundancy: wanted,
        ...repairer.counts,
        lost: plan.lost.length,
        stillUnderReplicated: spread.filter((copies) => nodesOf(copies) < wanted).length,
        left: state.blocks.reduce(
          (sum, { copies }, i) =>
            sum + (spread[i].length === 0 ? 0 : copies.length - Math.min(nodesOf(spread[i]), wanted)),
          0,
        ),
        damagedSegments: findings.segments.flatMap(({ path: file, damage }) =>
          damage !== null && state.segments.some((segment) => segment.path === file) ? [file] : [],
        ),
        missing: findings.missing,
        retired: emptied.map((index) => found.directories[index]),
        troubles: repairer.troubles,
      };
    } finally {
      checker.close();
    }
  } finally {
    locks.release();
  }
}

/** What the journal says. @throws TapeError `NOT_FOUND` */
function tapeFileOf({ tape, journal }: Survey): TapeFile {
  if (tape !== null) return tape;
  throw new TapeError(
    'NOT_FOUND',
    `${journal}: the tape's journal is not there, and without it nothing says whether a writer has the tape: give journal ` +
      '(--journal), or, if it is lost, open the tape for writing once',
    { path: journal },
  );
}

function indexOf({ directories }: Survey, directory: unknown): number {
  checkPath('retire', directory);
  const index = directories.indexOf(path.resolve(directory));
  if (index < 0) {
    throw new TapeError(
      'BAD_OPTION',
      `option retire: ${directory} is not among the directories in storage: give it there too`,
    );
  }
  return index;
}

/** @throws TapeError as `checkRoster` does, in a repair's words */
function checkNodes({ roster, directories, ids }: Survey, lost: readonly string[]): RosterNode[] {
  try {
    return checkRoster(roster, directories, ids, lost);
  } catch (error) {
    if (!(error instanceof TapeError) || error.code !== 'STORAGE_MISSING') throw error;
    throw new TapeError(
      'STORAGE_MISSING',
      `${error.path}: this storage node of the tape is not there, or nothing in it says that it is the tape's: bring it back and give ` +
        'it with the others, or, if what it held is lost for good, say so with lostStorageNodes (--lost)',
      { path: error.path, storageNode: error.storageNode },
    );
  }
}

/** A storage node leaves the tape only when nothing is left to be recovered, and never with the journal. */
function checkLeaving(
  { files }: Runtime,
  { journal, directories, tapeId }: Survey,
  retiring: ReadonlySet<number>,
): void {
  const catalog = new Catalog(files, directories);
  catalog.refresh(tapeId);
  const unsealed = [...catalog.segments.values()].some(({ sealed, damage }) => !sealed && damage === null);
  if (listLanes(files, journal).length > 0) {
    throw new TapeError(
      'BAD_OPTION',
      `${journal}: the last session did not end, and has left records there${unsealed ? ' and open segments' : ''}: open the tape ` +
        'for writing and close it before a storage node leaves it',
      { path: journal },
    );
  }
  for (const index of retiring) {
    const directory = directories[index];
    if (journal === directory || journal.startsWith(directory + path.sep)) {
      const other = directories.find((_, i) => !retiring.has(i));
      throw new TapeError(
        'BAD_OPTION',
        `${directory}: the tape's journal is in it: move ${journal} to ${other === undefined ? 'another place' : path.join(other, 'journal')} first`,
        { path: journal, storageNode: directory },
      );
    }
  }
}

/** Enters in the roster what is lost; what is missing then is not missed any more. */
function giveUp(runtime: Runtime, found: Survey, givenUp: RosterNode[]): void {
  const { files } = runtime;
  const roster = found.roster!;
  const catalog = new Catalog(files, found.directories, roster.skipped, roster.firstSequence);
  catalog.refresh(found.tapeId);
  const from = catalog.nextSequence;
  const end = from < roster.nextSequence ? [{ from, to: roster.nextSequence }] : [];
  for (const directory of found.directories) makeDirectory(files, directory);
  enter(runtime, found, catalog, {
    directories: found.directories,
    ids: found.ids,
    lost: [...roster.lost, ...givenUp],
    skipped: [...catalog.skipped, ...catalog.gaps(), ...end],
  });
}

/** Makes directories that are given for the first time storage nodes of the tape. */
function join(runtime: Runtime, found: Survey): void {
  for (const directory of found.directories) makeDirectory(runtime.files, directory);
  if (found.roster === null) return;
  const catalog = new Catalog(runtime.files, found.directories);
  catalog.refresh(found.tapeId);
  const { lost, skipped } = found.roster;
  enter(runtime, found, catalog, { directories: found.directories, ids: found.ids, lost, skipped });
}

/** Takes storage nodes that hold nothing any more out of the roster. */
function leave(runtime: Runtime, found: Survey, emptied: ReadonlySet<number>): void {
  const { files } = runtime;
  const now = surveyUndamaged(files, found.directories, found.journal);
  const stays = (_: unknown, index: number) => !emptied.has(index);
  const catalog = new Catalog(files, found.directories);
  catalog.refresh(found.tapeId);
  if (now.roster !== null) {
    const { lost, skipped } = now.roster;
    enter(runtime, now, catalog, {
      directories: now.directories.filter(stays),
      ids: now.ids.filter(stays),
      lost,
      skipped,
    });
  }
  for (const index of emptied) {
    files.remove(path.join(found.directories[index], STORAGE_FILE));
    files.syncDirectory(found.directories[index]);
  }
}

function enter(
  runtime: Runtime,
  found: Survey,
  catalog: Catalog,
  {
    directories,
    ids,
    lost,
    skipped,
  }: Pick<Survey, 'directories' | 'ids'> & Pick<NonNullable<Survey['roster']>, 'lost' | 'skipped'>,
): void {
  const { epoch: _, storageNodes: __, ...roster } = found.roster!;
  let epoch = Math.max(found.tape?.epoch ?? 0, found.roster!.epoch);
  for (const segment of catalog.segments.values()) epoch = Math.max(epoch, segment.epoch);
  claimDirectories(
    runtime.files,
    { ...found, directories, ids },
    { tapeId: found.tapeId!, schema: tapeFileOf(found).schema, epoch: epoch + 1 },
    { ...roster, lost, skipped },
  );
}
