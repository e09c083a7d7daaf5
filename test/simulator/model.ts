import type { Batch } from '../../dist/src/read/batch.js';
import { contentOf, type Records, type Shape } from './records.js';

/** Who appends to one lane, and what became of it. */
export interface Producer {
  id: number;
  /** Of each record, by its number. */
  times: bigint[];
  /** Where each record lies in the lane. */
  positions: number[];
  /** Records whose append has returned, and those that it was called for. */
  returned: number;
  attempted: number;
  /** The first so many survive the death of the process. */
  kept: number;
  /** The first so many were on R storage nodes when a flush said so. */
  flushed: number;
  /** The first so many survive a power cut. */
  durable: number;
  /** A power cut has hit while it was appending or before it was recovered. */
  cut: boolean;
  /** The numbers that are on the tape for good: known once its session was recovered, or closed. */
  settled: readonly number[] | null;
}

/** What the tape must hold, by all that was ever appended to it and all that happened. */
export class Model {
  readonly shape: Shape;
  readonly producers: Producer[] = [];
  readonly violations: string[] = [];
  /** What readers saw at each sequence: producer and number. And where they saw it. */
  readonly #seen = new Map<bigint, string>();
  readonly #places = new Map<string, bigint>();
  /** Records from then on are too young for retention; null where that can't be said. */
  oldNs: () => bigint | null = () => null;
  /** Retention lets go of all sequences before it. */
  #mark = 0n;
  readonly #onViolation: (what: string) => void;
  #hash = 0;

  constructor(shape: Shape, onViolation: (what: string) => void) {
    this.shape = shape;
    this.#onViolation = onViolation;
  }

  /** Of all that was read so far. */
  get hash(): number {
    return this.#hash;
  }

  violation(what: string): void {
    this.#onViolation(what);
    if (this.violations.length < 20) this.violations.push(what);
  }

  newProducer(): Producer {
    const producer = {
      id: this.producers.length,
      times: [],
      positions: [],
      returned: 0,
      attempted: 0,
      kept: 0,
      flushed: 0,
      durable: 0,
      cut: false,
      settled: null,
    };
    this.producers.push(producer);
    return producer;
  }

  /** The power failed: what was not synced may be gone, and its sequences may come again. */
  powerCut(): void {
    for (const producer of this.producers) if (producer.settled === null) producer.cut = true;
    // What was recovered before is certain, and stays where it is.
    for (const [sequence, key] of this.#seen) {
      if (this.producers[Number(key.split('/')[0])].settled !== null) continue;
      this.#seen.delete(sequence);
      this.#places.delete(key);
    }
    // It may not have been on a disk yet.
    this.#mark = 0n;
  }

  /**
   * Looks at the records themselves, and at their order. `mark`: up to where retention has let go, asked when all is read. Answers the
   * numbers found of each producer, in the order of the tape.
   */
  async read(batches: AsyncIterable<Batch<Records>>, mark: () => bigint): Promise<number[][]> {
    const found: number[][] = this.producers.map(() => []);
    let next = 0n;
    for await (const { columns, length, ...batch } of rows(batches)) {
      const { ts, symbol, price, producer: ids, n: numbers, note } = columns;
      for (let row = 0; row < length; row++) {
        const [id, n] = [ids[row], numbers[row]];
        const sequence = batch.sequence(row);
        const name = `record ${n} of producer ${id} (sequence ${sequence})`;
        this.#hash = Math.imul(this.#hash ^ (id * 65_537 + n), 0x01000193);
        if (sequence < next) this.violation(`${name} comes after sequence ${next - 1n}`);
        next = sequence + 1n;
        const producer = this.producers[id];
        if (producer === undefined || n >= producer.attempted) {
          this.violation(`invented: ${name}`);
          continue;
        }
        const expected = contentOf(id, n, this.shape);
        if (
          ts[row] !== producer.times[n] ||
          symbol.at(row) !== expected.symbol ||
          price[row] !== expected.price ||
          note.at(row) !== expected.note
        ) {
          this.violation(`changed: ${name} is ${ts[row]} ${symbol.at(row)} ${price[row]} ${note.at(row)}`);
        }
        const before = found[id].at(-1);
        if (before !== undefined && n <= before) {
          if (found[id].includes(n)) this.violation(`twice: ${name}`);
          // What a power cut took from the storage nodes, and not from the lane, comes back at the end.
          else if (!producer.cut) this.violation(`out of order: ${name} after ${before}`);
        }
        found[id].push(n);
        const key = `${id}/${n}`;
        const seen = this.#seen.get(sequence);
        if (seen === undefined) {
          this.#seen.set(sequence, key);
          this.#places.set(key, sequence);
        } else if (seen !== key) this.violation(`sequence ${sequence} was ${seen} and is ${key}`);
      }
    }
    this.#raiseMark(mark());
    return found;
  }

