import process from 'node:process';
import { Gap } from '../gaps.js';
import { abortable } from './abortable.js';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from './command-line.js';
import { Output } from './output.js';
import { Progress } from './progress.js';
import {
  joinTimes,
  piecesOf,
  RECORD_OPTIONS,
  type RecordArguments,
  readRecordArguments,
  withTape,
} from './record-options.js';
import { rowWriter } from './row-writer.js';

export const OPTIONS: OptionSpec[] = [
  ...RECORD_OPTIONS,
  { name: 'order', value: 'ORDER', help: 'sequence (as they were sealed; the default) or time' },
  { name: 'limit', value: 'N', help: 'no more than so many records' },
];

const HELP = `Usage: ticktape scan [OPTION...] [DIR...]

Prints the records of a tape, which may be written meanwhile: those that are on its storage nodes.

${describeOptions(OPTIONS)}

  ticktape scan ./tape/d0 ./tape/d1 --from -15m --symbol BTCUSDT
  ticktape scan ./tape/d0 ./tape/d1 --columns ts,price --where 'price>=61800' --format csv > prices.csv
  ticktape scan ./tape/d0 ./tape/d1 --order time --gaps | head
`;

const ORDERS = ['sequence', 'time'] as const;

interface ScanArguments extends RecordArguments {
  order: (typeof ORDERS)[number];
  limit: number;
}

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(joinTimes(args), OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const order = commandLine.text('order') ?? 'sequence';
  if (!ORDERS.includes(order as ScanArguments['order'])) {
    throw new UsageError(`--order takes ${ORDERS.join(', ')}, not ${order}`);
  }
  const scanned = {
    ...readRecordArguments(commandLine),
    order: order as ScanArguments['order'],
    limit: commandLine.whole('limit', 0, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY),
  };
  await abortable((signal) => scan(scanned, signal));
  return 0;
}

async function scan({ tape, format, limit, ...asked }: ScanArguments, signal: AbortSignal): Promise<void> {
  await withTape(tape, async (reader) => {
    const writer = rowWriter(reader.schema, asked.columns, format);
    const output = new Output(signal);
    // On one terminal it would be written over.
    const progress = process.stdout.isTTY === true ? null : new Progress();
    progress?.begin('scan');
    let printed = 0;
    try {
      await output.write(writer.head());
      if (limit === 0) return;
      for await (const item of reader.scan({ ...asked, signal })) {
        if (item instanceof Gap) {
          await output.write(writer.gap(item));
          continue;
        }
        for (const piece of piecesOf(item.slice(0, Math.min(item.length, limit - printed)))) {
          await output.write(writer.batch(piece));
          printed += piece.length;
          progress?.update(printed);
        }
        if (printed === limit) return;
      }
    } finally {
      progress?.end();
    }
  });
}
