import process from 'node:process';
import { bold, dim, green, red, setColorEnabled, yellow } from 'deno-std/fmt/colors.js';
import { runtime } from 'ticktape/runtime';
import { lengthOf } from '../ranges.js';
import { abortable } from './abortable.js';
import { CommandLine, describeOptions, type OptionSpec } from './command-line.js';
import { duration, printable, size, UNKNOWN, whole } from './figures.js';
import { Progress } from './progress.js';
import { count, row } from './rows.js';
import { type Cell, fitTable } from './table.js';
import { type Inventory, takeInventory } from './tape-inventory.js';
import { readTapeArguments, TAPE_OPTIONS } from './tape-options.js';
import { formatTimeNs } from './times.js';

export const OPTIONS: OptionSpec[] = [
  ...TAPE_OPTIONS,
  { name: 'symbols', value: 'N', help: 'how many symbols to name, the most frequent first (default 10)' },
  { name: 'json', help: 'print one JSON object instead of the report' },
];

export const OPERANDS = 'directory' as const;

const HELP = `Usage: ticktape info [OPTION...] [DIR...]

Says what a tape holds: its schema, times, sequences, symbols and sizes, how each column is coded, where the copies are,
its gaps, and whether a writer is at work. Changes nothing, and may run while the tape is written.

${describeOptions(OPTIONS)}

  ticktape info ./tape/d0 ./tape/d1 ./tape/d2
  ticktape info --storage ./tape/d0,./tape/d1,./tape/d2 --json

It reads headers, and of up to 20 million records the symbols, to count them. ticktape verify reads everything.
`;

/** How many of a kind the report names. */
const NAMED = 10;

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(args, OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const tape = readTapeArguments(commandLine);
  const symbols = commandLine.whole('symbols', 0, 10_000_000, NAMED);
  const progress = new Progress();
  let stage = '';
  const inventory = await abortable((signal) =>
    takeInventory(runtime, {
      ...tape,
      signal,
      onProgress(at, done, total) {
        if (at !== stage) progress.begin(at);
        stage = at;
        progress.update(done, total);
      },
    }),
  ).finally(() => progress.end());
  if (commandLine.flag('json')) process.stdout.write(`${jsonOf(inventory, symbols)}\n`);
  else {
    setColorEnabled(!process.env.NO_COLOR && process.stdout.isTTY === true);
    process.stdout.write(report(inventory, symbols, process.stdout.isTTY ? process.stdout.columns : Infinity));
  }
  return 0;
}

/** Sequences as texts, as a number of JSON may not hold them; moments as ISO texts. */
function jsonOf(
  { session, schema, leastNs, greatestNs, gaps, symbols, ...inventory }: Inventory,
  named: number,
): string {
  const time = (ns: bigint | null) => (ns === null ? null : formatTimeNs(ns));
  return JSON.stringify(
    {
      ...inventory,
      compressionRatio: ratio(inventory),
      schema: {
        name: schema.name,
        fields: schema.fields.map(({ name, kind, scale, optional = false }) => ({ name, kind, scale, optional })),
      },
      writer: session && {
        answering: session.answering,
        state: session.state,
        started: formatTimeNs(session.startedNs),
        heartbeat: formatTimeNs(session.heartbeatNs),
        records: session.records,
        recordsInLanes: inLanes(session),
      },
      from: time(leastNs),
      to: time(greatestNs),
      symbols: symbols.length,
      frequentSymbols: symbols.slice(0, named),
      gaps: gaps.map(({ fromNs, toNs, ...gap }) => ({ ...gap, from: time(fromNs), to: time(toNs) })),
    },
    (_, member) => (typeof member === 'bigint' ? String(member) : member),
  );
}

/** Appended in the session and not yet in a block. */
const inLanes = ({ lanes, records }: NonNullable<Inventory['session']>): number =>
  Math.max(0, lanes.reduce((sum, lane) => sum + Number(lane.records), 0) - records);

