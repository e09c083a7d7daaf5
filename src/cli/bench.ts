import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { bold, dim, setColorEnabled } from 'deno-std/fmt/colors.js';
import { runtime } from 'ticktape/runtime';
import { TapeError } from '../errors.js';
import { openTape, type Tape } from '../index.js';
import { decimal, defineSchema, symbol, timestamp, u8 } from '../schema.js';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from './command-line.js';
import { nanoseconds, short, size } from './figures.js';
import { Interrupt } from './interrupt.js';
import { Progress } from './progress.js';
import { count, row } from './rows.js';

export const OPTIONS: OptionSpec[] = [
  { name: 'records', value: 'N', help: 'records a run, 100000 to 100000000 (default 1000000)' },
  { name: 'runs', value: 'N', help: 'how often, 1 to 99; figures are medians (default 5)' },
  {
    name: 'storage',
    value: 'DIR',
    help: 'make the storage directories in DIR, on the disk that is meant (default: the\ntemporary directory)',
  },
  { name: 'json', help: 'print one JSON object instead of the report' },
];

export const OPERANDS = [] as const;

const HELP = `Usage: ticktape bench [OPTION...]

Measures this machine: how long an append takes, how many records a second are on their storage nodes, and how fast they
are read back. Trades of five fields, made up, from one thread onto two of two storage directories, which are removed.

${describeOptions(OPTIONS)}

What else runs on the machine counts too: leave it alone meanwhile, and compare figures of one run of the command.
`;

const trade = defineSchema(
  'trade',
  timestamp('ts'),
  symbol('symbol'),
  decimal('price', 2),
  decimal('size', 3),
  u8('side'),
);
type Trade = typeof trade.fields;

const SYMBOLS = ['BTCUSDT', 'ETHUSDT', 'SOLUSDT', 'XRPUSDT', 'BNBUSDT', 'ADAUSDT', 'DOGEUSDT', 'LTCUSDT'];
const START_NS = 1_723_123_800_000_000_000n;
/** Of appends that are timed together. A lane has room for three times as many: none waits for the flusher. */
const BURST = 25_000;
const BURSTS = 8;

/** Of one run; times in seconds. */
interface Run {
  /** Of one append. */
  appendNs: number;
  flushed: number;
  scanned: number;
  scannedOne: number;
}

export interface BenchResult {
  runtime: string;
  journal: 'mapped' | 'buffered';
  records: number;
  runs: number;
  appendNs: number;
  flushedRecordsPerSecond: number;
  scannedRecordsPerSecond: number;
  scannedColumnRecordsPerSecond: number;
  rawBytesPerRecord: number;
  storedBytesPerRecord: number;
}

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(args, OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  if (commandLine.operands.length > 0) throw new UsageError(`${JSON.stringify(commandLine.operands[0])} is too much`);
  const records = commandLine.whole('records', 100_000, 100_000_000, 1_000_000);
  const runs = commandLine.whole('runs', 1, 99, 5);
  const parent = commandLine.text('storage') ?? tmpdir();
  const result = await bench(records, runs, parent);
  if (commandLine.flag('json')) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    setColorEnabled(!process.env.NO_COLOR && process.stdout.isTTY === true);
    process.stdout.write(report(result, parent));
  }
  return 0;
}

async function bench(records: number, runs: number, parent: string): Promise<BenchResult> {
  const progress = new Progress();
  const interrupt = new Interrupt(() => {});
  const done: Run[] = [];
  let sizes: Pick<BenchResult, 'journal' | 'rawBytesPerRecord' | 'storedBytesPerRecord'> | null = null;
  makeRecords();
  progress.begin('bench');
  try {
    // The first warms up.
    for (let i = -1; i < runs; i++) {
      const directory = await makeDirectory(parent);
      try {
        const storage = ['d0', 'd1'].map((name) => path.join(directory, name));
        const tape = await openTape(trade, { storage, redundancy: 2, flushIntervalMs: 0 });
        try {
          const measured = await runOnce(tape, records, interrupt);
          if (i >= 0) done.push(measured);
          const stats = tape.stats();
          sizes = {
            journal: stats.journal,
            rawBytesPerRecord: stats.rawBytes / stats.records,
            storedBytesPerRecord: stats.storedBytes / stats.records,
          };
        } finally {
          await tape.close();
        }
      } finally {
        await rm(directory, { recursive: true, force: true, maxRetries: 3 });
      }
      progress.update(i + 1, runs);
    }
  } finally {
    progress.end();
    interrupt.dispose();
  }
  const median = (of: (run: Run) => number) => {
    const sorted = done.map(of).sort((a, b) => a - b);
    return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
  };
  return {
    runtime: runtime.name,
    ...sizes!,
    records,
    runs,
    appendNs: median(({ appendNs }) => appendNs),
    flushedRecordsPerSecond: records / median(({ flushed }) => flushed),
    scannedRecordsPerSecond: records / median(({ scanned }) => scanned),
    scannedColumnRecordsPerSecond: records / median(({ scannedOne }) => scannedOne),
  };
}

