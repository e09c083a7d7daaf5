import { FLAG_ASK, FLAG_LAST, KIND_LEVEL, KIND_QUOTE, KIND_TRADE } from '../../schemas.js';
import { HIGH_WORD, LOW_WORD, type MarketBatch } from '../market-batch.js';
import { listInstruments } from './instruments.js';
import { Random } from './random.js';

export interface SimulatorOptions {
  seed: number;
  /** Which of `collectors` this one is: each listens to a channel of its own, with its share of the instruments. */
  collector: number;
  collectors: number;
  /** Over all channels. Default 240. */
  instruments?: number;
  /** When the session opens. Default 2024-08-08 13:30 UTC. */
  startNs?: bigint;
}

const START_NS = 1_723_123_800_000_000_000n;

const CALM_GAP_NS = 60_000;
const BURST_GAP_NS = 400;
const LATENCY_NS = 180_000;
const JITTER_NS = 15_000;

// Of 1,024: how likely an event of a kind brings on another of the same instrument. Trades excite most.
const EXCITES = new Int32Array(4);
EXCITES[KIND_TRADE] = 970;
EXCITES[KIND_QUOTE] = 800;
EXCITES[KIND_LEVEL] = 760;

const TABLE = 4096;

/** Quantiles of the exponential distribution of mean 1, in 1/4096: rounded, so that every engine's logarithm gives the same. */
const EXPONENTIAL = Float64Array.from(
  { length: TABLE },
  (_, i) => Math.round(-Math.log((i + 0.5) / TABLE) * 4096) / 4096,
);

/** Sizes in lots: half of them round, the others spread over three decades, small ones more often. */
const LOTS = Int32Array.from({ length: TABLE }, (_, i) =>
  i % 2 === 0 ? 100 * (1 + (Math.round(EXPONENTIAL[(i * 37) % TABLE] * 3) % 20)) : Math.round(10 ** ((i / TABLE) * 3)),
);

/**
 * A simulated exchange: trades, quotes and changes of book levels of many instruments, a few of them very active, in bursts
 * that feed on themselves; prices walk at random on their grids. The events depend on the options alone.
 */
export class Simulator {
  readonly #random: Random;
  readonly #names: string[];
  // Per instrument; prices in hundredths, sizes in thousandths.
  readonly #tick: Int32Array;
  readonly #lot: Int32Array;
  readonly #bid: Int32Array;
  readonly #ask: Int32Array;
  readonly #bidSize: Int32Array;
  readonly #askSize: Int32Array;
  // Walker's alias table: one draw picks an instrument by its activity.
  readonly #threshold: Float64Array;
  readonly #alias: Int32Array;
  readonly #startLow: number;
  readonly #startHigh: number;
  readonly #startMs: number;
  // Doubles in a typed array are updated in place; as properties they could be boxed anew each time.
  readonly #clock = new Float64Array(3);
  #instrument = 0;
  #excites = 0;

  constructor({ seed, collector, collectors, instruments = 240, startNs = START_NS }: SimulatorOptions) {
    this.#random = new Random(seed, collector, collectors);
    const listed = listInstruments(instruments);
    const mine = listed.filter((_, rank) => rank % collectors === collector);
    if (mine.length === 0) throw new RangeError(`${instruments} instruments are too few for ${collectors} collectors`);
    const column = (value: (of: (typeof mine)[number]) => number) => Int32Array.from(mine, value);
    this.#names = mine.map(({ name }) => name);
    this.#tick = column(({ tick }) => tick);
    this.#lot = column(({ lot }) => lot);
    this.#bid = column(({ price }) => price);
    this.#ask = column(({ price, tick }) => price + tick);
    this.#bidSize = column(({ lot }) => 100 * lot);
    this.#askSize = column(({ lot }) => 100 * lot);
    // Zipf's law, within a channel.
    const weights = mine.map((_, rank) => 1 / (rank + 1));
    const { threshold, alias } = aliasTable(weights);
    this.#threshold = threshold;
    this.#alias = alias;
    this.#startLow = Number(startNs & 0xffffffffn);
    this.#startHigh = Number(startNs >> 32n);
    this.#startMs = Number(startNs / 1_000_000n);
  }

