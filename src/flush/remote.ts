import { TapeError } from '../errors.js';
import { failTape } from '../journal/stopping.js';
import type { Runtime, RuntimeWorker } from '../runtime.js';
import type { FlusherSetup } from './assemble.js';
import type { CompressionChoice, FlushReport } from './flusher.js';
import type { TapeFlusher } from './local.js';
import type { FlusherCommand, FlusherMessage, PlainError } from './worker.js';

const revive = ({ code, message, path, storageNode }: PlainError): Error =>
  new TapeError(code ?? 'FLUSHER_FAILED', message, { path, storageNode });

/** The flusher in its thread, as the tape sees it. */
export class RemoteFlusher implements TapeFlusher {
  readonly #worker: RuntimeWorker;
  readonly #setup: FlusherSetup;
  readonly #waiting = new Map<
    number,
    { resolve: (report: FlushReport | null) => void; reject: (error: Error) => void }
  >();
  readonly #onTrouble: (error: Error) => void;
  #nextId = 1;
  #failure: Error | null = null;
  #choice: CompressionChoice | null = null;

  private constructor(worker: RuntimeWorker, setup: FlusherSetup, onTrouble: (error: Error) => void) {
    this.#worker = worker;
    this.#setup = setup;
    this.#onTrouble = onTrouble;
  }

  /** Resolves once the flusher is at work. @throws TapeError `FLUSHER_FAILED` */
  static async start(runtime: Runtime, setup: FlusherSetup, onTrouble: (error: Error) => void): Promise<RemoteFlusher> {
    const worker = runtime.spawn(new URL('./worker.js', import.meta.url), setup);
    const flusher = new RemoteFlusher(worker, setup, onTrouble);
    const ready = new Promise((resolve, reject) => flusher.#waiting.set(0, { resolve, reject }));
    worker.onMessage((message) => flusher.#receive(message as FlusherMessage));
    worker.onFailure((error) =>
      flusher.#fail(new TapeError('FLUSHER_FAILED', `the flusher's thread ended: ${error.message}`, { cause: error })),
    );
    try {
      await ready;
    } catch (error) {
      await worker.terminate();
      throw error;
    }
    worker.keepAlive(false);
    return flusher;
  }

  get choice(): CompressionChoice | null {
    return this.#choice;
  }

  #receive(message: FlusherMessage): void {
    if (message.type === 'ready') this.#settle(0, null);
    else if (message.type === 'done')
      this.#settle(message.id, message.error === null ? null : revive(message.error), message.report);
    else if (message.type === 'choice') this.#choice = message.choice;
    else if (message.type === 'trouble') this.#onTrouble(revive(message.error));
    else this.#fail(revive({ ...message.error, code: 'FLUSHER_FAILED' }));
  }

  #settle(id: number, error: Error | null, report: FlushReport | null = null): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.keepAlive(false);
    if (error === null) waiting?.resolve(report);
    else waiting?.reject(error);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    // A thread that ended at once has not said so itself: producers that wait for room would wait for ever.
    failTape(this.#setup.memory, this.#setup.map);
    this.#onTrouble(error);
    for (const id of [...this.#waiting.keys()]) this.#settle(id, error);
  }

  #command(type: FlusherCommand['type']): Promise<FlushReport> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: (report) => resolve(report!), reject });
      this.#worker.keepAlive(true);
      this.#worker.post({ type, id } satisfies FlusherCommand);
    });
  }

  flush(): Promise<FlushReport> {
    return this.#command('flush');
  }

  async close(): Promise<void> {
    try {
      await this.#command('close');
    } finally {
      await this.#worker.terminate();
    }
  }
}
