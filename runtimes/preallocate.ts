import { closeSync, openSync, statSync, truncateSync, unlinkSync, writeSync } from 'node:fs';
import { ioError } from '../src/io.js';

const PIECE_BYTES = 1024 * 1024;

/** Asks the system to allocate the first `length` bytes of a file that exists. `false`: it can't. */
export type Allocate = (path: string, length: number) => boolean;

/** Makes the file at `path` `length` bytes long, all of them allocated; after a failure it is as it was. */
export function preallocate(path: string, length: number, allocate: Allocate = () => false): void {
  /** Takes back what was done so far. */
  let undo = () => {};
  try {
    const before = statSync(path, { throwIfNoEntry: false });
    if (before === undefined) closeSync(openSync(path, 'a'));
    undo = before === undefined ? () => unlinkSync(path) : () => cut(path, before.size);
    if (length > 0 && !allocate(path, length)) writeZeros(path, before?.size ?? 0, length);
  } catch (error) {
    try {
      undo();
    } catch {
      // The first error is the one to report.
    }
    throw ioError(error, path, `make it ${length} bytes long`);
  }
}

function writeZeros(path: string, from: number, to: number): void {
  const zeros = new Uint8Array(Math.min(PIECE_BYTES, Math.max(0, to - from)));
  const fd = openSync(path, 'r+');
  try {
    for (let at = from; at < to; ) at += writeSync(fd, zeros, 0, Math.min(zeros.byteLength, to - at), at);
  } finally {
    closeSync(fd);
  }
}

function cut(path: string, length: number): void {
  if (statSync(path).size > length) truncateSync(path, length);
}
