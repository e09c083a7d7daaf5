import { dlopen, ptr, read } from 'bun:ffi';
import type { Runtime } from '../src/runtime.js';
import { makeRuntime } from './host.js';
import type { Ffi, NativeType } from './libc.js';

/** `i64_fast`: a number where it fits, not always a bigint. */
const types: Record<NativeType, string> = { i32: 'i32', i64: 'i64_fast', address: 'i64_fast', buffer: 'ptr' };

const ffi: Ffi = {
  load(name, signatures) {
    const bound = Object.entries(signatures).map(([symbol, { result, parameters }]) => [
      symbol,
      { args: parameters.map((type) => types[type]), returns: types[result] },
    ]);
    return dlopen(name, Object.fromEntries(bound)).symbols;
  },
  addressOf: (bytes) => ptr(bytes),
  readI32: (address) => read.i32(address),
};

export const runtime: Runtime = makeRuntime({
  name: 'bun',
  loadFfi: () => ffi,
  monotonicNs: process.hrtime.bigint,
  ffiClockIsCheaper: true,
});
