// How fast does a tape take records for good? One producer appends in a loop and one flusher stores two copies of every block in
// real directories; the clock runs from the first append until `flush()` has resolved. Beside it, in turn with it: the producer
// alone, on a lane that never fills, and the same records as packed structs, written uncompressed to two files and synced.
//
//   npm run bench:flush -- --help
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { type CompressionChoice, openTape } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import * as layout from '../assembly/layout.js';
import { UsageError } from '../src/cli/command-line.js';
import { Progress } from '../src/cli/progress.js';
import { Appender } from '../src/journal/appender.js';
import { Journal } from '../src/journal/journal.js';
import { memoryMap } from '../src/journal/memory-map.js';
import { instantiateKernels } from '../src/kernels.js';
import { compare } from './flush/compare.js';
import { median } from './flush/median.js';
import { type FlushOptions, help, parseOptions } from './flush/options.js';
import { FlushedProducer } from './flush/producer.js';
import { makeRecords, producerOf, type Records, structBuffers } from './flush/records.js';

const COPIES = 2;
const BUFFER_BYTES = 1024 ** 2;
/** Of the producer alone: its lane is emptied after so many. */
const LAP_RECORDS = 10_000;

/** Speeds are in million records a second, medians. */
interface Result {
  dataSet: string;
  source: string;
  storageNodes: number;
  records: number;
  runs: number;
  flushedMrps: number;
  producerAloneMrps: number;
  writtenAndSyncedMrps: number;
  /** Of a copy. */
  storedBytesPerRecord: number;
  writtenBytesPerRecord: number;
  recordsPerBlock: number;
  /** As it was after the last run. */
  effort: CompressionChoice['effort'];
  effortReason: string;
  /** Records that were read back and compared. */
  compared: number;
}

