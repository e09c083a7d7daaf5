import process from 'node:process';
import { bold, dim, green, red, setColorEnabled } from 'deno-std/fmt/colors.js';
import { runtime } from 'ticktape/runtime';
import { openTape, readSchema } from '../open.js';
import { lengthOf } from '../ranges.js';
import type { Verdict } from '../storage/scrub/verify.js';
import { abortable } from './abortable.js';
import { CommandLine, describeOptions, type OptionSpec } from './command-line.js';
import { Progress } from './progress.js';
import { bytes, count, mark, row, seconds } from './rows.js';
import { readTapeArguments, TAPE_OPTIONS, type TapeArguments } from './tape-options.js';

export const OPTIONS: OptionSpec[] = [
  ...TAPE_OPTIONS,
  { name: 'json', help: 'print one JSON object instead of the report' },
];

export const OPERANDS = 'directory' as const;

const HELP = `Usage: ticktape verify [OPTION...] [DIR...]

Reads every copy of every block, checks it against its checksums, decodes every column, and counts the copies. Changes
nothing, and may run while the tape is written.

${describeOptions(OPTIONS)}

  ticktape verify ./tape/d0 ./tape/d1 ./tape/d2
  ticktape verify --storage ./tape/d0,./tape/d1,./tape/d2 --redundancy 2 --json

Exit status 1 when a copy or a segment is damaged, a block has too few copies, or sequences or storage nodes are missing;
ticktape repair is for that.
`;

/** How many damaged copies and segments the report names. */
const NAMED = 20;

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(args, OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const tape = readTapeArguments(commandLine);
  const startedMs = performance.now();
  const verdict = await abortable((signal) => verify(tape, signal));
  const elapsed = (performance.now() - startedMs) / 1000;
  if (commandLine.flag('json')) process.stdout.write(`${json({ ...verdict, seconds: elapsed })}\n`);
  else {
    setColorEnabled(!process.env.NO_COLOR && process.stdout.isTTY === true);
    process.stdout.write(report(verdict, tape, elapsed));
  }
  const wrong = faults(verdict);
  if (wrong.length > 0) process.stderr.write(`ticktape: ${wrong.join('; ')}\n`);
  return wrong.length > 0 ? 1 : 0;
}

async function verify({ storage, journal, redundancy }: TapeArguments, signal: AbortSignal): Promise<Verdict> {
  const reader = await openTape(readSchema(storage), { storage, journal, readOnly: true });
  const progress = new Progress();
  progress.begin('verify');
  try {
    return await reader.verify({ redundancy, signal, onProgress: (done, total) => progress.update(done, total) });
  } finally {
    progress.end();
    await reader.close();
  }
}

/** Sequences as texts: a number of JSON may not hold them. */
export const json = (value: unknown): string =>
  JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? String(member) : member));

/** What is wrong, if anything. */
function faults(verdict: Verdict): string[] {
  const { damaged, damagedSegments, missing, underReplicated, lost, missingStorageNodes } = verdict;
  const wrong: string[] = [];
  if (missingStorageNodes.length > 0)
    wrong.push(`${missingStorageNodes.join(', ')}: not looked at, though of this tape`);
  if (damaged.length > 0) wrong.push(`${count(damaged.length)} damaged copies`);
  if (damagedSegments.length > 0) wrong.push(`${count(damagedSegments.length)} damaged segments`);
  if (underReplicated > 0) wrong.push(`${count(underReplicated)} blocks with too few copies`);
  if (lost > 0) wrong.push(`${count(lost)} of them without any that is good`);
  if (missing.length > 0) wrong.push(`${count(lengthOf(missing))} records are missing`);
  return wrong;
}

function report(verdict: Verdict, { storage }: TapeArguments, elapsed: number): string {
  const { blocks, copies, damaged, damagedSegments, missing, underReplicated, surplus, redundancy } = verdict;
  const check = (label: string, good: boolean, text: string, remark = '') =>
    row(label, mark(good, text), remark, good ? green : red);
  const places = [
    ...damagedSegments.map(({ path, reason }) => `${path}: ${reason}`),
    ...damaged.map(({ block, path, offset, reason }) => `${path} at ${offset}, block ${block}: ${reason}`),
  ];
  const named = places.slice(0, NAMED).map((line) => dim(`    ${line}`));
  if (places.length > NAMED) named.push(dim(`    and ${count(places.length - NAMED)} more`));
  return [
    '',
    `${bold('ticktape verify')} ${dim(`on ${runtime.name}, ${count(storage.length)} storage nodes`)}`,
    '',
    row('blocks', count(blocks), `${bytes(verdict.bytes)} read and decoded in ${seconds(elapsed)}`, bold),
    check(
      'copies',
      damaged.length === 0,
      `${count(copies)} good`,
      `${count(damaged.length)} damaged, ${count(surplus)} too many`,
    ),
    redundancy === null
      ? row('redundancy', 'not told by the tape', 'give --redundancy to have copies counted')
      : check(
          'redundancy',
          underReplicated === 0,
          `${redundancy} of each`,
          `${count(underReplicated)} blocks have fewer`,
        ),
    check('segments', damagedSegments.length === 0, `${count(damagedSegments.length)} damaged`),
    check('sequences', missing.length === 0, `${count(lengthOf(missing))} missing`),
    ...named,
    '',
    '',
  ].join('\n');
}
