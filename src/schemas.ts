// Built-in schemas of market data: what the parsers of exchanges record, and a start for one's own. Prices and sizes are exact
// decimals; how many places they have is the user's to say, as exchanges and instruments differ.
import { show, TapeError } from './errors.js';
import { decimal, defineSchema, f64, type Schema, symbol, text, timestamp, u8, u32 } from './schema.js';

/** Decimal places of prices and of sizes, 0 to 15. At 8, the default, values go up to 90 million. */
export interface Scales {
  priceScale?: number;
  sizeScale?: number;
}

/** Who started a trade. */
export const SIDE_UNKNOWN = 0;
export const SIDE_BUY = 1;
export const SIDE_SELL = 2;
/** Of a level. */
export const SIDE_BID = 1;
export const SIDE_ASK = 2;

/** `kind` of a record of the market schema. */
export const KIND_TRADE = 1;
export const KIND_QUOTE = 2;
export const KIND_LEVEL = 3;
/** Names of the kinds, by number. */
export const KIND_NAMES = ['', 'trade', 'quote', 'level'] as const;

/** In the market schema: a trade that a seller started; a level of the ask side. */
export const FLAG_ASK = 1;
/** The last record of its message: the book is whole again. */
export const FLAG_LAST = 2;
/** A level of a snapshot of the book, rather than a change to it. */
export const FLAG_SNAPSHOT = 4;
/** In the market schema: a trade of which nobody says who started it. */
export const FLAG_UNKNOWN_SIDE = 8;

const DEFAULT_SCALE = 8;
/** `exchangeMs` has microseconds as its decimals. */
export const EXCHANGE_MS_SCALE = 3;

// Fields that schemas share.
/** When the message was received, ns since the Unix epoch. */
const ts = timestamp('ts');
/** The instrument, as its exchange names it. */
const instrument = symbol('symbol');
const side = u8('side');
/** The exchange's id: of the trade, or of the book's update; 0 where it gives none. Records of one message share it. */
const id = decimal('id', 0);
/** The exchange's own time, ms since the Unix epoch; 0 where it says none. */
const exchangeMs = decimal('exchangeMs', EXCHANGE_MS_SCALE);

const scalesOf = ({ priceScale = DEFAULT_SCALE, sizeScale = DEFAULT_SCALE }: Scales) => ({ priceScale, sizeScale });

/** Trades: price, size, and who started it (`side`: 1 a buyer, 2 a seller, 0 nobody says). */
export function trade(scales: Scales = {}) {
  const { priceScale, sizeScale } = scalesOf(scales);
  return defineSchema(
    'trade',
    ts,
    instrument,
    decimal('price', priceScale),
    decimal('size', sizeScale),
    side,
    id,
    exchangeMs,
  );
}

/** The best bid and the best ask. */
export function quote(scales: Scales = {}) {
  const { priceScale, sizeScale } = scalesOf(scales);
  return defineSchema(
    'quote',
    ts,
    instrument,
    decimal('bid', priceScale),
    decimal('bidSize', sizeScale),
    decimal('ask', priceScale),
    decimal('askSize', sizeScale),
    id,
    exchangeMs,
  );
}

/**
 * Levels of an order book, one a record: `side` 1 bid, 2 ask; a size of 0 takes the level away; `flags` is 2 (the last of its message) and
 * 4 (of a snapshot) together.
 */
export function level(scales: Scales = {}) {
  const { priceScale, sizeScale } = scalesOf(scales);
  return defineSchema(
    'level',
    ts,
    instrument,
    side,
    u8('flags'),
    decimal('price', priceScale),
    decimal('size', sizeScale),
    id,
    exchangeMs,
  );
}

/** Bars: `ts` is when it begins, `vwap` the mean price by volume, `count` how many trades. */
export function bar(scales: Scales = {}) {
  const { priceScale, sizeScale } = scalesOf(scales);
  return defineSchema(
    'bar',
    ts,
    instrument,
    decimal('open', priceScale),
    decimal('high', priceScale),
    decimal('low', priceScale),
    decimal('close', priceScale),
    decimal('volume', sizeScale),
    f64('vwap'),
    u32('count'),
  );
}

/** Messages as they came, each with the name of its source. */
export function raw() {
  return defineSchema('raw', ts, symbol('source'), text('message'));
}

/** Trades, quotes and levels together, in the order in which they came: `kind` says which it is. Fields that a kind has not are zero. */
export function market(scales: Scales = {}) {
  const { priceScale, sizeScale } = scalesOf(scales);
  return defineSchema(
    'market',
    ts,
    instrument,
    /** One of KIND_*. */
    u8('kind'),
    /** FLAG_* together. */
    u8('flags'),
    /** Which collector recorded it. */
    u8('collector'),
    /** Of the trade, the bid or the level. */
    decimal('price', priceScale),
    decimal('size', sizeScale),
    /** The other side of a quote. */
    decimal('askPrice', priceScale),
    decimal('askSize', sizeScale),
    exchangeMs,
    id,
  );
}

const BUILT_IN: Record<string, (scales: Scales) => Schema> = {
  trade: (scales) => trade(scales) as Schema,
  quote: (scales) => quote(scales) as Schema,
  level: (scales) => level(scales) as Schema,
  bar: (scales) => bar(scales) as Schema,
  raw: () => raw() as Schema,
  market: (scales) => market(scales) as Schema,
};

/** @throws TapeError `BAD_OPTION` where there is none of that name, or a scale is out of range */
export function builtInSchema(name: string, scales: Scales = {}): Schema {
  if (!Object.hasOwn(BUILT_IN, name)) {
    throw new TapeError('BAD_OPTION', `schema is one of ${Object.keys(BUILT_IN).join(', ')}, not ${show(name)}`);
  }
  for (const [option, scale] of Object.entries(scalesOf(scales))) {
    if (!Number.isInteger(scale) || scale < 0 || scale > 15) {
      throw new TapeError('BAD_OPTION', `${option} is a whole number from 0 to 15, not ${show(scale)}`);
    }
  }
  return BUILT_IN[name](scales);
}
