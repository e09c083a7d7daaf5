import path from 'node:path';
import { bold, cyan, dim, green, red } from 'deno-std/fmt/colors.js';
import type { DemoResult } from './demo-result.js';
import { bytes, count, mark, row, seconds } from './rows.js';

/** The result of the demo, for people. */
export function report(result: DemoResult): string {
  const { appendNs, feed, dir } = result;
  const copies = result.blocks * result.redundancy;
  const equal = result.lost === 0 && result.duplicated === 0 && result.digestsEqual;
  const tail = `p99 ${duration(appendNs.p99)}, p99.9 ${duration(appendNs.p999)}, p99.99 ${duration(appendNs.p9999)}, max ${duration(appendNs.max)}`;
  const source = feed === undefined ? `a simulated feed, seed ${result.seed}` : feed.file;
  return [
    '',
    `${bold('ticktape demo')} ${dim(`on ${result.runtime}, ${source}`)}`,
    '',
    row('events', count(result.events), counts(result.kinds), bold),
    ...(feed === undefined ? [] : [row('', 'of messages', counts(feed.messages))]),
    row(
      'throughput',
      `${count(result.eventsPerSecond)} events/s`,
      `${seconds(result.seconds)}, to the end of flush()`,
      bold,
    ),
    row('append', `p50 ${duration(appendNs.p50)}`, tail, bold),
    row('', '', 'every one timed, the two clock reads around it included'),
    row('collectors', count(result.collectors), `${count(result.pauses)} pauses, to let the flusher catch up`),
    row('journal', result.journal),
    row(
      'blocks',
      count(result.blocks),
      `of up to ${count(result.capacity)} records, ${result.redundancy} copies of each`,
    ),
    row(
      'compression',
      `${result.compressionRatio.toFixed(2)} : 1`,
      `${bytes(result.bytesRaw)} as ${bytes(result.bytesStored)}`,
    ),
    ...result.storage.map(({ path: directory, blocks, bytes: stored }, i) =>
      row(i === 0 ? 'storage nodes' : '', `${count(blocks)} blocks`, `${bytes(stored)}, ${path.basename(directory)}`),
    ),
    row(
      'read back',
      mark(equal, `${count(result.lost)} lost, ${count(result.duplicated)} duplicated`),
      `${result.digestsEqual ? 'every field equal' : 'NOT EQUAL to what was appended'}, ${count(result.readBack.eventsPerSecond)} events/s`,
      equal ? green : red,
    ),
    row(
      'replicas',
      mark(result.replicasVerified === copies, `${count(result.replicasVerified)} of ${count(copies)} verified`),
      seconds(result.verify.seconds),
      result.replicasVerified === copies ? green : red,
    ),
    ...(dir === undefined ? [] : [row('kept in', dir, '', cyan)]),
    '',
    '',
  ].join('\n');
}

const counts = (of: object) =>
  Object.entries(of)
    .filter(([, times]) => times > 0)
    .map(([name, times]) => `${count(times)} ${name}`)
    .join(', ');

function duration(ns: number): string {
  if (ns < 1000) return `${ns} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toPrecision(3)} µs`;
  return `${(ns / 1e6).toPrecision(3)} ms`;
}
