import { WINDOW_ALIGN } from '../../assembly/layout.js';
import { TapeError } from '../errors.js';
import { instantiateKernels, type Kernels, sharedMemory } from '../kernels.js';
import type { Mapper } from '../runtime.js';
import { ColumnDecoder } from './column-decoder.js';
import { DamagedBlock } from './damaged.js';
import { type BlockFile, FileWindow } from './file-window.js';
import type { ChunkEntry } from './header.js';
import { piecesOf } from './pieces.js';
import { layWorkspace, SLACK, type Workspace } from './workspace.js';

const SCRATCH = 2 * WINDOW_ALIGN;
/** Blocks are mostly of one size: room for so many records at first. */
const FIRST_CAPACITY = 10_000;
const FIRST_BLOCK_BYTES = 1024 ** 2;

/** How blocks are mapped: through so many windows, each of so many bytes (a multiple of 64 KiB). */
export interface Windows {
  mapper: Mapper;
  count: number;
  bytes: number;
}

/** A block in a file. */
export interface PlacedBlock {
  offset: number;
  blockBytes: number;
  count: number;
}

/** A memory with what a decoder works with; there is another one for a larger block. */
export interface Memory {
  kernels: Kernels;
  bytes: Uint8Array;
  space: Workspace;
  columns: ColumnDecoder;
  /** Where a block that isn't mapped lies, and how long it may be. */
  block: number;
  blockCapacity: number;
  windows: FileWindow[];
}

/** A mapped block can't be read through its window. */
class Unreadable extends Error {}

/**
 * Where the block that is decoded lies: one at a time, in a memory that grows with the largest.
 *
 * A block in a file is mapped over a window of the memory, or read, but of either only the header and the chunks that are asked for.
 * What can happen to a mapped block, and what can't:
 *
 * - Its file is cut, or its disk fails. Touching such a page kills the process (SIGBUS), so pages are brought in by a system call first,
 *   which fails instead; then the block is read, and has the error that a read has. Left is a cut, or an evicted page of a failing disk,
 *   between that call and the end of decoding, about a millisecond later. ticktape's writers never cut off a block that was whole: they
 *   cut a file once, to the end of the footer, which lies behind the last block and is longer than what kernels read past a chunk;
 *   recovery takes off blocks that a power cut tore. Whose segments other programs cut, or a network drive has, sets `read: 'copied'`.
 * - Its bytes change after their checksum was checked. Then values are wrong, and no more: kernels write by counts of the header, which
 *   is copied before it is checked, or by ones that they load once. What is checked in one pass and followed in a second (widths in
 *   `unpack`; tokens in `tokenBits` and `detokenize`; masks in `maskCount` and `spread`; `huffmanCount` and `huffmanDecode`) can make
 *   them read elsewhere in this memory, or trap at its end, which is a DamagedBlock.
 */
export class BlockRoom {
  readonly #windows: Windows | null;
  /** Files that could not be mapped, or not be read where they were. */
  readonly #unmapped = new WeakSet<BlockFile>();
  #memory: Memory | null = null;
  #count = 0;
  #blockBytes = 0;
  /** Pointer to the block. */
  #at = 0;
  /** The file that the block is read from, as its parts are asked for; null of one that is all there, or mapped. */
  #file: { file: BlockFile; offset: number } | null = null;
  /** The window that the block is mapped over. */
  #window: FileWindow | null = null;
  /** Offsets of the chunks that were brought in. */
  readonly #present = new Set<number>();

  /** `windows`: null where blocks in files are to be read. */
  constructor(windows: Windows | null) {
    this.#windows = windows;
  }

  get memory(): Memory {
    return this.#memory!;
  }

  /** Pointer to the block. */
  get at(): number {
    return this.#at;
  }

  get blockBytes(): number {
    return this.#blockBytes;
  }

  /** Records that the block is said to have. */
  get count(): number {
    return this.#count;
  }

  get isMapped(): boolean {
    return this.#window !== null;
  }

  /** Room to read a block of `blockBytes` and `count` records into; it holds until the next call. */
  take(blockBytes: number, count: number): Uint8Array {
    this.#begin(blockBytes, count);
    const { bytes, block } = this.#fit(blockBytes, count);
    this.#at = block;
    return bytes.subarray(block, block + blockBytes);
  }

