import { format as formatBytes } from 'deno-std/fmt/bytes.js';
import { bold, cyan, dim, green, red } from 'deno-std/fmt/colors.js';
import type { DemoResult } from './demo-result.js';

const LABEL_COLUMNS = 14;

/** The result of the demo, for people. */
export function report(result: DemoResult): string {
  const { appendNs } = result;
  const copies = result.blocks * result.redundancy;
  const whole = result.lost === 0 && result.duplicated === 0 && result.digestsEqual;
  const source = result.feed === undefined ? `simulated feed, seed ${result.seed}` : result.feed.file;
  const lines = [
    '',
    `${bold('ticktape demo')} ${dim(`on ${result.runtime}: ${source}`)}`,
    '',
    row('events', bold(count(result.events)), counts(result.kinds)),
    row(
      'throughput',
      bold(`${count(result.eventsPerSecond)} events/s`),
      `${seconds(result.seconds)}, to the end of flush()`,
    ),
    row('append', bold(`p50 ${duration(appendNs.p50)}`), 'the two clock reads around each included'),
    row(
      '',
      `p99 ${duration(appendNs.p99)}   p99.9 ${duration(appendNs.p999)}   p99.99 ${duration(appendNs.p9999)}   max ${duration(appendNs.max)}`,
    ),
    row('collectors', count(result.collectors), `${count(result.pauses)} pauses for the flusher`),
    row('journal', result.journal),
    row(
      'stored',
      `${formatBytes(result.bytesRaw)} as ${formatBytes(result.bytesStored)}`,
      `${result.compressionRatio.toFixed(2)} : 1, each of ${result.redundancy} copies; ${count(result.blocks)} blocks of up to ${count(result.capacity)} records`,
    ),
    ...result.storage.map(({ path, blocks, bytes }, i) =>
      row(
        i === 0 ? 'storage nodes' : '',
        `${count(blocks).padStart(7)} blocks ${formatBytes(bytes).padStart(9)}`,
        path,
      ),
    ),
    row(
      'read back',
      verdict(whole, `${count(result.lost)} lost, ${count(result.duplicated)} duplicated`),
      `${result.digestsEqual ? 'every field equal' : 'DIFFERENT from what was appended'}; ${count(result.readBack.eventsPerSecond)} events/s`,
    ),
    row(
      'replicas',
      verdict(result.replicasVerified === copies, `${count(result.replicasVerified)} of ${count(copies)} verified`),
      seconds(result.verify.seconds),
    ),
  ];
  if (result.feed !== undefined) lines.splice(4, 0, row('messages', counts(result.feed.messages)));
  if (result.dir !== undefined) lines.push(row('kept in', cyan(result.dir)));
  return `${lines.join('\n')}\n\n`;
}

function row(label: string, value: string, remark = ''): string {
  return `  ${dim(label.padEnd(LABEL_COLUMNS))}${value}${remark === '' ? '' : `  ${dim(remark)}`}`;
}

const verdict = (good: boolean, text: string) => (good ? green(`✔ ${text}`) : red(`✘ ${text}`));

const count = (value: number) => Math.round(value).toLocaleString('en');

const seconds = (value: number) => `${value.toFixed(2)} s`;

const counts = (of: Readonly<Record<string, number>> | object) =>
  Object.entries(of as Record<string, number>)
    .filter(([, times]) => times > 0)
    .map(([name, times]) => `${count(times)} ${name}`)
    .join(', ');

function duration(ns: number): string {
  if (ns < 1000) return `${ns} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toPrecision(3)} µs`;
  return `${(ns / 1e6).toPrecision(3)} ms`;
}
