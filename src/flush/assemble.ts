import { firstEffort } from '../block/effort.js';
import { BlockEncoder } from '../block/encoder.js';
import type { TapeError } from '../errors.js';
import { BufferedJournal } from '../journal/buffered.js';
import type { MemoryMap } from '../journal/memory-map.js';
import { instantiateKernels } from '../kernels.js';
import type { Compression, Durability, RetentionOptions } from '../options.js';
import type { Range } from '../ranges.js';
import type { Runtime, Zstd } from '../runtime.js';
import { Schema } from '../schema.js';
import { countDropped } from '../stats.js';
import { DirectoryStorageNode } from '../storage/directory.js';
import { type Degraded, Replicator, stateOf } from '../storage/replicator.js';
import { Retention } from '../storage/retention.js';
import { AdaptiveEffort } from './adaptive.js';
import { Flusher } from './flusher.js';

/** What a flusher is made of: all of it can be cloned to a thread. */
export interface FlusherSetup {
  memory: WebAssembly.Memory;
  map: MemoryMap;
  schemaJson: string;
  tapeId: Uint8Array;
  epoch: number;
  nextSequence: bigint;
  journal: string;
  mapped: boolean;
  directories: string[];
  redundancy: number;
  degraded: Degraded;
  writeTimeoutMs: number;
  compression: Compression;
  durability: Durability;
  syncIntervalMs: number;
  flushIntervalMs: number;
  segmentBytes: number;
  segmentMaxAgeMs: number;
  retention: RetentionOptions | undefined;
  /** The mark of retention. */
  firstSequence: bigint;
  skipped: readonly Range[];
}

export interface Assembly {
  flusher: Flusher;
  replicator: Replicator;
  /** Null where lanes are mapped. */
  buffered: BufferedJournal | null;
  /** Null where nothing is to go. */
  retention: Retention | null;
}

/** Puts a flusher together, to be driven on this thread. `random`: from 0 up to 1, for placement. */
export function assembleFlusher(
  runtime: Runtime,
  zstd: Zstd,
  setup: FlusherSetup,
  random: () => number,
  onTrouble: (error: TapeError) => void,
): Assembly {
  const { memory, map, tapeId, epoch, nextSequence, redundancy, degraded, writeTimeoutMs, compression } = setup;
  const schema = Schema.parse(setup.schemaJson, 'the schema');
  const kernels = instantiateKernels(memory);
  const nodes = setup.directories.map(
    (directory, ordinal) => new DirectoryStorageNode(directory, runtime, { ...setup, schema, ordinal }),
  );
  const { nowMs } = runtime;
  const durable = setup.durability === 'disk';
  const replicator = new Replicator(nodes, { redundancy, degraded, durable, writeTimeoutMs, random, nowMs, onTrouble });
  const flusher = new Flusher({
    memory,
    map,
    kernels,
    encoder: new BlockEncoder(schema, kernels, memory, map, zstd, firstEffort(compression)),
    adaptive: compression === 'adaptive' ? new AdaptiveEffort() : null,
    replicator,
    tapeId,
    epoch,
    laneOf: (lane) => ({ epoch, lane }),
    nextSequence,
    flushIntervalMs: setup.flushIntervalMs,
    nowMs,
  });
  const buffered = setup.mapped ? null : new BufferedJournal(runtime, memory, map, setup.journal, epoch);
  const isAside = (storage: number) => stateOf(replicator.loads[storage], nowMs()) !== 'healthy';
  const retention =
    setup.retention === undefined
      ? null
      : new Retention({
          ...setup,
          files: runtime.files,
          policy: setup.retention,
          nowNs: () => runtime.nowNs(),
          nowMs,
          isAside,
          onDropped: (dropped) => countDropped(memory, dropped),
          onTrouble,
        });
  return { flusher, replicator, buffered, retention };
}

/** While nothing else happens, storage nodes that are set aside or hung are looked at this often. */
export const POLL_MS = 10;

/** Drives the flusher until `result` is there. */
export async function drive<T>(
  runtime: Runtime,
  { flusher, replicator }: Pick<Assembly, 'flusher' | 'replicator'>,
  result: Promise<T>,
): Promise<T> {
  let isEnded = false;
  const end = () => {
    isEnded = true;
  };
  result.then(end, end);
  while (!isEnded) {
    const { changed } = replicator;
    if ((await flusher.doWork()) === 0 && !isEnded) await Promise.race([changed, runtime.sleep(POLL_MS)]);
  }
  return result;
}
