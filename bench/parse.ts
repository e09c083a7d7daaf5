// How many messages a second does one core turn from text into records on a tape's lane? The messages of a captured feed (quotes, trades
// and updates of the book as they came) go through the parser and `appendScaled`; beside that, in turn with it, through JSON.parse and
// `append` of the same values. Nothing flushes the lane: it is emptied now and then.
//
//   npm run bench:parse -- --help
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { runtime } from 'ticktape/runtime';
import * as layout from '../assembly/layout.js';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from '../src/cli/command-line.js';
import { market, PRICE_SCALE, SIZE_SCALE } from '../src/collect/market.js';
import { sinkFor } from '../src/collect/parsers/market-sink.js';
import { makeParser } from '../src/collect/parsers/parser.js';
import { Appender } from '../src/journal/appender.js';
import { Journal } from '../src/journal/journal.js';
import { memoryMap } from '../src/journal/memory-map.js';
import { instantiateKernels } from '../src/kernels.js';
import type { Schema } from '../src/schema.js';
import { median } from './flush/median.js';
import { appendParsed } from './parse/json-parse.js';

const OPTIONS: OptionSpec[] = [
  { name: 'feed', value: 'FILE', help: 'a captured feed (default: the Binance capture of ../shared/data)' },
  { name: 'runs', value: 'N', help: 'measured passes over the feed of each (default 7)' },
  { name: 'json', help: 'print one line of JSON' },
];

const HELP = `Usage: npm run bench:parse -- [--runtime node|deno|bun] [OPTION...]

${describeOptions(OPTIONS)}
`;

const WARM_UP_PASSES = 3;
/** Messages between two looks at the lane, which has room for their records. */
const BURST = 16;
// This module lies in dist/bench.
const FEED = fileURLToPath(new URL('../../../shared/data/binance-usdm-btcusdt-20240808.feed.gz', import.meta.url));

interface Message {
  ts: bigint;
  text: string;
}

/** Each a string of its own, as it comes from a socket. */
function readMessages(file: string): Message[] {
  const bytes = gunzipSync(readFileSync(file));
  const messages: Message[] = [];
  for (let from = 0, end = bytes.indexOf(10); end >= 0; from = end + 1, end = bytes.indexOf(10, from)) {
    const space = bytes.indexOf(32, from);
    const ts = BigInt(bytes.toString('latin1', from, space));
    messages.push({ ts, text: bytes.toString('utf8', space + 1, end) });
  }
  return messages;
}

/** A lane of the market schema that an appender fills and nobody drains. */
function makeLane(directory: string) {
  const map = memoryMap(market as Schema, { capacity: 10_000, symbolCapacity: 1024, laneCount: 1 });
  const setup = { runtime, mapper: runtime.mapper(), directory, tapeId: new Uint8Array(16), epoch: 1, redundancy: 1 };
  const journal = new Journal({ ...setup, schema: market as Schema, map });
  const lane = journal.takeLane();
  const at = journal.laneAt(lane);
  const { memory } = journal;
  const { fingerprint } = market;
  const handle = { memory, fingerprint, lane, at, symbolCapacity: map.symbolCapacity, onFull: 'throw' } as const;
  const appender = new Appender(market, handle, () => runtime.nowNs());
  const kernels = instantiateKernels(memory);
  const longs = new BigInt64Array(memory.buffer);
  return {
    appender,
    records: () => Number(longs[(at + layout.LANE_RECORDS) >> 3]),
    /** What the flusher does when blocks are on their storage nodes, for all that is in the lane. */
    empty(): void {
      const tail = Atomics.load(longs, (at + layout.LANE_TAIL) >> 3);
      Atomics.store(longs, (at + layout.LANE_DRAINED) >> 3, tail);
      kernels.release(at, tail);
    },
    close: () => journal.close(true),
  };
}

async function measure(messages: Message[], runs: number) {
  const directory = await mkdtemp(path.join(tmpdir(), 'ticktape-bench-'));
  const lane = makeLane(directory);
  try {
    const { append, appendScaled } = lane.appender;
    const scales = { priceScale: PRICE_SCALE, sizeScale: SIZE_SCALE };
    const parser = makeParser('binance', sinkFor(market as Schema, appendScaled), scales);
    const ways = [
      { name: 'parser, appendScaled', take: (ts: bigint, text: string) => parser.parse(ts, text) },
      { name: 'JSON.parse, append', take: (ts: bigint, text: string) => appendParsed(append, ts, text) },
    ].map((way) => ({ ...way, seconds: [] as number[], records: 0 }));
    for (let run = -WARM_UP_PASSES; run < runs; run++) {
      for (const way of ways) {
        const before = lane.records();
        const startMs = performance.now();
        for (let i = 0; i < messages.length; i++) {
          const { ts, text } = messages[i];
          const reason = way.take(ts, text);
          if (reason !== null) throw new Error(`message ${i} was rejected: ${reason}`);
          if (i % BURST === 0) lane.empty();
        }
        const seconds = (performance.now() - startMs) / 1000;
        lane.empty();
        way.records = lane.records() - before;
        if (run >= 0) way.seconds.push(seconds);
      }
    }
    if (ways[0].records !== ways[1].records) throw new Error('the two ways made different numbers of records');
    return ways.map(({ name, seconds, records }) => ({
      name,
      messagesPerSecond: Math.round(messages.length / median(seconds)),
      slowest: Math.round(messages.length / Math.max(...seconds)),
      recordsPerSecond: Math.round(records / median(seconds)),
      records,
    }));
  } finally {
    lane.close();
    rmSync(directory, { recursive: true });
  }
}

try {
  const commandLine = new CommandLine(process.argv.slice(2), OPTIONS);
  if (commandLine.flag('help')) process.stdout.write(HELP);
  else {
    const messages = readMessages(commandLine.text('feed') ?? FEED);
    const bytes = messages.reduce((sum, { text }) => sum + text.length, 0);
    const runs = commandLine.whole('runs', 1, 1000, 7)!;
    const results = await measure(messages, runs);
    const ratio = results[0].messagesPerSecond / results[1].messagesPerSecond;
    if (commandLine.flag('json')) {
      console.log(
        JSON.stringify({
          runtime: runtime.name,
          messages: messages.length,
          bytes,
          runs,
          results,
          ratio: Number(ratio.toFixed(2)),
        }),
      );
    } else {
      const each = Math.round(bytes / messages.length);
      console.log(
        `${runtime.name}: ${messages.length} messages of ${each} bytes, ${results[0].records} records; medians of ${runs} passes, one core`,
      );
      for (const { name, messagesPerSecond, slowest, recordsPerSecond } of results) {
        console.log(
          `  ${name.padEnd(22)} ${(messagesPerSecond / 1000).toFixed(0).padStart(5)} k messages/s, ${(recordsPerSecond / 1e6).toFixed(2)} M records/s; slowest pass ${(slowest / 1000).toFixed(0)} k`,
        );
      }
      console.log(`  ${ratio.toFixed(2)} times as fast`);
    }
  }
} catch (error) {
  console.error(`bench:parse: ${(error as Error).message}`);
  if (process.env.TICKTAPE_DEBUG !== undefined) console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
