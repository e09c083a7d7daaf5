import { WINDOW_ALIGN } from '../assembly/layout.js';
import { instantiateKernels, type Kernels, sharedMemory } from './kernels.js';

let scratch: { kernels: Kernels; bytes: Uint8Array } | undefined;

/** XXH64, as a u64: for headers and names outside any tape's memory. */
export function hash64(bytes: Uint8Array, seed = 0n): bigint {
  const needed = WINDOW_ALIGN + bytes.length;
  if (scratch === undefined || scratch.bytes.length < needed) {
    const memory = sharedMemory(Math.max(needed, 16 * WINDOW_ALIGN));
    scratch = { kernels: instantiateKernels(memory), bytes: new Uint8Array(memory.buffer) };
  }
  scratch.bytes.set(bytes, WINDOW_ALIGN);
  return BigInt.asUintN(64, scratch.kernels.xxh64(WINDOW_ALIGN, bytes.length, seed));
}
