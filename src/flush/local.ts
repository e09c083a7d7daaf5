import { TapeError } from '../errors.js';
import { failTape } from '../journal/stopping.js';
import type { Runtime } from '../runtime.js';
import type { FlusherSetup } from './assemble.js';
import { Duty } from './duty.js';
import type { CompressionChoice, FlushReport } from './flusher.js';

export interface FlusherEvents {
  /** A storage node fails, or blocks can't be stored; it is tried again. */
  onTrouble(error: TapeError): void;
  /** The flusher can't go on. */
  onFailure(error: TapeError): void;
  /** How blocks are made has changed. */
  onChoice?(choice: CompressionChoice): void;
}

/** A flusher as the tape sees it, in whichever thread. */
export interface TapeFlusher {
  /** How blocks are made at present; null before the first. */
  readonly choice: CompressionChoice | null;
  flush(): Promise<FlushReport>;
  /** Puts everything on the storage nodes and ends; it ends also where that fails. */
  close(): Promise<void>;
}

/** A flusher driven on this thread, between what else its event loop does. */
export class LocalFlusher implements TapeFlusher {
  readonly #duty: Duty;
  readonly #setup: FlusherSetup;
  readonly #events: FlusherEvents;
  /** How to reject those who wait for a flush or the end. */
  readonly #waiting = new Set<(error: Error) => void>();
  #wake = () => {};
  #isClosing = false;
  #failure: TapeError | null = null;
  #choiceVersion = -1;

  private constructor(duty: Duty, setup: FlusherSetup, events: FlusherEvents) {
    this.#duty = duty;
    this.#setup = setup;
    this.#events = events;
  }

  static async start(runtime: Runtime, setup: FlusherSetup, events: FlusherEvents): Promise<LocalFlusher> {
    const onTrouble = (error: TapeError) => events.onTrouble(error);
    const duty = new Duty(runtime, await runtime.zstd(), setup, Math.random, onTrouble);
    const flusher = new LocalFlusher(duty, setup, events);
    void flusher.#run();
    return flusher;
  }

  async #run(): Promise<void> {
    const { replicator } = this.#duty.assembly;
    let watched: Promise<void> | null = null;
    while (!this.#isClosing) {
      if (replicator.changed !== watched) {
        watched = replicator.changed;
        void watched.then(() => this.#wake());
      }
      let pauseMs: number;
      try {
        pauseMs = await this.#duty.cycle();
      } catch (error) {
        this.#fail(error as Error);
        return;
      }
      this.#tellChoice();
      if (!this.#isClosing) await this.#pause(pauseMs);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      // Completed writes arrive between turns of the event loop only.
      if (ms === 0) {
        setImmediate(resolve);
        return;
      }
      const timer = setTimeout(resolve, ms);
      // A tape that is open does not keep the process alive, but somebody who waits for it does.
      if (this.#waiting.size === 0) timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #tellChoice(): void {
    const { flusher } = this.#duty.assembly;
    if (flusher.choiceVersion === this.#choiceVersion) return;
    this.#choiceVersion = flusher.choiceVersion;
    this.#events.onChoice?.(flusher.choice);
  }

  #fail(error: Error): void {
    const { path, storageNode } = error instanceof TapeError ? error : {};
    this.#failure = new TapeError('FLUSHER_FAILED', error.message, { cause: error, path, storageNode });
    failTape(this.#setup.memory, this.#setup.map);
    this.#events.onFailure(this.#failure);
    for (const reject of this.#waiting) reject(this.#failure);
    this.#waiting.clear();
  }

  get choice(): CompressionChoice {
    return this.#duty.assembly.flusher.choice;
  }

  flush(): Promise<FlushReport> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const flushing = this.#wait(this.#duty.assembly.flusher.flush());
    this.#wake();
    return flushing;
  }

  /** Puts everything on the storage nodes and ends. @throws TapeError where they don't take it, or the flusher had failed */
  seal(): Promise<FlushReport> {
    this.#isClosing = true;
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const sealing = this.#wait(this.#duty.close());
    this.#wake();
    return sealing;
  }

  /** The same on the thread of the tape, which goes on: where it fails, nothing is under way any more. */
  async close(): Promise<void> {
    try {
      await this.seal();
    } catch (error) {
      await this.#duty.abandon();
      throw error;
    }
  }

  #wait(result: Promise<FlushReport>): Promise<FlushReport> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      result
        .finally(() => {
          this.#waiting.delete(reject);
          this.#duty.assembly.flusher.countStorage();
          this.#tellChoice();
        })
        .then(resolve, reject);
    });
  }
}
