// Messages of Coinbase Exchange's market data feed: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
import { FLAG_LAST, FLAG_SNAPSHOT, SIDE_ASK, SIDE_BID, SIDE_BUY, SIDE_SELL, SIDE_UNKNOWN } from '../../schemas.js';
import { isScaled } from './decimal.js';
import { KeyTable, NO_MEMBER, OPEN_LIST, OPEN_OBJECT, UNKNOWN_KEY } from './json-scanner.js';
import { LevelList } from './level-list.js';
import type { MarketSink } from './market-sink.js';
import { BROKEN_JSON, MemberReader, refusal } from './member-reader.js';
import type { MessageParser, ParserScales } from './parser.js';

const NAMES = [
  ...['type', 'product_id', 'time', 'sequence', 'trade_id', 'side', 'price', 'size'],
  ...['best_bid', 'best_bid_size', 'best_ask', 'best_ask_size', 'bids', 'asks', 'changes', 'message', 'reason'],
] as const;
const KEYS = new KeyTable(NAMES);
const key = (name: (typeof NAMES)[number]) => NAMES.indexOf(name);
const TYPE = key('type');
const PRODUCT = key('product_id');
const TIME = key('time');
const SEQUENCE = key('sequence');
const TRADE_ID = key('trade_id');
/** Of a match: the side of the order that was there first. */
const MAKER_SIDE = key('side');
const PRICE = key('price');
const SIZE = key('size');
const BEST_BID = key('best_bid');
const BEST_BID_SIZE = key('best_bid_size');
const BEST_ASK = key('best_ask');
const BEST_ASK_SIZE = key('best_ask_size');
const BIDS = key('bids');
const ASKS = key('asks');
const CHANGES = key('changes');
const MESSAGE = key('message');
const REASON = key('reason');

const TYPES = [
  ...['match', 'ticker', 'snapshot', 'l2update', 'error'],
  // Nothing to record; the last match of before the subscription is one that may have been recorded then.
  ...['last_match', 'heartbeat', 'subscriptions', 'status'],
] as const;
const TYPE_WORDS = new KeyTable(TYPES);
const MATCH = TYPES.indexOf('match');
const TICKER = TYPES.indexOf('ticker');
const SNAPSHOT = TYPES.indexOf('snapshot');
const CHANGE = TYPES.indexOf('l2update');
const FAILURE = TYPES.indexOf('error');

const SIDES = ['buy', 'sell'] as const;
const SIDE_WORDS = new KeyTable(SIDES);
const BUY = SIDES.indexOf('buy');

/** A match is a trade, a ticker a quote; a snapshot and a change of the book are one event a level. */
export class CoinbaseParser implements MessageParser {
  readonly counts = { match: 0, ticker: 0, snapshot: 0, l2update: 0, control: 0, unknown: 0, broken: 0 };
  readonly #sink: MarketSink;
  readonly #reader: MemberReader;
  readonly #bids = new LevelList();
  readonly #asks = new LevelList();
  readonly #changes = new LevelList();
  /** By change: SIDE_BID or SIDE_ASK. */
  #sides = new Uint8Array(64);

  constructor(sink: MarketSink, scales: ParserScales) {
    this.#sink = sink;
    this.#reader = new MemberReader(NAMES, scales);
  }

  parse(tsNs: bigint, message: string): string | null {
    const reader = this.#reader;
    const { json } = reader;
    reader.begin(message);
    if (json.kind !== OPEN_OBJECT) {
      json.skip();
      return this.#broken(json.end() ? 'it is no object' : BROKEN_JSON);
    }
    for (let key = json.firstMember(KEYS); key !== NO_MEMBER; key = json.nextMember(KEYS)) this.#value(key);
    if (!json.end()) return this.#broken(BROKEN_JSON);
    const type = reader.word(TYPE, TYPE_WORDS);
    switch (type) {
      case MATCH:
        return this.#match(tsNs);
      case TICKER:
        return this.#ticker(tsNs);
      case SNAPSHOT:
        return this.#snapshot(tsNs);
      case CHANGE:
        return this.#change(tsNs);
      case FAILURE:
        this.counts.unknown++;
        return `the exchange refused a request: ${reader.show(MESSAGE)} ${reader.has(REASON) ? reader.show(REASON) : ''}`;
      case UNKNOWN_KEY:
        this.counts.unknown++;
        return `a message of unknown type ${reader.show(TYPE)}`;
    }
    this.counts.control++;
    return null;
  }

