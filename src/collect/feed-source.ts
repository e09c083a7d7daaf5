// The source that ships: feeds by WebSocket, files of several kinds, and the exchange simulator. One feed a collector, or its share of one.
import { TapeError } from '../errors.js';
import { FLAG_ASK, KIND_LEVEL, KIND_TRADE, SIDE_ASK, SIDE_BID, SIDE_BUY, SIDE_SELL } from '../schemas.js';
import type { BackoffOptions } from './backoff.js';
import type { CollectorContext } from './context.js';
import { PRICE_SCALE, SIZE_SCALE } from './market.js';
import { MarketBatch } from './market-batch.js';
import { FeedLines } from './parsers/feed-line.js';
import { scalesOf, sinkFor } from './parsers/market-sink.js';
import { type Exchange, type MessageParser, makeParser } from './parsers/parser.js';
import { CsvRows } from './sources/csv.js';
import { FieldRows } from './sources/fields.js';
import { type BadLine, readLines } from './sources/lines.js';
import { Simulator } from './sources/simulator.js';
import { listenToWebSocket, MOST_MESSAGE_BYTES } from './sources/websocket.js';

export interface FeedOptions {
  /** Of the feed: what the collector is called, and the `source` of raw messages. */
  name: string;
  kind: 'websocket' | 'feed-file' | 'ndjson' | 'csv' | 'simulator';
  /**
   * What messages are: an exchange's, recorded in a built-in schema; `fields`: rows with the schema's fields by name; `raw`: recorded as they are, in
   * the schema `raw`. Default `fields` for ndjson and csv.
   */
  parser?: Exchange | 'raw' | 'fields';
  /** Of a WebSocket: its URL, what is sent after connecting, and when a silent connection counts as lost. */
  url?: string;
  subscribe?: readonly string[];
  pingIntervalMs?: number;
  idleTimeoutMs?: number;
  connectTimeoutMs?: number;
  reconnect?: BackoffOptions;
  /** Of a file, gzip or not; `-` is stdin. */
  path?: string;
  /** Of the simulator. */
  seed?: number;
  records?: number;
  /** Which share of the file or of the simulator's events it has, from 0 on, and of how many. Default: its own among the collectors of the source. */
  share?: Share;
  /** Where messages that are not understood are appended to. */
  rejectedFile?: string;
}

export interface Share {
  place: number;
  of: number;
}

const shareOf = ({ options, collector, collectors }: Context): Share =>
  options.share ?? { place: collector, of: collectors };

type Context = CollectorContext & { readonly options: FeedOptions };

/** What takes messages: null, or why one is rejected. */
type Take = (tsNs: bigint, message: string) => string | null;

export default async function feedSource(context: Context): Promise<void> {
  const { kind, path } = context.options;
  if (kind === 'websocket') return listen(context);
  if (kind === 'simulator') return simulate(context);
  if (typeof path !== 'string') throw badOption('path', path, 'a file');
  if (context.attempt > 0) {
    throw new TapeError('IO', `${path}: reading it was cut short, and records of it are on the tape: not read again`, {
      path,
    });
  }
  if (kind === 'feed-file') return readMessages(context, path);
  if (kind === 'ndjson') return readRows(context, path);
  if (kind === 'csv') return readCsv(context, path);
  throw badOption('kind', kind, 'websocket, feed-file, ndjson, csv or simulator');
}

function listen(context: Context): Promise<void> {
  const { url } = context.options;
  if (typeof url !== 'string') throw badOption('url', url, 'the URL of a WebSocket');
  const take = takerOf(context, context.options.parser);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  return listenToWebSocket(
    { ...context.options, url },
    {
      signal: context.signal,
      now: context.now,
      gap: context.gap,
      message(data) {
        const ts = context.now();
        context.received(1, data.length);
        if (data.length > MOST_MESSAGE_BYTES) return context.rejected(data, `${data.length} bytes: too long`);
        let text: string;
        try {
          text = typeof data === 'string' ? data : decoder.decode(data);
        } catch {
          return context.rejected(data, 'not UTF-8');
        }
        offer(context, text, () => take(ts, text));
      },
    },
  );
}

/** Captured messages, each behind the time at which it was received. */
async function readMessages(context: Context, path: string): Promise<void> {
  const take = takerOf(context, context.options.parser);
  const lines = new FeedLines({ parse: take, counts: { control: 0, unknown: 0, broken: 0 } } satisfies MessageParser);
  await eachLine(context, path, (line) => offer(context, line, () => lines.parse(line)));
}

async function readRows(context: Context, path: string): Promise<void> {
  const { parser = 'fields' } = context.options;
  const take = takerOf(context, parser);
  await eachLine(context, path, (line) => {
    // A blank line is no row.
    if (line !== '') offer(context, line, () => take(context.now(), line));
  });
}

