import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { defineSchema, f64, openTape, symbol, timestamp } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { describe, expect, onTestFinished, test } from 'vitest';
import * as layout from '../../dist/assembly/layout.js';
import { CollectorCounters } from '../../dist/src/collect/collector-counters.js';
import { metricsOf } from '../../dist/src/metrics/registry.js';
import { type ReadFigures, startMetrics } from '../../dist/src/metrics/server.js';
import type { SessionFigures } from '../../dist/src/stats.js';
import { scratch } from '../helpers/scratch.js';
import { errorOf } from '../helpers/tape.js';

const figures = (): SessionFigures => ({
  state: 'open',
  epoch: 3,
  startedNs: 1_700_000_000_500_000_000n,
  heartbeatNs: 1_700_000_009_000_000_000n,
  redundancy: 2,
  records: 1000,
  blocks: 4,
  rawBytes: 40_000,
  storedBytes: 8000,
  compressionRatio: 5,
  degraded: { blocks: 1, records: 250 },
  lanes: [{ lane: 0, tail: 400n, drained: 300n, head: 100n, capacity: 1200, records: 1010n, drops: 7n }],
  storageNodes: [
    {
      path: '/a "b"\\',
      blocks: 4,
      bytes: 8000,
      errors: 2,
      state: 'aside',
      inFlightBytes: 5,
      writeMs: 1.5,
      slowestWriteMs: 9,
    },
  ],
  collectors: [],
  retention: { firstSequence: 9n, records: 20, segments: 2, bytes: 600 },
});

/** Series by name and labels, types by name. */
function parse(text: string): { series: Record<string, number>; types: Record<string, string> } {
  const series: Record<string, number> = {};
  const types: Record<string, string> = {};
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue;
    const type = /^# TYPE (\w+) (\w+)$/.exec(line);
    if (type !== null) types[type[1]] = type[2];
    else {
      const [, name, value] = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line) ?? expect.fail(`not a series: ${line}`);
      expect(series[name], `${name} twice`).toBeUndefined();
      series[name] = Number(value);
    }
  }
  return { series, types };
}

describe('what a scrape is told', () => {
  test('every figure, with its unit and its labels', async () => {
    const { series, types } = parse(await metricsOf(figures()));
    expect(series).toMatchObject({
      'ticktape_session_state{state="open"}': 1,
      'ticktape_session_state{state="failed"}': 0,
      ticktape_session_start_time_seconds: 1_700_000_000.5,
      ticktape_heartbeat_time_seconds: 1_700_000_009,
      ticktape_redundancy_copies: 2,
      ticktape_stored_records_total: 1000,
      ticktape_stored_blocks_total: 4,
      ticktape_raw_bytes_total: 40_000,
      ticktape_stored_bytes_total: 8000,
      ticktape_degraded_blocks_total: 1,
      ticktape_degraded_records_total: 250,
      ticktape_retention_dropped_records_total: 20,
      ticktape_retention_dropped_segments_total: 2,
      ticktape_retention_dropped_bytes_total: 600,
      'ticktape_lane_records_total{lane="0"}': 1010,
      'ticktape_lane_dropped_records_total{lane="0"}': 7,
      'ticktape_lane_backlog_ratio{lane="0"}': 0.25,
      'ticktape_storage_node_state{storage_node="/a \\"b\\"\\\\",state="aside"}': 1,
      'ticktape_storage_node_state{storage_node="/a \\"b\\"\\\\",state="healthy"}': 0,
      'ticktape_storage_node_blocks_total{storage_node="/a \\"b\\"\\\\"}': 4,
      'ticktape_storage_node_bytes_total{storage_node="/a \\"b\\"\\\\"}': 8000,
      'ticktape_storage_node_errors_total{storage_node="/a \\"b\\"\\\\"}': 2,
      'ticktape_storage_node_in_flight_bytes{storage_node="/a \\"b\\"\\\\"}': 5,
      'ticktape_storage_node_write_seconds{storage_node="/a \\"b\\"\\\\"}': 0.0015,
      'ticktape_storage_node_slowest_write_seconds{storage_node="/a \\"b\\"\\\\"}': 0.009,
    });
    for (const [name, type] of Object.entries(types)) {
      expect(name).toMatch(/^ticktape_/);
      expect(type === 'counter', name).toBe(name.endsWith('_total'));
    }
  });

  test('collectors, with a histogram of their appends; two of one name are told apart', async () => {
    const window = new ArrayBuffer(layout.CONTROL_BYTES);
    const collectors = ['feed', 'feed', ''].map((name, i) => {
      const counters = new CollectorCounters(window, 0, i);
      counters.begin(name, 10 + i);
      counters.state = 'waiting';
      counters.received(6, 900, 1.7e18);
      for (let n = 0; n < 5; n++) counters.rejected();
      counters.gap();
      counters.restarted();
      for (const ns of [0, 63, 64, 100, 127, 128, 5e9]) counters.appended(ns);
      return counters.read(i)!;
    });
    const { series, types } = parse(await metricsOf({ ...figures(), collectors }));
    expect(series).toMatchObject({
      'ticktape_collector_state{collector="feed",state="waiting"}': 1,
      'ticktape_collector_state{collector="feed#1",state="running"}': 0,
      'ticktape_collector_lane{collector="2"}': 12,
      'ticktape_collector_messages_total{collector="feed"}': 6,
      'ticktape_collector_message_bytes_total{collector="feed"}': 900,
      'ticktape_collector_rejected_messages_total{collector="feed"}': 5,
      'ticktape_collector_gaps_total{collector="feed"}': 1,
      'ticktape_collector_restarts_total{collector="feed"}': 1,
      'ticktape_collector_last_message_time_seconds{collector="feed"}': 1.7e9,
      'ticktape_collector_append_seconds_bucket{collector="feed",le="6.4e-8"}': 2,
      'ticktape_collector_append_seconds_bucket{collector="feed",le="1.28e-7"}': 5,
      'ticktape_collector_append_seconds_bucket{collector="feed",le="2.56e-7"}': 6,
      'ticktape_collector_append_seconds_bucket{collector="feed",le="+Inf"}': 7,
      'ticktape_collector_append_seconds_count{collector="feed"}': 7,
    });
    expect(types.ticktape_collector_append_seconds).toBe('histogram');
    const buckets = Object.entries(series).filter(([name]) => name.includes('seconds_bucket{collector="feed",'));
    expect(buckets.length).toBeLessThan(30);
    for (let i = 1; i < buckets.length; i++) expect(buckets[i][1]).toBeGreaterThanOrEqual(buckets[i - 1][1]);
  });

  test('figures that are none are left out, and spoil no others', async () => {
    const broken = figures();
    broken.records = Number.NaN;
    broken.blocks = -1;
    broken.storageNodes.push({ ...broken.storageNodes[0], bytes: Infinity });
    const { series } = parse(await metricsOf(broken));
    expect(series.ticktape_stored_records_total ?? 0).toBe(0);
    expect(series.ticktape_stored_blocks_total ?? 0).toBe(0);
    expect(series.ticktape_raw_bytes_total).toBe(40_000);
  });
});

