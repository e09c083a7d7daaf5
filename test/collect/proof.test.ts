import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { feedSource, openTape, schemas } from 'ticktape';
import { expect, test } from 'vitest';
import { FeedServer } from '../helpers/feed-server.js';
import { lastingScratch } from '../helpers/scratch.js';
import { readAll } from '../helpers/tape.js';

// A captured feed, played to ten collectors by a server that cuts them off again and again: everything that was received is on the tape, once.

const file = new URL('../../../shared/data/binance-usdm-btcusdt-20240808.feed.gz', import.meta.url);
const COLLECTORS = 10;
const directory = lastingScratch();

/** A number in text as a whole number of its `scale`th place. */
function whole(text: string, scale: number): bigint {
  const [units, places = ''] = text.split('.');
  return BigInt(units + places.padEnd(scale, '0'));
}

/** What a message holds, by JSON.parse alone: a text an event. */
function eventsOf(message: string): string[] {
  const { data = JSON.parse(message) } = JSON.parse(message);
  const number = (text: string, scale: number) => whole(text, scale);
  if (data.e === 'trade') return [`1 ${data.t} ${number(data.p, 2)} ${number(data.q, 3)} ${data.m}`];
  if (data.e === 'bookTicker') {
    return [`2 ${data.u} ${number(data.b, 2)} ${number(data.B, 3)} ${number(data.a, 2)} ${number(data.A, 3)}`];
  }
  const levels = (side: [string, string][], isAsk: boolean) =>
    side.map(([price, size]) => `3 ${data.u ?? data.lastUpdateId} ${number(price, 2)} ${number(size, 3)} ${isAsk}`);
  return [...levels(data.b ?? data.bids, false), ...levels(data.a ?? data.asks, true)];
}

test.skipIf(!existsSync(file))(
  'everything received is on the tape exactly once, and every disconnect is a gap (skipped without ../shared/data)',
  async () => {
    const messages = gunzipSync(readFileSync(file))
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(line.indexOf(' ') + 1));
    const shares = Array.from({ length: COLLECTORS }, (_, share) =>
      messages.filter((_, i) => i % COLLECTORS === share),
    );
    const cutAfter = () => ({
      messages: 1 + Math.floor(Math.random() * 2000),
      how: Math.random() < 0.5 ? ('close' as const) : ('terminate' as const),
    });
    const server = await FeedServer.start(shares, cutAfter);
    const storage = ['d0', 'd1', 'd2', 'd3'].map((name) => path.join(directory, name));
    const schema = schemas.market({ priceScale: 2, sizeScale: 3 });
    const tape = await openTape(schema, { storage, redundancy: 2, onWarning: (message) => expect.fail(message) });
    const collection = await tape.collect(feedSource, {
      collectors: COLLECTORS,
      options: (collector: number) => ({
        name: 'btc',
        kind: 'websocket',
        parser: 'binance',
        url: server.url(collector),
        subscribe: [JSON.stringify({ method: 'SUBSCRIBE', params: ['btcusdt@trade'] })],
        reconnect: { firstMs: 5, mostMs: 20 },
        rejectedFile: path.join(directory, 'rejected.ndjson'),
      }),
    });
    await server.played;
    const stats = collection.stats();
    await collection.stop();
    expect(stats.map((collector) => collector.messages)).toEqual(shares.map((share) => share.length));
    expect(stats.map(({ rejected, restarts }) => [rejected, restarts])).toEqual(shares.map(() => [0, 0]));
    expect(existsSync(path.join(directory, 'rejected.ndjson'))).toBe(false);
    const gaps = tape.gaps();
    await tape.close();

    const cuts = server.cuts.reduce((sum, count) => sum + count);
    expect(cuts).toBeGreaterThan(COLLECTORS);
    const disconnects = gaps.filter(({ reason }) => reason.startsWith('disconnected'));
    expect(disconnects.length).toBe(cuts);
    expect(stats.map((collector) => collector.gaps)).toEqual(server.cuts);
    for (const { fromNs, toNs } of disconnects) expect(toNs).toBeGreaterThan(fromNs);
    expect(gaps.length).toBe(cuts + 1);
    expect(server.subscribed.map((texts) => texts.length)).toEqual(server.cuts.map((count) => count + 1));

    const expected = new Map<string, number>();
    const volumes: Record<string, bigint> = {};
    let records = 0;
    for (const message of messages) {
      for (const event of eventsOf(message)) {
        expected.set(event, (expected.get(event) ?? 0) + 1);
        const [kind, , , size, side] = event.split(' ');
        volumes[`${kind} ${side}`] = (volumes[`${kind} ${side}`] ?? 0n) + BigInt(size);
        records++;
      }
    }
    const recorded: Record<string, bigint> = {};
    const last = new Map<unknown, unknown>();
    const all = await readAll(schema, storage);
    expect(all.length).toBe(records);
    const scaled = (value: unknown, scale: number) => BigInt(Math.round((value as number) * 10 ** scale));
    for (const { ts, kind, flags, collector, price, size, askPrice, askSize, id } of all) {
      const isAsk = ((flags as number) & 1) === 1;
      const event =
        kind === 2
          ? `2 ${id} ${scaled(price, 2)} ${scaled(size, 3)} ${scaled(askPrice, 2)} ${scaled(askSize, 3)}`
          : `${kind} ${id} ${scaled(price, 2)} ${scaled(size, 3)} ${isAsk}`;
      const left = (expected.get(event) ?? 0) - 1;
      if (left < 0) expect.fail(`${event} is there too often`);
      if (left === 0) expected.delete(event);
      else expected.set(event, left);
      const side = kind === 2 ? String(scaled(askPrice, 2)) : String(isAsk);
      recorded[`${kind} ${side}`] = (recorded[`${kind} ${side}`] ?? 0n) + scaled(size, 3);
      const before = last.get(collector) as bigint | undefined;
      if (before !== undefined && before > (ts as bigint)) expect.fail('a collector stepped back in time');
      last.set(collector, ts);
    }
    expect([...expected.keys()]).toEqual([]);
    expect(recorded).toEqual(volumes);
  },
  120_000,
);