const ratio = ({ rawBytes, storedBytes }: { rawBytes: number; storedBytes: number }): number =>
  storedBytes === 0 ? 0 : rawBytes / storedBytes;

const ratioText = (sizes: { rawBytes: number; storedBytes: number }) =>
  sizes.storedBytes === 0 ? UNKNOWN : `${ratio(sizes).toFixed(2)} : 1`;

function report(inventory: Inventory, named: number, columns: number): string {
  const { schema, records, blocks, segments, leastNs, greatestNs, redundancy, underReplicated, gaps } = inventory;
  const section = (lines: string[]) => (lines.length > 1 ? ['', ...lines] : []);
  return [
    '',
    `${bold('ticktape info')} ${dim(`on ${runtime.name}, ${count(inventory.storageNodes.length)} storage nodes`)}`,
    '',
    row('tape', inventory.tapeId, inventory.epoch === null ? '' : `opened for writing ${times(inventory.epoch)}`),
    row('schema', schema.name, `${count(schema.fields.length)} fields`, bold),
    writerRow(inventory),
    row('records', count(records), `in ${count(blocks)} blocks, ${count(segments)} segments`, bold),
    ...(leastNs === null || greatestNs === null
      ? []
      : [
          row('from', formatTimeNs(leastNs)),
          row('to', formatTimeNs(greatestNs), duration(Number(greatestNs - leastNs) / 1e6)),
        ]),
    sequencesRow(inventory),
    row(
      'size',
      `${size(inventory.rawBytes)} as rows`,
      `${size(inventory.storedBytes)} as blocks, one copy of each; ${ratioText(inventory)}`,
    ),
    row(
      'copies',
      redundancy === null ? 'not told by the tape' : `${redundancy} of each`,
      `${count(underReplicated)} blocks have fewer`,
      underReplicated > 0 ? yellow : undefined,
    ),
    ...troubles(inventory).map((text, i) => row(i === 0 ? 'trouble' : '', text, '', red)),
    ...section(storageTable(inventory, columns)),
    ...section(columnTable(inventory, columns)),
    ...symbolRows(inventory, named, columns),
    ...section(gapTable(gaps, columns)),
    '',
    '',
  ].join('\n');
}

const times = (epoch: number) => (epoch === 1 ? 'once' : `${count(epoch)} times`);

function writerRow({ session }: Inventory): string {
  if (session === null) return row('writer', 'none at work');
  const since = `since ${formatTimeNs(session.startedNs)}`;
  const waiting = `${count(inLanes(session))} records not yet in blocks`;
  if (session.answering) return row('writer', 'at work', `${since}; ${waiting}`, green);
  return row(
    'writer',
    'not answering',
    `last seen ${formatTimeNs(session.heartbeatNs)}; ${waiting}, the next to open the tape recovers them`,
    red,
  );
}

function sequencesRow({ firstSequence, nextSequence, skipped, missing }: Inventory): string {
  const range = nextSequence === firstSequence ? 'none' : `${firstSequence} to ${nextSequence - 1n}`;
  const remarks = [`${count(lengthOf(missing))} missing`];
  if (skipped.length > 0) remarks.push(`${count(lengthOf(skipped))} skipped`);
  if (firstSequence > 0n) remarks.push('those before them went by retention');
  return row('sequences', range, remarks.join(', '), missing.length > 0 ? red : undefined);
}

function troubles({ missingStorageNodes, damagedSegments, unreadableBlocks, missing }: Inventory): string[] {
  const found = [
    ...missingStorageNodes.map((node) => `${printable(node)}: of this tape, and not among the directories given`),
    ...missing.map(({ from, to }) => `sequences ${from} to ${to - 1n} are on none of the storage nodes`),
    ...(unreadableBlocks > 0 ? [`${count(unreadableBlocks)} blocks whose headers can't be read`] : []),
    ...damagedSegments.map(({ path, reason }) => `${printable(path)}: ${printable(reason)}`),
  ];
  const named = found.slice(0, NAMED);
  if (found.length > NAMED) named.push(`and ${count(found.length - NAMED)} more: see ticktape verify`);
  return named;
}