async function measure(
  records: Records,
  dataSet: string,
  storageNodes: number,
  options: FlushOptions,
): Promise<Result> {
  const directory = mkdtempSync(path.join(options.directory, 'ticktape-bench-'));
  const { compression, runs } = options;
  const progress = new Progress();
  try {
    const storage = Array.from({ length: storageNodes }, (_, i) => path.join(directory, `d${i}`));
    const tape = await openTape(records.schema, { storage, redundancy: COPIES, compression });
    const flushed = new FlushedProducer(tape, records);
    const alone = new LoneProducer(records, path.join(directory, 'alone'));
    const buffers = structBuffers(records, BUFFER_BYTES);
    const seconds = { flushed: [] as number[], alone: [] as number[], written: [] as number[] };
    progress.begin(`${runtime.name} ${dataSet}`);
    for (let run = -1; run < runs; run++) {
      const flushedSeconds = await flushed.run();
      const writtenSeconds = writeAndSync(buffers, directory);
      const aloneSeconds = alone.run();
      progress.update(run + 1, runs);
      if (run < 0) continue;
      seconds.flushed.push(flushedSeconds);
      seconds.written.push(writtenSeconds);
      seconds.alone.push(aloneSeconds);
    }
    alone.close();
    const { storedBytes, records: stored, blocks, compression: choice } = tape.stats();
    const compared = await compare(tape, records, runs + 1);
    await tape.close();
    progress.end();
    const mrps = (of: number[]) => records.count / median(of) / 1e6;
    return {
      dataSet,
      source: records.source,
      storageNodes,
      records: records.count,
      runs,
      flushedMrps: mrps(seconds.flushed),
      producerAloneMrps: mrps(seconds.alone),
      writtenAndSyncedMrps: mrps(seconds.written),
      storedBytesPerRecord: storedBytes / stored,
      writtenBytesPerRecord: buffers.reduce((sum, { length }) => sum + length, 0) / records.count,
      recordsPerBlock: stored / blocks,
      effort: choice!.effort,
      effortReason: choice!.effortReason,
      compared,
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** As `FlushedProducer`, into a lane that nobody drains. */
class LoneProducer {
  readonly #journal: Journal;
  readonly #produce: (from: number, to: number) => void;
  readonly #count: number;
  readonly #empty: () => void;

  constructor(records: Records, directory: string) {
    const { schema } = records;
    mkdirSync(directory);
    const map = memoryMap(schema, { capacity: LAP_RECORDS, symbolCapacity: 1024, laneCount: 1 });
    const mapper = runtime.mapper();
    const journal = new Journal({
      runtime,
      mapper,
      directory,
      tapeId: new Uint8Array(16),
      epoch: 1,
      schema,
      redundancy: 1,
      map,
    });
    const lane = journal.laneAt(journal.takeLane());
    const { memory } = journal;
    const { fingerprint } = schema;
    const { symbolCapacity } = map;
    const handle = { memory, fingerprint, lane: 0, at: lane, symbolCapacity, onFull: 'throw' as const };
    const appender = new Appender(schema, handle, () => runtime.nowNs());
    const kernels = instantiateKernels(memory);
    const longs = new BigInt64Array(memory.buffer);
    this.#journal = journal;
    this.#produce = producerOf(records, appender.append);
    this.#count = records.count;
    this.#empty = () => {
      const tail = Atomics.load(longs, (lane + layout.LANE_TAIL) >> 3);
      Atomics.store(longs, (lane + layout.LANE_DRAINED) >> 3, tail);
      kernels.release(lane, tail);
    };
  }

  /** Answers the seconds that it took. */
  run(): number {
    const startMs = performance.now();
    for (let from = 0; from < this.#count; from += LAP_RECORDS) {
      this.#produce(from, Math.min(from + LAP_RECORDS, this.#count));
      this.#empty();
    }
    return (performance.now() - startMs) / 1000;
  }

  close(): void {
    this.#journal.close(true);
  }
}

/** Answers the seconds that it took. */
function writeAndSync(buffers: readonly Uint8Array[], directory: string): number {
  const files = Array.from({ length: COPIES }, (_, i) => path.join(directory, `written-${i}`));
  const startMs = performance.now();
  const fds = files.map((file) => openSync(file, 'w'));
  for (const buffer of buffers) {
    for (const fd of fds) {
      for (let done = 0; done < buffer.length; ) done += writeSync(fd, buffer, done, buffer.length - done);
    }
  }
  for (const fd of fds) fsyncSync(fd);
  for (const fd of fds) closeSync(fd);
  const seconds = (performance.now() - startMs) / 1000;
  for (const file of files) rmSync(file);
  return seconds;
}

function print(result: Result): void {
  const { dataSet, source, storageNodes, records, runs, storedBytesPerRecord, writtenBytesPerRecord, recordsPerBlock } =
    result;
  const line = (title: string, mrps: number, more = '') =>
    console.log(`  ${title.padEnd(44)} ${mrps.toFixed(2).padStart(6)} M/s  ${more}`.trimEnd());
  console.log(
    `${runtime.name} ${dataSet} (${source}), ${COPIES} of ${storageNodes}: ${records} records, median of ${runs} runs`,
  );
  const blocks = `${storedBytesPerRecord.toFixed(1)} bytes a record, ${Math.round(recordsPerBlock)} records a block`;
  line('append and flush', result.flushedMrps, blocks);
  line('append alone, into a lane that never fills', result.producerAloneMrps);
  line('packed structs, write + fsync', result.writtenAndSyncedMrps, `${writtenBytesPerRecord} bytes a record`);
  console.log(`  effort ${result.effort} (${result.effortReason}); ${result.compared} records read back and compared`);
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(help());
  else {
    const results: Result[] = [];
    for (const dataSet of options.dataSets) {
      const records = await makeRecords(dataSet, options.records);
      for (const storageNodes of options.nodes) {
        const result = await measure(records, dataSet, storageNodes, options);
        results.push(result);
        if (!options.json) print(result);
      }
    }
    if (options.json) console.log(JSON.stringify({ runtime: runtime.name, results }));
  }
} catch (error) {
  console.error(`bench:flush: ${(error as Error).message}`);
  if (process.env.TICKTAPE_DEBUG !== undefined) console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
