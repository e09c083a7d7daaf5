import {
  type Appender,
  type Batch,
  bytes,
  decimal,
  defineSchema,
  type Fields,
  f64,
  openAppender,
  openTape,
  optional,
  symbol,
  type Tape,
  type TapeOptions,
  text,
  timestamp,
  u16,
  u32,
} from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { Follower } from '../../dist/src/read/tail/follower.js';
import { makeTailSource } from '../../dist/src/read/tail/tail-source.js';
import { Catalog } from '../../dist/src/segment/catalog.js';
import { survey } from '../../dist/src/storage/survey.js';

/** `who` appended it as its `n`-th. */
export const schema = defineSchema(
  'followed',
  timestamp('ts'),
  symbol('s'),
  u16('who'),
  u32('n'),
  decimal('price', 2),
  f64('x'),
  optional(text('note')),
  optional(symbol('venue')),
  optional(bytes('raw')),
);
export type FollowedFields = typeof schema.fields;
export type Row = [bigint, string, number, number, number, number, string | null, string | null, Uint8Array | null];

/** The same numbers for the same seed. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const XS = [0, -0, Number.NaN, 1.5, Infinity];

export function rowOf(who: number, n: number, random: (below: number) => number): Row {
  const note = random(3) === 0 ? null : 'é'.repeat(random(6));
  const venue = random(2) === 0 ? null : `V${random(3)}`;
  const raw = random(3) === 0 ? Uint8Array.from({ length: random(9) }, () => random(256)) : null;
  return [BigInt(1_000_000 + random(50)), `S${random(7)}`, who, n, random(1000) / 100, XS[random(5)], note, venue, raw];
}

/** Takes what a tail gives and looks whether each record came once, as it was appended, and in its lane's order. */
export class Receiver {
  readonly expected: Row[][] = [];
  readonly next: number[] = [];
  count = 0;
  live = 0;
  /** From which record on each one is to come. */
  expect(who: number, from = 0): void {
    this.expected[who] = [];
    this.next[who] = from;
  }

  get isComplete(): boolean {
    return this.expected.every((rows, who) => this.next[who] === rows.length);
  }

  take(batch: Batch<FollowedFields>): void {
    const names = schema.fields.map(({ name }) => name);
    for (let row = 0; row < batch.length; row++) {
      const record = batch.record(row) as unknown as Record<string, unknown>;
      const who = record.who as number;
      const n = record.n as number;
      if (n !== this.next[who])
        throw new Error(`record ${n} of appender ${who} came where ${this.next[who]} was to come`);
      this.next[who]++;
      const want = this.expected[who][n];
      names.forEach((name, i) => {
        const value = record[name];
        const same =
          value instanceof Uint8Array
            ? String(value) === String(want[i]) && want[i] !== null
            : Object.is(value, want[i]);
        if (!same) throw new Error(`record ${n} of appender ${who}: ${name} is ${value}, not ${want[i]}`);
      });
    }
    this.count += batch.length;
    if (batch.isLive) this.live += batch.length;
  }
}

/** A follower whose clock is the test's. */
export async function followerOf<F extends Fields>(
  tape: typeof schema | { json: string },
  storage: readonly string[],
  { from, read = 'mapped', nowMs }: { from: 'now' | 'start'; read?: 'mapped' | 'copied'; nowMs(): number },
): Promise<Follower<F>> {
  const { tapeId, directories, journal } = survey(runtime.files, storage, undefined);
  const catalog = new Catalog(runtime.files, directories);
  const zstd = await runtime.zstd();
  const source = makeTailSource(runtime, { schema: tape as never, tapeId: tapeId!, journal, zstd, read, catalog });
  return new Follower({ ...source, nowMs } as never, { symbols: null, where: null, fromNs: null }, from === 'now');
}

/** A tape whose lanes hold little, so that a reader is soon lapped; each appender has a lane. */
export class SmallLanes {
  readonly options: TapeOptions;
  readonly receiver: Receiver;
  readonly #random: (below: number) => number;
  #tape: Tape<FollowedFields> | null = null;
  #appenders: { who: number; append: Appender<FollowedFields>['append'] }[] = [];

  constructor(options: TapeOptions, receiver: Receiver, random: (below: number) => number) {
    this.options = {
      laneBytes: 65_536,
      capacity: 150,
      maxSymbols: 64,
      flushIntervalMs: 0,
      segmentBytes: 1024 ** 2,
      onWarning: () => {},
      ...options,
    };
    this.receiver = receiver;
    this.#random = random;
  }

  async open(): Promise<void> {
    this.#tape = await openTape(schema, this.options);
    this.#appenders = [];
    this.addLane();
  }

  addLane(): void {
    const who = this.receiver.expected.length;
    this.receiver.expect(who);
    const appender = openAppender(schema, this.#tape!.appenderHandle());
    this.#appenders.push({ who, append: appender.append });
  }

  get lanes(): number {
    return this.#appenders.length;
  }

  append(lane: number, count: number): void {
    const { who, append } = this.#appenders[lane];
    const rows = this.receiver.expected[who];
    for (let i = 0; i < count; i++) {
      const row = rowOf(who, rows.length, this.#random);
      append(...row);
      rows.push(row);
    }
  }

  flush(): Promise<unknown> {
    return this.#tape!.flush();
  }

  async close(): Promise<void> {
    await this.#tape?.close();
    this.#tape = null;
  }
}
