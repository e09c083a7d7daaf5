import { HIGH_WORD, LOW_WORD } from '../collect/market-batch.js';

const HIGH = 2 ** -32;

/** A number for a symbol's name. */
export function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash | 0;
}

/** Columns of market events as whole numbers: a batch from a source, or one made of what was read back. */
export interface DigestColumns {
  /** Two words a timestamp. */
  tsWords: Uint32Array;
  /** Index of the name's hash in `hashes`. */
  symbol: Uint32Array;
  kind: Uint8Array;
  flags: Uint8Array;
  price: Float64Array;
  size: Float64Array;
  askPrice: Float64Array;
  askSize: Float64Array;
  exchangeUs: Float64Array;
  id: Float64Array;
}

/** A checksum over market events that changes with any field of any of them and with their order. */
export class Digest {
  #first = 0x243f6a88;
  #second = 0x85a308d3 | 0;

  add(columns: DigestColumns, row: number, hashes: Int32Array): void {
    let a = this.#first;
    let b = this.#second;
    a = mix(a, columns.tsWords[2 * row + LOW_WORD]);
    b = mix(b, columns.tsWords[2 * row + HIGH_WORD]);
    a = mix(a, hashes[columns.symbol[row]]);
    b = mix(b, columns.kind[row] | (columns.flags[row] << 8));
    a = mix(a, fold(columns.price[row]));
    b = mix(b, fold(columns.size[row]));
    a = mix(a, fold(columns.askPrice[row]));
    b = mix(b, fold(columns.askSize[row]));
    a = mix(a, fold(columns.exchangeUs[row]));
    b = mix(b, fold(columns.id[row]));
    this.#first = a;
    this.#second = b;
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    return [this.#first, this.#second].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }
}

/** Both halves of a whole number up to 2⁵³ in one word. */
function fold(value: number): number {
  return (value | 0) ^ Math.imul(value * HIGH, 0x9e3779b1);
}

function mix(state: number, word: number): number {
  const mixed = Math.imul(state ^ word, 0x85ebca6b);
  return (mixed << 13) | (mixed >>> 19);
}
