import path from 'node:path';
import { MAX_STORAGE_NODES } from '../assembly/layout.js';
import { show, TapeError } from './errors.js';
import { badPath } from './io.js';
import type { Degraded } from './storage/replicator.js';
import { isNodeId } from './storage/roster.js';

/** What to do with a record when its lane is full: sleep until there is room, drop it (counted), or throw `FULL`. */
export type OnFull = 'wait' | 'drop' | 'throw';

/** `process`: survives the death of the process. `disk`: `flush()` resolves once it survives a power cut too. */
export type Durability = 'process' | 'disk';

/**
 * How hard blocks are compressed. `adaptive`: by what there is time for, from bit packing alone, while records come faster than
 * they can be stored, to `dense`, while there is nothing else to do. `fast`: column encodings and Huffman codes. `dense`: these or zstd at
 * level 9, whichever is smaller. `{ zstd }`: column encodings and zstd at a level from 1 to 19. `off`: bit packing alone.
 */
export type Compression = 'adaptive' | 'fast' | 'dense' | { zstd: number } | 'off';

/**
 * What may go; with both, whatever either lets go. Segments go once they are closed and synced: with `syncIntervalMs` 0 and durability
 * `process` none of a session goes before its `close()`.
 */
export interface RetentionOptions {
  /**
   * Records older than this, in ms, go, a segment at a time. A record's age counts from its timestamp, or from when its segment was begun
   * if that is later: a capture of last year that is recorded today is of today.
   */
  ageMs?: number;
  /** So many bytes may the segments of all storage nodes have together; the oldest go first. */
  bytes?: number;
}

/**
 * Where lanes are drained into blocks. `worker`: on a thread of its own. `inline`: on the thread that opens the tape, between what else its
 * event loop does. There `append` can't wait for room: with `onFull` `wait` it throws `FULL`; appenders on other threads wait.
 */
export type FlusherPlace = 'worker' | 'inline';

export interface TapeOptions {
  /** A directory a storage node, made if need be. */
  storage: readonly string[];
  /** On how many storage nodes each block is kept. Default: 2, or 1 with a single storage node. */
  redundancy?: number;
  /** Records a block, 16 to 1,000,000. Default 10,000. A lane holds eight blocks. */
  capacity?: number;
  /** Directory of the journal. Default: where the tape has it, else `journal` in the first storage directory. */
  journal?: string;
  /** `auto` maps the lanes' files and falls back to `buffered` with a warning; the others insist. */
  journalMode?: 'auto' | 'mapped' | 'buffered';
  /**
   * `mapped`: scans map segments, where files can be mapped. `copied`: they read them, for segments that other programs cut meanwhile
   * or that lie on a network drive, where a mapping can kill the process. With a buffered journal nothing is mapped. Default `mapped`.
   */
  read?: 'mapped' | 'copied';
  /** Default `adaptive`. */
  compression?: Compression;
  /** Default `wait`. */
  onFull?: OnFull;
  /** Default `worker`. */
  flusher?: FlusherPlace;
  /**
   * While fewer storage nodes than `redundancy` are healthy: `continue` keeps fewer copies of each block, counted in `stats().degraded`, which a repair
   * makes up for; `stop` keeps records in the lanes until enough are healthy again. Default `continue`.
   */
  degraded?: Degraded;
  /** A storage node that takes longer for one block is set aside until it is done, in ms, 10 to 3,600,000. Default 10,000. */
  writeTimeoutMs?: number;
  /** Default `process`. */
  durability?: Durability;
  /** How often what was stored is synced to the disk in the background, in ms; 0 for never. Default 1,000. */
  syncIntervalMs?: number;
  /** An incomplete block is sealed when its oldest record is this old, in ms; 0 for only at `flush()`. Default 1,000. */
  flushIntervalMs?: number;
  /** Bytes of a segment, 1 MiB to 1 GiB. Default 64 MiB. */
  segmentBytes?: number;
  /** A segment is closed at this age, in ms. Default one hour. */
  segmentMaxAgeMs?: number;
  /** Bytes of a lane's ring; the largest record is a quarter of it. Default: eight blocks. */
  laneBytes?: number;
  /** Distinct symbols that the tape can hold. Default 65,536. */
  maxSymbols?: number;
  /** Storage nodes that are lost for good, by their last paths or ids: the tape goes on without what only they held. */
  lostStorageNodes?: readonly string[];
  /** What is old goes, from all storage nodes or from none. Default: nothing goes. */
  retention?: RetentionOptions;
  /** Told of what is amiss and not fatal. Default: `console.warn`. */
  onWarning?: (message: string) => void;
}

/** Every option with its value. */
export type ResolvedOptions = Required<Omit<TapeOptions, 'journal' | 'laneBytes' | 'retention'>> &
  Pick<TapeOptions, 'journal' | 'laneBytes' | 'retention'>;

