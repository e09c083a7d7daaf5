import { FLAG_LAST, KIND_LEVEL, KIND_QUOTE, KIND_TRADE } from '../schemas.js';
import { levelFlags, type MarketSink, tradeFlags } from './parsers/market-sink.js';

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
/** Which of the two words of a timestamp is the low one. */
export const LOW_WORD = littleEndian ? 0 : 1;
export const HIGH_WORD = 1 - LOW_WORD;

/**
 * Market events on their way from a source to an appender, a column a field. Filled again and again, so that a source makes no
 * object an event. Prices and sizes are whole numbers of their last decimal place. As a sink it is full now and then: `onFull` takes what is
 * in it and empties it.
 */
export class MarketBatch implements MarketSink {
  readonly capacity: number;
  length = 0;
  readonly tsNs: BigInt64Array;
  /** The same bytes, two words a timestamp: arithmetic on bigints would allocate. */
  readonly tsWords: Uint32Array;
  /** Index in `names`. */
  readonly symbol: Uint32Array;
  readonly kind: Uint8Array;
  readonly flags: Uint8Array;
  readonly price: Float64Array;
  readonly size: Float64Array;
  readonly askPrice: Float64Array;
  readonly askSize: Float64Array;
  readonly exchangeUs: Float64Array;
  readonly id: Float64Array;
  /** Symbols that the source has named so far. */
  readonly names: string[] = [];

  readonly #onFull: () => void;
  readonly #symbols = new Map<string, number>();

  constructor(capacity = 256, onFull: () => void = () => {}) {
    this.capacity = capacity;
    this.#onFull = onFull;
    this.tsNs = new BigInt64Array(capacity);
    this.tsWords = new Uint32Array(this.tsNs.buffer);
    this.symbol = new Uint32Array(capacity);
    this.kind = new Uint8Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.price = new Float64Array(capacity);
    this.size = new Float64Array(capacity);
    this.askPrice = new Float64Array(capacity);
    this.askSize = new Float64Array(capacity);
    this.exchangeUs = new Float64Array(capacity);
    this.id = new Float64Array(capacity);
  }

  trade(tsNs: bigint, symbol: string, price: number, size: number, side: number, id: number, exchangeUs: number): void {
    this.#push(tsNs, symbol, KIND_TRADE, tradeFlags(side), price, size, 0, 0, id, exchangeUs);
  }

  quote(
    tsNs: bigint,
    symbol: string,
    bid: number,
    bidSize: number,
    ask: number,
    askSize: number,
    id: number,
    exchangeUs: number,
  ): void {
    this.#push(tsNs, symbol, KIND_QUOTE, FLAG_LAST, bid, bidSize, ask, askSize, id, exchangeUs);
  }

  level(
    tsNs: bigint,
    symbol: string,
    side: number,
    flags: number,
    price: number,
    size: number,
    id: number,
    exchangeUs: number,
  ): void {
    this.#push(tsNs, symbol, KIND_LEVEL, levelFlags(side, flags), price, size, 0, 0, id, exchangeUs);
  }

  #push(
    tsNs: bigint,
    symbol: string,
    kind: number,
    flags: number,
    price: number,
    size: number,
    askPrice: number,
    askSize: number,
    id: number,
    exchangeUs: number,
  ): void {
    const row = this.length++;
    this.tsNs[row] = tsNs;
    this.symbol[row] = this.#symbolIndex(symbol);
    this.kind[row] = kind;
    this.flags[row] = flags;
    this.price[row] = price;
    this.size[row] = size;
    this.askPrice[row] = askPrice;
    this.askSize[row] = askSize;
    this.id[row] = id;
    this.exchangeUs[row] = exchangeUs;
    if (this.length === this.capacity) this.#onFull();
  }

  #symbolIndex(name: string): number {
    let index = this.#symbols.get(name);
    if (index === undefined) {
      index = this.names.length;
      this.names.push(name);
      this.#symbols.set(name, index);
    }
    return index;
  }
}
