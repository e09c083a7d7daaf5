// What do copies cost, and what does a slow storage node? One producer appends in a loop and one flusher stores 1, 2 or 3 copies of
// every block on four storage nodes, real directories; the clock runs from the first append until `flush()` has resolved. Beside them, in
// turn with them: 2 copies while the writes of one of the four take many times as long as they do.
//
//   npm run bench:redundancy -- --help
import { closeSync, fsyncSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { type CompressionChoice, type Fields, openTape, type Tape } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { UsageError } from '../src/cli/command-line.js';
import { Progress } from '../src/cli/progress.js';
import { compare } from './flush/compare.js';
import { median } from './flush/median.js';
import { FlushedProducer } from './flush/producer.js';
import { makeRecords, type Records } from './flush/records.js';
import { help, parseOptions, type RedundancyOptions } from './redundancy/options.js';
import { openSlowTape } from './redundancy/slow-tape.js';

const STORAGE_NODES = 4;
/** The slow one, where there is one. */
const SLOW_NODE = 1;

/** One of the ways to store records that are measured in turn. */
interface Setting {
  redundancy: number;
  isOneSlow: boolean;
  storage: string[];
  tape: Tape<Fields>;
  producer: FlushedProducer;
  seconds: number[];
}

interface Result {
  redundancy: number;
  isOneSlow: boolean;
  /** Million records a second, the median. */
  flushedMrps: number;
  /** Of the slowest run. */
  slowestMrps: number;
  /** That each storage node got, of all runs. */
  blocks: number[];
  /** Milliseconds that each storage node took for a block of late. */
  writeMs: number[];
  degradedBlocks: number;
  recordsPerBlock: number;
  /** As it was after the last run. */
  effort: CompressionChoice['effort'];
  /** Records that were read back and compared. */
  compared: number;
}

async function open(
  records: Records,
  redundancy: number,
  isOneSlow: boolean,
  directory: string,
  { compression, slower }: RedundancyOptions,
): Promise<Setting> {
  const root = path.join(directory, `${redundancy}${isOneSlow ? '-slow' : ''}`);
  const storage = Array.from({ length: STORAGE_NODES }, (_, i) => path.join(root, `d${i}`));
  const options = { storage, redundancy, compression };
  const tape = isOneSlow
    ? await openSlowTape(records.schema, options, { directory: storage[SLOW_NODE], times: slower })
    : await openTape(records.schema, options);
  return { redundancy, isOneSlow, storage, tape, producer: new FlushedProducer(tape, records), seconds: [] };
}

async function measure(records: Records, options: RedundancyOptions): Promise<Result[]> {
  const directory = mkdtempSync(path.join(options.directory, 'ticktape-bench-'));
  const { runs, dataSet } = options;
  const progress = new Progress();
  const settings: Setting[] = [];
  try {
    for (const redundancy of [1, 2, 3]) settings.push(await open(records, redundancy, false, directory, options));
    settings.push(await open(records, 2, true, directory, options));
    progress.begin(`${runtime.name} ${dataSet}`);
    for (let run = -1; run < runs; run++) {
      for (const { producer, seconds, storage } of settings) {
        const took = await producer.run();
        if (run >= 0) seconds.push(took);
        syncAll(storage);
      }
      progress.update(run + 1, runs);
    }
    progress.end();
    const results: Result[] = [];
    for (const setting of settings) results.push(await resultOf(setting, records, runs + 1));
    return results;
  } finally {
    for (const { tape } of settings) await tape.close();
    rmSync(directory, { recursive: true });
  }
}

/** What one run leaves to the disk is not on the next one's clock. */
function syncAll(storage: readonly string[]): void {
  for (const directory of storage) {
    for (const name of readdirSync(directory).filter((name) => name.endsWith('.ttseg'))) {
      const fd = openSync(path.join(directory, name), 'r+');
      fsyncSync(fd);
      closeSync(fd);
    }
  }
}

async function resultOf(
  { redundancy, isOneSlow, tape, seconds }: Setting,
  records: Records,
  times: number,
): Promise<Result> {
  const { storageNodes, records: stored, blocks, degraded, compression } = tape.stats();
  return {
    redundancy,
    isOneSlow,
    flushedMrps: records.count / median(seconds) / 1e6,
    slowestMrps: records.count / Math.max(...seconds) / 1e6,
    blocks: storageNodes.map((node) => node.blocks),
    writeMs: storageNodes.map(({ writeMs }) => writeMs),
    degradedBlocks: degraded.blocks,
    recordsPerBlock: stored / blocks,
    effort: compression!.effort,
    compared: await compare(tape, records, times),
  };
}

function print(results: Result[], { source }: Records, { dataSet, records, runs, slower }: RedundancyOptions): void {
  console.log(
    `${runtime.name} ${dataSet} (${source}), ${STORAGE_NODES} storage nodes: ${records} records, median of ${runs} runs`,
  );
  const even = results.find(({ redundancy, isOneSlow }) => redundancy === 2 && !isOneSlow)!;
  for (const result of results) {
    const { redundancy, isOneSlow, flushedMrps, slowestMrps, blocks, writeMs, compared } = result;
    const title = `R = ${redundancy}${isOneSlow ? `, d${SLOW_NODE} ${slower} times slower` : ''}`;
    const share = isOneSlow ? `, ${Math.round((100 * flushedMrps) / even.flushedMrps)} % of R = 2` : '';
    console.log(
      `  ${title.padEnd(28)} ${flushedMrps.toFixed(2).padStart(6)} M/s${share}; slowest run ${slowestMrps.toFixed(2)}`,
    );
    console.log(
      `    blocks ${blocks.join(', ')}; ms a block ${writeMs.map((ms) => ms.toFixed(1)).join(', ')}; ` +
        `${result.degradedBlocks} degraded; ${Math.round(result.recordsPerBlock)} records a block, effort ${result.effort}; ` +
        `${compared} records read back and compared`,
    );
  }
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(help());
  else {
    const records = await makeRecords(options.dataSet, options.records);
    const results = await measure(records, options);
    if (!options.json) print(results, records, options);
    else {
      const { dataSet, runs, slower } = options;
      const { source, count } = records;
      console.log(JSON.stringify({ runtime: runtime.name, dataSet, source, records: count, runs, slower, results }));
    }
  }
} catch (error) {
  console.error(`bench:redundancy: ${(error as Error).message}`);
  if (process.env.TICKTAPE_DEBUG !== undefined) console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
