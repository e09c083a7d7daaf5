import { statSync } from 'node:fs';
import { assert, TapeError } from '../src/errors.js';
import { badPath } from '../src/io.js';
import type { FileMapping, FileView, Mapper } from '../src/runtime.js';
import { systemError } from './io-error.js';
import {
  byOs,
  CLOCK_REALTIME,
  EFAULT,
  EINTR,
  EINVAL,
  F_ALLOCATEALL,
  F_ALLOCATECONTIG,
  F_FULLFSYNC,
  F_PEOFPOSMODE,
  F_PREALLOCATE,
  type Libc,
  LOCK_EX,
  LOCK_NB,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_RANDOM,
  MADV_WILLNEED,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  O_RDONLY,
  O_RDWR,
  PROT_READ,
  PROT_READ_WRITE,
  SEEK_END,
} from './libc.js';
import type { LockHandle } from './lock.js';

const WINDOW_ALIGNMENT = 64 * 1024;
const nothing = new Uint8Array(8);

function failure(libc: Libc, action: string, path: string): TapeError {
  return systemError(path, action, libc.errno());
}

/** An interrupted call is made again: a profiler's or a debugger's signals are no failure. */
function retry(libc: Libc, call: () => number): number {
  for (;;) {
    const result = call();
    if (result !== -1 || libc.errno() !== EINTR) return result;
  }
}

function open(libc: Libc, path: string, access: typeof O_RDONLY | typeof O_RDWR = O_RDWR): number {
  if (path.includes('\0')) throw badPath(path);
  const name = new TextEncoder().encode(`${path}\0`);
  const fd = retry(libc, () => libc.open(name, access | byOs.O_CLOEXEC[libc.os]));
  if (fd === -1)
    throw failure(libc, access === O_RDWR ? 'open it for reading and writing' : 'open it for reading', path);
  return fd;
}

/** Private means "not backed by a file", as the engine's own pages of the memory are: every thread of the process sees them. */
function mapPlain(libc: Libc, address: number, length: number): boolean {
  const flags = MAP_FIXED | MAP_PRIVATE | byOs.MAP_ANONYMOUS[libc.os];
  return libc.mmap(address, length, PROT_READ_WRITE, flags, -1, 0) === address;
}

/** Windows that are there, and when they may go by themselves. */
type Held = Map<PosixWindow, (() => boolean) | null>;

/** What lies over a window of a memory, and gives way to plain memory again. */
class PosixWindow {
  protected readonly libc: Libc;
  /** Null where a memory that is collected takes its windows with it. */
  protected readonly held: Held | null;
  protected readonly path: string;
  protected readonly address: number;
  protected readonly length: number;
  /** As a message names it. */
  readonly #what: string;
  /** Held so that the address can't become somebody else's: collecting the memory frees its pages. Cleared by `unmap`. */
  #memory: WebAssembly.Memory | undefined;

  constructor(
    { libc, held }: Host,
    path: string,
    memory: WebAssembly.Memory,
    address: number,
    length: number,
    what: string,
  ) {
    this.libc = libc;
    this.held = held;
    this.path = path;
    this.#memory = memory;
    this.address = address;
    this.length = length;
    this.#what = what;
    held?.set(this, null);
  }

  protected get isThere(): boolean {
    return this.#memory !== undefined;
  }

  unmap(): void {
    if (this.#memory === undefined) return;
    if (!mapPlain(this.libc, this.address, this.length)) {
      throw failure(this.libc, `put plain memory in the place of its ${this.#what}`, this.path);
    }
    this.#memory = undefined;
    this.held?.delete(this);
  }
}

interface Host {
  libc: Libc;
  held: Held | null;
}

class PosixMapping extends PosixWindow implements FileMapping {
  /** -1 unless syncing needs it. */
  readonly #fd: number;

  constructor(host: Host, path: string, memory: WebAssembly.Memory, address: number, length: number, fd: number) {
    super(host, path, memory, address, length, 'mapping');
    this.#fd = fd;
  }

  sync(from: number, length: number): void {
    // Plain memory syncs without an error: after unmap that would be a lie.
    assert(this.isThere, `${this.path} is mapped when it is synced`);
    assert(
      from >= 0 && length >= 0 && from + length <= this.length,
      `${from} + ${length} is within the window of ${this.length} bytes of ${this.path}`,
    );
    if (length === 0) return;
    const libc = this.libc;
    const start = from - (from % libc.pageBytes);
    if (libc.msync(this.address + start, from + length - start, byOs.MS_SYNC[libc.os]) === -1) {
      throw failure(libc, 'sync it (what was stored since the last sync may not be on the disk)', this.path);
    }
    // On macOS msync ends in the drive's cache; a power cut loses that. Not run: there was no Mac to try it on.
    if (this.#fd !== -1 && libc.fcntl(this.#fd, F_FULLFSYNC, nothing) === -1) {
      throw failure(libc, "flush the drive's cache", this.path);
    }
  }

