import path from 'node:path';
import type { FeedOptions } from '../collect/feed-source.js';
import { PRICE_SCALE, SIZE_SCALE } from '../collect/market.js';
import { listed, Section } from './checks.js';
import { EXCHANGES } from './exchanges.js';
import type { Forms } from './forms.js';
import { FEED_KEYS, KINDS, type Kind, PARSERS, PARSERS_OF, type Parser } from './keys.js';
import type { Mistakes } from './mistake.js';
import { deal, shareCollectors } from './share.js';
import type { Entry } from './toml.js';

/** A tape has 64 lanes, one of them for the thread that opens it. */
export const MOST_COLLECTORS = 63;

export const SCHEMAS = ['market', 'trade', 'quote', 'level', 'bar', 'raw'] as const;
export type SchemaName = (typeof SCHEMAS)[number];

const DAY_MS = 86_400_000;
const MARKET: readonly SchemaName[] = ['market', 'trade', 'quote', 'level'];

/** What can be recorded of a feed. */
const SCHEMAS_OF: Record<Parser | 'simulator', readonly SchemaName[]> = {
  binance: MARKET,
  coinbase: MARKET,
  kraken: MARKET,
  simulator: MARKET,
  raw: ['raw'],
  fields: SCHEMAS,
};

/** One thread's part of a feed. */
export interface CollectorConfig {
  name: string;
  options: FeedOptions;
}

export interface FeedConfig {
  name: string;
  kind: Kind;
  collectors: CollectorConfig[];
}

/** What all feeds have in common. */
export interface FeedDefaults {
  schema: SchemaName | undefined;
  priceScale: number;
  sizeScale: number;
  collectors: number;
  /** Directory. */
  rejected: string;
}

/** A feed whose keys are checked. */
interface Draft {
  name: string;
  kind: Kind;
  parser: Parser | undefined;
  section: Section;
  wanted: number | undefined;
  /** So many it has at most when it names no number. */
  most: number;
  url: string;
}

/** The feeds of the table `feed`; what is wrong with them is told. */
export function readFeeds(
  entries: readonly Entry[],
  defaults: FeedDefaults,
  forms: Forms,
  mistakes: Mistakes,
): FeedConfig[] {
  const drafts = entries.flatMap((entry) => {
    const { node, name } = entry;
    const feed = `feed.${name}`;
    if (!/^[A-Za-z0-9][\w-]{0,39}$/.test(name)) {
      mistakes.tell(entry.at, `${feed}: a feed’s name has up to 40 letters, digits, _ and -`);
    }
    if (node.kind !== 'table') {
      mistakes.tell(entry.at, `${feed} is not a table: write [${feed}], and its keys below`);
      return [];
    }
    const section = new Section({ table: node.value, at: entry.at, prefix: `${feed}.` }, FEED_KEYS, forms, mistakes);
    const draft = readDraft(name, section, defaults.schema);
    const isCoarse = defaults.priceScale < PRICE_SCALE || defaults.sizeScale < SIZE_SCALE;
    if (draft?.kind === 'simulator' && isCoarse) {
      section.refuse('kind', `it needs a price_scale of ${PRICE_SCALE} and a size_scale of ${SIZE_SCALE} at least`);
    }
    return draft === undefined || entry.again ? [] : [draft];
  });
  checkStdin(drafts);
  const shares = shareCollectors(defaults.collectors, drafts);
  checkSum(drafts, shares, mistakes);
  return drafts.map((draft, i) => build(draft, shares[i], defaults));
}

