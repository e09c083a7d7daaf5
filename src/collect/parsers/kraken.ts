// Messages of Kraken's WebSocket v2: https://docs.kraken.com/api/docs/websocket-v2/trade (and …/ticker, …/book). Prices and sizes are
// JSON numbers: they are read from the text, digit by digit.
import { FLAG_LAST, FLAG_SNAPSHOT, SIDE_ASK, SIDE_BID, SIDE_BUY, SIDE_SELL } from '../../schemas.js';
import { KeyTable, OPEN_LIST, OPEN_OBJECT, UNKNOWN_KEY } from './json-scanner.js';
import { LevelList } from './level-list.js';
import type { MarketSink } from './market-sink.js';
import { BROKEN_JSON, MemberReader } from './member-reader.js';
import type { MessageParser, ParserScales } from './parser.js';

const MESSAGE_NAMES = ['channel', 'type', 'data', 'method', 'success', 'error'] as const;
const MESSAGE_KEYS = new KeyTable(MESSAGE_NAMES);
const messageKey = (name: (typeof MESSAGE_NAMES)[number]) => MESSAGE_NAMES.indexOf(name);
const CHANNEL = messageKey('channel');
const TYPE = messageKey('type');
const DATA = messageKey('data');
const METHOD = messageKey('method');
const SUCCESS = messageKey('success');
const ERROR = messageKey('error');

const ITEM_NAMES = [
  ...['symbol', 'side', 'price', 'qty', 'trade_id', 'timestamp', 'bid', 'bid_qty', 'ask', 'ask_qty', 'bids', 'asks'],
] as const;
const ITEM_KEYS = new KeyTable(ITEM_NAMES);
const itemKey = (name: (typeof ITEM_NAMES)[number]) => ITEM_NAMES.indexOf(name);
const SYMBOL = itemKey('symbol');
/** The side of the order that started the trade. */
const TAKER_SIDE = itemKey('side');
const PRICE = itemKey('price');
const QUANTITY = itemKey('qty');
const TRADE_ID = itemKey('trade_id');
const TIMESTAMP = itemKey('timestamp');
const BID = itemKey('bid');
const BID_QUANTITY = itemKey('bid_qty');
const ASK = itemKey('ask');
const ASK_QUANTITY = itemKey('ask_qty');
const BIDS = itemKey('bids');
const ASKS = itemKey('asks');

const LEVEL_NAMES = ['price', 'qty'] as const;
const LEVEL_KEYS = new KeyTable(LEVEL_NAMES);
const LEVEL_PRICE = LEVEL_NAMES.indexOf('price');
const LEVEL_QUANTITY = LEVEL_NAMES.indexOf('qty');

const CHANNELS = ['trade', 'ticker', 'book', 'heartbeat', 'status'] as const;
const CHANNEL_WORDS = new KeyTable(CHANNELS);
const TRADE = CHANNELS.indexOf('trade');
const TICKER = CHANNELS.indexOf('ticker');
const BOOK = CHANNELS.indexOf('book');

const TYPES = ['update', 'snapshot'] as const;
const TYPE_WORDS = new KeyTable(TYPES);
const SNAPSHOT = TYPES.indexOf('snapshot');

const SIDES = ['buy', 'sell'] as const;
const SIDE_WORDS = new KeyTable(SIDES);
const BUY = SIDES.indexOf('buy');

const LOWER_F = 102;
/** Trades or tickers of one message. */
const MOST_ITEMS = 65_536;
/** Numbers of an item, until all of the message is known to be good. */
const NUMBERS = 6;

/** Trades and tickers are an event each, a book one a level. */
export class KrakenParser implements MessageParser {
  readonly counts = { trade: 0, ticker: 0, book: 0, control: 0, unknown: 0, broken: 0 };
  readonly #sink: MarketSink;
  readonly #message: MemberReader;
  readonly #item: MemberReader;
  readonly #level: MemberReader;
  readonly #bids = new LevelList();
  readonly #asks = new LevelList();
  #numbers = new Float64Array(16 * NUMBERS);
  readonly #symbols: string[] = [];