  /** Puts the next `count` events, at most its capacity, into `batch`, in place of what it held. */
  fill(batch: MarketBatch, count: number): void {
    if (batch.names.length === 0) batch.names.push(...this.#names);
    for (let row = 0; row < count; row++) this.#next(batch, row);
    batch.length = count;
  }

  #next(batch: MarketBatch, row: number): void {
    const bits = this.#random.bits();
    const moreBits = this.#random.bits();
    const clock = this.#clock;

    const gap = EXPONENTIAL[moreBits & (TABLE - 1)];
    if ((bits & 1023) < this.#excites) {
      clock[EXCHANGE_NS] += Math.round(gap * BURST_GAP_NS);
    } else {
      clock[EXCHANGE_NS] += Math.round(gap * CALM_GAP_NS);
      this.#instrument = this.#pick();
    }
    // Messages arrive one behind the other, however they were delayed on the way.
    const backToBackNs = 40 + (bits >>> 25);
    const jitterNs = Math.round(EXPONENTIAL[(moreBits >>> 20) & (TABLE - 1)] * JITTER_NS);
    clock[RECEIVED_NS] = Math.max(clock[RECEIVED_NS] + backToBackNs, clock[EXCHANGE_NS] + LATENCY_NS + jitterNs);
    clock[SEQUENCE] += 1;

    const low = this.#startLow + clock[RECEIVED_NS];
    batch.tsWords[2 * row + LOW_WORD] = low >>> 0;
    batch.tsWords[2 * row + HIGH_WORD] = this.#startHigh + Math.floor(low / 2 ** 32);
    batch.exchangeUs[row] = 1000 * (this.#startMs + Math.floor(clock[EXCHANGE_NS] / 1e6));
    batch.id[row] = clock[SEQUENCE];
    batch.symbol[row] = this.#instrument;

    const isAsk = (bits >>> 10) & 1;
    const size = LOTS[(moreBits >>> 8) & (TABLE - 1)] * this.#lot[this.#instrument];
    const share = (bits >>> 11) & 127;
    if (share < 20) this.#trade(batch, row, isAsk, size);
    else if (share < 85) this.#quote(batch, row, isAsk, size, (bits >>> 18) & 127);
    else this.#level(batch, row, isAsk, size, (bits >>> 18) & 127);
    this.#excites = EXCITES[batch.kind[row]];
  }

  /** A trade takes from the side that it hits; one that takes it all moves the price. */
  #trade(batch: MarketBatch, row: number, isAsk: number, size: number): void {
    const at = this.#instrument;
    const price = isAsk === 1 ? this.#bid[at] : this.#ask[at];
    if (isAsk === 1) {
      this.#bidSize[at] -= size;
      if (this.#bidSize[at] <= 0) {
        if (price > 20 * this.#tick[at]) this.#bid[at] -= this.#tick[at];
        this.#bidSize[at] = size;
      }
    } else {
      this.#askSize[at] -= size;
      if (this.#askSize[at] <= 0) {
        this.#ask[at] += this.#tick[at];
        this.#askSize[at] = size;
      }
    }
    write(batch, row, KIND_TRADE, isAsk * FLAG_ASK, price, size, 0, 0);
  }

  /** A quote closes a wide spread, now and then moves with the price, and else shows another size. */
  #quote(batch: MarketBatch, row: number, isAsk: number, size: number, chance: number): void {
    const at = this.#instrument;
    const tick = this.#tick[at];
    if (this.#ask[at] - this.#bid[at] > tick && chance < 96) {
      if (isAsk === 1) this.#ask[at] -= tick;
      else this.#bid[at] += tick;
    } else if (chance > 119 && (isAsk === 1 || this.#bid[at] > 20 * tick)) {
      const move = isAsk === 1 ? tick : -tick;
      this.#bid[at] += move;
      this.#ask[at] += move;
    }
    if (isAsk === 1) this.#askSize[at] = size;
    else this.#bidSize[at] = size;
    write(batch, row, KIND_QUOTE, 0, this.#bid[at], this.#bidSize[at], this.#ask[at], this.#askSize[at]);
  }

  /** A level deeper in the book changes, near ones more often; an eighth of the time it goes. */
  #level(batch: MarketBatch, row: number, isAsk: number, size: number, chance: number): void {
    const at = this.#instrument;
    const away = (1 + (chance & 7) + ((chance & 3) === 0 ? chance >>> 3 : 0)) * this.#tick[at];
    const price = isAsk === 1 ? this.#ask[at] + away : Math.max(this.#bid[at] - away, this.#tick[at]);
    const left = chance >>> 4 === 7 ? 0 : size;
    write(batch, row, KIND_LEVEL, isAsk * FLAG_ASK, price, left, 0, 0);
  }

  #pick(): number {
    const draw = this.#random.unit() * this.#threshold.length;
    const at = Math.floor(draw);
    return draw - at < this.#threshold[at] ? at : this.#alias[at];
  }
}

// In `#clock`.
const EXCHANGE_NS = 0;
const RECEIVED_NS = 1;
const SEQUENCE = 2;

function write(
  batch: MarketBatch,
  row: number,
  kind: number,
  flags: number,
  price: number,
  size: number,
  askPrice: number,
  askSize: number,
): void {
  batch.kind[row] = kind;
  batch.flags[row] = flags | FLAG_LAST;
  batch.price[row] = price;
  batch.size[row] = size;
  batch.askPrice[row] = askPrice;
  batch.askSize[row] = askSize;
}

function aliasTable(weights: number[]): { threshold: Float64Array; alias: Int32Array } {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const threshold = Float64Array.from(weights, (weight) => (weight * weights.length) / total);
  const alias = new Int32Array(weights.length);
  const poor: number[] = [];
  const rich: number[] = [];
  threshold.forEach((share, i) => {
    (share < 1 ? poor : rich).push(i);
  });
  while (poor.length > 0 && rich.length > 0) {
    const from = poor.pop()!;
    const to = rich[rich.length - 1];
    alias[from] = to;
    threshold[to] -= 1 - threshold[from];
    if (threshold[to] < 1) poor.push(rich.pop()!);
  }
  for (const i of [...poor, ...rich]) threshold[i] = 1;
  return { threshold, alias };
}
