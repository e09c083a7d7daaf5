// What the words of the model's ring hold. A record is as in the real one, in words of 8 bytes: its checksum, its header, what it says.
// A checksum is taken for perfect: it is that of one content at one position.

/** A byte a word. Zeros are what a new lane is full of. */
export const ZEROS = 0;

export const CHECKSUM = 1;
export const HEADER = 2;
export const VALUE = 3;
export const PADDING_CHECKSUM = 4;
export const PADDING_HEADER = 5;

const SIGNS = ['--', 'sum', 'head', 'value', 'padsum', 'padhead'];

/** Gives each content of a word its byte. */
export class Words {
  /** By the byte. */
  readonly kinds = [ZEROS];
  /** The record's number; of padding: how many words it fills. */
  readonly of = [0];
  readonly #positions = [0];
  readonly #known = new Map<number, number>();

  /** `position`: that a checksum is over. */
  word(kind: number, of: number, position = 0): number {
    const known = this.known(kind, of, position);
    if (known >= 0) return known;
    const key = (kind << 16) | (of << 8) | position;
    const word = this.kinds.length;
    if (word > 255) throw new Error('more contents of words than a byte tells apart');
    this.kinds.push(kind);
    this.of.push(of);
    this.#positions.push(position);
    this.#known.set(key, word);
    return word;
  }

  /** The byte, or -1 where nothing like it was ever stored. */
  known(kind: number, of: number, position = 0): number {
    if (position > 255) return -1;
    return this.#known.get((kind << 16) | (of << 8) | position) ?? -1;
  }

  describe(word: number): string {
    const kind = this.kinds[word];
    if (kind === ZEROS) return SIGNS[ZEROS];
    const at = kind === CHECKSUM || kind === PADDING_CHECKSUM ? `@${this.#positions[word]}` : '';
    return `${SIGNS[kind]}${this.of[word]}${at}`;
  }
}
