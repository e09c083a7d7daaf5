import {
  BAR_BYTES,
  BAR_CLOSE,
  BAR_COUNT,
  BAR_HIGH,
  BAR_LOW,
  BAR_OPEN,
  BAR_TURNOVER,
  BAR_VOLUME,
  BARS_TOO_LARGE,
  WINDOW_ALIGN,
} from '../../assembly/layout.js';
import { assert, show, TapeError } from '../errors.js';
import { instantiateKernels, type Kernels, sharedMemory } from '../kernels.js';
import type { Runtime } from '../runtime.js';
import type { Fields, PlacedField, Schema } from '../schema.js';
import { Turns } from '../storage/scrub/turns.js';
import { DURATIONS_TAKEN, parseDuration } from '../times.js';
import { OptionalColumn, type SymbolColumn } from './batch.js';
import { planBlocks } from './plan.js';
import type { TapeBlocks } from './reader.js';
import { timedBatches } from './scan.js';
import { type RecordOptions, resolveSelection } from './selection.js';
import type { TimedBatch } from './time-order.js';

/** What bars are made of; all but the interval may be left out. */
export interface BarOptions extends Omit<RecordOptions, 'columns'> {
  /** Its length: `1s`, `15m`, `1h30m`, or ns. Intervals begin at multiples of it since the Unix epoch. */
  interval: string | bigint;
  /** The fields of prices and of sizes: decimals, floats, or integers of up to 32 bits. Default `price` and `size`. */
  price?: string;
  size?: string;
}

/** What one symbol's records within an interval come to. */
export interface Bar {
  /** The beginning of the interval, in ns. */
  ts: bigint;
  /** '' of records that have none. */
  symbol: string;
  open: number;
  high: number;
  low: number;
  close: number;
  /** The sum of the sizes: of decimals the double that is nearest to the exact sum. */
  volume: number;
  /** The mean of the prices, weighted by size; NaN where the volume is 0. */
  vwap: number;
  /** How many records. */
  count: number;
}

const SCRATCH = 2 * WINDOW_ALIGN;
/** Rows that the kernel is given at once. */
const MOST_ROWS = 8192;
const FIRST_SLOTS = 256;
const NO_SYMBOL = '';
const LAST_NS = 2n ** 63n - 1n;
/** Digits of a quotient before it becomes a double: more than a double has. */
const DIGITS = 25;

const EXACT_KINDS = ['decimal', 'i8', 'i16', 'i32', 'u8', 'u16', 'u32'];
const KINDS = [...EXACT_KINDS, 'f64', 'f32'];

interface BarFields {
  symbol: PlacedField | null;
  price: PlacedField;
  size: PlacedField;
}

/**
 * Records by time as bars: those of an interval together, by which symbol came first in it. No record, no bar; nor is one counted whose
 * price or size is absent or NaN.
 * @throws TapeError `BAD_OPTION`, `BLOCK_MISSING`, `BLOCK_DAMAGED`; `TOO_LARGE` where a sum is beyond 2¹²⁷ last places
 */
export async function* bars<F extends Fields>(
  blocks: TapeBlocks<F>,
  options: BarOptions,
  clock: Pick<Runtime, 'nowMs' | 'sleep'>,
): AsyncGenerator<Bar> {
  const { price = 'price', size = 'size', interval, ...asked } = options;
  const intervalNs = intervalOf(interval);
  const { schema } = blocks;
  const fields: BarFields = {
    symbol: schema.table.find(({ kind }) => kind === 'symbol') ?? null,
    price: fieldOf(schema, 'price', price),
    size: fieldOf(schema, 'size', size),
  };
  const names = Object.values(fields).flatMap((field) => (field === null ? [] : [field.name]));
  const selection = resolveSelection(schema, { ...asked, columns: [...new Set(names)] });
  const planned = planBlocks(blocks.list(), selection.range);
  const turns = new Turns(clock, undefined);
  const maker = new BarMaker(fields, intervalNs);
  for (const batch of timedBatches<F, string>(blocks, planned, selection)) {
    if (batch !== null) yield* maker.take(batch);
    if (turns.due) await turns.give();
  }
  yield* maker.end();
}

function intervalOf(interval: unknown): bigint {
  const ns = typeof interval === 'bigint' ? interval : typeof interval === 'string' ? parseDuration(interval) : null;
  if (ns !== null && ns > 0n && ns <= LAST_NS) return ns;
  throw new TapeError(
    'BAD_OPTION',
    `option interval is a bigint of ns above 0, or a text as ${DURATIONS_TAKEN}; not ${show(interval)}`,
  );
}

function fieldOf({ table, name: schemaName }: Schema, option: string, name: string): PlacedField {
  const field = table.find((candidate) => candidate.name === name);
  if (field !== undefined && KINDS.includes(field.kind)) return field;
  const what = field === undefined ? `schema ${schemaName} has no field ${show(name)}` : `${name} is a ${field.kind}`;
  throw new TapeError('BAD_OPTION', `option ${option}: ${what}: name a field of ${KINDS.join(', ')}`, { field: name });
}

