import { isScaled, NOT_DECIMAL, TOO_FINE } from './decimal.js';
import { isoTimeUs } from './iso-time.js';
import { JsonScanner, type KeyTable, NO_MEMBER, UNKNOWN_KEY } from './json-scanner.js';
import { NameCache } from './name-cache.js';
import type { ParserScales } from './parser.js';

export const BROKEN_JSON = 'its JSON is broken';

const QUOTE = 34;
const LOWER_T = 116;
const LOWER_F = 102;

/**
 * The members of one object of a message: first where each value begins, whatever order they come in, then, once it is known what the
 * message is, the values. What one of them can't be is kept in `reason`, the first one; who reads looks at it at the end.
 */
export class MemberReader {
  readonly json = new JsonScanner();
  readonly priceScale: number;
  readonly sizeScale: number;
  reason: string | null = null;
  readonly #names: readonly string[];
  /** Where the value of each known key begins, -1 where it is missing. Of two the last counts, as in JSON.parse. */
  readonly starts: Int32Array;
  readonly #symbols = new NameCache();

  constructor(names: readonly string[], { priceScale, sizeScale }: ParserScales) {
    this.#names = names;
    this.priceScale = priceScale;
    this.sizeScale = sizeScale;
    this.starts = new Int32Array(names.length);
  }

  begin(message: string): void {
    this.reason = null;
    this.starts.fill(-1);
    this.json.begin(message);
  }

  /** Over the object here, keeping where each value begins. */
  scan(keys: KeyTable): void {
    const { json, starts } = this;
    starts.fill(-1);
    for (let key = json.firstMember(keys); key !== NO_MEMBER; key = json.nextMember(keys)) {
      if (key !== UNKNOWN_KEY) starts[key] = json.at;
      json.skip();
    }
  }

  has(key: number): boolean {
    return this.starts[key] >= 0;
  }

  price(key: number): number {
    return this.#number(key, this.priceScale, 'price_scale');
  }

  size(key: number): number {
    return this.#number(key, this.sizeScale, 'size_scale');
  }

  #number(key: number, scale: number, option: string): number {
    const value = this.#scaled(key, scale);
    if (isScaled(value)) return value;
    this.reason ??= this.has(key)
      ? refusal(value, JSON.stringify(this.#names[key]), option, scale)
      : this.#missing(key);
    return 0;
  }

  #scaled(key: number, scale: number): number {
    const { json, starts } = this;
    if (starts[key] < 0) return NOT_DECIMAL;
    json.at = starts[key];
    return json.decimal(scale);
  }

  /** A whole number from 0 to 2⁵³ − 1; 0 where it is missing and may be. */
  whole(key: number, mayBeMissing = false): number {
    if (mayBeMissing && !this.has(key)) return 0;
    const value = this.#scaled(key, 0);
    if (value >= 0 && isScaled(value)) return value;
    this.reason ??= this.has(key)
      ? `${JSON.stringify(this.#names[key])} is no whole number from 0 to 2⁵³ − 1`
      : this.#missing(key);
    return 0;
  }

  symbol(key: number): string {
    const name = this.has(key) ? this.#symbols.at(this.json, this.starts[key]) : null;
    if (name !== null) return name;
    this.reason ??= this.has(key)
      ? `its symbol ${JSON.stringify(this.#names[key])} is no name of 1 to 55 bytes`
      : this.#missing(key);
    return '';
  }

  /** 1 of true, 0 of false, -1 where it is missing. */
  flag(key: number): number {
    if (!this.has(key)) return -1;
    const code = this.json.text.charCodeAt(this.starts[key]);
    if (code === LOWER_T) return 1;
    if (code !== LOWER_F) this.reason ??= `${JSON.stringify(this.#names[key])} is neither true nor false`;
    return 0;
  }

  /** Which of `words` the value is; UNKNOWN_KEY where it is none or missing. */
  word(key: number, words: KeyTable): number {
    return this.has(key) ? this.json.wordAt(this.starts[key], words) : UNKNOWN_KEY;
  }

  /** Microseconds of an ISO 8601 time, 0 where it is missing. */
  timeUs(key: number): number {
    if (!this.has(key)) return 0;
    const { text } = this.json;
    const from = this.starts[key];
    let us = -1;
    if (text.charCodeAt(from) === QUOTE) {
      us = isoTimeUs(text, from + 1, text.indexOf('"', from + 1));
      if (us < 0) {
        // It may have escapes.
        const content = this.json.stringAt(from);
        us = isoTimeUs(content, 0, content.length);
      }
    }
    if (us < 0) this.reason ??= `${JSON.stringify(this.#names[key])} is no ISO 8601 time since 1970`;
    return us;
  }

  /** A value as a message to people shows it. */
  show(key: number): string {
    if (!this.has(key)) return `(no ${JSON.stringify(this.#names[key])})`;
    this.json.at = this.starts[key];
    this.json.skip();
    return this.json.text.slice(this.starts[key], Math.min(this.json.at, this.starts[key] + 200));
  }

  #missing(key: number): string {
    return `${JSON.stringify(this.#names[key])} is missing`;
  }
}

/** Why a number is rejected, and what to do. */
export function refusal(code: number, what: string, option: string, scale: number): string {
  if (code === NOT_DECIMAL) return `${what} is no decimal number`;
  if (code === TOO_FINE) return `${what} has more than ${scale} decimal places: raise ${option}`;
  return `${what} is beyond 2⁵³ − 1 at ${scale} decimal places: lower ${option}`;
}
