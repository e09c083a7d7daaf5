import fc from 'fast-check';
import { bytes, defineSchema, timestamp, u8 } from 'ticktape';
import { describe, expect, test } from 'vitest';
import {
  CONTROL_STATE,
  LANE_CACHED_HEAD,
  LANE_DRAINED,
  LANE_HEAD,
  LANE_OFFSET,
  LANE_SEALED_AT,
  LANE_TAIL,
  RECORD_TIMESTAMP,
  TAPE_CLOSING,
  TAPE_FAILED,
} from '../../dist/assembly/layout.js';
import { Bench } from '../helpers/bench.js';
import {
  ANSWERED_CLOSED,
  ANSWERED_FAILED,
  BAD_VALUE,
  CACHED_HEAD,
  CLOSING,
  DRAINED,
  DROPPED,
  FAILED,
  HEAD,
  NEVER,
  OFFSET,
  P,
  PRODUCER,
  RETURNED,
  ROWS,
  SEALED_AT,
  TAIL,
  TAPE,
  TOO_LARGE,
} from './lane.js';
import { LaneModel } from './lane-model.js';

// The model and the kernels, given the same to do: that what holds for the one can be said of the other.

const schema = defineSchema('modelled', timestamp('record'), u8('kind'), bytes('b'));
/** Words of a record whose `b` is empty. */
const SMALLEST = 4;
const WORD = 8;
const MAX_ROWS = 3;
/** A byte holds each position. */
const LAST_POSITION = 230;

const REFUSAL = 'producer: encode: REFUSED';

type Step = 'drain' | 'seal' | { append: number } | { refused: number };
type End = 'open' | 'failed' | 'closed';

/** A lane of each, side by side. */
class Pair {
  readonly seen = new Set<string>();
  readonly #bench: Bench;
  readonly #append: (...values: (bigint | number | Uint8Array)[]) => number;
  readonly #model: LaneModel;
  readonly #capacity: number;
  readonly #sizes: readonly number[];
  #state: Uint8Array;
  #records = 0;
  #hasRefused = false;
  /** What the last answer was, of a producer that has left. */
  #left = 0;

