// RFC 4180: cells between commas, in quotes where they hold one, a quote or a line's end.

const QUOTE = '"';
/** A row in quotes that do not end is given up after so much. */
export const MOST_ROW_CHARACTERS = 65_536;

/** Rows of cells out of lines: a quoted cell may go on on the next. */
export class CsvRows {
  #open = '';

  /** The cells of the row that ends in this line; null where it goes on; a string says why it is none. */
  add(line: string): string[] | null | string {
    const row = this.#open === '' ? line : `${this.#open}\n${line}`;
    this.#open = '';
    const cells = cellsOf(row);
    if (cells !== null) return cells;
    if (row.length > MOST_ROW_CHARACTERS) return 'a quote that does not end';
    this.#open = row;
    return null;
  }

  /** The row that nothing has ended; null where there is none. */
  end(): string | null {
    const row = this.#open;
    this.#open = '';
    return row === '' ? null : row;
  }
}

/** Null where it ends within quotes. */
function cellsOf(row: string): string[] | null {
  if (!row.includes(QUOTE)) return row.split(',');
  const cells: string[] = [];
  for (let at = 0; ; ) {
    let end: number;
    if (row[at] === QUOTE) {
      let cell = '';
      let from = at + 1;
      for (;;) {
        end = row.indexOf(QUOTE, from);
        if (end < 0) return null;
        cell += row.slice(from, end);
        if (row[end + 1] !== QUOTE) break;
        cell += QUOTE;
        from = end + 2;
      }
      // What follows the quote belongs to the cell: nobody loses anything by it.
      const next = row.indexOf(',', end + 1);
      cells.push(cell + row.slice(end + 1, next < 0 ? undefined : next));
      end = next;
    } else {
      end = row.indexOf(',', at);
      cells.push(row.slice(at, end < 0 ? undefined : end));
    }
    if (end < 0) return cells;
    at = end + 1;
  }
}
