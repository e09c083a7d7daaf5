import { parentPort, workerData } from 'node:worker_threads';
import { runtime } from 'ticktape/runtime';
import { CONTROL_STATE, LANE_CAPACITY, LANE_SEALED_AT, LANE_TAIL, TAPE_FAILED } from '../../assembly/layout.js';
import { firstEffort } from '../block/effort.js';
import { BlockEncoder } from '../block/encoder.js';
import { TapeError } from '../errors.js';
import { BufferedJournal } from '../journal/buffered.js';
import type { MemoryMap } from '../journal/memory-map.js';
import { instantiateKernels } from '../kernels.js';
import type { Compression, Durability, RetentionOptions } from '../options.js';
import type { Range } from '../ranges.js';
import { Schema } from '../schema.js';
import { countDropped } from '../stats.js';
import { DirectoryStorageNode } from '../storage/directory.js';
import { Replicator } from '../storage/replicator.js';
import { Retention } from '../storage/retention.js';
import { AdaptiveEffort } from './adaptive.js';
import { type CompressionChoice, Flusher } from './flusher.js';

/** What the flusher's thread is started with. */
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
  compression: Compression;
  durability: Durability;
  syncIntervalMs: number;
  flushIntervalMs: number;
  segmentBytes: number;
  segmentMaxAgeMs: number;
  retention: RetentionOptions | undefined;
  firstSequence: bigint;
  skipped: readonly Range[];
}

/** To the flusher. */
export type FlusherCommand = { type: 'flush'; id: number } | { type: 'close'; id: number };

/** An error, as it crosses between threads. */
export interface PlainError {
  code: TapeError['code'] | null;
  message: string;
  path?: string;
  storageNode?: string;
}

/** From the flusher. */
export type FlusherMessage =
  | { type: 'ready' }
  | { type: 'done'; id: number; error: PlainError | null }
  /** How blocks are made has changed. */
  | { type: 'choice'; choice: CompressionChoice }
  /** A block could not be put on its storage nodes; it is tried again. */
  | { type: 'trouble'; error: PlainError }
  /** The flusher can't go on. */
  | { type: 'failed'; error: PlainError };

/** Between looks at the lanes while records come; doubled, up to the longest, while none do (5 % of a core otherwise). */
const PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 10;
/** Between tries while storage nodes fail. */
const TROUBLE_MS = 100;

const plain = (error: unknown): PlainError => {
  const { message } = error as Error;
  if (!(error instanceof TapeError)) return { code: null, message };
  return { code: error.code, message, path: error.path, storageNode: error.storageNode };
};

const post = (message: FlusherMessage) => parentPort!.postMessage(message);

