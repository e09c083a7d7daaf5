import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Config, readConfig } from '../../dist/src/config/config.js';
import { FEED_KEYS, RECORDER_KEYS, RETENTION_KEYS, TAPE_KEYS } from '../../dist/src/config/keys.js';
import { ConfigError } from '../../dist/src/config/mistake.js';
import { TEMPLATE } from '../../dist/src/config/template.js';

const FILE = '/etc/ticktape/market.toml';
const BASE = path.dirname(FILE);

/** `line: message` of each mistake. */
function mistakes(text: string): string[] {
  try {
    readConfig(text, FILE);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    const { mistakes: found, message, code } = error as ConfigError;
    expect(code).toBe('BAD_CONFIG');
    expect(message).toBe(found.map((one) => `${FILE}:${one.line}: ${one.message}`).join('\n'));
    return found.map((one) => `${one.line}: ${one.message}`);
  }
  return [];
}

const SIMULATED = '[feed.sim]\nkind = "simulator"\n';
const minimal = (...lines: string[]) => `storage = ["d0", "d1"]\n${lines.join('\n')}\n${SIMULATED}`;
/** What is wrong with one line among others. */
const wrongLine = (line: string) => mistakes(minimal('', line));
const feed = (...lines: string[]) => `storage = ["d0"]\n[feed.f]\n${lines.join('\n')}\n`;

describe('what a configuration becomes', () => {
  test('the least', () => {
    const config = readConfig(minimal(), FILE);
    expect(config.tape).toEqual({ storage: [`${BASE}/d0`, `${BASE}/d1`] });
    expect(config.schema).toEqual({ name: 'market', priceScale: 8, sizeScale: 8 });
    expect(config.metrics).toBe(undefined);
    expect(config.rejected).toBe(`${BASE}/rejected`);
    expect(config.feeds[0].collectors.map(({ name }) => name)).toEqual(
      Array.from({ length: 10 }, (_, i) => `sim.${i}`),
    );
    expect(config.feeds[0].collectors[3].options).toEqual({
      name: 'sim.3',
      kind: 'simulator',
      share: { place: 3, of: 10 },
      rejectedFile: `${BASE}/rejected/sim.3.ndjson`,
    });
  });

  test('every option of the tape', () => {
    const { tape, schema, metrics, rejected } = readConfig(
      `
storage = ["./d0", "/abs/d1", "../d2"]
redundancy = 3
capacity = 16
compression = { zstd = 3 }
journal = "j"
journal_mode = "mapped"
read = "copied"
durability = "disk"
on_full = "drop"
degraded = "stop"
flush_interval = "250ms"
sync_interval = 0
write_timeout = "1m30s"
segment_bytes = "1MiB"
segment_max_age = "2h"
lane_bytes = "64KiB"
max_symbols = 10
lost_storage_nodes = ["./gone"]
retention = { age = "30d", bytes = "100GB" }
schema = "trade"
price_scale = 2
size_scale = 3
metrics = "[::1]:9464"
rejected = "no"
${SIMULATED}`,
      FILE,
    );
    expect(tape).toEqual({
      storage: [`${BASE}/d0`, '/abs/d1', '/etc/d2'],
      redundancy: 3,
      capacity: 16,
      compression: { zstd: 3 },
      journal: `${BASE}/j`,
      journalMode: 'mapped',
      read: 'copied',
      durability: 'disk',
      onFull: 'drop',
      degraded: 'stop',
      flushIntervalMs: 250,
      syncIntervalMs: 0,
      writeTimeoutMs: 90_000,
      segmentBytes: 2 ** 20,
      segmentMaxAgeMs: 7_200_000,
      laneBytes: 65_536,
      maxSymbols: 10,
      lostStorageNodes: [`${BASE}/gone`],
      retention: { ageMs: 30 * 86_400_000, bytes: 100e9 },
    });
    expect(schema).toEqual({ name: 'trade', priceScale: 2, sizeScale: 3 });
    expect(metrics).toEqual({ host: '::1', port: 9464 });
    expect(rejected).toBe(`${BASE}/no`);
  });

  test.each([
    ['true', 'adaptive'],
    ['false', 'off'],
    ['"dense"', 'dense'],
  ])('compression = %s', (written, compression) => {
    expect(readConfig(minimal(`compression = ${written}`), FILE).tape.compression).toBe(compression);
  });

  test('tables may be written in any of the ways of TOML', () => {
    const one = readConfig(`storage=['a']\nretention={age="1h"}\nfeed={f={kind="simulator",seed=3}}`, FILE);
    const other = readConfig(
      '\ufeffstorage = [\r\n  "a", # one\r\n]\r\nfeed.f.kind = "simulator"\r\nfeed.f.seed = 3\r\n[retention]\r\nage = 3600000\r\n',
      FILE,
    );
    expect(other).toEqual(one);
  });
});

