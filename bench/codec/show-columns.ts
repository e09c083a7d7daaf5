import type { DataSet } from './data.js';
import type { BenchOptions } from './options.js';
import { table } from './table.js';
import type { ChunkDescription, TapeCodec } from './tape-codec.js';

/** A table of how a data set's columns are encoded: what each takes, over all blocks of a first run. */
export function describeColumns(name: string, data: DataSet, codec: TapeCodec, options: BenchOptions): string {
  const ofField: ChunkDescription[][] = data.schema.fields.map(() => []);
  let headerBytes = 0;
  for (let block = 0; block < codec.blocks; block++) {
    codec.placeRows(block);
    codec.placeBlock(codec.encode(), codec.countOf(block));
    const described = codec.describe();
    for (const chunk of described.chunks) ofField[chunk.field].push(chunk);
    headerBytes += described.headerBytes;
  }
  const perRecord = (bytes: number) => (bytes / data.count).toFixed(3);
  const sum = (chunks: ChunkDescription[], of: 'encodedBytes' | 'storedBytes') =>
    chunks.reduce((total, chunk) => total + chunk[of], 0);
  const rows = ofField.map((chunks, field) => [
    data.schema.fields[field].name,
    tally(chunks.map(({ encoding }) => encoding)),
    tally(chunks.map(({ compression }) => compression)),
    perRecord(sum(chunks, 'encodedBytes')),
    perRecord(sum(chunks, 'storedBytes')),
  ]);
  const storedBytes = headerBytes + sum(ofField.flat(), 'storedBytes');
  return table([
    [name, 'encoding', 'compression', 'encoded', 'stored'],
    ...rows,
    ['header, gaps', '', '', '', perRecord(headerBytes)],
    [`${data.count} in blocks of ${options.blockRecords}`, '', '', '', perRecord(storedBytes)],
  ]);
}

/** `delta 5, raw 2`: what of what comes how often; the name alone where there is but one. */
function tally(names: string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  if (counts.size === 1) return names[0];
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
