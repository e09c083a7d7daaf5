// The header of a block, little-endian:
//
//   0   "TTBLOCK1"              80  u32 chunks
//   8   u32 version, 1          84  u32 lane ranges
//   12  u32 header bytes        88  u32 symbols
//   16  16 bytes tape id        92  u32 zero
//   32  u64 schema fingerprint  96  u64 bytes of its records as rows
//   40  u64 first sequence      104 u64 symbol mask: bit (id mod 64) for every symbol in it
//   48  u32 records             112 16 bytes zero
//   52  u32 epoch               128 lane ranges: u32 epoch, u32 lane, u64 from, u64 to
//   56  i64 least timestamp     …   chunks, CHUNK_ENTRY_BYTES each (below)
//   64  i64 greatest timestamp  …   symbols: u32 id, u32 length, UTF-8, zeros up to a multiple of 8
//   72  u64 block bytes         …   u64 XXH64 of all of the header before it
//
// A chunk entry: 0 u16 field, 2 u8 part (0 values, or lengths of a varying field; 1 its bytes; 2 which values of an optional field
// are present), 3 u8 kind, 4 u8 encoding, 5 u8 compression, 6 u16 flags (1: least and greatest hold), 8 u32 offset in the block,
// 12 u32 stored bytes, 16 u32 bytes before compression, 20 u32 open bytes (those at the start that are not compressed), 24 u64 XXH64
// of the stored bytes, 32 least value, 40 greatest value (i64, or u64 for a u64 field). An optional field's values are the present ones.
// Chunks lie behind the header in this order, each on a multiple of 8.
import { MAX_FIELDS, MAX_LANES, SYMBOL_NAME_MAX } from '../../assembly/layout.js';
import { hash64 } from '../hash.js';

export const BLOCK_MAGIC = 'TTBLOCK1';
export const BLOCK_VERSION = 1;
export const BLOCK_HEADER_BYTES = 128;
export const LANE_RANGE_BYTES = 24;
export const CHUNK_ENTRY_BYTES = 48;
export const MAX_BLOCK_RECORDS = 1_000_000;
/** No block is longer: bounds what a length field can make a reader allocate. */
export const MAX_BLOCK_BYTES = 2 ** 30;
/** No header is longer: a million distinct symbols of 55 bytes. */
const MAX_HEADER_BYTES = 2 ** 26;

/** The values as they lie in records. */
export const ENCODING_PLAIN = 0;
/** As a plan says: u16 bytes of the plan, the plan (plan.ts), packed bytes, symbols. */
export const ENCODING_PLAN = 1;
export const COMPRESSION_NONE = 0;
export const COMPRESSION_ZSTD = 1;
/** Segments of huffman.ts, one after another. */
export const COMPRESSION_HUFFMAN = 2;

/** Where records of a block came from: positions from..to of a lane. */
export interface LaneRange {
  epoch: number;
  lane: number;
  from: bigint;
  to: bigint;
}

export interface ChunkEntry {
  field: number;
  part: number;
  kind: number;
  encoding: number;
  compression: number;
  /** Least and greatest value; null where the kind has none. */
  range: { least: bigint; greatest: bigint } | null;
  offset: number;
  storedBytes: number;
  encodedBytes: number;
  /** Bytes at the start of the chunk that no compression is applied to. */
  openBytes: number;
  /** u64 */
  checksum: bigint;
}

export interface BlockSymbol {
  id: number;
  name: string;
  /** The name in UTF-8. */
  bytes: Uint8Array;
}

export interface BlockHeader {
  tapeId: Uint8Array;
  fingerprint: bigint;
  sequence: bigint;
  count: number;
  epoch: number;
  leastNs: bigint;
  greatestNs: bigint;
  blockBytes: number;
  rowBytes: number;
  symbolMask: bigint;
  laneRanges: LaneRange[];
  chunks: ChunkEntry[];
  symbols: BlockSymbol[];
  /** The u64 that ends the header: equal for all copies of a block, and for no other block. */
  checksum: bigint;
}

