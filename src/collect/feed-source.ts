export interface FeedOptions {
  name: string;
  kind: 'websocket' | 'feed-file' | 'ndjson' | 'csv' | 'simulator';
  parser?: 'binance' | 'coinbase' | 'kraken' | 'raw' | 'fields';
  url?: string;
  subscribe?: string[];
  pingIntervalMs?: number;
  idleTimeoutMs?: number;
  queueMessages?: number;
  path?: string;
  seed?: number;
  records?: number;
  priceScale: number;
  sizeScale: number;
  rejectedFile: string;
}
