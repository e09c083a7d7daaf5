// What closes a sealed segment, little-endian: an entry a block, in the order of the blocks, then a trailer of 64 bytes that
// ends the file.
//
//   entry    0 u64 offset in the file   16 u64 first sequence        40 u64 symbol mask
//            8 u32 block bytes          24 i64 least timestamp       48 u64 checksum of the block's header
//            12 u32 records             32 i64 greatest timestamp    56 8 bytes zero
//
//   trailer  0 "TTFOOTR1"               16 u64 offset of the first entry    40 16 bytes zero
//            8 u32 version, 1           24 u64 XXH64 of the entries         56 u64 XXH64 of bytes 0..55
//
// Entries beyond 512 KiB are hashed in pieces of that, the hash of each the seed of the next; the first seed is 0.
//            12 u32 entries             32 u64 file bytes
import { MAX_BLOCK_RECORDS } from '../block/header.js';
import { hash64 } from '../hash.js';

export const FOOTER_MAGIC = 'TTFOOTR1';
export const FOOTER_VERSION = 1;
export const FOOTER_ENTRY_BYTES = 64;
export const TRAILER_BYTES = 64;
const HASH_BYTES = 512 * 1024;

/** A block as its segment's footer and the catalog know it. */
export interface BlockEntry {
  offset: number;
  blockBytes: number;
  count: number;
  sequence: bigint;
  leastNs: bigint;
  greatestNs: bigint;
  symbolMask: bigint;
  /** The checksum that ends the block's header: equal for all copies of a block, and for no other block. */
  headerChecksum: bigint;
}

/** XXH64 of the entries; beyond 512 KiB, piece by piece, each piece's hash the seed of the next. */
function hashEntries(bytes: Uint8Array): bigint {
  let hash = 0n;
  for (let at = 0; at === 0 || at < bytes.length; at += HASH_BYTES) {
    hash = hash64(bytes.subarray(at, at + HASH_BYTES), hash);
  }
  return hash;
}

/** Footer and trailer of a segment whose blocks end at `offset`. */
export function encodeFooter(entries: readonly BlockEntry[], offset: number): Uint8Array {
  const bytes = new Uint8Array(entries.length * FOOTER_ENTRY_BYTES + TRAILER_BYTES);
  const view = new DataView(bytes.buffer);
  entries.forEach((entry, i) => {
    const at = i * FOOTER_ENTRY_BYTES;
    view.setBigUint64(at, BigInt(entry.offset), true);
    view.setUint32(at + 8, entry.blockBytes, true);
    view.setUint32(at + 12, entry.count, true);
    view.setBigUint64(at + 16, entry.sequence, true);
    view.setBigInt64(at + 24, entry.leastNs, true);
    view.setBigInt64(at + 32, entry.greatestNs, true);
    view.setBigUint64(at + 40, entry.symbolMask, true);
    view.setBigUint64(at + 48, entry.headerChecksum, true);
  });
  const at = entries.length * FOOTER_ENTRY_BYTES;
  bytes.set(new TextEncoder().encode(FOOTER_MAGIC), at);
  view.setUint32(at + 8, FOOTER_VERSION, true);
  view.setUint32(at + 12, entries.length, true);
  view.setBigUint64(at + 16, BigInt(offset), true);
  view.setBigUint64(at + 24, hashEntries(bytes.subarray(0, at)), true);
  view.setBigUint64(at + 32, BigInt(offset + bytes.length), true);
  view.setBigUint64(at + 56, hash64(bytes.subarray(at, at + 56)), true);
  return bytes;
}

/** The entries of the footer that ends a file of `fileBytes`, or null where no whole footer does. */
export function decodeFooter(
  read: (offset: number, length: number) => Uint8Array,
  fileBytes: number,
): { entries: BlockEntry[]; offset: number } | null {
  if (fileBytes < TRAILER_BYTES) return null;
  const trailer = read(fileBytes - TRAILER_BYTES, TRAILER_BYTES);
  const trailerView = new DataView(trailer.buffer, trailer.byteOffset, trailer.byteLength);
  if (trailer.length !== TRAILER_BYTES) return null;
  if (new TextDecoder().decode(trailer.subarray(0, 8)) !== FOOTER_MAGIC) return null;
  if (trailerView.getUint32(8, true) !== FOOTER_VERSION) return null;
  if (trailerView.getBigUint64(56, true) !== hash64(trailer.subarray(0, 56))) return null;
  const count = trailerView.getUint32(12, true);
  const offset = Number(trailerView.getBigUint64(16, true));
  if (Number(trailerView.getBigUint64(32, true)) !== fileBytes) return null;
  if (offset + count * FOOTER_ENTRY_BYTES + TRAILER_BYTES !== fileBytes) return null;
  const bytes = read(offset, count * FOOTER_ENTRY_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (trailerView.getBigUint64(24, true) !== hashEntries(bytes)) return null;
  const entries: BlockEntry[] = [];
  for (let at = 0; at < bytes.length; at += FOOTER_ENTRY_BYTES) {
    entries.push({
      offset: Number(view.getBigUint64(at, true)),
      blockBytes: view.getUint32(at + 8, true),
      count: view.getUint32(at + 12, true),
      sequence: view.getBigUint64(at + 16, true),
      leastNs: view.getBigInt64(at + 24, true),
      greatestNs: view.getBigInt64(at + 32, true),
      symbolMask: view.getBigUint64(at + 40, true),
      headerChecksum: view.getBigUint64(at + 48, true),
    });
  }
  // Readers make room by these numbers.
  const possible = (entry: BlockEntry) =>
    entry.offset + entry.blockBytes <= offset && entry.count > 0 && entry.count <= MAX_BLOCK_RECORDS;
  return entries.every(possible) ? { entries, offset } : null;
}