function readDraft(name: string, section: Section, schema: SchemaName | undefined): Draft | undefined {
  const kind = section.oneOf('kind', KINDS);
  const parser = readParser(section, kind, schema);
  const wanted = section.whole('collectors', 1, MOST_COLLECTORS);
  section.whole('ping_interval', 10, DAY_MS, ' ms');
  section.whole('idle_timeout', 10, DAY_MS, ' ms');
  section.whole('connect_timeout', 10, DAY_MS, ' ms');
  section.whole('seed', 0, Number.MAX_SAFE_INTEGER);
  section.whole('records', 1, Number.MAX_SAFE_INTEGER);
  if (kind === undefined) {
    if (!section.has('kind')) section.missing('kind', `it must be ${listed(KINDS)}`);
    return undefined;
  }
  for (const { name: key } of section.table.entries) {
    const { kinds, parsers } = FEED_KEYS[key] ?? {};
    if (kinds !== undefined && !kinds.includes(kind)) section.refuse(key, `a feed of kind "${kind}" has no such key`);
    else if (parsers !== undefined && parser !== undefined && !parsers.includes(parser)) {
      section.refuse(key, `a feed with parser "${parser}" has no such key`);
    }
  }
  const url = kind === 'websocket' ? readUrl(section, parser) : '';
  if (FEED_KEYS.path.kinds!.includes(kind) && !section.has('path')) {
    section.missing('path', kind === 'feed-file' ? 'the file' : 'the file, or "-" for stdin');
  }
  if (kind === 'feed-file' && section.get('path') === '-')
    section.refuse('path', 'a captured feed is read from a file');
  const most = Math.max(1, parallel(section, kind));
  if (wanted !== undefined && wanted > most) section.refuse('collectors', `it must be ${tooMany(section, kind, most)}`);
  // A file's lines stay in their order, unless the user deals them out.
  const byDefault = kind === 'websocket' || kind === 'simulator' ? most : 1;
  return { name, kind, parser, section, wanted, most: byDefault, url };
}

function readParser(section: Section, kind: Kind | undefined, schema: SchemaName | undefined): Parser | undefined {
  let parser = section.oneOf('parser', PARSERS);
  if (kind === undefined) return parser;
  const fitting = PARSERS_OF[kind];
  if (section.has('parser')) {
    if (parser === undefined || fitting.length === 0) return parser;
    if (!fitting.includes(parser)) {
      section.refuse('parser', `of kind "${kind}" it must be ${listed(fitting)}`);
      return undefined;
    }
  } else if (kind === 'ndjson' || kind === 'csv') parser = 'fields';
  else if (schema === 'raw' && fitting.includes('raw')) parser = 'raw';
  else if (fitting.length > 0) section.missing('parser', `it must be ${listed(fitting)}`);
  const given = parser ?? (kind === 'simulator' ? kind : undefined);
  if (given !== undefined && schema !== undefined && !SCHEMAS_OF[given].includes(schema)) {
    const expected = `what it gives is recorded with schema ${listed(SCHEMAS_OF[given])}, not "${schema}"`;
    section.refuse(parser !== undefined && section.has('parser') ? 'parser' : 'kind', expected);
  }
  return parser;
}

/** Its address. */
function readUrl(section: Section, parser: Parser | undefined): string {
  const exchange = parser === undefined ? undefined : EXCHANGES[parser];
  const url = section.get<string>('url');
  const parsed = url !== undefined && URL.canParse(url) ? new URL(url) : undefined;
  const usable = parsed?.protocol === 'ws:' || parsed?.protocol === 'wss:';
  if (url !== undefined && !usable) {
    section.refuse('url', 'it must be an address that begins with ws:// or wss://');
  } else if (!section.has('url') && exchange === undefined && parser !== undefined) {
    section.missing('url', 'the address, as "wss://example.com/feed" is one');
  }
  if (exchange === undefined) return usable ? url! : '';
  for (const key of ['streams', 'products']) {
    section.get<string[]>(key)?.forEach((name, i) => {
      const refusal = exchange.refuse(name);
      if (refusal !== null) section.refuse(key, refusal, i);
    });
  }
  if (parser === 'binance') checkStreams(section, usable ? parsed : undefined);
  else checkChannels(section);
  return usable ? url! : exchange.url;
}

function checkStreams(section: Section, url: URL | undefined): void {
  const { length } = section.get<string[]>('streams') ?? [''];
  if (length === 0) section.refuse('streams', 'it must have at least one');
  if (section.has('streams')) {
    if (url !== undefined && (url.search !== '' || !['/', '/stream'].includes(url.pathname))) {
      section.refuse('url', 'with streams it must end in the host, or in /stream');
    }
  } else if (
    !section.has('subscribe') &&
    (url?.pathname ?? '/') === '/' &&
    (url !== undefined || !section.has('url'))
  ) {
    section.missing('streams', 'what to record, as ["btcusdt@trade", "btcusdt@bookTicker"]');
  }
}

