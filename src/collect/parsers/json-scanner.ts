import { assert } from '../../errors.js';
import { decimalOf, NOT_DECIMAL, POWERS, TOO_FINE, TOO_LARGE } from './decimal.js';

/** What `member` answers for a key that its table doesn't have, and behind the last member. */
export const UNKNOWN_KEY = -1;
export const NO_MEMBER = -2;

export const QUOTE = 34;
export const OPEN_LIST = 91;
export const OPEN_OBJECT = 123;
const CLOSE_LIST = 93;
const CLOSE_OBJECT = 125;
const BACKSLASH = 92;
const COMMA = 44;
const COLON = 58;
const MINUS = 45;
const PLUS = 43;
const POINT = 46;
const ZERO = 48;
const NINE = 57;
const UPPER_E = 69;
const LOWER_E = 101;
const LOWER_F = 102;
const LOWER_N = 110;
const LOWER_T = 116;
const LOWER_U = 117;
const SPACE = 32;
const TAB = 9;
const LINE_FEED = 10;
const RETURN = 13;

/** Values that lie deeper in each other are refused. */
const MAX_DEPTH = 256;
/** Up to so many digits a double holds every number. */
const EXACT_DIGITS = 15;

const isDigit = (code: number) => code >= ZERO && code <= NINE;
const isHexDigit = (code: number) => isDigit(code) || ((code | 32) >= 97 && (code | 32) <= 102);

const hashOf = (hash: number, code: number) => (Math.imul(hash, 31) + code) | 0;

/** The keys that a parser knows, by number. */
export class KeyTable {
  readonly #names: readonly string[];
  /** Number + 1 by the low bits of the key's hash; no two share a place. */
  readonly #places: Uint8Array;

  constructor(names: readonly string[]) {
    this.#names = names;
    const hashes = names.map((name) => Array.from(name, (character) => character.charCodeAt(0)).reduce(hashOf, 0));
    assert(new Set(hashes).size === names.length, 'keys have hashes of their own');
    let size = 16;
    while (new Set(hashes.map((hash) => hash & (size - 1))).size < names.length) size *= 2;
    this.#places = new Uint8Array(size);
    hashes.forEach((hash, number) => {
      this.#places[hash & (size - 1)] = number + 1;
    });
  }

  /** The number of the key between `from` and `to`, which has no escapes. */
  find(text: string, from: number, to: number, hash: number): number {
    const number = this.#places[hash & (this.#places.length - 1)] - 1;
    if (number < 0) return UNKNOWN_KEY;
    const name = this.#names[number];
    if (name.length !== to - from) return UNKNOWN_KEY;
    for (let i = 0; i < name.length; i++) {
      if (name.charCodeAt(i) !== text.charCodeAt(from + i)) return UNKNOWN_KEY;
    }
    return number;
  }

  findName(name: string): number {
    const number = this.#names.indexOf(name);
    return number < 0 ? UNKNOWN_KEY : number;
  }
}

/**
 * Walks over one JSON text, value by value, and makes nothing of it. It takes what JSON.parse takes (but nothing deeper than MAX_DEPTH);
 * `failed` says that it didn't, and then every step is the last.
 */
export class JsonScanner {
  text = '';
  /** Where the next value, or what is behind the last one, begins. */
  at = 0;
  failed = false;
  /** What each open object or list is, in `#skipNested`. */
  readonly #open = new Uint8Array(MAX_DEPTH);

  /** At the first value of `text`. */
  begin(text: string): void {
    this.text = text;
    this.at = 0;
    this.failed = false;
    this.#space();
  }

  /** Whether nothing but white space is left. */
  end(): boolean {
    this.#space();
    return !this.failed && this.at === this.text.length;
  }

  /** The first character of the value here: its kind. NaN at the end. */
  get kind(): number {
    return this.text.charCodeAt(this.at);
  }

  /** From `{` to the value of the first member. Its key's number, UNKNOWN_KEY, NO_MEMBER. */
  firstMember(keys: KeyTable | null): number {
    this.at++;
    this.#space();
    if (this.text.charCodeAt(this.at) !== CLOSE_OBJECT) return this.#member(keys);
    this.at++;
    return NO_MEMBER;
  }

