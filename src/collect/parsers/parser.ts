import { TapeError } from '../../errors.js';
import { BinanceParser } from './binance.js';
import { CoinbaseParser } from './coinbase.js';
import { KrakenParser } from './kraken.js';
import type { MarketSink } from './market-sink.js';

/** Turns an exchange's messages into events. */
export interface MessageParser {
  /**
   * Takes one message. Answers null where it was recorded or has nothing to record (an acknowledgement, a heartbeat), else why it is
   * rejected: then none of its records was. Throws nothing but what the sink throws.
   * @param tsNs when it was received
   */
  parse(tsNs: bigint, message: string): string | null;
  /** Messages by kind, as the exchange names them; `control` had nothing to record, `unknown` and `broken` were rejected. */
  readonly counts: MessageCounts;
}

export interface MessageCounts {
  readonly control: number;
  readonly unknown: number;
  readonly broken: number;
}

/** Decimal places that prices and sizes are scaled by: those of the tape's schema. */
export interface ParserScales {
  readonly priceScale: number;
  readonly sizeScale: number;
}

export type Exchange = 'binance' | 'coinbase' | 'kraken';

/** @throws TapeError `BAD_OPTION` */
export function makeParser(exchange: Exchange, sink: MarketSink, scales: ParserScales): MessageParser {
  switch (exchange) {
    case 'binance':
      return new BinanceParser(sink, scales);
    case 'coinbase':
      return new CoinbaseParser(sink, scales);
    case 'kraken':
      return new KrakenParser(sink, scales);
  }
  throw new TapeError('BAD_OPTION', `parser is one of binance, coinbase, kraken, not ${JSON.stringify(exchange)}`);
}
