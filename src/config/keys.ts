import type { TapeOptions } from '../options.js';

/** How a value is written. */
export type Form =
  | 'text'
  | 'path'
  | 'paths'
  | 'texts'
  | 'whole'
  | 'duration'
  | 'size'
  | 'address'
  | 'messages'
  | 'table'
  | 'compression';

export interface Key {
  form: Form;
  help: string;
}

/** The keys that are options of the tape: each is checked as that option is. */
export const TAPE_KEYS: Record<string, Key & { option: Exclude<keyof TapeOptions, 'onWarning'> }> = {
  storage: { option: 'storage', form: 'paths', help: 'directories, one a storage node; made if need be' },
  redundancy: { option: 'redundancy', form: 'whole', help: 'on how many of them each block is kept' },
  capacity: { option: 'capacity', form: 'whole', help: 'records a block' },
  compression: {
    option: 'compression',
    form: 'compression',
    help: '"adaptive" (or true), "fast", "dense", { zstd = 1 to 19 }, "off" (or false)',
  },
  journal: { option: 'journal', form: 'path', help: 'directory of the journal' },
  journal_mode: { option: 'journalMode', form: 'text', help: '"auto", "mapped" or "buffered"' },
  read: { option: 'read', form: 'text', help: '"mapped" or "copied"' },
  durability: { option: 'durability', form: 'text', help: '"process" or "disk"' },
  on_full: { option: 'onFull', form: 'text', help: '"wait", "drop" or "throw"' },
  degraded: { option: 'degraded', form: 'text', help: '"continue" or "stop"' },
  flush_interval: { option: 'flushIntervalMs', form: 'duration', help: 'when an incomplete block is sealed' },
  sync_interval: { option: 'syncIntervalMs', form: 'duration', help: 'how often what is stored is synced' },
  write_timeout: { option: 'writeTimeoutMs', form: 'duration', help: 'after which a storage node is set aside' },
  segment_bytes: { option: 'segmentBytes', form: 'size', help: 'when a segment is closed' },
  segment_max_age: { option: 'segmentMaxAgeMs', form: 'duration', help: 'when a segment is closed' },
  lane_bytes: { option: 'laneBytes', form: 'size', help: 'of a lane’s ring' },
  max_symbols: { option: 'maxSymbols', form: 'whole', help: 'distinct symbols' },
  lost_storage_nodes: { option: 'lostStorageNodes', form: 'paths', help: 'storage nodes that are lost for good' },
  retention: {
    option: 'retention',
    form: 'table',
    help: '{ age = "30d", bytes = "100GB" }: what is older, or more, goes',
  },
};

export const RETENTION_KEYS: Record<string, Key> = {
  age: { form: 'duration', help: 'records older than this go' },
  bytes: { form: 'size', help: 'what all storage nodes together may hold' },
};

/** The other keys of the top level. */
export const RECORDER_KEYS: Record<string, Key> = {
  schema: { form: 'text', help: 'what is recorded' },
  price_scale: { form: 'whole', help: 'decimal places of prices' },
  size_scale: { form: 'whole', help: 'decimal places of sizes' },
  collectors: { form: 'whole', help: 'threads that record, for all feeds together' },
  metrics: { form: 'address', help: 'HOST:PORT for Prometheus' },
  rejected: { form: 'path', help: 'directory of the messages that could not be recorded' },
  feed: { form: 'table', help: '[feed.NAME] for each feed' },
};

export const KINDS = ['websocket', 'feed-file', 'ndjson', 'csv', 'simulator'] as const;
export type Kind = (typeof KINDS)[number];

export const PARSERS = ['binance', 'coinbase', 'kraken', 'raw', 'fields'] as const;
export type Parser = (typeof PARSERS)[number];

/** The keys of a feed; `kinds`: of which kinds of feeds, where not of all. */
export const FEED_KEYS: Record<string, Key & { kinds?: readonly Kind[]; parsers?: readonly Parser[] }> = {
  kind: { form: 'text', help: 'where it comes from' },
  parser: { form: 'text', kinds: ['websocket', 'feed-file', 'ndjson', 'csv'], help: 'what its messages are' },
  collectors: { form: 'whole', help: 'threads for this feed' },
  url: { form: 'text', kinds: ['websocket'], help: 'ws:// or wss://' },
  streams: {
    form: 'texts',
    kinds: ['websocket'],
    parsers: ['binance'],
    help: 'of Binance: dealt out to the collectors, a combined stream each',
  },
  channels: { form: 'texts', kinds: ['websocket'], parsers: ['coinbase', 'kraken'], help: 'what to subscribe to' },
  products: {
    form: 'texts',
    kinds: ['websocket'],
    parsers: ['coinbase', 'kraken'],
    help: 'for which instruments: dealt out to the collectors',
  },
  subscribe: { form: 'messages', kinds: ['websocket'], help: 'messages that each collector sends once connected' },
  ping_interval: { form: 'duration', kinds: ['websocket'], help: 'how often it is asked whether it is still there' },
  idle_timeout: { form: 'duration', kinds: ['websocket'], help: 'a connection silent for so long is made anew' },
  connect_timeout: { form: 'duration', kinds: ['websocket'], help: 'how long connecting may take' },
  path: { form: 'path', kinds: ['feed-file', 'ndjson', 'csv'], help: 'the file; "-" is stdin' },
  seed: { form: 'whole', kinds: ['simulator'], help: 'of what it simulates' },
  records: { form: 'whole', kinds: ['simulator'], help: 'after how many it ends; without it, it goes on' },
};

/** By kind: the parsers that fit, the first of them the default. */
export const PARSERS_OF: Record<Kind, readonly Parser[]> = {
  websocket: ['raw', 'binance', 'coinbase', 'kraken'],
  'feed-file': ['binance', 'coinbase', 'kraken', 'raw'],
  ndjson: ['fields', 'binance', 'coinbase', 'kraken', 'raw'],
  csv: ['fields'],
  simulator: [],
};
