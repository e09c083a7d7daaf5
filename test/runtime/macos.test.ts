import { writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { bindLibc, byOs, type Ffi, type Libc } from '../../runtimes/libc.js';
import { posixAllocate, posixMapper, posixTryLock } from '../../runtimes/posix.js';
import { scratchFile } from '../helpers/scratch.js';

// macOS can't be run where ticktape is built. What can be checked without it is: its constants, and that the calls which are
// made differently there are made so, by a C library that only writes down what it is asked.

const { platform, arch } = process;

afterEach(() => pretend(platform, arch));

function pretend(os: string, processor: string): void {
  Object.defineProperty(process, 'platform', { value: os });
  Object.defineProperty(process, 'arch', { value: processor });
}

/** Answers 0 to all but what `answers` has; addresses start at 2^32. */
function fakeLibc(answers: Record<string, (...args: number[]) => number> = {}) {
  const calls: [string, ...unknown[]][] = [];
  const ffi: Ffi = {
    load(library, signatures) {
      calls.push(['load', library]);
      const bind = (name: string) => {
        return (...args: number[]) => {
          if (args.length !== signatures[name].parameters.length) throw new Error(`${name}: wrong number of arguments`);
          calls.push([name, ...args.map((arg) => (ArrayBuffer.isView(arg) ? Buffer.from(arg.buffer.slice(0)) : arg))]);
          return answers[name]?.(...args) ?? 0;
        };
      };
      return Object.fromEntries(Object.keys(signatures).map((name) => [name, bind(name)]));
    },
    addressOf: () => 2 ** 32,
    readI32: () => 0,
  };
  pretend('darwin', 'arm64');
  const libc: Libc = bindLibc(() => ffi);
  pretend(platform, arch);
  return { libc, calls, of: (name: string) => calls.filter((call) => call[0] === name) };
}

test('the constants are those of the SDK', () => {
  expect(Object.fromEntries(Object.entries(byOs).map(([name, { darwin }]) => [name, darwin]))).toEqual({
    MS_SYNC: 0x0010,
    MAP_ANONYMOUS: 0x1000,
    O_CLOEXEC: 0x01000000,
    EWOULDBLOCK: 35,
    ENOTSUP: 45,
  });
});

test('libSystem is bound, without posix_fallocate', () => {
  const { calls, libc } = fakeLibc({ getpagesize: () => 16384 });
  expect(calls[0]).toEqual(['load', 'libSystem.B.dylib']);
  expect(libc.pageBytes).toBe(16384);
  expect(libc.posix_fallocate).toBeUndefined();
});

test('open is given its fixed arguments only', () => {
  const { libc, of } = fakeLibc({ open: () => 5 });
  posixTryLock(libc, 'é')?.close();
  expect(of('open')).toEqual([['open', Buffer.from('é\0'), 0x01000002]]);
  expect(of('flock')).toEqual([['flock', 5, 6]]);
  expect(of('close')).toEqual([['close', 5]]);
});

test('preallocation asks for what is missing, in one piece if it can be, then sets the length', () => {
  const path = scratchFile('segment');
  writeFileSync(path, '');
  let attempts = 0;
  const { libc, of } = fakeLibc({ open: () => 5, fcntl: () => (++attempts === 1 ? -1 : 0) });
  expect(posixAllocate(libc, path, 70_000)).toBe(true);
  const [contiguous, scattered] = of('fcntl');
  // The struct is the third argument, for x64, and the ninth, for what arm64 passes on the stack.
  expect(contiguous.length).toBe(1 + 9);
  expect(contiguous.slice(1, 3)).toEqual([5, 42]);
  expect(contiguous[9]).toEqual(contiguous[3]);
  const fstore = contiguous[3] as Buffer;
  expect(fstore.byteLength).toBe(32);
  expect([fstore.readUInt32LE(0), fstore.readInt32LE(4), fstore.readBigInt64LE(8)]).toEqual([6, 3, 0n]);
  expect(fstore.readBigInt64LE(16)).toBe(70_000n);
  expect((scattered[3] as Buffer).readUInt32LE(0)).toBe(4);
  expect(of('ftruncate')).toEqual([['ftruncate', 5, 70_000]]);
});

test("a sync goes on to the drive, by the mapping's own descriptor", () => {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const { libc, of } = fakeLibc({
    open: () => 5,
    lseek: () => 131072,
    mmap: (address) => address,
    getpagesize: () => 16384,
  });
  const mapping = posixMapper(libc, false).map('lane', memory, 65536, 131072, 0);
  mapping.sync(20_000, 10);
  mapping.unmap();
  mapping.unmap();
  const window = 2 ** 32 + 65536;
  expect(of('mmap')).toEqual([
    ['mmap', window, 131072, 3, 0x11, 5, 0],
    ['mmap', window, 131072, 3, 0x1012, -1, 0],
  ]);
  expect(of('msync')).toEqual([['msync', window + 16384, 3626, 0x10]]);
  expect(of('fcntl').map((call) => call.slice(0, 3))).toEqual([['fcntl', 5, 51]]);
  expect(of('close')).toEqual([['close', 5]]);
  expect(of('madvise')).toEqual([]);
});

test('files are not mapped to be read, as nothing says beforehand whether a page can be', () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const { libc, of } = fakeLibc({ open: () => 5, lseek: () => 65536, mmap: (address) => address });
  expect(() => posixMapper(libc, false).view('segment', memory, 0, 65536, 0)).toThrow('it is read, not mapped');
  expect(of('mmap')).toEqual([]);
});

test('other systems are told that files can not be mapped', () => {
  pretend('win32', 'x64');
  expect(() => bindLibc(() => expect.unreachable())).toThrow('this is win32 x64');
});
