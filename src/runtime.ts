import type { Files } from './files.js';

/** A file mapped over a window of a shared memory. */
export interface FileMapping {
  /** Writes `length` bytes from `from` (both within the window; widened to pages) to the disk and waits for it. */
  sync(from: number, length: number): void;
  /** Puts plain zeroed memory in the window's place. What was stored stays in the file. Idempotent. */
  unmap(): void;
  /** Leaves that to the runtime: when the memory is collected, or, once `isDone` says so, when something else is mapped. */
  unmapWhen(isDone: () => boolean): void;
}

/** A file mapped over a window of a shared memory to be read: a store there traps or kills the process. */
export interface FileView {
  /**
   * Brings the pages of `length` bytes from `from` (both within the view) in, to be read at memory speed, and no others. `false`: they
   * can't be read, as the file was cut or its disk fails; to load from them would kill the process (SIGBUS).
   */
  bringIn(from: number, length: number): boolean;
  /** Puts plain zeroed memory in the window's place. Idempotent. */
  unmap(): void;
}

/** Memory-mapped files. */
export interface Mapper {
  /**
   * Maps `length` bytes of the file at `path`, from `fileOffset` on, over `memory` at `offset` (shared, readable, writable).
   * `offset`, `fileOffset`: multiples of 64 KiB. `length`: a multiple of 4 KiB, within the file. The file must exist.
   * @throws TapeError `IO`
   */
  map(path: string, memory: WebAssembly.Memory, offset: number, length: number, fileOffset: number): FileMapping;
  /**
   * The same to read alone, of a file that need not be writable. `length`: any; what follows the file's end on its last page reads as
   * zeros. After an error plain memory is there.
   * @throws TapeError `IO`; `UNSUPPORTED` where the system can't bring pages in without a signal where they can't be read
   */
  view(path: string, memory: WebAssembly.Memory, offset: number, length: number, fileOffset: number): FileView;
}

/** An exclusive lock that the operating system drops when its holder dies. */
export interface FileLock {
  release(): void;
}

/** zstd, one frame a call, with its content size. `level`: 1 to 19. All that is given may be views of shared memory. */
export interface Zstd {
  /** The result may be longer than the input. */
  compress(bytes: Uint8Array, level: number): Uint8Array;
  /**
   * Answers how long the frame is, or -1 where it does not fit `out` or the runtime can't compress that much. `out` may lie over
   * `bytes`: it is written last, and only with what fits.
   */
  compressInto(bytes: Uint8Array, level: number, out: Uint8Array): number;
  /**
   * The same in steps, off this thread and without a second buffer as large as the content, where the runtime has streams; it
   * ends early where the frame does not fit. `out` lies apart from `bytes`, and neither changes meanwhile. After -1 it holds anything.
   */
  compressStream(bytes: Uint8Array, level: number, out: Uint8Array): Promise<number>;
  /**
   * `size`: bytes that the frame must hold; checked against the frame's header before anything is allocated.
   * @throws TapeError `CORRUPT`; `UNSUPPORTED` where the runtime can't decode that much
   */
  decompress(frame: Uint8Array, size: number): Uint8Array;
  /**
   * The content of all frames in `bytes`, one after another; a frame need not say its size. For files that others wrote.
   * @throws TapeError `CORRUPT`; `TOO_LARGE` where it is more than `mostBytes`
   */
  decompressAll(bytes: Uint8Array, mostBytes: number): Uint8Array;
}

/** A worker thread. */
export interface RuntimeWorker {
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once when the thread dies of an error, or ends without `terminate`. */
  onFailure(listener: (error: Error) => void): void;
  terminate(): Promise<void>;
  /** `false`: the thread alone does not keep the process alive. */
  keepAlive(hold: boolean): void;
}

/** What ticktape needs of the runtime and the operating system. `runtimes/` implements it; nothing else names a runtime. */
export interface Runtime {
  readonly name: 'node' | 'deno' | 'bun';
  /** @throws TapeError `UNSUPPORTED`, saying why files can't be mapped here */
  mapper(): Mapper;
  readonly files: Files;
  /**
   * Locks the file at `path`, made if need be.
   * @throws TapeError `LOCKED`, `IO`
   */
  lock(path: string): FileLock;
  /** Starts the module at `url` in a thread of its own with `data` (structured clone; shared memory stays shared). */
  spawn(url: URL, data: unknown): RuntimeWorker;
  /** What comes on stdin, on whatever thread, until it ends or `signal` is aborted. */
  stdin(signal: AbortSignal): AsyncIterableIterator<Uint8Array>;
  zstd(): Promise<Zstd>;
  /**
   * Wall clock in ns since the Unix epoch, monotonic within a thread: when the system's clock is set back it stands still until
   * that has caught up.
   */
  nowNs(): bigint;
  /** Milliseconds since some moment, at an even pace whatever happens to the system's clock. */
  nowMs(): number;
  /** `keepAlive` false: it alone does not keep the process alive. */
  sleep(ms: number, keepAlive?: boolean): Promise<void>;
}
