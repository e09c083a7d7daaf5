import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { decimal, defineSchema, type Schema, symbol, text, timestamp } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import type { Files } from '../../dist/src/files.js';
import { planRecovery } from '../../dist/src/journal/recovery.js';
import { resolveOptions } from '../../dist/src/options.js';
import { Catalog, segmentName } from '../../dist/src/segment/catalog.js';
import { type BlockEntry, encodeFooter } from '../../dist/src/segment/footer.js';
import { encodeSegmentHeader } from '../../dist/src/segment/header.js';
import { entryOf, type SegmentReader, withSegment } from '../../dist/src/segment/reader.js';
import { EPOCH, TAPE_ID } from './bench.js';
import { type Block, blockOf, zstd } from './blocks.js';

const { files } = runtime;

export const withReader = <T>(file: string, use: (reader: SegmentReader) => T) => withSegment(files, file, use);

export const schema: Schema = defineSchema('stored', timestamp('ts'), symbol('s'), decimal('p', 2), text('note'));

/** Blocks that follow on each other, of these counts of records. */
export function blocks(...counts: number[]): Block[] {
  let sequence = 0n;
  return counts.map((count, i) => {
    const rows = Array.from({ length: count }, (_, row) => [
      BigInt(1000 * i + row),
      `S${(i + row) % 3}`,
      row / 4,
      'x'.repeat((i + row) % 9),
    ]);
    const block = blockOf(schema, rows, { sequence });
    sequence += BigInt(count);
    return block;
  });
}

export const segmentFile = (directory: string, number = 1) => path.join(directory, segmentName(number));

/** A segment of these blocks; `seal`: with its footer. Answers where each block lies. */
export function writeSegment(
  file: string,
  of: readonly Block[],
  options: { seal: boolean; number?: number },
): number[] {
  const { seal, number = 1 } = options;
  const header = { tapeId: TAPE_ID, storageNode: 0, number, createdNs: 5n, epoch: EPOCH, schema };
  return writeSegmentInto(files, file, header, of, seal);
}

/** The same anywhere. */
export function writeSegmentInto(
  into: Files,
  file: string,
  header: Parameters<typeof encodeSegmentHeader>[0],
  of: readonly Block[],
  seal: boolean,
): number[] {
  const start = encodeSegmentHeader(header);
  const entries: BlockEntry[] = [];
  let end = start.length;
  const handle = into.open(file, 'make');
  handle.write(start, 0);
  for (const { header: blockHeader, bytes: blockBytes } of of) {
    handle.write(blockBytes, end);
    entries.push(entryOf(end, blockHeader));
    end += blockBytes.length;
  }
  if (seal) handle.write(encodeFooter(entries, end), end);
  handle.close();
  return entries.map(({ offset }) => offset);
}

/** What recovery believes there is: the first sequence and the records of each block, found whole. */
export function recoverable(...directories: string[]) {
  const catalog = new Catalog(files, directories);
  const options = resolveOptions({ storage: directories });
  const journal = path.join(directories[0], 'no journal');
  const plan = planRecovery({ runtime, schema, tapeId: TAPE_ID, journal, catalog, symbols: null, zstd, options });
  return { blocks: catalog.blocks.map(({ sequence }) => sequence), report: plan.report, catalog };
}

/** What a reader that comes by finds. */
export function readable(...directories: string[]) {
  const catalog = new Catalog(files, directories);
  catalog.refresh(TAPE_ID);
  return { blocks: catalog.blocks.map(({ sequence }) => sequence), catalog };
}

/** The file with the bytes at `offset` replaced. */
export function overwrite(file: string, content: Uint8Array, offset: number, bytes: Uint8Array): void {
  const changed = new Uint8Array(content);
  changed.set(bytes, offset);
  writeFileSync(file, changed);
}
