import type { ResolvedOptions } from '../../options.js';
import type { Runtime, Zstd } from '../../runtime.js';
import type { Fields, Schema } from '../../schema.js';
import { Catalog } from '../../segment/catalog.js';
import { mapperFor } from '../mapping.js';
import { TapeBlocks } from '../reader.js';
import type { TailSource } from './follower.js';

/** A tail goes on for as long as its user likes, whatever becomes of the tape's own readers: so it has a catalog and decoder to itself. */
export function makeTailSource<F extends Fields>(
  runtime: Runtime,
  tape: {
    schema: Schema<F>;
    tapeId: Uint8Array;
    journal: string;
    zstd: Zstd;
    read: ResolvedOptions['read'];
    catalog: Catalog;
  },
): TailSource<F> {
  const { schema, tapeId, journal, zstd, read, catalog } = tape;
  const { files, nowMs } = runtime;
  const mapper = mapperFor(runtime, read);
  const own = new Catalog(files, catalog.directories, catalog.skipped, catalog.firstSequence);
  return {
    files,
    mapper,
    journal,
    tapeId,
    schema,
    blocks: new TapeBlocks(files, schema, tapeId, own, zstd, mapper),
    nowMs,
  };
}
