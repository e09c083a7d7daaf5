import type { ChunkEntry } from './header.js';

/** Bytes of a block. */
export interface Piece {
  from: number;
  to: number;
}

/** The bytes of these chunks, which come in the order of their offsets, in as few pieces as can be without any of another chunk. */
export function piecesOf(chunks: Iterable<ChunkEntry>): Piece[] {
  const pieces: Piece[] = [];
  let last: Piece | null = null;
  for (const { offset, storedBytes } of chunks) {
    if (storedBytes === 0) continue;
    const to = offset + storedBytes;
    // Chunks begin on multiples of 8.
    if (last !== null && offset < last.to + 8) last.to = to;
    else {
      last = { from: offset, to };
      pieces.push(last);
    }
  }
  return pieces;
}
