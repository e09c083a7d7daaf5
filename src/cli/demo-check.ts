import { type market, PRICE_SCALE, SIZE_SCALE } from '../collect/market.js';
import type { Batch } from '../index.js';
import { EXCHANGE_MS_SCALE } from '../schemas.js';
import { Digest, type DigestColumns, hashName } from './digest.js';

/** What a collector appended. */
export interface Expected {
  appended: number;
  digest: string;
  /** The ids of its records count them, from 1 on. */
  numbered: boolean;
}

export interface Verdict {
  read: number;
  lost: number;
  duplicated: number;
  /** Every field of every record, and the order of each collector's records. */
  digestsEqual: boolean;
}

/** Compares what is read back with what the collectors appended. */
export class Check {
  readonly #expected: readonly Expected[];
  readonly #digests: Digest[];
  readonly #read: number[];
  readonly #surplus: number[];
  /** A bit a numbered record: whether it was read. */
  readonly #seen: (Uint8Array | undefined)[];
  #hashes = new Int32Array(256);
  /** By id: the batch that the hash is of, for ids hold within a batch. */
  #hashedIn = new Uint32Array(256);
  #batches = 0;
  #foreign = 0;

  constructor(expected: readonly Expected[]) {
    this.#expected = expected;
    this.#digests = expected.map(() => new Digest());
    this.#read = expected.map(() => 0);
    this.#surplus = expected.map(() => 0);
    this.#seen = expected.map(({ appended, numbered }) =>
      numbered ? new Uint8Array(Math.ceil(appended / 8)) : undefined,
    );
  }

  add(batch: Batch<typeof market.fields>): void {
    const { columns, length } = batch;
    const { ts, symbol, collector, kind, flags, id } = columns;
    const whole: DigestColumns = {
      tsWords: new Uint32Array(ts.buffer, ts.byteOffset, 2 * length),
      symbol: symbol.ids,
      kind,
      flags,
      price: inUnits(columns.price, PRICE_SCALE),
      size: inUnits(columns.size, SIZE_SCALE),
      askPrice: inUnits(columns.askPrice, PRICE_SCALE),
      askSize: inUnits(columns.askSize, SIZE_SCALE),
      exchangeUs: inUnits(columns.exchangeMs, EXCHANGE_MS_SCALE),
      id,
    };
    this.#batches++;
    for (let row = 0; row < length; row++) {
      const of = collector[row];
      if (of >= this.#digests.length) {
        this.#foreign++;
        continue;
      }
      const nameId = symbol.ids[row];
      if (this.#hashedIn[nameId] !== this.#batches) this.#hash(nameId, symbol.name(nameId));
      this.#digests[of].add(whole, row, this.#hashes);
      this.#read[of]++;
      this.#mark(of, id[row]);
    }
  }

  verdict(): Verdict {
    let lost = 0;
    let duplicated = this.#foreign;
    this.#expected.forEach(({ appended }, of) => {
      const counted = this.#seen[of] === undefined;
      const surplus = counted ? Math.max(0, this.#read[of] - appended) : this.#surplus[of];
      lost += Math.max(0, appended - (this.#read[of] - surplus));
      duplicated += surplus;
    });
    return {
      read: this.#read.reduce((sum, read) => sum + read, this.#foreign),
      lost,
      duplicated,
      digestsEqual: this.#foreign === 0 && this.#expected.every(({ digest }, of) => digest === `${this.#digests[of]}`),
    };
  }

  /** A number that was seen before, or that nobody gave, is of a record too many. */
  #mark(of: number, number: number): void {
    const seen = this.#seen[of];
    if (seen === undefined) return;
    const bit = number - 1;
    const inRange = bit >= 0 && bit < this.#expected[of].appended;
    if (inRange && (seen[bit >>> 3] & (1 << (bit & 7))) === 0) seen[bit >>> 3] |= 1 << (bit & 7);
    else this.#surplus[of]++;
  }

  #hash(id: number, name: string): void {
    if (id >= this.#hashes.length) {
      const hashes = new Int32Array(2 * (id + 1));
      const hashedIn = new Uint32Array(2 * (id + 1));
      hashes.set(this.#hashes);
      hashedIn.set(this.#hashedIn);
      this.#hashes = hashes;
      this.#hashedIn = hashedIn;
    }
    this.#hashes[id] = hashName(name);
    this.#hashedIn[id] = this.#batches;
  }
}

function inUnits(column: Float64Array, scale: number): Float64Array {
  const unit = 10 ** scale;
  const whole = new Float64Array(column.length);
  for (let row = 0; row < column.length; row++) whole[row] = Math.round(column[row] * unit);
  return whole;
}
