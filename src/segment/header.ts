// A segment: a header, blocks one after another on multiples of 8, and once it is sealed a footer (footer.ts). Its header,
// little-endian, padded with zeros to a multiple of 4 KiB:
//
//   0   "TTSEGMT1"           40  u64 schema fingerprint
//   8   u32 version, 1       48  i64 made at, ns since the Unix epoch
//   12  u32 header bytes     56  u32 epoch of the writer
//   16  16 bytes tape id     60  u32 schema bytes
//   32  u32 storage node     64  the schema as JSON, UTF-8
//   36  u32 segment number   last 8: u64 XXH64 of all of the header before it
import { TapeError } from '../errors.js';
import { hash64 } from '../hash.js';
import { Schema } from '../schema.js';

export const SEGMENT_MAGIC = 'TTSEGMT1';
export const SEGMENT_VERSION = 1;
export const SEGMENT_PAGE = 4096;
const FIXED_BYTES = 64;
const MAX_HEADER_BYTES = 256 * 1024;

export interface SegmentHeader {
  headerBytes: number;
  tapeId: Uint8Array;
  storageNode: number;
  number: number;
  fingerprint: bigint;
  createdNs: bigint;
  epoch: number;
  schema: Schema;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeSegmentHeader(header: Omit<SegmentHeader, 'headerBytes' | 'fingerprint'>): Uint8Array {
  const json = encoder.encode(header.schema.json);
  const bytes = new Uint8Array(Math.ceil((FIXED_BYTES + json.length + 8) / SEGMENT_PAGE) * SEGMENT_PAGE);
  const view = new DataView(bytes.buffer);
  bytes.set(encoder.encode(SEGMENT_MAGIC));
  view.setUint32(8, SEGMENT_VERSION, true);
  view.setUint32(12, bytes.length, true);
  bytes.set(header.tapeId, 16);
  view.setUint32(32, header.storageNode, true);
  view.setUint32(36, header.number, true);
  view.setBigUint64(40, header.schema.fingerprint, true);
  view.setBigInt64(48, header.createdNs, true);
  view.setUint32(56, header.epoch, true);
  view.setUint32(60, json.length, true);
  bytes.set(json, FIXED_BYTES);
  view.setBigUint64(bytes.length - 8, hash64(bytes.subarray(0, bytes.length - 8)), true);
  return bytes;
}

/**
 * The header of the segment at `path`, or why there is none. `read(offset, length)` gives up to `length` bytes of it. Magic, version,
 * length and checksum are where they are in every version, so that a changed bit is not taken for a newer one.
 * @throws TapeError `BAD_VERSION`
 */
export function decodeSegmentHeader(
  read: (offset: number, length: number) => Uint8Array,
  path: string,
): SegmentHeader | string {
  const start = read(0, FIXED_BYTES);
  if (start.length < FIXED_BYTES) return 'it is shorter than the header of a segment';
  const startView = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (decoder.decode(start.subarray(0, 8)) !== SEGMENT_MAGIC) return 'it does not begin as a segment of ticktape';
  const headerBytes = startView.getUint32(12, true);
  if (headerBytes === 0 || headerBytes % SEGMENT_PAGE !== 0 || headerBytes > MAX_HEADER_BYTES)
    return 'the length of its header is wrong';
  const bytes = read(0, headerBytes);
  if (bytes.length < headerBytes) return 'it is cut within its header';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getBigUint64(headerBytes - 8, true) !== hash64(bytes.subarray(0, headerBytes - 8)))
    return 'the checksum of its header differs';
  const version = view.getUint32(8, true);
  if (version !== SEGMENT_VERSION) {
    const message = `${path}: format ${version} is unknown: a newer ticktape wrote it: read it with that`;
    throw new TapeError('BAD_VERSION', message, { path });
  }
  const jsonBytes = view.getUint32(60, true);
  if (FIXED_BYTES + jsonBytes + 8 > headerBytes) return 'its schema is longer than its header';
  let schema: Schema;
  try {
    schema = Schema.parse(decoder.decode(bytes.slice(FIXED_BYTES, FIXED_BYTES + jsonBytes)), path);
  } catch (error) {
    if (error instanceof TapeError) return "the schema in its header can't be read";
    throw error;
  }
  return {
    headerBytes,
    tapeId: bytes.slice(16, 32),
    storageNode: view.getUint32(32, true),
    number: view.getUint32(36, true),
    fingerprint: view.getBigUint64(40, true),
    createdNs: view.getBigInt64(48, true),
    epoch: view.getUint32(56, true),
    schema,
  };
}