  #value(key: number): void {
    const reader = this.#reader;
    const { json, priceScale, sizeScale } = reader;
    if (key !== UNKNOWN_KEY) reader.starts[key] = json.at;
    if (key === BIDS) this.#bids.read(json, priceScale, sizeScale, refusal);
    else if (key === ASKS) this.#asks.read(json, priceScale, sizeScale, refusal);
    else if (key === CHANGES) this.#readChanges();
    else json.skip();
  }

  /** Over the value here: a list of [side, price, size]. */
  #readChanges(): void {
    const changes = this.#changes;
    const { json } = this.#reader;
    const from = json.at;
    changes.clear();
    if (json.kind !== OPEN_LIST) changes.reason = 'its changes are no list';
    else {
      for (let more = json.firstElement(); more; more = json.nextElement()) {
        if (!this.#readChange()) break;
      }
    }
    if (changes.reason === null || json.failed) return;
    // Whether the rest of it is JSON is still to be seen.
    json.at = from;
    json.skip();
  }

  #readChange(): boolean {
    const changes = this.#changes;
    const { json, priceScale, sizeScale } = this.#reader;
    changes.reason = 'a change is not of side, price and size';
    if (json.kind !== OPEN_LIST || !json.firstElement()) return false;
    const sideAt = json.at;
    json.skip();
    if (json.failed) return false;
    const side = json.wordAt(sideAt, SIDE_WORDS);
    if (side === UNKNOWN_KEY || !json.nextElement()) return false;
    const price = json.decimal(priceScale);
    if (!isScaled(price)) {
      changes.reason = refusal(price, 'the price of a change', 'price_scale', priceScale);
      return false;
    }
    if (!json.nextElement()) return false;
    const size = json.decimal(sizeScale);
    if (!isScaled(size)) {
      changes.reason = refusal(size, 'the size of a change', 'size_scale', sizeScale);
      return false;
    }
    while (json.nextElement()) json.skip();
    if (json.failed) return false;
    changes.reason = null;
    if (!changes.push(price, size)) return false;
    if (changes.length > this.#sides.length) {
      const sides = new Uint8Array(changes.prices.length);
      sides.set(this.#sides);
      this.#sides = sides;
    }
    this.#sides[changes.length - 1] = side === BUY ? SIDE_BID : SIDE_ASK;
    return true;
  }

  #match(tsNs: bigint): string | null {
    const reader = this.#reader;
    const symbol = reader.symbol(PRODUCT);
    const price = reader.price(PRICE);
    const size = reader.size(SIZE);
    const id = reader.whole(TRADE_ID);
    const exchangeUs = reader.timeUs(TIME);
    const maker = reader.word(MAKER_SIDE, SIDE_WORDS);
    if (reader.has(MAKER_SIDE) && maker === UNKNOWN_KEY) reader.reason ??= '"side" is neither "buy" nor "sell"';
    if (reader.reason !== null) return this.#broken(reader.reason);
    const side = maker === UNKNOWN_KEY ? SIDE_UNKNOWN : maker === BUY ? SIDE_SELL : SIDE_BUY;
    this.#sink.trade(tsNs, symbol, price, size, side, id, exchangeUs);
    this.counts.match++;
    return null;
  }

  #ticker(tsNs: bigint): string | null {
    const reader = this.#reader;
    const symbol = reader.symbol(PRODUCT);
    const bid = reader.price(BEST_BID);
    const bidSize = reader.size(BEST_BID_SIZE);
    const ask = reader.price(BEST_ASK);
    const askSize = reader.size(BEST_ASK_SIZE);
    const id = reader.whole(SEQUENCE, true);
    const exchangeUs = reader.timeUs(TIME);
    if (reader.reason !== null) return this.#broken(reader.reason);
    this.#sink.quote(tsNs, symbol, bid, bidSize, ask, askSize, id, exchangeUs);
    this.counts.ticker++;
    return null;
  }

  #snapshot(tsNs: bigint): string | null {
    const reader = this.#reader;
    const symbol = reader.symbol(PRODUCT);
    const id = reader.whole(SEQUENCE, true);
    const exchangeUs = reader.timeUs(TIME);
    const bids = this.#bids;
    const asks = this.#asks;
    for (const [key, levels] of [
      [BIDS, bids],
      [ASKS, asks],
    ] as const) {
      if (!reader.has(key)) reader.reason ??= 'its bids or asks are missing';
      else reader.reason ??= levels.reason;
    }
    if (reader.reason !== null) return this.#broken(reader.reason);
    const last = bids.length + asks.length - 1;
    for (let i = 0; i <= last; i++) {
      const isBid = i < bids.length;
      const of = isBid ? bids : asks;
      const at = isBid ? i : i - bids.length;
      const flags = i === last ? FLAG_SNAPSHOT | FLAG_LAST : FLAG_SNAPSHOT;
      this.#sink.level(tsNs, symbol, isBid ? SIDE_BID : SIDE_ASK, flags, of.prices[at], of.sizes[at], id, exchangeUs);
    }
    this.counts.snapshot++;
    return null;
  }

  #change(tsNs: bigint): string | null {
    const reader = this.#reader;
    const symbol = reader.symbol(PRODUCT);
    const id = reader.whole(SEQUENCE, true);
    const exchangeUs = reader.timeUs(TIME);
    const changes = this.#changes;
    if (!reader.has(CHANGES)) reader.reason ??= 'its changes are missing';
    else reader.reason ??= changes.reason;
    if (reader.reason !== null) return this.#broken(reader.reason);
    for (let i = 0; i < changes.length; i++) {
      const flags = i === changes.length - 1 ? FLAG_LAST : 0;
      this.#sink.level(tsNs, symbol, this.#sides[i], flags, changes.prices[i], changes.sizes[i], id, exchangeUs);
    }
    this.counts.l2update++;
    return null;
  }

  #broken(reason: string): string {
    this.counts.broken++;
    return reason;
  }
}
