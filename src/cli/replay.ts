import process from 'node:process';
import { Gap } from '../gaps.js';
import type { Speed } from '../read/pace.js';
import type { TapeReader } from '../read/tape-reader.js';
import type { Fields } from '../schema.js';
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
import { type Address, ReplayServer } from './replay-server.js';
import { rowWriter } from './row-writer.js';

export const OPTIONS: OptionSpec[] = [
  ...RECORD_OPTIONS,
  { name: 'speed', value: 'FACTOR', help: '1: as recorded (the default), 10: ten times as fast, 0.5, …, or max' },
  {
    name: 'listen',
    value: 'HOST:PORT',
    help: 'to WebSocket clients rather than to stdout: each record a text frame of\nJSON; port 0: any that is free',
  },
];

const HELP = `Usage: ticktape replay [OPTION...] [DIR...]

Gives out the records of a tape by time, each at the distance from the first one at which it was recorded.

${describeOptions(OPTIONS)}

  ticktape replay ./tape/d0 ./tape/d1 --from 2024-08-08T09:30 --to 2024-08-08T10:00 --speed 10
  ticktape replay ./tape/d0 ./tape/d1 --symbol BTCUSDT --listen 127.0.0.1:9000

With --listen the replay starts when the first client connects; others join it as it is. A client that takes records too slowly is
disconnected, with the reason (close code 1013). At the end all get close code 1000.
`;

interface ReplayArguments extends RecordArguments {
  speed: Speed;
  listen: Address | null;
}

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(joinTimes(args), OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const listen = commandLine.text('listen');
  const replayed = {
    ...readRecordArguments(commandLine),
    speed: parseSpeed(commandLine.text('speed') ?? '1'),
    listen: listen === undefined ? null : parseAddress(listen),
  };
  await abortable((signal) =>
    withTape(replayed.tape, (reader) => (replayed.listen === null ? print : serve)(reader, replayed, signal)),
  );
  return 0;
}

/** @throws UsageError */
function parseSpeed(text: string): Speed {
  if (text === 'max') return 'max';
  const factor = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (factor > 0) return factor;
  throw new UsageError(`--speed is a number above 0, or max, not ${JSON.stringify(text)}`);
}

/** @throws UsageError */
function parseAddress(text: string): Address {
  const parts = /^(?:(\[[0-9A-Fa-f:.]+\]|[^:[\]]+):)?(\d{1,5})$/.exec(text);
  const port = Number(parts?.[2]);
  if (parts === null || port > 65_535) {
    throw new UsageError(`--listen takes HOST:PORT, as in 127.0.0.1:9000 or [::1]:9000, not ${JSON.stringify(text)}`);
  }
  return { host: (parts[1] ?? '127.0.0.1').replace(/^\[|\]$/g, ''), port };
}

async function print(
  reader: TapeReader<Fields>,
  { format, ...asked }: ReplayArguments,
  signal: AbortSignal,
): Promise<void> {
  const writer = rowWriter(reader.schema, asked.columns, format);
  const output = new Output(signal);
  // On one terminal it would be written over.
  const progress = process.stdout.isTTY === true ? null : new Progress();
  progress?.begin('replay');
  let printed = 0;
  try {
    await output.write(writer.head());
    for await (const item of reader.replay({ ...asked, signal })) {
      if (item instanceof Gap) {
        await output.write(writer.gap(item));
        continue;
      }
      for (const piece of piecesOf(item)) {
        await output.write(writer.batch(piece));
        printed += piece.length;
        progress?.update(printed);
      }
    }
  } finally {
    progress?.end();
  }
}

async function serve(reader: TapeReader<Fields>, asked: ReplayArguments, signal: AbortSignal): Promise<void> {
  const writer = rowWriter(reader.schema, asked.columns, 'ndjson');
  const replay = reader.replay({ ...asked, signal });
  const server = await ReplayServer.start(asked.listen!, signal);
  const progress = new Progress();
  let sent = 0;
  try {
    process.stderr.write(`listening on ${server.url}; the replay starts when a client connects\n`);
    await server.firstClient();
    progress.begin('replay');
    for await (const item of replay) {
      if (item instanceof Gap) {
        await server.send(writer.gap(item));
        continue;
      }
      for (const piece of piecesOf(item)) {
        await server.send(writer.batch(piece));
        sent += piece.length;
        progress.update(sent);
      }
    }
    await server.end();
  } catch (error) {
    await server.stop();
    throw error;
  } finally {
    progress.end();
  }
}
