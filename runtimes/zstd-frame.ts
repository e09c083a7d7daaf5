import { TapeError } from '../src/errors.js';

const MAGIC = 0xfd2fb528;
/** To that with 15 added. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const MAX_BLOCK_BYTES = 128 * 1024;
const RLE = 1;
const COMPRESSED = 2;

export function corruptFrame(why: string, cause?: unknown): TapeError {
  return new TapeError('CORRUPT', `Damaged zstd frame: ${why}.`, { cause });
}

/** Reads little-endian numbers and won't read past the end. */
class Cursor {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  skip(bytes: number): void {
    this.at += bytes;
    if (this.at > this.#bytes.byteLength) throw corruptFrame(`it is cut off after ${this.#bytes.byteLength} bytes`);
  }

  /** Over 2^53 it is rounded, which no size that is compared with it can be. */
  number(bytes: number): number {
    this.skip(bytes);
    let value = 0;
    for (let i = 1; i <= bytes; i++) value = value * 256 + this.#bytes[this.at - i];
    return value;
  }
}

/** A whole frame among others: bytes `from` to `to`. */
export interface ZstdFrame {
  from: number;
  to: number;
  /** `undefined` where it doesn't say. */
  contentBytes: number | undefined;
  /** How many bytes its blocks can hold at most. */
  mostBytes: number;
}

/**
 * Walks a frame's headers (RFC 8878, 3.1.1): one whole frame with `size` bytes of content, and nothing after it. The decoders
 * don't see to that: of a cut frame most return what is there, of two frames the first.
 * @throws TapeError `CORRUPT`
 */
export function checkZstdFrame(frame: Uint8Array, size: number): void {
  const cursor = new Cursor(frame);
  const { contentBytes, mostBytes, to } = readFrame(cursor, cursor.number(4));
  if (contentBytes === undefined) throw corruptFrame('it has no content size');
  if (contentBytes !== size) throw corruptFrame(`it holds ${contentBytes} bytes, not ${size}`);
  // What keeps a few bytes from having gigabytes allocated.
  if (mostBytes < size) throw corruptFrame(`its blocks hold ${mostBytes} bytes at most, not ${size}`);
  if (to !== frame.byteLength) throw corruptFrame(`${frame.byteLength - to} bytes follow it`);
}

/**
 * The frames that `bytes` are, one after another to their end, without skippable ones.
 * @throws TapeError `CORRUPT`
 */
export function zstdFrames(bytes: Uint8Array): ZstdFrame[] {
  const cursor = new Cursor(bytes);
  const frames: ZstdFrame[] = [];
  while (cursor.at < bytes.byteLength) {
    const magic = cursor.number(4);
    if (magic >>> 4 === SKIPPABLE_MAGIC >>> 4) cursor.skip(cursor.number(4));
    else frames.push(readFrame(cursor, magic));
  }
  return frames;
}

/** The frame whose magic number has just been read. */
function readFrame(cursor: Cursor, magic: number): ZstdFrame {
  const from = cursor.at - 4;
  if (magic !== MAGIC) throw corruptFrame('it does not begin with the magic number');
  const descriptor = cursor.number(1);
  if ((descriptor & 0x08) !== 0) throw corruptFrame('a reserved bit is set');
  const singleSegment = (descriptor & 0x20) !== 0;
  const window = singleSegment ? 0 : cursor.number(1);
  if (cursor.number([0, 1, 2, 4][descriptor & 3]) !== 0) throw corruptFrame('it wants a dictionary');
  const contentBytes = contentSize(cursor, descriptor >> 6, singleSegment);
  const windowBytes = singleSegment ? contentBytes! : 2 ** (10 + (window >> 3)) * (1 + (window & 7) / 8);
  const mostBytes = walkBlocks(cursor, Math.min(windowBytes, MAX_BLOCK_BYTES));
  if ((descriptor & 0x04) !== 0) cursor.skip(4);
  return { from, to: cursor.at, contentBytes, mostBytes };
}

/** Whether `checkZstdFrame` has nothing against it. */
export function isZstdFrame(frame: Uint8Array, size: number): boolean {
  try {
    checkZstdFrame(frame, size);
    return true;
  } catch {
    return false;
  }
}

function contentSize(cursor: Cursor, sizeFlag: number, singleSegment: boolean): number | undefined {
  if (sizeFlag === 0) return singleSegment ? cursor.number(1) : undefined;
  return sizeFlag === 1 ? 256 + cursor.number(2) : cursor.number(sizeFlag === 2 ? 4 : 8);
}

/** Returns how many bytes the blocks can hold at most. */
function walkBlocks(cursor: Cursor, maxBlockBytes: number): number {
  let mostBytes = 0;
  for (;;) {
    const header = cursor.number(3);
    const type = (header >> 1) & 3;
    const bytes = header >> 3;
    if (type > COMPRESSED) throw corruptFrame('a block is of a reserved type');
    if (bytes > maxBlockBytes) throw corruptFrame(`a block of ${bytes} bytes is larger than the format allows`);
    cursor.skip(type === RLE ? 1 : bytes);
    mostBytes += type === COMPRESSED ? maxBlockBytes : bytes;
    if ((header & 1) !== 0) return mostBytes;
  }
}
