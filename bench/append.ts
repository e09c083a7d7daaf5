// How fast does one producer append five-field records into a mapped lane? Beside it, in the same run: the same five values stored
// by a plain loop into typed arrays, and written field by field into a Buffer, neither of which can be recovered after a kill.
//
//   npm run bench:append -- --runtime node|deno|bun [--json]
import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bench, do_not_optimize, run } from 'mitata';
import { decimal, defineSchema, symbol, timestamp, u8 } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import * as layout from '../assembly/layout.js';
import { Appender } from '../src/journal/appender.js';
import { Journal } from '../src/journal/journal.js';
import { memoryMap } from '../src/journal/memory-map.js';
import { instantiateKernels } from '../src/kernels.js';

const trade = defineSchema(
  'trade',
  timestamp('ts'),
  symbol('symbol'),
  decimal('price', 2),
  decimal('size', 3),
  u8('side'),
);

/** Records a measured run; the lane holds them all, and is emptied between runs. */
const RECORDS = 10_000;
const SYMBOLS = ['BTCUSDT', 'ETHUSDT', 'SOLUSDT', 'XRPUSDT'];

const directory = mkdtempSync(path.join(tmpdir(), 'ticktape-bench-'));
const map = memoryMap(trade, { capacity: RECORDS, symbolCapacity: 1024, laneCount: 1 });
const setup = {
  runtime,
  mapper: runtime.mapper(),
  directory,
  tapeId: new Uint8Array(16),
  epoch: 1,
  schema: trade,
  redundancy: 1,
  map,
};
const journal = new Journal(setup);
const lane = journal.laneAt(journal.takeLane());
const appender = new Appender(
  trade,
  {
    memory: journal.memory,
    fingerprint: trade.fingerprint,
    lane: 0,
    at: lane,
    symbolCapacity: map.symbolCapacity,
    onFull: 'throw',
  },
  () => runtime.nowNs(),
);
const kernels = instantiateKernels(journal.memory);
const longs = new BigInt64Array(journal.memory.buffer);

/** What the flusher does when a block is on its storage nodes: once a run, for all of it. */
function empty(): void {
  const tail = Atomics.load(longs, (lane + layout.LANE_TAIL) >> 3);
  Atomics.store(longs, (lane + layout.LANE_DRAINED) >> 3, tail);
  kernels.release(lane, tail);
}

bench('ticktape: append into a mapped lane', () => {
  let ts = 1_723_161_255_030_314_667n;
  for (let i = 0; i < RECORDS; i++) {
    ts += 100n;
    appender.append(ts, SYMBOLS[i & 3], 61_800.2, 3.33, i & 1);
  }
  empty();
});

bench('ticktape: appendScaled', () => {
  let ts = 1_723_161_255_030_314_667n;
  for (let i = 0; i < RECORDS; i++) {
    ts += 100n;
    appender.appendScaled(ts, SYMBOLS[i & 3], 6_180_020, 3330, i & 1);
  }
  empty();
});

{
  const columns = {
    ts: new BigInt64Array(RECORDS),
    symbol: new Uint32Array(RECORDS),
    price: new Float64Array(RECORDS),
    size: new Float64Array(RECORDS),
    side: new Uint8Array(RECORDS),
  };
  const ids = new Map(SYMBOLS.map((name, id) => [name, id]));
  bench('typed arrays: five plain stores', () => {
    let ts = 1_723_161_255_030_314_667n;
    for (let i = 0; i < RECORDS; i++) {
      ts += 100n;
      columns.ts[i] = ts;
      columns.symbol[i] = ids.get(SYMBOLS[i & 3])!;
      columns.price[i] = 61_800.2;
      columns.size[i] = 3.33;
      columns.side[i] = i & 1;
    }
    do_not_optimize(columns);
  });
}

{
  const buffer = Buffer.alloc(RECORDS * 32);
  const ids = new Map(SYMBOLS.map((name, id) => [name, id]));
  bench('Buffer: five writes', () => {
    let ts = 1_723_161_255_030_314_667n;
    for (let i = 0, at = 0; i < RECORDS; i++, at += 32) {
      ts += 100n;
      buffer.writeBigInt64LE(ts, at);
      buffer.writeUInt32LE(ids.get(SYMBOLS[i & 3])!, at + 8);
      buffer.writeDoubleLE(61_800.2, at + 12);
      buffer.writeDoubleLE(3.33, at + 20);
      buffer.writeUInt8(i & 1, at + 28);
    }
    do_not_optimize(buffer);
  });
}

const json = process.argv.includes('--json');
try {
  const { benchmarks } = await run({ format: json ? 'quiet' : 'mitata', colors: false });
  const results = benchmarks.map(({ alias, runs }) => {
    const { p50, samples } = runs[0].stats!;
    return {
      name: alias,
      nsPerRecord: p50 / RECORDS,
      recordsPerSecond: (RECORDS / p50) * 1e9,
      samples: samples.length,
    };
  });
  if (json) {
    console.log(JSON.stringify({ runtime: runtime.name, recordsPerRun: RECORDS, results }));
  } else {
    for (const { name, nsPerRecord, recordsPerSecond } of results) {
      const rate = (recordsPerSecond / 1e6).toFixed(1);
      console.log(`${runtime.name}  ${name.padEnd(38)} ${nsPerRecord.toFixed(1)} ns a record, ${rate} M/s (median)`);
    }
  }
} finally {
  journal.close(true);
  rmSync(directory, { recursive: true });
}