async function makeDirectory(parent: string): Promise<string> {
  try {
    return await mkdtemp(path.join(parent, 'ticktape-bench-'));
  } catch (cause) {
    throw new TapeError('IO', `can't make a directory in ${parent}: ${(cause as Error).message}`, {
      path: parent,
      cause,
    });
  }
}

async function runOnce(tape: Tape<Trade>, records: number, interrupt: Interrupt): Promise<Run> {
  const seconds = async (work: () => Promise<void>) => {
    const startMs = performance.now();
    await interrupt.race(work());
    return (performance.now() - startMs) / 1000;
  };
  const flushed = await seconds(async () => {
    append(tape, 0, records);
    await tape.flush();
  });
  const bursts: number[] = [];
  for (let i = 0; i < BURSTS; i++) {
    const startMs = performance.now();
    append(tape, records + i * BURST, BURST);
    bursts.push(((performance.now() - startMs) * 1e6) / BURST);
    await interrupt.race(tape.flush());
  }
  const scan = (columns?: ['price']) =>
    seconds(async () => {
      let read = 0;
      for await (const batch of tape.scan({ columns, to: START_NS + BigInt(records) * 1000n })) {
        read += batch.length;
        interrupt.check();
      }
      if (read !== records) throw new Error(`${read} of ${records} records were read back`);
    });
  const scanned = await scan();
  const scannedOne = await scan(['price']);
  bursts.sort((a, b) => a - b);
  return { appendNs: bursts[BURSTS >> 1], flushed, scanned, scannedOne };
}

/** Records that come again and again: prices walk, sizes and symbols come by chance. */
const MADE = 65_536;
const made = {
  symbol: new Uint8Array(MADE),
  price: new Float64Array(MADE),
  size: new Float64Array(MADE),
  side: new Uint8Array(MADE),
};

function makeRecords(): void {
  let state = 0x9e3779b9;
  let cents = 6_180_000;
  for (let i = 0; i < MADE; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    cents += ((state >>> 8) & 7) - 3;
    made.symbol[i] = state & 7;
    made.price[i] = cents / 100;
    made.size[i] = ((state >>> 12) & 4095) / 1000;
    made.side[i] = (state >>> 30) & 1;
  }
}

/** A record a microsecond. */
function append(tape: Tape<Trade>, first: number, records: number): void {
  const { symbol, price, size, side } = made;
  let ns = START_NS + BigInt(first) * 1000n;
  for (let i = first; i < first + records; i++) {
    const at = i % MADE;
    tape.append(ns, SYMBOLS[symbol[at]], price[at], size[at], side[at]);
    ns += 1000n;
  }
}

function report(result: BenchResult, parent: string): string {
  const { records, runs, rawBytesPerRecord, storedBytesPerRecord } = result;
  const speed = (label: string, perSecond: number, remark: string) =>
    row(label, `${short(perSecond)} records/s`, `${remark}, ${size(perSecond * rawBytesPerRecord)}/s as rows`, bold);
  return [
    '',
    `${bold('ticktape bench')} ${dim(`on ${runtime.name}, journal ${result.journal}, in ${parent}`)}`,
    '',
    row('append', nanoseconds(result.appendNs), 'of one record, with a new bigint; its lane never fills', bold),
    speed('append + flush', result.flushedRecordsPerSecond, 'from one thread until two copies are stored'),
    speed('scan', result.scannedRecordsPerSecond, 'all columns'),
    row('scan', `${short(result.scannedColumnRecordsPerSecond)} records/s`, 'one column of five', bold),
    row(
      'size',
      `${storedBytesPerRecord.toFixed(2)} bytes a record`,
      `a copy, of ${rawBytesPerRecord.toFixed(0)} as rows`,
    ),
    '',
    dim(`  medians of ${runs} runs of ${count(records)} records`),
    '',
    '',
  ].join('\n');
}
