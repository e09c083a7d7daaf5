import { decimal, defineSchema, symbol, timestamp, u8 } from '../index.js';
import { PRICE_SCALE, SIZE_SCALE } from './market-batch.js';

/** Market events of any source, one record each. Unused fields are zero. */
export const market = defineSchema(
  'market',
  /** When it was received. */
  timestamp('ts'),
  symbol('symbol'),
  /** One of KIND_*. */
  u8('kind'),
  /** FLAG_* together. */
  u8('flags'),
  /** Which collector recorded it. */
  u8('collector'),
  /** Of the trade, the bid or the level. */
  decimal('price', PRICE_SCALE),
  decimal('size', SIZE_SCALE),
  /** The other side of a quote. */
  decimal('askPrice', PRICE_SCALE),
  decimal('askSize', SIZE_SCALE),
  /** The exchange's own time, ms since the Unix epoch. */
  decimal('exchangeMs', 0),
  /** The exchange's id: of the trade, or of the book update. Records of one message share it. */
  decimal('id', 0),
);