describe('feeds', () => {
  const optionsOf = (config: Config, place = 0) => config.feeds[place].collectors.map(({ options }) => options);

  test('streams of Binance are dealt out to its collectors', () => {
    const text = feed(
      'kind="websocket"',
      'parser="binance"',
      'streams=["a@trade","b@trade","c@depth@100ms"]',
      'collectors=2',
    );
    expect(optionsOf(readConfig(text, FILE))).toMatchObject([
      { name: 'f.0', url: 'wss://stream.binance.com:9443/stream?streams=a@trade/c@depth@100ms', subscribe: [] },
      { name: 'f.1', url: 'wss://stream.binance.com:9443/stream?streams=b@trade', subscribe: [] },
    ]);
  });

  test('products are dealt out to the collectors, with all channels', () => {
    const coinbase = feed('kind="websocket"', 'parser="coinbase"', 'channels=["matches"]', 'products=["A-B","C-D"]');
    expect(
      optionsOf(readConfig(coinbase, FILE)).map(({ subscribe }) => subscribe?.map((text) => JSON.parse(text))),
    ).toEqual([
      [{ type: 'subscribe', product_ids: ['A-B'], channels: ['matches'] }],
      [{ type: 'subscribe', product_ids: ['C-D'], channels: ['matches'] }],
    ]);
    const kraken = feed('kind="websocket"', 'parser="kraken"', 'channels=["trade","ticker"]', 'products=["A/B"]');
    expect(optionsOf(readConfig(kraken, FILE))[0].subscribe?.map((text) => JSON.parse(text))).toEqual([
      { method: 'subscribe', params: { channel: 'trade', symbol: ['A/B'] } },
      { method: 'subscribe', params: { channel: 'ticker', symbol: ['A/B'], event_trigger: 'bbo' } },
    ]);
  });

  test('messages to send are texts, or tables sent as JSON', () => {
    const text = `schema="raw"\n${feed('kind="websocket"', 'url="ws://h/x"', 'subscribe=["hello",{op="sub",n=[1,2.5,true],__proto__={a=1}}]', 'ping_interval="5s"', 'idle_timeout=900', 'connect_timeout=70')}`;
    expect(optionsOf(readConfig(text, FILE))).toEqual([
      {
        name: 'f',
        kind: 'websocket',
        parser: 'raw',
        url: 'ws://h/x',
        subscribe: ['hello', '{"op":"sub","n":[1,2.5,true],"__proto__":{"a":1}}'],
        pingIntervalMs: 5000,
        idleTimeoutMs: 900,
        connectTimeoutMs: 70,
        rejectedFile: `${BASE}/rejected/f.ndjson`,
      },
    ]);
  });

  test('files', () => {
    const text = `storage=["d"]
[feed.a]
kind = "ndjson"
path = "-"
[feed.b]
kind = "csv"
path = "x/b.csv"
[feed.c]
kind = "feed-file"
parser = "kraken"
path = "/c.gz"`;
    const config = readConfig(text, FILE);
    expect(
      config.feeds.map(({ collectors }) => collectors.map(({ options }) => [options.parser, options.path])),
    ).toEqual([[['fields', '-']], [['fields', `${BASE}/x/b.csv`]], [['kraken', '/c.gz']]]);
  });

  test('a file or a simulated feed is shared out where a number of collectors is named', () => {
    const config = readConfig(feed('kind="simulator"', 'records=10', 'collectors=2'), FILE);
    expect(optionsOf(config)).toMatchObject([
      { records: 10, share: { place: 0, of: 2 } },
      { records: 10, share: { place: 1, of: 2 } },
    ]);
    const file = (...lines: string[]) => feed('kind="feed-file"', 'parser="binance"', 'path="x"', ...lines);
    expect(optionsOf(readConfig(file(), FILE)).map(({ share }) => share)).toEqual([{ place: 0, of: 1 }]);
    expect(optionsOf(readConfig(file('collectors=3'), FILE)).map(({ share }) => share?.place)).toEqual([0, 1, 2]);
  });

  test('what is left of the collectors is shared by the feeds that name no number', () => {
    const sizes = (text: string) =>
      readConfig(`storage=["d"]\n${text}`, FILE).feeds.map(({ collectors }) => collectors.length);
    const sim = (name: string, ...more: string[]) => [`[feed.${name}]`, 'kind="simulator"', ...more, ''].join('\n');
    expect(sizes(sim('a') + sim('b') + sim('c'))).toEqual([4, 3, 3]);
    expect(sizes(`collectors=20\n${sim('a', 'collectors=5')}${sim('b')}${sim('c')}`)).toEqual([5, 8, 7]);
    expect(sizes(`collectors=1\n${sim('a')}${sim('b')}`)).toEqual([1, 1]);
    expect(sizes(`collectors=9\n${sim('a', 'records=2')}${sim('b')}`)).toEqual([2, 7]);
    expect(sizes(`[feed.a]\nkind="ndjson"\npath="x"\n${sim('b', 'collectors=2')}`)).toEqual([1, 2]);
  });

  test('a collector has every stream exactly once', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{2,8}@(trade|bookTicker)$/), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 63 }), (streams, collectors) => {
        const text = feed('kind="websocket"', 'parser="binance"', `streams=${JSON.stringify(streams)}`);
        const config = readConfig(`collectors=${collectors}\n${text}`, FILE);
        const urls = optionsOf(config).map(({ url }) => url!.split('?streams=')[1].split('/'));
        expect(urls.length).toBe(Math.min(collectors, streams.length));
        expect(urls.flat().toSorted()).toEqual(streams.toSorted());
        expect(
          Math.max(...urls.map(({ length }) => length)) - Math.min(...urls.map(({ length }) => length)),
        ).toBeLessThan(2);
      }),
    );
  });
});