  constructor(sink: MarketSink, scales: ParserScales) {
    this.#sink = sink;
    this.#message = new MemberReader(MESSAGE_NAMES, scales);
    this.#item = new MemberReader(ITEM_NAMES, scales);
    this.#level = new MemberReader(LEVEL_NAMES, scales);
  }

  parse(tsNs: bigint, message: string): string | null {
    const reader = this.#message;
    const { json } = reader;
    reader.begin(message);
    if (json.kind !== OPEN_OBJECT) {
      json.skip();
      return this.#broken(json.end() ? 'it is no object' : BROKEN_JSON);
    }
    reader.scan(MESSAGE_KEYS);
    if (!json.end()) return this.#broken(BROKEN_JSON);
    if (!reader.has(CHANNEL)) return this.#answer();
    const channel = reader.word(CHANNEL, CHANNEL_WORDS);
    if (channel === UNKNOWN_KEY) {
      this.counts.unknown++;
      return `a message of unknown channel ${reader.show(CHANNEL)}`;
    }
    if (channel !== TRADE && channel !== TICKER && channel !== BOOK) {
      this.counts.control++;
      return null;
    }
    const type = reader.word(TYPE, TYPE_WORDS);
    if (type === UNKNOWN_KEY) return this.#broken('its type is neither "snapshot" nor "update"');
    if (!reader.has(DATA) || message.charCodeAt(reader.starts[DATA]) !== OPEN_LIST) {
      return this.#broken('its data is no list');
    }
    this.#item.begin(message);
    this.#item.json.at = reader.starts[DATA];
    if (channel === BOOK) return this.#book(tsNs, type === SNAPSHOT ? FLAG_SNAPSHOT : 0);
    return channel === TRADE ? this.#trades(tsNs) : this.#tickers(tsNs);
  }

