import path from 'node:path';
import process from 'node:process';
import { runtime } from 'ticktape/runtime';
import { market } from '../collect/market.js';
import { type FeedCounts, noCounts } from '../collect/parsers/binance.js';
import { openTape, type Tape } from '../index.js';
import { KIND_NAMES } from '../schemas.js';
import { Check, type Expected, type Verdict } from './demo-check.js';
import { type CollectorReport, Crew, firstTrouble } from './demo-crew.js';
import { type DemoResult, quantiles } from './demo-result.js';
import { Histogram } from './histogram.js';
import type { Interrupt } from './interrupt.js';
import { Progress } from './progress.js';

export interface DemoOptions {
  /** Without it the default, or all of a feed. */
  records: number | undefined;
  seed: number;
  feed: string | undefined;
  dir: string | undefined;
  collectors: number;
  storageNodes: number;
  redundancy: number;
  capacity: number;
}

const DEFAULT_RECORDS = 2_000_000;
/** No feed holds more. */
const ALL = Number.MAX_SAFE_INTEGER;

/** One run of the demo: records, reads back, verifies. */
export class DemoRun {
  readonly #options: DemoOptions;
  readonly #directory: string;
  readonly #interrupt: Interrupt;
  readonly #progress = new Progress();

  constructor(options: DemoOptions, directory: string, interrupt: Interrupt) {
    this.#options = options;
    this.#directory = directory;
    this.#interrupt = interrupt;
  }

  async run(): Promise<DemoResult> {
    const { storageNodes, redundancy, capacity } = this.#options;
    const tape = await openTape(market, {
      storage: Array.from({ length: storageNodes }, (_, i) => path.join(this.#directory, `storage-${i}`)),
      journal: path.join(this.#directory, 'journal'),
      redundancy,
      capacity,
    });
    let result: DemoResult;
    try {
      result = await this.#use(tape);
    } catch (error) {
      this.#progress.end();
      // What went wrong first is what the user must know.
      await tape.close().catch(() => {});
      throw error;
    }
    await tape.close();
    return result;
  }

  async #use(tape: Tape<typeof market.fields>): Promise<DemoResult> {
    const { reports, seconds } = await this.#record(tape);
    const recorded = reports.map((report) => report.recorded);
    const events = recorded.reduce((sum, { appended }) => sum + appended, 0);
    if (events === 0) throw new Error(`${this.#options.feed} holds no message that could be recorded`);
    const readStartMs = performance.now();
    const check = await this.#readBack(tape, reports, events);
    const verifyStartMs = performance.now();
    const replicas = await this.#verify(tape);
    const endMs = performance.now();
    this.#progress.end();

    const times = new Histogram();
    for (const { buckets, maxNs } of recorded) times.merge(new Histogram(buckets, maxNs));
    const stats = tape.stats();
    const { seed, feed, dir, redundancy, collectors, capacity } = this.#options;
    const readSeconds = (verifyStartMs - readStartMs) / 1000;
    return {
      runtime: runtime.name,
      events,
      seconds: round(seconds, 3),
      eventsPerSecond: Math.round(events / seconds),
      appendNs: quantiles(times),
      bytesRaw: stats.rawBytes,
      bytesStored: stats.storedBytes,
      compressionRatio: round(stats.rawBytes / stats.storedBytes, 3),
      storageNodes: stats.storageNodes.length,
      redundancy,
      blocks: stats.blocks,
      replicasVerified: replicas,
      lost: check.lost,
      duplicated: check.duplicated,
      journal: stats.journal,
      digestsEqual: check.digestsEqual,
      collectors,
      capacity,
      pauses: recorded.reduce((sum, { pauses }) => sum + pauses, 0),
      kinds: Object.fromEntries(
        KIND_NAMES.map((name, kind) => [name, recorded.reduce((sum, { kinds }) => sum + kinds[kind], 0)]).slice(1),
      ),
      ...(feed === undefined ? { seed } : { feed: { file: feed, messages: this.#messages(reports) } }),
      readBack: { seconds: round(readSeconds, 3), eventsPerSecond: Math.round(check.read / readSeconds) },
      verify: { seconds: round((endMs - verifyStartMs) / 1000, 3) },
      storage: stats.storageNodes.map(({ path, blocks, bytes, errors }) => ({ path, blocks, bytes, errors })),
      ...(dir === undefined ? {} : { dir: this.#directory }),
    };
  }

  async #record(tape: Tape<typeof market.fields>): Promise<{ reports: CollectorReport[]; seconds: number }> {
    const { feed, seed, collectors } = this.#options;
    const records = this.#options.records ?? (feed === undefined ? DEFAULT_RECORDS : ALL);
    const handles = Array.from({ length: collectors }, () => tape.appenderHandle());
    const crew = new Crew(handles, records, feed === undefined ? seed : undefined);
    const { control } = crew;
    let ticker: NodeJS.Timeout | undefined;
    try {
      if (feed !== undefined) this.#progress.begin('decoding');
      const dealt = feed === undefined ? crew.finished : crew.deal(feed);
      await this.#interrupt.race(Promise.race([crew.primed, dealt.then(() => crew.primed)]));
      this.#progress.begin('recording');
      ticker = setInterval(() => this.#progress.update(control.appended, records === ALL ? undefined : records), 100);
      const startMs = performance.now();
      control.openGate();
      const [reports] = await this.#interrupt.race(Promise.all([crew.finished, dealt]));
      await this.#interrupt.race(tape.flush());
      return { reports, seconds: (performance.now() - startMs) / 1000 };
    } finally {
      clearInterval(ticker);
      await crew.stop();
    }
  }

  async #readBack(tape: Tape<typeof market.fields>, reports: CollectorReport[], events: number): Promise<Verdict> {
    const numbered = this.#options.feed === undefined;
    const expected = reports.map(({ recorded }): Expected => ({ ...recorded, numbered }));
    const check = new Check(expected);
    this.#progress.begin('reading back');
    let read = 0;
    for await (const batch of tape.scan()) {
      this.#interrupt.check();
      check.add(batch);
      read += batch.length;
      this.#progress.update(read, events);
    }
    return check.verdict();
  }

  /** How many copies of blocks are good. */
  async #verify(tape: Tape<typeof market.fields>): Promise<number> {
    this.#progress.begin('verifying');
    const { copies } = await this.#interrupt.race(
      tape.verify({ onProgress: (done, total) => this.#progress.update(done, total) }),
    );
    return copies;
  }

  #messages(reports: CollectorReport[]): FeedCounts {
    const messages = noCounts();
    for (const { feed } of reports) {
      for (const name of Object.keys(messages) as (keyof FeedCounts)[]) messages[name] += feed?.counts[name] ?? 0;
    }
    const trouble = firstTrouble(reports);
    if (trouble !== undefined) {
      process.stderr.write(
        `ticktape: ${this.#options.feed}: ${messages.broken} broken and ${messages.unknown} unknown messages were left out; the first, line ${trouble.line}: ${trouble.reason}\n`,
      );
    }
    return messages;
  }
}

const round = (value: number, places: number) => Number(value.toFixed(places));