describe('mistakes', () => {
  test.each([
    ['redundancy = 3', 'redundancy is 3: it must be a whole number from 1 to 2, the number of storage directories'],
    ['redundancy = "2"', 'redundancy is "2": it must be a whole number'],
    ['capacity = 1.5', 'capacity is 1.5: it must be a whole number'],
    ['capacity = 1', 'capacity is 1: it must be a whole number from 16 to 1000000'],
    ['capactiy = 16', 'there is no key capactiy (did you mean capacity?)'],
    ['nothing_like_it = 16', 'there is no key nothing_like_it'],
    [
      'compression = "gzip"',
      'compression is "gzip": it must be "adaptive" or "fast" or "dense" or "off" or { zstd: 1 to 19 }',
    ],
    ['compression = { zstd = 20 }', 'compression is { zstd = 20 }: it must be a whole number from 1 to 19'],
    [
      'compression = { level = 2 }',
      'compression is { level = 2 }: it must be "adaptive" or true, "fast", "dense", "off" or false, or { zstd = 1 to 19 }',
    ],
    [
      'flush_interval = "1 second"',
      'flush_interval is "1 second": it must be a duration such as "250ms", "30s" or "1h30m", or a number of ms',
    ],
    ['flush_interval = "2d"', 'flush_interval is "2d": it must be a whole number from 0 to 86400000 ms'],
    ['flush_interval = "1us"', 'flush_interval is "1us": it must be a whole number from 0 to 86400000 ms'],
    [
      'segment_bytes = "1 lot"',
      'segment_bytes is "1 lot": it must be a size such as "64MiB" or "100GB", or a number of bytes',
    ],
    ['segment_bytes = "5GB"', 'segment_bytes is "5GB": it must be a whole number from 1048576 to 1073741824 bytes'],
    ['on_full = "block"', 'on_full is "block": it must be "wait" or "drop" or "throw"'],
    ['journal = ""', 'journal is "": it must be a path in quotes'],
    ['metrics = "9464"', 'metrics is "9464": it must be an address such as "127.0.0.1:9464"'],
    ['metrics = "localhost:99999"', 'metrics is "localhost:99999": it must be an address such as "127.0.0.1:9464"'],
    [
      'retention = { age = "30 days" }',
      'retention.age is "30 days": it must be a duration such as "250ms", "30s" or "1h30m", or a number of ms',
    ],
    [
      'retention = { bytes = 1000 }',
      `retention.bytes is 1000: it must be a whole number from 1048576 to ${Number.MAX_SAFE_INTEGER} bytes`,
    ],
    ['retention = { days = 3 }', 'there is no key retention.days'],
    ['retention = {}', 'retention is {}: it must have age, bytes or both'],
    ['retention = "30d"', 'retention is "30d": it must be a table'],
    [
      'schema = "trades"',
      'schema is "trades": it must be "market", "trade", "quote", "level", "bar" or "raw" (did you mean trade?)',
    ],
    ['price_scale = 16', 'price_scale is 16: it must be from 0 to 15'],
    ['collectors = 64', 'collectors is 64: it must be from 1 to 63'],
    ['lost_storage_nodes = [3]', 'lost_storage_nodes[0] is 3: it must be a path in quotes'],
    ['capacity = 1979-05-27', 'capacity is 1979-05-27: it must be a whole number'],
    ['capacity = # records', 'not TOML: the value is missing'],
    ['storage = ["d7"]', 'storage is there twice, as it was given on line 1: remove one'],
  ])('%s', (line, message) => {
    const [first, ...others] = wrongLine(line);
    expect(others).toEqual([]);
    expect(first).toBe(`3: ${message}`);
  });

  const websocket = (...lines: string[]) => feed('kind = "websocket"', 'parser = "raw"', 'url = "ws://h"', ...lines);

  test.each<[string, string, string[]]>([
    [
      'nothing at all',
      '',
      [
        '1: storage is missing: the storage directories, as ["./tape/d0", "./tape/d1"]',
        '1: feed is missing: what to record, as a table [feed.NAME]',
      ],
    ],
    [
      'a feed without its keys',
      'storage=["d"]\n\n[feed.f]\n',
      ['3: feed.f.kind is missing: it must be "websocket", "feed-file", "ndjson", "csv" or "simulator"'],
    ],
    [
      'a feed that is no table',
      'storage=["d"]\nfeed.f = 3',
      ['2: feed.f is not a table: write [feed.f], and its keys below'],
    ],
    [
      'a feed with an odd name',
      'storage=["d"]\n[feed."a/b"]\nkind="simulator"',
      ['2: feed.a/b: a feed’s name has up to 40 letters, digits, _ and -'],
    ],
    [
      'two feeds of one name',
      `storage=["d"]\n${SIMULATED}${SIMULATED}sed = 1`,
      [
        '4: sim is there twice, as it was given on line 2: remove one',
        '6: there is no key feed.sim.sed (did you mean seed?)',
      ],
    ],
    [
      'a storage directory twice',
      `storage=[\n"./d",\n"e",\n"d"]\n${SIMULATED}`,
      ['4: storage[2] is "d": it is there twice, first on line 2'],
    ],
    [
      'no storage directory',
      `storage=[]\n${SIMULATED}`,
      ['1: storage is []: it must be an array of 1 to 64 directories'],
    ],
    [
      'a kind that there is not',
      feed('kind = "websokcet"'),
      [
        '3: feed.f.kind is "websokcet": it must be "websocket", "feed-file", "ndjson", "csv" or "simulator" (did you mean websocket?)',
      ],
    ],
    [
      'no parser',
      feed('kind = "websocket"', 'url = "ws://h"'),
      ['2: feed.f.parser is missing: it must be "raw", "binance", "coinbase" or "kraken"'],
    ],
    [
      'a parser that does not fit the kind',
      feed('kind = "csv"', 'path = "x"', 'parser = "binance"'),
      ['5: feed.f.parser is "binance": of kind "csv" it must be "fields"'],
    ],
    [
      'a parser of a simulator',
      feed('kind = "simulator"', 'parser = "binance"'),
      ['4: feed.f.parser is "binance": a feed of kind "simulator" has no such key'],
    ],
    [
      'a parser that does not fit the schema',
      websocket(),
      ['4: feed.f.parser is "raw": what it gives is recorded with schema "raw", not "market"'],
    ],
    [
      'a kind that does not fit the schema',
      `schema="raw"\n${SIMULATED}storage=["d"]`,
      [
        '1: storage is missing: the storage directories, as ["./tape/d0", "./tape/d1"]',
        '3: feed.sim.kind is "simulator": what it gives is recorded with schema "market", "trade", "quote" or "level", not "raw"',
        '4: there is no key feed.sim.storage',
      ],
    ],
    [
      'scales that a simulator can’t do with',
      `price_scale=1\n${feed('kind = "simulator"')}`,
      ['4: feed.f.kind is "simulator": it needs a price_scale of 2 and a size_scale of 3 at least'],
    ],
    [
      'a key of another kind',
      feed('kind = "simulator"', 'url = "ws://h"'),
      ['4: feed.f.url is "ws://h": a feed of kind "simulator" has no such key'],
    ],
    [
      'a key of another parser',
      `schema="raw"\n${websocket('streams = ["a@b"]')}`,
      ['7: feed.f.streams is ["a@b"]: a feed with parser "raw" has no such key'],
    ],
    [
      'no url',
      `schema="raw"\n${feed('kind = "websocket"')}`,
      ['3: feed.f.url is missing: the address, as "wss://example.com/feed" is one'],
    ],
    [
      'no WebSocket',
      `schema="raw"\n${feed('kind = "websocket"', 'url = "https://h"')}`,
      ['5: feed.f.url is "https://h": it must be an address that begins with ws:// or wss://'],
    ],
    [
      'no url at all',
      `schema="raw"\n${feed('kind = "websocket"', 'url = "exchange"')}`,
      ['5: feed.f.url is "exchange": it must be an address that begins with ws:// or wss://'],
    ],
    [
      'no streams',
      feed('kind = "websocket"', 'parser = "binance"'),
      ['2: feed.f.streams is missing: what to record, as ["btcusdt@trade", "btcusdt@bookTicker"]'],
    ],
    [
      'a stream in capitals',
      feed('kind = "websocket"', 'parser = "binance"', 'streams = ["a@trade",', ' "BTC@depth@100ms",', '"x"]'),
      [
        '6: feed.f.streams[1] is "BTC@depth@100ms": its symbol must be in lower case: "btc@depth@100ms"',
        '7: feed.f.streams[2] is "x": it must be a symbol and what of it, as "btcusdt@trade" is',
      ],
    ],
    [
      'streams and a url with streams',
      feed('kind = "websocket"', 'parser = "binance"', 'url = "wss://h/ws/x@trade"', 'streams = ["a@trade"]'),
      ['5: feed.f.url is "wss://h/ws/x@trade": with streams it must end in the host, or in /stream'],
    ],
    [
      'channels without products',
      feed('kind = "websocket"', 'parser = "kraken"', 'channels = ["trade"]'),
      ['2: feed.f.products is missing: for which instruments'],
    ],
    [
      'products as another exchange writes them',
      feed('kind = "websocket"', 'parser = "kraken"', 'channels = ["trade"]', 'products = ["BTC-USD"]'),
      ['6: feed.f.products[0] is "BTC-USD": it must be written as "BTC/USD" is'],
    ],
    ['no path', feed('kind = "ndjson"'), ['2: feed.f.path is missing: the file, or "-" for stdin']],
    [
      'a captured feed from stdin',
      feed('kind = "feed-file"', 'parser = "binance"', 'path = "-"'),
      ['5: feed.f.path is "-": a captured feed is read from a file'],
    ],
    [
      'stdin twice',
      `storage=["d"]\n[feed.a]\nkind="ndjson"\npath="-"\n[feed.b]\nkind="csv"\npath="-"`,
      ['7: feed.b.path is "-": feed.a reads stdin already'],
    ],
    [
      'more collectors than streams',
      feed('kind = "websocket"', 'parser = "binance"', 'streams = ["a@trade"]', 'collectors = 2'),
      ['6: feed.f.collectors is 2: it must be 1 at most, as there are no more streams to deal out'],
    ],
    [
      'collectors of stdin',
      feed('kind = "ndjson"', 'path = "-"', 'collectors = 2'),
      ['5: feed.f.collectors is 2: it must be 1, as stdin is read by one'],
    ],
    [
      'too many collectors together',
      `storage=["d"]\n[feed.a]\nkind="simulator"\ncollectors=40\n[feed.b]\nkind="simulator"\ncollectors=30`,
      ['7: feed.b has 30 collectors: together with those before it 70, and a tape has 63 at most'],
    ],
    [
      'a message that is a number',
      `schema="raw"\n${websocket('subscribe = [', '"x", 3]')}`,
      ['8: feed.f.subscribe[1] is 3: it must be a text, or a table that is sent as JSON'],
    ],
    [
      'a list that is not ended',
      'storage = ["d"\nredundancy = 7\n',
      ['1: not TOML: not ended, or wrong on line 2: unexpected character'],
    ],
    [
      'a text that is not ended',
      `storage = ["d]\ncapacity = 1\n${SIMULATED}`,
      [
        '1: not TOML: unterminated string constant at the end of the line',
        '2: capacity is 1: it must be a whole number from 16 to 1000000',
      ],
    ],
  ])('%s', (_, text, expected) => {
    expect(mistakes(text).map((line) => line.replace(/^(\d+: not TOML.*) at "[^"]*"$/, '$1'))).toEqual(expected);
  });

  test('five at once, in the order of their lines', () => {
    const text = `storage = ["d0", "d1", "d2", "d3"]
redundancy = 5
capcity = 100

[feed.binance]
kind = "websocket"
parser = "binance"
url = "http://example.com"
streams = ["BTCUSDT@trade"]

[feed.lines]
kind = "ndjson"
`;
    expect(mistakes(text)).toEqual([
      '2: redundancy is 5: it must be a whole number from 1 to 4, the number of storage directories',
      '3: there is no key capcity (did you mean capacity?)',
      '8: feed.binance.url is "http://example.com": it must be an address that begins with ws:// or wss://',
      '9: feed.binance.streams[0] is "BTCUSDT@trade": its symbol must be in lower case: "btcusdt@trade"',
      '11: feed.lines.path is missing: the file, or "-" for stdin',
    ]);
  });

  const WRONG: readonly (readonly [line: string, names: string])[] = [
    ['redundancy = 9', 'redundancy'],
    ['capacity = 3', 'capacity'],
    ['on_full = 1', 'on_full'],
    ['flush_interval = "soon"', 'flush_interval'],
    ['colector = 1', 'colector'],
    ['metrics = "x"', 'metrics'],
    ['max_symbols = 0', 'max_symbols'],
    ['price_scale = -1', 'price_scale'],
    ['read == 1', 'not TOML'],
    ['lane_bytes = 1', 'lane_bytes'],
  ];

  test('any of them, at any lines, are all named with their lines, and no others', () => {
    const filler = fc.constantFrom('', '# a comment', '   ', '# redundancy = 9');
    const wrong = fc.shuffledSubarray(WRONG as (typeof WRONG)[number][], { minLength: 1 });
    fc.assert(
      fc.property(
        wrong,
        fc.array(fc.array(filler, { maxLength: 3 }), { minLength: 11, maxLength: 11 }),
        (lines, fillers) => {
          const top: string[] = [...fillers[10], 'storage = ["a", "b"]'];
          const expected = lines.map(([line, names], i) => {
            top.push(...fillers[i], line);
            return [top.length, names];
          });
          const found = mistakes(`${top.join('\n')}\n${SIMULATED}`);
          expect(found.length).toBe(expected.length);
          expected.forEach(([line, names], i) => {
            expect(found[i].startsWith(`${line}: `) && found[i].includes(`${names}`), found[i]).toBe(true);
          });
        },
      ),
    );
  });

  test('no text makes it fail in another way', () => {
    const piece = fc.constantFrom(
      ...['[', ']', '{', '}', '=', '\n', '"', "'", '#', ',', '.', 'feed', 'storage', '"d"', '1', 'kind', '"simulator"'],
      ...[
        '[[feed]]\n',
        '[feed.a]\n',
        'subscribe',
        '\u0000',
        '\u0001',
        '"\\u00010"',
        '__proto__',
        'retention',
        'compression',
        '"""',
        '\r',
      ],
    );
    const anything = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece, { maxLength: 40 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(anything, (text) => {
        mistakes(text);
      }),
      { numRuns: 2000 },
    );
  });

  test('neither long texts nor deep ones keep it for ever', () => {
    expect(mistakes('a'.repeat(300_000))).toEqual([
      '1: too long for a configuration: 300000 characters, of 262144 at most',
    ]);
    expect(mistakes('['.repeat(100_000))).toEqual(['1: arrays or tables are nested too deeply']);
    expect(mistakes(`a = ${'['.repeat(400)}${']'.repeat(400)}`)[0]).toMatch(/^1: there is no key a/);
    expect(mistakes('= \n'.repeat(80_000)).length).toBe(20);
    expect(mistakes('x = [\n'.repeat(400)).length).toBeGreaterThan(0);
  });
});

describe('a valid configuration', () => {
  const NUMBERS = {
    capacity: fc.integer({ min: 16, max: 1_000_000 }),
    write_timeout: fc.integer({ min: 10, max: 3_600_000 }),
    sync_interval: fc.integer({ min: 0, max: 86_400_000 }),
    flush_interval: fc.integer({ min: 0, max: 86_400_000 }),
    segment_bytes: fc.integer({ min: 2 ** 20, max: 2 ** 30 }),
    max_symbols: fc.integer({ min: 1, max: 4_194_304 }),
  };

  test('comes out as it was written, whatever the order of its lines', () => {
    const numbers = fc.record(NUMBERS, { requiredKeys: [] });
    const nodes = fc.integer({ min: 1, max: 64 });
    fc.assert(
      fc.property(numbers, nodes, fc.nat(), fc.infiniteStream(fc.nat()), (chosen, count, copies, order) => {
        const storage = Array.from({ length: count }, (_, i) => `/d${i}`);
        const redundancy = 1 + (copies % count);
        const lines = [
          `storage = ${JSON.stringify(storage)}`,
          `redundancy = ${redundancy}`,
          ...Object.entries(chosen).map(([key, value]) => `${key} = ${value}`),
        ];
        const shuffled = lines
          .map((line) => [order.next().value as number, line] as const)
          .toSorted(([a], [b]) => a - b);
        const { tape } = readConfig(`${shuffled.map(([, line]) => line).join('\n')}\n${SIMULATED}`, FILE);
        const options = Object.entries(chosen).map(([key, value]) => [TAPE_KEYS[key].option, value]);
        expect(tape).toEqual({ storage, redundancy, ...Object.fromEntries(options) });
      }),
    );
  });
});

describe('what init writes', () => {
  test('is the reference configuration', () => {
    const { tape, feeds, schema, metrics } = readConfig(TEMPLATE, FILE);
    expect(tape).toEqual({
      storage: [0, 1, 2, 3].map((i) => `${BASE}/tape/d${i}`),
      redundancy: 2,
      capacity: 10_000,
      compression: 'adaptive',
    });
    expect(schema).toEqual({ name: 'market', priceScale: 8, sizeScale: 8 });
    expect(metrics).toBe(undefined);
    expect(feeds.map(({ name, collectors }) => [name, collectors.length])).toEqual([['binance', 10]]);
  });

  test('stays right when all examples in it are used', () => {
    const all = TEMPLATE.replaceAll(/^# (?=\[|[a-z_]+ = )/gm, '');
    const { feeds, tape, metrics } = readConfig(all, FILE);
    expect(feeds.map(({ name }) => name)).toEqual(['binance', 'coinbase', 'kraken', 'lines', 'captured', 'simulator']);
    expect(Object.keys(tape).length).toBe(Object.keys(TAPE_KEYS).length);
    expect(metrics).toEqual({ host: '127.0.0.1', port: 9464 });
  });

  test('mentions every key', () => {
    const keys = [TAPE_KEYS, RECORDER_KEYS, RETENTION_KEYS, FEED_KEYS].flatMap((one) => Object.keys(one));
    const missing = keys.filter(
      (key) => key !== 'feed' && !new RegExp(`^(# )?${key} = |[{,] ${key} = `, 'm').test(TEMPLATE),
    );
    expect(missing).toEqual([]);
  });
});
