import { TapeError } from '../../dist/src/errors.js';
import type { Files, OpenFile, OpenMode } from '../../dist/src/files.js';
import { ioError } from '../../dist/src/io.js';
import type { FileLock, FileMapping, FileView, Mapper, Runtime, RuntimeWorker, Zstd } from '../../dist/src/runtime.js';
import type { Dice } from './dice.js';
import { type Inode, systemError } from './storage.js';
import type { World } from './world.js';

/** Thrown by all that a dead process tries: to the code under test, which has no way to know, an error of the system. */
export class ProcessDied extends Error {
  override readonly name = 'ProcessDied';
  readonly code = 'EIO';
  readonly syscall = 'none';

  constructor() {
    super('the process is dead');
  }
}

/** What ends a process, and at which of its operations. */
export interface Fate {
  kind: 'death' | 'power cut';
  /** Of all that it does on the storage, from 1 on. */
  operation: number;
}

/** Compresses nothing: results would differ between runtimes. */
const zstd: Zstd = {
  compress: () => {
    throw new TapeError('UNSUPPORTED', 'the simulator has no zstd');
  },
  compressInto: () => -1,
  compressStream: async () => -1,
  decompress: () => {
    throw new TapeError('UNSUPPORTED', 'the simulator has no zstd');
  },
  decompressAll: () => {
    throw new TapeError('UNSUPPORTED', 'the simulator has no zstd');
  },
};

/** A process on the simulated machine: what the code under test has in the place of its runtime. */
export class SimulatedProcess implements Runtime {
  readonly name = 'node';
  readonly label: string;
  readonly world: World;
  readonly files: Files;
  dead = false;
  operations = 0;
  fate: Fate | null = null;
  readonly mapped = new Map<Inode, Uint8Array>();
  #lastNs = 0n;

  constructor(world: World, label: string) {
    this.world = world;
    this.label = label;
    this.files = new SimulatedFiles(this);
  }

  /**
   * Before each operation. `torn`: does a part of it, where the process dies at it.
   * @throws ProcessDied; the errors of the disk
   */
  operate(call: string, file: string, torn: (() => void) | null = null): void {
    if (this.dead) throw new ProcessDied();
    const { world, fate } = this;
    this.operations++;
    world.trace(this.label, call, file);
    if (fate !== null && this.operations >= fate.operation) {
      if (torn !== null && world.dice.chance(0.7)) {
        torn();
        world.count('torn write');
      }
      world.end(this, fate.kind);
      throw new ProcessDied();
    }
    const { trouble } = world.storage.diskOf(file);
    if (trouble.away) {
      world.count('operation on a storage node that is away');
      throw world.fail(world.dice.chance(0.7) ? 'ENOENT' : 'EIO', call, file);
    }
    if (trouble.failing > 0 && call !== 'close') {
      trouble.failing--;
      world.count('EIO');
      throw world.fail('EIO', call, file);
    }
  }

  mapper(): Mapper {
    return { map: (...given) => this.#map(...given), view: (...given) => this.#view(...given) };
  }

  #map(file: string, memory: WebAssembly.Memory, offset: number, length: number, fileOffset: number): FileMapping {
    let inode: Inode;
    try {
      this.operate('mmap', file);
      inode = this.world.inode(file, 'open');
    } catch (cause) {
      throw ioError(cause, file, 'map it');
    }
    const bytes = new Uint8Array(memory.buffer, offset, length);
    bytes.set(inode.content().subarray(fileOffset, fileOffset + length));
    inode.window = { bytes, fileOffset };
    this.mapped.set(inode, bytes);
    return {
      sync: () => {
        this.operate('msync', file);
        this.world.sync(file, inode);
      },
      unmap: () => {
        if (this.dead || inode.window?.bytes !== bytes) return;
        this.world.trace(this.label, 'munmap', file);
        this.unmap(inode);
        bytes.fill(0);
      },
      unmapWhen: () => {},
    };
  }

  /** What was stored stays in the file. */
  unmap(inode: Inode): void {
    inode.pull();
    inode.window = null;
    this.mapped.delete(inode);
  }

