import type { OnFull, Schema } from 'ticktape';
import {
  CONTROL,
  CONTROL_STATE,
  DRAIN_FILL,
  DRAIN_FULL,
  DRAIN_ROWS,
  LANE_CAPACITY,
  LANE_DRAINED,
  LANE_HEAD,
  LANE_HEADER_BYTES,
  LANE_RECORDS,
  LANE_SALT,
  LANE_TAIL,
  RECORD_SIZE,
  TAPE_OPEN,
} from '../../dist/assembly/layout.js';
import { Appender } from '../../dist/src/journal/appender.js';
import { writeLaneHeader } from '../../dist/src/journal/lane.js';
import { type MemoryMap, memoryMap } from '../../dist/src/journal/memory-map.js';
import { instantiateKernels, sharedMemory } from '../../dist/src/kernels.js';
import { writeFieldTable } from '../../dist/src/schema.js';
import type { Value } from './records.js';

export const TAPE_ID = Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i);
export const EPOCH = 3;

const MEMORY_BYTES = 32 * 1024 * 1024;
// One for all tests: each memory takes gigabytes of address space.
const memory = sharedMemory(MEMORY_BYTES);
const kernels = instantiateKernels(memory);
const bytes = new Uint8Array(memory.buffer);
const view = new DataView(memory.buffer);

/** What an unused byte of a ring holds, so that one that should have been written shows. */
export const DIRT = 0xee;

export interface BenchOptions {
  lanes?: number;
  /** Bytes of each lane's ring. */
  ring?: number;
  /** Records that the row buffer holds. */
  capacity?: number;
  symbols?: number;
}

/** Lanes in a memory, and what drains them, without a tape around them. One at a time: the next one takes its memory over. */
export class Bench {
  readonly schema: Schema;
  readonly map: MemoryMap;
  readonly memory = memory;
  readonly kernels = kernels;
  readonly bytes = bytes;
  readonly view = view;

  constructor(schema: Schema, { lanes = 1, ring = 61440, capacity = 256, symbols = 64 }: BenchOptions = {}) {
    this.schema = schema;
    this.map = memoryMap(schema, {
      capacity,
      symbolCapacity: symbols,
      laneBytes: ring,
      laneCount: lanes,
    });
    if (this.map.totalBytes > MEMORY_BYTES) throw new Error(`a bench of ${this.map.totalBytes} bytes is too large`);
    bytes.fill(0, CONTROL, this.map.totalBytes);
    writeFieldTable(schema, view);
    view.setInt32(CONTROL_STATE, TAPE_OPEN, true);
    for (let lane = 0; lane < lanes; lane++) {
      const at = this.at(lane);
      const header = new Uint8Array(LANE_HEADER_BYTES);
      writeLaneHeader(header, TAPE_ID, schema, { epoch: EPOCH, lane, capacity: ring }, 0n);
      bytes.set(header, at);
      bytes.fill(DIRT, at + LANE_HEADER_BYTES, at + LANE_HEADER_BYTES + ring);
    }
    this.emptyRows();
  }

  at(lane: number): number {
    return this.map.lanes + lane * this.map.laneStride;
  }

  appender(lane = 0, onFull: OnFull = 'throw'): Record<'append' | 'appendScaled', (...values: Value[]) => number> {
    const handle = {
      memory,
      fingerprint: this.schema.fingerprint,
      lane,
      at: this.at(lane),
      symbolCapacity: this.map.symbolCapacity,
      onFull,
    };
    const { append, appendScaled } = new Appender(this.schema, handle, () => 0n);
    const untyped = (of: unknown) => of as (...values: Value[]) => number;
    return { append: untyped(append), appendScaled: untyped(appendScaled) };
  }

  counter(lane: number, at: number): bigint {
    return view.getBigUint64(this.at(lane) + at, true);
  }

  counters(lane = 0): { head: bigint; drained: bigint; tail: bigint; records: bigint } {
    return {
      head: this.counter(lane, LANE_HEAD),
      drained: this.counter(lane, LANE_DRAINED),
      tail: this.counter(lane, LANE_TAIL),
      records: this.counter(lane, LANE_RECORDS),
    };
  }

  salt(lane = 0): bigint {
    return this.counter(lane, LANE_SALT);
  }

  /** Where the byte at `position` of the lane lies in memory. */
  addressOf(lane: number, position: bigint): number {
    return this.at(lane) + LANE_HEADER_BYTES + Number(position % this.counter(lane, LANE_CAPACITY));
  }

  ringBytes(lane: number, position: bigint, length: number): Uint8Array {
    const from = this.addressOf(lane, position);
    return bytes.slice(from, from + length);
  }

  /** Rows drained, or a negative code. */
  drain(maxRows = this.map.capacity, rowsEnd = this.map.rowsEnd): number {
    const { lanes, laneStride, laneCount, cursors, drainState, rowIndex } = this.map;
    return kernels.drain(lanes, laneStride, laneCount, cursors, drainState, rowIndex, rowsEnd, maxRows);
  }

  get isFull(): boolean {
    return view.getUint32(this.map.drainState + DRAIN_FULL, true) === 1;
  }

  /** Copies of the records in the row buffer. */
  rows(): Uint8Array[] {
    const { drainState, rowIndex } = this.map;
    return Array.from({ length: view.getUint32(drainState + DRAIN_ROWS, true) }, (_, i) => {
      const at = view.getUint32(rowIndex + 4 * i, true);
      return bytes.slice(at, at + view.getUint32(at + RECORD_SIZE, true));
    });
  }

  emptyRows(): void {
    const { drainState, rows } = this.map;
    view.setUint32(drainState + DRAIN_ROWS, 0, true);
    view.setUint32(drainState + DRAIN_FILL, rows, true);
    view.setUint32(drainState + DRAIN_FULL, 0, true);
  }

  release(lane: number, position: bigint): void {
    kernels.release(this.at(lane), position);
  }
}

/** Ids of names in the order in which they first come. */
export function interning(): (name: string) => number {
  const ids = new Map<string, number>();
  return (name) => {
    if (!ids.has(name)) ids.set(name, ids.size);
    return ids.get(name)!;
  };
}

/** Byte by byte in a loop: `toEqual` takes seconds for what this does in a millisecond. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array): void {
  const same = actual.length === expected.length && actual.every((byte, i) => byte === expected[i]);
  if (same) return;
  const hex = (of: Uint8Array) => Buffer.from(of).toString('hex');
  throw new Error(`${hex(actual)}\nis not\n${hex(expected)}`);
}
