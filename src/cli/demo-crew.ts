import { runtime } from 'ticktape/runtime';
import { dealLines } from '../collect/sources/feed-file.js';
import type { RuntimeWorker } from '../runtime.js';
import type { CollectorInput, CollectorOutput, CollectorTask, FeedTrouble } from './demo-collector.js';
import { DemoControl } from './demo-control.js';
import type { AppenderHandle } from './demo-recorder.js';

/** Chunks of a feed that may be on their way to a collector. */
const CHUNKS_AHEAD = 4;

/** How long collectors may take to end by themselves when asked to, in ms. */
const STOP_MS = 2000;

export type CollectorReport = Exclude<CollectorOutput, string>;

/** The collectors of the demo, as the main thread sees them. */
export class Crew {
  readonly control: DemoControl;
  /** All wait for the start, or as many as can: one of them has decoded as much of its feed as it holds ahead. */
  readonly primed: Promise<void>;
  /** What each has done. */
  readonly finished: Promise<CollectorReport[]>;
  readonly #workers: RuntimeWorker[];
  readonly #inFlight: number[];
  #onTaken: () => void = () => {};
  #feedEnded: boolean;

  /**
   * @param records how many to record at most
   * @param seed of a simulated feed; without it the lines of a captured one are to be dealt out
   */
  constructor(handles: AppenderHandle[], records: number, seed?: number) {
    const collectors = handles.length;
    this.control = new DemoControl(collectors);
    this.control.budget = records;
    this.#inFlight = handles.map(() => 0);
    this.#feedEnded = seed !== undefined;
    this.#workers = handles.map((handle, collector) => {
      const task: CollectorTask = { handle, collector, collectors, control: this.control.buffer };
      if (seed !== undefined) task.simulated = { seed, records: share(records, collectors, collector) };
      return runtime.spawn(new URL('./demo-collector.js', import.meta.url), task);
    });
    const each = this.#workers.map((worker, collector) => this.#listen(worker, collector));
    const allPrimed = Promise.all(each.map(({ primed }) => primed)).then(() => {});
    this.primed = Promise.race([allPrimed, ...each.map(({ full }) => full)]);
    this.finished = Promise.all(each.map(({ finished }) => finished));
    // Whoever waits for the one has not yet got to the other.
    this.primed.catch(() => {});
    this.finished.catch(() => {});
  }

  /** Deals the lines of a feed out, until all are or the budget is used up. */
  async deal(path: string): Promise<void> {
    for await (const { share, bytes } of dealLines(path, this.#workers.length)) {
      while (this.#inFlight[share] >= CHUNKS_AHEAD && !this.control.stopped) {
        await new Promise<void>((resolve) => {
          this.#onTaken = resolve;
        });
      }
      if (this.control.stopped || this.control.budget <= 0) break;
      this.#inFlight[share]++;
      this.#workers[share].post({ lines: bytes.buffer, length: bytes.length } satisfies CollectorInput);
    }
    this.#endFeed();
  }

  /** Ends the threads: kindly, then not. */
  async stop(): Promise<void> {
    this.control.stop();
    this.#onTaken();
    this.#endFeed();
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_MS);
    });
    await Promise.race([this.finished.catch(() => {}), tooLong]);
    clearTimeout(timer);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #endFeed(): void {
    if (this.#feedEnded) return;
    this.#feedEnded = true;
    for (const worker of this.#workers) worker.post('end' satisfies CollectorInput);
  }

  #listen(worker: RuntimeWorker, collector: number) {
    const on: { primed?: () => void; full?: () => void; finished?: (report: CollectorReport) => void } = {};
    let done = false;
    const failed = new Promise<never>((_, reject) => {
      worker.onFailure((error) => {
        if (!done) reject(new Error(`collector ${collector}: ${error.message}`, { cause: error }));
      });
    });
    const primed = new Promise<void>((resolve) => {
      on.primed = resolve;
    });
    const full = new Promise<void>((resolve) => {
      on.full = resolve;
    });
    const finished = new Promise<CollectorReport>((resolve) => {
      on.finished = resolve;
    });
    worker.onMessage((message) => {
      const output = message as CollectorOutput;
      if (output === 'primed') on.primed?.();
      else if (output === 'full') on.full?.();
      else if (output === 'taken') {
        this.#inFlight[collector]--;
        this.#onTaken();
      } else {
        done = true;
        on.finished?.(output);
      }
    });
    return { primed: Promise.race([primed, failed]), full, finished: Promise.race([finished, failed]) };
  }
}

/** The part of `records` that is one of `shares`: they differ by one at most. */
const share = (records: number, shares: number, index: number) =>
  Math.floor(records / shares) + (index < records % shares ? 1 : 0);

/** The first line of the feed that gave no records, and why, of all collectors. */
export function firstTrouble(reports: CollectorReport[]): FeedTrouble | undefined {
  let first: FeedTrouble | undefined;
  reports.forEach(({ feed }, collector) => {
    if (feed?.trouble === undefined) return;
    const line = feed.trouble.line * reports.length + collector + 1;
    if (first === undefined || line < first.line) first = { line, reason: feed.trouble.reason };
  });
  return first;
}
