import { TapeError } from '../errors.js';
import { beat } from '../journal/counters.js';
import { stopLanes } from '../journal/stopping.js';
import type { Runtime, Zstd } from '../runtime.js';
import { type Assembly, assembleFlusher, drive, type FlusherSetup } from './assemble.js';
import type { FlushReport } from './flusher.js';

/** Between looks at the lanes while records come; doubled, up to the longest, while none do (5 % of a core otherwise). */
const PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 10;

/**
 * All that is done for a tape while it is open for writing, turn by turn, and when it closes. It has no timers: whoever drives it calls
 * `cycle` again when that says so.
 */
export class Duty {
  readonly assembly: Assembly;
  readonly #runtime: Runtime;
  readonly #setup: FlusherSetup;
  readonly #onTrouble: (error: TapeError) => void;
  #cycling: Promise<number> | null = null;
  #isPersisted = true;
  #syncedMs: number;
  /** What the last sync failed with. */
  #syncTrouble: string | null = null;
  #pauseMs = PAUSE_MS;

  /** `random`: from 0 up to 1, for placement. */
  constructor(
    runtime: Runtime,
    zstd: Zstd,
    setup: FlusherSetup,
    random: () => number,
    onTrouble: (error: TapeError) => void,
  ) {
    this.assembly = assembleFlusher(runtime, zstd, setup, random, onTrouble);
    this.#runtime = runtime;
    this.#setup = setup;
    this.#onTrouble = onTrouble;
    this.#syncedMs = runtime.nowMs();
  }

  /** One turn, when the one before has ended. Answers in how many ms the next is due. @throws TapeError after which nothing helps */
  cycle(): Promise<number> {
    this.#cycling = this.#cycle();
    return this.#cycling;
  }

  async #cycle(): Promise<number> {
    const { flusher, retention } = this.assembly;
    const { memory, map, syncIntervalMs } = this.#setup;
    // Before more is stored: what is stored now, the lanes' files have let go of.
    if (this.#tryPersist()) retention?.tick(flusher.storedTo);
    const worked = await flusher.doWork();
    flusher.countStorage();
    beat(memory, this.#runtime.nowNs());
    const nowMs = this.#runtime.nowMs();
    if (syncIntervalMs > 0 && nowMs - this.#syncedMs >= syncIntervalMs) {
      this.#syncedMs = nowMs;
      // Not waited for: on a busy disk a sync takes as long as a hundred blocks.
      void this.sync();
    }
    // A lane's line goes back and forth at every publish to one who reads it: come for batches, not for records.
    if (worked >= map.capacity / 4) this.#pauseMs = 0;
    else if (worked > 0) this.#pauseMs = PAUSE_MS;
    else this.#pauseMs = Math.min(Math.max(2 * this.#pauseMs, PAUSE_MS), LONGEST_PAUSE_MS);
    return this.#pauseMs;
  }

  /** Writes what is new in lanes that are not mapped to their files. @throws TapeError */
  protected persist(): void {
    this.assembly.buffered?.persist();
  }

  /** `false`: it could not, and is tried again the next time. */
  #tryPersist(): boolean {
    try {
      this.persist();
      this.#isPersisted = true;
    } catch (error) {
      if (!(error instanceof TapeError)) throw error;
      if (this.#isPersisted) this.#onTrouble(error);
      this.#isPersisted = false;
    }
    return this.#isPersisted;
  }

  /** Puts what was stored so far on the disks. `false`: it could not. */
  async sync(): Promise<boolean> {
    const { replicator, buffered } = this.assembly;
    try {
      buffered?.sync();
      await replicator.sync();
      this.#syncTrouble = null;
      return true;
    } catch (error) {
      const { message } = error as Error;
      // Once, not at each time until a full disk has space.
      if (message !== this.#syncTrouble) this.#onTrouble(error as TapeError);
      this.#syncTrouble = message;
      return false;
    }
  }

  /**
   * Takes in the last records of all lanes. The tape says that it is closing, so no producer publishes unawares any more. `cycle` is not
   * called again.
   * @throws TapeError where the storage nodes don't take them: the next open recovers them
   */
  async close(): Promise<FlushReport> {
    const { memory, map } = this.#setup;
    const { flusher, replicator, buffered, retention } = this.assembly;
    // At once: a producer on this thread that has to hear of it would wait for ever.
    stopLanes(memory, map);
    await this.#cycling;
    // Should this fail from here on: what append returned for is in the lanes' files, and where they end.
    this.persist();
    const report = await drive(this.#runtime, this.assembly, flusher.flush());
    await retention?.close();
    await replicator.close(this.#runtime.sleep);
    buffered?.close();
    return report;
  }

  /** Where `close` or `cycle` has failed: nothing is written any more once this resolves. The next open recovers what the lanes hold. */
  async abandon(): Promise<void> {
    const { replicator, buffered, retention } = this.assembly;
    const { sleep } = this.#runtime;
    await replicator.abandon(sleep);
    // On a disk that is hung it ends never.
    await Promise.race([retention?.close(), sleep(this.#setup.writeTimeoutMs, false)]);
    buffered?.close();
  }
}