export const align8 = (bytes: number) => (bytes + 7) & ~7;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes of the header with its checksum. */
export function blockHeaderBytes(laneRanges: number, chunks: number, symbols: readonly BlockSymbol[]): number {
  const names = symbols.reduce((sum, { bytes }) => sum + 8 + align8(bytes.length), 0);
  return BLOCK_HEADER_BYTES + laneRanges * LANE_RANGE_BYTES + chunks * CHUNK_ENTRY_BYTES + names + 8;
}

/** The header as bytes, its checksum included. */
export function encodeBlockHeader(header: Omit<BlockHeader, 'checksum'>): Uint8Array {
  const bytes = new Uint8Array(blockHeaderBytes(header.laneRanges.length, header.chunks.length, header.symbols));
  const view = new DataView(bytes.buffer);
  bytes.set(encoder.encode(BLOCK_MAGIC));
  view.setUint32(8, BLOCK_VERSION, true);
  view.setUint32(12, bytes.length, true);
  bytes.set(header.tapeId, 16);
  view.setBigUint64(32, header.fingerprint, true);
  view.setBigUint64(40, header.sequence, true);
  view.setUint32(48, header.count, true);
  view.setUint32(52, header.epoch, true);
  view.setBigInt64(56, header.leastNs, true);
  view.setBigInt64(64, header.greatestNs, true);
  view.setBigUint64(72, BigInt(header.blockBytes), true);
  view.setUint32(80, header.chunks.length, true);
  view.setUint32(84, header.laneRanges.length, true);
  view.setUint32(88, header.symbols.length, true);
  view.setBigUint64(96, BigInt(header.rowBytes), true);
  view.setBigUint64(104, header.symbolMask, true);
  let at = BLOCK_HEADER_BYTES;
  for (const range of header.laneRanges) {
    view.setUint32(at, range.epoch, true);
    view.setUint32(at + 4, range.lane, true);
    view.setBigUint64(at + 8, range.from, true);
    view.setBigUint64(at + 16, range.to, true);
    at += LANE_RANGE_BYTES;
  }
  for (const chunk of header.chunks) {
    view.setUint16(at, chunk.field, true);
    view.setUint8(at + 2, chunk.part);
    view.setUint8(at + 3, chunk.kind);
    view.setUint8(at + 4, chunk.encoding);
    view.setUint8(at + 5, chunk.compression);
    view.setUint16(at + 6, chunk.range === null ? 0 : 1, true);
    view.setUint32(at + 8, chunk.offset, true);
    view.setUint32(at + 12, chunk.storedBytes, true);
    view.setUint32(at + 16, chunk.encodedBytes, true);
    view.setUint32(at + 20, chunk.openBytes, true);
    view.setBigUint64(at + 24, chunk.checksum, true);
    view.setBigUint64(at + 32, BigInt.asUintN(64, chunk.range?.least ?? 0n), true);
    view.setBigUint64(at + 40, BigInt.asUintN(64, chunk.range?.greatest ?? 0n), true);
    at += CHUNK_ENTRY_BYTES;
  }
  for (const symbol of header.symbols) {
    view.setUint32(at, symbol.id, true);
    view.setUint32(at + 4, symbol.bytes.length, true);
    bytes.set(symbol.bytes, at + 8);
    at += 8 + align8(symbol.bytes.length);
  }
  view.setBigUint64(at, hash64(bytes.subarray(0, at)), true);
  return bytes;
}

/** Bytes of the header that starts in `bytes` (at least BLOCK_HEADER_BYTES of it), or 0 where none does. */
export function peekHeaderBytes(bytes: Uint8Array): number {
  if (bytes.length < BLOCK_HEADER_BYTES) return 0;
  for (let i = 0; i < 8; i++) if (bytes[i] !== BLOCK_MAGIC.charCodeAt(i)) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getUint32(12, true);
  const fits = headerBytes > BLOCK_HEADER_BYTES && headerBytes <= MAX_HEADER_BYTES && headerBytes % 8 === 0;
  return view.getUint32(8, true) === BLOCK_VERSION && fits ? headerBytes : 0;
}

/**
 * The header that `bytes` starts with, or why there is none. Everything in it is checked against everything else, so that what
 * follows it may be located by its numbers; chunks are checked where they are decoded.
 */