  /** To a request. */
  #answer(): string | null {
    const reader = this.#message;
    if (reader.has(METHOD) && !reader.has(ERROR)) {
      const failed = reader.has(SUCCESS) && reader.json.text.charCodeAt(reader.starts[SUCCESS]) === LOWER_F;
      if (!failed) {
        this.counts.control++;
        return null;
      }
    }
    this.counts.unknown++;
    if (reader.has(METHOD) || reader.has(ERROR)) return `the exchange refused a request: ${reader.show(ERROR)}`;
    return 'a message of no channel';
  }

  #trades(tsNs: bigint): string | null {
    const item = this.#item;
    const count = this.#readItems((at) => {
      const numbers = this.#numbers;
      numbers[at] = item.price(PRICE);
      numbers[at + 1] = item.size(QUANTITY);
      const side = item.word(TAKER_SIDE, SIDE_WORDS);
      if (side === UNKNOWN_KEY) item.reason ??= '"side" is neither "buy" nor "sell"';
      numbers[at + 2] = side === BUY ? SIDE_BUY : SIDE_SELL;
      numbers[at + 4] = item.whole(TRADE_ID);
    });
    if (item.reason !== null) return this.#broken(item.reason);
    const numbers = this.#numbers;
    for (let i = 0; i < count; i++) {
      const at = i * NUMBERS;
      const symbol = this.#symbols[i];
      this.#sink.trade(tsNs, symbol, numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 4], numbers[at + 5]);
    }
    this.counts.trade++;
    return null;
  }

  #tickers(tsNs: bigint): string | null {
    const item = this.#item;
    const count = this.#readItems((at) => {
      const numbers = this.#numbers;
      numbers[at] = item.price(BID);
      numbers[at + 1] = item.size(BID_QUANTITY);
      numbers[at + 2] = item.price(ASK);
      numbers[at + 3] = item.size(ASK_QUANTITY);
      numbers[at + 4] = 0;
    });
    if (item.reason !== null) return this.#broken(item.reason);
    const numbers = this.#numbers;
    for (let i = 0; i < count; i++) {
      const at = i * NUMBERS;
      this.#sink.quote(
        tsNs,
        this.#symbols[i],
        numbers[at],
        numbers[at + 1],
        numbers[at + 2],
        numbers[at + 3],
        numbers[at + 4],
        numbers[at + 5],
      );
    }
    this.counts.ticker++;
    return null;
  }

  /** Over the list of items: `read` takes the numbers of each from its members, the last one, its time, aside. How many they are. */
  #readItems(read: (at: number) => void): number {
    const item = this.#item;
    const { json } = item;
    let count = 0;
    for (let more = json.firstElement(); more; more = json.nextElement()) {
      if (json.kind !== OPEN_OBJECT) item.reason ??= 'its data is no list of objects';
      else if (count === MOST_ITEMS) item.reason ??= `it has more than ${MOST_ITEMS} items`;
      if (item.reason !== null) break;
      item.scan(ITEM_KEYS);
      const end = json.at;
      const at = count * NUMBERS;
      if (at === this.#numbers.length) {
        const numbers = new Float64Array(2 * at);
        numbers.set(this.#numbers);
        this.#numbers = numbers;
      }
      this.#symbols[count++] = item.symbol(SYMBOL);
      read(at);
      this.#numbers[at + 5] = item.timeUs(TIMESTAMP);
      json.at = end;
    }
    return count;
  }

  #book(tsNs: bigint, flags: number): string | null {
    const item = this.#item;
    const { json } = item;
    // A book is the one item of its message.
    if (!json.firstElement() || json.kind !== OPEN_OBJECT) return this.#broken('its data is no list of one book');
    item.scan(ITEM_KEYS);
    if (json.nextElement()) return this.#broken('its data is no list of one book');
    const symbol = item.symbol(SYMBOL);
    const exchangeUs = item.timeUs(TIMESTAMP);
    const bids = this.#bids;
    const asks = this.#asks;
    this.#readLevels(BIDS, bids);
    this.#readLevels(ASKS, asks);
    if (item.reason !== null) return this.#broken(item.reason);
    const last = bids.length + asks.length - 1;
    for (let i = 0; i <= last; i++) {
      const isBid = i < bids.length;
      const of = isBid ? bids : asks;
      const at = isBid ? i : i - bids.length;
      const all = i === last ? flags | FLAG_LAST : flags;
      this.#sink.level(tsNs, symbol, isBid ? SIDE_BID : SIDE_ASK, all, of.prices[at], of.sizes[at], 0, exchangeUs);
    }
    this.counts.book++;
    return null;
  }

  /** The levels of a side, {"price":…,"qty":…} each; one that is missing has none. */
  #readLevels(key: number, levels: LevelList): void {
    const item = this.#item;
    const level = this.#level;
    levels.clear();
    if (!item.has(key) || item.reason !== null) return;
    const { text } = item.json;
    if (text.charCodeAt(item.starts[key]) !== OPEN_LIST) {
      item.reason = 'its bids or asks are no list';
      return;
    }
    level.begin(text);
    const { json } = level;
    json.at = item.starts[key];
    for (let more = json.firstElement(); more; more = json.nextElement()) {
      if (json.kind !== OPEN_OBJECT) {
        item.reason = 'a level is no object';
        return;
      }
      level.scan(LEVEL_KEYS);
      const end = json.at;
      const price = level.price(LEVEL_PRICE);
      const size = level.size(LEVEL_QUANTITY);
      item.reason = level.reason;
      if (item.reason === null && !levels.push(price, size)) item.reason = levels.reason;
      if (item.reason !== null) return;
      json.at = end;
    }
  }

  #broken(reason: string): string {
    this.counts.broken++;
    return reason;
  }
}