function checkChannels(section: Section): void {
  for (const key of ['channels', 'products']) {
    if (section.get<string[]>(key)?.length === 0) section.refuse(key, 'it must have at least one');
  }
  const [channels, products] = [section.has('channels'), section.has('products')];
  if (channels && products) return;
  if (channels || products || !section.has('subscribe')) {
    if (!channels) section.missing('channels', 'what to subscribe to');
    if (!products) section.missing('products', 'for which instruments');
  }
}

/** Among how many collectors a feed can be shared out. */
function parallel(section: Section, kind: Kind): number {
  if (kind === 'simulator') return Math.min(MOST_COLLECTORS, section.get<number>('records') ?? MOST_COLLECTORS);
  if (kind !== 'websocket') return section.get('path') === '-' ? 1 : MOST_COLLECTORS;
  const dealt = section.get<string[]>('streams') ?? section.get<string[]>('products');
  return Math.min(MOST_COLLECTORS, dealt?.length ?? 1);
}

function tooMany(section: Section, kind: Kind, most: number): string {
  if (kind === 'simulator') return `${most} at most, as there are no more records`;
  for (const key of ['streams', 'products']) {
    if (section.has(key)) return `${most} at most, as there are no more ${key} to deal out`;
  }
  return kind === 'websocket' ? '1, as there are no streams or products to deal out' : '1, as stdin is read by one';
}

/** One feed alone can read stdin. */
function checkStdin(drafts: readonly Draft[]): void {
  const [first, ...others] = drafts.filter(({ section }) => section.get('path') === '-');
  for (const { section } of others) section.refuse('path', `feed.${first.name} reads stdin already`);
}

function checkSum(drafts: readonly Draft[], shares: readonly number[], mistakes: Mistakes): void {
  let sum = 0;
  drafts.forEach(({ section, name }, i) => {
    sum += shares[i];
    if (sum <= MOST_COLLECTORS || sum - shares[i] > MOST_COLLECTORS) return;
    const at = section.entry('collectors')?.node.at ?? section.at;
    mistakes.tell(
      at,
      `feed.${name} has ${shares[i]} collectors: together with those before it ${sum}, and a tape has ${MOST_COLLECTORS} at most`,
    );
  });
}

function build({ name, kind, parser, section, url }: Draft, count: number, { rejected }: FeedDefaults): FeedConfig {
  const exchange = kind === 'websocket' && parser !== undefined ? EXCHANGES[parser] : undefined;
  const collectors = Array.from({ length: count }, (_, place): CollectorConfig => {
    const dealt = (key: string) => deal(section.get<string[]>(key) ?? [], place, count);
    const collector = count === 1 ? name : `${name}.${place}`;
    const wanted = {
      url,
      streams: dealt('streams'),
      products: dealt('products'),
      channels: section.get<string[]>('channels') ?? [],
    };
    const websocket = {
      url: exchange === undefined || url === '' ? url : exchange.connectTo(wanted),
      subscribe: [...(exchange?.subscribe(wanted) ?? []), ...(section.get<string[]>('subscribe') ?? [])],
      pingIntervalMs: section.get<number>('ping_interval'),
      idleTimeoutMs: section.get<number>('idle_timeout'),
      connectTimeoutMs: section.get<number>('connect_timeout'),
    };
    const options = {
      name: collector,
      kind,
      parser,
      ...(kind === 'websocket' ? websocket : {}),
      path: section.get<string>('path'),
      seed: section.get<number>('seed'),
      records: section.get<number>('records'),
      share: kind === 'websocket' ? undefined : { place, of: count },
      rejectedFile: path.join(rejected, `${collector}.ndjson`),
    };
    return { name: collector, options: withoutUndefined(options) };
  });
  return { name, kind, collectors };
}

const withoutUndefined = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
