import path from 'node:path';
import {
  CONTROL,
  CONTROL_BYTES,
  LANE_CAPACITY,
  LANE_HEAD,
  LANE_HEADER_BYTES,
  LANE_TAIL,
  SYMBOL_BYTES,
  SYMBOL_COUNT,
  SYMBOL_HEADER_BYTES,
  SYMBOLS,
} from '../../assembly/layout.js';
import type { Files, OpenFile } from '../files.js';
import { ioError } from '../io.js';
import type { Runtime } from '../runtime.js';
import { COUNTERS_FILE } from './counters.js';
import { laneFile, SYMBOLS_FILE } from './journal.js';
import type { MemoryMap } from './memory-map.js';

/** How old what other processes see of the counters may be. */
const COUNTERS_MS = 200;

/**
 * Writes the lanes of a tape to their files where these can't be mapped: what was published since the last time, and the
 * counters. A process that is killed loses what it appended after that.
 */
export class BufferedJournal {
  readonly #directory: string;
  readonly #epoch: number;
  readonly #map: MemoryMap;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #words: BigInt64Array;
  readonly #files: Files;
  readonly #nowMs: () => number;
  readonly #open = new Map<string, OpenFile>();
  /** By lane, as its file says. */
  readonly #persisted: bigint[];
  readonly #released: bigint[];
  #symbols: number;
  #countedMs: number;

  constructor(
    { files, nowMs }: Pick<Runtime, 'files' | 'nowMs'>,
    memory: WebAssembly.Memory,
    map: MemoryMap,
    directory: string,
    epoch: number,
  ) {
    this.#files = files;
    this.#nowMs = nowMs;
    this.#countedMs = nowMs();
    this.#directory = directory;
    this.#epoch = epoch;
    this.#map = map;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#words = new BigInt64Array(memory.buffer);
    this.#persisted = new Array(map.laneCount).fill(0n);
    this.#released = new Array(map.laneCount).fill(0n);
    this.#symbols = this.#view.getUint32(SYMBOLS + SYMBOL_COUNT, true);
  }

  persist(): void {
    const tails: { lane: number; at: number; tail: bigint }[] = [];
    for (let lane = 0; lane < this.#map.laneCount; lane++) {
      const at = this.#map.lanes + lane * this.#map.laneStride;
      if (this.#view.getBigUint64(at + LANE_CAPACITY, true) === 0n) continue;
      const tail = Atomics.load(this.#words, (at + LANE_TAIL) >> 3);
      // Its `head` too, also where nothing was appended since: recovery looks for all behind it.
      const head = this.#view.getBigUint64(at + LANE_HEAD, true);
      if (tail > this.#persisted[lane] || head > this.#released[lane]) tails.push({ lane, at, tail });
    }
    // After the tails were read: every symbol that a record before them uses is in the table by now.
    this.#persistSymbols();
    for (const { lane, at, tail } of tails) this.#persistLane(lane, at, tail);
    if (this.#nowMs() - this.#countedMs >= COUNTERS_MS) this.#persistCounters();
  }

  #persistCounters(): void {
    this.#countedMs = this.#nowMs();
    this.#write(path.join(this.#directory, COUNTERS_FILE), this.#bytes.slice(CONTROL, CONTROL + CONTROL_BYTES), 0);
  }

  #persistSymbols(): void {
    const count = Atomics.load(new Int32Array(this.#bytes.buffer), (SYMBOLS + SYMBOL_COUNT) >> 2);
    if (count === this.#symbols) return;
    const file = path.join(this.#directory, SYMBOLS_FILE);
    const from = SYMBOL_HEADER_BYTES + this.#symbols * SYMBOL_BYTES;
    const to = SYMBOL_HEADER_BYTES + count * SYMBOL_BYTES;
    this.#write(file, this.#bytes.slice(SYMBOLS + from, SYMBOLS + to), from);
    const word = new Uint8Array(4);
    new DataView(word.buffer).setUint32(0, count, true);
    this.#write(file, word, SYMBOL_COUNT);
    this.#symbols = count;
  }

  #persistLane(lane: number, at: number, tail: bigint): void {
    const file = laneFile(this.#directory, this.#epoch, lane);
    const capacity = this.#view.getBigUint64(at + LANE_CAPACITY, true);
    const ring = at + LANE_HEADER_BYTES;
    for (let from = this.#persisted[lane]; from < tail; ) {
      const offset = Number(from % capacity);
      const length = Math.min(Number(tail - from), Number(capacity) - offset);
      const start = ring + offset;
      this.#write(file, this.#bytes.slice(start, start + length), LANE_HEADER_BYTES + offset);
      from += BigInt(length);
    }
    const header = this.#bytes.slice(at, at + LANE_HEADER_BYTES);
    new DataView(header.buffer).setBigUint64(LANE_TAIL, tail, true);
    this.#write(file, header, 0);
    this.#persisted[lane] = tail;
    this.#released[lane] = new DataView(header.buffer).getBigUint64(LANE_HEAD, true);
  }

  #write(file: string, bytes: Uint8Array, offset: number): void {
    try {
      let open = this.#open.get(file);
      if (open === undefined) {
        open = this.#files.open(file, 'edit');
        this.#open.set(file, open);
      }
      open.write(bytes, offset);
    } catch (cause) {
      throw ioError(cause, file, 'write the journal');
    }
  }

  sync(): void {
    for (const open of this.#open.values()) open.sync();
  }

  close(): void {
    for (const open of this.#open.values()) open.close();
    this.#open.clear();
  }
}
