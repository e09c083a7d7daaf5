import { TapeError } from '../../errors.js';
import type { Schema } from '../../schema.js';
import {
  builtInSchema,
  FLAG_ASK,
  FLAG_LAST,
  FLAG_UNKNOWN_SIDE,
  KIND_LEVEL,
  KIND_QUOTE,
  KIND_TRADE,
  SIDE_ASK,
  SIDE_SELL,
  SIDE_UNKNOWN,
} from '../../schemas.js';

/**
 * What a parser gives its events to. Prices and sizes are whole numbers of their last place, `exchangeUs` is the exchange's time in
 * microseconds; sides, flags and ids are as in src/schemas.ts.
 */
export interface MarketSink {
  trade(tsNs: bigint, symbol: string, price: number, size: number, side: number, id: number, exchangeUs: number): void;
  quote(
    tsNs: bigint,
    symbol: string,
    bid: number,
    bidSize: number,
    ask: number,
    askSize: number,
    id: number,
    exchangeUs: number,
  ): void;
  level(
    tsNs: bigint,
    symbol: string,
    side: number,
    flags: number,
    price: number,
    size: number,
    id: number,
    exchangeUs: number,
  ): void;
}

/** Flags of an event in the market schema, where it has no side of its own. */
export const tradeFlags = (side: number): number =>
  FLAG_LAST | (side === SIDE_SELL ? FLAG_ASK : side === SIDE_UNKNOWN ? FLAG_UNKNOWN_SIDE : 0);
export const levelFlags = (side: number, flags: number): number => flags | (side === SIDE_ASK ? FLAG_ASK : 0);

// biome-ignore lint/suspicious/noExplicitAny: of whatever schema; the classes below keep to their own
type AppendScaled = (...values: any[]) => number;

/** A sink that appends; what its schema has no record for is counted in `skipped`. */
export type AppendingSink = MarketSink & { readonly skipped: number };

class TradeSink implements AppendingSink {
  skipped = 0;
  readonly #append: AppendScaled;

  constructor(append: AppendScaled) {
    this.#append = append;
  }

  trade(ts: bigint, symbol: string, price: number, size: number, side: number, id: number, exchangeUs: number): void {
    this.#append(ts, symbol, price, size, side, id, exchangeUs);
  }

  quote(): void {
    this.skipped++;
  }

  level(): void {
    this.skipped++;
  }
}

class QuoteSink implements AppendingSink {
  skipped = 0;
  readonly #append: AppendScaled;

  constructor(append: AppendScaled) {
    this.#append = append;
  }

  trade(): void {
    this.skipped++;
  }

  quote(
    ts: bigint,
    symbol: string,
    bid: number,
    bidSize: number,
    ask: number,
    askSize: number,
    id: number,
    exchangeUs: number,
  ): void {
    this.#append(ts, symbol, bid, bidSize, ask, askSize, id, exchangeUs);
  }

  level(): void {
    this.skipped++;
  }
}

class LevelSink implements AppendingSink {
  skipped = 0;
  readonly #append: AppendScaled;

  constructor(append: AppendScaled) {
    this.#append = append;
  }

  trade(): void {
    this.skipped++;
  }

  quote(): void {
    this.skipped++;
  }

  level(
    ts: bigint,
    symbol: string,
    side: number,
    flags: number,
    price: number,
    size: number,
    id: number,
    exchangeUs: number,
  ): void {
    this.#append(ts, symbol, side, flags, price, size, id, exchangeUs);
  }
}

class WholeMarketSink implements AppendingSink {
  readonly skipped = 0;
  readonly #append: AppendScaled;
  readonly #collector: number;

  constructor(append: AppendScaled, collector: number) {
    this.#append = append;
    this.#collector = collector;
  }

  trade(ts: bigint, symbol: string, price: number, size: number, side: number, id: number, exchangeUs: number): void {
    this.#append(ts, symbol, KIND_TRADE, tradeFlags(side), this.#collector, price, size, 0, 0, exchangeUs, id);
  }

  quote(
    ts: bigint,
    symbol: string,
    bid: number,
    bidSize: number,
    ask: number,
    askSize: number,
    id: number,
    exchangeUs: number,
  ): void {
    this.#append(ts, symbol, KIND_QUOTE, FLAG_LAST, this.#collector, bid, bidSize, ask, askSize, exchangeUs, id);
  }

  level(
    ts: bigint,
    symbol: string,
    side: number,
    flags: number,
    price: number,
    size: number,
    id: number,
    exchangeUs: number,
  ): void {
    const all = levelFlags(side, flags);
    this.#append(ts, symbol, KIND_LEVEL, all, this.#collector, price, size, 0, 0, exchangeUs, id);
  }
}

/** Decimal places of a built-in schema's prices and sizes: what its parser must be made with. */
export function scalesOf(schema: Schema): { priceScale: number; sizeScale: number } {
  const scale = (...names: string[]) => schema.fields.find(({ name }) => names.includes(name))?.scale ?? 0;
  return { priceScale: scale('price', 'bid'), sizeScale: scale('size', 'bidSize') };
}

/**
 * Appends events as records of `schema`, a built-in one of trades, quotes, levels or the whole market.
 * @param append `appendScaled` of the tape, or of an appender
 * @param collector what the market schema's field of that name gets
 * @throws TapeError `BAD_OPTION` where the schema is none of them
 */
export function sinkFor(schema: Schema, append: AppendScaled, collector = 0): AppendingSink {
  const { name, fingerprint } = schema;
  const sinks: Record<string, () => AppendingSink> = {
    trade: () => new TradeSink(append),
    quote: () => new QuoteSink(append),
    level: () => new LevelSink(append),
    market: () => new WholeMarketSink(append, collector),
  };
  if (!Object.hasOwn(sinks, name) || builtInSchema(name, scalesOf(schema)).fingerprint !== fingerprint) {
    const built = Object.keys(sinks).join(', ');
    throw new TapeError('BAD_OPTION', `market events can't be recorded as ${name}: use a built-in schema (${built})`);
  }
  return sinks[name]();
}