export function decodeBlockHeader(bytes: Uint8Array): BlockHeader | string {
  const headerBytes = peekHeaderBytes(bytes);
  if (headerBytes === 0) return 'no block header';
  if (headerBytes > bytes.length) return 'the block header is cut';
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const end = headerBytes - 8;
  if (view.getBigUint64(end, true) !== hash64(bytes.subarray(0, end)))
    return 'the checksum of the block header differs';

  const count = view.getUint32(48, true);
  const blockBytes = Number(view.getBigUint64(72, true));
  const chunkCount = view.getUint32(80, true);
  const rangeCount = view.getUint32(84, true);
  const symbolCount = view.getUint32(88, true);
  if (count === 0 || count > MAX_BLOCK_RECORDS) return `the block header says ${count} records`;
  if (blockBytes < headerBytes || blockBytes > MAX_BLOCK_BYTES || blockBytes % 8 !== 0)
    return 'the block length is wrong';
  if (chunkCount > 3 * MAX_FIELDS || rangeCount > MAX_LANES) return 'the block header counts too many parts';
  let at = BLOCK_HEADER_BYTES;
  if (at + rangeCount * LANE_RANGE_BYTES + chunkCount * CHUNK_ENTRY_BYTES > end) return 'the block header is too short';

  const laneRanges: LaneRange[] = [];
  for (let i = 0; i < rangeCount; i++, at += LANE_RANGE_BYTES) {
    const from = view.getBigUint64(at + 8, true);
    const to = view.getBigUint64(at + 16, true);
    if (from >= to) return 'a lane range of the block header is empty';
    laneRanges.push({ epoch: view.getUint32(at, true), lane: view.getUint32(at + 4, true), from, to });
  }
  const chunks: ChunkEntry[] = [];
  let free = headerBytes;
  for (let i = 0; i < chunkCount; i++, at += CHUNK_ENTRY_BYTES) {
    const kind = view.getUint8(at + 3);
    const offset = view.getUint32(at + 8, true);
    const storedBytes = view.getUint32(at + 12, true);
    if (offset !== free || offset + storedBytes > blockBytes) return 'a chunk of the block header is misplaced';
    free = align8(offset + storedBytes);
    chunks.push({
      field: view.getUint16(at, true),
      part: view.getUint8(at + 2),
      kind,
      encoding: view.getUint8(at + 4),
      compression: view.getUint8(at + 5),
      range:
        (view.getUint16(at + 6, true) & 1) === 0
          ? null
          : { least: view.getBigInt64(at + 32, true), greatest: view.getBigInt64(at + 40, true) },
      offset,
      storedBytes,
      encodedBytes: view.getUint32(at + 16, true),
      openBytes: view.getUint32(at + 20, true),
      checksum: view.getBigUint64(at + 24, true),
    });
  }
  if (free !== blockBytes) return 'the block length is not that of its chunks';
  const symbols: BlockSymbol[] = [];
  for (let i = 0; i < symbolCount; i++) {
    if (at + 8 > end) return 'the symbols of the block header are cut';
    const length = view.getUint32(at + 4, true);
    if (length === 0 || length > SYMBOL_NAME_MAX || at + 8 + align8(length) > end)
      return 'a symbol of the block is cut';
    try {
      const name = bytes.slice(at + 8, at + 8 + length);
      symbols.push({ id: view.getUint32(at, true), name: decoder.decode(name), bytes: name });
    } catch {
      return 'a symbol of the block is not UTF-8';
    }
    at += 8 + align8(length);
  }
  if (at !== end) return 'the block header is longer than its parts';
  return {
    tapeId: bytes.slice(16, 32),
    fingerprint: view.getBigUint64(32, true),
    sequence: view.getBigUint64(40, true),
    count,
    epoch: view.getUint32(52, true),
    leastNs: view.getBigInt64(56, true),
    greatestNs: view.getBigInt64(64, true),
    blockBytes,
    rowBytes: Number(view.getBigUint64(96, true)),
    symbolMask: view.getBigUint64(104, true),
    laneRanges,
    chunks,
    symbols,
    checksum: view.getBigUint64(end, true),
  };
}
