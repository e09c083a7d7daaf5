/** Columns of text, the first ones to the left, those of numbers to the right. */
export function table(rows: string[][]): string {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const isNumber = (i: number) => rows.slice(1).every((row) => /^[\d.,–-]*$/.test(row[i]));
  const numeric = widths.map((_, i) => isNumber(i));
  return rows
    .map((row) =>
      row
        .map((text, i) => (numeric[i] ? text.padStart(widths[i]) : text.padEnd(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
