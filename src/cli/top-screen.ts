// What `ticktape top` shows, as text: no line wider than the terminal, no more lines than it has.
import { bold, cyan, dim, green, red, yellow } from 'deno-std/fmt/colors.js';
import type { CollectorPace, LanePace, Pace } from '../metrics/look.js';
import {
  duration,
  nanoseconds,
  perSecond,
  printable,
  short,
  shorten,
  size,
  UNKNOWN,
  whole,
  widthOf,
} from './figures.js';
import { type Cell, type Column, fitTable } from './table.js';
import { formatTimeNs } from './times.js';

export interface ScreenSize {
  columns: number;
  /** Infinity where all is to be shown. */
  rows: number;
}

/** The last ones. */
const GAPS_SHOWN = 5;
const BAR_COLUMNS = 10;

interface Section {
  columns: Column[];
  rows: Cell[][];
  /** Behind which there are more, and of what. */
  what: string;
}

/** The screen for what a recorder does. `hint`: for who sits before it. */
export function drawPace(pace: Pace, { columns, rows }: ScreenSize, hint = ''): string {
  const head = heading(pace, columns, hint);
  const sections = [collectorsOf(pace), lanesOf(pace), storageNodesOf(pace), gapsOf(pace)].filter(
    (section) => section.rows.length > 0,
  );
  return [...head, ...fitSections(sections, columns, rows - head.length)].slice(0, rows).join('\n');
}

/** The screen while there is nothing to show. */
export function drawWaiting(message: string, { columns }: ScreenSize, hint = ''): string {
  return [...title(dim('waiting'), 'waiting', columns, hint), '', ...wrap(message, columns)].join('\n');
}

function title(painted: string, plain: string, columns: number, hint: string): string[] {
  const name = 'ticktape top';
  const room = columns - widthOf(name) - 2;
  if (widthOf(plain) > room) return [shorten(`${name}  ${plain}`, columns)];
  const spare = room - widthOf(plain) - widthOf(hint);
  return [`${bold(name)}  ${painted}${spare >= 2 && hint !== '' ? ' '.repeat(spare) + dim(hint) : ''}`];
}

function heading(pace: Pace, columns: number, hint: string): string[] {
  const { answering, takenNs, startedNs, heartbeatNs, degraded, retention } = pace;
  const silentMs = Number(takenNs - heartbeatNs) / 1e6;
  const state = answering ? pace.state : `not answering for ${duration(silentMs)}`;
  const paint = !answering || pace.state === 'failed' ? red : pace.state === 'open' ? green : yellow;
  const up = `up ${duration(Number(takenNs - startedNs) / 1e6)}`;
  const about = [pace.schema, `tape ${pace.tapeId.slice(0, 8)}`, `session ${whole(pace.epoch)}`];
  const plain = `${state}, ${up}, ${about.join(', ')}`;
  const warnings: string[] = [];
  if (pace.drops > 0) warnings.push(`${whole(pace.drops)} records dropped`);
  if (degraded.blocks > 0) {
    warnings.push(`${whole(degraded.records)} records on fewer than ${pace.redundancy} storage nodes`);
  }
  const dropped = retention.segments > 0 ? `, ${size(retention.bytes)} let go by retention` : '';
  const ratio = pace.compressionRatio > 0 ? `${pace.compressionRatio.toFixed(2)} : 1` : UNKNOWN;
  return [
    ...title(`${paint(state)}, ${up}, ${dim(about.join(', '))}`, plain, columns, hint),
    ...entry('records', `${whole(pace.appended)}, ${perSecond(pace.appendedPerSecond)}`, columns, bold),
    ...entry(
      'stored',
      `${whole(pace.records)} in ${whole(pace.blocks)} blocks, ${size(pace.rawBytes)} as ${size(pace.storedBytes)}, ${ratio}${dropped}`,
      columns,
    ),
    ...(warnings.length > 0 ? entry('trouble', warnings.join('; '), columns, red) : []),
  ];
}

const LABEL_COLUMNS = 9;

function entry(label: string, text: string, columns: number, paint = (plain: string) => plain): string[] {
  const room = columns - 2 - LABEL_COLUMNS;
  return room < 4
    ? [shorten(`  ${text}`, columns)]
    : [`  ${dim(label.padEnd(LABEL_COLUMNS))}${paint(shorten(text, room))}`];
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = ' ';
  for (const word of printable(text).split(' ')) {
    if (line !== ' ' && widthOf(line) + 1 + widthOf(word) > columns) {
      lines.push(line);
      line = ' ';
    }
    line += ` ${word}`;
  }
  return [...lines, line].map((whole) => shorten(whole, columns));
}

/** As many rows of each as there is room for, each section in turn one more; what is left out is counted. */
function fitSections(sections: Section[], columns: number, rows: number): string[] {
  // A blank line, the titles, a row, and how many more there are.
  const least = sections.map((section) => 2 + Math.min(2, section.rows.length));
  let left = rows;
  let fitting = 0;
  while (fitting < sections.length && left >= least[fitting]) left -= least[fitting++];
  const shown = sections.slice(0, fitting);
  const granted = shown.map((_, i) => least[i] - 2);
  for (let grew = true; grew && left > 0; ) {
    grew = false;
    shown.forEach((section, i) => {
      if (left <= 0 || granted[i] >= section.rows.length) return;
      granted[i]++;
      left--;
      grew = true;
    });
  }
  const lines = shown.flatMap((section, i) => {
    const all = section.rows.length;
    const whole = granted[i] >= all ? all : granted[i] - 1;
    const table = fitTable(section.columns, section.rows, columns).slice(0, 1 + whole);
    return ['', ...table, ...(all > whole ? [more(section, all - whole, columns)] : [])];
  });
  const hidden = sections.slice(fitting);
  return [...lines, ...hidden.map((section) => more(section, section.rows.length, columns))];
}

