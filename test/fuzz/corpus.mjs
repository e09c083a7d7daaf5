// The blocks that are damaged: made as the flusher makes them, of rows that went through a lane.
import { runtime } from 'ticktape/runtime';
import {
  CONTROL,
  CONTROL_STATE,
  DRAIN_FILL,
  DRAIN_FULL,
  DRAIN_ROWS,
  LANE_DRAINED,
  LANE_HEADER_BYTES,
  TAPE_OPEN,
} from '../../dist/assembly/layout.js';
import { firstEffort } from '../../dist/src/block/effort.js';
import { BlockEncoder } from '../../dist/src/block/encoder.js';
import { Appender } from '../../dist/src/journal/appender.js';
import { writeLaneHeader } from '../../dist/src/journal/lane.js';
import { memoryMap } from '../../dist/src/journal/memory-map.js';
import { instantiateKernels, sharedMemory } from '../../dist/src/kernels.js';
import { defineSchema, KINDS, writeFieldTable } from '../../dist/src/schema.js';
import { planColumn, SHAPES, valueFor } from './shapes.mjs';

/**
 * @typedef {import('./dice.mjs').Dice} Dice
 * @typedef {import('../../dist/src/schema.js').Schema} Schema
 * @typedef {import('../../dist/src/block/header.js').BlockHeader} BlockHeader
 *
 * @typedef {object} Block
 * @property {Uint8Array} bytes
 * @property {BlockHeader} header
 */

export const zstd = await runtime.zstd();

/** What a tape may be told of how to compress, the quick ones more often. @type {readonly any[]} */
const COMPRESSIONS = ['off', 'fast', 'fast', 'fast', 'fast', 'dense', { zstd: 1 }, { zstd: 19 }];

const TAPE_ID = Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i);
const EPOCH = 3;
const SYMBOL_CAPACITY = 64;
const OTHER_KINDS = /** @type {(keyof typeof KINDS)[]} */ (Object.keys(KINDS).filter((kind) => kind !== 'timestamp'));

/** A schema of 1 to 20 fields; over the numbers from 0 on every kind comes. @param {Dice} dice */
export function planSchema(dice, /** @type {number} */ number) {
  const kinds = Array.from({ length: Math.floor(20 * dice.unit() ** 1.5) }, () => dice.pick(OTHER_KINDS));
  if (number > 0) kinds[0] = OTHER_KINDS[number % OTHER_KINDS.length];
  const fields = kinds.map((kind, i) => ({
    name: `f${i}`,
    kind,
    scale: kind === 'decimal' ? dice.below(10) : 0,
    optional: dice.chance(0.15),
  }));
  fields.splice(dice.below(fields.length + 1), 0, { name: 'ts', kind: 'timestamp', scale: 0, optional: false });
  return defineSchema(`fuzz${number}`, ...fields);
}

/** Records of a block: mostly few, since what a case costs grows with them. @param {Dice} dice */
function planCount(dice) {
  const which = dice.unit();
  if (which < 0.15) return dice.between(1, 8);
  if (which < 0.35) return dice.pick([127, 128, 129, 255, 256, 257]);
  if (which < 0.985) return dice.between(9, 300);
  return dice.between(1000, 4200);
}

const MEMORY_BYTES = 64 * 1024 * 1024;
// One for all: each memory takes gigabytes of address space.
const memory = sharedMemory(MEMORY_BYTES);
const kernels = instantiateKernels(memory);
const bytes = new Uint8Array(memory.buffer);
const view = new DataView(memory.buffer);

/**
 * `many` blocks of one schema, one after another by one encoder, as it may carry on from block to block.
 * @param {Schema} schema @param {Dice} dice
 * @returns {Block[]}
 */
export function makeBlocks(schema, dice, /** @type {number} */ many) {
  const counts = Array.from({ length: many }, () => planCount(dice));
  const capacity = Math.max(16, ...counts);
  const laneBytes = 65536 * (1 + Math.ceil((capacity * (schema.recordBytes + 80 * schema.varying.length)) / 65536));
  const sizes = { capacity, symbolCapacity: SYMBOL_CAPACITY, storageNodes: 0, laneBytes, laneCount: 1 };
  const map = memoryMap(schema, sizes);
  if (map.totalBytes > MEMORY_BYTES) throw new Error(`a block of ${capacity} records needs ${map.totalBytes} bytes`);
  bytes.fill(0, CONTROL, map.totalBytes);
  writeFieldTable(schema, view);
  view.setInt32(CONTROL_STATE, TAPE_OPEN, true);
  const laneHeader = new Uint8Array(LANE_HEADER_BYTES);
  writeLaneHeader(laneHeader, TAPE_ID, schema, { epoch: EPOCH, lane: 0, capacity: map.ringBytes }, 0n);
  bytes.set(laneHeader, map.lanes);
  const handle = /** @type {const} */ ({
    memory,
    fingerprint: schema.fingerprint,
    lane: 0,
    at: map.lanes,
    symbolCapacity: SYMBOL_CAPACITY,
    onFull: 'throw',
  });
  const append = /** @type {(...values: any[]) => number} */ (new Appender(schema, handle, () => 0n).append);
  const encoder = new BlockEncoder(schema, kernels, memory, map, zstd, firstEffort(dice.pick(COMPRESSIONS)));

  const plans = schema.fields.map(() => planColumn(dice));
  let from = 0n;
  let sequence = 0n;
  return counts.map((count) => {
    // Most columns go on as they were.
    for (let i = 0; i < plans.length; i++) if (dice.chance(0.15)) plans[i] = planColumn(dice);
    appendRows(schema, plans, dice, count, append);
    view.setUint32(map.drainState + DRAIN_ROWS, 0, true);
    view.setUint32(map.drainState + DRAIN_FILL, map.rows, true);
    view.setUint32(map.drainState + DRAIN_FULL, 0, true);
    const { lanes, laneStride, laneCount, cursors, drainState, rowIndex, rowsEnd } = map;
    const drained = kernels.drain(lanes, laneStride, laneCount, cursors, drainState, rowIndex, rowsEnd, capacity);
    if (drained !== count) throw new Error(`of ${count} rows ${drained} fit a block`);
    const to = view.getBigUint64(map.lanes + LANE_DRAINED, true);
    const laneRanges = [{ epoch: EPOCH, lane: 0, from, to }];
    const block = encoder.encode({ tapeId: TAPE_ID, sequence, epoch: EPOCH, laneRanges });
    kernels.release(map.lanes, to);
    from = to;
    sequence += BigInt(count);
    return { header: block.header, bytes: block.bytes.slice() };
  });
}

/**
 * @param {Schema} schema @param {import('./shapes.mjs').ColumnPlan[]} plans @param {Dice} dice
 * @param {(...values: any[]) => number} append
 */
function appendRows(schema, plans, dice, /** @type {number} */ count, append) {
  /** @type {Float64Array[]} */
  const columns = [];
  const values = schema.fields.map((field, i) => {
    const plan = plans[i];
    const numbers = new Float64Array(count);
    SHAPES[plan.shape](dice, numbers, columns);
    columns.push(numbers);
    const absent = field.optional ? dice.pick([0, 0.1, 0.5, 1]) : 0;
    return Array.from(numbers, (n) => (absent > 0 && dice.chance(absent) ? null : valueFor(field, plan, dice, n)));
  });
  const row = new Array(values.length);
  for (let i = 0; i < count; i++) {
    for (let field = 0; field < row.length; field++) row[field] = values[field][i];
    append(...row);
  }
}
