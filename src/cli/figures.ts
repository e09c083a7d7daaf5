// Figures as people read them. Those of another process may be anything: what is no number is shown as one that isn't known.

import { format as formatBytes } from 'deno-std/fmt/bytes.js';

export const UNKNOWN = '–';

const known = (value: number | null): value is number => value !== null && Number.isFinite(value) && value >= 0;

export const whole = (value: number | null): string =>
  known(value) ? Math.round(value).toLocaleString('en') : UNKNOWN;

export const size = (value: number | null): string => (known(value) ? formatBytes(value) : UNKNOWN);

/** In three digits: `12.3 k`, `1.23 M`. */
export function short(value: number | null): string {
  if (!known(value)) return UNKNOWN;
  const thousands = value < 999.5 ? 0 : Math.min(4, Math.floor(Math.log10(value * 1.0005) / 3));
  if (thousands === 0) return value < 10 && value % 1 !== 0 ? value.toFixed(1) : String(Math.round(value));
  return `${threeDigits(value / 1000 ** thousands)} ${'kMGT'[thousands - 1]}`;
}

const threeDigits = (value: number) => value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);

export const perSecond = (value: number | null): string => (known(value) ? `${short(value)}/s` : UNKNOWN);

/** A short time: `139 ns`, `2.3 µs`. */
export function nanoseconds(ns: number | null): string {
  if (!known(ns)) return UNKNOWN;
  if (ns < 1000) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toPrecision(2 + Number(ns >= 99_500))} µs`;
  if (ns < 1e9) return `${(ns / 1e6).toPrecision(2 + Number(ns >= 99.5e6))} ms`;
  return duration(ns / 1e6);
}

/** A long one: `12 s`, `5 m 03 s`, `1 h 02 m`, `3 d 04 h`. */
export function duration(ms: number | null): string {
  if (!known(ms)) return UNKNOWN;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 10) return `${(ms / 1000).toFixed(1)} s`;
  if (seconds < 60) return `${seconds} s`;
  const two = (value: number) => String(value).padStart(2, '0');
  const [minutes, hours, days] = [Math.floor(seconds / 60), Math.floor(seconds / 3600), Math.floor(seconds / 86_400)];
  if (hours === 0) return `${minutes} m ${two(seconds % 60)} s`;
  if (days === 0) return `${hours} h ${two(minutes % 60)} m`;
  return `${days.toLocaleString('en')} d ${two(hours % 24)} h`;
}

/** A name from a file, without what a terminal would obey. */
export const printable = (text: string): string => text.replaceAll(/\p{C}/gu, '\ufffd');

const COMBINING = /^[\p{Mn}\p{Me}]$/u;
/** East Asian wide and full-width characters, and emoji that are shown as such. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u;

/** Columns of a terminal that the text takes. */
export function widthOf(text: string): number {
  // Nearly all of it.
  if (/^[\u0020-\u02ff\u2010-\u2026\u2580-\u259f]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += COMBINING.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}

/** The text in `columns` at most, with `…` for what is left out: its end, or its beginning where `keepEnd`. */
export function shorten(text: string, columns: number, keepEnd = false): string {
  if (widthOf(text) <= columns) return text;
  if (columns <= 1) return columns === 1 ? '…' : '';
  const characters = keepEnd ? [...text].reverse() : [...text];
  const kept: string[] = [];
  let width = 1;
  for (const character of characters) {
    width += widthOf(character);
    if (width > columns) break;
    kept.push(character);
  }
  return keepEnd ? `…${kept.reverse().join('')}` : `${kept.join('')}…`;
}