const more = ({ what }: Section, count: number, columns: number) => dim(shorten(`  … ${count} more ${what}`, columns));

const cell = (text: string, paint?: (plain: string) => string): Cell => ({ text, paint });
/** A count of something that should not happen. */
const bad = (count: number, paint = red): Cell => cell(whole(count), count > 0 ? paint : undefined);

const COLLECTOR_PAINT: Partial<Record<CollectorPace['state'], typeof red>> = {
  running: green,
  starting: cyan,
  waiting: red,
};

function collectorsOf({ collectors, takenNs }: Pace): Section {
  return {
    what: 'collectors',
    columns: [
      { title: 'collector', rank: 0 },
      { title: 'state', rank: 2 },
      { title: 'events/s', right: true, rank: 0 },
      { title: 'messages', right: true, rank: 6 },
      { title: 'rejected', right: true, rank: 4 },
      { title: 'gaps', right: true, rank: 3 },
      { title: 'restarts', right: true, rank: 5 },
      { title: 'append p50', right: true, rank: 8 },
      { title: 'p99', right: true, rank: 7 },
      { title: 'p99.9', right: true, rank: 9 },
      { title: 'last message', right: true, rank: 1 },
    ],
    rows: collectors.map((collector) => {
      const { name, state, appendNs, lastNs } = collector;
      const sinceMs = lastNs === null ? null : Math.max(0, (Number(takenNs) - lastNs) / 1e6);
      return [
        cell(printable(name) || `#${collector.collector}`, bold),
        cell(state, COLLECTOR_PAINT[state]),
        cell(short(collector.eventsPerSecond)),
        cell(short(collector.messages)),
        bad(collector.rejected, yellow),
        bad(collector.gaps, yellow),
        bad(collector.restarts, yellow),
        cell(nanoseconds(appendNs?.p50 ?? null)),
        cell(nanoseconds(appendNs?.p99 ?? null)),
        cell(nanoseconds(appendNs?.p999 ?? null)),
        cell(sinceMs === null ? UNKNOWN : `${duration(sinceMs)} ago`),
      ];
    }),
  };
}

function lanesOf({ lanes }: Pace): Section {
  return {
    what: 'lanes',
    columns: [
      { title: 'lane', rank: 0 },
      { title: 'records', right: true, rank: 3 },
      { title: 'records/s', right: true, rank: 0 },
      { title: 'backlog', rank: 1 },
      { title: 'dropped', right: true, rank: 2 },
    ],
    rows: lanes.map(({ lane, records, recordsPerSecond, backlog, drops }) => [
      cell(String(lane)),
      cell(whole(records)),
      cell(short(recordsPerSecond)),
      backlogBar(backlog),
      bad(drops),
    ]),
  };
}

function backlogBar(backlog: LanePace['backlog']): Cell {
  const share = backlog >= 0 && backlog <= 1 ? backlog : 0;
  const full = Math.round(share * BAR_COLUMNS);
  const text = `${'█'.repeat(full)}${'░'.repeat(BAR_COLUMNS - full)} ${String(Math.round(share * 100)).padStart(3)} %`;
  return cell(text, share >= 0.9 ? red : share >= 0.5 ? yellow : undefined);
}

function storageNodesOf({ storageNodes }: Pace): Section {
  return {
    what: 'storage nodes',
    columns: [
      { title: 'storage node', rank: 0, keepEnd: true },
      { title: 'state', rank: 1 },
      { title: 'blocks', right: true, rank: 5 },
      { title: 'stored', right: true, rank: 4 },
      { title: 'written/s', right: true, rank: 2 },
      { title: 'errors', right: true, rank: 3 },
      { title: 'a block takes', right: true, rank: 6 },
      { title: 'at most', right: true, rank: 7 },
    ],
    rows: storageNodes.map((node) => [
      cell(printable(node.path)),
      cell(node.state, node.state === 'healthy' ? green : red),
      cell(whole(node.blocks)),
      cell(size(node.bytes)),
      cell(size(node.bytesPerSecond)),
      bad(node.errors),
      cell(milliseconds(node.writeMs)),
      cell(milliseconds(node.slowestWriteMs)),
    ]),
  };
}

const milliseconds = (ms: number) => (ms > 0 ? nanoseconds(ms * 1e6) : UNKNOWN);

function gapsOf({ gaps }: Pace): Section {
  return {
    what: 'gaps',
    columns: [
      { title: 'gap from', rank: 3 },
      { title: 'for', right: true, rank: 1 },
      { title: 'collector', rank: 2 },
      { title: 'reason', rank: 0 },
    ],
    rows: gaps
      .slice(-GAPS_SHOWN)
      .reverse()
      .map(({ collector, name, fromNs, toNs, reason }) => [
        cell(formatTimeNs(fromNs - (fromNs % 1_000_000_000n))),
        cell(toNs === null ? 'open' : duration(Number(toNs - fromNs) / 1e6), toNs === null ? yellow : undefined),
        cell(collector === null ? 'all' : printable(name)),
        cell(printable(reason)),
      ]),
  };
}
