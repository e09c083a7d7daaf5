import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { decimal, defineSchema, openTape, repairTape, type Schema, symbol, text, timestamp, u32 } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { expect } from 'vitest';
import type { Files, OpenFile } from '../../dist/src/files.js';
import type { Runtime } from '../../dist/src/runtime.js';
import { Catalog } from '../../dist/src/segment/catalog.js';
import { CopyChecker } from '../../dist/src/storage/scrub/copy-checker.js';
import { zstd } from './blocks.js';
import { MemoryFiles } from './memory-files.js';
import { filesOf } from './scratch.js';
import { readAll } from './tape.js';

export const scrubbed = defineSchema('scrubbed', timestamp('ts'), symbol('s'), decimal('p', 2), u32('n'), text('note'));
export const SMALL = {
  segmentBytes: 1024 ** 2,
  maxSymbols: 100,
  laneBytes: 65_536,
  flushIntervalMs: 0,
  syncIntervalMs: 0,
};
export const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
export const storageOf = (root: string, nodes: number) => upTo(nodes).map((i) => path.join(root, `d${i}`));

/** A tape of several sessions, and so of several segments on each storage node: numbered records in blocks of 20. */
export async function makeTape(
  root: string,
  {
    nodes,
    redundancy,
    sessions = 3,
    records = 100,
  }: { nodes: number; redundancy: number; sessions?: number; records?: number },
): Promise<void> {
  let n = 0;
  for (const _ of upTo(sessions)) {
    const options = { storage: storageOf(root, nodes), redundancy, ...SMALL, capacity: 20 };
    const tape = await openTape(scrubbed, options);
    for (const _ of upTo(records)) {
      tape.append(BigInt(n), `S${n % 3}`, n / 100, n, `note ${n}`);
      n++;
    }
    await tape.close();
  }
}

/** All that the records say, in order. */
export const numbersIn = async (storage: readonly string[]) =>
  (await readAll(scrubbed, storage)).map(({ n }) => n as number);

/** A copy of a block where it lies. */
export interface Place {
  sequence: bigint;
  node: number;
  path: string;
  offset: number;
  blockBytes: number;
}

/** `sealed`: only those in segments that have a footer. */
export function placesOf(storage: readonly string[], { sealed = false } = {}): Place[] {
  const catalog = new Catalog(runtime.files, storage);
  catalog.refresh(null);
  return catalog.blocks.flatMap(({ sequence, blockBytes, copies }) =>
    copies.flatMap(({ storage: node, path: file, offset }) =>
      sealed && !catalog.segments.get(file)!.sealed ? [] : [{ sequence, node, path: file, offset, blockBytes }],
    ),
  );
}

/** On how many storage nodes each block has a copy that is good. */
export function goodCopies(
  storage: readonly string[],
  schema: Schema = scrubbed,
  files: Files = runtime.files,
): Map<bigint, number> {
  const catalog = new Catalog(files, storage);
  catalog.refresh(null);
  const checker = new CopyChecker(files, schema, zstd);
  try {
    return new Map(
      catalog.blocks.map((block) => {
        const good = block.copies.filter(
          ({ path: file, offset }) => checker.check(file, { ...block, offset }) === null,
        );
        return [block.sequence, new Set(good.map(({ storage: node }) => node)).size];
      }),
    );
  } finally {
    checker.close();
  }
}

export function flip(file: string, offset: number): void {
  const bytes = readFileSync(file);
  bytes[offset] ^= 0x10;
  writeFileSync(file, bytes);
}

export const cut = (file: string, bytes: number): void => truncateSync(file, bytes);

/** Everything in the directory but the journal. */
export function wipe(directory: string): void {
  for (const name of readdirSync(directory))
    if (name !== 'journal') rmSync(path.join(directory, name), { recursive: true });
}

/** Every block is `redundancy` times there, each time good, and there is nothing else. */
export async function expectWell(storage: readonly string[], redundancy: number, blocks?: number): Promise<void> {
  const reader = await openTape(scrubbed, { storage, readOnly: true });
  const verdict = await reader.verify({ redundancy });
  await reader.close();
  expect(verdict).toMatchObject({
    damaged: [],
    damagedSegments: [],
    missing: [],
    underReplicated: 0,
    lost: 0,
    surplus: 0,
  });
  expect(verdict.copies).toBe(verdict.blocks * redundancy);
  if (blocks !== undefined) expect(verdict.blocks).toBe(blocks);
  for (const directory of storage) expect(filesOf(directory, /\.tmp$/)).toEqual([]);
}

/** A repair of what is well does nothing. */
export async function expectNothingToDo(storage: readonly string[], redundancy: number): Promise<void> {
  const result = await repairTape({ storage, redundancy });
  expect(result).toMatchObject({
    copiesMade: 0,
    mendedInPlace: 0,
    bytesWritten: 0,
    segmentsRewritten: 0,
    dropped: 0,
    lost: 0,
    stillUnderReplicated: 0,
    left: 0,
    damagedSegments: [],
    missing: [],
    retired: [],
    troubles: [],
  });
}

/** Files, and `before` is called with the name of each thing done with them: what it throws, that throws. */
export function watchedFiles(
  before: (operation: string, file: string, tear: () => void) => void,
  files: Files = runtime.files,
): Files {
  const watch = <T extends object>(target: T, file: string | null): T =>
    new Proxy(target, {
      get(_, name: string) {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member !== 'function') {
          before(name, file!, () => {});
          return member;
        }
        return (...args: unknown[]) => {
          const about = file ?? String(args[0]);
          const [bytes, at] = args as [Uint8Array, number];
          // Half of what is written gets there.
          before(
            name,
            about,
            () => name === 'writeAsync' && (target as OpenFile).write(bytes.subarray(0, bytes.length >> 1), at),
          );
          const result = member.apply(target, args);
          return name === 'open' ? watch(result as OpenFile, about) : result;
        };
      },
    });
  return watch(files, null);
}

/** The storage nodes and their journal as they are, in memory. */
export function inMemory(storage: readonly string[]): MemoryFiles {
  const files = new MemoryFiles();
  for (const directory of storage) for (const file of filesOf(directory, /\./)) files.set(file, readFileSync(file));
  return files;
}

/** Nobody else is there, and waiting takes no time. */
export function runtimeOn(files: Files): Runtime {
  let nowMs = 0;
  return {
    ...runtime,
    files,
    lock: () => ({ release() {} }),
    nowMs: () => nowMs,
    async sleep(ms) {
      nowMs += ms;
    },
  };
}

/** What each block is, whatever copies it has. */
export function contentOf(storage: readonly string[], files: Files): Map<bigint, string> {
  const catalog = new Catalog(files, storage);
  catalog.refresh(null);
  return new Map(catalog.blocks.map(({ sequence, count, headerChecksum }) => [sequence, `${count} ${headerChecksum}`]));
}
