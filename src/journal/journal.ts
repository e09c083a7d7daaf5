import path from 'node:path';
import {
  CONTROL,
  CONTROL_BYTES,
  CONTROL_STATE,
  LANE_CAPACITY,
  LANE_FREE,
  LANE_HEADER_BYTES,
  LANE_IN_USE,
  LANE_LEFT,
  LANE_STATE,
  SYMBOL_BYTES,
  SYMBOL_COUNT,
  SYMBOL_HEADER_BYTES,
  SYMBOLS,
  TAPE_OPEN,
} from '../../assembly/layout.js';
import { assert, TapeError } from '../errors.js';
import type { Files } from '../files.js';
import { ioError, removeQuietly } from '../io.js';
import { sharedMemory } from '../kernels.js';
import type { FileMapping, Mapper, Runtime } from '../runtime.js';
import { type Schema, writeFieldTable } from '../schema.js';
import { COUNTERS_FILE, encodeCounters } from './counters.js';
import { readLaneCounters, writeLaneHeader } from './lane.js';
import type { MemoryMap } from './memory-map.js';
import { checkSymbols, encodeSymbolHeader } from './symbols.js';

const LANE_NAME = /^lane-(\d+)-(\d+)\.ttlane$/;
export const SYMBOLS_FILE = 'symbols.ttsym';

export const laneFile = (journal: string, epoch: number, lane: number): string =>
  path.join(journal, `lane-${epoch}-${lane}.ttlane`);

/** Lane files in a journal's directory. */
export function listLanes(files: Files, journal: string): string[] {
  if (!files.exists(journal)) return [];
  return files
    .list(journal)
    .filter((name) => LANE_NAME.test(name))
    .map((name) => path.join(journal, name));
}

/** Of the session that made the lane. */
export const laneEpoch = (file: string): number => Number(LANE_NAME.exec(path.basename(file))![1]);

/** The symbols of a tape: how many its file holds and has room for; null where there is no file. */
export function readSymbols(files: Files, journal: string, tapeId: Uint8Array) {
  const file = path.join(journal, SYMBOLS_FILE);
  if (!files.exists(file)) return null;
  const bytes = files.readFile(file);
  return { bytes, ...checkSymbols(bytes, tapeId, file) };
}

export interface JournalSetup {
  runtime: Runtime;
  /** Null for the buffered journal. */
  mapper: Mapper | null;
  directory: string;
  tapeId: Uint8Array;
  epoch: number;
  schema: Schema;
  redundancy: number;
  map: MemoryMap;
}

/** All the lanes of a tape that is open for writing, its symbol table, and the memory that they lie in. */
export class Journal {
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  readonly mapped: boolean;
  readonly #setup: JournalSetup;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #mappings = new Map<string, FileMapping>();
  /** By lane. */
  readonly #laneFiles: string[] = [];

  constructor(setup: JournalSetup) {
    this.#setup = setup;
    this.map = setup.map;
    this.mapped = setup.mapper !== null;
    this.memory = sharedMemory(setup.map.totalBytes);
    this.#view = new DataView(this.memory.buffer);
    this.#words = new Int32Array(this.memory.buffer);
    this.#openCounters();
    writeFieldTable(setup.schema, this.#view);
    this.#openSymbols();
    Atomics.store(this.#words, CONTROL_STATE >> 2, TAPE_OPEN);
  }

  #openCounters(): void {
    const { directory, tapeId, schema, epoch, redundancy, mapper, runtime } = this.#setup;
    const file = path.join(directory, COUNTERS_FILE);
    const header = encodeCounters(tapeId, schema, epoch, redundancy, runtime.nowNs());
    this.#makeFile(file, CONTROL_BYTES, header);
    if (mapper === null) new Uint8Array(this.memory.buffer).set(header, CONTROL);
    else this.#mappings.set(file, mapper.map(file, this.memory, CONTROL, CONTROL_BYTES, 0));
  }

  #openSymbols(): void {
    const { directory, tapeId, map, mapper, runtime } = this.#setup;
    const file = path.join(directory, SYMBOLS_FILE);
    const known = readSymbols(runtime.files, directory, tapeId);
    assert(known === null || known.capacity <= map.symbolCapacity, 'a symbol table never shrinks');
    const entries = known?.bytes.subarray(SYMBOL_HEADER_BYTES, SYMBOL_HEADER_BYTES + known.count * SYMBOL_BYTES);
    // Made anew at each open: entries that a power cut left half-written are gone, and it may grow.
    const window = new Uint8Array(this.memory.buffer, SYMBOLS, map.symbolWindowBytes);
    window.set(encodeSymbolHeader(tapeId, map.symbolCapacity));
    if (entries !== undefined) window.set(entries, SYMBOL_HEADER_BYTES);
    this.#view.setUint32(SYMBOLS + SYMBOL_COUNT, known?.count ?? 0, true);
    const used = SYMBOL_HEADER_BYTES + (entries?.length ?? 0);
    this.#makeFile(file, map.symbolWindowBytes, window.slice(0, used));
    if (mapper !== null) {
      this.#mappings.set(file, mapper.map(file, this.memory, SYMBOLS, map.symbolWindowBytes, 0));
    }
  }

