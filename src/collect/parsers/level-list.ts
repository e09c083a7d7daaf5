import { isScaled } from './decimal.js';
import { type JsonScanner, OPEN_LIST } from './json-scanner.js';

/** A message may have so many levels of a side: ten times the fullest books. */
export const MAX_LEVELS = 1_048_576;

/** Levels of a message, until all of it is known to be good. */
export class LevelList {
  length = 0;
  prices: Float64Array = new Float64Array(64);
  sizes: Float64Array = new Float64Array(64);
  /** Why it can't be recorded, if it was read and can't. */
  reason: string | null = null;

  clear(): void {
    this.length = 0;
    this.reason = null;
  }

  /** False where it is full. */
  push(price: number, size: number): boolean {
    if (this.length === this.prices.length && !this.#grow()) return false;
    this.prices[this.length] = price;
    this.sizes[this.length++] = size;
    return true;
  }

  #grow(): boolean {
    const { prices, sizes } = this;
    if (prices.length >= MAX_LEVELS) {
      this.reason = `it has more than ${MAX_LEVELS} levels of a side`;
      return false;
    }
    this.prices = new Float64Array(2 * prices.length);
    this.prices.set(prices);
    this.sizes = new Float64Array(2 * sizes.length);
    this.sizes.set(sizes);
    return true;
  }

  /** Over the value here: a list of [price, size], whatever is behind those two. `refusal` says why a number is none. */
  read(
    json: JsonScanner,
    priceScale: number,
    sizeScale: number,
    refusal: (code: number, what: string, option: string, scale: number) => string,
  ): void {
    this.clear();
    const from = json.at;
    if (json.kind !== OPEN_LIST) this.reason = 'its levels are no list';
    else {
      for (let more = json.firstElement(); more; more = json.nextElement()) {
        if (json.kind !== OPEN_LIST || !json.firstElement()) {
          this.reason = 'a level is no pair';
          break;
        }
        const price = json.decimal(priceScale);
        if (!isScaled(price)) {
          this.reason = refusal(price, 'the price of a level', 'price_scale', priceScale);
          break;
        }
        if (!json.nextElement()) {
          this.reason = 'a level is no pair';
          break;
        }
        const size = json.decimal(sizeScale);
        if (!isScaled(size)) {
          this.reason = refusal(size, 'the size of a level', 'size_scale', sizeScale);
          break;
        }
        while (json.nextElement()) json.skip();
        if (json.failed || !this.push(price, size)) break;
      }
    }
    if (this.reason === null || json.failed) return;
    // Whether the rest of it is JSON is still to be seen.
    json.at = from;
    json.skip();
  }
}
