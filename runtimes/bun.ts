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

declare const Bun: { stdin: { stream(): ReadableStream<Uint8Array> } };

/** Not by its descriptor: a thread that waits for one can't be ended here. */
async function* stdin(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = Bun.stdin.stream().getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener('abort', stop);
  try {
    while (!signal.aborted) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

export const runtime: Runtime = makeRuntime({
  name: 'bun',
  loadFfi: () => ffi,
  monotonicNs: process.hrtime.bigint,
  ffiClockIsCheaper: true,
  reusesPages: true,
  stdin,
});