  #view(file: string, memory: WebAssembly.Memory, offset: number, length: number, fileOffset: number): FileView {
    let inode: Inode;
    try {
      this.operate('mmap', file);
      inode = this.world.inode(file, 'open');
    } catch (cause) {
      throw ioError(cause, file, 'map it');
    }
    const bytes = new Uint8Array(memory.buffer, offset, length);
    return {
      bringIn: (from, count) => {
        if (this.dead) throw new ProcessDied();
        const { trouble } = inode.disk;
        const end = Math.ceil(inode.size / 4096) * 4096;
        if (trouble.away || fileOffset + from + count > end) return false;
        inode.read(bytes.subarray(from, from + count), fileOffset + from);
        return true;
      },
      unmap: () => {
        if (!this.dead) bytes.fill(0);
      },
    };
  }

  lock(file: string): FileLock {
    this.operate('lock', file);
    const { locks, storage } = this.world;
    const holder = locks.get(file);
    if (holder !== undefined && !holder.dead) {
      throw new TapeError('LOCKED', `${file}: another writer has the tape`, { path: file });
    }
    storage.checkParent(file, 'open');
    if (storage.find(file) === undefined) storage.make(file);
    locks.set(file, this);
    return {
      release: () => {
        if (!this.dead && locks.get(file) === this) locks.delete(file);
      },
    };
  }

  spawn(): RuntimeWorker {
    throw new Error('a simulated process has one thread');
  }

  async *stdin(): AsyncGenerator<Uint8Array> {}

  async zstd(): Promise<Zstd> {
    return zstd;
  }

  readonly nowMs = (): number => this.world.scheduler.nowMs;

  readonly sleep = (ms: number): Promise<void> => new Promise((resolve) => this.world.scheduler.after(ms, resolve));

  nowNs(): bigint {
    const now = this.world.wallNs();
    if (now > this.#lastNs) this.#lastNs = now;
    return this.#lastNs;
  }
}

class SimulatedFiles implements Files {
  readonly #process: SimulatedProcess;

  constructor(process: SimulatedProcess) {
    this.#process = process;
  }