const cell = (text: string, paint?: Cell['paint']): Cell => ({ text, paint });

function storageTable({ storageNodes }: Inventory, columns: number): string[] {
  return fitTable(
    [
      { title: 'storage node', rank: 0, keepEnd: true },
      { title: 'blocks', right: true, rank: 0 },
      { title: 'bytes', right: true, rank: 1 },
      { title: 'segments', right: true, rank: 2 },
    ],
    storageNodes.map(({ path, blocks, bytes, segments }) => [
      cell(printable(path)),
      cell(whole(blocks)),
      cell(size(bytes)),
      cell(whole(segments)),
    ]),
    columns,
  );
}

function columnTable({ columns: found, blocks }: Inventory, columns: number): string[] {
  return fitTable(
    [
      { title: 'column', rank: 0 },
      { title: 'kind', rank: 4 },
      { title: 'as rows', right: true, rank: 3 },
      { title: 'stored', right: true, rank: 2 },
      { title: 'ratio', right: true, rank: 0 },
      { title: 'stored as', rank: 5 },
      { title: 'newest plan', rank: 6 },
    ],
    found.map((column) => [
      cell(column.name, bold),
      cell(`${column.optional ? 'optional ' : ''}${column.kind}`),
      cell(size(column.rawBytes)),
      cell(size(column.storedBytes)),
      cell(ratioText(column)),
      cell(encodingsText(column.encodings, blocks)),
      cell(column.newestPlan ?? ''),
    ]),
    columns,
  );
}

function encodingsText(encodings: Record<string, number>, blocks: number): string {
  const used = Object.entries(encodings).sort(([, a], [, b]) => b - a);
  if (used.length === 1) return used[0][0];
  return used.map(([name, times]) => `${name} ${Math.round((100 * times) / blocks)} %`).join(', ');
}

function symbolRows({ symbols, uncounted }: Inventory, named: number, columns: number): string[] {
  if (symbols.length === 0) return [];
  const shown = symbols.slice(0, named);
  const more = symbols.length - shown.length;
  const table = fitTable(
    [
      { title: `${count(symbols.length)} ${symbols.length === 1 ? 'symbol' : 'symbols'}`, rank: 0 },
      { title: 'records', right: true, rank: 0 },
      { title: 'in blocks', right: true, rank: 1 },
    ],
    shown.map(({ name, records, blocks }) => [cell(printable(name)), cell(whole(records)), cell(whole(blocks))]),
    columns,
  );
  return [
    '',
    ...table,
    ...(more > 0 ? [dim(`  … ${count(more)} more`)] : []),
    ...(uncounted === null ? [] : [dim(`  not counted: ${printable(uncounted)}`)]),
  ];
}

function gapTable(gaps: Inventory['gaps'], columns: number): string[] {
  const table = fitTable(
    [
      { title: `${count(gaps.length)} ${gaps.length === 1 ? 'gap' : 'gaps'}, from`, rank: 0 },
      { title: 'for', right: true, rank: 1 },
      { title: 'collector', rank: 2 },
      { title: 'reason', rank: 3 },
    ],
    gaps
      .slice(-NAMED)
      .map(({ fromNs, toNs, collector, name, reason }) => [
        cell(formatTimeNs(fromNs)),
        cell(toNs === null ? UNKNOWN : duration(Number(toNs - fromNs) / 1e6)),
        cell(collector === null ? 'all' : printable(name)),
        cell(printable(reason)),
      ]),
    columns,
  );
  return gaps.length > NAMED ? [...table, dim(`  the last ${NAMED} of them`)] : table;
}
