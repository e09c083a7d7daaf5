// The symbol table's file, little-endian: a 4 KiB header, then 64 bytes an entry.
//
//   0   "TTSYMBL1"        16  16 bytes tape id     120 u64 XXH64 of bytes 0..119
//   8   u32 version, 1    32  u32 capacity         128 u32 entries published
//
// An entry: u64 XXH64 (seed: its id) of the rest, u8 length, up to 55 bytes of UTF-8, zeros.
import {
  SYMBOL_BYTES,
  SYMBOL_COUNT,
  SYMBOL_HEADER_BYTES,
  SYMBOL_LENGTH,
  SYMBOL_NAME,
  SYMBOL_NAME_MAX,
  SYMBOLS,
} from '../../assembly/layout.js';
import { TapeError } from '../errors.js';
import { hash64 } from '../hash.js';

export const SYMBOLS_MAGIC = 'TTSYMBL1';
export const SYMBOLS_VERSION = 1;
const CAPACITY = 32;
const CHECKSUM = 120;

const encoder = new TextEncoder();
// A name may begin with U+FEFF, which a decoder takes off unless told not to.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The name of symbol `id` in a tape's memory, in UTF-8. */
export function readSymbol(memory: Uint8Array, id: number): Uint8Array {
  const entry = SYMBOLS + SYMBOL_HEADER_BYTES + id * SYMBOL_BYTES;
  return memory.slice(entry + SYMBOL_NAME, entry + SYMBOL_NAME + memory[entry + SYMBOL_LENGTH]);
}

/** The header of a new table. */
export function encodeSymbolHeader(tapeId: Uint8Array, capacity: number): Uint8Array {
  const bytes = new Uint8Array(SYMBOL_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(encoder.encode(SYMBOLS_MAGIC));
  view.setUint32(8, SYMBOLS_VERSION, true);
  bytes.set(tapeId, 16);
  view.setUint32(CAPACITY, capacity, true);
  view.setBigUint64(CHECKSUM, hash64(bytes.subarray(0, CHECKSUM)), true);
  return bytes;
}

/**
 * Checks the table's file and answers how many entries are good, and how many of the published ones are not. Entries are believed
 * by their checksums, from the first on to the first that is damaged: a power cut may have kept the count and lost an entry, or
 * kept entries beyond the count. Blocks have the names of their symbols with them; only records in lanes need the table.
 * @throws TapeError `BAD_MAGIC`, `BAD_VERSION`, `CORRUPT`, `FOREIGN`, `TRUNCATED`
 */
export function checkSymbols(
  bytes: Uint8Array,
  tapeId: Uint8Array,
  path: string,
): { count: number; lost: number; capacity: number } {
  const refuse = (code: 'BAD_MAGIC' | 'BAD_VERSION' | 'CORRUPT' | 'FOREIGN' | 'TRUNCATED', message: string) => {
    throw new TapeError(code, `${path}: ${message}`, { path });
  };
  if (bytes.length < SYMBOL_HEADER_BYTES) refuse('TRUNCATED', 'shorter than the header of a symbol table');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (decoder.decode(bytes.subarray(0, 8)) !== SYMBOLS_MAGIC) refuse('BAD_MAGIC', 'not a symbol table of ticktape');
  if (view.getUint32(8, true) !== SYMBOLS_VERSION)
    refuse('BAD_VERSION', `format ${view.getUint32(8, true)} is unknown`);
  if (view.getBigUint64(CHECKSUM, true) !== hash64(bytes.subarray(0, CHECKSUM))) {
    refuse('CORRUPT', 'the checksum of its header differs');
  }
  if (!bytes.subarray(16, 32).every((byte, i) => byte === tapeId[i])) refuse('FOREIGN', 'of another tape');
  const capacity = view.getUint32(CAPACITY, true);
  if (bytes.length < SYMBOL_HEADER_BYTES + capacity * SYMBOL_BYTES) {
    refuse('TRUNCATED', `shorter than the ${capacity} symbols that it has room for`);
  }
  let count = 0;
  while (count < capacity) {
    const entry = SYMBOL_HEADER_BYTES + count * SYMBOL_BYTES;
    const length = bytes[entry + SYMBOL_LENGTH];
    if (length === 0 || length > SYMBOL_NAME_MAX) break;
    const body = bytes.subarray(entry + SYMBOL_LENGTH, entry + SYMBOL_BYTES);
    if (view.getBigUint64(entry, true) !== hash64(body, BigInt(count))) break;
    count++;
  }
  return { count, lost: Math.max(0, view.getUint32(SYMBOL_COUNT, true) - count), capacity };
}