async function readCsv(context: Context, path: string): Promise<void> {
  const { parser = 'fields' } = context.options;
  if (parser !== 'fields') throw badOption('parser', parser, 'fields for csv');
  const rows = new FieldRows(context.schema, context.appendScaled, context.now);
  const csv = new CsvRows();
  let hasHeader = false;
  let row = 0;
  const { place, of } = shareOf(context);
  const whole = { ...context, options: { ...context.options, share: { place: 0, of: 1 } } };
  await eachLine(whole, path, (line) => {
    const cells = csv.add(line);
    if (cells === null || (line === '' && !hasHeader)) return;
    if (!hasHeader) {
      hasHeader = true;
      if (typeof cells === 'string') throw badOption('path', path, 'a file whose first line names its columns');
      rows.header(cells, path);
      return;
    }
    // By rows, of which one may have several lines.
    if (row++ % of !== place) return;
    if (typeof cells === 'string') context.rejected(line, cells);
    else if (line !== '') offer(context, line, () => rows.cells(cells));
  });
  const rest = csv.end();
  if (rest !== null && place === 0) context.rejected(rest, 'a quote that does not end');
}

/** Deals the lines of a file out to the collectors in turn, and gives this one its own. */
async function eachLine(context: Context, path: string, take: (line: string) => void): Promise<void> {
  const { signal } = context;
  const { place, of } = shareOf(context);
  if (path === '-' && of > 1) throw badOption('collectors', of, '1 for what comes from stdin');
  let number = 0;
  for await (const lines of readLines(path, signal)) {
    let messages = 0;
    let bytes = 0;
    const offered: (string | BadLine)[] = [];
    for (const line of lines) {
      if (number++ % of !== place) continue;
      messages++;
      bytes += typeof line === 'string' ? line.length : line.bytes.length;
      offered.push(line);
    }
    if (messages > 0) context.received(messages, bytes);
    for (const line of offered) {
      if (typeof line === 'string') take(line);
      else context.rejected(line.bytes, line.reason);
    }
    if (signal.aborted) return;
  }
}

/** Takes a message; what it can't record is rejected, and what stops the collector is thrown. */
function offer(context: Context, message: string, take: () => string | null): void {
  let reason: string | null;
  try {
    reason = take();
  } catch (error) {
    if (!(error instanceof TapeError) || !REJECTING.has(error.code)) throw error;
    reason = error.message;
  }
  if (reason !== null) context.rejected(message, reason);
}

/** Of a record that the tape does not take, while it takes others. */
const REJECTING = new Set<TapeError['code']>(['BAD_VALUE', 'TOO_LARGE', 'SYMBOLS_FULL', 'FULL']);

function takerOf(context: Context, parser: FeedOptions['parser']): Take {
  const { schema, appendScaled, collector, options } = context;
  switch (parser) {
    case 'raw': {
      const kinds = schema.fields.map(({ kind }) => kind).join(' ');
      if (kinds !== 'timestamp symbol text') {
        throw badOption('parser', parser, `another for the schema ${schema.name}: raw messages need the schema raw`);
      }
      const append = context.append as (...values: unknown[]) => number;
      return (tsNs, message) => {
        append(tsNs, options.name, message);
        return null;
      };
    }
    case 'fields': {
      const rows = new FieldRows(schema, appendScaled, context.now);
      return (_, message) => rows.json(message);
    }
    case 'binance':
    case 'coinbase':
    case 'kraken': {
      const made = makeParser(parser, sinkFor(schema, appendScaled, collector), scalesOf(schema));
      return (tsNs, message) => made.parse(tsNs, message);
    }
  }
  throw badOption('parser', parser, 'binance, coinbase, kraken, raw or fields');
}

function badOption(name: string, value: unknown, expected: string): TapeError {
  return new TapeError('BAD_OPTION', `option ${name} of the feed is ${JSON.stringify(value)}: it must be ${expected}`);
}

/** Events of the simulated exchange, as many as are asked for, as fast as they are taken. */
async function simulate(context: Context): Promise<void> {
  const { options, collector, schema } = context;
  const { seed = 1, records = Infinity } = options;
  const { place, of } = shareOf(context);
  const { priceScale, sizeScale } = scalesOf(schema);
  if (priceScale < PRICE_SCALE || sizeScale < SIZE_SCALE) {
    throw badOption(
      'kind',
      'simulator',
      `another for prices of less than ${PRICE_SCALE} places, or sizes of less than ${SIZE_SCALE}`,
    );
  }
  const [price, size] = [10 ** (priceScale - PRICE_SCALE), 10 ** (sizeScale - SIZE_SCALE)];
  const sink = sinkFor(schema, context.appendScaled, collector);
  const simulator = new Simulator({ seed, collector: place, collectors: of });
  const batch = new MarketBatch();
  const share = Math.floor(records / of) + (place < records % of ? 1 : 0);
  for (let left = share; left > 0 && !context.signal.aborted; left -= batch.length) {
    simulator.fill(batch, Math.min(left, batch.capacity));
    for (let i = 0; i < batch.length; i++) {
      const ts = batch.tsNs[i];
      const name = batch.names[batch.symbol[i]];
      const [flags, id, us] = [batch.flags[i], batch.id[i], batch.exchangeUs[i]];
      const [first, lots] = [batch.price[i] * price, batch.size[i] * size];
      const isAsk = (flags & FLAG_ASK) !== 0;
      if (batch.kind[i] === KIND_TRADE) sink.trade(ts, name, first, lots, isAsk ? SIDE_SELL : SIDE_BUY, id, us);
      else if (batch.kind[i] === KIND_LEVEL) {
        sink.level(ts, name, isAsk ? SIDE_ASK : SIDE_BID, flags & ~FLAG_ASK, first, lots, id, us);
      } else sink.quote(ts, name, first, lots, batch.askPrice[i] * price, batch.askSize[i] * size, id, us);
    }
    context.received(batch.length, 0);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
