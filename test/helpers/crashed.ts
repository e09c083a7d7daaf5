import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  type Appender,
  decimal,
  defineSchema,
  openAppender,
  openTape,
  symbol,
  type Tape,
  type TapeOptions,
  timestamp,
  u8,
  u32,
} from 'ticktape';
import { expect, onTestFinished } from 'vitest';
import { LANE_CAPACITY, LANE_DRAINED, LANE_HEAD, LANE_HEADER_BYTES, LANE_TAIL } from '../../dist/assembly/layout.js';
import { copyInto, copyOf, lastingScratch, scratch } from './scratch.js';
import { readAll } from './tape.js';

export const trade = defineSchema('trade', timestamp('ts'), u8('lane'), symbol('s'), decimal('price', 2), u32('n'));
type TradeFields = (typeof trade)['fields'];
/** Files that are quick to copy. */
export const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 1000 };

/** Of each of them in a lane. */
export const RECORD_BYTES = 48;

export const storageOf = (root: string, nodes: number) =>
  Array.from({ length: nodes }, (_, i) => path.join(root, `d${i}`));

type LiveOptions = Partial<TapeOptions> & { nodes?: number; lanes?: number; root?: string };

/** What is left of a tape whose process is killed after `build`: for the tests of a file, each to copy. */
export async function crashedTape(
  build: (live: LiveTape) => void | Promise<void>,
  options: LiveOptions = {},
): Promise<string> {
  const [root, left] = [lastingScratch(), lastingScratch()];
  const live = await LiveTape.openIn(root, options);
  await build(live);
  copyInto(root, left);
  await live.tape.close();
  return left;
}

/** A tape that never flushes by itself, and whose directories can be copied at any moment. */
export class LiveTape {
  readonly root: string;
  readonly tape: Tape<TradeFields>;
  readonly #appenders: Appender<TradeFields>['append'][] = [];
  readonly #counts: number[] = [];
  #time = 0n;

  private constructor(root: string, tape: Tape<TradeFields>) {
    this.root = root;
    this.tape = tape;
  }

  /** One that is closed with the test. */

  static async open(options: LiveOptions = {}): Promise<LiveTape> {
    const live = await LiveTape.openIn(options.root ?? scratch(), options);
    onTestFinished(() => live.tape.close());
    return live;
  }

  static async openIn(root: string, options: LiveOptions): Promise<LiveTape> {
    const { nodes = 2, lanes = 1, root: _, ...rest } = options;
    const live = new LiveTape(
      root,
      await openTape(trade, {
        storage: storageOf(root, nodes),
        flushIntervalMs: 0,
        syncIntervalMs: 0,
        laneBytes: 65_536,
        ...SMALL,
        ...rest,
      }),
    );
    live.#appenders.push(live.tape.append);
    while (live.#appenders.length < lanes) {
      live.#appenders.push(openAppender(trade, live.tape.appenderHandle()).append);
    }
    return live;
  }

  /** Appends the next `count` records, to the lanes in turn. */
  append(count: number): void {
    for (let i = 0; i < count; i++) this.#next(Number(this.#time) % this.#appenders.length);
  }

  /** Appends the next `count` records of one lane. */
  appendTo(lane: number, count: number): void {
    for (let i = 0; i < count; i++) this.#next(lane);
  }

  #next(lane: number): void {
    const n = this.#counts[lane] ?? 0;
    this.#counts[lane] = n + 1;
    this.#appenders[lane](this.#time++, lane, `S${n % 4}`, n / 100, n);
  }

  /** What would be left if the process were killed now. */
  copy(): string {
    return copyOf(this.root);
  }
}

export const laneFiles = (root: string): string[] => {
  const journal = path.join(root, 'd0', 'journal');
  return readdirSync(journal)
    .filter((name) => /^lane-\d+-\d+\.ttlane$/.test(name))
    .sort()
    .map((name) => path.join(journal, name));
};

/** Changes a file in place. */
export function edit(file: string, change: (bytes: Uint8Array, view: DataView) => void): void {
  const bytes = readFileSync(file);
  change(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  writeFileSync(file, bytes);
}

/** As if the process had been killed before it gave the space back that blocks hold: after a block was written, say. */
export function forgetRelease(root: string, to = 0n): void {
  for (const file of laneFiles(root)) {
    edit(file, (_, view) => {
      view.setBigUint64(LANE_HEAD, to, true);
      view.setBigUint64(LANE_DRAINED, to, true);
    });
  }
}

export const setTail = (file: string, tail: number): void =>
  edit(file, (_, view) => view.setBigUint64(LANE_TAIL, BigInt(tail), true));

/** The bytes of record `index` of a lane that has not wrapped yet. */
export function recordIn(bytes: Uint8Array, index: number): Uint8Array {
  const at = LANE_HEADER_BYTES + index * RECORD_BYTES;
  return bytes.subarray(at, at + RECORD_BYTES);
}

export const capacityOf = (file: string): number => {
  const bytes = readFileSync(file);
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(LANE_CAPACITY, true));
};

/** The numbers of each lane's records, in the order in which they are on the tape; checks all else about them. */
export async function numbersByLane(storage: readonly string[]): Promise<number[][]> {
  const found: number[][] = [];
  let next = 0n;
  for (const { sequence, lane, n, s, price } of await readAll(trade, storage)) {
    expect(sequence).toBe(next++);
    expect({ s, price }).toEqual({ s: `S${(n as number) % 4}`, price: (n as number) / 100 });
    found[lane as number] ??= [];
    found[lane as number].push(n as number);
  }
  return found;
}

export const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Every copy of every block is good, and there are as many as there should be. */
export async function expectRedundant(storage: readonly string[], redundancy: number): Promise<void> {
  const reader = await openTape(trade, { storage, readOnly: true });
  const verdict = await reader.verify({ redundancy });
  await reader.close();
  expect(verdict).toMatchObject({ damaged: [], missing: [], underReplicated: 0 });
}
