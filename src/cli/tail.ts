import { once } from 'node:events';
import process from 'node:process';
import { runtime } from 'ticktape/runtime';
import { Gap } from '../gaps.js';
import { openTape, readSchema } from '../open.js';
import type { Batch } from '../read/batch.js';
import type { TailStart } from '../read/tail/tail.js';
import { abortable } from './abortable.js';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from './command-line.js';
import { ROW_FORMATS, type RowFormat, type RowWriter, rowWriter } from './row-writer.js';
import { readTapeArguments, TAPE_OPTIONS } from './tape-options.js';
import { parseTimeNs } from './times.js';

const OPTIONS: OptionSpec[] = [
  ...TAPE_OPTIONS.filter(({ name }) => name !== 'redundancy'),
  { name: 'symbol', value: 'NAME,…', list: true, help: 'only records of these symbols' },
  { name: 'where', value: 'CONDITION', list: true, help: "only records for which all hold: 'price>=61800', 'side=1'" },
  { name: 'columns', value: 'NAME,…', list: true, help: 'only these fields' },
  {
    name: 'from',
    value: 'START',
    help: 'now (default), start (the oldest record there is), or a time: -15m, 2024-08-08T12:00Z',
  },
  { name: 'count', value: 'N', help: 'end after so many records' },
  { name: 'gaps', help: 'also say when the tape was not told what happened' },
  { name: 'format', value: 'FORMAT', help: `${ROW_FORMATS.join(', ')} (default: table)` },
  { name: 'json', help: 'the same as --format ndjson' },
];

const HELP = `Usage: ticktape tail [OPTION...] [DIR...]

Prints records as they are appended, by any process, sealed or not. Goes on when the recorder ends and another one begins.

${describeOptions(OPTIONS)}

  ticktape tail ./tape/d0 ./tape/d1 --symbol BTCUSDT
  ticktape tail ./tape/d0 ./tape/d1 --from -5m --where 'price>=61800' --json | jq .price
`;

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(args, OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const { storage, journal } = readTapeArguments(commandLine);
  const count = commandLine.whole('count', 1, Number.MAX_SAFE_INTEGER, Infinity);
  const [symbols, where, columns] = ['symbol', 'where', 'columns'].map((name) => {
    const values = commandLine.list(name);
    return values.length === 0 ? undefined : values;
  });
  const from = startOf(commandLine.text('from') ?? 'now');
  const gaps = commandLine.flag('gaps');
  const format = formatOf(commandLine);
  const schema = readSchema(storage);
  const writer = rowWriter(schema, columns, format);
  await abortable(async (signal) => {
    const reader = await openTape(schema, { storage, journal, readOnly: true });
    try {
      const tail = reader.tail({ symbols, where, columns, from, gaps, signal });
      await print(writer.head());
      let left = count;
      for await (const item of tail) {
        left -= await printItem(writer, item, left);
        if (left <= 0) return;
      }
    } finally {
      await reader.close();
    }
  });
  return 0;
}

/** @throws UsageError */
function startOf(text: string): TailStart {
  return text === 'now' || text === 'start' ? text : parseTimeNs(text, runtime.nowNs());
}

/** @throws UsageError */
function formatOf(commandLine: CommandLine): RowFormat {
  const text = commandLine.text('format') ?? (commandLine.flag('json') ? 'ndjson' : 'table');
  const format = ROW_FORMATS.find((known) => known === text);
  if (format === undefined) throw new UsageError(`--format is ${ROW_FORMATS.join(', ')}, not ${JSON.stringify(text)}`);
  return format;
}

/** Prints a gap, or `most` records at most; how many they were. */
async function printItem(writer: RowWriter, item: Batch | Gap, most: number): Promise<number> {
  if (item instanceof Gap) {
    await print(writer.gap(item));
    return 0;
  }
  const batch = item.length > most ? item.slice(0, most) : item;
  await print(writer.batch(batch));
  return batch.length;
}

/** At the pace of who reads it. */
async function print(text: string): Promise<void> {
  if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain');
}
