import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as layout from '../dist/assembly/layout.js';
import { encodeBlockHeader } from '../dist/src/block/header.js';
import { MAX_STEPS, parsePlan, type Step } from '../dist/src/block/plan.js';
import { encodeGap, encodeGapsHeader, GAP_ENTRY_BYTES, GAPS_HEADER_BYTES } from '../dist/src/gaps.js';
import { hash64 } from '../dist/src/hash.js';
import { encodeCounters } from '../dist/src/journal/counters.js';
import { laneSalt, NEVER, writeLaneHeader } from '../dist/src/journal/lane.js';
import { encodeSymbolHeader } from '../dist/src/journal/symbols.js';
import { decimal, defineSchema, timestamp } from '../dist/src/schema.js';
import { encodeFooter } from '../dist/src/segment/footer.js';
import { encodeSegmentHeader } from '../dist/src/segment/header.js';

// The offsets and types that ARCHITECTURE.md gives, read at those places in what the code encodes.

const document = readFileSync(new URL('../ARCHITECTURE.md', import.meta.url), 'utf8');

interface Row {
  offset: number;
  type: string;
  name: string;
}

function table(format: string): Row[] {
  const from = document.indexOf(`<!-- format: ${format} -->`);
  expect(from, `ARCHITECTURE.md has a table of ${format}`).toBeGreaterThan(0);
  const lines = document.slice(from).split('\n').slice(1);
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines.slice(2, end).map((line) => {
    const [, offset, type, what] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    return { offset: Number(offset), type, name: what.split(/[\s:]/)[0] };
  });
}

function read(bytes: Uint8Array, { offset, type }: Row): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case 'u8':
      return view.getUint8(offset);
    case 'u16':
      return view.getUint16(offset, true);
    case 'u32':
      return view.getUint32(offset, true);
    case 'i32':
      return view.getInt32(offset, true);
    case 'u64':
      return view.getBigUint64(offset, true);
    case 'i64':
      return view.getBigInt64(offset, true);
    case 'text8':
      return new TextDecoder().decode(bytes.slice(offset, offset + 8));
    case 'bytes16':
      return [...bytes.slice(offset, offset + 16)];
    default:
      return undefined;
  }
}

/** Every row of the table that has a simple type, against what is expected under its name. */
function check(format: string, bytes: Uint8Array, expected: Record<string, unknown>): void {
  const rows = table(format).filter((row) => read(bytes, row) !== undefined);
  const found = Object.fromEntries(rows.map((row) => [row.name, read(bytes, row)]));
  expect(found).toEqual(expected);
}

const schema = defineSchema('trade', timestamp('ts'), decimal('price', 2));
const tapeId = Uint8Array.from({ length: 16 }, (_, i) => 100 + i);
const id = [...tapeId];
/** XXH64 is checked against its vectors elsewhere; here it only has to stand where the document says. */
const u64At = (bytes: Uint8Array, offset: number) => new DataView(bytes.buffer).getBigUint64(offset, true);

test('lane', () => {
  const bytes = new Uint8Array(4096);
  writeLaneHeader(bytes, tapeId, schema, { epoch: 7, lane: 3, capacity: 61440 }, 1234n);
  const { fingerprint } = schema;
  check('lane', bytes, {
    magic: 'TTLANE01',
    version: 1,
    headerBytes: 4096,
    tapeId: id,
    fingerprint,
    epoch: 7,
    lane: 3,
    recordBytes: schema.recordBytes,
    variable: 0,
    capacity: 61440n,
    salt: laneSalt(tapeId, 7, 3),
    createdNs: 1234n,
    checksum: u64At(bytes, 120),
    tail: 0n,
    cachedHead: 0n,
    offset: 0n,
    records: 0n,
    drops: 0n,
    drained: 0n,
    head: 0n,
    waiting: 0,
    sealedAt: NEVER,
    state: 0,
  });
  const offsets = Object.fromEntries(table('lane').map(({ name, offset }) => [name, offset]));
  expect(offsets).toMatchObject({
    tail: layout.LANE_TAIL,
    cachedHead: layout.LANE_CACHED_HEAD,
    offset: layout.LANE_OFFSET,
    records: layout.LANE_RECORDS,
    drops: layout.LANE_DROPS,
    drained: layout.LANE_DRAINED,
    head: layout.LANE_HEAD,
    waiting: layout.LANE_WAITING,
    state: layout.LANE_STATE,
    arguments: layout.LANE_ARGUMENTS,
    symbol: layout.LANE_SYMBOL,
  });
});

test('record', () => {
  const offsets = Object.fromEntries(table('record').map(({ name, offset }) => [name, offset]));
  expect(offsets).toEqual({
    checksum: layout.RECORD_CHECKSUM,
    size: layout.RECORD_SIZE,
    kind: layout.RECORD_KIND,
    timestamp: layout.RECORD_TIMESTAMP,
    the: layout.RECORD_TIMESTAMP + 8,
  });
});