  override unmap(): void {
    if (!this.isThere) return;
    super.unmap();
    if (this.#fd !== -1) this.libc.close(this.#fd);
  }

  unmapWhen(isDone: () => boolean): void {
    if (this.isThere) this.held?.set(this, isDone);
  }
}

class PosixView extends PosixWindow implements FileView {
  constructor(host: Host, path: string, memory: WebAssembly.Memory, address: number, length: number) {
    super(host, path, memory, address, length, 'view');
  }

  bringIn(from: number, length: number): boolean {
    assert(
      this.isThere && from >= 0 && length >= 0 && from + length <= this.length,
      `${from} + ${length} is within the view of ${this.length} bytes of ${this.path}`,
    );
    const libc = this.libc;
    const start = from - (from % libc.pageBytes);
    const address = this.address + start;
    const bytes = from + length - start;
    // What isn't in memory yet is read in one go; page by page it takes 20 times as long.
    libc.madvise(address, bytes, MADV_WILLNEED);
    return retry(libc, () => libc.madvise(address, bytes, MADV_POPULATE_READ)) !== -1;
  }
}

/** The address that `length` bytes of the memory from `offset` on have. */
function windowAddress(
  libc: Libc,
  memory: WebAssembly.Memory,
  offset: number,
  length: number,
  fileOffset: number,
): number {
  const bytes = new Uint8Array(memory.buffer);
  // Memory that isn't shared moves when it grows.
  assert(memory.buffer instanceof SharedArrayBuffer, 'the memory is shared');
  assert(offset % WINDOW_ALIGNMENT === 0 && fileOffset % WINDOW_ALIGNMENT === 0, 'offsets are multiples of 64 KiB');
  assert(offset >= 0 && length > 0 && offset + length <= bytes.byteLength, 'the window is within the memory');
  return libc.addressOf(bytes) + offset;
}

/** Touching a page beyond the end would kill the process (SIGBUS). */
function checkLength(libc: Libc, fd: number, path: string, length: number, fileOffset: number): void {
  const fileLength = libc.lseek(fd, 0, SEEK_END);
  if (fileLength >= fileOffset + length) return;
  const message = `${path}: it has ${fileLength} bytes; mapping ${length} from ${fileOffset} on needs it longer.`;
  throw new TapeError('IO', message, { path });
}

/** What is mapped anywhere in this thread. */
const windows: Held = new Map();

/** `reusesPages`: the engine gives the pages of a collected memory to the next one as they are, with what is mapped there. */
export function posixMapper(libc: Libc, reusesPages: boolean): Mapper {
  const host: Host = { libc, held: reusesPages ? windows : null };
  return {
    map(path, memory, offset, length, fileOffset) {
      for (const [window, isDone] of windows) if (isDone?.()) window.unmap();
      // Where pages have 16 KiB the system maps whole ones; windows start on 64 KiB, so what it adds is nobody's.
      assert(length % 4096 === 0, `a window's length is a multiple of 4 KiB, not ${length}`);
      const address = windowAddress(libc, memory, offset, length, fileOffset);
      const fd = open(libc, path);
      let keepFd = false;
      try {
        checkLength(libc, fd, path, length, fileOffset);
        const got = libc.mmap(address, length, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd, fileOffset);
        if (got !== address) throw failure(libc, 'map it', path);
        keepFd = libc.os === 'darwin';
        const mapping = new PosixMapping(host, path, memory, address, length, keepFd ? fd : -1);
        prefault(libc, path, mapping, address, length);
        return mapping;
      } finally {
        if (!keepFd) libc.close(fd);
      }
    },
    view(path, memory, offset, length, fileOffset) {
      if (libc.os !== 'linux') throw cannotView(path);
      const address = windowAddress(libc, memory, offset, length, fileOffset);
      const fd = open(libc, path, O_RDONLY);
      try {
        checkLength(libc, fd, path, length, fileOffset);
        // Private, so that the engine may make the pages writable when it takes the memory back; nobody writes to them before.
        const got = libc.mmap(address, length, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, fileOffset);
        if (got !== address) {
          const error = failure(libc, 'map it', path);
          // What was there may be gone.
          mapPlain(libc, address, length);
          throw error;
        }
      } finally {
        libc.close(fd);
      }
      const view = new PosixView(host, path, memory, address, length);
      // No more is read from the disk than what is asked for: the pages around it are other columns.
      libc.madvise(address, length, MADV_RANDOM);
      if (retry(libc, () => libc.madvise(address, 1, MADV_POPULATE_READ)) !== -1 || libc.errno() !== EINVAL)
        return view;
      view.unmap();
      throw cannotView(path);
    },
  };
}

function cannotView(path: string): TapeError {
  const message = `${path}: it is read, not mapped: only Linux from 5.14 on says beforehand which pages can be read.`;
  return new TapeError('UNSUPPORTED', message, { path });
}

/** Takes the page faults now and not in the first lap of appends. Kernels before 5.14 refuse, which is fine. */
function prefault(libc: Libc, path: string, mapping: FileMapping, address: number, length: number): void {
  if (libc.os !== 'linux' || libc.madvise(address, length, MADV_POPULATE_WRITE) !== -1) return;
  const errno = libc.errno();
  // EFAULT here is what would be a SIGBUS at the first store: no block for the page, and the disk full or failing.
  if (errno !== EFAULT) return;
  mapping.unmap();
  throw systemError(path, 'write its pages (is the disk full or failing?)', errno);
}

/** Allocates the first `length` bytes of a file that exists. `false`: the file system can't. */
export function posixAllocate(libc: Libc, path: string, length: number): boolean {
  const fd = open(libc, path);
  try {
    const errno = libc.os === 'linux' ? fallocate(libc, fd, length) : preallocateOnMac(libc, fd, path, length);
    if (errno === 0) return true;
    if (errno === EINVAL || errno === byOs.ENOTSUP[libc.os]) return false;
    throw systemError(path, `allocate ${length} bytes`, errno);
  } finally {
    libc.close(fd);
  }
}

function fallocate(libc: Libc, fd: number, length: number): number {
  for (;;) {
    const errno = libc.posix_fallocate(fd, 0, length);
    if (errno !== EINTR) return errno;
  }
}

/** fcntl.h's fstore: u32 flags, i32 mode, i64 offset, i64 length, i64 allocated. Not run: there was no Mac to try it on. */
function preallocateOnMac(libc: Libc, fd: number, path: string, length: number): number {
  const { size, blocks } = statSync(path);
  const missing = length - blocks * 512;
  if (missing > 0) {
    const fstore = new DataView(new ArrayBuffer(32));
    fstore.setInt32(4, F_PEOFPOSMODE, true);
    fstore.setBigInt64(16, BigInt(missing), true);
    const bytes = new Uint8Array(fstore.buffer);
    fstore.setUint32(0, F_ALLOCATECONTIG | F_ALLOCATEALL, true);
    if (libc.fcntl(fd, F_PREALLOCATE, bytes) === -1) {
      fstore.setUint32(0, F_ALLOCATEALL, true);
      if (libc.fcntl(fd, F_PREALLOCATE, bytes) === -1) return libc.errno();
    }
  }
  return size >= length || libc.ftruncate(fd, length) !== -1 ? 0 : libc.errno();
}

/** `undefined`: somebody holds it. The system drops the lock with the descriptor, so with the process. */
export function posixTryLock(libc: Libc, path: string): LockHandle | undefined {
  const fd = open(libc, path);
  if (retry(libc, () => libc.flock(fd, LOCK_EX | LOCK_NB)) === -1) {
    const errno = libc.errno();
    libc.close(fd);
    if (errno === byOs.EWOULDBLOCK[libc.os]) return undefined;
    throw systemError(path, 'lock it', errno);
  }
  return {
    replace(text) {
      const bytes = new TextEncoder().encode(text);
      libc.ftruncate(fd, 0);
      libc.pwrite(fd, bytes, bytes.byteLength, 0);
    },
    close: () => libc.close(fd),
  };
}

/** The system's clock, in ns since the Unix epoch. */
export function posixWallClock(libc: Libc): () => bigint {
  const timespec = new BigInt64Array(2);
  return () => {
    libc.clock_gettime(CLOCK_REALTIME, timespec);
    return timespec[0] * 1_000_000_000n + timespec[1];
  };
}

/**
 * The same, standing still while the system's clock, set back, catches up. A call costs 57 ns on Deno 2.9, where
 * process.hrtime.bigint() alone takes 120, and 35 ns on Bun 1.4 (with it: 43). Reading the nanoseconds as a 32-bit word is what
 * makes it so: as a bigint from the array it would be 62 and 60.
 */
export function posixSteadyClock(libc: Libc): () => bigint {
  const timespec = new BigInt64Array(2);
  const words = new Uint32Array(timespec.buffer);
  let second = 0;
  let secondNs = 0n;
  let nanosecond = 0;
  let last = 0n;
  return () => {
    libc.clock_gettime(CLOCK_REALTIME, timespec);
    const nowSecond = words[0];
    const nowNanosecond = words[2];
    if (nowSecond < second || (nowSecond === second && nowNanosecond <= nanosecond)) return last;
    if (nowSecond !== second) secondNs = timespec[0] * 1_000_000_000n;
    second = nowSecond;
    nanosecond = nowNanosecond;
    last = secondNs + BigInt(nowNanosecond);
    return last;
  };
}
