import { stripVTControlCharacters } from 'node:util';
import { Gap } from 'ticktape';
import { expect, test } from 'vitest';
import { CollectorEvents } from '../../dist/src/cli/collector-events.js';
import { statusOf } from '../../dist/src/cli/status-line.js';
import type { CollectorEvent } from '../../dist/src/collect/collector.js';
import type { CollectorStats } from '../../dist/src/collect/collector-counters.js';
import type { SessionFigures } from '../../dist/src/stats.js';

// What a recorder says while it records.

const of = { collector: 3, name: 'kraken.3' };
const gap = (reason: string, toNs: bigint | null): CollectorEvent => ({
  type: 'gap',
  ...of,
  gap: new Gap({ ...of, reason, fromNs: 1_000_000_000n, toNs }),
});
const failed = (message: string, waitMs: number | null): CollectorEvent => ({
  type: 'failed',
  ...of,
  error: new Error(message),
  waitMs,
});

test('what fails again and again is told once, and its end', () => {
  const events = new CollectorEvents();
  const told = [
    gap('disconnected', null),
    gap('disconnected', null),
    gap('disconnected', 3_500_000_000n),
    gap('disconnected', null),
    gap('silent', null),
  ].map((event) => events.describe(event));
  expect(told).toEqual([
    'kraken.3: disconnected',
    null,
    'kraken.3: receives again, after 2.5 s',
    'kraken.3: disconnected',
    'kraken.3: silent',
  ]);
});

test('a failure is told as one, not also as its gap', () => {
  const events = new CollectorEvents();
  const told = [
    gap('failed: no', null),
    failed('no', 100),
    failed('no', 200),
    failed('no', null),
    gap('failed: no', 9n),
  ];
  expect(told.map((event) => events.describe(event))).toEqual([
    null,
    'kraken.3: no; it is tried again',
    null,
    'kraken.3: no; it is not started again',
    null,
  ]);
});

test('gaps that end because the recorder does are not told as ended', () => {
  const events = new CollectorEvents();
  expect(events.describe(gap('disconnected', null))).not.toBe(null);
  events.isStopping = true;
  expect(events.describe(gap('disconnected', 9n))).toBe(null);
});

test('the status line', () => {
  const collector = { state: 'running', messages: 5, gaps: 2, rejected: 0 } as CollectorStats;
  const figures = {
    lanes: [
      { records: 700n, tail: 75n, head: 25n, capacity: 100 },
      { records: 500n, tail: 10n, head: 10n, capacity: 100 },
    ],
    collectors: [collector, { ...collector, messages: 0 }, { ...collector, state: 'waiting' }],
    storageNodes: [{ state: 'healthy' }, { state: 'aside' }],
  } as unknown as SessionFigures;
  const text = stripVTControlCharacters(statusOf(figures, 200, 0.5));
  expect(text).toBe(
    '2,000 events/s · 1,200 records · backlog 50 % · 1/3 collectors receiving · gaps 6 · rejected 0 · storage 1/2 healthy',
  );
});