describe('the server', () => {
  async function serve(read: ReadFigures) {
    const server = await startMetrics({ host: '127.0.0.1', port: 0 }, read);
    onTestFinished(() => server.close());
    return server;
  }

  test('serves a live tape on a free port, and nothing else', async () => {
    const schema = defineSchema('trade', timestamp('ts'), symbol('symbol'), f64('price'));
    const directory = scratch();
    const storage = [0, 1].map((i) => path.join(directory, `d${i}`));
    const tape = await openTape(schema, { storage });
    onTestFinished(() => tape.close());
    for (let i = 0; i < 500; i++) tape.append(BigInt(i), 'A', i);
    await tape.flush();
    const { url, port, host } = await serve(() => tape.stats());
    expect(port).toBeGreaterThan(0);
    expect({ host, url }).toEqual({ host: '127.0.0.1', url: `http://127.0.0.1:${port}/metrics` });
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const { series } = parse(await response.text());
    expect(series).toMatchObject({
      ticktape_stored_records_total: 500,
      'ticktape_lane_records_total{lane="0"}': 500,
      [`ticktape_storage_node_blocks_total{storage_node="${storage[1]}"}`]: 1,
    });
    expect(Math.abs(series.ticktape_heartbeat_time_seconds - Number(runtime.nowNs()) / 1e9)).toBeLessThan(5);
    for (const other of ['/', '/metrics/x', '/favicon.ico']) {
      const found = await fetch(new URL(other, url));
      expect([found.status, await found.text()]).toEqual([404, 'metrics are at /metrics\n']);
    }
    const posted = await fetch(url, { method: 'POST', body: 'x' });
    expect(posted.status).toBe(405);
    await posted.text();
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test('says 500 where figures can not be read, 503 where nobody records, and goes on', async () => {
    let answer: ReadFigures = () => {
      throw new Error('/x/counters.ttcnt: cut');
    };
    const { url } = await serve(() => answer());
    const get = async () => {
      const response = await fetch(url);
      return [response.status, await response.text()];
    };
    expect(await get()).toEqual([500, '/x/counters.ttcnt: cut\n']);
    answer = () => Promise.reject(new Error('also'));
    expect(await get()).toEqual([500, 'also\n']);
    answer = () => null;
    expect(await get()).toEqual([503, 'no recorder is at work\n']);
    answer = figures;
    expect((await get())[0]).toBe(200);
  });

  test('nonsense and broken connections do not end it', async () => {
    const { url, port } = await serve(figures);
    for (const text of ['\x16\x03\x01 no HTTP\r\n\r\n', 'GET /metrics HTTP/1.1\r\n']) {
      await new Promise<void>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => {
          socket.end(text);
        });
        socket.resume();
        socket.on('error', () => {});
        socket.on('close', () => resolve());
        setTimeout(() => socket.destroy(), 300);
      });
    }
    const response = await fetch(url);
    expect(response.status).toBe(200);
    await response.text();
  });

  test('a port that is taken is an error that names it', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const error = await errorOf(() => startMetrics({ host: '127.0.0.1', port }, figures));
    expect(error).toMatchObject({ code: 'IO', message: expect.stringContaining(`127.0.0.1:${port}`) });
    expect(error.message).toContain('another process listens there');
  });

  test('does not keep its process alive', async () => {
    const flags = runtime.name === 'deno' ? ['run', '-A', '--no-lock', '--node-modules-dir=manual'] : [];
    const script = fileURLToPath(new URL('./serving.mjs', import.meta.url));
    const child = spawn(process.execPath, [...flags, script], { stdio: ['ignore', 'pipe', 'pipe'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect({ status, output }).toEqual({ status: 0, output: '503\n' });
  });
});
