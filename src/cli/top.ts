import process from 'node:process';
import { setColorEnabled } from 'deno-std/fmt/colors.js';
import { runtime } from 'ticktape/runtime';
import { TapeError } from '../errors.js';
import { type Look, type Pace, paceOf, takeLook } from '../metrics/look.js';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from './command-line.js';
import { duration } from './figures.js';
import { Interrupt } from './interrupt.js';
import { TAPE_OPTIONS } from './tape-options.js';
import { Terminal } from './terminal.js';
import { formatTimeNs, parseDurationMs } from './times.js';
import { drawPace, drawWaiting } from './top-screen.js';

export const OPTIONS: OptionSpec[] = [
  ...TAPE_OPTIONS.filter(({ name }) => name === 'storage' || name === 'journal'),
  { name: 'interval', value: 'TIME', help: 'between two looks, 100ms to 1h (default 1s)' },
  { name: 'once', help: 'print one look and end' },
  { name: 'json', help: 'print a JSON object a look, one a line' },
];

export const OPERANDS = 'directory' as const;

const HELP = `Usage: ticktape top [OPTION...] [DIR...]

Shows what the recorder of a tape does, from the outside: its rates, collectors, lanes, storage nodes and last gaps. It
reads files that the recorder keeps anyway, and may be started, stopped and started again at any time. DIR is one of the
storage directories, or all of them. q or Ctrl-C ends it.

${describeOptions(OPTIONS)}

  ticktape top ./tape/d0
  ticktape top --once ./tape/d0 | less
  ticktape top --json --interval 10s --journal ./journal

Rates are of the time between two looks; --once takes two. Times of appends are of a sample of them. Where no recorder is
at work it waits for one; with --once the exit status is 1.
`;

interface TopOptions {
  storage: string[];
  journal: string | undefined;
  intervalMs: number;
}

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(args, OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const options = readOptions(commandLine);
  const isTerminal = process.stdout.isTTY === true;
  setColorEnabled(!process.env.NO_COLOR && isTerminal);
  const json = commandLine.flag('json');
  if (commandLine.flag('once') || (!isTerminal && !json)) return once(options, json);
  return json ? stream(options) : watch(options);
}

function readOptions(commandLine: CommandLine): TopOptions {
  const storage = [...commandLine.list('storage'), ...commandLine.operands];
  const journal = commandLine.text('journal');
  if (storage.length === 0 && journal === undefined) {
    throw new UsageError('which tape? Give one of its storage directories, or --journal');
  }
  const intervalMs = parseDurationMs(commandLine.text('interval') ?? '1s');
  if (intervalMs < 100 || intervalMs > 3_600_000) throw new UsageError('--interval is a time from 100ms to 1h');
  return { storage, journal, intervalMs };
}

const look = ({ storage, journal }: TopOptions): Look =>
  takeLook(runtime.files, storage, journal, () => runtime.nowNs());

const where = ({ storage, journal }: TopOptions) => (storage.length > 0 ? storage.join(', ') : journal);

const nobody = (options: TopOptions) => `no recorder is at work on ${where(options)}`;

async function once(options: TopOptions, json: boolean): Promise<number> {
  const before = look(options);
  if (before.session !== null) await pause(options);
  const now = look(options);
  const pace = paceOf(before, now);
  if (pace === null) throw new TapeError('NOT_FOUND', nobody(options));
  if (!pace.answering) {
    const silent = duration(Number(pace.takenNs - pace.heartbeatNs) / 1e6);
    throw new TapeError(
      'NOT_FOUND',
      `${nobody(options)}: the last one has not answered for ${silent}; what it left in its lanes, the next to open the tape recovers`,
    );
  }
  const columns = process.stdout.isTTY ? process.stdout.columns : Infinity;
  process.stdout.write(`${json ? jsonOf(pace) : drawPace(pace, { columns, rows: Infinity })}\n`);
  return 0;
}

async function pause({ intervalMs }: TopOptions): Promise<void> {
  const interrupt = new Interrupt(() => {});
  try {
    await interrupt.race(runtime.sleep(intervalMs));
  } finally {
    interrupt.dispose();
  }
}

/** A line a look, until it is stopped. */
async function stream(options: TopOptions): Promise<number> {
  let before: Look | null = null;
  for (;;) {
    const now = look(options);
    const pace = paceOf(before, now);
    process.stdout.write(
      `${pace === null ? JSON.stringify({ time: formatTimeNs(now.takenNs), answering: false }) : jsonOf(pace)}\n`,
    );
    before = now;
    await pause(options);
  }
}

async function watch(options: TopOptions): Promise<number> {
  // Before the screen changes: a wrong directory is an error as in any command.
  let [before, now]: [Look | null, Look] = [null, look(options)];
  let trouble: string | null = null;
  const terminal = new Terminal();
  const interrupt = new Interrupt(() => terminal.leave());
  try {
    terminal.enter();
    for (;;) {
      terminal.draw(screen(options, paceOf(before, now), trouble, terminal));
      const news = await interrupt.race(terminal.wait(options.intervalMs));
      if (news === 'quit') return 0;
      if (news === 'size') continue;
      try {
        [before, now] = [now, look(options)];
        trouble = null;
      } catch (error) {
        if (!(error instanceof TapeError)) throw error;
        trouble = error.message;
      }
    }
  } finally {
    terminal.leave();
    interrupt.dispose();
  }
}

function screen(options: TopOptions, pace: Pace | null, trouble: string | null, { size }: Terminal): string {
  const hint = 'q quits';
  if (trouble !== null) return drawWaiting(trouble, size, hint);
  if (pace === null) return drawWaiting(`${nobody(options)}; waiting for one`, size, hint);
  return drawPace(pace, size, hint);
}

/** Moments as ISO texts. */
function jsonOf({ takenNs, startedNs, heartbeatNs, retention, gaps, collectors, ...pace }: Pace): string {
  return JSON.stringify({
    time: formatTimeNs(takenNs),
    ...pace,
    started: formatTimeNs(startedNs),
    heartbeat: formatTimeNs(heartbeatNs),
    retention: { ...retention, firstSequence: String(retention.firstSequence) },
    collectors: collectors.map(({ lastNs, ...collector }) => ({
      ...collector,
      lastMessage: lastNs === null ? null : formatTimeNs(BigInt(Math.round(lastNs))),
    })),
    gaps: gaps.map(({ fromNs, toNs, ...gap }) => ({
      ...gap,
      from: formatTimeNs(fromNs),
      to: toNs === null ? null : formatTimeNs(toNs),
    })),
  });
}