  /** From behind a member's value to the next one's. */
  nextMember(keys: KeyTable | null): number {
    this.#space();
    const code = this.text.charCodeAt(this.at++);
    if (code === COMMA && !this.failed) {
      this.#space();
      return this.#member(keys);
    }
    if (code !== CLOSE_OBJECT) this.failed = true;
    return NO_MEMBER;
  }

  /** From `[` to its first value; false where it has none. */
  firstElement(): boolean {
    this.at++;
    this.#space();
    if (this.text.charCodeAt(this.at) !== CLOSE_LIST) return true;
    this.at++;
    return false;
  }

  nextElement(): boolean {
    this.#space();
    const code = this.text.charCodeAt(this.at++);
    if (code === COMMA && !this.failed) {
      this.#space();
      return true;
    }
    if (code !== CLOSE_LIST) this.failed = true;
    return false;
  }

  /** Over the value here. */
  skip(): void {
    const code = this.text.charCodeAt(this.at);
    if (code === QUOTE) this.#skipString();
    else if (code === OPEN_LIST || code === OPEN_OBJECT) this.#skipNested();
    else this.#skipPlain(code);
  }

  /**
   * Over the decimal number here, in quotes or not: as a whole number of its `scale`th place, or as `decimalOf` refuses it. Where the
   * value is something else it is skipped: NOT_DECIMAL.
   */
  decimal(scale: number): number {
    const { text } = this;
    const quoted = text.charCodeAt(this.at) === QUOTE;
    const first = quoted ? this.at + 1 : this.at;
    let at = first;
    let value = 0;
    let code = text.charCodeAt(at);
    while (code >= ZERO && code <= NINE) {
      value = value * 10 + (code - ZERO);
      code = text.charCodeAt(++at);
    }
    const whole = at - first;
    let places = 0;
    if (code === POINT) {
      const point = at;
      code = text.charCodeAt(++at);
      while (code >= ZERO && code <= NINE) {
        value = value * 10 + (code - ZERO);
        code = text.charCodeAt(++at);
      }
      places = at - point - 1;
      if (places === 0) return this.#anyDecimal(scale);
    }
    // What is rare (a sign, an exponent, an escape, many digits) or no such number at all takes the long way.
    if (whole === 0 || whole + places > EXACT_DIGITS) return this.#anyDecimal(scale);
    if (quoted) {
      if (code !== QUOTE) return this.#anyDecimal(scale);
      at++;
    } else if (code !== COMMA && code !== CLOSE_OBJECT && code !== CLOSE_LIST) return this.#anyDecimal(scale);
    else if (whole > 1 && text.charCodeAt(first) === ZERO) return this.#anyDecimal(scale);
    this.at = at;
    if (places > scale) {
      const unit = POWERS[places - scale];
      return value % unit === 0 ? value / unit : TOO_FINE;
    }
    const scaled = value * POWERS[scale - places];
    return scaled <= Number.MAX_SAFE_INTEGER ? scaled : TOO_LARGE;
  }

