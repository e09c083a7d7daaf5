// How each exchange is asked for its market data.
import type { Parser } from './keys.js';

/** What a feed is to bring, as far as it is known what the exchange calls that. */
export interface Wanted {
  url: string;
  streams: readonly string[];
  channels: readonly string[];
  products: readonly string[];
}

export interface Exchange {
  /** Where it is when no `url` is given. */
  url: string;
  /** Why a stream or a product can't be one of its; null where it can. */
  refuse(name: string): string | null;
  /** Where to connect to. */
  connectTo(wanted: Wanted): string;
  /** What to send once connected. */
  subscribe(wanted: Wanted): string[];
}

export const EXCHANGES: Partial<Record<Parser, Exchange>> = {
  binance: {
    url: 'wss://stream.binance.com:9443',
    refuse(stream) {
      const [, symbol, rest] = /^([^@\s]+)(@\S+)$/.exec(stream) ?? [];
      if (rest === undefined) return 'it must be a symbol and what of it, as "btcusdt@trade" is';
      const lower = symbol.toLowerCase();
      // Of others nothing comes, and no error either.
      return symbol === lower ? null : `its symbol must be in lower case: "${lower}${rest}"`;
    },
    connectTo({ url, streams }) {
      if (streams.length === 0) return url;
      const to = new URL(url);
      if (to.pathname === '/') to.pathname = '/stream';
      to.search = `?streams=${streams.join('/')}`;
      return to.href;
    },
    subscribe: () => [],
  },
  coinbase: {
    url: 'wss://ws-feed.exchange.coinbase.com',
    refuse: (product) => (/^[^-/\s]+-[^/\s]+$/.test(product) ? null : 'it must be written as "BTC-USD" is'),
    connectTo: ({ url }) => url,
    subscribe: ({ channels, products }) =>
      products.length === 0 ? [] : [JSON.stringify({ type: 'subscribe', product_ids: products, channels })],
  },
  kraken: {
    url: 'wss://ws.kraken.com/v2',
    refuse: (product) => (/^[^/\s]+\/[^/\s]+$/.test(product) ? null : 'it must be written as "BTC/USD" is'),
    connectTo: ({ url }) => url,
    subscribe: ({ channels, products }) =>
      products.length === 0
        ? []
        : channels.map((channel) => {
            // Otherwise a quote is told of when there is a trade, and not when it changes.
            const trigger = channel === 'ticker' ? { event_trigger: 'bbo' } : {};
            return JSON.stringify({ method: 'subscribe', params: { channel, symbol: products, ...trigger } });
          }),
  },
};
