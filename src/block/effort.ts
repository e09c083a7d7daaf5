import type { Compression } from '../options.js';
import type { EntropyChoice } from './entropy.js';

/** How much work goes into a block. */
export interface Effort {
  name: 'packed' | 'fast' | 'zstd' | 'dense';
  /** Plans are found by sampling; else integers are bit-packed, or their differences are. */
  selects: boolean;
  entropy: EntropyChoice;
  /** zstd level for the bytes of text and bytes fields; 0 for none. */
  bytesZstd: number;
  /** Plans are looked for again after the usual number of blocks times this. */
  reviews: number;
}

/** No entropy stage at all: for `compression: 'off'`. */
export const OFF: Effort = {
  name: 'packed',
  selects: false,
  entropy: { huffman: false, zstd: 0 },
  bytesZstd: 0,
  reviews: 1,
};
/** The least that is done under pressure. */
export const PACKED: Effort = { ...OFF, bytesZstd: 1 };
export const FAST: Effort = {
  name: 'fast',
  selects: true,
  entropy: { huffman: true, zstd: 0 },
  bytesZstd: 1,
  reviews: 1,
};
export const DENSE: Effort = {
  name: 'dense',
  selects: true,
  entropy: { huffman: true, zstd: 9 },
  bytesZstd: 9,
  reviews: 1 / 4,
};
const zstdEffort = (level: number): Effort => ({
  name: 'zstd',
  selects: true,
  entropy: { huffman: false, zstd: level },
  bytesZstd: level,
  reviews: 1,
});

/** What a tape with this option starts with. */
export function firstEffort(compression: Compression): Effort {
  if (typeof compression === 'object') return zstdEffort(compression.zstd);
  return { adaptive: FAST, fast: FAST, dense: DENSE, off: OFF }[compression];
}
