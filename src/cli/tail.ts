import process from 'node:process';
import { runtime } from 'ticktape/runtime';
import { Gap } from '../gaps.js';
import type { TailStart } from '../read/tail/tail.js';
import { abortable } from './abortable.js';
import { CommandLine, describeOptions, type OptionSpec } from './command-line.js';
import { Output } from './output.js';
import { joinTimes, piecesOf, RECORD_OPTIONS, readSelection, type Selection, withTape } from './record-options.js';
import { rowWriter } from './row-writer.js';
import { parseTimeNs } from './times.js';

export const OPTIONS: OptionSpec[] = [
  ...RECORD_OPTIONS.filter(({ name }) => name !== 'from' && name !== 'to'),
  {
    name: 'from',
    value: 'START',
    help: 'now (default), start (the oldest record there is), or a time: -15m, 2024-08-08T12:00Z',
  },
  { name: 'count', value: 'N', help: 'end after so many records' },
];

const HELP = `Usage: ticktape tail [OPTION...] [DIR...]

Prints records as they are appended, by any process, sealed or not. Goes on when the recorder ends and another one begins.

${describeOptions(OPTIONS)}

  ticktape tail ./tape/d0 ./tape/d1 --symbol BTCUSDT
  ticktape tail ./tape/d0 ./tape/d1 --from -5m --where 'price>=61800' --json | jq .price
`;

interface TailArguments extends Selection {
  from: TailStart;
  count: number;
}

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(joinTimes(args), OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const start = commandLine.text('from') ?? 'now';
  const tailed: TailArguments = {
    ...readSelection(commandLine),
    from: start === 'now' || start === 'start' ? start : parseTimeNs(start, runtime.nowNs()),
    count: commandLine.whole('count', 1, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY),
  };
  await abortable((signal) => tail(tailed, signal));
  return 0;
}

async function tail({ tape, format, count, ...asked }: TailArguments, signal: AbortSignal): Promise<void> {
  await withTape(tape, async (reader) => {
    const writer = rowWriter(reader.schema, asked.columns, format);
    const output = new Output(signal);
    const items = reader.tail({ ...asked, signal })[Symbol.asyncIterator]();
    let printed = 0;
    try {
      // Begun before the head is seen, so that what is appended from then on is shown.
      let next = items.next();
      next.catch(() => {});
      await output.write(writer.head());
      for (;;) {
        const { done, value: item } = await next;
        if (done) return;
        if (item instanceof Gap) await output.write(writer.gap(item));
        else {
          for (const piece of piecesOf(item.slice(0, Math.min(item.length, count - printed)))) {
            await output.write(writer.batch(piece));
            printed += piece.length;
          }
        }
        if (printed === count) return;
        next = items.next();
      }
    } finally {
      await items.return?.(undefined);
    }
  });
}
