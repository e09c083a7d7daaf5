import path from 'node:path';
import { TapeError } from '../../errors.js';
import type { FileLock, Runtime } from '../../runtime.js';
import { Turns } from './turns.js';

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

  /**
   * Whoever opens the tape meanwhile waits: it would see a copy that moves on neither of two storage nodes. Answers the error where one
   * opens it all the while, and nothing is dropped.
   */
  async whileDropping(turns: Turns, drop: () => void): Promise<TapeError | null> {
    let lock: FileLock;
    try {
      lock = await takeDropLock(this.#runtime, this.#journal, DROP_LOCK_MS, turns);
    } catch (error) {
      if (error instanceof TapeError && error.code === 'LOCKED') return error;
      throw error;
    }
    try {
      drop();
    } finally {
      lock.release();
    }
    return null;
  }

  #take(name: string): FileLock | null {
    const lock = tryLock(this.#runtime, path.join(this.#journal, name));
    if (lock !== null) this.#held.push(lock);
    return lock;
  }

  release(): void {
    for (const lock of this.#held.reverse()) lock.release();
  }
}

/**
 * What an opening writer holds while it looks at the storage nodes, and a repair while it removes segments.
 * @throws TapeError `LOCKED` where the other one has it for longer than `waitMs`
 */
export async function takeDropLock(
  runtime: Runtime,
  journal: string,
  waitMs: number,
  turns = new Turns(runtime, undefined),
): Promise<FileLock> {
  const file = path.join(journal, 'drop-lock');
  for (let waitedMs = 0; ; waitedMs += LOCK_PAUSE_MS) {
    const lock = tryLock(runtime, file);
    if (lock !== null) return lock;
    if (waitedMs >= waitMs) {
      throw new TapeError(
        'LOCKED',
        `${file}: a repair of the tape, or a writer that opens it, does not let go of it: try again`,
        {
          path: file,
        },
      );
    }
    await turns.sleep(LOCK_PAUSE_MS);
  }
}

function tryLock(runtime: Runtime, file: string): FileLock | null {
  try {
    return runtime.lock(file);
  } catch (error) {
    if (error instanceof TapeError && error.code === 'LOCKED') return null;
    throw error;
  }
}
