import type { Fields, Tape } from 'ticktape';
import { SymbolColumn } from '../../src/read/batch.js';
import type { Records } from './records.js';

/** Reads back what was stored: the records, so many times over. Answers how many. @throws Error where it is anything else */
export async function compare(
  tape: Tape<Fields>,
  { schema, given, count, symbols }: Records,
  times: number,
): Promise<number> {
  let done = 0;
  for await (const { length, columns } of tape.scan()) {
    schema.fields.forEach(({ name }, field) => {
      const valueAt = readerOf(columns[name], symbols);
      const expected = given[field];
      for (let row = 0, at = done % count; row < length; row++) {
        const value = valueAt(row);
        if (value !== expected[at]) {
          throw new Error(`record ${done + row}, field ${name}: ${value} was read, ${expected[at]} was appended`);
        }
        if (++at === count) at = 0;
      }
    });
    done += length;
  }
  if (done !== times * count) throw new Error(`${done} records were read, ${times * count} were appended`);
  return done;
}

/** What gives the values of a column as they were given: of a symbol its place among `symbols`. */
function readerOf(column: unknown, symbols: readonly string[]): (row: number) => unknown {
  if (!(column instanceof SymbolColumn)) return (row) => (column as ArrayLike<unknown>)[row];
  const places: number[] = [];
  return (row) => {
    const id = column.ids[row];
    places[id] ??= symbols.indexOf(column.name(id));
    return places[id];
  };
}
