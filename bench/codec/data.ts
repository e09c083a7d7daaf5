// The data sets: real captures, where ../shared/data has them, and the simulator's feed.
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { decimal, defineSchema, i64, type Schema, timestamp, u8, u32, u64 } from 'ticktape';
import { market } from '../../src/collect/market.js';
import { MarketBatch } from '../../src/collect/market-batch.js';
import { decimalOf } from '../../src/collect/parsers/decimal.js';
import { MBO_BYTES, mbo, readDbn } from '../../src/collect/sources/dbn.js';
import { Simulator } from '../../src/collect/sources/simulator.js';
import { type Column, columnsOfStructs, makeColumns } from './columns.js';
import { unzip } from './unzip.js';

/** Records, a column a field of the schema, in its order. */
export interface DataSet {
  schema: Schema;
  columns: Column[];
  count: number;
  /** Names of symbols by id. */
  symbols: string[];
  /** A plain middling column, to be decoded alone. */
  oneColumn: string;
  /** The file as its publisher compresses it, where that is a format for such data. */
  file?: { baseline: string; bytes: number; records: number };
  /** The lines as they were published, where that is CSV. */
  csv?: Uint8Array;
}

// This module lies in dist/bench/codec.
const shared = fileURLToPath(new URL('../../../../shared/data/', import.meta.url));
const FEED = path.join(shared, 'binance-usdm-btcusdt-20240808.feed.gz');
const MBO = path.join(shared, 'cme-esh4-20231225.mbo.dbn.zst');
const SPY = path.join(shared, 'us-spy-20131008-trade.zip');

const SIMULATED_RECORDS = 200_000;
const SIMULATOR_SEED = 1;

const SOURCES: Record<string, { file?: string; load(limit: number): DataSet | Promise<DataSet> }> = {
  mbo: { file: MBO, load: loadMbo },
  trades: { file: FEED, load: loadTrades },
  quotes: { file: FEED, load: loadQuotes },
  spy: { file: SPY, load: loadSpy },
  market: { load: loadMarket },
};

export const DATA_SETS = Object.keys(SOURCES);

/** The file that the data set is missing, if it is. */
export function missingFile(name: string): string | undefined {
  const { file } = SOURCES[name];
  return file === undefined || existsSync(file) ? undefined : file;
}

/** At most `limit` records, from the first on. */
export function loadDataSet(name: string, limit: number): DataSet | Promise<DataSet> {
  return SOURCES[name].load(limit);
}

async function loadMbo(limit: number): Promise<DataSet> {
  const { records, count: found } = await readDbn(MBO);
  const count = Math.min(found, limit);
  return {
    schema: mbo,
    columns: columnsOfStructs(mbo, records.subarray(0, count * MBO_BYTES), count),
    count,
    symbols: [],
    oneColumn: 'price',
    file: { baseline: 'dbn.zst', bytes: statSync(MBO).size, records: found },
  };
}

const trades = defineSchema(
  'trades',
  timestamp('ts'),
  i64('eventMs'),
  decimal('price', 2),
  decimal('size', 3),
  u64('id'),
  /** 1: a seller started it. */
  u8('side'),
);

interface Trade {
  e: 'trade';
  E: number;
  p: string;
  q: string;
  t: number;
  m: boolean;
}

function loadTrades(limit: number): DataSet {
  const lines = feedLines<Trade>('trade', limit);
  const { columns, set } = makeColumns(trades, lines.length);
  lines.forEach(({ ns, data: { E, p, q, t, m } }, row) => {
    set(row, ns, BigInt(E), hundredths(p), thousandths(q), BigInt(t), m ? 1 : 0);
  });
  return { schema: trades, columns, count: lines.length, symbols: [], oneColumn: 'price' };
}

const quotes = defineSchema(
  'quotes',
  timestamp('ts'),
  i64('eventMs'),
  i64('transactionMs'),
  decimal('bidPrice', 2),
  decimal('bidSize', 3),
  decimal('askPrice', 2),
  decimal('askSize', 3),
  u64('updateId'),
);

