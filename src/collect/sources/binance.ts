import { FLAG_ASK, FLAG_LAST, FLAG_SNAPSHOT, KIND_LEVEL, KIND_QUOTE, KIND_TRADE } from '../../schemas.js';
import { PRICE_SCALE, SIZE_SCALE } from '../market.js';
import { HIGH_WORD, LOW_WORD, type MarketBatch } from '../market-batch.js';

/** How many messages of a feed were what. */
export interface FeedCounts {
  trade: number;
  bookTicker: number;
  depthUpdate: number;
  /** Order books asked for by REST and written between the others. */
  snapshot: number;
  /** Well-formed, but of no kind that is known here. */
  unknown: number;
  /** Not `<ns> <json>`, or with a field missing or out of range. */
  broken: number;
}

export const noCounts = (): FeedCounts => ({
  trade: 0,
  bookTicker: 0,
  depthUpdate: 0,
  snapshot: 0,
  unknown: 0,
  broken: 0,
});

type Level = [price: string, size: string];

/** A message of the combined stream, as far as it is read. Any field may be missing or of another type. */
interface Message {
  e?: unknown;
  s?: unknown;
  T?: unknown;
  /** Price and size of a trade. */
  p?: unknown;
  q?: unknown;
  /** Whether the buyer was there first: then a seller started the trade. */
  m?: unknown;
  t?: unknown;
  u?: unknown;
  lastUpdateId?: unknown;
  b?: unknown;
  B?: unknown;
  a?: unknown;
  A?: unknown;
  bids?: unknown;
  asks?: unknown;
}

/** What a symbol field takes. */
const MAX_NAME_BYTES = 55;

class Broken extends Error {}

/**
 * Turns lines of a captured Binance feed (`<ns> <json>`, combined stream) into market events: a trade and a bookTicker are one
 * record, a depthUpdate and a snapshot one a level. A line gives all of its records or none.
 */
export class BinanceParser {
  readonly counts = noCounts();
  readonly #batch: MarketBatch;
  readonly #onFull: () => void;
  readonly #ids = new Map<string, number>();
  #prices = new Float64Array(1024);
  #sizes = new Float64Array(1024);
  readonly #ns = new BigInt64Array(1);
  readonly #nsWords = new Uint32Array(this.#ns.buffer);
  #tsHigh = 0;
  #tsLow = 0;

  /** @param onFull takes what is in `batch` when it is full, and empties it */
  constructor(batch: MarketBatch, onFull: () => void) {
    this.#batch = batch;
    this.#onFull = onFull;
  }

  /** Parses one line. Answers why it gave no records, or `undefined`: the counts say it as well. */
  parse(line: string): string | undefined {
    try {
      const space = line.indexOf(' ');
      if (space < 1 || !/^\d{1,19}$/.test(line.slice(0, space))) throw new Broken('no time in ns at its start');
      this.#ns[0] = BigInt(line.slice(0, space));
      if (this.#ns[0] < 0n) throw new Broken('its time is out of range');
      this.#tsLow = this.#nsWords[LOW_WORD];
      this.#tsHigh = this.#nsWords[HIGH_WORD];
      return this.#message(parseJson(line.slice(space + 1)));
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      this.counts.broken++;
      return error.message;
    }
  }

  #message(message: Message): string | undefined {
    switch (message.e) {
      case 'trade':
        this.#trade(message);
        this.counts.trade++;
        return undefined;
      case 'bookTicker':
        this.#quote(message);
        this.counts.bookTicker++;
        return undefined;
      case 'depthUpdate':
        this.#levels(message, message.b, message.a, whole(message.u, 'u'), this.#symbol(message), 0);
        this.counts.depthUpdate++;
        return undefined;
    }
    if (message.e === undefined && message.lastUpdateId !== undefined) {
      const id = whole(message.lastUpdateId, 'lastUpdateId');
      this.#levels(message, message.bids, message.asks, id, this.#onlySymbol(), FLAG_SNAPSHOT);
      this.counts.snapshot++;
      return undefined;
    }
    this.counts.unknown++;
    return `a message of unknown kind ${JSON.stringify(message.e) ?? '(no "e")'}`;
  }

