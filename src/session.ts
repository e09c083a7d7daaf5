import path from 'node:path';
import { CONTROL_BYTES } from '../assembly/layout.js';
import { readLastSession } from './collect/last-session.js';
import { TapeError } from './errors.js';
import type { Files } from './files.js';
import { GROWTH } from './flush/adaptive.js';
import type { FlusherSetup } from './flush/assemble.js';
import { GapLog } from './gap-log.js';
import { ioError } from './io.js';
import { Journal, readSymbols } from './journal/journal.js';
import { type MemoryMap, memoryMap } from './journal/memory-map.js';
import { planRecovery, type RecoveryReport, recover } from './journal/recovery.js';
import type { ResolvedOptions } from './options.js';
import { lengthOf, type Range, subtract } from './ranges.js';
import type { FileLock, Mapper, Runtime, Zstd } from './runtime.js';
import { describeKind, type Schema } from './schema.js';
import { Catalog, type CatalogSegment, isWrittenAfter } from './segment/catalog.js';
import { countDropped } from './stats.js';
import { DirectoryStorageNode } from './storage/directory.js';
import { changeTapeRoster } from './storage/identity.js';
import { Replicator } from './storage/replicator.js';
import { finishRetention } from './storage/retention.js';
import { checkRoster, RESERVED_SEQUENCES, type Roster, type RosterNode } from './storage/roster.js';
import { takeDropLock } from './storage/scrub/repair-locks.js';
import { checkWritable, claimDirectories, makeDirectory, restoreIds, type Survey, survey } from './storage/survey.js';

/** A repair removes files, and no more, while an opening writer waits. */
const DROPS_WAIT_MS = 10_000;

/** A tape that this process alone writes, recovered, with a journal to append to. */
export interface Session {
  survey: Survey;
  tapeId: Uint8Array;
  catalog: Catalog;
  zstd: Zstd;
  recovery: RecoveryReport;
  journal: Journal;
  gaps: GapLog;
  flusherSetup: FlusherSetup;
  /** Ends it, once everything is on the storage nodes. `records`: how many were; it may have reserved more sequences. */
  end(records: number): void;
  /** Ends it where that is not so: the next open recovers what the lanes hold. */
  abandon(): void;
}

/** What a test may choose. */
export interface SessionKnobs {
  /** For placement: from 0 up to 1. */
  random?: () => number;
  /** Lanes that there is room for. */
  laneCount?: number;
}

/**
 * Opens the tape for writing, made if there is none yet, and recovers what an earlier session left in its lanes.
 * @throws TapeError as `openTape` says; nothing on disk has changed then
 */
export async function beginSession(
  runtime: Runtime,
  schema: Schema,
  options: ResolvedOptions,
  { random = Math.random, laneCount }: SessionKnobs = {},
): Promise<Session> {
  const { files } = runtime;
  const before = restoreIds(survey(files, options.storage, options.journal));
  checkSchema(schema, before);
  checkRoster(before.roster, before.directories, before.ids, options.lostStorageNodes);
  const mapper = chooseMapper(runtime, options);
  const mapSizes = {
    capacity: options.capacity,
    growth: options.compression === 'adaptive' ? GROWTH : 1,
    laneBytes: options.laneBytes,
    laneCount,
  };
  // Before anything is made, so that options that don't fit change nothing.
  const provisional = memoryMap(schema, { ...mapSizes, symbolCapacity: options.maxSymbols });
  const { laneStride, symbolWindowBytes } = provisional;
  checkWritable(files, before, options.segmentBytes + laneStride + symbolWindowBytes + CONTROL_BYTES);

  // The others once there is nothing more that may be refused.
  makeDirectory(files, before.journal);
  const lock = runtime.lock(path.join(before.journal, 'lock'));
  let drops: FileLock | undefined;
  try {
    // A block that a repair moves would be seen on neither of two storage nodes.
    drops = await takeDropLock(runtime, before.journal, DROPS_WAIT_MS);
    return await beginLocked(runtime, lock, schema, options, mapper, mapSizes, random);
  } catch (error) {
    lock.release();
    throw error;
  } finally {
    drops?.release();
  }
}

