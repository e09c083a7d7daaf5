// Messages of Binance's market streams, spot and USD-M futures:
// https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
// https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
import { FLAG_LAST, FLAG_SNAPSHOT, SIDE_ASK, SIDE_BID, SIDE_BUY, SIDE_SELL, SIDE_UNKNOWN } from '../../schemas.js';
import { KeyTable, NO_MEMBER, OPEN_LIST, OPEN_OBJECT, UNKNOWN_KEY } from './json-scanner.js';
import { LevelList } from './level-list.js';
import type { MarketSink } from './market-sink.js';
import { BROKEN_JSON, MemberReader, refusal } from './member-reader.js';
import { checked } from './name-cache.js';
import type { MessageParser, ParserScales } from './parser.js';

/** How many messages of a feed were what. */
export interface FeedCounts {
  trade: number;
  aggTrade: number;
  bookTicker: number;
  depthUpdate: number;
  /** Order books asked for by REST and written between the others, or of a stream of partial books. */
  snapshot: number;
  /** Acknowledgements of requests: nothing to record. */
  control: number;
  /** Well-formed, but of no kind that is known here. */
  unknown: number;
  /** No JSON object, or with a member missing or out of range. */
  broken: number;
}

export const noCounts = (): FeedCounts => ({
  trade: 0,
  aggTrade: 0,
  bookTicker: 0,
  depthUpdate: 0,
  snapshot: 0,
  control: 0,
  unknown: 0,
  broken: 0,
});

const NAMES = [
  ...['e', 's', 'T', 'E', 'p', 'q', 'm', 't', 'u', 'b', 'B', 'a', 'A', 'lastUpdateId', 'bids', 'asks'],
  ...['stream', 'data', 'result', 'id', 'error', 'msg'],
] as const;
const KEYS = new KeyTable(NAMES);
const key = (name: (typeof NAMES)[number]) => NAMES.indexOf(name);
const EVENT = key('e');
const SYMBOL = key('s');
const EXCHANGE_TIME = key('T');
const EVENT_TIME = key('E');
const PRICE = key('p');
const QUANTITY = key('q');
/** Whether the buyer was there first: then a seller started the trade. */
const BUYER_IS_MAKER = key('m');
const TRADE_ID = key('t');
const UPDATE_ID = key('u');
/** Of a quote the price; of an update of the book its levels; `a` of an aggregated trade its id. */
const BID = key('b');
const BID_SIZE = key('B');
const ASK = key('a');
const ASK_SIZE = key('A');
const LAST_UPDATE_ID = key('lastUpdateId');
const BIDS = key('bids');
const ASKS = key('asks');
const STREAM = key('stream');
const DATA = key('data');
const RESULT = key('result');
const REQUEST_ID = key('id');
const ERROR = key('error');
const ERROR_MESSAGE = key('msg');

const EVENTS = ['trade', 'aggTrade', 'bookTicker', 'depthUpdate', 'serverShutdown'] as const;
const EVENT_WORDS = new KeyTable(EVENTS);
const TRADE = EVENTS.indexOf('trade');
const AGGREGATED_TRADE = EVENTS.indexOf('aggTrade');
const QUOTE = EVENTS.indexOf('bookTicker');
const BOOK_UPDATE = EVENTS.indexOf('depthUpdate');
const SHUTDOWN = EVENTS.indexOf('serverShutdown');

const LOWER_N = 110;
/** Times from here on are in microseconds, as streams give them that were asked to: in milliseconds it is the year 5138. */
const FIRST_US = 1e14;

/**
 * A trade and a quote are one event, an update and a snapshot of the book one a level. Messages may be bare or those of a combined stream
 * (`{"stream":…,"data":…}`).
 */
export class BinanceParser implements MessageParser {
  readonly counts: FeedCounts = noCounts();
  readonly #sink: MarketSink;
  readonly #reader: MemberReader;
  /** By key: of BID, ASK, BIDS and ASKS. */
  readonly #levels: readonly (LevelList | undefined)[];
  /** Where the name of the stream begins, -1 without one. */
  #stream = -1;
  /** Of the messages so far, and whether it was one alone. */
  #symbol: string | null = null;
  #isOnly = true;