  #trade(message: Message): void {
    const symbol = this.#symbol(message);
    const price = scaled(message.p, PRICE_SCALE, 'p');
    const size = scaled(message.q, SIZE_SCALE, 'q');
    const id = whole(message.t, 't');
    const exchangeMs = exchangeTimeMs(message);
    const side = message.m === true ? FLAG_ASK : 0;
    this.#write(symbol, KIND_TRADE, side | FLAG_LAST, price, size, 0, 0, exchangeMs, id);
  }

  #quote(message: Message): void {
    const symbol = this.#symbol(message);
    const price = scaled(message.b, PRICE_SCALE, 'b');
    const size = scaled(message.B, SIZE_SCALE, 'B');
    const askPrice = scaled(message.a, PRICE_SCALE, 'a');
    const askSize = scaled(message.A, SIZE_SCALE, 'A');
    const id = whole(message.u, 'u');
    const exchangeMs = exchangeTimeMs(message);
    this.#write(symbol, KIND_QUOTE, FLAG_LAST, price, size, askPrice, askSize, exchangeMs, id);
  }

  #levels(message: Message, bids: unknown, asks: unknown, id: number, symbol: number, flags: number): void {
    const exchangeMs = exchangeTimeMs(message);
    if (!Array.isArray(bids) || !Array.isArray(asks)) throw new Broken('its bids or asks are no list');
    const count = bids.length + asks.length;
    if (count > this.#prices.length) {
      this.#prices = new Float64Array(2 * count);
      this.#sizes = new Float64Array(2 * count);
    }
    this.#scaleLevels(bids, 0);
    this.#scaleLevels(asks, bids.length);
    for (let i = 0; i < count; i++) {
      const all = flags | (i < bids.length ? 0 : FLAG_ASK) | (i === count - 1 ? FLAG_LAST : 0);
      this.#write(symbol, KIND_LEVEL, all, this.#prices[i], this.#sizes[i], 0, 0, exchangeMs, id);
    }
  }

  #scaleLevels(levels: Level[], at: number): void {
    for (let i = 0; i < levels.length; i++) {
      const level = levels[i];
      if (!Array.isArray(level)) throw new Broken('a level is no pair');
      this.#prices[at + i] = scaled(level[0], PRICE_SCALE, 'price of a level');
      this.#sizes[at + i] = scaled(level[1], SIZE_SCALE, 'size of a level');
    }
  }

  #write(
    symbol: number,
    kind: number,
    flags: number,
    price: number,
    size: number,
    askPrice: number,
    askSize: number,
    exchangeMs: number,
    id: number,
  ): void {
    const batch = this.#batch;
    const row = batch.length++;
    batch.tsWords[2 * row + LOW_WORD] = this.#tsLow;
    batch.tsWords[2 * row + HIGH_WORD] = this.#tsHigh;
    batch.symbol[row] = symbol;
    batch.kind[row] = kind;
    batch.flags[row] = flags;
    batch.price[row] = price;
    batch.size[row] = size;
    batch.askPrice[row] = askPrice;
    batch.askSize[row] = askSize;
    batch.exchangeUs[row] = 1000 * exchangeMs;
    batch.id[row] = id;
    if (batch.length === batch.capacity) this.#onFull();
  }

  #symbol({ s }: Message): number {
    let id = this.#ids.get(s as string);
    if (id === undefined) {
      if (typeof s !== 'string' || s === '' || new TextEncoder().encode(s).length > MAX_NAME_BYTES) {
        throw new Broken(`its symbol "s" is no name of 1 to ${MAX_NAME_BYTES} bytes`);
      }
      id = this.#batch.names.length;
      this.#batch.names.push(s);
      this.#ids.set(s, id);
    }
    return id;
  }

  /** A snapshot doesn't name its symbol: it must be the only one of the feed. */
  #onlySymbol(): number {
    if (this.#batch.names.length === 1) return 0;
    throw new Broken('a snapshot names no symbol, and the messages before it no single one');
  }
}

function parseJson(text: string): Message {
  try {
    const parsed = JSON.parse(text) as { stream?: unknown; data?: Message } | null;
    const message = parsed?.data ?? parsed;
    if (typeof message === 'object' && message !== null) return message as Message;
  } catch {}
  throw new Broken('its JSON is broken');
}

/** Not every stream says it: 0 then. */
const exchangeTimeMs = ({ T }: Message): number => (T === undefined ? 0 : whole(T, 'T'));

function whole(value: unknown, name: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new Broken(`${JSON.stringify(name)} is no whole number`);
}

const POINT = 46;
const ZERO = 48;

/** A decimal number in text as a whole number of its `scale`th place. Exact, or refused. */
export function scaled(text: unknown, scale: number, name: string): number {
  let digits = 0;
  let places = -1;
  let value = 0;
  if (typeof text === 'string') {
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code === POINT && places < 0 && i > 0) {
        places = 0;
        continue;
      }
      const digit = code - ZERO;
      if (digit < 0 || digit > 9) throw new Broken(`${JSON.stringify(name)} is no decimal number`);
      if (places >= 0 && ++places > scale) {
        if (digit !== 0) throw new Broken(`${JSON.stringify(name)} has more than ${scale} decimal places`);
        continue;
      }
      value = value * 10 + digit;
      digits++;
    }
  }
  if (digits === 0) throw new Broken(`${JSON.stringify(name)} is no decimal number`);
  for (let place = Math.max(places, 0); place < scale; place++) value *= 10;
  if (value > Number.MAX_SAFE_INTEGER) throw new Broken(`${JSON.stringify(name)} is too large`);
  return value;
}