async function beginLocked(
  runtime: Runtime,
  lock: FileLock,
  schema: Schema,
  options: ResolvedOptions,
  mapper: Mapper | null,
  mapSizes: { capacity: number; growth: number; laneBytes: number | undefined; laneCount: number | undefined },
  random: () => number,
): Promise<Session> {
  const { files } = runtime;
  // Again, now that nobody else can be at it: another process may have made the tape, written to it and closed it meanwhile.
  const found = restoreIds(survey(files, options.storage, options.journal));
  checkSchema(schema, found);
  const { roster } = found;
  const givenUp = checkRoster(roster, found.directories, found.ids, options.lostStorageNodes);
  const tapeId = found.tapeId ?? crypto.getRandomValues(new Uint8Array(16));
  const catalog = new Catalog(files, found.directories, roster?.skipped, roster?.firstSequence);
  const symbols = readSymbols(files, found.journal, tapeId);
  const zstd = await runtime.zstd();
  const input = { runtime, schema, tapeId, journal: found.journal, catalog, symbols, zstd, options };
  const plan = planRecovery(input);
  checkSegmentSchemas(schema, catalog);

  const epoch = nextEpoch(found, catalog, plan.lanes);
  const { directories } = found;
  const { durability, onWarning } = options;
  const gaps = new GapLog({ files, directories, tapeId, epoch, durable: durability === 'disk', onWarning });

  for (const directory of directories) makeDirectory(files, directory);
  // Blocks that a process left in the page cache as it died count as stored from here on.
  syncSegments(files, plan.openSegments);
  if (givenUp.length > 0) skipLost(catalog, found, givenUp, options);
  else skipUnread(catalog, found, options);
  const missing = roster === null ? [] : skipUnclosed(catalog, roster);
  const from = catalog.nextSequence;
  claimDirectories(
    files,
    found,
    { tapeId, schema, epoch },
    {
      lost: [...(roster?.lost ?? []), ...givenUp],
      nextSequence: from + RESERVED_SEQUENCES,
      unclosedFrom: from,
      skipped: catalog.skipped,
      redundancy: options.redundancy,
      firstSequence: catalog.firstSequence,
    },
  );
  gaps.restore();
  const last = readLastSession(files, found.journal, tapeId, runtime.nowNs());
  // Before the counters that say so are replaced.
  if (last?.diedCollecting) gaps.diedAt(last.aliveNs);
  const removed = finishRetention(files, catalog, options.onWarning);
  const { redundancy, degraded, writeTimeoutMs, segmentBytes, segmentMaxAgeMs } = options;
  const parts = { tapeId, schema, epoch, segmentBytes, segmentMaxAgeMs };
  const replicator = new Replicator(
    found.directories.map((directory, ordinal) => new DirectoryStorageNode(directory, runtime, { ...parts, ordinal })),
    {
      redundancy,
      degraded,
      durable: true,
      writeTimeoutMs,
      random,
      nowMs: runtime.nowMs,
      onTrouble: (error) => options.onWarning(error.message),
    },
  );
  const recovery = await recover(input, plan, replicator, epoch);
  recovery.missingRecords = lengthOf(missing);
  await replicator.close(runtime.sleep);
  warnOfLosses(found, recovery, symbols?.lost ?? 0, options);
  catalog.refresh(tapeId);
  for (const { path: file } of found.damaged) {
    options.onWarning(`${file}: was damaged, and was written anew from what the tape's other files say`);
  }
  for (const { path: file, reason } of catalog.damaged) {
    options.onWarning(`${file}: damaged (${reason}): of its blocks, those that could be found in it are read`);
  }

  const map: MemoryMap = memoryMap(schema, {
    ...mapSizes,
    symbolCapacity: Math.max(options.maxSymbols, symbols?.capacity ?? 0),
  });
  const { nextSequence } = catalog;
  const journal = new Journal({ runtime, mapper, directory: found.journal, tapeId, epoch, schema, redundancy, map });
  countDropped(journal.memory, { firstSequence: catalog.firstSequence, records: 0, ...removed });
  return {
    survey: found,
    tapeId,
    catalog,
    zstd,
    recovery,
    journal,
    gaps,
    flusherSetup: {
      memory: journal.memory,
      map,
      schemaJson: schema.json,
      nextSequence,
      journal: found.journal,
      mapped: journal.mapped,
      directories: found.directories,
      redundancy,
      degraded,
      writeTimeoutMs,
      compression: options.compression,
      durability: options.durability,
      syncIntervalMs: options.syncIntervalMs,
      flushIntervalMs: options.flushIntervalMs,
      tapeId,
      epoch,
      segmentBytes,
      segmentMaxAgeMs,
      retention: options.retention,
      firstSequence: catalog.firstSequence,
      skipped: catalog.skipped,
    },
    end(records) {
      const ended = { nextSequence: nextSequence + BigInt(records), unclosedFrom: null };
      try {
        changeTapeRoster(files, found.journal, (roster) => ({ ...roster, ...ended }));
      } catch (error) {
        // Everything is stored; sequences would only be skipped if a storage node were lost.
        options.onWarning((error as Error).message);
      }
      gaps.close();
      journal.close(true);
      lock.release();
    },
    abandon() {
      gaps.close();
      journal.close(false);
      lock.release();
    },
  };
}

function syncSegments(files: Files, segments: readonly CatalogSegment[]): void {
  for (const { path: file, header } of segments) {
    try {
      const handle = files.open(file, 'edit');
      try {
        handle.sync();
      } finally {
        handle.close();
      }
    } catch (cause) {
      // One that is left as it is, whatever is the matter with it.
      if (header !== null) throw ioError(cause, file, 'sync it');
    }
  }
  for (const directory of new Set(segments.map(({ path: file }) => path.dirname(file)))) files.syncDirectory(directory);
}

