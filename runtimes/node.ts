import { createRequire } from 'node:module';
import { TapeError } from '../src/errors.js';
import type { Runtime } from '../src/runtime.js';
import { makeRuntime } from './host.js';
import type { Ffi, NativeType } from './libc.js';

const types: Record<NativeType, string> = { i32: 'int32_t', i64: 'int64_t', address: 'intptr_t', buffer: 'void *' };

function loadFfi(): Ffi {
  let koffi: typeof import('koffi');
  try {
    koffi = createRequire(import.meta.url)('koffi');
  } catch (cause) {
    const message = `Files can't be mapped into memory: the package koffi can't be loaded. Run "npm install koffi".`;
    throw new TapeError('UNSUPPORTED', message, { cause });
  }
  return {
    load(name, signatures) {
      const library = koffi.load(name);
      const bound = Object.entries(signatures).map(([symbol, { result, parameters }]) => [
        symbol,
        library.func(
          symbol,
          types[result],
          parameters.map((type) => types[type]),
        ),
      ]);
      return Object.fromEntries(bound);
    },
    addressOf: (bytes) => Number(koffi.address(bytes)),
    readI32: (address) => koffi.decode(BigInt(address), 'int32_t'),
  };
}

export const runtime: Runtime = makeRuntime({ name: 'node', loadFfi, monotonicNs: process.hrtime.bigint });
