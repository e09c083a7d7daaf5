// How a tape stops taking records: each lane at a position that is set once. The flusher sets it where the tape closes, the tape where it
// has no flusher any more, and a producer that takes its last record back.
import {
  CONTROL_STATE,
  LANE_CAPACITY,
  LANE_SEALED_AT,
  LANE_TAIL,
  LANE_WAITING,
  TAPE_FAILED,
} from '../../assembly/layout.js';
import { NEVER } from './lane.js';
import type { MemoryMap } from './memory-map.js';

/** Where the lanes that were taken so far lie. */
function takenLanes(longs: BigInt64Array, { lanes, laneCount, laneStride }: MemoryMap): number[] {
  const all = Array.from({ length: laneCount }, (_, lane) => lanes + lane * laneStride);
  return all.filter((at) => longs[(at + LANE_CAPACITY) >> 3] !== 0n);
}

/** Once the tape says that it is closing: lanes that nobody has stopped yet stop at their tail. Producers that wait to hear that wake. */
export function stopLanes({ buffer }: WebAssembly.Memory, map: MemoryMap): void {
  const longs = new BigInt64Array(buffer);
  const words = new Int32Array(buffer);
  for (const at of takenLanes(longs, map)) {
    const tail = Atomics.load(longs, (at + LANE_TAIL) >> 3);
    Atomics.compareExchange(longs, (at + LANE_SEALED_AT) >> 3, NEVER, tail);
    Atomics.notify(words, (at + LANE_SEALED_AT) >> 2);
  }
}

/** Says that the flusher drains no more, and wakes producers that wait for it. */
export function failTape({ buffer }: WebAssembly.Memory, map: MemoryMap): void {
  const words = new Int32Array(buffer);
  Atomics.store(words, CONTROL_STATE >> 2, TAPE_FAILED);
  for (const at of takenLanes(new BigInt64Array(buffer), map)) {
    Atomics.store(words, (at + LANE_WAITING) >> 2, 0);
    Atomics.notify(words, (at + LANE_WAITING) >> 2);
    Atomics.notify(words, (at + LANE_SEALED_AT) >> 2);
  }
}
