import {
  CONTROL_DEGRADED_BLOCKS,
  CONTROL_DEGRADED_RECORDS,
  CONTROL_RAW_BYTES,
  CONTROL_SEALED_BLOCKS,
  CONTROL_SEALED_RECORDS,
  CONTROL_STORAGE,
  CONTROL_STORED_BYTES,
  DAMAGED,
  DRAIN_FILL,
  DRAIN_FULL,
  DRAIN_ROWS,
  LANE_CAPACITY,
  LANE_DRAINED,
  LANE_SEALED_AT,
  LANE_TAIL,
  STORAGE_ASIDE,
  STORAGE_COUNTER_BYTES,
  STORAGE_HEALTHY,
  STORAGE_HUNG,
} from '../../assembly/layout.js';
import type { BlockEncoder, EncoderChoice } from '../block/encoder.js';
import type { BlockHeader, LaneRange } from '../block/header.js';
import { assert, TapeError } from '../errors.js';
import type { MemoryMap } from '../journal/memory-map.js';
import type { Kernels } from '../kernels.js';
import { type Flight, type Replicator, type StorageState, stateOf } from '../storage/replicator.js';
import type { AdaptiveEffort } from './adaptive.js';

const STATE_NUMBERS: Record<StorageState, number> = {
  healthy: STORAGE_HEALTHY,
  aside: STORAGE_ASIDE,
  hung: STORAGE_HUNG,
};

/** How blocks are made at present, and why. */
export interface CompressionChoice extends EncoderChoice {
  /** Why the effort is what it is. */
  effortReason: string;
}

export interface FlusherParts {
  memory: WebAssembly.Memory;
  map: MemoryMap;
  kernels: Kernels;
  encoder: BlockEncoder;
  /** Chooses the encoder's effort from block to block; null where that is fixed. */
  adaptive: AdaptiveEffort | null;
  replicator: Replicator;
  tapeId: Uint8Array;
  /** Of this session; what its blocks say. */
  epoch: number;
  /** What identifies the lane in window `index` in block headers. */
  laneOf(index: number): { epoch: number; lane: number };
  nextSequence: bigint;
  flushIntervalMs: number;
  nowMs(): number;
}

/** What has how many copies, when a flush has ended. */
export interface FlushReport {
  /** Records of this session that are on storage nodes. */
  records: number;
  /** The fewest copies that a block has which was stored since the flush before; the redundancy where none was. */
  leastCopies: number;
  /** Blocks and records of this session that were stored in fewer copies than asked for. */
  degradedBlocks: number;
  degradedRecords: number;
}

/** A block on its way, and up to where it takes each lane. */
interface Sealed {
  flight: Flight;
  to: { lane: number; position: bigint }[];
}

/** A flush that is waited for. */
interface FlushRequest {
  tails: bigint[];
  /** Blocks that were sealed by the time that all of it was; -1 before. */
  blocks: number;
  resolve(report: FlushReport): void;
  reject(error: Error): void;
}

/**
 * Drains lanes into blocks and puts these on the storage nodes. It has no timers and no thread of its own: whoever calls
 * `doWork` again and again drives it, be it a worker, recovery, or a test step by step.
 */
export class Flusher {
  readonly #parts: FlusherParts;
  readonly #view: DataView;
  readonly #longs: BigInt64Array;
  /** `drained` of each lane when the row buffer was last empty. */
  readonly #from: bigint[];
  /** On their way to the storage nodes, in the order of their sequences. */
  readonly #sealed: Sealed[] = [];
  readonly #requests: FlushRequest[] = [];
  #nextSequence: bigint;
  #oldestMs = 0;
  /** When the block before was sealed, and how long the storage nodes have held up this one. */
  #sealedMs: number;
  #heldUpMs = 0;
  #heldUpSinceMs = -1;
  /** Blocks sealed and stored so far. */
  #sealedBlocks = 0;
  #storedBlocks = 0;
  #leastCopies: number;
  #report: FlushReport;

  constructor(parts: FlusherParts) {
    this.#parts = parts;
    this.#view = new DataView(parts.memory.buffer);
    this.#longs = new BigInt64Array(parts.memory.buffer);
    this.#from = new Array(parts.map.laneCount).fill(0n);
    this.#nextSequence = parts.nextSequence;
    this.#sealedMs = parts.nowMs();
    this.#leastCopies = parts.replicator.redundancy;
    this.#report = { records: 0, leastCopies: this.#leastCopies, degradedBlocks: 0, degradedRecords: 0 };
    this.#emptyRows();
  }

  get nextSequence(): bigint {
    return this.#nextSequence;
  }

  /** Before it all is stored, and the lanes have let go of it. */
  get storedTo(): bigint {
    return this.#sealed[0]?.flight.header.sequence ?? this.#nextSequence;
  }

