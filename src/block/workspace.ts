import { DICTIONARY_SLOTS, HUFFMAN_SCRATCH_BYTES, MAX_DICTIONARY } from '../../assembly/layout.js';

/** Kernels may read and write this far past the last value. */
export const SLACK = 64;

/** Columns of 8 bytes a value: the caller's, and those that a plan's steps may have in hand. */
const VECTORS = 4;
const STEP_VECTORS = 4;
/** Columns of a byte a value that are kept for the chunks that borrow them. */
const LENT = 7;

/** Pointers to ids of a byte a row, and to the row (u32) in which each comes first. */
export interface IdColumn {
  at: number;
  firstRows: number;
}

/** Where the codec works, in the memory of whoever encodes or decodes; offsets in bytes. Plain data. */
export interface Workspace {
  /** Values that every column has room for. */
  capacity: number;
  vectors: number[];
  stepVectors: number[];
  /** Ids and masks that chunks lend, a byte a value, and for ids the rows (u32) in which they come first. */
  lent: IdColumn[];
  /** Ids of the column that is coded, and of one that it is joined with. */
  ids: IdColumn;
  otherIds: number;
  /** The mask of an optional column's values. */
  presence: number;
  /** Symbols of a chunk before the entropy stage, and behind it. */
  symbols: number;
  symbolsEnd: number;
  /** Packed bytes of a chunk that is being made. */
  packed: number;
  packedEnd: number;
  /** Symbols behind the entropy stage of a chunk that is being made. */
  entropy: number;
  /** Two tables of 256 values. */
  tableA: number;
  tableB: number;
  /** Of the dictionary kernels. */
  hash: number;
  pairs: number;
  huffman: number;
  end: number;
}

/** Bytes of symbols that `count` values have at most: eight planes, or tokens and masks. */
export const mostSymbols = (count: number) => 9 * count + 64;

/** Lays out room for columns of `capacity` values from `start` (a multiple of 64) on. `encodes`: for making chunks, too. */
export function layWorkspace(start: number, capacity: number, encodes: boolean): Workspace {
  let end = start;
  const take = (bytes: number) => {
    const at = end;
    end = Math.ceil((end + bytes + SLACK) / 64) * 64;
    return at;
  };
  const symbolBytes = mostSymbols(capacity);
  // A split hands on twice; each half may be packed at 8 bytes a value and some.
  const packedBytes = encodes ? 18 * capacity + 8192 : 0;
  const vectors = Array.from({ length: VECTORS }, () => take(8 * capacity));
  const stepVectors = Array.from({ length: STEP_VECTORS }, () => take(8 * capacity));
  const takeIds = (): IdColumn => ({ at: take(capacity), firstRows: take(4 * MAX_DICTIONARY) });
  const lent = Array.from({ length: LENT }, takeIds);
  const ids = takeIds();
  const otherIds = take(capacity);
  const presence = take(capacity);
  const symbols = take(symbolBytes);
  const packed = take(packedBytes);
  return {
    capacity,
    vectors,
    stepVectors,
    lent,
    ids,
    otherIds,
    presence,
    symbols,
    symbolsEnd: symbols + symbolBytes,
    packed,
    packedEnd: packed + packedBytes,
    // Huffman segments, which may come out some bytes longer than they were, and a zstd frame.
    entropy: encodes ? take(2 * symbolBytes + 1024) : 0,
    tableA: take(2048),
    tableB: take(2048),
    hash: take(DICTIONARY_SLOTS * 16),
    pairs: take(131072),
    huffman: take(HUFFMAN_SCRATCH_BYTES),
    end,
  };
}