test('symbol table', () => {
  const bytes = encodeSymbolHeader(tapeId, 77);
  check('symbols', bytes, {
    magic: 'TTSYMBL1',
    version: 1,
    tapeId: id,
    capacity: 77,
    checksum: u64At(bytes, 120),
    count: 0,
  });
  const offsets = Object.fromEntries(table('symbols').map(({ name, offset }) => [name, offset]));
  expect(offsets).toMatchObject({ count: layout.SYMBOL_COUNT, entries: layout.SYMBOL_HEADER_BYTES });
});

test('counters', () => {
  const bytes = encodeCounters(tapeId, schema, 7, 3, 1234n);
  const zeros = ['sealedRecords', 'sealedBlocks', 'rawBytes', 'storedBytes', 'degradedBlocks', 'degradedRecords'];
  const dropped = ['firstSequence', 'droppedRecords', 'droppedSegments', 'droppedBytes'];
  check('counters', bytes, {
    state: 0,
    symbolLock: 0,
    ...Object.fromEntries([...zeros, ...dropped].map((name) => [name, 0n])),
    magic: 'TTCNTRS1',
    version: 1,
    epoch: 7,
    tapeId: id,
    startedNs: 1234n,
    heartbeatNs: 1234n,
    fingerprint: schema.fingerprint,
    redundancy: 3,
    fields: 0,
  });
  const from = (at: number) => at - layout.CONTROL;
  const offsets = Object.fromEntries(table('counters').map(({ name, offset }) => [name, offset]));
  expect(offsets).toMatchObject({
    state: from(layout.CONTROL_STATE),
    symbolLock: from(layout.CONTROL_SYMBOL_LOCK),
    sealedRecords: from(layout.CONTROL_SEALED_RECORDS),
    sealedBlocks: from(layout.CONTROL_SEALED_BLOCKS),
    rawBytes: from(layout.CONTROL_RAW_BYTES),
    storedBytes: from(layout.CONTROL_STORED_BYTES),
    degradedBlocks: from(layout.CONTROL_DEGRADED_BLOCKS),
    degradedRecords: from(layout.CONTROL_DEGRADED_RECORDS),
    firstSequence: from(layout.CONTROL_FIRST_SEQUENCE),
    droppedRecords: from(layout.CONTROL_DROPPED_RECORDS),
    droppedSegments: from(layout.CONTROL_DROPPED_SEGMENTS),
    droppedBytes: from(layout.CONTROL_DROPPED_BYTES),
    fields: from(layout.CONTROL_FIELD_COUNT),
    nodes: from(layout.CONTROL_STORAGE),
    collectors: from(layout.CONTROL_COLLECTORS),
  });
  expect(layout.COLLECTOR_BUCKETS + 160 * 4).toBe(layout.COLLECTOR_BYTES);
  expect(from(layout.CONTROL_COLLECTORS) + layout.MAX_COLLECTORS * layout.COLLECTOR_BYTES).toBe(layout.CONTROL_BYTES);
});

test('gaps', () => {
  const header = encodeGapsHeader(tapeId);
  check('gaps', header, {
    magic: 'TTGAPS01',
    version: 1,
    headerBytes: GAPS_HEADER_BYTES,
    tapeId: id,
    checksum: hash64(header.subarray(0, 56)),
  });
  expect(header.length).toBe(64);
  const gap = { collector: 5, name: 'btc', fromNs: -7n, toNs: 9n, reason: 'disconnected' };
  const bytes = encodeGap(tapeId, { epoch: 4, number: 6 }, gap);
  const known = { epoch: 4, number: 6, nameBytes: 3, reasonBytes: 12, fromNs: -7n };
  const checksum = () => hash64(bytes.subarray(8), hash64(tapeId));
  check('gap', bytes, { ...known, checksum: checksum(), collector: 5, ended: 1, toNs: 9n });
  expect(bytes.length).toBe(GAP_ENTRY_BYTES);
  const texts = Object.fromEntries(table('gap').map(({ name, offset }) => [name, offset]));
  expect(new TextDecoder().decode(bytes.slice(texts.name, texts.name + 3))).toBe('btc');
  expect(new TextDecoder().decode(bytes.slice(texts.reason, texts.reason + 12))).toBe('disconnected');
  bytes.set(encodeGap(tapeId, { epoch: 4, number: 6 }, { ...gap, collector: null, toNs: null }));
  check('gap', bytes, { ...known, checksum: checksum(), collector: -1, ended: 0, toNs: 0n });
});

test('segment', () => {
  const bytes = encodeSegmentHeader({ tapeId, storageNode: 2, number: 9, createdNs: 55n, epoch: 4, schema });
  check('segment', bytes, {
    magic: 'TTSEGMT1',
    version: 1,
    headerBytes: 4096,
    tapeId: id,
    storageNode: 2,
    number: 9,
    fingerprint: schema.fingerprint,
    createdNs: 55n,
    epoch: 4,
    schemaBytes: schema.json.length,
  });
  expect(new TextDecoder().decode(bytes.slice(64, 64 + schema.json.length))).toBe(schema.json);
  expect(schema.json).toBe('{"name":"trade","fields":[["ts","timestamp",0],["price","decimal",2]]}');
});

