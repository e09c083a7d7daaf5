import { parentPort, workerData } from 'node:worker_threads';
import { runtime } from 'ticktape/runtime';
import { TapeError } from '../errors.js';
import { beat } from '../journal/counters.js';
import { failTape, stopLanes } from '../journal/stopping.js';
import { type Assembly, assembleFlusher, drive, type FlusherSetup } from './assemble.js';
import type { CompressionChoice, FlushReport } from './flusher.js';

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
  | { type: 'done'; id: number; report: FlushReport | null; error: PlainError | null }
  /** How blocks are made has changed. */
  | { type: 'choice'; choice: CompressionChoice }
  /** A storage node fails, or blocks can't be stored; it is tried again. */
  | { type: 'trouble'; error: PlainError }
  /** The flusher can't go on. */
  | { type: 'failed'; error: PlainError };

/** Between looks at the lanes while records come; doubled, up to the longest, while none do (5 % of a core otherwise). */
const PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 10;

const plain = (error: unknown): PlainError => {
  const { message } = error as Error;
  if (!(error instanceof TapeError)) return { code: null, message };
  return { code: error.code, message, path: error.path, storageNode: error.storageNode };
};

const post = (message: FlusherMessage) => parentPort!.postMessage(message);

async function run(setup: FlusherSetup): Promise<void> {
  const { memory, map } = setup;
  const onTrouble = (error: TapeError) => post({ type: 'trouble', error: plain(error) });
  const assembly = assembleFlusher(runtime, await runtime.zstd(), setup, Math.random, onTrouble);
  const { flusher, replicator, buffered, retention } = assembly;

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
  const answer = async (id: number, result: Promise<FlushReport>): Promise<void> => {
    const { report, error } = await result.then(
      (report) => ({ report, error: null }),
      (error) => ({ report: null, error: plain(error) }),
    );
    flusher.countStorage();
    postChoice();
    post({ type: 'done', id, report, error });
  };
  let isPersisted = true;
  const persist = () => {
    try {
      buffered?.persist();
      isPersisted = true;
    } catch (error) {
      if (!(error instanceof TapeError)) throw error;
      // It is tried again the next time.
      if (isPersisted) onTrouble(error);
      isPersisted = false;
    }
  };
  let syncedMs = runtime.nowMs();
  let pauseMs = PAUSE_MS;
  let watched: Promise<void> | null = null;
  for (;;) {
    persist();
    // Before more is stored: what is stored now, the lanes' files have let go of.
    if (isPersisted) retention?.tick(flusher.storedTo);
    if (replicator.changed !== watched) {
      watched = replicator.changed;
      void watched.then(() => wake());
    }
    const worked = await flusher.doWork();
    flusher.countStorage();
    beat(memory, runtime.nowNs());
    postChoice();
    // A lane's line goes back and forth at every publish to one who reads it: come for batches, not for records.
    if (worked >= map.capacity / 4) pauseMs = 0;
    else if (worked > 0) pauseMs = PAUSE_MS;
    else pauseMs = Math.min(Math.max(2 * pauseMs, PAUSE_MS), LONGEST_PAUSE_MS);
    if (setup.syncIntervalMs > 0 && runtime.nowMs() - syncedMs >= setup.syncIntervalMs) {
      syncedMs = runtime.nowMs();
      // Not waited for: on a busy disk a sync takes as long as a hundred blocks.
      void sync(assembly);
    }
    const command = commands.shift();
    if (command?.type === 'flush') void answer(command.id, flusher.flush());
    else if (command?.type === 'close') return answer(command.id, close(assembly, setup));
    // Messages and completed writes arrive between turns of the event loop only.
    if (pauseMs === 0 || commands.length > 0) await new Promise((resolve) => setImmediate(resolve));
    else {
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

/** What the last sync failed with. */
let syncTrouble: string | null = null;

async function sync({ replicator, buffered }: Assembly): Promise<void> {
  try {
    buffered?.sync();
    await replicator.sync();
    syncTrouble = null;
  } catch (error) {
    const { message } = error as Error;
    // Once, not at each time until a full disk has space.
    if (message !== syncTrouble) post({ type: 'trouble', error: plain(error) });
    syncTrouble = message;
  }
}

/** Takes in the last records of all lanes. The tape says that it is closing, so no producer publishes unawares any more. */
async function close(assembly: Assembly, { memory, map }: FlusherSetup): Promise<FlushReport> {
  const { flusher, replicator, buffered, retention } = assembly;
  stopLanes(memory, map);
  // Should this fail from here on: what append returned for is in the lanes' files, and where they end.
  buffered?.persist();
  const report = await drive(runtime, assembly, flusher.flush());
  await retention?.close();
  await replicator.close(runtime.sleep);
  buffered?.close();
  return report;
}

const setup = workerData as FlusherSetup;
run(setup).catch((error) => {
  failTape(setup.memory, setup.map);
  post({ type: 'failed', error: plain(error) });
});