  #anyDecimal(scale: number): number {
    const from = this.at;
    const code = this.text.charCodeAt(from);
    this.skip();
    if (this.failed) return NOT_DECIMAL;
    if (code === QUOTE) {
      const content = this.stringAt(from);
      return decimalOf(content, 0, content.length, scale);
    }
    return code === MINUS || isDigit(code) ? decimalOf(this.text, from, this.at, scale) : NOT_DECIMAL;
  }

  /** The number in `words` of the string at `from`, which was skipped. UNKNOWN_KEY also where that is no string. */
  wordAt(from: number, words: KeyTable): number {
    const { text } = this;
    if (text.charCodeAt(from) !== QUOTE) return UNKNOWN_KEY;
    let at = from + 1;
    let hash = 0;
    for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(++at)) {
      if (code === BACKSLASH) return words.findName(this.stringAt(from));
      hash = hashOf(hash, code);
    }
    return words.find(text, from + 1, at, hash);
  }

  /** The string at `from`, which was skipped. */
  stringAt(from: number): string {
    const { text } = this;
    let at = from + 1;
    for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(++at)) {
      if (code === BACKSLASH) return this.#unescaped(from);
    }
    return text.slice(from + 1, at);
  }

  #unescaped(from: number): string {
    const before = this.at;
    this.at = from;
    this.#skipString();
    const content = JSON.parse(this.text.slice(from, this.at)) as string;
    this.at = before;
    return content;
  }

  #space(): void {
    const { text } = this;
    for (let code = text.charCodeAt(this.at); code <= SPACE; code = text.charCodeAt(++this.at)) {
      if (code !== SPACE && code !== LINE_FEED && code !== RETURN && code !== TAB) {
        this.failed = true;
        return;
      }
    }
  }

  #member(keys: KeyTable | null): number {
    const { text } = this;
    const from = this.at + 1;
    if (text.charCodeAt(this.at) !== QUOTE || this.failed) {
      this.failed = true;
      return NO_MEMBER;
    }
    let at = from;
    let hash = 0;
    let code = text.charCodeAt(at);
    while (code !== QUOTE && code !== BACKSLASH && code >= SPACE) {
      hash = hashOf(hash, code);
      code = text.charCodeAt(++at);
    }
    let key = UNKNOWN_KEY;
    if (code === QUOTE) {
      this.at = at + 1;
      if (keys !== null) key = keys.find(text, from, at, hash);
    } else {
      this.#skipString();
      if (this.failed) return NO_MEMBER;
      if (keys !== null) key = keys.findName(this.stringAt(from - 1));
    }
    this.#space();
    if (text.charCodeAt(this.at++) !== COLON) {
      this.failed = true;
      return NO_MEMBER;
    }
    this.#space();
    return this.failed ? NO_MEMBER : key;
  }

  #skipString(): void {
    const { text } = this;
    let at = this.at + 1;
    for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(++at)) {
      if (code === BACKSLASH) {
        at++;
        if (text.charCodeAt(at) === LOWER_U) {
          for (const last = at + 4; at < last; )
            if (!isHexDigit(text.charCodeAt(++at))) {
              this.failed = true;
              return;
            }
        } else if (!'"\\/bfnrt'.includes(text.charAt(at)) || at >= text.length) {
          this.failed = true;
          return;
        }
      } else if (!(code >= SPACE)) {
        this.failed = true;
        return;
      }
    }
    this.at = at + 1;
  }

  /** Over a number or a literal. */
  #skipPlain(code: number): void {
    if (code === LOWER_T) this.#skipLiteral('true');
    else if (code === LOWER_F) this.#skipLiteral('false');
    else if (code === LOWER_N) this.#skipLiteral('null');
    else this.#skipNumber();
  }

  #skipLiteral(literal: string): void {
    if (this.text.startsWith(literal, this.at)) this.at += literal.length;
    else this.failed = true;
  }

  #skipNumber(): void {
    const { text } = this;
    let { at } = this;
    let code = text.charCodeAt(at);
    if (code === MINUS) code = text.charCodeAt(++at);
    if (!isDigit(code)) {
      this.failed = true;
      return;
    }
    if (code === ZERO) code = text.charCodeAt(++at);
    else while (isDigit(code)) code = text.charCodeAt(++at);
    if (code === POINT) {
      code = text.charCodeAt(++at);
      if (!isDigit(code)) {
        this.failed = true;
        return;
      }
      while (isDigit(code)) code = text.charCodeAt(++at);
    }
    if (code === LOWER_E || code === UPPER_E) {
      code = text.charCodeAt(++at);
      if (code === PLUS || code === MINUS) code = text.charCodeAt(++at);
      if (!isDigit(code)) {
        this.failed = true;
        return;
      }
      while (isDigit(code)) code = text.charCodeAt(++at);
    }
    this.at = at;
  }

  /** Over an object or a list and all that is in it. */
  #skipNested(): void {
    const { text } = this;
    let depth = 0;
    this.#open[0] = text.charCodeAt(this.at);
    let more = this.#enter();
    for (;;) {
      if (this.failed) return;
      if (more) {
        const code = text.charCodeAt(this.at);
        if (code === OPEN_OBJECT || code === OPEN_LIST) {
          if (++depth === MAX_DEPTH) {
            this.failed = true;
            return;
          }
          this.#open[depth] = code;
          more = this.#enter();
          continue;
        }
        if (code === QUOTE) this.#skipString();
        else this.#skipPlain(code);
        if (this.failed) return;
      } else if (depth-- === 0) return;
      more = this.#open[depth] === OPEN_OBJECT ? this.nextMember(null) !== NO_MEMBER : this.nextElement();
    }
  }

  #enter(): boolean {
    return this.kind === OPEN_OBJECT ? this.firstMember(null) !== NO_MEMBER : this.firstElement();
  }
}
