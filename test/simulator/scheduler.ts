import { setImmediate, setTimeout } from 'node:timers';

interface Event {
  atMs: number;
  id: number;
  run: () => void;
}

/** Turns of the event loop that real timers of the code under test get, where nothing simulated is left that could go on. */
const PATIENCE_TURNS = 50;

/** The simulated clock, and all that is to happen later: by time, and at one time in the order in which it was asked for. */
export class Scheduler {
  nowMs = 0;
  readonly #queue: Event[] = [];
  #nextId = 1;

  after(ms: number, run: () => void): void {
    const event = { atMs: this.nowMs + ms, id: this.#nextId++, run };
    let at = this.#queue.length;
    while (at > 0 && this.#queue[at - 1].atMs > event.atMs) at--;
    this.#queue.splice(at, 0, event);
  }

  get isIdle(): boolean {
    return this.#queue.length === 0;
  }

  /** Has what is next happen, at its time. */
  next(): void {
    const event = this.#queue.shift();
    if (event === undefined) return;
    this.nowMs = Math.max(this.nowMs, event.atMs);
    event.run();
  }

  /** Lets the time pass, and everybody do what he has to in it. */
  async pass(ms: number): Promise<void> {
    const end = this.nowMs + ms;
    for (let steps = 0; this.#queue.length > 0 && this.#queue[0].atMs <= end; steps++) {
      if (steps > 20_000) throw new Hang('something asks for ever more to happen');
      this.next();
      await this.quiet();
    }
    this.nowMs = Math.max(this.nowMs, end);
  }

  /** The same while the process stands still: it hears of what happened when all of it has. */
  stall(ms: number): void {
    const end = this.nowMs + ms;
    for (let left = this.#queue.length; left > 0 && this.#queue.length > 0 && this.#queue[0].atMs <= end; left--) {
      this.next();
    }
    this.nowMs = Math.max(this.nowMs, end);
  }

  /** Forgets all that was to come. */
  clear(): void {
    this.#queue.length = 0;
  }

  /** Resolves once no promise has anything more to do by itself. */
  quiet(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Has one thing after another happen until the promise is settled. @throws Error where it never will be */
  async until<T>(promise: Promise<T>, what: string, mostSteps = 20_000): Promise<T> {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    promise.then(settle, settle);
    await this.quiet();
    for (let steps = 0, turns = 0; !settled; steps++) {
      if (steps > mostSteps) throw new Hang(`${what}: not done after ${mostSteps} steps`);
      if (this.isIdle) {
        if (++turns > PATIENCE_TURNS) throw new Hang(`${what}: waits for nothing that could happen`);
        await new Promise((resolve) => setTimeout(resolve, 1));
      } else {
        turns = 0;
        this.next();
        await this.quiet();
      }
    }
    return promise;
  }
}

/** Something never ends. */
export class Hang extends Error {}
