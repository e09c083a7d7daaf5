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
  /** What readers saw at each sequence: producer and number. */
  readonly #seen = new Map<bigint, string>();
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
    // What is read after recovery is certain again.
    this.#seen.clear();
  }

  /** Looks at the records themselves, and at their order. Answers the numbers found of each producer, in the order of the tape. */
  async read(batches: AsyncIterable<Batch<Records>>): Promise<number[][]> {
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
        if (seen === undefined) this.#seen.set(sequence, key);
        else if (seen !== key) this.violation(`sequence ${sequence} was ${seen} and is ${key}`);
      }
    }
    return found;
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
        const missing = firstMissing(numbers, producer.durable);
        if (missing >= 0) {
          this.violation(
            `${when}: lost in a power cut: record ${missing} of producer ${producer.id}, of whom ${producer.durable} were synced`,
          );
        }
      }
      producer.settled ??= numbers;
    }
  }

  #checkPrefix({ id }: Producer, least: number, numbers: readonly number[], what: string): void {
    const missing = firstMissing(numbers, Math.max(least, numbers.length));
    if (missing < 0) return;
    this.violation(
      `${what}, and lost: record ${missing} of producer ${id} (${numbers.length} found, ${least} expected)`,
    );
  }

  #checkSettled({ id }: Producer, settled: readonly number[], numbers: readonly number[], when: string): void {
    if (settled.length === numbers.length && settled.every((n, i) => n === numbers[i])) return;
    const there = new Set(numbers);
    const missing = settled.find((n) => !there.has(n));
    const before = new Set(settled);
    const added = numbers.find((n) => !before.has(n));
    this.violation(
      missing === undefined
        ? `${when}: record ${added} of producer ${id} came back after it was gone`
        : `${when}: lost after it was recovered: record ${missing} of producer ${id}`,
    );
  }
}

/** The first of 0 to `count` - 1 that is not there, or -1. */
function firstMissing(numbers: readonly number[], count: number): number {
  const there = new Set(numbers);
  for (let n = 0; n < count; n++) if (!there.has(n)) return n;
  return -1;
}

async function* rows(batches: AsyncIterable<Batch<Records>>) {
  for await (const batch of batches) {
    yield { columns: batch.columns, length: batch.length, sequence: (row: number) => batch.sequence(row) };
  }
}
