const GATE = 0;
const STOP = 1;
const SLEEP = 2;
// In 64-bit words.
const BUDGET = 2;
const COUNTERS = 8;
/** A cache line a collector. */
const COUNTER_WORDS = 8;

/** The words that the demo shares with its collectors. */
export class DemoControl {
  readonly buffer: SharedArrayBuffer;
  readonly #collectors: number;
  readonly #words: Int32Array;
  readonly #longs: BigInt64Array;

  /** @param buffer of the `DemoControl` to share; a new one without */
  constructor(collectors: number, buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(8 * (COUNTERS + COUNTER_WORDS * collectors));
    this.#collectors = collectors;
    this.#words = new Int32Array(this.buffer);
    this.#longs = new BigInt64Array(this.buffer);
  }

  openGate(): void {
    Atomics.store(this.#words, GATE, 1);
    Atomics.notify(this.#words, GATE);
  }

  waitForGate(): void {
    Atomics.wait(this.#words, GATE, 0);
  }

  /** Asks the collectors to end with what they have. */
  stop(): void {
    Atomics.store(this.#words, STOP, 1);
    this.openGate();
  }

  get stopped(): boolean {
    return Atomics.load(this.#words, STOP) === 1;
  }

  /** Nobody notifies this word: the wait ends when its time is over. */
  sleep(ms: number): void {
    Atomics.wait(this.#words, SLEEP, 0, ms);
  }

  /** How many records all collectors together may still append. */
  set budget(records: number) {
    Atomics.store(this.#longs, BUDGET, BigInt(records));
  }

  get budget(): number {
    return Number(Atomics.load(this.#longs, BUDGET));
  }

  /** Takes up to `records` from the budget; answers how many it was. */
  claim(records: number): number {
    const left = Number(Atomics.sub(this.#longs, BUDGET, BigInt(records)));
    return Math.max(0, Math.min(records, left));
  }

  report(collector: number, appended: number): void {
    Atomics.store(this.#longs, COUNTERS + COUNTER_WORDS * collector, BigInt(appended));
  }

  /** By all collectors so far. */
  get appended(): number {
    let sum = 0;
    for (let i = 0; i < this.#collectors; i++) sum += Number(Atomics.load(this.#longs, COUNTERS + COUNTER_WORDS * i));
    return sum;
  }
}