async function run(setup: FlusherSetup): Promise<void> {
  const { memory, map, tapeId, epoch, durability, mapped } = setup;
  const schema = Schema.parse(setup.schemaJson, 'the schema');
  const kernels = instantiateKernels(memory);
  const zstd = await runtime.zstd();
  const nodes = setup.directories.map(
    (directory, ordinal) => new DirectoryStorageNode(directory, runtime, { ...setup, schema, ordinal }),
  );
  const nowMs = () => performance.now();
  const replicator = new Replicator(nodes, setup.redundancy, Math.random, nowMs);
  const flusher = new Flusher({
    memory,
    map,
    kernels,
    encoder: new BlockEncoder(schema, kernels, memory, map, zstd, firstEffort(setup.compression)),
    adaptive: setup.compression === 'adaptive' ? new AdaptiveEffort() : null,
    replicator,
    tapeId,
    epoch,
    laneOf: (lane) => ({ epoch, lane }),
    nextSequence: setup.nextSequence,
    durable: durability === 'disk',
    flushIntervalMs: setup.flushIntervalMs,
    nowMs,
  });
  const buffered = mapped ? null : new BufferedJournal(runtime.files, memory, map, setup.journal, epoch);

  const retention = retentionOf(setup, (storage) => replicator.loads[storage].asideUntilMs > nowMs());

  const commands: FlusherCommand[] = [];
  let wake = () => {};
  parentPort!.on('message', (command: FlusherCommand) => {
    commands.push(command);
    wake();
  });
  post({ type: 'ready' });

  let version = -1;
  const postChoice = () => {
    if (flusher.choiceVersion === version) return;
    version = flusher.choiceVersion;
    post({ type: 'choice', choice: flusher.choice });
  };
  let syncedMs = nowMs();
  let syncing = false;
  let troubled = false;
  let pauseMs = PAUSE_MS;
  for (;;) {
    try {
      buffered?.persist();
      // Before more is stored: what is stored now, the lanes' files have let go of.
      retention?.tick(flusher.nextSequence);
      const worked = await flusher.doWork();
      postChoice();
      // A lane's line goes back and forth at every publish to one who reads it: come for batches, not for records.
      if (worked >= map.capacity / 4) pauseMs = 0;
      else if (worked > 0) pauseMs = PAUSE_MS;
      else pauseMs = Math.min(Math.max(2 * pauseMs, PAUSE_MS), LONGEST_PAUSE_MS);
      if (setup.syncIntervalMs > 0 && !syncing && nowMs() - syncedMs >= setup.syncIntervalMs) {
        syncing = true;
        // Not waited for: on a busy disk a sync takes as long as a hundred blocks.
        void syncAll(replicator, buffered).finally(() => {
          syncing = false;
          syncedMs = nowMs();
        });
      }
      troubled = false;
    } catch (error) {
      if (!(error instanceof TapeError) || error.code === 'CORRUPT') throw error;
      if (!troubled) post({ type: 'trouble', error: plain(error) });
      troubled = true;
      pauseMs = TROUBLE_MS;
    }
    const command = commands.shift();
    if (command?.type === 'flush') {
      const error = await outcome(() => flusher.flush());
      postChoice();
      post({ type: 'done', id: command.id, error });
    } else if (command?.type === 'close') {
      const error = await outcome(async () => {
        await retention?.close();
        await close(flusher, memory, map);
        await replicator.close(durability === 'disk');
        buffered?.close();
      });
      post({ type: 'done', id: command.id, error });
      return;
    }
    // Messages arrive between turns of the event loop only.
    if (pauseMs === 0) await new Promise((resolve) => setImmediate(resolve));
    else if (commands.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pauseMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** Drops what is old; null where nothing is to go. */
function retentionOf(setup: FlusherSetup, isAside: (storage: number) => boolean): Retention | null {
  if (setup.retention === undefined) return null;
  return new Retention({
    ...setup,
    policy: setup.retention,
    files: runtime.files,
    nowNs: () => runtime.nowNs(),
    nowMs: () => performance.now(),
    isAside,
    onDropped: (dropped) => countDropped(setup.memory, dropped),
    onTrouble: (error) => post({ type: 'trouble', error: plain(error) }),
  });
}

async function syncAll(replicator: Replicator, buffered: BufferedJournal | null): Promise<void> {
  try {
    buffered?.sync();
    await replicator.syncInBackground();
  } catch (error) {
    post({ type: 'trouble', error: plain(error) });
  }
}

/** Takes in the last records of all lanes. The tape says that it is closing, so no producer publishes unawares any more. */
async function close(flusher: Flusher, memory: WebAssembly.Memory, map: MemoryMap): Promise<void> {
  const longs = new BigInt64Array(memory.buffer);
  const words = new Int32Array(memory.buffer);
  const lanes = Array.from({ length: map.laneCount }, (_, lane) => map.lanes + lane * map.laneStride).filter(
    (at) => longs[(at + LANE_CAPACITY) >> 3] !== 0n,
  );
  for (const at of lanes) {
    Atomics.store(longs, (at + LANE_SEALED_AT) >> 3, Atomics.load(longs, (at + LANE_TAIL) >> 3));
    Atomics.notify(words, (at + LANE_SEALED_AT) >> 2);
  }
  await flusher.flush();
}

async function outcome(work: () => Promise<void>): Promise<PlainError | null> {
  try {
    await work();
    return null;
  } catch (error) {
    return plain(error);
  }
}

const setup = workerData as FlusherSetup;
run(setup).catch((error) => {
  const words = new Int32Array(setup.memory.buffer);
  Atomics.store(words, CONTROL_STATE >> 2, TAPE_FAILED);
  post({ type: 'failed', error: plain(error) });
});
