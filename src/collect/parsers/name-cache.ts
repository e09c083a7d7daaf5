import type { JsonScanner } from './json-scanner.js';

/** What a symbol field takes. */
export const MAX_NAME_BYTES = 55;
/** Feeds have fewer; a hostile one is not kept in memory for ever. */
const MAX_NAMES = 65_536;

const QUOTE = 34;
const BACKSLASH = 92;

/** Gives the same string object for the same name each time: nothing is allocated, and its hash is known to whoever looks it up next. */
export class NameCache {
  readonly #names = new Map<number, string>();

  /** The name in quotes at `from`, which was skipped; null where it is none that a symbol field takes. */
  at(json: JsonScanner, from: number): string | null {
    const { text } = json;
    if (text.charCodeAt(from) !== QUOTE) return null;
    const first = from + 1;
    let at = first;
    let hash = 0;
    for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(++at)) {
      if (code === BACKSLASH) return checked(json.stringAt(from));
      hash = (Math.imul(hash, 31) + code) | 0;
    }
    const known = this.#names.get(hash);
    if (known !== undefined && isAt(text, first, at, known)) return known;
    const name = checked(text.slice(first, at));
    if (name === null) return null;
    if (this.#names.size === MAX_NAMES) this.#names.clear();
    this.#names.set(hash, name);
    return name;
  }
}

function isAt(text: string, from: number, to: number, name: string): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== text.charCodeAt(from + i)) return false;
  return true;
}

/** `name`, if a symbol field takes it. */
export function checked(name: string): string | null {
  const isOne = name !== '' && name.length <= MAX_NAME_BYTES && name.isWellFormed();
  return isOne && new TextEncoder().encode(name).length <= MAX_NAME_BYTES ? name : null;
}
