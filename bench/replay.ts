// How true is a replay to the times at which records came, and how fast is it at most? Records a captured feed onto a tape, replays its
// first seconds at their own pace, record by record and in batches, and notes when each record came; then replays millions of records
// into a loop that does nothing with them.
//
//   npm run bench:replay -- --help
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { openTape, type Tape } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { UsageError } from '../src/cli/command-line.js';
import { Progress } from '../src/cli/progress.js';
import { median } from './flush/median.js';
import { event, feedEvents } from './replay/feed.js';
import { help, parseOptions, type ReplayBenchOptions } from './replay/options.js';

type Events = Tape<(typeof event)['fields']>;

/** In microseconds; of `errors` the absolute values. */
interface Percentiles {
  p50: number;
  p99: number;
  p999: number;
  most: number;
}

interface Pacing {
  form: 'records' | 'batches';
  records: number;
  seconds: number;
  /** How late a record came, by its distance from the first one. */
  late: Percentiles;
  /** How much the distance of a record from the one before was off. */
  distances: Percentiles;
  /** Share of one processor, in percent. */
  processor: number;
}

interface Rate {
  form: 'records' | 'batches' | 'scan by sequence';
  /** Million records a second. */
  mrps: number;
}

function percentiles(errors: Float64Array): Percentiles {
  const sorted = errors.map(Math.abs).sort();
  const at = (share: number) => Math.round(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]);
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), most: at(1) };
}

async function openEvents(directory: string, name: string): Promise<Events> {
  return await openTape(event, { storage: [path.join(directory, name)], flushIntervalMs: 0 });
}

async function pacing(tape: Events, form: Pacing['form'], to: bigint, records: number): Promise<Pacing> {
  const times = new BigInt64Array(records);
  const cameMs = new Float64Array(records);
  const used = process.cpuUsage();
  const startedMs = performance.now();
  let at = 0;
  if (form === 'records') {
    for await (const { ts } of tape.replay({ to }).records()) {
      cameMs[at] = performance.now();
      times[at++] = ts;
    }
  } else {
    for await (const batch of tape.replay({ to })) {
      cameMs.fill(performance.now(), at, at + batch.length);
      times.set(batch.columns.ts, at);
      at += batch.length;
    }
  }
  const elapsedMs = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(used);
  if (at !== records) throw new Error(`${at} records came, not ${records}`);
  const us = (ns: bigint) => Number(ns) / 1000;
  const late = Float64Array.from(cameMs, (ms, i) => 1000 * (ms - cameMs[0]) - us(times[i] - times[0]));
  const distances = Float64Array.from({ length: records - 1 }, (_, i) => late[i + 1] - late[i]);
  return {
    form,
    records,
    seconds: elapsedMs / 1000,
    late: percentiles(late),
    distances: percentiles(distances),
    processor: (user + system) / 10 / elapsedMs,
  };
}

/** Into a loop that does nothing. */
const rates: Record<Rate['form'], (tape: Events) => Promise<number>> = {
  async records(tape) {
    let records = 0;
    for await (const _ of tape.replay({ speed: 'max' }).records()) records++;
    return records;
  },
  async batches(tape) {
    let records = 0;
    for await (const batch of tape.replay({ speed: 'max' })) records += batch.length;
    return records;
  },
  async 'scan by sequence'(tape) {
    let records = 0;
    for await (const batch of tape.scan()) records += batch.length;
    return records;
  },
};

async function measure({ seconds, records, runs, directory }: ReplayBenchOptions) {
  const root = mkdtempSync(path.join(directory, 'ticktape-bench-'));
  const progress = new Progress();
  const { events, source } = feedEvents();
  const tapes: Events[] = [];
  try {
    const paced = await openEvents(root, 'feed');
    tapes.push(paced);
    const to = events[0][0] + BigInt(seconds) * 1_000_000_000n;
    for (const of of events) paced.append(...of);
    await paced.flush();
    const within = events.filter(([ts]) => ts < to).length;
    const pacings: Pacing[] = [];
    for (const form of ['records', 'batches'] as const) {
      if (seconds > 0) pacings.push(await pacing(paced, form, to, within));
    }

    const long = await openEvents(root, 'long');
    tapes.push(long);
    const lapNs = events[events.length - 1][0] - events[0][0] + 1n;
    progress.begin(`${runtime.name} replay`);
    for (let i = 0; i < records; i++) {
      const [ts, ...values] = events[i % events.length];
      long.append(ts + BigInt(Math.floor(i / events.length)) * lapNs, ...values);
    }
    await long.flush();
    const taken: Record<Rate['form'], number[]> = { records: [], batches: [], 'scan by sequence': [] };
    for (let run = -1; run < runs; run++) {
      for (const form of Object.keys(taken) as Rate['form'][]) {
        const startedMs = performance.now();
        const seen = await rates[form](long);
        const tookMs = performance.now() - startedMs;
        if (seen !== records) throw new Error(`${seen} records came, not ${records}`);
        if (run >= 0) taken[form].push(records / tookMs / 1000);
      }
      progress.update(run + 1, runs);
    }
    const results = Object.entries(taken).map(([form, mrps]) => ({ form, mrps: median(mrps) }) as Rate);
    return { runtime: runtime.name, source, pacing: pacings, records, runs, rates: results };
  } finally {
    progress.end();
    for (const tape of tapes) await tape.close();
    rmSync(root, { recursive: true });
  }
}

function print({
  runtime: name,
  source,
  pacing: pacings,
  records,
  runs,
  rates: results,
}: Awaited<ReturnType<typeof measure>>) {
  const show = ({ p50, p99, p999, most }: Percentiles) => `p50 ${p50}, p99 ${p99}, p99.9 ${p999}, at most ${most} µs`;
  for (const { form, records: count, seconds, late, distances, processor } of pacings) {
    console.log(
      `${name} ${form} at speed 1: ${count} of ${source} in ${seconds.toFixed(2)} s, ${processor.toFixed(0)} % of a processor`,
    );
    console.log(`  late: ${show(late)}`);
    console.log(`  distances off by: ${show(distances)}`);
  }
  for (const { form, mrps } of results) {
    console.log(
      `${name} ${form}${form.startsWith('scan') ? '' : ' at speed max'}: ${mrps.toFixed(1)} M records/s (${records}, median of ${runs})`,
    );
  }
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(help());
  else {
    const measured = await measure(options);
    if (options.json) console.log(JSON.stringify(measured));
    else print(measured);
  }
} catch (error) {
  console.error(`bench:replay: ${(error as Error).message}`);
  if (process.env.TICKTAPE_DEBUG !== undefined) console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