  /** Makes a file that starts with `start` and is `bytes` long, whole or not at all, also after a power cut. */
  #makeFile(file: string, bytes: number, start: Uint8Array): void {
    const { files } = this.#setup.runtime;
    const made = `${file}.tmp`;
    try {
      files.remove(made);
      // Also where it is not mapped: the flusher could not go on if there were no space for what is appended.
      files.preallocate(made, bytes);
      const handle = files.open(made, 'edit');
      try {
        handle.write(start, 0);
        handle.sync();
      } finally {
        handle.close();
      }
      files.rename(made, file);
    } catch (cause) {
      removeQuietly(files, made);
      throw ioError(cause, file, 'make it');
    }
  }

  laneAt(lane: number): number {
    return this.map.lanes + lane * this.map.laneStride;
  }

  /**
   * A lane for one more producer: one that its producer has left and that is empty, else a new one.
   * @throws TapeError `NO_LANE`, `DISK_FULL`, `IO`
   */
  takeLane(): number {
    const { directory, tapeId, schema, epoch, mapper, map, runtime } = this.#setup;
    for (let lane = 0; lane < map.laneCount; lane++) {
      const at = this.laneAt(lane);
      const { head, tail, state } = readLaneCounters(this.#view, at);
      const made = this.#view.getBigUint64(at + LANE_CAPACITY, true) !== 0n;
      if (made) {
        if (state !== LANE_LEFT || head !== tail) continue;
        Atomics.store(this.#words, (at + LANE_STATE) >> 2, LANE_IN_USE);
        return lane;
      }
      assert(state === LANE_FREE, 'a lane that was never made is free');
      const header = new Uint8Array(LANE_HEADER_BYTES);
      writeLaneHeader(header, tapeId, schema, { epoch, lane, capacity: map.ringBytes }, runtime.nowNs());
      const file = laneFile(directory, epoch, lane);
      this.#makeFile(file, map.laneStride, header);
      this.#laneFiles.push(file);
      if (mapper !== null) {
        this.#mappings.set(file, mapper.map(file, this.memory, at, map.laneStride, 0));
      } else {
        new Uint8Array(this.memory.buffer).set(header, at);
      }
      Atomics.store(this.#words, (at + LANE_STATE) >> 2, LANE_IN_USE);
      return lane;
    }
    throw new TapeError('NO_LANE', `all ${map.laneCount} lanes are taken: close an appender that is done`);
  }

  /**
   * Lets go of all files. `empty`: everything is on its storage nodes, so the lanes' files go. A lane whose producer has not left
   * stays mapped until it has: the producer may be between publishing a record and finding that the tape closed.
   */
  close(empty: boolean): void {
    const { runtime, directory } = this.#setup;
    const counters = path.join(directory, COUNTERS_FILE);
    for (const [file, mapping] of this.#mappings) {
      const lane = this.#laneFiles.indexOf(file);
      if (file === counters) {
        // They stay what they are for who still looks at them: `stats()`, and producers, whose lanes have been stopped by now.
        const window = new Uint8Array(this.memory.buffer, CONTROL, CONTROL_BYTES);
        const kept = window.slice();
        mapping.unmap();
        window.set(kept);
        continue;
      }
      const hasLeft = () => lane < 0 || readLaneCounters(this.#view, this.laneAt(lane)).state === LANE_LEFT;
      if (hasLeft()) mapping.unmap();
      else mapping.unmapWhen(hasLeft);
    }
    this.#mappings.clear();
    if (!empty) return;
    // One that stays, or comes back after a power cut, is found empty at the next open.
    for (const file of [...this.#laneFiles, counters]) removeQuietly(runtime.files, file);
    try {
      runtime.files.syncDirectory(directory);
    } catch (error) {
      if (!(error instanceof TapeError)) throw error;
    }
  }
}
