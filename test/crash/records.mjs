// What the crash harness appends. Every field of a record derives from the seed, its worker and its counter, so that who reads
// it back can tell what it must be.
// Not 'ticktape', which is all of it: ten threads load this in each round, and that takes longer than all else.
import { decimal, defineSchema, f64, symbol, text, timestamp, u8, u32 } from '../../dist/src/schema.js';

const fields = /** @type {const} */ ([
  timestamp('ts'),
  symbol('symbol'),
  u8('worker'),
  u32('counter'),
  decimal('price', 2),
  f64('value'),
]);

/** Records of one length, which are appended by another path than those with a text. */
export const plainSchema = defineSchema('crash', ...fields);
export const notedSchema = defineSchema('crash', ...fields, text('note'));
export const schemaOf = (/** @type {boolean} */ noted) => (noted ? notedSchema : plainSchema);

const FIRST_NS = 1_700_000_000_000_000_000n;
const COMMON = ['BTCUSDT', 'ETHUSDT', 'SOLUSDT', 'XRPUSDT', 'ADAUSDT', 'DOGEUSDT', 'LTCUSDT', 'DOTUSDT'];
const NEW_NAMES = 900;
const NAME_EVERY = 499;
/** Room in the symbol table for all of them. */
export const MAX_SYMBOLS = 1024;

const LETTERS = 'Kauf 12 zu 3,40 € — vente à découvert … 注文 '.repeat(40);
const LONG_NOTE = 700;

/** 32 bits that differ from one record to the next. */
export function hashOf(/** @type {number} */ seed, /** @type {number} */ worker, /** @type {number} */ counter) {
  let hash = seed ^ Math.imul(worker + 1, 0x9e3779b1) ^ Math.imul(counter, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Not always ascending, so that an order by time differs from that of appending. */
export const timestampOf = (/** @type {number} */ hash, /** @type {number} */ counter) =>
  FIRST_NS + BigInt(counter * 1000 + (hash % 5000));

/** New names come at the same counters for all workers: they enter them at once. */
export const symbolOf = (/** @type {number} */ hash, /** @type {number} */ counter) =>
  (hash & 7) === 0 ? `neu-${Math.floor(counter / NAME_EVERY) % NEW_NAMES}€` : COMMON[(hash >>> 3) % COMMON.length];

export const priceOf = (/** @type {number} */ hash) => (hash % 10_000_019) / 100;

export const payloadOf = (/** @type {number} */ hash, /** @type {number} */ counter) => hash * 1.1 + counter / 3;

export function noteOf(/** @type {number} */ hash) {
  const length = (hash >>> 8) % 512 === 0 ? LONG_NOTE : (hash >>> 8) % 61;
  const from = (hash >>> 20) % 97;
  return LETTERS.slice(from, from + length);
}
