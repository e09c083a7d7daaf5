// A recorder for others to look at: appends a little all the time, with the figures of two collectors, until its stdin ends.
//   live-recorder.mjs DIRECTORY JOURNAL_MODE
import path from 'node:path';
import process from 'node:process';
import { defineSchema, f64, openAppender, openTape, symbol, timestamp } from 'ticktape';
import * as layout from '../../dist/assembly/layout.js';
import { CollectorCounters } from '../../dist/src/collect/collector-counters.js';

const [directory, journalMode] = process.argv.slice(2);
const schema = defineSchema('ticks', timestamp('ts'), symbol('symbol'), f64('price'));
const storage = ['d0', 'd1', 'd2'].map((name) => path.join(directory, name));
const tape = await openTape(schema, { storage, journalMode, capacity: 100, flushIntervalMs: 100, onWarning() {} });

const feeds = ['binance', 'kraken'].map((name, i) => {
  const handle = tape.appenderHandle();
  const counters = new CollectorCounters(handle.memory.buffer, layout.CONTROL, i);
  counters.begin(name, handle.lane);
  counters.state = 'running';
  return { counters, appender: openAppender(schema, handle) };
});
feeds[1].counters.rejected();

let n = 0;
const timer = setInterval(() => {
  for (const { counters, appender } of feeds) {
    for (let i = 0; i < 10; i++) {
      appender.append(appender.now(), `S${n++ % 5}`, n / 4);
      counters.appended(100 + i);
    }
    counters.received(10, 500, Number(tape.now()));
  }
}, 5);

process.stdin.resume().on('end', async () => {
  clearInterval(timer);
  for (const { appender } of feeds) appender.close();
  await tape.close();
});
console.log('recording');