/** @throws TapeError `BAD_OPTION` naming the option, what it was and what it may be; `BAD_PATH` */
export function resolveOptions(options: TapeOptions): ResolvedOptions {
  if (typeof options !== 'object' || options === null) refuse('options', options, 'an object with `storage`');
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name))
      refuse(name, (options as unknown as Record<string, unknown>)[name], 'left out: no such option');
  }
  const { storage, journal } = options;
  if (!Array.isArray(storage) || storage.length < 1 || storage.length > MAX_STORAGE_NODES) {
    refuse('storage', storage, `an array of 1 to ${MAX_STORAGE_NODES} directories`);
  }
  for (const directory of storage) checkPath('storage', directory);
  if (journal !== undefined) checkPath('journal', journal);
  const { lostStorageNodes: lost = [] } = options;
  if (!Array.isArray(lost)) refuse('lostStorageNodes', lost, 'an array of directories');
  for (const name of lost) checkPath('lostStorageNodes', name);
  let compression = options.compression ?? 'adaptive';
  if (typeof compression === 'object' && compression !== null) {
    compression = { zstd: whole('compression.zstd', compression.zstd, 1, 1, 19) };
  } else if (!COMPRESSIONS.includes(compression)) {
    refuse('compression', compression, `${quoted(COMPRESSIONS)} or { zstd: 1 to 19 }`);
  }
  if (options.laneBytes !== undefined) whole('laneBytes', options.laneBytes, 0, 64 * 1024, 1024 ** 3);
  checkRetention(options.retention);
  return {
    storage,
    journal,
    compression,
    retention: options.retention,
    redundancy: whole('redundancy', options.redundancy, Math.min(2, storage.length), 1, storage.length),
    capacity: whole('capacity', options.capacity, 10_000, 16, 1_000_000),
    journalMode: oneOf('journalMode', options.journalMode, ['auto', 'mapped', 'buffered']),
    read: oneOf('read', options.read, ['mapped', 'copied']),
    onFull: oneOf('onFull', options.onFull, ['wait', 'drop', 'throw']),
    flusher: oneOf('flusher', options.flusher, ['worker', 'inline']),
    degraded: oneOf('degraded', options.degraded, ['continue', 'stop']),
    writeTimeoutMs: whole('writeTimeoutMs', options.writeTimeoutMs, 10_000, 10, 3_600_000),
    durability: oneOf('durability', options.durability, ['process', 'disk']),
    syncIntervalMs: whole('syncIntervalMs', options.syncIntervalMs, 1000, 0, 86_400_000),
    flushIntervalMs: whole('flushIntervalMs', options.flushIntervalMs, 1000, 0, 86_400_000),
    segmentBytes: whole('segmentBytes', options.segmentBytes, 64 * 1024 ** 2, 1024 ** 2, 1024 ** 3),
    segmentMaxAgeMs: whole('segmentMaxAgeMs', options.segmentMaxAgeMs, 3_600_000, 1, 2 ** 31),
    laneBytes: options.laneBytes,
    maxSymbols: whole('maxSymbols', options.maxSymbols, 65_536, 1, 4_194_304),
    lostStorageNodes: lost.map((name) => (isNodeId(name) ? name : path.resolve(name))),
    onWarning: callable('onWarning', options.onWarning, (message) => console.warn(`ticktape: ${message}`)),
  };
}

function checkRetention(retention: RetentionOptions | undefined): void {
  if (retention === undefined) return;
  if (typeof retention !== 'object' || retention === null || Array.isArray(retention)) {
    refuse('retention', retention, 'an object with ageMs, bytes or both');
  }
  const unknown = Object.keys(retention).find((name) => name !== 'ageMs' && name !== 'bytes');
  const { ageMs, bytes } = retention;
  if (unknown !== undefined || (ageMs === undefined && bytes === undefined)) {
    refuse('retention', retention, 'an object with ageMs, bytes or both');
  }
  whole('retention.ageMs', ageMs, 1, 1, 100 * 365 * 86_400_000);
  whole('retention.bytes', bytes, 1024 ** 2, 1024 ** 2, Number.MAX_SAFE_INTEGER);
}

const COMPRESSIONS: readonly Compression[] = ['adaptive', 'fast', 'dense', 'off'];

const KNOWN = new Set<string>([
  'storage',
  'redundancy',
  'capacity',
  'journal',
  'journalMode',
  'read',
  'compression',
  'onFull',
  'flusher',
  'degraded',
  'writeTimeoutMs',
  'durability',
  'syncIntervalMs',
  'flushIntervalMs',
  'segmentBytes',
  'segmentMaxAgeMs',
  'laneBytes',
  'maxSymbols',
  'lostStorageNodes',
  'retention',
  'onWarning',
  'readOnly',
] satisfies (keyof TapeOptions | 'readOnly')[]);

const quoted = (choices: readonly unknown[]) => choices.map((choice) => `'${choice}'`).join(' or ');

function refuse(name: string, value: unknown, expected: string): never {
  throw new TapeError('BAD_OPTION', `option ${name} is ${show(value)}: it must be ${expected}`);
}

function whole(name: string, value: number | undefined, byDefault: number, low: number, high: number): number {
  if (value === undefined) return byDefault;
  if (!Number.isInteger(value) || value < low || value > high) {
    refuse(name, value, `a whole number from ${low} to ${high}`);
  }
  return value;
}

function oneOf<T extends string>(name: string, value: T | undefined, choices: readonly T[]): T {
  if (value === undefined) return choices[0];
  if (!choices.includes(value)) refuse(name, value, quoted(choices));
  return value;
}

function callable<F>(name: string, value: F | undefined, byDefault: F): F {
  if (value === undefined) return byDefault;
  if (typeof value !== 'function') refuse(name, value, 'a function');
  return value;
}

/** A path that no system call would cut short at a NUL. */
export function checkPath(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || value === '') refuse(name, value, 'a path');
  if (value.includes('\0')) throw badPath(value);
}
