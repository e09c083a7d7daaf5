// A file in Databento Binary Encoding, version 1, plain or in zstd, little-endian:
//
//   0   "DBN"                    42  u64 limit                   108 u32 bytes of a schema definition, zero
//   3   u8 version               50  u64 unused                  112 u32 symbols, then 22 bytes each
//   4   u32 bytes from 8 on      58  u8 symbology asked for      …   u32 partial, u32 not found: as the symbols
//   8   16 bytes dataset         59  u8 symbology given          …   u32 mappings of symbols, of varying length
//   24  u16 schema               60  u8 records end in a u64 ts_out
//   26  u64 start ns             61  47 bytes zero
//   34  u64 end ns
//
// Then records up to the end. Each begins with u8 length in words of 4 bytes and u8 rtype.
import { readFile } from 'node:fs/promises';
import { runtime } from 'ticktape/runtime';
import { TapeError } from '../../errors.js';
import { defineSchema, i32, i64, timestamp, u8, u16, u32, u64 } from '../../index.js';

/** The fields of a market-by-order record as a schema: the u64 `ts_recv` is its timestamp, `price` is in units of 1e-9. */
export const mbo = defineSchema(
  'mbo',
  /** Of the record, in words of 4 bytes. */
  u8('length'),
  u8('rtype'),
  u16('publisherId'),
  u32('instrumentId'),
  u64('tsEvent'),
  u64('orderId'),
  i64('price'),
  u32('size'),
  u8('flags'),
  u8('channelId'),
  /** A character: A add, C cancel, M modify, R clear, T trade, F fill, N none. */
  u8('action'),
  /** A character: A ask, B bid, N none. */
  u8('side'),
  timestamp('tsRecv'),
  i32('tsInDelta'),
  u32('sequence'),
);

/** The fields lie in a record in the order of the schema, without holes. */
export const MBO_BYTES = 56;
const RTYPE_MBO = 160;
const RECORD_HEADER_BYTES = 16;

const PRELUDE_BYTES = 8;
const METADATA_BYTES = 120;
const SYMBOL_BYTES = 22;

/** No file is inflated to more: bounds what a few bytes can have allocated. */
const MOST_BYTES = 2 ** 30;

/** A DBN file as far as it is read. */
export interface Dbn {
  /** `GLBX.MDP3` for instance. */
  dataset: string;
  startNs: bigint;
  endNs: bigint;
  /** As they were asked for. */
  symbols: string[];
  /** Market-by-order records one behind the other, MBO_BYTES each, as in the file. */
  records: Uint8Array;
  /** How many there are. */
  count: number;
  /** Records of other types, which are left out. */
  skipped: number;
}

/** @throws TapeError `NOT_FOUND`, `IO`, `TOO_LARGE`, and what `parseDbn` throws */
export async function readDbn(path: string): Promise<Dbn> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new TapeError('NOT_FOUND', `there is no file ${path}: check the path`, { path, cause });
    }
    throw new TapeError('IO', `can't read ${path}: ${(cause as Error).message}`, { path, cause });
  }
  if (isDbn(bytes)) return parseDbn(bytes, path);
  if (!ZSTD_MAGIC.every((byte, i) => bytes[i] === byte)) {
    throw new TapeError('BAD_MAGIC', `${path} is neither a DBN file nor one in zstd`, { path });
  }
  const zstd = await runtime.zstd();
  let inflated: Uint8Array;
  try {
    inflated = zstd.decompressAll(bytes, MOST_BYTES);
  } catch (cause) {
    if (!(cause instanceof TapeError)) throw cause;
    throw new TapeError(cause.code, `${path} can't be decompressed: ${cause.message}`, { path, cause });
  }
  return parseDbn(inflated, path);
}

const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
const isDbn = (bytes: Uint8Array) => bytes[0] === 0x44 && bytes[1] === 0x42 && bytes[2] === 0x4e;

/**
 * The content of a DBN file, whole, out of zstd.
 * @throws TapeError `BAD_MAGIC`, `BAD_VERSION`, `CORRUPT`, `TRUNCATED`, `UNSUPPORTED`
 */
export function parseDbn(bytes: Uint8Array, path: string): Dbn {
  const refuse = (code: TapeError['code'], message: string): never => {
    throw new TapeError(code, `${path}: ${message}`, { path });
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isDbn(bytes)) refuse('BAD_MAGIC', 'not a DBN file');
  if (bytes.length < PRELUDE_BYTES) refuse('TRUNCATED', `ends after ${bytes.length} bytes, in its first words`);
  if (bytes[3] !== 1) refuse('BAD_VERSION', `DBN version ${bytes[3]}; only version 1 is read`);
  const from = PRELUDE_BYTES + view.getUint32(4, true);
  if (from < PRELUDE_BYTES + METADATA_BYTES) refuse('CORRUPT', 'its metadata is too short to be any');
  if (from > bytes.length) refuse('TRUNCATED', `ends after ${bytes.length} bytes, in its metadata`);
  if (bytes[60] !== 0) refuse('UNSUPPORTED', 'a live stream, whose records end in ts_out');
  if (view.getUint32(108, true) !== 0) refuse('UNSUPPORTED', 'it defines a schema of its own');
  const symbolCount = view.getUint32(112, true);
  if (116 + symbolCount * SYMBOL_BYTES > from) refuse('CORRUPT', `${symbolCount} symbols don't fit its metadata`);

  const { count, skipped } = countRecords(bytes, from, refuse);
  return {
    dataset: text(bytes, 8, 16),
    startNs: view.getBigUint64(26, true),
    endNs: view.getBigUint64(34, true),
    symbols: Array.from({ length: symbolCount }, (_, i) => text(bytes, 116 + i * SYMBOL_BYTES, SYMBOL_BYTES)),
    records: skipped === 0 ? bytes.subarray(from) : gather(bytes, from, count),
    count,
    skipped,
  };
}

function countRecords(
  bytes: Uint8Array,
  from: number,
  refuse: (code: TapeError['code'], message: string) => never,
): { count: number; skipped: number } {
  let count = 0;
  let skipped = 0;
  for (let at = from; at < bytes.length; ) {
    const recordBytes = 4 * bytes[at];
    const here = `record ${count + skipped}, at byte ${at},`;
    if (recordBytes < RECORD_HEADER_BYTES) refuse('CORRUPT', `${here} is shorter than its header`);
    if (at + recordBytes > bytes.length) refuse('TRUNCATED', `${here} is cut`);
    if (bytes[at + 1] !== RTYPE_MBO) {
      skipped++;
    } else {
      if (recordBytes !== MBO_BYTES) refuse('CORRUPT', `${here} is market by order and has ${recordBytes} bytes`);
      count++;
    }
    at += recordBytes;
  }
  return { count, skipped };
}

/** The market-by-order records among others. */
function gather(bytes: Uint8Array, from: number, count: number): Uint8Array {
  const records = new Uint8Array(count * MBO_BYTES);
  let to = 0;
  for (let at = from; at < bytes.length; at += 4 * bytes[at]) {
    if (bytes[at + 1] !== RTYPE_MBO) continue;
    records.set(bytes.subarray(at, at + MBO_BYTES), to);
    to += MBO_BYTES;
  }
  return records;
}

/** Of a field of `length` bytes, padded with zeros. */
function text(bytes: Uint8Array, at: number, length: number): string {
  const field = bytes.slice(at, at + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}
