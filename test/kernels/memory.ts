import { expect } from 'vitest';
import { instantiateKernels, sharedMemory } from '../../dist/src/kernels.js';

const MEBIBYTE = 1024 * 1024;

/** Where tests put things: one MiB and up, clear of the module's own data, 4 MiB each. */
export const SOURCE = MEBIBYTE;
export const CHUNK = 5 * MEBIBYTE;
export const OUT = 9 * MEBIBYTE;
export const SCRATCH = 13 * MEBIBYTE;
/** The end of the memory: a kernel that reads or writes past it traps. */
export const END = 17 * MEBIBYTE;

export const memory = sharedMemory(END);
export const kernels = instantiateKernels(memory);
export const bytes = new Uint8Array(memory.buffer);
export const view = new DataView(memory.buffer);

const GUARD = 256;
const PATTERN = 0xa5;

/** Runs `write`, which may change `length` bytes at `address` and none of the bytes around them. */
export function guarded<T>(address: number, length: number, write: () => T): T {
  const from = address - GUARD;
  const to = Math.min(address + length + GUARD, END);
  bytes.fill(PATTERN, from, to);
  const result = write();
  const end = address + length;
  for (let at = from; at < to; at++) {
    if (at === address) at = end;
    if (at < to && bytes[at] !== PATTERN) {
      const where = at < address ? `${address - at} bytes before` : `${at - end} bytes after the end of`;
      expect.fail(`wrote ${where} the output`);
    }
  }
  return result;
}

/** The same for a write that must not happen. */
export function untouched<T>(address: number, length: number, write: () => T): T {
  bytes.fill(PATTERN, address, address + length);
  const result = guarded(address, length, write);
  for (let at = address; at < address + length; at++) {
    if (bytes[at] !== PATTERN) expect.fail(`wrote byte ${at - address} of an output that should be untouched`);
  }
  return result;
}

export function putValues(address: number, values: readonly bigint[] | BigInt64Array): void {
  new BigInt64Array(memory.buffer, address, values.length).set(values);
}

export function valuesAt(address: number, count: number): BigInt64Array {
  return new BigInt64Array(memory.buffer, address, count).slice();
}

/** Element by element, in a loop: `toEqual` takes seconds for what this does in a millisecond. */
export function expectSame(actual: ArrayLike<bigint | number>, expected: ArrayLike<bigint | number>): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i]) expect.fail(`element ${i} is ${actual[i]}, not ${expected[i]}`);
  }
}
