import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { schemas } from 'ticktape';
import { expect, test } from 'vitest';
import { BinanceParser, noCounts } from '../../../dist/src/collect/parsers/binance.js';
import { FeedLines } from '../../../dist/src/collect/parsers/feed-line.js';

const { SIDE_ASK, SIDE_BID, SIDE_BUY, SIDE_SELL } = schemas;
const capture = path.resolve('../shared/data/binance-usdm-btcusdt-20240808.feed.gz');

/** A sum over the capture: of thousandths of sizes, and of price in hundredths times that. */
interface Volume {
  size: bigint;
  amount: bigint;
}

const none = (): Record<string, Volume> => ({});

function add(volumes: Record<string, Volume>, of: string, price: bigint, size: bigint): void {
  volumes[of] ??= { size: 0n, amount: 0n };
  volumes[of].size += size;
  volumes[of].amount += price * size;
}

/** By JSON.parse, with the digits of the numbers as bigints. */
function expectedVolumes(lines: string[]): Record<string, Volume> {
  const volumes = none();
  const digits = (text: string, places: number) => {
    const [whole, fraction = ''] = text.split('.');
    return BigInt(whole + fraction.padEnd(places, '0'));
  };
  const count = (of: string, price: string, size: string) => add(volumes, of, digits(price, 2), digits(size, 3));
  for (const line of lines) {
    const parsed = JSON.parse(line.slice(line.indexOf(' ') + 1));
    const message = parsed.data ?? parsed;
    const { e, p, q, m, b, B, a, A, bids, asks } = message;
    if (e === 'trade') count(m ? 'sold' : 'bought', p, q);
    else if (e === 'bookTicker') {
      count('best bid', b, B);
      count('best ask', a, A);
    } else {
      for (const [price, size] of b ?? bids) count('bid levels', price, size);
      for (const [price, size] of a ?? asks) count('ask levels', price, size);
    }
  }
  return volumes;
}

test.skipIf(!existsSync(capture))('a capture of 345 s (skipped where ../shared/data is not there)', () => {
  const lines = gunzipSync(readFileSync(capture)).toString().trimEnd().split('\n');
  const volumes = none();
  const count = (of: string, price: number, size: number) => add(volumes, of, BigInt(price), BigInt(size));
  const events = { trade: 0, quote: 0, level: 0 };
  const trades: Record<number, string> = { [SIDE_BUY]: 'bought', [SIDE_SELL]: 'sold' };
  const levels: Record<number, string> = { [SIDE_BID]: 'bid levels', [SIDE_ASK]: 'ask levels' };
  const parser = new BinanceParser(
    {
      trade: (_ts, _symbol, price, size, side) => {
        events.trade++;
        count(trades[side], price, size);
      },
      quote: (_ts, _symbol, bid, bidSize, ask, askSize) => {
        events.quote++;
        count('best bid', bid, bidSize);
        count('best ask', ask, askSize);
      },
      level: (_ts, _symbol, side, _flags, price, size) => {
        events.level++;
        count(levels[side], price, size);
      },
    },
    { priceScale: 2, sizeScale: 3 },
  );
  const feed = new FeedLines(parser);
  for (const line of lines) {
    const reason = feed.parse(line);
    if (reason !== null) expect.fail(`${reason}: ${line}`);
  }
  expect(parser.counts).toEqual({
    ...noCounts(),
    ...{ bookTicker: 66_089, trade: 21_313, depthUpdate: 6_551, snapshot: 1 },
  });
  expect(events).toEqual({ trade: 21_313, quote: 66_089, level: 445_521 });
  expect(volumes).toEqual(expectedVolumes(lines));
});

test('lines that begin with no time', () => {
  const given: bigint[] = [];
  const feed = new FeedLines({
    counts: { control: 0, unknown: 0, broken: 0 },
    parse: (ts, message) => {
      given.push(ts);
      return message === 'x' ? 'bad' : null;
    },
  });
  const reasons = ['', '{}', '12x {}', ' {}', '-1 {}', '9999999999999999999 {}', '12345678901234567890 {}'].map(
    (line) => feed.parse(line),
  );
  for (const reason of reasons) expect(reason).toMatch(/time/);
  expect(feed.broken).toBe(reasons.length);
  expect([feed.parse('9223372036854775807 {}'), feed.parse('0 x'), feed.parse('17 ')]).toEqual([null, 'bad', null]);
  expect(given).toEqual([9223372036854775807n, 0n, 17n]);
});
