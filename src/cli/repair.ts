import process from 'node:process';
import { bold, dim, green, red, setColorEnabled } from 'deno-std/fmt/colors.js';
import { runtime } from 'ticktape/runtime';
import { lengthOf } from '../ranges.js';
import { repairTape } from '../repair.js';
import type { RepairCounts } from '../storage/scrub/repair.js';
import type { RepairResult } from '../storage/scrub/repair-tape.js';
import { abortable } from './abortable.js';
import { CommandLine, describeOptions, type OptionSpec } from './command-line.js';
import { Interrupted } from './interrupt.js';
import { Progress } from './progress.js';
import { bytes, count, mark, row, seconds } from './rows.js';
import { readTapeArguments, TAPE_OPTIONS } from './tape-options.js';
import { json } from './verify.js';

export const OPTIONS: OptionSpec[] = [
  ...TAPE_OPTIONS,
  {
    name: 'retire',
    value: 'DIR',
    list: true,
    help: 'one of the storage nodes: moves its blocks to others and takes it out of the tape',
  },
  {
    name: 'lost',
    value: 'DIR',
    list: true,
    help: 'a storage node of the tape, by its last path or its id, that is lost for good',
  },
  { name: 'dry-run', help: 'say what would be done, and do nothing' },
  { name: 'json', help: 'print one JSON object instead of the report' },
];

export const OPERANDS = 'directory' as const;

const HELP = `Usage: ticktape repair [OPTION...] [DIR...]

Checks every copy of every block and restores all copies from good ones: bad ones are written over, missing ones made
anew on other storage nodes, those that are bad or too many removed. No block ever has fewer good copies than before.
May run while the tape is written, but for --retire and --lost. What Ctrl-C stopped, another run goes on with.

${describeOptions(OPTIONS)}

  ticktape repair ./tape/d0 ./tape/d1 ./tape/d2
  ticktape repair ./tape/d0 ./tape/d1 ./tape/d2 ./tape/d3 --retire ./tape/d1
  ticktape repair ./tape/d0 ./tape/new ./tape/d2 --lost ./tape/d1
  ticktape repair --storage ./tape/d0,./tape/d1 --dry-run --json

Exit status 1 when not everything could be restored.
`;

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(args, OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const dryRun = commandLine.flag('dry-run');
  const options = {
    ...readTapeArguments(commandLine),
    retire: commandLine.list('retire'),
    lostStorageNodes: commandLine.list('lost'),
    dryRun,
  };
  const startedMs = performance.now();
  const progress = new Progress();
  let stage = '';
  let sofar: Readonly<RepairCounts> | null = null;
  let result: RepairResult;
  try {
    result = await abortable((signal) =>
      repairTape({
        ...options,
        signal,
        onProgress(at) {
          if (at.stage !== stage) progress.begin(at.stage);
          stage = at.stage;
          sofar = at.counts;
          progress.update(at.done, at.total);
        },
      }),
    );
  } catch (error) {
    progress.end();
    if (error instanceof Interrupted && sofar !== null) error.message += `; ${soFar(sofar)}`;
    throw error;
  }
  progress.end();
  const elapsed = (performance.now() - startedMs) / 1000;
  if (commandLine.flag('json')) process.stdout.write(`${json({ dryRun, ...result, seconds: elapsed })}\n`);
  else {
    setColorEnabled(!process.env.NO_COLOR && process.stdout.isTTY === true);
    process.stdout.write(report(result, dryRun, elapsed));
  }
  const wrong = faults(result, options.retire.length);
  if (wrong.length > 0) process.stderr.write(`ticktape: ${wrong.join('; ')}\n`);
  return wrong.length > 0 ? 1 : 0;
}

const soFar = ({ copiesMade, mendedInPlace, dropped }: RepairCounts) =>
  `so far ${count(mendedInPlace)} copies were mended, ${count(copiesMade)} made and ${count(dropped)} dropped`;

/** What could not be restored, if anything. */
function faults(result: RepairResult, retiring: number): string[] {
  const { stillUnderReplicated, lost, left, damagedSegments, missing, retired, troubles } = result;
  const wrong: string[] = [];
  if (lost > 0) wrong.push(`${count(lost)} blocks have no good copy and were left where they are`);
  if (stillUnderReplicated > lost) wrong.push(`${count(stillUnderReplicated - lost)} blocks still have too few copies`);
  if (missing.length > 0) wrong.push(`${count(lengthOf(missing))} records are on none of the storage nodes`);
  if (damagedSegments.length > 0) wrong.push(`${damagedSegments.join(', ')}: damaged, and left as they are`);
  if (left > 0) wrong.push(`${count(left)} copies that are bad or too many were left`);
  if (retired.length < retiring) wrong.push('not all storage nodes that were to retire could be emptied');
  if (troubles.length > 0) wrong.push(troubles[0].message);
  return wrong;
}

function report(result: RepairResult, dryRun: boolean, elapsed: number): string {
  const { blocks, redundancy, copiesMade, mendedInPlace, bytesWritten, segmentsRewritten, dropped, retired } = result;
  const well = result.stillUnderReplicated === 0;
  return [
    '',
    `${bold('ticktape repair')} ${dim(`on ${runtime.name}${dryRun ? ': what would be done' : ''}`)}`,
    '',
    row('blocks', count(blocks), `checked${dryRun ? '' : ' and repaired'} in ${seconds(elapsed)}`, bold),
    row('mended', `${count(mendedInPlace)} copies`, 'where they lie'),
    row('made', `${count(copiesMade)} copies`, `${bytes(bytesWritten)} written in all`),
    row('dropped', `${count(dropped)} copies`, `${count(segmentsRewritten)} segments written anew or removed`),
    row(
      'redundancy',
      mark(well, `${redundancy} of each`),
      `${count(result.stillUnderReplicated)} blocks have fewer, ${count(result.lost)} of them no good copy`,
      well ? green : red,
    ),
    ...retired.map((directory) => row('retired', directory)),
    ...result.troubles.map(({ message }) => row('trouble', message, '', red)),
    '',
    '',
  ].join('\n');
}
