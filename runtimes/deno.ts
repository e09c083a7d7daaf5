import { TapeError } from '../src/errors.js';
import type { Runtime } from '../src/runtime.js';
import { makeRuntime } from './host.js';
import type { Ffi, NativeFunction, NativeType, Signature } from './libc.js';
import type { LockHandle } from './lock.js';
import { type Holder, isAlive } from './lock-holder.js';

interface FsFile {
  tryLockSync(exclusive: boolean): boolean;
  truncateSync(length: number): void;
  seekSync(offset: number, whence: number): number;
  writeSync(bytes: Uint8Array): number;
  close(): void;
}

/** The part of Deno's interface that ticktape uses. A pointer is an opaque object there. */
declare const Deno: {
  permissions: { querySync(descriptor: { name: string }): { state: string } };
  dlopen(
    name: string,
    symbols: Record<string, { parameters: readonly string[]; result: string }>,
    // biome-ignore lint/suspicious/noExplicitAny: the parameters are given as data
  ): { symbols: Record<string, (...args: any[]) => number | bigint> };
  UnsafePointer: { of(view: Uint8Array): object; value(pointer: object): bigint; create(address: bigint): object };
  UnsafePointerView: new (pointer: object) => { getInt32(): number };
  openSync(path: string, options: { read: boolean; write: boolean }): FsFile;
};

const types: Record<NativeType, string> = { i32: 'i32', i64: 'i64', address: 'i64', buffer: 'buffer' };

function isGranted(name: string): boolean {
  return Deno.permissions.querySync({ name }).state === 'granted';
}

function loadFfi(): Ffi {
  // Asked for first: dlopen itself would prompt. A list of libraries would not do, for names are made paths and addresses
  // need it all.
  if (!isGranted('ffi')) {
    throw new TapeError('UNSUPPORTED', `Files can't be mapped into memory without a permission: run with --allow-ffi.`);
  }
  return {
    load(name, signatures) {
      const { symbols } = Deno.dlopen(name, Object.fromEntries(Object.entries(signatures).map(declare)));
      const bound = Object.entries(signatures).map(([symbol, { result }]) => {
        const call = symbols[symbol];
        // Left alone where no bigint comes back: Deno compiles a direct call of it.
        return [symbol, result === 'i32' ? call : (...args: unknown[]) => Number(call(...args))];
      });
      return Object.fromEntries(bound) as Record<string, NativeFunction>;
    },
    addressOf: (bytes) => Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes))),
    readI32: (address) => new Deno.UnsafePointerView(Deno.UnsafePointer.create(BigInt(address))).getInt32(),
  };
}

function declare([symbol, { result, parameters }]: [string, Signature]) {
  return [symbol, { parameters: parameters.map((type) => types[type]), result: types[result] }] as const;
}

function tryLock(path: string): LockHandle | undefined {
  const file = Deno.openSync(path, { read: true, write: true });
  if (!file.tryLockSync(true)) {
    file.close();
    return undefined;
  }
  return {
    replace(text) {
      file.truncateSync(0);
      file.seekSync(0, 0);
      file.writeSync(new TextEncoder().encode(text));
    },
    close: () => file.close(),
  };
}

/** Without a prompt. */
function mayRun(holder: Holder): boolean {
  return !['read', 'run', 'sys'].every(isGranted) || isAlive(holder);
}

export const runtime: Runtime = makeRuntime({
  name: 'deno',
  loadFfi,
  tryLock,
  mayRun,
  monotonicNs: process.hrtime.bigint,
  ffiClockIsCheaper: true,
});
