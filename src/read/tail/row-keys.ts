import type { AnyColumn, Batch } from '../batch.js';

/** What a row holds, as a text: equal for rows that are equal in every field, and for no others. */
export function rowKeys(batch: Batch): (row: number) => string {
  const columns = Object.values(batch.columns as unknown as Record<string, AnyColumn>);
  return (row) => columns.map((column) => keyOf(column.at(row))).join('\n');
}

function keyOf(value: ReturnType<AnyColumn['at']> | undefined): string {
  if (typeof value === 'string') return `${value.length}:${value}`;
  if (Object.is(value, -0)) return '-0';
  return value instanceof Uint8Array ? Array.from(value).join() : String(value);
}
