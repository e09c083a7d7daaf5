// What the golden files of version 1 hold: columns made by plain arithmetic, so that between them every step of a plan, every
// compression and every kind of field comes. It stays as it is: the files are for ever.
import {
  bytes,
  decimal,
  defineSchema,
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  optional,
  type Schema,
  symbol,
  text,
  timestamp,
  u8,
  u16,
  u32,
  u64,
} from 'ticktape';
import type { Value } from '../helpers/records.js';

export interface Content {
  schema: Schema;
  rows: Value[][];
}

/** A generator of whole numbers below `end`: x' = 48271 x mod 2^31 - 1 (Park and Miller, 1988). */
function numbers(seed: number): (end: number) => number {
  let state = seed;
  return (end) => {
    state = (state * 48271) % 2147483647;
    return Math.floor((state / 2147483647) * end);
  };
}

const START = 1_700_000_000_000_000_000n;

/** Order events of one instrument, some in one packet: times that refer to each other, enumerations that go together. */
function orders(count: number): Content {
  const schema = defineSchema(
    'orders',
    timestamp('received'),
    i64('sent'),
    i32('latency'),
    u64('order'),
    i64('price'),
    u32('size'),
    u16('publisher'),
    u8('action'),
    u8('side'),
    i8('flags'),
  );
  const next = numbers(1);
  let received = START;
  let sent = START;
  let latency = 13_000;
  let order = 6_412_777_275_647n;
  let tick = 19_232;
  const rows: Value[][] = [];
  for (let i = 0; i < count; i++) {
    if (next(3) > 0) {
      received += BigInt(1000 + next(50_000));
      sent = received - BigInt(90_000 + next(30_000));
      latency = 12_500 + next(4000);
    }
    order += BigInt(next(4) === 0 ? -next(9000) : next(3));
    if (next(2) === 0) tick += next(7) - 3;
    const action = [65, 67, 67, 77, 84][next(5)];
    const side = action === 84 ? 78 : [65, 66][next(2)];
    const flags = action === 84 ? 0 : side === 65 ? -126 : 64;
    rows.push([received, sent, latency, order, BigInt(tick) * 250_000_000n, 1 + next(9) ** 2, 1, action, side, flags]);
  }
  return { schema, rows };
}

/** Quotes of many instruments in turn, by a clock of 100 ns that drifts: prices by instrument, floats, absent values, texts. */
function quotes(count: number): Content {
  const schema = defineSchema(
    'quotes',
    timestamp('ts'),
    symbol('symbol'),
    decimal('bid', 2),
    optional(decimal('ask', 2)),
    f64('mid'),
    f64('noise'),
    f32('rate'),
    i16('level'),
    u64('mask'),
    optional(text('note')),
    bytes('raw'),
    optional(symbol('venue')),
  );
  const next = numbers(2);
  const prices = Array.from({ length: 7 }, (_, i) => 10_000 * (i + 1) ** 3);
  let clock = 17_000_000_000_000_00n;
  const special = [Number.NaN, -0, Number.POSITIVE_INFINITY, 5e-324, Number.MAX_VALUE];
  const rows: Value[][] = [];
  for (let i = 0; i < count; i++) {
    clock += BigInt(1 + next(5000));
    const which = next(7);
    prices[which] += next(5) - 2;
    const bid = prices[which] / 100;
    const mid = i % 97 === 5 ? special[next(5)] : (prices[which] * 10 + next(10)) / 1000;
    rows.push([
      START + clock * 100n - BigInt(Math.floor(i / 400)),
      `SYM${which}`,
      bid,
      next(3) === 0 ? null : (prices[which] + 1 + next(3)) / 100,
      mid,
      (next(2147483646) + 1) / (next(1_000_000) + 1),
      Math.fround(next(1000) / 8),
      next(40) < 39 ? 3 : -next(30_000),
      BigInt(next(1 << 30)) << BigInt(34),
      next(4) === 0 ? null : `note ${next(20)}`,
      Uint8Array.of(next(256), next(256), 7, 7),
      next(2) === 0 ? null : ['XNAS', 'ARCX'][next(2)],
    ]);
  }
  return { schema, rows };
}

export const CONTENTS: Record<string, Content> = { orders: orders(1500), quotes: quotes(1500), few: quotes(3) };