  /**
   * What `use` makes of a block that lies whole in the file. Mapped through window `which` if it can be, else read; `use` may be called
   * a second time where the first was in vain.
   */
  open<T>(file: BlockFile, placed: PlacedBlock, which: number, use: () => T): T {
    if (this.#map(file, placed, which)) {
      try {
        return use();
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        this.release(file);
        this.#unmapped.add(file);
      }
    }
    this.take(placed.blockBytes, placed.count);
    this.#file = { file, offset: placed.offset };
    return use();
  }

  #map(file: BlockFile, { offset, blockBytes, count }: PlacedBlock, which: number): boolean {
    if (this.#windows === null || this.#unmapped.has(file)) return false;
    this.#begin(blockBytes, count);
    const window = this.#fit(0, count).windows[which % this.#windows.count];
    try {
      this.#at = window.show(file, offset, blockBytes);
    } catch (error) {
      if (!(error instanceof TapeError)) throw error;
      // Reading it says what is the matter, if anything is.
      this.#unmapped.add(file);
      return false;
    }
    if (this.#at < 0) return false;
    this.#window = window;
    return true;
  }

  #begin(blockBytes: number, count: number): void {
    this.#count = count;
    this.#blockBytes = blockBytes;
    this.#file = null;
    this.#window = null;
    this.#present.clear();
  }

  /** A memory with room for the block. */
  #fit(blockBytes: number, count: number): Memory {
    const old = this.#memory;
    if (old !== null && count <= old.space.capacity && blockBytes <= old.blockCapacity) return old;
    this.release();
    const capacity = Math.max(count, old?.space.capacity ?? FIRST_CAPACITY);
    const blockCapacity = Math.max(blockBytes, old?.blockCapacity ?? FIRST_BLOCK_BYTES);
    const space = layWorkspace(SCRATCH, capacity, false);
    const firstWindow = Math.ceil((space.end + blockCapacity + SLACK) / WINDOW_ALIGN) * WINDOW_ALIGN;
    const { mapper = null, count: windowCount = 0, bytes: windowBytes = 0 } = this.#windows ?? {};
    // Kernels read past the end of a window too.
    const stride = windowBytes + WINDOW_ALIGN;
    const memory = sharedMemory(firstWindow + windowCount * stride);
    const kernels = instantiateKernels(memory);
    const room = {
      kernels,
      bytes: new Uint8Array(memory.buffer),
      space,
      columns: new ColumnDecoder(kernels, space),
      block: space.end,
      blockCapacity,
      windows: Array.from(
        { length: windowCount },
        (_, i) => new FileWindow(mapper!, memory, firstWindow + i * stride, windowBytes),
      ),
    };
    this.#memory = room;
    return room;
  }

  /** Lets go of the file, or of all files. No block may be in use. */
  release(file: BlockFile | null = null): void {
    for (const window of this.#memory?.windows ?? []) window.release(file);
  }

  /** Bytes `from` to `to` of the block are there, or it throws. @throws DamagedBlock */
  bringIn(from: number, to: number): void {
    if (this.#window !== null) {
      // With what kernels read past it: it may be on another page.
      if (!this.#window.bringIn(this.#at + from, this.#at + to + SLACK)) throw new Unreadable();
    } else if (this.#file !== null) {
      const { file, offset } = this.#file;
      const bytes = this.memory.bytes.subarray(this.#at + from, this.#at + to);
      if (file.readInto(bytes, offset + from) < bytes.length) throw new DamagedBlock('the file is cut');
    }
  }

  /** These chunks are there, or it throws. @throws DamagedBlock */
  bringInChunks(chunks: readonly ChunkEntry[]): void {
    if (this.#window === null && this.#file === null) return;
    const absent = chunks.filter(({ offset, storedBytes }) => storedBytes > 0 && !this.#present.has(offset));
    for (const { from, to } of piecesOf(absent)) this.bringIn(from, to);
    for (const { offset } of absent) this.#present.add(offset);
  }
}
