import path from 'node:path';
import {
  SYMBOL_BYTES,
  SYMBOL_HEADER_BYTES,
  SYMBOL_LENGTH,
  SYMBOL_NAME,
  SYMBOL_NAME_MAX,
} from '../../../assembly/layout.js';
import { TapeError } from '../../errors.js';
import type { Files, OpenFile } from '../../files.js';
import { hash64 } from '../../hash.js';
import { SYMBOLS_FILE } from '../../journal/journal.js';
import { NO_SYMBOL } from '../batch.js';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The names of a session's symbols, each read from the symbol table's file when it is first met: a name is there before its record is. */
export class SymbolNames {
  /** Those that were met so far. */
  readonly known = new Map<number, string>([[NO_SYMBOL, '']]);
  readonly #path: string;
  readonly #file: OpenFile;

  constructor(files: Files, journal: string) {
    this.#path = path.join(journal, SYMBOLS_FILE);
    this.#file = files.open(this.#path, 'read');
  }

  /** @throws TapeError `CORRUPT` */
  meet(id: number): string {
    return this.known.get(id) ?? this.#read(id);
  }

  #read(id: number): string {
    const entry = new Uint8Array(SYMBOL_BYTES);
    const got = this.#file.read(entry, SYMBOL_HEADER_BYTES + id * SYMBOL_BYTES);
    const length = entry[SYMBOL_LENGTH];
    const sum = new DataView(entry.buffer).getBigUint64(0, true);
    const isGood = got === SYMBOL_BYTES && length > 0 && length <= SYMBOL_NAME_MAX;
    if (!isGood || sum !== hash64(entry.subarray(SYMBOL_LENGTH), BigInt(id))) {
      throw new TapeError('CORRUPT', `${this.#path}: a record in a lane has symbol ${id}, which is not there`, {
        path: this.#path,
      });
    }
    const name = decoder.decode(entry.subarray(SYMBOL_NAME, SYMBOL_NAME + length));
    this.known.set(id, name);
    return name;
  }

  close(): void {
    this.#file.close();
  }
}
