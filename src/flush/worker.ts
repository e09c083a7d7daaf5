import { parentPort, workerData } from 'node:worker_threads';
import { runtime } from 'ticktape/runtime';
import { TapeError } from '../errors.js';
import { failTape } from '../journal/stopping.js';
import type { FlusherSetup } from './assemble.js';
import type { CompressionChoice, FlushReport } from './flusher.js';
import { LocalFlusher } from './local.js';

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

const plain = (error: unknown): PlainError => {
  const { message } = error as Error;
  if (!(error instanceof TapeError)) return { code: null, message };
  return { code: error.code, message, path: error.path, storageNode: error.storageNode };
};

const post = (message: FlusherMessage) => parentPort!.postMessage(message);

async function run(setup: FlusherSetup): Promise<void> {
  const flusher = await LocalFlusher.start(runtime, setup, {
    onTrouble: (error) => post({ type: 'trouble', error: plain(error) }),
    onFailure: (error) => post({ type: 'failed', error: plain(error) }),
    onChoice: (choice) => post({ type: 'choice', choice }),
  });
  parentPort!.on('message', async ({ type, id }: FlusherCommand) => {
    try {
      const report = await (type === 'flush' ? flusher.flush() : flusher.seal());
      post({ type: 'done', id, report, error: null });
    } catch (error) {
      post({ type: 'done', id, report: null, error: plain(error) });
    }
  });
  post({ type: 'ready' });
}

const setup = workerData as FlusherSetup;
run(setup).catch((error) => {
  failTape(setup.memory, setup.map);
  post({ type: 'failed', error: plain(error) });
});