  /** Records that the next block may have. */
  get #target(): number {
    const { adaptive, map } = this.#parts;
    return Math.min(map.mostRecords, map.capacity * (adaptive?.growth ?? 1));
  }

  /** Another number whenever `choice` has changed. */
  get choiceVersion(): number {
    return this.#parts.encoder.choiceVersion;
  }

  get choice(): CompressionChoice {
    const { adaptive, encoder } = this.#parts;
    return { ...encoder.choice, effortReason: adaptive?.reason ?? 'as asked for' };
  }

  /** Records that were drained and are not yet in a block. */
  get rows(): number {
    return this.#view.getUint32(this.#parts.map.drainState + DRAIN_ROWS, true);
  }

  /**
   * One duty cycle: lets lanes reuse what is stored, drains what there is, up to a block, and seals the block if it is full or old, or a
   * flush waits for it. Answers how many records were drained, plus one for each block sealed or stored; 0 when there was nothing to do.
   * @throws TapeError `CORRUPT`, after which nothing helps
   */
  async doWork(): Promise<number> {
    const { replicator, map, flushIntervalMs, nowMs } = this.#parts;
    replicator.poll();
    const stored = this.#takeStored();
    if (replicator.starved !== null) this.#rejectRequests(replicator.starved);
    if (this.#isHeldUp()) return stored;
    const before = this.rows;
    const drained = this.#drain();
    if (before === 0 && drained > 0) this.#oldestMs = nowMs();
    const full = this.rows >= this.#target || this.#view.getUint32(map.drainState + DRAIN_FULL, true) === 1;
    const old = flushIntervalMs > 0 && this.rows > 0 && nowMs() - this.#oldestMs >= flushIntervalMs;
    const asked = this.rows > 0 && this.#requests.some((request) => request.blocks < 0 && this.#isDrained(request));
    const isSealing = full || old || asked;
    if (isSealing) await this.#seal();
    for (const request of this.#requests) {
      if (request.blocks < 0 && this.rows === 0 && this.#isDrained(request)) request.blocks = this.#sealedBlocks;
    }
    this.#resolveRequests();
    return stored + drained + (isSealing ? 1 : 0);
  }

  /** Whether the storage nodes have as many blocks under way as may be. */
  #isHeldUp(): boolean {
    const { replicator, nowMs } = this.#parts;
    if (replicator.isFull) {
      if (this.#heldUpSinceMs < 0) this.#heldUpSinceMs = nowMs();
      return true;
    }
    if (this.#heldUpSinceMs >= 0) {
      this.#heldUpMs += nowMs() - this.#heldUpSinceMs;
      this.#heldUpSinceMs = -1;
    }
    return false;
  }

  #drain(): number {
    const { kernels, map } = this.#parts;
    if (this.rows === 0) {
      for (let lane = 0; lane < map.laneCount; lane++) this.#from[lane] = this.#load(lane, LANE_DRAINED);
    }
    const drained = kernels.drain(
      map.lanes,
      map.laneStride,
      map.laneCount,
      map.cursors,
      map.drainState,
      map.rowIndex,
      map.rowsEnd,
      // Of a block that was to be larger, rows may be left over.
      Math.max(this.#target, this.rows),
    );
    if (drained < 0) {
      const lane = DAMAGED - drained;
      throw new TapeError(
        'CORRUPT',
        `lane ${lane}: a record between ${this.#load(lane, LANE_DRAINED)} and ${this.#load(lane, LANE_TAIL)} fails its checksum: ` +
          'something else wrote to the journal; open the tape again to recover the rest',
      );
    }
    return drained;
  }

  /**
   * Resolves when everything that was published before the call is on its storage nodes. `doWork` has to be called meanwhile.
   * @throws TapeError where the storage nodes don't take it: nothing is lost, and it is tried again
   */
  flush(): Promise<FlushReport> {
    const tails = Array.from({ length: this.#parts.map.laneCount }, (_, lane) => this.#tail(lane));
    return new Promise((resolve, reject) => {
      this.#requests.push({ tails, blocks: -1, resolve, reject });
    });
  }

  #isDrained({ tails }: FlushRequest): boolean {
    return tails.every((tail, lane) => this.#load(lane, LANE_DRAINED) >= tail);
  }

  #resolveRequests(): void {
    for (;;) {
      const [request] = this.#requests;
      if (request === undefined || request.blocks < 0 || request.blocks > this.#storedBlocks) return;
      this.#requests.shift();
      request.resolve({ ...this.#report, leastCopies: this.#leastCopies });
      if (this.#requests[0]?.blocks !== request.blocks) this.#leastCopies = this.#parts.replicator.redundancy;
    }
  }

  #rejectRequests(error: Error): void {
    for (const { reject } of this.#requests.splice(0)) reject(error);
  }

  /** Makes a block of the rows that were drained and sends it to its storage nodes. */
  async #seal(): Promise<void> {
    const { adaptive, encoder, replicator, tapeId, epoch, map, laneOf, nowMs } = this.#parts;
    const startMs = nowMs();
    const laneRanges: LaneRange[] = [];
    const to: Sealed['to'] = [];
    for (let lane = 0; lane < map.laneCount; lane++) {
      const position = this.#load(lane, LANE_DRAINED);
      if (position <= this.#from[lane]) continue;
      laneRanges.push({ ...laneOf(lane), from: this.#from[lane], to: position });
      to.push({ lane, position });
    }
    if (adaptive !== null) encoder.effort = adaptive.effort;
    if (encoder.needsPreparing) await encoder.prepare();
    const { header, bytes } = encoder.encode({ tapeId, sequence: this.#nextSequence, epoch, laneRanges });
    this.#sealed.push({ flight: replicator.submit(header, bytes), to });
    this.#sealedBlocks++;
    this.#nextSequence += BigInt(header.count);
    this.#emptyRows();
    this.#adapt(header, nowMs() - startMs);
  }

  /** Lets the lanes reuse the space of records whose blocks are stored. Answers how many blocks that were. */
  #takeStored(): number {
    const { replicator, kernels, map } = this.#parts;
    let stored = 0;
    for (;;) {
      const flight = replicator.takeStored();
      if (flight === null) break;
      const sealed = this.#sealed.shift();
      assert(
        sealed?.flight === flight && flight.storedOn > 0,
        'blocks are stored in the order in which they were sealed',
      );
      for (const { lane, position } of sealed.to) kernels.release(map.lanes + lane * map.laneStride, position);
      this.#storedBlocks++;
      stored++;
      this.#count(flight);
    }
    if (stored > 0) this.#resolveRequests();
    return stored;
  }

  #adapt({ blockBytes, count }: BlockHeader, sealMs: number): void {
    const { adaptive, map, nowMs } = this.#parts;
    if (adaptive === null) return;
    let backlog = 0;
    for (let lane = 0; lane < map.laneCount; lane++) {
      const waiting = Number(this.#load(lane, LANE_TAIL) - this.#load(lane, LANE_DRAINED));
      if (waiting > 0) backlog = Math.max(backlog, waiting / map.ringBytes);
    }
    const now = nowMs();
    const busy = Math.min(1, (sealMs + this.#heldUpMs) / Math.max(now - this.#sealedMs, 0.001));
    this.#sealedMs = now;
    this.#heldUpMs = 0;
    adaptive.observe({ backlog, busy, recordBytes: blockBytes / count });
  }

  #emptyRows(): void {
    const { drainState, rows } = this.#parts.map;
    this.#view.setUint32(drainState + DRAIN_ROWS, 0, true);
    this.#view.setUint32(drainState + DRAIN_FILL, rows, true);
    this.#view.setUint32(drainState + DRAIN_FULL, 0, true);
  }

  #count({ header, storedOn }: Flight): void {
    const add = (at: number, value: number) => Atomics.add(this.#longs, at >> 3, BigInt(value));
    add(CONTROL_SEALED_RECORDS, header.count);
    add(CONTROL_SEALED_BLOCKS, 1);
    add(CONTROL_RAW_BYTES, header.rowBytes);
    add(CONTROL_STORED_BYTES, header.blockBytes);
    this.#report.records += header.count;
    this.#leastCopies = Math.min(this.#leastCopies, storedOn);
    if (storedOn < this.#parts.replicator.redundancy) {
      add(CONTROL_DEGRADED_BLOCKS, 1);
      add(CONTROL_DEGRADED_RECORDS, header.count);
      this.#report.degradedBlocks++;
      this.#report.degradedRecords += header.count;
    }
  }

  /** Puts the storage nodes' figures where `stats()` finds them. */
  countStorage(): void {
    const now = this.#parts.nowMs();
    this.#parts.replicator.loads.forEach((load, i) => {
      const at = (CONTROL_STORAGE + i * STORAGE_COUNTER_BYTES) >> 3;
      const state = STATE_NUMBERS[stateOf(load, now)];
      const { blocks, bytes, errors, inFlightBytes, writeMs, slowestWriteMs } = load;
      [blocks, bytes, errors, state, inFlightBytes, writeMs * 1000, slowestWriteMs * 1000].forEach((value, word) => {
        Atomics.store(this.#longs, at + word, BigInt(Math.round(value)));
      });
    });
  }

  /** Up to where the lane is drained: its tail, or where a closing tape stopped taking its records. */
  #tail(lane: number): bigint {
    const tail = this.#load(lane, LANE_TAIL);
    const sealedAt = BigInt.asUintN(64, this.#load(lane, LANE_SEALED_AT));
    return sealedAt < tail ? sealedAt : tail;
  }

  #load(lane: number, counter: number): bigint {
    const at = this.#parts.map.lanes + lane * this.#parts.map.laneStride;
    // An unused window reads as zeros; LANE_CAPACITY tells it apart where that matters.
    return this.#view.getBigUint64(at + LANE_CAPACITY, true) === 0n
      ? 0n
      : Atomics.load(this.#longs, (at + counter) >> 3);
  }
}
