import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { type CollectorEvent, type FeedOptions, feedSource, openTape, schemas } from 'ticktape';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { FeedServer } from '../helpers/feed-server.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf, recordsOf } from '../helpers/tape.js';

const schema = schemas.raw();
const small = { segmentBytes: 1024 ** 2, maxSymbols: 100, onWarning: () => {} };
const reconnect = { firstMs: 5, mostMs: 20 };

async function open(laneBytes = 1024 ** 2) {
  const tape = await openTape(schema, { storage: [scratch()], laneBytes, flushIntervalMs: 20, ...small });
  onTestFinished(() => tape.close());
  return tape;
}

const feed = (url: string, options: Partial<FeedOptions> = {}) =>
  ({ name: 'btc', kind: 'websocket', parser: 'raw', url, reconnect, ...options }) satisfies FeedOptions;

const messagesOf = async (tape: Awaited<ReturnType<typeof open>>) => {
  await tape.flush();
  return (await recordsOf(tape)).map(({ message }) => message);
};

const texts = (count: number) => Array.from({ length: count }, (_, i) => `message ${i}`);

/** Resolves with the first event that `is` picks. */
function awaiting(is: (event: CollectorEvent) => boolean) {
  let onEvent!: (event: CollectorEvent) => void;
  const came = new Promise<CollectorEvent>((resolve) => {
    onEvent = (event) => is(event) && resolve(event);
  });
  return { came, onEvent };
}

test.each(['workers', 'inline'] as const)(
  '%s: cut off after every message: each is there once, and each cut is a gap',
  async (threads) => {
    const share = texts(12);
    const hows = ['close', 'terminate'] as const;
    const server = await FeedServer.start([share], (_, sent) => ({ messages: 1, how: hows[sent % 2] }));
    const tape = await open();
    const collection = await tape.collect(feedSource, {
      threads,
      options: feed(server.url(0), { subscribe: ['a', 'b'] }),
    });
    await server.played;
    await collection.stop();
    expect(await messagesOf(tape)).toEqual(share);
    expect(server.subscribed[0]).toEqual(Array.from({ length: 12 }, () => ['a', 'b']).flat());
    const records = (await recordsOf(tape)) as { ts: bigint }[];
    const gaps = tape.gaps();
    expect(gaps.at(-1)).toMatchObject({ collector: null, reason: 'not recording' });
    for (const [i, { reason, fromNs, toNs }] of gaps.slice(0, -1).entries()) {
      expect(reason).toMatch(/^disconnected/);
      expect(fromNs).toBeGreaterThanOrEqual(records[i].ts);
      expect(toNs).toBeLessThanOrEqual(records[i + 1].ts);
    }
    expect(gaps.length).toBe(12);
    expect(collection.stats()).toMatchObject([{ messages: 12, gaps: 11, restarts: 0, name: 'btc' }]);
  },
);

test('more than the lane takes while the storage nodes are slow: nothing is read then, and nothing is lost', async () => {
  const share = Array.from({ length: 3000 }, (_, i) => `${i} ${'x'.repeat(1000)}`);
  const server = await FeedServer.start([share], () => ({ messages: 900, how: 'terminate' }));
  const tape = await open(65_536);
  const collection = await tape.collect(feedSource, { options: feed(server.url(0)) });
  await server.played;
  await collection.stop();
  expect(await messagesOf(tape)).toEqual(share);
});

test('binary messages are text; what is not UTF-8, or more than a lane takes, is rejected and kept', async () => {
  const rejectedFile = path.join(scratch(), 'rejected.ndjson');
  const long = 'y'.repeat(40_000);
  const share = [Buffer.from('als Bytes: é'), Uint8Array.of(0x61, 0xff, 0x62), long, 'last'];
  const server = await FeedServer.start([share], () => ({ messages: 10, how: 'close' }));
  const tape = await open(65_536);
  const collection = await tape.collect(feedSource, { options: feed(server.url(0), { rejectedFile }) });
  await server.played;
  const [stats] = collection.stats();
  await collection.stop();
  expect(await messagesOf(tape)).toEqual(['als Bytes: é', 'last']);
  expect(stats).toMatchObject({ messages: 4, rejected: 2, restarts: 0 });
  const rejected = readFileSync(rejectedFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(rejected).toMatchObject([
    { reason: 'not UTF-8', base64: 'Yf9i' },
    { reason: expect.stringContaining('laneBytes'), message: long },
  ]);
});

test('a server that is not there yet: a gap from the start to the first message', async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  const tape = await open();
  const { came, onEvent } = awaiting(({ type }) => type === 'gap');
  const collection = await tape.collect(feedSource, { options: feed(`ws://127.0.0.1:${port}/0`), onEvent });
  expect(await came).toMatchObject({ gap: { collector: 0, name: 'btc', toNs: null } });
  const server = new WebSocketServer({ port, host: '127.0.0.1' });
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  server.on('connection', (socket) => socket.send('hello'));
  while (tape.gaps()[0].toNs === null) await new Promise((resolve) => setTimeout(resolve, 5));
  await collection.stop();
  expect(await messagesOf(tape)).toEqual(['hello']);
  expect(tape.gaps().length).toBe(2);
});

test('a connection that falls silent counts as lost; so does one that is never made', async () => {
  let connections = 0;
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: false });
  server.on('connection', (socket) => {
    connections++;
    socket.on('error', () => {});
    socket.send(`connection ${connections}`);
  });
  // Takes connections, and says nothing.
  const mute = createServer(() => {}).listen(0, '127.0.0.1');
  await new Promise((resolve) => mute.once('listening', resolve));
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
    mute.close();
  });
  const port = (of: { address(): unknown }) => (of.address() as { port: number }).port;
  const tape = await open();
  const silent = await tape.collect(feedSource, {
    options: feed(`ws://127.0.0.1:${port(server)}`, { idleTimeoutMs: 40, pingIntervalMs: 10 }),
  });
  const { came, onEvent } = awaiting(({ type }) => type === 'gap');
  const never = await tape.collect(feedSource, {
    options: feed(`ws://127.0.0.1:${port(mute)}`, { name: 'mute', connectTimeoutMs: 30 }),
    onEvent,
  });
  expect(await came).toMatchObject({ gap: { name: 'mute', reason: 'no connection within 30 ms' } });
  while (connections < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  await Promise.all([silent.stop(), never.stop()]);
  const reasons = tape
    .gaps()
    .filter(({ name }) => name === 'btc')
    .map(({ reason }) => reason);
  expect(reasons.slice(0, 2)).toEqual(['nothing came for 40 ms', 'nothing came for 40 ms']);
  expect((await messagesOf(tape)).slice(0, 3)).toEqual(['connection 1', 'connection 2', 'connection 3']);
});

test('options that no feed has: finished is rejected, and it is not tried again', async () => {
  const tape = await open();
  for (const [options, name] of [
    [feed('http://127.0.0.1'), 'url'],
    [{ ...feed('ws://127.0.0.1:1'), parser: 'binance' }, 'raw'],
    [{ ...feed('ws://127.0.0.1:1'), parser: 'morse' }, 'parser'],
    [{ ...feed('ws://127.0.0.1:1'), kind: 'pigeon', path: 'x' }, 'kind'],
  ] as const) {
    const collection = await tape.collect(feedSource, { options, threads: 'inline' });
    const error = await errorOf(() => collection.finished);
    expect(error).toMatchObject({ code: 'BAD_OPTION', message: expect.stringContaining(name) });
    expect(collection.stats()[0]).toMatchObject({ state: 'ended', restarts: 0 });
  }
  expect(existsSync('rejected')).toBe(false);
});
