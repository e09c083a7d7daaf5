// The captured feed as records: a quote, a trade, or a level of the book each.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { decimal, defineSchema, symbol, type Tape, timestamp, u8 } from 'ticktape';
import { Random } from '../../src/collect/sources/random.js';

// This module lies in dist/bench/replay.
const FEED = fileURLToPath(new URL('../../../../shared/data/binance-usdm-btcusdt-20240808.feed.gz', import.meta.url));

export const event = defineSchema(
  'event',
  timestamp('ts'),
  symbol('symbol'),
  u8('kind'),
  decimal('price', 2),
  decimal('size', 3),
  decimal('ask', 2),
  decimal('askSize', 3),
  decimal('id', 0),
);

type Event = Parameters<Tape<(typeof event)['fields']>['append']>;

/** All events of the capture, by the time at which they were received; made up where there is no capture. */
export function feedEvents(): { events: Event[]; source: string } {
  if (!existsSync(FEED)) return { events: inventedEvents(), source: `synthetic: there is no ${FEED}` };
  const events: Event[] = [];
  for (const line of gunzipSync(readFileSync(FEED)).toString().split('\n')) {
    const space = line.indexOf(' ');
    if (space < 0) continue;
    const ts = BigInt(line.slice(0, space));
    const { data } = JSON.parse(line.slice(space + 1));
    if (data?.e === 'bookTicker') events.push([ts, data.s, 2, +data.b, +data.B, +data.a, +data.A, data.u]);
    else if (data?.e === 'trade') events.push([ts, data.s, 1, +data.p, +data.q, 0, 0, data.t]);
    else if (data?.e === 'depthUpdate') {
      for (const [price, size] of data.b) events.push([ts, data.s, 3, +price, +size, 0, 0, data.u]);
      for (const [price, size] of data.a) events.push([ts, data.s, 4, +price, +size, 0, 0, data.u]);
    }
  }
  return { events, source: path.basename(FEED) };
}

/** Some at one moment, some a second apart, as a feed has them. */
function inventedEvents(): Event[] {
  const random = new Random(1);
  let ts = 1_723_161_255_000_000_000n;
  return Array.from({ length: 100_000 }, (_, i) => {
    if (random.unit() < 0.5) ts += BigInt(Math.ceil(-6e6 * Math.log(1 - random.unit())));
    return [ts, 'BTCUSDT', 1, Math.floor(6e6 + 1e4 * random.unit()) / 100, 0.5, 0, 0, i] satisfies Event;
  });
}
