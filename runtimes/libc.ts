import { TapeError } from '../src/errors.js';

export type Os = 'linux' | 'darwin';

/** `buffer`: the memory of a typed array. Addresses and sizes stay under 2^53, so that plain numbers hold all of them. */
export type NativeType = 'i32' | 'i64' | 'address' | 'buffer';

export interface Signature {
  readonly parameters: readonly NativeType[];
  readonly result: 'i32' | 'i64' | 'address';
}

// biome-ignore lint/suspicious/noExplicitAny: the parameters are in the signature; Libc gives them their types
export type NativeFunction = (...parameters: any[]) => number;

/** What a runtime's own foreign function interface has to give. */
export interface Ffi {
  /** @throws when the library or a function is not there */
  load(library: string, signatures: Readonly<Record<string, Signature>>): Record<string, NativeFunction>;
  addressOf(bytes: Uint8Array): number;
  readI32(address: number): number;
}

/** The functions of the C library, by their names there. Failure is -1, and the reason in `errno()`. */
export interface Libc {
  readonly os: Os;
  readonly pageBytes: number;
  addressOf(bytes: Uint8Array): number;
  /** Only good right after the call that failed. */
  errno(): number;
  open(path: Uint8Array, flags: number): number;
  close(fd: number): number;
  lseek(fd: number, offset: number, whence: number): number;
  ftruncate(fd: number, length: number): number;
  pwrite(fd: number, bytes: Uint8Array, length: number, offset: number): number;
  flock(fd: number, operation: number): number;
  mmap(address: number, length: number, protection: number, flags: number, fd: number, offset: number): number;
  msync(address: number, length: number, flags: number): number;
  madvise(address: number, length: number, advice: number): number;
  clock_gettime(clock: number, timespec: BigInt64Array): number;
  /** Linux only. Returns the error number itself. */
  posix_fallocate(fd: number, offset: number, length: number): number;
  /** macOS only. */
  fcntl(fd: number, command: number, argument: Uint8Array): number;
}

export const O_RDONLY = 0;
export const O_RDWR = 2;
export const SEEK_END = 2;
export const PROT_READ = 1;
export const PROT_READ_WRITE = 3;
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_FIXED = 0x10;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const CLOCK_REALTIME = 0;
export const EINTR = 4;
export const EFAULT = 14;
export const EINVAL = 22;

/** Linux: x64 and arm64, which agree. macOS can't be run where this is built: its column is from the SDK's headers. */
export const byOs = {
  MS_SYNC: { linux: 4, darwin: 0x10 },
  MAP_ANONYMOUS: { linux: 0x20, darwin: 0x1000 },
  O_CLOEXEC: { linux: 0x80000, darwin: 0x1000000 },
  EWOULDBLOCK: { linux: 11, darwin: 35 },
  ENOTSUP: { linux: 95, darwin: 45 },
} as const satisfies Record<string, Record<Os, number>>;

/** Linux. */
export const MADV_RANDOM = 1;
export const MADV_WILLNEED = 3;
/** Linux 5.14 and later. */
export const MADV_POPULATE_READ = 22;
export const MADV_POPULATE_WRITE = 23;

/** macOS. */
export const F_PREALLOCATE = 42;
export const F_FULLFSYNC = 51;
export const F_ALLOCATECONTIG = 2;
export const F_ALLOCATEALL = 4;
export const F_PEOFPOSMODE = 3;

const libraries: Record<Os, readonly string[]> = {
  linux: ['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`],
  darwin: ['libSystem.B.dylib'],
};

const errnoLocation: Record<Os, string> = { linux: '__errno_location', darwin: '__error' };

function signature(result: Signature['result'], ...parameters: NativeType[]): Signature {
  return { result, parameters };
}

function signatures(os: Os): Record<string, Signature> {
  return {
    // Variadic: Apple's arm64 passes what follows the fixed arguments on the stack, so the mode can't be given. Files are
    // made with node:fs first.
    open: signature('i32', 'buffer', 'i32'),
    close: signature('i32', 'i32'),
    lseek: signature('i64', 'i32', 'i64', 'i32'),
    ftruncate: signature('i32', 'i32', 'i64'),
    pwrite: signature('i64', 'i32', 'buffer', 'i64', 'i64'),
    flock: signature('i32', 'i32', 'i32'),
    mmap: signature('address', 'address', 'i64', 'i32', 'i32', 'i32', 'i64'),
    msync: signature('i32', 'address', 'i64', 'i32'),
    madvise: signature('i32', 'address', 'i64', 'i32'),
    clock_gettime: signature('i32', 'i32', 'buffer'),
    getpagesize: signature('i32'),
    [errnoLocation[os]]: signature('address'),
    ...(os === 'linux'
      ? { posix_fallocate: signature('i32', 'i32', 'i64', 'i64') }
      : // Variadic too: the third argument is given in its register, for x64, and again as the ninth, the first on the stack,
        // for arm64.
        { fcntl: signature('i32', 'i32', 'i32', 'buffer', 'i64', 'i64', 'i64', 'i64', 'i64', 'buffer') }),
  };
}

function unsupported(why: string, cause?: unknown): TapeError {
  return new TapeError('UNSUPPORTED', `Files can't be mapped into memory: ${why}`, { cause });
}

/**
 * Binds the C library of this system.
 * @throws TapeError `UNSUPPORTED`
 */
export function bindLibc(loadFfi: () => Ffi): Libc {
  const { platform, arch } = process;
  if ((platform !== 'linux' && platform !== 'darwin') || (arch !== 'x64' && arch !== 'arm64')) {
    throw unsupported(`ticktape knows how on Linux and macOS, x64 and arm64; this is ${platform} ${arch}.`);
  }
  const ffi = loadFfi();
  let cause: unknown;
  for (const library of libraries[platform]) {
    try {
      return adapt(ffi, platform, ffi.load(library, signatures(platform)));
    } catch (error) {
      cause ??= error;
    }
  }
  throw unsupported(`the C library can't be loaded (tried ${libraries[platform].join(', ')}).`, cause);
}

function adapt(ffi: Ffi, os: Os, native: Record<string, NativeFunction>): Libc {
  const location = native[errnoLocation[os]];
  const { fcntl, getpagesize, ...functions } = native;
  return {
    ...(functions as unknown as Libc),
    os,
    pageBytes: getpagesize(),
    addressOf: ffi.addressOf,
    errno: () => ffi.readI32(location()),
    fcntl: (fd, command, argument) => fcntl(fd, command, argument, 0, 0, 0, 0, 0, argument),
  };
}
