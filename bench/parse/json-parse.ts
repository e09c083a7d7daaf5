import type { market } from '../../src/collect/market.js';
import type { ValuesOf } from '../../src/schema.js';
import { FLAG_ASK, FLAG_LAST, FLAG_SNAPSHOT, KIND_LEVEL, KIND_QUOTE, KIND_TRADE } from '../../src/schemas.js';

type Append = (...values: ValuesOf<typeof market.fields>) => number;
type Level = [price: string, size: string];

/** What is usual: JSON.parse, Number, append. Of Binance's messages as they are in the capture; nothing is checked. */
export function appendParsed(append: Append, ts: bigint, text: string): null {
  const parsed = JSON.parse(text);
  const message = parsed.data ?? parsed;
  switch (message.e) {
    case 'bookTicker': {
      const { s, b, B, a, A, T, u } = message;
      append(ts, s, KIND_QUOTE, FLAG_LAST, 0, Number(b), Number(B), Number(a), Number(A), T, u);
      return null;
    }
    case 'trade': {
      const { s, p, q, m, T, t } = message;
      append(ts, s, KIND_TRADE, m ? FLAG_ASK | FLAG_LAST : FLAG_LAST, 0, Number(p), Number(q), 0, 0, T, t);
      return null;
    }
    case 'depthUpdate':
      appendLevels(append, ts, message.s, message.b, message.a, message.T, message.u, 0);
      return null;
  }
  appendLevels(append, ts, 'BTCUSDT', message.bids, message.asks, message.T, message.lastUpdateId, FLAG_SNAPSHOT);
  return null;
}

function appendLevels(
  append: Append,
  ts: bigint,
  symbol: string,
  bids: Level[],
  asks: Level[],
  exchangeMs: number,
  id: number,
  flags: number,
): void {
  const count = bids.length + asks.length;
  for (let i = 0; i < count; i++) {
    const isBid = i < bids.length;
    const [price, size] = isBid ? bids[i] : asks[i - bids.length];
    const all = flags | (isBid ? 0 : FLAG_ASK) | (i === count - 1 ? FLAG_LAST : 0);
    append(ts, symbol, KIND_LEVEL, all, 0, Number(price), Number(size), 0, 0, exchangeMs, id);
  }
}