  open(file: string, mode: OpenMode): OpenFile {
    const { world } = this.#process;
    this.#process.operate('open', file);
    const { storage } = world;
    storage.checkParent(file, 'open');
    let inode = storage.find(file);
    if (inode !== undefined && mode === 'new') throw systemError('EEXIST', 'open', file);
    if (inode === undefined) {
      if (mode === 'read' || mode === 'edit') throw systemError('ENOENT', 'open', file);
      world.checkRoom(file, 'open');
      inode = storage.make(file);
    } else if (mode === 'make') inode.truncate(0);
    return new SimulatedFile(this.#process, file, inode, mode !== 'read');
  }

  readFile(file: string): Uint8Array {
    this.#process.operate('read', file);
    return this.#process.world.inode(file, 'open').content().slice();
  }

  exists(file: string): boolean {
    const { world } = this.#process;
    if (this.#process.dead || world.storage.diskOf(file).trouble.away) return false;
    return world.storage.find(file) !== undefined || world.storage.isDirectory(file);
  }

  list(directory: string): string[] {
    this.#process.operate('list', directory);
    return this.#process.world.storage.list(directory);
  }

  makeDirectory(directory: string): void {
    this.#process.operate('mkdir', directory);
    this.#process.world.storage.makeDirectory(directory);
  }

  rename(from: string, to: string): void {
    this.#process.operate('rename', to);
    this.#process.world.storage.rename(from, to);
  }

  remove(file: string): void {
    try {
      this.#process.operate('remove', file);
    } catch (cause) {
      // What isn't there is not an error here.
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw cause;
    }
    this.#process.world.storage.remove(file);
  }

  realPath(file: string): string {
    if (this.#process.dead) throw new ProcessDied();
    return file;
  }

  preallocate(file: string, bytes: number): void {
    const { world } = this.#process;
    try {
      this.#process.operate('preallocate', file);
      world.storage.checkParent(file, 'open');
      world.checkRoom(file, 'fallocate');
    } catch (cause) {
      throw ioError(cause, file, `make it ${bytes} bytes long`);
    }
    const inode = world.storage.find(file) ?? world.storage.make(file);
    if (inode.size < bytes) inode.truncate(bytes);
  }

  syncDirectory(directory: string): void {
    try {
      this.#process.operate('fsync directory', directory);
      this.#process.world.storage.syncDirectory(directory);
    } catch (cause) {
      throw ioError(cause, directory, 'sync it');
    }
  }

  async syncDirectoryAsync(directory: string): Promise<void> {
    const { world } = this.#process;
    try {
      this.#process.operate('fsync directory later', directory);
      await new Promise<void>((resolve) => world.later(directory, resolve));
      this.#process.operate('fsynced directory', directory);
      world.storage.syncDirectory(directory);
    } catch (cause) {
      throw ioError(cause, directory, 'sync it');
    }
  }

  freeBytes(directory: string): number {
    if (this.#process.dead) throw new ProcessDied();
    return this.#process.world.storage.diskOf(directory).trouble.full ? 0 : 2 ** 40;
  }

  checkWritable(directory: string): void {
    try {
      this.#process.operate('stat', directory);
      this.#process.world.checkRoom(directory, 'statfs');
    } catch (cause) {
      throw ioError(cause, directory, 'look at it');
    }
  }
}

class SimulatedFile implements OpenFile {
  readonly #process: SimulatedProcess;
  readonly #path: string;
  readonly #inode: Inode;
  readonly #mayWrite: boolean;
  #closed = false;

  constructor(process: SimulatedProcess, file: string, inode: Inode, mayWrite: boolean) {
    this.#process = process;
    this.#path = file;
    this.#inode = inode;
    this.#mayWrite = mayWrite;
  }

  #operate(call: string, torn: (() => void) | null = null): void {
    if (this.#closed) throw systemError('EBADF', call, this.#path);
    this.#process.operate(call, this.#path, torn);
  }

  get bytes(): number {
    if (this.#process.dead) throw new ProcessDied();
    if (this.#closed) throw systemError('EBADF', 'fstat', this.#path);
    return this.#inode.size;
  }

  read(into: Uint8Array, at: number): number {
    this.#operate('read');
    return this.#inode.read(into, at);
  }

  write(from: Uint8Array, at: number): void {
    const { world } = this.#process;
    this.#checkWrite();
    const dice = world.dice;
    this.#operate('write', () => this.#inode.write(from.subarray(0, dice.below(from.length + 1)), at));
    this.#put(from, at, dice);
  }

  #checkWrite(): void {
    if (!this.#mayWrite) throw systemError('EBADF', 'write', this.#path);
  }

  /** Writes, as far as there is room. */
  #put(from: Uint8Array, at: number, dice: Dice): void {
    const { world } = this.#process;
    if (world.storage.diskOf(this.#path).trouble.full && at + from.length > this.#inode.size) {
      const room = Math.max(0, this.#inode.size - at);
      this.#inode.write(from.subarray(0, room + dice.below(from.length - room)), at);
      world.count('ENOSPC');
      throw world.fail('ENOSPC', 'write', this.#path);
    }
    world.write(this.#path, this.#inode, from, at);
  }

  writeAsync(from: Uint8Array, at: number): Promise<void> {
    const { world } = this.#process;
    const { dice } = world;
    try {
      this.#checkWrite();
      this.#operate('write later');
    } catch (cause) {
      return Promise.reject(cause);
    }
    return new Promise((resolve, reject) => {
      let done = 0;
      // Some come in two parts, with anything between them.
      const parts = dice.chance(0.3) ? [dice.below(from.length + 1), from.length] : [from.length];
      const step = () => {
        if (this.#process.dead) return;
        const to = parts.shift()!;
        try {
          this.#process.operate('written', this.#path, () => {
            this.#inode.write(from.subarray(done, done + dice.below(to - done + 1)), at + done);
          });
          this.#put(from.subarray(done, to), at + done, dice);
        } catch (cause) {
          ended();
          return reject(cause);
        }
        done = to;
        if (parts.length > 0) return world.later(this.#path, step);
        ended();
        resolve();
      };
      // The process may die while the system is at it.
      const ended = world.onEnd(this.#process, () => {
        if (!dice.chance(0.5)) return;
        this.#inode.write(from.subarray(done, done + dice.below(from.length - done + 1)), at + done);
      });
      world.later(this.#path, step);
    });
  }

  truncate(bytes: number): void {
    this.#operate('truncate');
    if (bytes > this.#inode.size) this.#process.world.checkRoom(this.#path, 'ftruncate');
    this.#inode.truncate(bytes);
  }

  sync(): void {
    this.#operate('fsync');
    this.#process.world.sync(this.#path, this.#inode);
  }

  syncAsync(): Promise<void> {
    const { world } = this.#process;
    try {
      this.#operate('fsync later');
    } catch (cause) {
      return Promise.reject(cause);
    }
    const mark = this.#inode.mark();
    return new Promise((resolve, reject) => {
      world.later(this.#path, () => {
        if (this.#process.dead) return;
        try {
          this.#process.operate('fsynced', this.#path);
          world.sync(this.#path, this.#inode, mark);
          resolve();
        } catch (cause) {
          reject(cause);
        }
      });
    });
  }

  close(): void {
    this.#closed = true;
  }
}