/**
 * What is missing of a session that did not end with `close()` went with a power cut, before it was synced: it is not missed any more.
 * What lanes still hold of it comes back under other sequences.
 */
function skipUnclosed(catalog: Catalog, { unclosedFrom }: Roster): Range[] {
  if (unclosedFrom === null) return [];
  const gaps = subtract(catalog.gaps(), [{ from: 0n, to: unclosedFrom }]);
  catalog.skipped = [...catalog.skipped, ...gaps];
  return gaps;
}

function warnOfLosses(
  { journal }: Survey,
  { damagedBytes, missingRecords }: RecoveryReport,
  lostNames: number,
  { onWarning }: ResolvedOptions,
): void {
  if (damagedBytes > 0) {
    onWarning(
      `${journal}: ${damagedBytes} bytes of its lanes held no whole record` +
        `${lostNames > 0 ? `, and ${lostNames} names of its symbol table were damaged` : ''}; all others were recovered`,
    );
  }
  if (missingRecords > 0) {
    onWarning(
      `${journal}: blocks of ${missingRecords} records are on no storage node, as they were not yet synced when the machine went down; ` +
        'what lanes still held of them was recovered under other sequences',
    );
  }
}

/** A lane's name holds the epoch, and blocks hold that name: an epoch must never come back. */
function nextEpoch({ tape, roster }: Survey, catalog: Catalog, lanes: readonly { epoch: number }[]): number {
  let last = Math.max(tape?.epoch ?? 0, roster?.epoch ?? 0);
  for (const segment of catalog.segments.values()) last = Math.max(last, segment.epoch);
  for (const { epoch } of lanes) last = Math.max(last, epoch);
  return last + 1;
}

/** What storage nodes that are given up may have held is not missed any more, and not given to other records. */
function skipLost(catalog: Catalog, { roster }: Survey, givenUp: RosterNode[], { onWarning }: ResolvedOptions): void {
  const gaps = catalog.gaps();
  const from = catalog.nextSequence;
  const to = roster!.nextSequence;
  catalog.skipped = [...catalog.skipped, ...gaps, ...(from < to ? [{ from, to }] : [])];
  onWarning(
    `${givenUp.map(({ path: directory }) => directory).join(', ')}: given up as lost, and with it ${lengthOf(gaps)} records` +
      (from < to ? ` and any that followed on sequence ${from}; sequences go on at ${to}` : ''),
  );
}

/**
 * A segment that can't be read may hold the last blocks, and be read again one day: their sequences are not given again. Nor are those
 * that a damaged one held, where a session that ended with `close()` says how many there were.
 */
function skipUnread(catalog: Catalog, { roster }: Survey, { onWarning }: ResolvedOptions): void {
  const segments = [...catalog.segments.values()];
  // A storage node gets blocks in their order: what lies before one that is known was not the last.
  const isLast = ({ path: file, storage }: CatalogSegment) =>
    !segments.some(
      (other) => other.storage === storage && other.entries.length > 0 && isWrittenAfter(other.path, file),
    );
  const ended = roster?.unclosedFrom === null;
  const unread = segments.filter(
    (segment) => segment.header === null && !segment.sealed && (ended || segment.unreadable) && isLast(segment),
  );
  const from = catalog.nextSequence;
  const to = roster?.nextSequence ?? from;
  if (unread.length === 0 || from >= to) return;
  catalog.skipped = [...catalog.skipped, { from, to }];
  onWarning(
    `${unread.map(({ path: file }) => file).join(', ')}: can't be read, and may hold records that followed on sequence ${from}; ` +
      `sequences go on at ${to}`,
  );
}

function chooseMapper(runtime: Runtime, { journalMode, onWarning }: ResolvedOptions): Mapper | null {
  if (journalMode === 'buffered') return null;
  try {
    return runtime.mapper();
  } catch (error) {
    if (journalMode === 'mapped') throw error;
    onWarning(
      `the journal is buffered, so a process that is killed loses its last milliseconds: ${(error as Error).message}`,
    );
    return null;
  }
}

export function checkSchema(schema: Schema, { tape, journal }: Survey): void {
  if (tape === null || tape.schema.fingerprint === schema.fingerprint) return;
  throw mismatch(schema, tape.schema, journal);
}

export function checkSegmentSchemas(schema: Schema, catalog: Catalog): void {
  for (const { fingerprint, header, path: file } of catalog.segments.values()) {
    if (fingerprint === null || fingerprint === schema.fingerprint) continue;
    throw mismatch(schema, header?.schema ?? null, file);
  }
}

function mismatch(given: Schema, recorded: Schema | null, file: string): TapeError {
  const describe = ({ name, fields }: Schema) =>
    `${name}(${fields.map((field) => `${field.name} ${describeKind(field)}`).join(', ')})`;
  const was = recorded === null ? 'another' : describe(recorded);
  return new TapeError(
    'SCHEMA_MISMATCH',
    `${file}: recorded as ${was}, opened as ${describe(given)}: open it with its own schema, or record elsewhere`,
    { path: file },
  );
}