test('footer', () => {
  const entry = {
    offset: 4096,
    blockBytes: 800,
    count: 10,
    sequence: 20n,
    leastNs: -5n,
    greatestNs: 6n,
    symbolMask: 3n,
    headerChecksum: 99n,
  };
  const bytes = encodeFooter([entry], 4896);
  check('footer-entry', bytes, { ...entry, offset: 4096n });
  const trailer = bytes.slice(64);
  check('trailer', trailer, {
    magic: 'TTFOOTR1',
    version: 1,
    entries: 1,
    footerOffset: 4896n,
    checksum: u64At(trailer, 24),
    fileBytes: 4896n + 128n,
    trailerChecksum: u64At(trailer, 56),
  });
});

test('block', () => {
  const chunk = {
    field: 1,
    part: 0,
    kind: 3,
    encoding: 2,
    compression: 1,
    range: { least: -7n, greatest: 8n },
    offset: 256,
    storedBytes: 64,
    encodedBytes: 80,
    openBytes: 24,
    checksum: 1n,
  };
  const bytes = encodeBlockHeader({
    tapeId,
    fingerprint: schema.fingerprint,
    sequence: 1000n,
    count: 11,
    epoch: 4,
    leastNs: -1n,
    greatestNs: 2n,
    blockBytes: 320,
    rowBytes: 440,
    symbolMask: 5n,
    laneRanges: [{ epoch: 4, lane: 6, from: 48n, to: 96n }],
    chunks: [chunk],
    symbols: [{ id: 2, name: 'BTCUSDT', bytes: new TextEncoder().encode('BTCUSDT') }],
  });
  check('block', bytes, {
    magic: 'TTBLOCK1',
    version: 1,
    headerBytes: bytes.length,
    tapeId: id,
    fingerprint: schema.fingerprint,
    sequence: 1000n,
    count: 11,
    epoch: 4,
    leastNs: -1n,
    greatestNs: 2n,
    blockBytes: 320n,
    chunks: 1,
    laneRanges: 1,
    symbols: 1,
    rowBytes: 440n,
    symbolMask: 5n,
  });
  const range = bytes.slice(128, 152);
  check('lane-range', range, { epoch: 4, lane: 6, from: 48n, to: 96n });
  const { range: _, ...entry } = chunk;
  check('chunk-entry', bytes.slice(152, 200), { ...entry, flags: 1, least: -7n, greatest: 8n });
  const symbol = new DataView(bytes.buffer, 200);
  expect([symbol.getUint32(0, true), symbol.getUint32(4, true)]).toEqual([2, 7]);
  expect(bytes.length).toBe(200 + 16 + 8);
});

/** The rows of the table of steps: number, bytes of parameters, steps handed on to. */
function steps(): { name: string; number: number; parameterBytes: number; children: number }[] {
  const from = document.indexOf('| step | number | parameters |');
  const lines = document.slice(from).split('\n').slice(2);
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines.slice(0, end).map((line) => {
    const [, name, number, parameters, then] = line.split('|').map((cell) => cell.trim());
    const bits = Array.from(parameters.matchAll(/[iu](\d+) /g), ([, width]) => Number(width));
    const children = then === '' ? 0 : then.split(',').length;
    return { name, number: Number(number), parameterBytes: bits.reduce((sum, width) => sum + width / 8, 0), children };
  });
}

test('plans: every step has the number, the parameters and the steps behind it that the table says', () => {
  const rows = steps();
  expect(rows.map(({ number }) => number)).toEqual(rows.map((_, i) => i));
  for (const { name, number, parameterBytes, children } of rows) {
    // One id bit, one value, one byte a plane, no exceptions, no zigzag: all within range.
    const parameters = new Uint8Array(parameterBytes);
    if (name === 'dictionary') parameters.set([1, 1]);
    else if (name === 'planes') parameters[0] = 1;
    else if (name === 'same ids') parameters[2] = 1;
    const plan = Uint8Array.of(number, ...parameters, ...new Array(children).fill(1));
    const parsed = parsePlan(plan) as Step;
    expect(parsed, name).toMatchObject({ op: number });
    expect(parsed.children.map(({ op }) => op)).toEqual(new Array(children).fill(1));
    expect(parsePlan(plan.subarray(0, -1)), name).toBeTypeOf('string');
    expect(parsePlan(Uint8Array.of(...plan, 1)), name).toBeTypeOf('string');
  }
  expect(parsePlan(Uint8Array.of(rows.length)), 'a step behind the last').toBeTypeOf('string');
  expect(document).toContain(`A plan has ${MAX_STEPS} steps at most`);
});