/** Accumulators of all symbols for one interval at a time. */
class BarMaker {
  readonly #fields: BarFields;
  readonly #intervalNs: bigint;
  readonly #isExact: boolean;
  /** A slot a symbol. */
  readonly #slots = new Map<string, number>();
  readonly #symbols: string[] = [];
  #room: Room = new Room(FIRST_SLOTS);
  #startNs = 0n;
  #isOpen = false;

  constructor(fields: BarFields, intervalNs: bigint) {
    this.#fields = fields;
    this.#intervalNs = intervalNs;
    this.#isExact = [fields.price, fields.size].every(({ kind }) => EXACT_KINDS.includes(kind));
  }

  /** Takes records; gives the bars that they end. */
  *take({ batch, times }: TimedBatch<Fields, string>): Generator<Bar> {
    const columns = batch.columns as Record<string, unknown>;
    const { symbol, price, size } = this.#fields;
    const slots = this.#slotsOf(symbol === null ? null : columns[symbol.name], times.length);
    const prices = numbersOf(columns[price.name]);
    const sizes = price === size ? prices : numbersOf(columns[size.name]);
    const multiplier = ({ scale }: PlacedField) => (this.#isExact ? 10 ** scale : 0);
    for (let from = 0; from < times.length; from += MOST_ROWS) {
      const count = Math.min(MOST_ROWS, times.length - from);
      this.#room.put(from, count, slots, times, prices, sizes);
      for (let row = 0; row < count; ) {
        const ns = times[from + row];
        if (this.#isOpen && ns - this.#startNs >= this.#intervalNs) yield* this.end();
        if (!this.#isOpen) this.#begin(ns);
        row = this.#room.add(row, count, this.#lastNs, multiplier(price), multiplier(size));
      }
    }
  }

  #begin(ns: bigint): void {
    const within = ((ns % this.#intervalNs) + this.#intervalNs) % this.#intervalNs;
    this.#startNs = ns - within;
    this.#isOpen = true;
  }

  get #lastNs(): bigint {
    const last = this.#startNs + this.#intervalNs - 1n;
    return last > LAST_NS ? LAST_NS : last;
  }

  /** Each row's slot. */
  #slotsOf(column: unknown, length: number): Uint32Array {
    if (column === null) return new Uint32Array(length).fill(this.#slot(NO_SYMBOL));
    const { ids, names } =
      column instanceof OptionalColumn ? (column.values as SymbolColumn) : (column as SymbolColumn);
    const known = new Map<number, number>();
    const slots = new Uint32Array(length);
    for (let row = 0; row < length; row++) {
      let slot = known.get(ids[row]);
      if (slot === undefined) {
        slot = this.#slot(names.get(ids[row])!);
        known.set(ids[row], slot);
      }
      slots[row] = slot;
    }
    return slots;
  }

  #slot(symbol: string): number {
    let slot = this.#slots.get(symbol);
    if (slot === undefined) {
      slot = this.#symbols.push(symbol) - 1;
      this.#slots.set(symbol, slot);
      if (slot >= this.#room.slots) this.#room = this.#room.grown();
    }
    return slot;
  }

  /** The bars of the interval, which is over. */
  *end(): Generator<Bar> {
    this.#isOpen = false;
    const { price, size } = this.#fields;
    for (const of of this.#room.takeAll(this.#isExact)) {
      yield {
        ts: this.#startNs,
        symbol: this.#symbols[of.slot],
        open: of.open,
        high: of.high,
        low: of.low,
        close: of.close,
        volume: quotient(of.volume, 10n ** BigInt(size.scale)),
        vwap: vwapOf(of, price.scale),
        count: of.count,
      };
    }
  }
}

interface Accumulated extends Omit<Bar, 'ts' | 'symbol' | 'volume' | 'vwap'> {
  slot: number;
  /** Bigints of last places, or doubles. */
  volume: bigint | number;
  turnover: bigint | number;
}

function vwapOf({ volume, turnover }: Accumulated, priceScale: number): number {
  if (typeof volume === 'number') return volume === 0 ? Number.NaN : (turnover as number) / volume;
  return volume === 0n ? Number.NaN : quotient(turnover, volume * 10n ** BigInt(priceScale));
}

/** The double nearest to the quotient of whole numbers; a double as it is. */
function quotient(value: bigint | number, divisor: bigint): number {
  if (typeof value === 'number') return value;
  if (value === 0n) return 0;
  const digitsOf = (of: bigint) => String(of < 0n ? -of : of).length;
  const shift = Math.max(0, DIGITS - digitsOf(value) + digitsOf(divisor));
  const shifted = value * 10n ** BigInt(shift);
  const whole = shifted / divisor;
  // A digit more says whether anything is left, so that what lies just above the middle of two doubles is not taken for the middle.
  const rest = shifted % divisor === 0n ? '' : '1';
  return Number(`${whole}${rest}e${-(shift + rest.length)}`);
}

/** Of each row; NaN where it is absent. */
function numbersOf(column: unknown): Float64Array {
  if (column instanceof Float64Array) return column;
  if (!(column instanceof OptionalColumn)) return Float64Array.from(column as ArrayLike<number>);
  const { values, present } = column;
  return Float64Array.from(values as ArrayLike<number>, (value, row) => (present[row] === 1 ? value : Number.NaN));
}

/** The kernel's memory: rows, then touched slots, then accumulators. */
class Room {
  readonly slots: number;
  readonly #kernels: Kernels;
  readonly #memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #at: Record<'times' | 'prices' | 'sizes' | 'slots' | 'touched' | 'accumulators', number>;

  constructor(slots: number) {
    this.slots = slots;
    const times = SCRATCH;
    const prices = times + 8 * MOST_ROWS;
    const sizes = prices + 8 * MOST_ROWS;
    const rowSlots = sizes + 8 * MOST_ROWS;
    const accumulators = rowSlots + 4 * MOST_ROWS;
    const touched = accumulators + BAR_BYTES * slots;
    this.#at = { times, prices, sizes, slots: rowSlots, touched, accumulators };
    this.#memory = sharedMemory(touched + 4 + 4 * slots);
    this.#view = new DataView(this.#memory.buffer);
    this.#kernels = instantiateKernels(this.#memory);
  }

  /** One with twice the slots, and what these hold. */
  grown(): Room {
    const room = new Room(2 * this.slots);
    const bytesOf = ({ buffer }: WebAssembly.Memory, at: number, length: number) => new Uint8Array(buffer, at, length);
    for (const part of [
      { from: this.#at.accumulators, to: room.#at.accumulators, length: BAR_BYTES * this.slots },
      { from: this.#at.touched, to: room.#at.touched, length: 4 + 4 * this.slots },
    ]) {
      bytesOf(room.#memory, part.to, part.length).set(bytesOf(this.#memory, part.from, part.length));
    }
    return room;
  }

  put(
    from: number,
    count: number,
    slots: Uint32Array,
    times: BigInt64Array,
    prices: Float64Array,
    sizes: Float64Array,
  ): void {
    const { buffer } = this.#memory;
    const to = from + count;
    new Uint32Array(buffer, this.#at.slots, count).set(slots.subarray(from, to));
    new BigInt64Array(buffer, this.#at.times, count).set(times.subarray(from, to));
    new Float64Array(buffer, this.#at.prices, count).set(prices.subarray(from, to));
    new Float64Array(buffer, this.#at.sizes, count).set(sizes.subarray(from, to));
  }

  /** Adds rows up to `lastNs`; answers how far it came. */
  add(from: number, count: number, lastNs: bigint, priceMultiplier: number, sizeMultiplier: number): number {
    const { slots, times, prices, sizes, accumulators, touched } = this.#at;
    const reached = this.#kernels.bars(
      slots,
      times,
      prices,
      sizes,
      from,
      count,
      lastNs,
      accumulators,
      this.slots,
      touched,
      priceMultiplier,
      sizeMultiplier,
    );
    if (reached === BARS_TOO_LARGE) {
      throw new TapeError('TOO_LARGE', 'the volume or turnover of a bar is too large: make the interval shorter');
    }
    assert(reached >= 0, 'every row has a slot');
    return reached;
  }

  /** What was added up since, and begins anew. */
  *takeAll(isExact: boolean): Generator<Accumulated> {
    const view = this.#view;
    const count = view.getUint32(this.#at.touched, true);
    const f64 = (at: number) => view.getFloat64(at, true);
    const sum = (at: number) =>
      isExact ? (view.getBigInt64(at + 8, true) << 64n) + view.getBigUint64(at, true) : f64(at);
    const all = Array.from({ length: count }, (_, i): Accumulated => {
      const slot = view.getUint32(this.#at.touched + 4 + 4 * i, true);
      const at = this.#at.accumulators + BAR_BYTES * slot;
      const accumulated = {
        slot,
        open: f64(at + BAR_OPEN),
        high: f64(at + BAR_HIGH),
        low: f64(at + BAR_LOW),
        close: f64(at + BAR_CLOSE),
        count: Number(view.getBigUint64(at + BAR_COUNT, true)),
        volume: sum(at + BAR_VOLUME),
        turnover: sum(at + BAR_TURNOVER),
      };
      view.setBigUint64(at + BAR_COUNT, 0n, true);
      return accumulated;
    });
    view.setUint32(this.#at.touched, 0, true);
    yield* all;
  }
}
