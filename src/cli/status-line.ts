import process from 'node:process';
import { dim, red, yellow } from 'deno-std/fmt/colors.js';
import { backlogOf } from '../metrics/read-session.js';
import type { SessionFigures } from '../stats.js';
import { count } from './rows.js';

const REDRAW_MS = 250;

/** What a recorder does just now, on a line. `recordsBefore`: appended `seconds` ago. */
export function statusOf(figures: SessionFigures, recordsBefore: number, seconds: number): string {
  const { collectors, storageNodes, lanes } = figures;
  const records = appendedOf(figures);
  const sum = (of: (collector: (typeof collectors)[number]) => number) =>
    collectors.reduce((total, collector) => total + of(collector), 0);
  const backlog = Math.max(0, ...lanes.map(backlogOf));
  const healthy = storageNodes.filter(({ state }) => state === 'healthy').length;
  const receiving = sum(({ state, messages }) => (messages > 0 && state !== 'waiting' ? 1 : 0));
  const parts = [
    `${count(seconds > 0 ? (records - recordsBefore) / seconds : 0)} events/s`,
    `${count(records)} records`,
    mark(backlog >= 0.5, `backlog ${Math.round(100 * backlog)} %`),
    mark(receiving < collectors.length, `${receiving}/${collectors.length} collectors receiving`),
    mark(sum(({ gaps }) => gaps) > 0, `gaps ${count(sum(({ gaps }) => gaps))}`),
    mark(sum(({ rejected }) => rejected) > 0, `rejected ${count(sum(({ rejected }) => rejected))}`),
    healthy < storageNodes.length
      ? red(`storage ${healthy}/${storageNodes.length} healthy`)
      : `storage ${healthy}/${storageNodes.length}`,
  ];
  return parts.join(dim(' · '));
}

const mark = (isOdd: boolean, text: string) => (isOdd ? yellow(text) : text);

/** By all threads in this session, be it stored or not yet. */
export const appendedOf = ({ lanes }: Pick<SessionFigures, 'lanes'>): number =>
  lanes.reduce((sum, { records }) => sum + Number(records), 0);

/** The line of a recorder on stderr, when that is a terminal; nothing elsewhere. */
export class StatusLine {
  readonly #shown = process.stderr.isTTY === true;
  readonly #read: () => SessionFigures;
  #timer: NodeJS.Timeout | undefined;
  #records = 0;
  #drawnMs = 0;

  constructor(read: () => SessionFigures) {
    this.#read = read;
  }

  begin(): void {
    if (!this.#shown) return;
    this.#drawnMs = performance.now();
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
  }

  #draw(): void {
    const figures = this.#read();
    const nowMs = performance.now();
    const text = statusOf(figures, this.#records, (nowMs - this.#drawnMs) / 1000);
    this.#records = appendedOf(figures);
    this.#drawnMs = nowMs;
    process.stderr.write(`\r\x1b[2K${text}`);
  }

  /** A line above it. */
  tell(line: string): void {
    process.stderr.write(`${this.#timer === undefined ? '' : '\r\x1b[2K'}${line}\n`);
  }

  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    process.stderr.write('\r\x1b[2K');
  }
}
