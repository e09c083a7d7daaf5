import {
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
  LANE_HEAD,
  LANE_SEALED_AT,
  LANE_TAIL,
  STORAGE_COUNTER_BYTES,
} from '../../assembly/layout.js';
import type { BlockEncoder, EncoderChoice } from '../block/encoder.js';
import type { BlockHeader, LaneRange } from '../block/header.js';
import { assert, TapeError } from '../errors.js';
import type { MemoryMap } from '../journal/memory-map.js';
import type { Kernels } from '../kernels.js';
import type { Replicator } from '../storage/replicator.js';
import type { AdaptiveEffort } from './adaptive.js';

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
  /** Copies survive a power cut before a lane lets go of its records. */
  durable: boolean;
  flushIntervalMs: number;
  nowMs(): number;
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
  #nextSequence: bigint;
  #oldestMs = 0;
  /** When the block before was stored, and how long this one has been worked on so far. */
  #storedMs: number;
  #sealMs = 0;
  /** Sealed, but not yet on all its storage nodes. */
  #pending: { header: BlockHeader; bytes: Uint8Array } | null = null;

  constructor(parts: FlusherParts) {
    this.#parts = parts;
    this.#view = new DataView(parts.memory.buffer);
    this.#longs = new BigInt64Array(parts.memory.buffer);
    this.#from = new Array(parts.map.laneCount).fill(0n);
    this.#nextSequence = parts.nextSequence;
    this.#storedMs = parts.nowMs();
    this.#emptyRows();
  }

  get nextSequence(): bigint {
    return this.#nextSequence;
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

  /** Records that were drained and are not yet in a block on its storage nodes. */
  get rows(): number {
    return this.#view.getUint32(this.#parts.map.drainState + DRAIN_ROWS, true);
  }

  /**
   * One duty cycle: drains what there is, up to a block, and seals the block if it is full or old. Answers how many records were
   * drained, plus one for a block sealed; 0 when there was nothing to do.
   * @throws TapeError of the storage nodes: nothing is lost, and the next call tries again; `CORRUPT`, after which none helps
   */
  async doWork(): Promise<number> {
    const { map, flushIntervalMs, nowMs } = this.#parts;
    if (this.#pending !== null) {
      await this.#replicate();
      return 1;
    }
    const before = this.rows;
    const drained = this.#drain();
    if (before === 0 && drained > 0) this.#oldestMs = nowMs();
    const full = this.rows >= this.#target || this.#view.getUint32(map.drainState + DRAIN_FULL, true) === 1;
    const old = flushIntervalMs > 0 && this.rows > 0 && nowMs() - this.#oldestMs >= flushIntervalMs;
    if (!full && !old) return drained;
    await this.seal();
    return drained + 1;
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

  /** Everything that was published before the call is on its storage nodes when this resolves. */
  async flush(): Promise<void> {
    const { map } = this.#parts;
    const tails = Array.from({ length: map.laneCount }, (_, lane) => this.#tail(lane));
    while (tails.some((tail, lane) => this.#load(lane, LANE_DRAINED) < tail)) await this.doWork();
    if (this.#pending !== null) await this.#replicate();
    if (this.rows > 0) await this.seal();
  }

  /** Makes a block of the rows that were drained, puts it on its storage nodes, and then lets the lanes reuse their space. */
  async seal(): Promise<void> {
    const { adaptive, encoder, tapeId, epoch, map, laneOf, nowMs } = this.#parts;
    const startMs = nowMs();
    assert(this.#pending === null, 'one block at a time');
    const laneRanges: LaneRange[] = [];
    for (let lane = 0; lane < map.laneCount; lane++) {
      const to = this.#load(lane, LANE_DRAINED);
      if (to > this.#from[lane]) laneRanges.push({ ...laneOf(lane), from: this.#from[lane], to });
    }
    if (adaptive !== null) encoder.effort = adaptive.effort;
    if (encoder.needsPreparing) await encoder.prepare();
    this.#pending = encoder.encode({ tapeId, sequence: this.#nextSequence, epoch, laneRanges });
    this.#sealMs = nowMs() - startMs;
    await this.#replicate();
  }

  async #replicate(): Promise<void> {
    const { replicator, durable, kernels, map, nowMs } = this.#parts;
    const { header, bytes } = this.#pending!;
    const startMs = nowMs();
    await replicator.write(header, bytes, durable);
    this.#adapt(header, nowMs() - startMs);
    this.#pending = null;
    this.#nextSequence += BigInt(header.count);
    for (let lane = 0; lane < map.laneCount; lane++) {
      const drained = this.#load(lane, LANE_DRAINED);
      if (drained > this.#load(lane, LANE_HEAD)) kernels.release(map.lanes + lane * map.laneStride, drained);
    }
    this.#emptyRows();
    this.#count(header);
  }

  #adapt({ blockBytes, count }: BlockHeader, replicateMs: number): void {
    const { adaptive, map, nowMs } = this.#parts;
    if (adaptive === null) return;
    let backlog = 0;
    for (let lane = 0; lane < map.laneCount; lane++) {
      const waiting = Number(this.#load(lane, LANE_TAIL) - this.#load(lane, LANE_DRAINED));
      if (waiting > 0) backlog = Math.max(backlog, waiting / map.ringBytes);
    }
    const now = nowMs();
    const busy = Math.min(1, (this.#sealMs + replicateMs) / Math.max(now - this.#storedMs, 0.001));
    this.#storedMs = now;
    adaptive.observe({ backlog, busy, recordBytes: blockBytes / count });
  }

  #emptyRows(): void {
    const { drainState, rows } = this.#parts.map;
    this.#view.setUint32(drainState + DRAIN_ROWS, 0, true);
    this.#view.setUint32(drainState + DRAIN_FILL, rows, true);
    this.#view.setUint32(drainState + DRAIN_FULL, 0, true);
  }

  #count(header: BlockHeader): void {
    const add = (at: number, value: number) => Atomics.add(this.#longs, at >> 3, BigInt(value));
    add(CONTROL_SEALED_RECORDS, header.count);
    add(CONTROL_SEALED_BLOCKS, 1);
    add(CONTROL_RAW_BYTES, header.rowBytes);
    add(CONTROL_STORED_BYTES, header.blockBytes);
    this.#parts.replicator.loads.forEach(({ blocks, bytes, errors }, i) => {
      const at = (CONTROL_STORAGE + i * STORAGE_COUNTER_BYTES) >> 3;
      Atomics.store(this.#longs, at, BigInt(blocks));
      Atomics.store(this.#longs, at + 1, BigInt(bytes));
      Atomics.store(this.#longs, at + 2, BigInt(errors));
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
