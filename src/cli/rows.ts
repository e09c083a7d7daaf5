import { format as formatBytes } from 'deno-std/fmt/bytes.js';
import { dim } from 'deno-std/fmt/colors.js';

const LABEL_COLUMNS = 15;
const VALUE_COLUMNS = 27;

/** A line of a report. */
export function row(label: string, value: string, remark = '', paint = (text: string) => text): string {
  // Padded before it is painted: escape sequences have a length, but no width.
  const columns = Math.max(VALUE_COLUMNS, value.length + 2);
  const painted = paint(remark === '' ? value : value.padEnd(columns));
  return `  ${dim(label.padEnd(LABEL_COLUMNS))}${painted}${remark === '' ? '' : dim(remark)}`;
}

export const mark = (good: boolean, text: string) => `${good ? '✔' : '✘'} ${text}`;

export const bytes = (value: number) => formatBytes(value);

export const count = (value: number) => Math.round(value).toLocaleString('en');

export const seconds = (value: number) => `${value.toFixed(2)} s`;