interface Quote {
  e: 'bookTicker';
  E: number;
  T: number;
  b: string;
  B: string;
  a: string;
  A: string;
  u: number;
}

function loadQuotes(limit: number): DataSet {
  const lines = feedLines<Quote>('bookTicker', limit);
  const { columns, set } = makeColumns(quotes, lines.length);
  lines.forEach(({ ns, data: { E, T, b, B, a, A, u } }, row) => {
    const bid = [hundredths(b), thousandths(B)] as const;
    const ask = [hundredths(a), thousandths(A)] as const;
    set(row, ns, BigInt(E), BigInt(T), ...bid, ...ask, BigInt(u));
  });
  return { schema: quotes, columns, count: lines.length, symbols: [], oneColumn: 'bidPrice' };
}

const hundredths = (text: string) => BigInt(decimalOf(text, 0, text.length, 2));
const thousandths = (text: string) => BigInt(decimalOf(text, 0, text.length, 3));

/** The feed's first `limit` messages of a kind. */
function feedLines<Message extends { e: string }>(kind: Message['e'], limit: number): { ns: bigint; data: Message }[] {
  const found: { ns: bigint; data: Message }[] = [];
  for (const line of gunzipSync(readFileSync(FEED)).toString().split('\n')) {
    if (found.length === limit) break;
    if (!line.includes(`"e":"${kind}"`)) continue;
    const space = line.indexOf(' ');
    found.push({ ns: BigInt(line.slice(0, space)), data: JSON.parse(line.slice(space + 1)).data });
  }
  return found;
}

const spy = defineSchema(
  'spy',
  timestamp('ts'),
  decimal('price', 4),
  u32('size'),
  /** A character. */
  u8('exchange'),
  /** Flags; hexadecimal in the file. */
  u32('conditions'),
  u8('suspicious'),
);

/** 2013-10-08 in New York, which the file's times count from. */
const SPY_MIDNIGHT_NS = 1_381_204_800_000_000_000n;

function loadSpy(limit: number): DataSet {
  const bytes = unzip(readFileSync(SPY), SPY);
  let end = 0;
  let count = 0;
  while (count < limit && end < bytes.length) {
    const newline = bytes.indexOf(10, end);
    end = newline < 0 ? bytes.length : newline + 1;
    count++;
  }
  const csv = bytes.subarray(0, end);
  const { columns, set } = makeColumns(spy, count);
  const lines = new TextDecoder().decode(csv).split('\n');
  for (let row = 0; row < count; row++) {
    const [ms, price, size, exchange, conditions, suspicious] = lines[row].split(',');
    const ns = SPY_MIDNIGHT_NS + BigInt(ms) * 1_000_000n;
    const flags = Number.parseInt(conditions, 16);
    set(row, ns, BigInt(price), Number(size), exchange.charCodeAt(0), flags, Number(suspicious));
  }
  return { schema: spy, columns, count, symbols: [], oneColumn: 'price', csv };
}

function loadMarket(limit: number): DataSet {
  const simulator = new Simulator({ seed: SIMULATOR_SEED, collector: 0, collectors: 1 });
  const count = Math.min(SIMULATED_RECORDS, limit);
  const batch = new MarketBatch(count);
  simulator.fill(batch, count);
  const { columns, set } = makeColumns(market, count);
  const whole = (value: number) => BigInt(value);
  for (let row = 0; row < count; row++) {
    set(
      row,
      batch.tsNs[row],
      batch.symbol[row],
      batch.kind[row],
      batch.flags[row],
      0,
      whole(batch.price[row]),
      whole(batch.size[row]),
      whole(batch.askPrice[row]),
      whole(batch.askSize[row]),
      whole(batch.exchangeUs[row]),
      whole(batch.id[row]),
    );
  }
  return { schema: market, columns, count, symbols: batch.names, oneColumn: 'price' };
}
