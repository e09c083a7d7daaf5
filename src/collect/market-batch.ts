const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
/** Which of the two words of a timestamp is the low one. */
export const LOW_WORD = littleEndian ? 0 : 1;
export const HIGH_WORD = 1 - LOW_WORD;

/**
 * Market events on their way from a source to an appender, a column a field. Filled again and again, so that a source makes no
 * object an event. Prices and sizes are whole numbers of their last decimal place.
 */
export class MarketBatch {
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

  constructor(capacity = 256) {
    this.capacity = capacity;
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
}
