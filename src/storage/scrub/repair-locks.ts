import path from 'node:path';
import { TapeError } from '../../errors.js';
import type { FileLock, Runtime } from '../../runtime.js';
import type { Turns } from './turns.js';

/** A writer that opens the tape holds the lock for so long at most, but for one that has much to recover. */
const DROP_LOCK_MS = 30_000;
const LOCK_PAUSE_MS = 50;

/** What keeps a repair apart from others. */
export class RepairLocks {
  readonly #runtime: Runtime;
  readonly #journal: string;
  readonly #held: FileLock[] = [];

  constructor(runtime: Runtime, journal: string) {
    this.#runtime = runtime;
    this.#journal = journal;
  }

  /** Answers whether no writer has the tape; none can open it then until `release`. @throws TapeError `LOCKED` by another repair */
  begin(): boolean {
    if (this.#take('repair-lock') === null) {
      throw new TapeError('LOCKED', `${this.#journal}: another repair of the tape is under way: wait for it`, {
        path: path.join(this.#journal, 'repair-lock'),
      });
    }
    return this.#take('lock') !== null;
  }

  /** Whoever opens the tape meanwhile waits: it would see a copy that moves on neither of two storage nodes. */
  async whileDropping(turns: Turns, drop: () => void): Promise<void> {
    const untilMs = performance.now() + DROP_LOCK_MS;
    let lock = this.#take('drop-lock');
    while (lock === null) {
      if (performance.now() > untilMs) {
        throw new TapeError('LOCKED', `${this.#journal}: a writer is opening the tape: repair it again when it has`, {
          path: path.join(this.#journal, 'drop-lock'),
        });
      }
      await turns.sleep(LOCK_PAUSE_MS);
      lock = this.#take('drop-lock');
    }
    drop();
  }

  #take(name: string): FileLock | null {
    try {
      const lock = this.#runtime.lock(path.join(this.#journal, name));
      this.#held.push(lock);
      return lock;
    } catch (error) {
      if (error instanceof TapeError && error.code === 'LOCKED') return null;
      throw error;
    }
  }

  release(): void {
    for (const lock of this.#held.reverse()) lock.release();
  }
}