  constructor(sink: MarketSink, scales: ParserScales) {
    this.#sink = sink;
    this.#reader = new MemberReader(NAMES, scales);
    this.#levels = NAMES.map((_, i) => ([BID, ASK, BIDS, ASKS].includes(i) ? new LevelList() : undefined));
  }

  parse(tsNs: bigint, message: string): string | null {
    const reader = this.#reader;
    reader.begin(message);
    if (reader.json.kind !== OPEN_OBJECT) {
      reader.json.skip();
      return this.#broken(reader.json.end() ? 'it is no object' : BROKEN_JSON);
    }
    this.#scan();
    if (!reader.json.end()) return this.#broken(BROKEN_JSON);
    if (reader.reason !== null) return this.#broken(reader.reason);
    switch (reader.word(EVENT, EVENT_WORDS)) {
      case QUOTE:
        return this.#quote(tsNs);
      case TRADE:
        return this.#trade(tsNs, TRADE_ID);
      case AGGREGATED_TRADE:
        return this.#trade(tsNs, ASK);
      case BOOK_UPDATE:
        return this.#bookUpdate(tsNs);
      case SHUTDOWN:
        this.counts.control++;
        return null;
    }
    return this.#withoutEvent(tsNs);
  }

  /** Keeps where the members of the message begin: of the object here, or of what a combined stream has wrapped in it. */
  #scan(): void {
    const reader = this.#reader;
    const { json } = reader;
    this.#stream = -1;
    let isWrapped = false;
    for (let key = json.firstMember(KEYS); key !== NO_MEMBER; key = json.nextMember(KEYS)) {
      if (key === DATA && isWrapped) reader.reason = 'it has two members "data"';
      if (key === DATA && json.kind === OPEN_OBJECT) {
        isWrapped = true;
        reader.starts.fill(-1);
        for (let inner = json.firstMember(KEYS); inner !== NO_MEMBER; inner = json.nextMember(KEYS)) {
          this.#value(inner);
        }
      } else if (isWrapped || key === STREAM) {
        if (key === STREAM) this.#stream = json.at;
        json.skip();
      } else this.#value(key);
    }
  }

  #value(key: number): void {
    const reader = this.#reader;
    const { json } = reader;
    if (key === UNKNOWN_KEY) json.skip();
    else {
      reader.starts[key] = json.at;
      const levels = this.#levels[key];
      if (levels !== undefined && json.kind === OPEN_LIST) {
        levels.read(json, reader.priceScale, reader.sizeScale, refusal);
      } else json.skip();
    }
  }

  #trade(tsNs: bigint, idKey: number): string | null {
    const reader = this.#reader;
    const symbol = reader.symbol(SYMBOL);
    const price = reader.price(PRICE);
    const size = reader.size(QUANTITY);
    const id = reader.whole(idKey);
    const exchangeUs = this.#exchangeUs();
    const flag = reader.flag(BUYER_IS_MAKER);
    if (reader.reason !== null) return this.#broken(reader.reason);
    const side = flag < 0 ? SIDE_UNKNOWN : flag === 1 ? SIDE_SELL : SIDE_BUY;
    this.#sink.trade(tsNs, symbol, price, size, side, id, exchangeUs);
    this.#saw(symbol);
    if (idKey === TRADE_ID) this.counts.trade++;
    else this.counts.aggTrade++;
    return null;
  }

  #quote(tsNs: bigint): string | null {
    const reader = this.#reader;
    const symbol = reader.symbol(SYMBOL);
    const bid = reader.price(BID);
    const bidSize = reader.size(BID_SIZE);
    const ask = reader.price(ASK);
    const askSize = reader.size(ASK_SIZE);
    const id = reader.whole(UPDATE_ID);
    const exchangeUs = this.#exchangeUs();
    if (reader.reason !== null) return this.#broken(reader.reason);
    this.#sink.quote(tsNs, symbol, bid, bidSize, ask, askSize, id, exchangeUs);
    this.#saw(symbol);
    this.counts.bookTicker++;
    return null;
  }

  #bookUpdate(tsNs: bigint): string | null {
    const reader = this.#reader;
    const symbol = reader.symbol(SYMBOL);
    const id = reader.whole(UPDATE_ID);
    if (!this.#emitLevels(tsNs, symbol, BID, ASK, id, 0)) return this.#broken(reader.reason!);
    this.#saw(symbol);
    this.counts.depthUpdate++;
    return null;
  }

  #snapshot(tsNs: bigint): string | null {
    const reader = this.#reader;
    const symbol = this.#symbolOfSnapshot();
    const id = reader.whole(LAST_UPDATE_ID);
    if (!this.#emitLevels(tsNs, symbol, BIDS, ASKS, id, FLAG_SNAPSHOT)) return this.#broken(reader.reason!);
    this.counts.snapshot++;
    return null;
  }

  /** False, and none of them, where something about the message is wrong. */
  #emitLevels(tsNs: bigint, symbol: string, bidKey: number, askKey: number, id: number, flags: number): boolean {
    const reader = this.#reader;
    const exchangeUs = this.#exchangeUs();
    const bids = this.#levelsOf(bidKey);
    const asks = this.#levelsOf(askKey);
    if (bids === null || asks === null || reader.reason !== null) return false;
    const last = bids.length + asks.length - 1;
    for (let i = 0; i < bids.length; i++) {
      const all = i === last ? flags | FLAG_LAST : flags;
      this.#sink.level(tsNs, symbol, SIDE_BID, all, bids.prices[i], bids.sizes[i], id, exchangeUs);
    }
    for (let i = 0; i < asks.length; i++) {
      const all = i === asks.length - 1 ? flags | FLAG_LAST : flags;
      this.#sink.level(tsNs, symbol, SIDE_ASK, all, asks.prices[i], asks.sizes[i], id, exchangeUs);
    }
    return true;
  }

  #levelsOf(key: number): LevelList | null {
    const reader = this.#reader;
    const levels = this.#levels[key]!;
    const isList = reader.has(key) && reader.json.text.charCodeAt(reader.starts[key]) === OPEN_LIST;
    if (isList && levels.reason === null) return levels;
    reader.reason ??= isList ? levels.reason : 'its bids or asks are no list';
    return null;
  }

  /** Spot's quotes, books that were asked for, and answers to requests say no event. */
  #withoutEvent(tsNs: bigint): string | null {
    const reader = this.#reader;
    if (!reader.has(EVENT)) {
      if (reader.has(LAST_UPDATE_ID)) return this.#snapshot(tsNs);
      if (reader.has(UPDATE_ID) && reader.has(BID_SIZE) && reader.has(ASK_SIZE)) return this.#quote(tsNs);
      if (reader.has(RESULT) && reader.has(REQUEST_ID) && !reader.has(ERROR)) {
        const first = reader.json.text.charCodeAt(reader.starts[RESULT]);
        if (first === LOWER_N || first === OPEN_LIST) {
          this.counts.control++;
          return null;
        }
      }
      const refused = reader.has(ERROR) ? ERROR : ERROR_MESSAGE;
      if (reader.has(refused)) {
        this.counts.unknown++;
        return `the exchange refused a request: ${reader.show(refused)}`;
      }
    }
    this.counts.unknown++;
    return `a message of unknown kind ${reader.show(EVENT)}`;
  }

  /** A snapshot doesn't name its symbol: the stream does, or it must be the only one of the feed. */
  #symbolOfSnapshot(): string {
    const reader = this.#reader;
    if (this.#stream >= 0 && reader.json.text.charCodeAt(this.#stream) === 34) {
      const [name] = reader.json.stringAt(this.#stream).split('@', 1);
      const symbol = checked(name.toUpperCase());
      if (symbol !== null) return symbol;
    } else if (this.#symbol !== null && this.#isOnly) return this.#symbol;
    reader.reason ??= 'a snapshot names no symbol, and the messages before it no single one';
    return '';
  }

  #saw(symbol: string): void {
    if (this.#symbol === symbol) return;
    if (this.#symbol !== null) this.#isOnly = false;
    this.#symbol = symbol;
  }

  /** Of the transaction, else of the event; not every stream says either: 0 then. */
  #exchangeUs(): number {
    const reader = this.#reader;
    const key = reader.has(EXCHANGE_TIME) ? EXCHANGE_TIME : EVENT_TIME;
    const time = reader.whole(key, true);
    if (time >= FIRST_US) return time;
    if (time * 1000 <= Number.MAX_SAFE_INTEGER) return time * 1000;
    reader.reason ??= `${JSON.stringify(NAMES[key])} is no time in milliseconds`;
    return 0;
  }

  #broken(reason: string): string {
    this.counts.broken++;
    return reason;
  }
}
