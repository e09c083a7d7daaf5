import process from 'node:process';
import { runtime } from 'ticktape/runtime';
import { TapeError } from '../errors.js';
import { openTape, readSchema } from '../open.js';
import type { Batch } from '../read/batch.js';
import type { TapeReader } from '../read/tape-reader.js';
import type { Fields } from '../schema.js';
import { type CommandLine, type OptionSpec, UsageError } from './command-line.js';
import { ROW_FORMATS, type RowFormat } from './row-writer.js';
import { readTapeArguments, TAPE_OPTIONS, type TapeArguments } from './tape-options.js';
import { parseTimeNs } from './times.js';

/** Which records of which tape, and how they are shown. */
export const RECORD_OPTIONS: OptionSpec[] = [
  ...TAPE_OPTIONS.filter(({ name }) => name !== 'redundancy'),
  {
    name: 'from',
    value: 'TIME',
    help: 'the first moment: 2024-08-08, 2024-08-08T23:54:15.088Z, -15m (before now),\nnow, or ns since 1970',
  },
  { name: 'to', value: 'TIME', help: 'the moment behind the last' },
  { name: 'symbol', value: 'NAME,…', list: true, help: 'only these symbols' },
  { name: 'columns', value: 'NAME,…', list: true, help: 'only these columns, in this order' },
  {
    name: 'where',
    value: 'CONDITION,…',
    list: true,
    help: "only records for which all hold: 'price>=61800', 'side=1', 'symbol!=ETHUSDT'",
  },
  { name: 'gaps', help: 'also show where the tape was not told all that happened' },
  { name: 'format', value: 'FORMAT', help: `${ROW_FORMATS.join(', ')} (a table on a terminal, ndjson elsewhere)` },
  { name: 'json', help: 'the same as --format ndjson' },
];

export interface Selection {
  tape: Pick<TapeArguments, 'storage' | 'journal'>;
  symbols: string[] | undefined;
  columns: string[] | undefined;
  where: string[] | undefined;
  gaps: boolean;
  format: RowFormat;
}

export interface RecordArguments extends Selection {
  from: bigint | undefined;
  to: bigint | undefined;
}

/** A time before now begins as an option does: it is put together with the option that it is the value of. */
export function joinTimes(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (const [i, argument] of args.entries()) {
    const isValue = /^--(from|to)$/.test(args[i - 1] ?? '') && /^-\d/.test(argument);
    if (isValue) joined[joined.length - 1] += `=${argument}`;
    else joined.push(argument);
  }
  return joined;
}

/** @throws UsageError */
export function readRecordArguments(commandLine: CommandLine): RecordArguments {
  const nowNs = runtime.nowNs();
  const time = (name: string) => {
    const text = commandLine.text(name);
    return text === undefined ? undefined : parseTimeNs(text, nowNs);
  };
  return { ...readSelection(commandLine), from: time('from'), to: time('to') };
}

/** All of them but the times. @throws UsageError */
export function readSelection(commandLine: CommandLine): Selection {
  const list = (name: string) => {
    const values = commandLine.list(name);
    return values.length === 0 ? undefined : values;
  };
  const format = commandLine.text('format') ?? (process.stdout.isTTY === true ? 'table' : 'ndjson');
  if (!ROW_FORMATS.includes(format as RowFormat)) {
    throw new UsageError(`--format takes ${ROW_FORMATS.join(', ')}, not ${format}`);
  }
  const { storage, journal } = readTapeArguments(commandLine);
  return {
    tape: { storage, journal },
    symbols: list('symbol'),
    columns: list('columns'),
    where: list('where'),
    gaps: commandLine.flag('gaps'),
    format: commandLine.flag('json') ? 'ndjson' : (format as RowFormat),
  };
}

/** What `use` makes of the tape, opened for reading. What it can't be asked is wrong usage. */
export async function withTape<T>(
  { storage, journal }: Selection['tape'],
  use: (reader: TapeReader<Fields>) => Promise<T>,
): Promise<T> {
  const reader = await openTape(readSchema(storage), { storage, journal, readOnly: true });
  try {
    return await use(reader);
  } catch (error) {
    if (!(error instanceof TapeError && error.code === 'BAD_OPTION')) throw error;
    throw new UsageError(
      error.message.replace(/^option (\w+)/, (_, name) => `--${name === 'symbols' ? 'symbol' : name}`),
    );
  } finally {
    await reader.close();
  }
}

/** Rows that are written at once. */
const PIECE_ROWS = 1000;

/** The batch in pieces, so that no more text is made than is written. */
export function* piecesOf(batch: Batch): Generator<Batch> {
  for (let from = 0; from < batch.length; from += PIECE_ROWS) {
    yield batch.slice(from, Math.min(batch.length, from + PIECE_ROWS));
  }
}
