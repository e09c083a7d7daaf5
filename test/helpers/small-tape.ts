import path from 'node:path';
import {
  bytes,
  type Compression,
  decimal,
  defineSchema,
  f64,
  i64,
  optional,
  symbol,
  text,
  timestamp,
  u32,
} from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { expect } from 'vitest';
import { BlockDecoder } from '../../dist/src/block/decoder.js';
import { planRecovery, type RecoveryReport, recover } from '../../dist/src/journal/recovery.js';
import { resolveOptions } from '../../dist/src/options.js';
import { TapeBlocks } from '../../dist/src/read/reader.js';
import { Catalog, segmentName } from '../../dist/src/segment/catalog.js';
import { DirectoryStorageNode } from '../../dist/src/storage/directory.js';
import { Replicator } from '../../dist/src/storage/replicator.js';
import { CopyChecker } from '../../dist/src/storage/scrub/copy-checker.js';
import { type Verdict, verifyTape } from '../../dist/src/storage/scrub/verify.js';
import { EPOCH, TAPE_ID } from './bench.js';
import { type Block, blockOf, zstd } from './blocks.js';
import { MemoryFiles } from './memory-files.js';
import type { Value } from './records.js';
import { writeSegmentInto } from './segments.js';

/** Small enough to be read for each of its bits: two blocks, with each way of storing a chunk and each kind of field that counts. */
export const schema = defineSchema(
  'small',
  timestamp('ts'),
  symbol('s'),
  decimal('price', 2),
  f64('x'),
  u32('n'),
  optional(i64('id')),
  text('note'),
  optional(bytes('raw')),
);

const COMPRESSIONS: Compression[] = ['fast', { zstd: 3 }];
const COUNTS = [30, 24];

const rowOf = (i: number): Value[] => [
  1_700_000_000_000_000_000n + BigInt(i * 1000 + (i % 7)),
  `S${(i * 7) % 5}`,
  100 + (i % 9) / 100,
  Math.floor(i / 20) / 8,
  (i * i) % 11,
  i % 3 === 0 ? null : BigInt(i),
  'note '.repeat(i % 4),
  i % 5 === 0 ? Uint8Array.of(i, i + 1, 2) : null,
];

export const rows = Array.from({ length: COUNTS.reduce((sum, count) => sum + count) }, (_, i) => rowOf(i));

let first = 0;
export const blocks: Block[] = COUNTS.map((count, i) => {
  const from = first;
  first += count;
  return blockOf(schema, rows.slice(from, first), { sequence: BigInt(from), compression: COMPRESSIONS[i] });
});

/** The segment as it is written to storage node `node`; `sealed`: with its footer. */
function segmentBytes(node: number, sealed: boolean): Uint8Array {
  const files = new MemoryFiles();
  const file = path.join('/made', segmentName(1));
  const header = { tapeId: TAPE_ID, storageNode: node, number: 1, createdNs: 5n, epoch: EPOCH, schema };
  writeSegmentInto(files, file, header, blocks, sealed);
  return files.readFile(file);
}

/** Storage nodes in memory, each with its copy of the segment. */
export class SmallTape {
  readonly files = new MemoryFiles();
  readonly storage: string[];
  /** Of each storage node. */
  readonly segments: string[];
  readonly originals: Uint8Array[];
  readonly catalog: Catalog;
  /** Used again and again: their memory takes longer to make than all else. */
  readonly #decoder = new BlockDecoder(schema, zstd);
  readonly #checker = new CopyChecker(this.files, schema, zstd);
  readonly #blocks: TapeBlocks<(typeof schema)['fields']>;

  constructor(nodes: number, sealed: boolean) {
    this.storage = Array.from({ length: nodes }, (_, node) => `/d${node}`);
    this.segments = this.storage.map((directory) => path.join(directory, segmentName(1)));
    this.originals = this.segments.map((_, node) => segmentBytes(node, sealed));
    this.catalog = new Catalog(this.files, this.storage);
    this.#blocks = new TapeBlocks(this.files, schema, TAPE_ID, this.catalog, zstd, null);
    this.restore();
  }

  /** As it was made, but for the first storage node's segment, of which this is left; nobody has read it yet. */
  restore(left = this.originals[0]): void {
    for (const directory of this.storage) {
      for (const name of this.files.list(directory)) this.files.remove(path.join(directory, name));
    }
    this.catalog.refresh(TAPE_ID);
    this.#blocks.close();
    this.#blocks.damage.length = 0;
    this.segments.forEach((file, node) => {
      this.files.set(file, (node === 0 ? left : this.originals[node]).slice());
    });
  }

  /** Reads everything. Answers how many of the records were there, from the first on; each of them is as it was appended. */
  async read(): Promise<number> {
    let found = 0;
    for await (const batch of this.#blocks.scan({})) {
      const columns = Object.values(batch.columns) as { at(row: number): Value }[];
      if (batch.sequence(0) !== BigInt(found)) expect.fail(`sequence ${batch.sequence(0)} at place ${found}`);
      for (let i = 0; i < columns.length; i++) {
        const column = columns[i];
        for (let row = 0; row < batch.length; row++) {
          const there = column.at(row);
          if (!isSame(there, rows[found + row][i])) expect.fail(`record ${found + row}: field ${i} is ${there}`);
        }
      }
      found += batch.length;
    }
    return found;
  }

  verify(redundancy: number): Promise<Verdict> {
    const { files, storage: directories } = this;
    const tape = { runtime: { ...runtime, files }, schema, zstd, directories, journal: '/journal' };
    return verifyTape(tape, { redundancy }, this.#checker);
  }

  /** What opening for writing finds out. */
  plan(redundancy: number): () => Promise<RecoveryReport> {
    const { files, storage, catalog } = this;
    const options = resolveOptions({ storage, redundancy });
    const input = {
      runtime: { ...runtime, files },
      schema,
      tapeId: TAPE_ID,
      journal: '/journal',
      catalog,
      symbols: null,
      zstd,
      options,
    };
    const plan = planRecovery(input, this.#decoder);
    return async () => {
      const session = { tapeId: TAPE_ID, schema, epoch: EPOCH + 1, segmentBytes: 64 * 1024, segmentMaxAgeMs: 1000 };
      const nodes = storage.map(
        (directory, ordinal) => new DirectoryStorageNode(directory, input.runtime, { ...session, ordinal }),
      );
      const replicator = new Replicator(nodes, {
        redundancy,
        degraded: 'stop',
        durable: true,
        writeTimeoutMs: 10_000,
        random: Math.random,
        nowMs: runtime.nowMs,
        onTrouble() {},
      });
      const report = await recover(input, plan, replicator, EPOCH + 1);
      await replicator.close(runtime.sleep);
      catalog.refresh(TAPE_ID);
      return report;
    };
  }

  /** What opening for writing does. */
  recover(redundancy: number): Promise<RecoveryReport> {
    return this.plan(redundancy)();
  }
}

const isSame = (a: Value, b: Value): boolean =>
  a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : a === b;
