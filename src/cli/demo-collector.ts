// A collector of the demo, in a thread of its own: takes events from its source and appends them to its lane.
import { parentPort, workerData } from 'node:worker_threads';
import { PRICE_SCALE, SIZE_SCALE } from '../collect/market.js';
import { MarketBatch } from '../collect/market-batch.js';
import { BinanceParser, type FeedCounts } from '../collect/parsers/binance.js';
import { FeedLines } from '../collect/parsers/feed-line.js';
import { Simulator } from '../collect/sources/simulator.js';
import { DemoControl } from './demo-control.js';
import { type AppenderHandle, BURST, type Recorded, Recorder } from './demo-recorder.js';

/** What a collector starts with. */
export interface CollectorTask {
  handle: AppenderHandle;
  collector: number;
  collectors: number;
  control: SharedArrayBuffer;
  /** The seed of a simulated feed and how many of its events to record; without it the lines of a feed are posted. */
  simulated?: { seed: number; records: number };
}

/**
 * What is posted to a collector of a captured feed: whole lines, in the first `length` bytes, and at last none. A buffer, not a
 * view of it: Deno takes 9 ms to post 64 KiB as a Uint8Array, and 0.2 ms so.
 */
export type CollectorInput = { lines: ArrayBuffer; length: number } | 'end';

/**
 * What a collector posts: that it is ready to append (`primed`: all that it has, or a simulated feed; `full`: as much as it holds
 * ahead), that it has taken its lines, and at last what it has done.
 */
export type CollectorOutput =
  | 'primed'
  | 'full'
  | 'taken'
  | { recorded: Recorded; feed?: { counts: FeedCounts; trouble?: FeedTrouble } };

/** The first line that gave no records: its place among the lines of this collector, from 0 on, and why. */
export interface FeedTrouble {
  line: number;
  reason: string;
}

/** How many records of a captured feed are decoded ahead: a short one is all in memory when the appending starts. */
const AHEAD = 65_536;

const task = workerData as CollectorTask;
const control = new DemoControl(task.collectors, task.control);
const recorder = new Recorder(task.handle, task.collector, control);
const post = (output: CollectorOutput) => parentPort!.postMessage(output);

if (task.simulated !== undefined) simulate(task.simulated.seed, task.simulated.records);
else replay();

function simulate(seed: number, records: number): void {
  const simulator = new Simulator({ seed, collector: task.collector, collectors: task.collectors });
  const batch = new MarketBatch(BURST);
  post('primed');
  control.waitForGate();
  for (let left = records; left > 0; left -= batch.length) {
    simulator.fill(batch, Math.min(left, batch.capacity));
    recorder.prepare(batch);
    if (!recorder.append(batch)) break;
  }
  post({ recorded: recorder.finish() });
}

function replay(): void {
  const decoder = new TextDecoder();
  const batch = new MarketBatch(Math.max(BURST, Math.min(AHEAD, control.budget)), () => record('full'));
  const parser = new BinanceParser(batch, { priceScale: PRICE_SCALE, sizeScale: SIZE_SCALE });
  const lines = new FeedLines(parser);
  let trouble: FeedTrouble | undefined;
  let line = 0;
  let more = true;

  function record(state: 'primed' | 'full'): void {
    if (more) {
      more = recorder.prepare(batch);
      post(state);
      control.waitForGate();
      more = recorder.append(batch) && more;
    }
    batch.length = 0;
  }

  parentPort!.on('message', (input: CollectorInput) => {
    if (input === 'end') {
      record('primed');
      post({
        recorded: recorder.finish(),
        feed: { counts: { ...parser.counts, broken: parser.counts.broken + lines.broken }, trouble },
      });
      return;
    }
    const text = decoder.decode(new Uint8Array(input.lines, 0, input.length));
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0 && more; end = text.indexOf('\n', from)) {
      const reason = lines.parse(text.slice(from, end));
      if (reason !== null) trouble ??= { line, reason };
      from = end + 1;
      line++;
    }
    post('taken');
  });
}
