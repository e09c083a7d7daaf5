import process from 'node:process';
import { cyan, dim } from 'deno-std/fmt/colors.js';

const REDRAW_MS = 80;
const BAR_COLUMNS = 28;

/** A line of progress on stderr, when that is a terminal; nothing elsewhere. */
export class Progress {
  readonly #shown = process.stderr.isTTY === true;
  #label = '';
  #startedMs = 0;
  #drawnMs = 0;

  begin(label: string): void {
    this.#label = label;
    this.#startedMs = performance.now();
    this.#drawnMs = 0;
    this.update(0);
  }

  /** @param total where it is known */
  update(done: number, total?: number): void {
    const nowMs = performance.now();
    if (!this.#shown || nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    const seconds = (nowMs - this.#startedMs) / 1000;
    const rate = seconds > 0.2 ? `${Math.round(done / seconds).toLocaleString('en')}/s` : '';
    process.stderr.write(
      `\r\x1b[2K${this.#label.padEnd(13)}${bar(done, total)} ${done.toLocaleString('en')} ${dim(rate)}`,
    );
  }

  /** Takes the line away. */
  end(): void {
    if (this.#shown) process.stderr.write('\r\x1b[2K');
  }
}

function bar(done: number, total: number | undefined): string {
  if (total === undefined || total <= 0) return '';
  const share = Math.min(1, done / total);
  const full = Math.round(share * BAR_COLUMNS);
  return `${cyan('█'.repeat(full))}${dim('░'.repeat(BAR_COLUMNS - full))} ${String(Math.floor(share * 100)).padStart(3)} % `;
}