  #raiseMark(mark: bigint): void {
    const before = this.#mark;
    this.#mark = mark;
    if (mark < before) this.violation(`the mark of retention was ${before} and is ${mark}`);
    const oldNs = this.oldNs();
    if (mark === before || oldNs === null) return;
    for (const [sequence, key] of this.#seen) {
      const [id, n] = key.split('/').map(Number);
      if (sequence < before || sequence >= mark || this.producers[id].times[n] <= oldNs) continue;
      this.violation(`retention let go of record ${n} of producer ${id}, which is not old enough`);
      return;
    }
  }

  /** Whether retention may have let go of the record: it lay before the mark, or nobody saw where it lay, and none before it is there. */
  #isDropped(id: number, n: number, there: ReadonlySet<number>): boolean {
    if (this.#mark === 0n) return false;
    const sequence = this.#places.get(`${id}/${n}`);
    if (sequence !== undefined) return sequence < this.#mark;
    for (let before = 0; before < n; before++) if (there.has(before)) return false;
    return true;
  }

  /** The first of these numbers that is missing and should not be, or undefined. */
  #missing(id: number, wanted: Iterable<number>, numbers: readonly number[]): number | undefined {
    const there = new Set(numbers);
    for (const n of wanted) if (!there.has(n) && !this.#isDropped(id, n, there)) return n;
    return undefined;
  }

  /** While a writer is at it, or after its process died and before anything was recovered. */
  checkLive(found: readonly number[][], when: string): void {
    // Producers that came while the reader was at it are not in what it found.
    for (const [id, numbers] of found.entries()) {
      const producer = this.producers[id];
      if (producer.settled !== null) this.#checkSettled(producer, producer.settled, numbers, when);
      else if (!producer.cut) this.#checkPrefix(producer, producer.flushed, numbers, `${when}: flushed`);
    }
  }

  /** After recovery: what there is now is there for good. */
  checkRecovered(found: readonly number[][], when: string): void {
    for (const producer of this.producers) {
      const numbers = found[producer.id] ?? [];
      if (producer.settled !== null) this.#checkSettled(producer, producer.settled, numbers, when);
      else if (!producer.cut) this.#checkPrefix(producer, producer.kept, numbers, `${when}: appended`);
      else {
        const missing = this.#missing(producer.id, upTo(producer.durable), numbers);
        if (missing !== undefined) {
          this.violation(
            `${when}: lost in a power cut: record ${missing} of producer ${producer.id}, of whom ${producer.durable} were synced`,
          );
        }
      }
      // What retention let go of does not come back.
      producer.settled = numbers;
    }
  }

  #checkPrefix({ id }: Producer, least: number, numbers: readonly number[], what: string): void {
    const last = numbers.reduce((most, n) => Math.max(most, n + 1), 0);
    const missing = this.#missing(id, upTo(Math.max(least, last)), numbers);
    if (missing === undefined) return;
    this.violation(
      `${what}, and lost: record ${missing} of producer ${id} (${numbers.length} found, ${least} expected)`,
    );
  }

  #checkSettled({ id }: Producer, settled: readonly number[], numbers: readonly number[], when: string): void {
    const missing = this.#missing(id, settled, numbers);
    if (missing !== undefined) {
      this.violation(`${when}: lost after it was recovered: record ${missing} of producer ${id}`);
    }
    const before = new Set(settled);
    const added = numbers.find((n) => !before.has(n));
    if (added !== undefined) this.violation(`${when}: record ${added} of producer ${id} came back after it was gone`);
    const still = new Set(numbers);
    const order = settled.filter((n) => still.has(n));
    if (!order.every((n, i) => n === numbers[i])) this.violation(`${when}: the order of producer ${id} has changed`);
  }
}

function* upTo(end: number): Generator<number> {
  for (let n = 0; n < end; n++) yield n;
}

async function* rows(batches: AsyncIterable<Batch<Records>>) {
  for await (const batch of batches) {
    yield { columns: batch.columns, length: batch.length, sequence: (row: number) => batch.sequence(row) };
  }
}