  constructor(capacity: number, sizes: readonly number[]) {
    this.#capacity = capacity;
    this.#sizes = sizes;
    this.#bench = new Bench(schema, { ring: capacity * WORD, capacity: 16 });
    this.#append = this.#bench.appender(0, 'drop').append;
    this.#model = new LaneModel({
      capacity,
      sizes,
      largest: capacity >> 2,
      smallest: SMALLEST,
      maxRows: MAX_ROWS,
      onFull: 'drop',
      refuses: true,
    });
    this.#state = new Uint8Array(this.#model.bytes);
    this.#model.begin(this.#state);
  }

  get isFull(): boolean {
    return this.#records === this.#sizes.length || this.#state[TAIL] > LAST_POSITION - this.#capacity;
  }

  /** Takes the model's first step whose name begins so, and is not `without`. False where there is none. */
  #step(begin: string, without = ''): boolean {
    const next: { step: string; state: Uint8Array }[] = [];
    this.#model.expand(this.#state, (step) => {
      const state = this.#state.slice();
      next.push({ step, state });
      return state;
    });
    const found = next.find(({ step }) => step.startsWith(begin) && step !== without);
    if (found === undefined) return false;
    this.seen.add(found.step);
    this.#state = found.state;
    expect(this.#model.broken(this.#state)).toBeNull();
    return true;
  }

  append(refused: boolean): void {
    const record = ++this.#records;
    const isAtLastWord = this.#state[OFFSET] === this.#capacity - 1;
    while (this.#left === 0 && this.#state[this.#model.lane.answers + record] === 0) {
      if (refused && this.#step(REFUSAL)) this.#hasRefused = true;
      else expect(this.#step('producer: ', REFUSAL)).toBe(true);
    }
    const content = new Uint8Array((this.#sizes[record - 1] - SMALLEST) * WORD).fill(record);
    let answer: unknown;
    try {
      answer = this.#append(BigInt(record), refused ? 300 : 1, content);
    } catch (error) {
      answer = (error as { code?: unknown }).code;
    }
    const position = (this.#state[TAIL] - this.#sizes[record - 1]) * WORD;
    const modelled = this.#left || this.#state[this.#model.lane.answers + record];
    const expected = {
      [RETURNED]: position,
      [DROPPED]: -1,
      [TOO_LARGE]: 'TOO_LARGE',
      [BAD_VALUE]: 'BAD_VALUE',
      [ANSWERED_CLOSED]: 'CLOSED',
      [ANSWERED_FAILED]: 'FLUSHER_FAILED',
    }[modelled];
    if (this.#state[PRODUCER] === P.left) this.#left = modelled;
    if (isAtLastWord && modelled === RETURNED) this.seen.add('a word left at the end');
    expect(answer).toBe(expected);
    this.seen.add(typeof expected === 'string' ? expected : expected === -1 ? 'dropped' : 'returned');
  }

  drain(): void {
    // `doWork` seals a block that is full before it drains again.
    if (this.#state[ROWS] === MAX_ROWS) return;
    const before = this.#state[ROWS];
    while (this.#step('flusher: drain: ')) if (this.#isIdle) break;
    expect(this.#bench.drain(MAX_ROWS)).toBe(this.#state[ROWS] - before);
    const records = this.#bench
      .rows()
      .map((row) => Number(new DataView(row.buffer).getBigInt64(RECORD_TIMESTAMP, true)));
    expect(records).toEqual([
      ...this.#state.subarray(this.#model.lane.rows, this.#model.lane.rows + this.#state[ROWS]),
    ]);
  }

  /** Makes a block of the rows, stores it, and gives its space back. */
  seal(): void {
    if (this.#state[ROWS] === 0) return;
    expect(this.#step('flusher: seal')).toBe(true);
    while (this.#step('flusher: append') || this.#step('flusher: release')) if (this.#isIdle) break;
    this.#bench.release(0, BigInt(this.#state[DRAINED] * WORD));
    this.#bench.emptyRows();
  }

  get #isIdle(): boolean {
    return this.#model.isIdle(this.#state);
  }

  end(how: End): void {
    if (how === 'open') return;
    this.#state[TAPE] = how === 'failed' ? FAILED : CLOSING;
    this.#bench.view.setInt32(CONTROL_STATE, how === 'failed' ? TAPE_FAILED : TAPE_CLOSING, true);
    if (how === 'failed') return;
    this.#state[SEALED_AT] = this.#state[TAIL];
    this.#bench.view.setBigUint64(this.#bench.at(0) + LANE_SEALED_AT, BigInt(this.#state[TAIL] * WORD), true);
  }

  /** Counters, and what lies at each position of the ring, be it before `tail` or behind it. */
  compare(): void {
    const s = this.#state;
    const counters = [LANE_HEAD, LANE_DRAINED, LANE_TAIL, LANE_CACHED_HEAD, LANE_OFFSET];
    const real = counters.map((counter) => Number(this.#bench.counter(0, counter)) / WORD);
    expect(real).toEqual([s[HEAD], s[DRAINED], s[TAIL], s[CACHED_HEAD], s[OFFSET]]);
    const sealedAt = this.#bench.counter(0, LANE_SEALED_AT);
    expect(sealedAt === 2n ** 64n - 1n ? NEVER : Number(sealedAt) / WORD).toBe(s[SEALED_AT]);
    const { kernels } = this.#bench;
    const limit = s[HEAD] + this.#capacity;
    // What a refused record leaves in the space before `head` is not the same: the kernel gets further with it.
    const from = this.#hasRefused ? s[HEAD] : Math.max(0, limit - 2 * this.#capacity);
    for (const to of [s[TAIL], limit]) {
      for (let position = from; position < to; position++) {
        const step = kernels.probe(this.#bench.at(0), BigInt(position * WORD), BigInt(to * WORD));
        const modelled = this.#model.lane.probe(s, position, to) * WORD;
        if (step !== modelled) expect.fail(`at ${position} up to ${to}: ${step}, modelled ${modelled}`);
      }
    }
  }
}

function walk(capacity: number, steps: readonly Step[], end: End, after: readonly Step[]): ReadonlySet<string> {
  const sizes = [...steps, ...after].flatMap((step) =>
    typeof step === 'string' ? [] : [SMALLEST + ('append' in step ? step.append : step.refused)],
  );
  const pair = new Pair(capacity, sizes);
  const take = (step: Step) => {
    if (step === 'drain') pair.drain();
    else if (step === 'seal') pair.seal();
    else if (!pair.isFull) pair.append('refused' in step);
    pair.compare();
  };
  for (const step of steps) take(step);
  pair.end(end);
  for (const step of after) take(step);
  return pair.seen;
}

describe('the model does what the kernels do', () => {
  test.each([18, 22, 30, 40])('with a ring of %i words', (capacity) => {
    const size = fc.integer({ min: 0, max: (capacity >> 2) + 1 - SMALLEST });
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ append: size }) },
      { weight: 1, arbitrary: fc.record({ refused: size }) },
      { weight: 3, arbitrary: fc.constant<Step>('drain') },
      { weight: 3, arbitrary: fc.constant<Step>('seal') },
    );
    const seen = new Set<string>();
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 20, maxLength: 80 }),
        fc.constantFrom<End>('open', 'failed', 'closed'),
        fc.array(step, { maxLength: 6 }),
        (steps, end, after) => {
          for (const name of walk(capacity, steps, end, after)) seen.add(name);
        },
      ),
      { numRuns: 150 },
    );
    const expected = ['returned', 'dropped', 'TOO_LARGE', 'BAD_VALUE', 'CLOSED', 'FLUSHER_FAILED'];
    expected.push('producer: #takeBack: compareExchange sealedAt', 'flusher: release: store head');
    expected.push('producer: place: store checksum of padding');
    if (capacity > 18) expected.push('a word left at the end');
    expect([...seen]).toEqual(expect.arrayContaining(expected));
  });
});
