import { dim } from 'deno-std/fmt/colors.js';
import { shorten, widthOf } from './figures.js';

/** A column of a table; the first one of a table is a name, which is shortened before columns are left out. */
export interface Column {
  title: string;
  /** Numbers; names stand left. */
  right?: boolean;
  /** Left out when the table is too wide, the highest first; 0 never. */
  rank: number;
  /** Of the first one: that names are shortened at their start. */
  keepEnd?: boolean;
}

export interface Cell {
  text: string;
  /** Colours, which take no room. */
  paint?: (text: string) => string;
}

const GAP = 2;
const INDENT = 2;
const LEAST_NAME = 16;

/** The table as lines of `width` columns at most: its titles, then a line a row. */
export function fitTable(columns: readonly Column[], rows: readonly (readonly Cell[])[], width: number): string[] {
  const widths = columns.map(({ title }, i) => Math.max(widthOf(title), ...rows.map((row) => widthOf(row[i].text))));
  let shown = columns.map((_, i) => i);
  const total = () => INDENT + shown.reduce((sum, i) => sum + widths[i], GAP * (shown.length - 1));
  const natural = widths[0];
  const shrinkName = () => {
    widths[0] = natural;
    widths[0] = Math.max(Math.min(natural, LEAST_NAME), natural - Math.max(0, total() - width));
  };
  shrinkName();
  while (total() > width) {
    const highest = shown.reduce((worst, i) => (columns[i].rank > columns[worst].rank ? i : worst));
    if (columns[highest].rank === 0 || shown.length === 1) break;
    shown = shown.filter((i) => i !== highest);
    shrinkName();
  }
  const line = (cells: readonly Cell[], isTitle = false) => {
    let left = width;
    let out = '';
    shown.forEach((i, place) => {
      const before = place === 0 ? INDENT : GAP;
      const room = Math.min(widths[i], left - before);
      if (room <= 0) return;
      const text = shorten(cells[i].text, room, columns[i].keepEnd && !isTitle);
      const spaces = ' '.repeat(room - widthOf(text));
      const painted = (cells[i].paint ?? ((plain) => plain))(text);
      const isLast = place === shown.length - 1;
      out += ' '.repeat(before) + (columns[i].right ? spaces + painted : painted + (isLast ? '' : spaces));
      left -= before + room;
    });
    return out;
  };
  const titles = columns.map(({ title }) => ({ text: title, paint: dim }));
  return [line(titles, true), ...rows.map((row) => line(row))];
}
