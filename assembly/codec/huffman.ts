// Bytes ("symbols") of one kind to a segment of Huffman codes and back. Little-endian; a varint is LEB128, without leading
// zeros: 7 bits a byte, the lowest first, bit 7 set in all but the last. Bits fill a byte from its lowest bit on.
//
//   varint             count * 4 + mode, count up to 2^30
//
//   mode 0, plain      the symbols
//   mode 1, single     the one symbol that comes `count` times, 2 or more
//   mode 2, Huffman    u8       the first symbol used
//                      u8       the last symbol used
//                      bits     code lengths of the symbols from first to last, as items; zeros to a byte
//                      varint   × 3 where count is 1024 or more: bytes of the streams 0, 1 and 2
//                      streams  codes of the symbols in order, zeros to a byte: four streams where count is 1024 or more, the
//                               first three of floor(count / 4) symbols each; else one
//
//   An item is the length of the next symbol (1 to 11), by its difference from the one before it among those used, 6 before the
//   first; or a run of symbols that don't occur. Its bits, the lowest on the right:
//
//           00  the same            0011  two longer        rrrr1011  r + 1 symbols that don't occur
//           01  one longer          0111  two shorter       llll1111  length l
//           10  one shorter
//
//   Codes are canonical: ascending by length, then by symbol, each the one before it plus one, with a zero bit added at its low
//   end for each bit that it is longer. They lie in the streams with their highest bit first, and use up all that there are:
//   the sum of 2^-length is 1.
//
// Huffman where it takes off more than a 32nd of the symbols' bytes, single where it can be, else plain.
//
// M symbols/s of segments of 10,000, of 60 symbols and 5 bits each, or 37 and 1.6 (AMD EPYC, one of two shared cores):
//
//             encode         size            decode
//   Node 26     999, 885     2,236, 1,724    1,181,   954
//   Deno 2.9    755, 716     1,690, 1,568      941,   961
//   Bun 1.4   1,096, 971     2,780, 2,224    1,347, 1,330

const PLAIN: u32 = 0;
const SINGLE: u32 = 1;
const HUFFMAN: u32 = 2;
const MAX_COUNT: u32 = 1 << 30;
const MAX_LENGTH: u32 = 11;
/** Symbols from which on there are four streams: they decode 1,000 in 1.1 µs, one stream in 2.8, but take a 100th more. */
const FOUR_STREAMS: u32 = 1024;
/** What the first length is told from. */
const FIRST_LENGTH: u32 = 6;

// ---- scratch, HUFFMAN_SCRATCH_BYTES of it --------------------------------------------------------------------------------
// Encoding:
/** u32 × 256 each: counts of the quarters' symbols. */
const HISTOGRAMS: usize = 0;
const HISTOGRAM_BYTES: usize = 1024;
/** u32 × 256: counts of all, then code lengths. */
const LENGTHS: usize = 4096;
/** u64 × 256: the code, its first bit lowest, at the top end; its length at the low end. */
const CODES: usize = 5120;
/** u64 × 256: count << 8 | symbol, by symbol. */
const USED: usize = 7168;
/** The same by count, between two that are less and greater than all. */
const SORTED: usize = 9224;
/** u32 × BUCKETS. */
const BUCKET_ENDS: usize = 11280;
const BUCKETS: usize = 128;
/** u64 × 257: of the tree's inner nodes, and one that is greater than all. */
const WEIGHTS: usize = 11792;
/** u32 × 256: parents of the inner nodes, then their depths. */
const PARENTS: usize = 13848;
/** u32 × 16: symbols by code length. */
const LENGTH_COUNTS: usize = 14872;
/** Up to 258 bytes, and 8 of slack: first, last, items. */
const TABLE: usize = 14944;
/** u32 × 4: bits of the streams. */
const STREAM_BITS: usize = 15216;
/** u64 code bits, u64 address of the next bit: × 4. */
const STREAMS: usize = 15232;
const STREAM_BYTES: usize = 16;
const MODE: usize = 15296;
const TABLE_BYTES: usize = 15300;
// Decoding: LENGTH_COUNTS, and
/** u16 × 2048, and slack: symbol << 8 | length, by the next bits. */
const LOOKUP: usize = 0;
/** u16 × 256 each: entries of LOOKUP by symbol; the same by code. */
const ENTRIES: usize = 4224;
const ENTRIES_BY_CODE: usize = 4736;
const LONGEST: usize = 5248;

// ---- varints -------------------------------------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline
function varintBytes(value: u64): u32 {
  return (70 - <u32>clz(value | 1)) / 7;
}

/** Answers the address behind it. */
function writeVarint(value: u64, out: usize): usize {
  while (value > 127) {
    store<u8>(out++, <u8>value | 128);
    value >>= 7;
  }
  store<u8>(out, <u8>value);
  return out + 1;
}

/** -1 where there is none of up to five bytes. `src` may not be past `srcEnd`. */
function readVarint(src: usize, srcEnd: usize): i64 {
  let value: i64 = 0;
  for (let shift: i64 = 0; shift < 35 && src < srcEnd; shift += 7) {
    const byte = <i64>load<u8>(src++);
    value |= (byte & 127) << shift;
    if (byte < 128) return byte == 0 && shift > 0 ? -1 : value;
  }
  return -1;
}

// ---- code lengths --------------------------------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline
function tally(scratch: usize, symbol: u32): void {
  const at = scratch + (<usize>symbol << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/** A histogram a quarter: streams' bits can be told from them, and counting one symbol needn't wait for the one before it. */
function countSymbols(src: usize, count: u32, scratch: usize): void {
  for (let at = scratch + HISTOGRAMS, end = at + 4 * HISTOGRAM_BYTES; at < end; at += 32) {
    v128.store(at, i64x2.splat(0));
    v128.store(at, i64x2.splat(0), 16);
  }
  const quarter = count >> 2;
  const h0 = scratch + HISTOGRAMS;
  const h1 = h0 + HISTOGRAM_BYTES;
  const h2 = h1 + HISTOGRAM_BYTES;
  const h3 = h2 + HISTOGRAM_BYTES;
  let a = src;
  let b = a + quarter;
  let c = b + quarter;
  let d = c + quarter;
  let left = quarter;
  for (; left >= 4; left -= 4) {
    const wa = load<u32>(a);
    const wb = load<u32>(b);
    const wc = load<u32>(c);
    const wd = load<u32>(d);
    tally(h0, wa & 255);
    tally(h1, wb & 255);
    tally(h2, wc & 255);
    tally(h3, wd & 255);
    tally(h0, (wa >> 8) & 255);
    tally(h1, (wb >> 8) & 255);
    tally(h2, (wc >> 8) & 255);
    tally(h3, (wd >> 8) & 255);
    tally(h0, (wa >> 16) & 255);
    tally(h1, (wb >> 16) & 255);
    tally(h2, (wc >> 16) & 255);
    tally(h3, (wd >> 16) & 255);
    tally(h0, wa >> 24);
    tally(h1, wb >> 24);
    tally(h2, wc >> 24);
    tally(h3, wd >> 24);
    a += 4;
    b += 4;
    c += 4;
    d += 4;
  }
  for (; left > 0; left--) {
    tally(h0, load<u8>(a++));
    tally(h1, load<u8>(b++));
    tally(h2, load<u8>(c++));
    tally(h3, load<u8>(d++));
  }
  for (left = count & 3; left > 0; left--) tally(h3, load<u8>(d++));
}

/** Four buckets for each power of two. */
// @ts-ignore: decorator
@inline
function bucketOf(count: u32): usize {
  const shift = 29 - clz(count | 4);
  return (shift << 2) + (count >> shift);
}

/** Adds up the histograms and lists the symbols used, of which it answers how many. */
function listUsed(scratch: usize): u32 {
  for (let at = scratch + BUCKET_ENDS, end = at + BUCKETS * 4; at < end; at += 16) v128.store(at, i64x2.splat(0));
  const buckets = scratch + BUCKET_ENDS;
  let next = scratch + USED;
  for (let symbol: u32 = 0; symbol < 256; symbol += 4) {
    const at = scratch + (<usize>symbol << 2);
    const counts = i32x4.add(
      i32x4.add(v128.load(at, HISTOGRAMS), v128.load(at, HISTOGRAMS + HISTOGRAM_BYTES)),
      i32x4.add(v128.load(at, HISTOGRAMS + 2 * HISTOGRAM_BYTES), v128.load(at, HISTOGRAMS + 3 * HISTOGRAM_BYTES)),
    );
    v128.store(at, counts, LENGTHS);
    for (let found = i32x4.bitmask(i32x4.ne(counts, i64x2.splat(0))); found != 0; found &= found - 1) {
      const lane = <u32>ctz(found);
      const count = load<u32>(at + (<usize>lane << 2), LENGTHS);
      store<u64>(next, (<u64>count << 8) | (symbol + lane));
      next += 8;
      tally(buckets, <u32>bucketOf(count));
    }
  }
  return <u32>(next - scratch - USED) >> 3;
}

function sortUsed(scratch: usize, used: u32): void {
  const buckets = scratch + BUCKET_ENDS;
  let start: u32 = 0;
  for (let at = buckets, end = buckets + BUCKETS * 4; at < end; at += 4) {
    const size = load<u32>(at);
    store<u32>(at, start);
    start += size;
  }
  const sorted = scratch + SORTED;
  const bytes = <usize>used << 3;
  for (let at = scratch + USED, end = at + bytes; at < end; at += 8) {
    const entry = load<u64>(at);
    const bucket = buckets + (bucketOf(<u32>(entry >> 8)) << 2);
    const place = load<u32>(bucket);
    store<u32>(bucket, place + 1);
    store<u64>(sorted + (<usize>place << 3), entry);
  }
  store<u64>(sorted - 8, 0);
  store<u64>(sorted + bytes, u64.MAX_VALUE);
  for (let at = sorted + 8, end = sorted + bytes; at < end; at += 8) {
    const entry = load<u64>(at);
    let to = at;
    let before = load<u64>(to - 8);
    while (before > entry) {
      store<u64>(to, before);
      to -= 8;
      before = load<u64>(to - 8);
    }
    store<u64>(to, entry);
  }
}

/**
 * Huffman's tree over two or more symbols, and from it how many symbols have codes of each length. A node too deep is hung on
 * the deepest leaf that isn't: at 10,000 ticks this costs up to 0.02 % over the best codes of 11 bits, at 65,536 up to 0.2 %.
 */
function countLengths(scratch: usize, used: u32): void {
  const weights = scratch + WEIGHTS;
  const parents = scratch + PARENTS;
  const inner = used - 1;
  let leaf = scratch + SORTED;
  let node: u32 = 0;
  store<u64>(weights, u64.MAX_VALUE);
  for (let made: u32 = 0; made < inner; made++) {
    let sum: u64 = 0;
    for (let child = 0; child < 2; child++) {
      const ofLeaf = load<u64>(leaf) >> 8;
      const ofNode = load<u64>(weights + (<usize>node << 3));
      const isNode = u32(ofNode < ofLeaf);
      // Said of a node that isn't taken too, and put right when it is.
      store<u32>(parents + (<usize>node << 2), made);
      sum += select<u64>(ofNode, ofLeaf, isNode);
      node += isNode;
      leaf += <usize>(1 - isNode) << 3;
    }
    store<u64>(weights + (<usize>made << 3), sum);
    store<u64>(weights + (<usize>made << 3), u64.MAX_VALUE, 8);
  }
  const counts = scratch + LENGTH_COUNTS;
  for (let at = counts, end = counts + 64; at < end; at += 16) v128.store(at, i64x2.splat(0));
  store<u32>(counts, 2, 4);
  let at = parents + (<usize>(inner - 1) << 2);
  store<u32>(at, 0);
  while (at > parents) {
    at -= 4;
    const depth = load<u32>(parents + (<usize>load<u32>(at) << 2)) + 1;
    store<u32>(at, depth);
    let from = counts + (<usize>min<u32>(depth, MAX_LENGTH - 1) << 2);
    while (load<u32>(from) == 0) from -= 4;
    store<u32>(from, load<u32>(from) - 1);
    store<u32>(from, load<u32>(from, 4) + 2, 4);
  }
}

function assignLengths(scratch: usize): void {
  let at = scratch + SORTED;
  for (let length = MAX_LENGTH; length > 0; length--) {
    for (let left = load<u32>(scratch + LENGTH_COUNTS + (<usize>length << 2)); left > 0; left--) {
      store<u32>(scratch + LENGTHS + (<usize>load<u8>(at) << 2), length);
      at += 8;
    }
  }
}

// By difference + 2, a nibble each: an item's bits, and how many they are.
const ITEMS: u32 = 0x31027;
const ITEM_BITS: u32 = 0x42224;

/** Writes first, last and items to the scratch, and answers their bytes. */
function writeTable(scratch: usize, used: u32): u32 {
  const table = scratch + TABLE;
  let entry = scratch + USED;
  const end = entry + (<usize>used << 3);
  let expected = <u32>load<u8>(entry);
  store<u8>(table, expected);
  store<u8>(table, load<u8>(end - 8), 1);
  let out = table + 2;
  let bits: u64 = 0;
  let bitCount: u64 = 0;
  let before = FIRST_LENGTH;
  for (; entry < end; entry += 8) {
    const symbol = <u32>load<u8>(entry);
    while (expected < symbol) {
      const run = min<u32>(symbol - expected, 16);
      bits |= <u64>(0b1011 | ((run - 1) << 4)) << bitCount;
      bitCount += 8;
      store<u64>(out, bits);
      out += <usize>(bitCount >> 3);
      bits >>= bitCount & ~7;
      bitCount &= 7;
      expected += run;
    }
    const length = load<u32>(scratch + LENGTHS + (<usize>symbol << 2));
    const which = length - before + 2;
    if (which < 5) {
      bits |= <u64>((ITEMS >> (which << 2)) & 15) << bitCount;
      bitCount += (ITEM_BITS >> (which << 2)) & 15;
    } else {
      bits |= <u64>(0b1111 | (length << 4)) << bitCount;
      bitCount += 8;
    }
    store<u64>(out, bits);
    out += <usize>(bitCount >> 3);
    bits >>= bitCount & ~7;
    bitCount &= 7;
    before = length;
    expected++;
  }
  return <u32>(out - table) + u32(bitCount > 0);
}

// @ts-ignore: decorator
@inline
function sumOf(four: v128): u32 {
  return (
    i32x4.extract_lane(four, 0) + i32x4.extract_lane(four, 1) + i32x4.extract_lane(four, 2) + i32x4.extract_lane(four, 3)
  );
}

function countBits(scratch: usize): void {
  const first = <usize>load<u8>(scratch + TABLE) & ~3;
  const last = <usize>load<u8>(scratch + TABLE, 1);
  let a = i64x2.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (let at = scratch + (first << 2), end = scratch + (last << 2); at <= end; at += 16) {
    const lengths = v128.load(at, LENGTHS);
    a = i32x4.add(a, i32x4.mul(lengths, v128.load(at, HISTOGRAMS)));
    b = i32x4.add(b, i32x4.mul(lengths, v128.load(at, HISTOGRAMS + HISTOGRAM_BYTES)));
    c = i32x4.add(c, i32x4.mul(lengths, v128.load(at, HISTOGRAMS + 2 * HISTOGRAM_BYTES)));
    d = i32x4.add(d, i32x4.mul(lengths, v128.load(at, HISTOGRAMS + 3 * HISTOGRAM_BYTES)));
  }
  const bits = scratch + STREAM_BITS;
  store<u32>(bits, sumOf(a));
  store<u32>(bits, sumOf(b), 4);
  store<u32>(bits, sumOf(c), 8);
  store<u32>(bits, sumOf(d), 12);
}

// @ts-ignore: decorator
@inline
function streamBytes(scratch: usize, stream: usize): u32 {
  const bits = load<u32>(scratch + STREAM_BITS + (stream << 2));
  return (bits >> 3) + u32((bits & 7) != 0);
}

// ---- encoding ------------------------------------------------------------------------------------------------------------

/** Bytes that `huffmanEncode` will write. */
export function huffmanSize(src: usize, count: u32, scratch: usize): u32 {
  const head = varintBytes(<u64>count << 2);
  store<u32>(scratch + MODE, PLAIN);
  if (count < 2) return head + count;
  countSymbols(src, count, scratch);
  const used = listUsed(scratch);
  if (used == 1) {
    store<u32>(scratch + MODE, SINGLE);
    return head + 1;
  }
  sortUsed(scratch, used);
  countLengths(scratch, used);
  assignLengths(scratch);
  const tableBytes = writeTable(scratch, used);
  countBits(scratch);
  let size = tableBytes;
  if (count < FOUR_STREAMS) {
    const bits = scratch + STREAM_BITS;
    size += (load<u32>(bits) + load<u32>(bits, 4) + load<u32>(bits, 8) + load<u32>(bits, 12) + 7) >> 3;
  } else {
    for (let stream: usize = 0; stream < 4; stream++) {
      const bytes = streamBytes(scratch, stream);
      size += bytes;
      if (stream < 3) size += varintBytes(bytes);
    }
  }
  if (size + (count >> 5) >= count) return head + count;
  store<u32>(scratch + MODE, HUFFMAN);
  store<u32>(scratch + TABLE_BYTES, tableBytes);
  return head + size;
}

// @ts-ignore: decorator
@inline
function reversed16(value: u32): u32 {
  value = ((value >> 1) & 0x5555) | ((value & 0x5555) << 1);
  value = ((value >> 2) & 0x3333) | ((value & 0x3333) << 2);
  value = ((value >> 4) & 0x0f0f) | ((value & 0x0f0f) << 4);
  return (value >> 8) | ((value & 0xff) << 8);
}

function assignCodes(scratch: usize): void {
  const next = scratch + LENGTH_COUNTS;
  let code: u32 = 0;
  for (let length: usize = 1; length <= MAX_LENGTH; length++) {
    const count = load<u32>(next + (length << 2));
    store<u32>(next + (length << 2), code);
    code = (code + count) << 1;
  }
  const last = <usize>load<u8>(scratch + TABLE, 1);
  for (let symbol = <usize>load<u8>(scratch + TABLE); symbol <= last; symbol++) {
    const length = load<u32>(scratch + LENGTHS + (symbol << 2));
    const at = next + (<usize>length << 2);
    const own = load<u32>(at);
    // Of length 0 too: where it counts is read by nobody.
    store<u32>(at, own + 1);
    store<u64>(scratch + CODES + (symbol << 3), (<u64>reversed16(own) << 48) | length);
  }
}

// A stream being written has its latest bits at the top of a word, and the address of its next bit, with whole words stored
// from the byte of that address on. A code goes in by shifting the word by the code's length, which is in the low bits of its
// entry (shifts take no more of it), and the entry over it. What entries leave in the low 4 bits never gets into the 51 at the
// top that four codes take with 7 bits from before.

// @ts-ignore: decorator
@inline
function codeOf(codes: usize, src: usize, i: usize): u64 {
  return load<u64>(codes + (<usize>load<u8>(src + i) << 3));
}

// @ts-ignore: decorator
@inline
function pushed(word: u64, code: u64): u64 {
  return (word >> code) | code;
}

/** Stores the word, `bits` of which are new; the sum of their entries will do. Answers the address of the next bit. */
// @ts-ignore: decorator
@inline
function flushed(word: u64, address: u64, bits: u64): u64 {
  bits &= 255;
  store<u64>(<usize>(address >> 3), word >> (0 - ((address & 7) + bits)));
  return address + bits;
}

/** Four symbols of each of the four streams a round. */
function encodeRounds(src: usize, quarter: u32, rounds: u32, codes: usize, streams: usize): void {
  let a = src;
  let b = a + quarter;
  let c = b + quarter;
  let d = c + quarter;
  let wordA = load<u64>(streams);
  let addressA = load<u64>(streams, 8);
  let wordB = load<u64>(streams, 16);
  let addressB = load<u64>(streams, 24);
  let wordC = load<u64>(streams, 32);
  let addressC = load<u64>(streams, 40);
  let wordD = load<u64>(streams, 48);
  let addressD = load<u64>(streams, 56);
  for (; rounds > 0; rounds--) {
    let code0 = codeOf(codes, a, 0);
    let code1 = codeOf(codes, a, 1);
    let code2 = codeOf(codes, a, 2);
    let code3 = codeOf(codes, a, 3);
    wordA = pushed(pushed(pushed(pushed(wordA, code0), code1), code2), code3);
    addressA = flushed(wordA, addressA, code0 + code1 + code2 + code3);
    a += 4;
    code0 = codeOf(codes, b, 0);
    code1 = codeOf(codes, b, 1);
    code2 = codeOf(codes, b, 2);
    code3 = codeOf(codes, b, 3);
    wordB = pushed(pushed(pushed(pushed(wordB, code0), code1), code2), code3);
    addressB = flushed(wordB, addressB, code0 + code1 + code2 + code3);
    b += 4;
    code0 = codeOf(codes, c, 0);
    code1 = codeOf(codes, c, 1);
    code2 = codeOf(codes, c, 2);
    code3 = codeOf(codes, c, 3);
    wordC = pushed(pushed(pushed(pushed(wordC, code0), code1), code2), code3);
    addressC = flushed(wordC, addressC, code0 + code1 + code2 + code3);
    c += 4;
    code0 = codeOf(codes, d, 0);
    code1 = codeOf(codes, d, 1);
    code2 = codeOf(codes, d, 2);
    code3 = codeOf(codes, d, 3);
    wordD = pushed(pushed(pushed(pushed(wordD, code0), code1), code2), code3);
    addressD = flushed(wordD, addressD, code0 + code1 + code2 + code3);
    d += 4;
  }
  store<u64>(streams, wordA);
  store<u64>(streams, addressA, 8);
  store<u64>(streams, wordB, 16);
  store<u64>(streams, addressB, 24);
  store<u64>(streams, wordC, 32);
  store<u64>(streams, addressC, 40);
  store<u64>(streams, wordD, 48);
  store<u64>(streams, addressD, 56);
}

/** `count` symbols more of one stream, its last. Answers the address of the byte behind it. */
function encodeRest(src: usize, count: u32, codes: usize, word: u64, address: u64): usize {
  for (; count >= 4; count -= 4) {
    const a = codeOf(codes, src, 0);
    const b = codeOf(codes, src, 1);
    const c = codeOf(codes, src, 2);
    const d = codeOf(codes, src, 3);
    word = pushed(pushed(pushed(pushed(word, a), b), c), d);
    address = flushed(word, address, a + b + c + d);
    src += 4;
  }
  for (; count > 0; count--) {
    const code = codeOf(codes, src++, 0);
    word = pushed(word, code);
    address = flushed(word, address, code);
  }
  return <usize>((address + 7) >> 3);
}

/** Rounds after which each stream has 8 bytes, and each but the last has as many to come, whatever the lengths of the codes. */
const FIRST_ROUNDS: u32 = 16;

function encodeStreams(src: usize, count: u32, out: usize, scratch: usize): void {
  const codes = scratch + CODES;
  const streams = scratch + STREAMS;
  for (let stream: usize = 0; stream < 3; stream++) out = writeVarint(streamBytes(scratch, stream), out);
  let at = out;
  for (let stream: usize = 0; stream < 4; stream++) {
    store<u64>(streams + stream * STREAM_BYTES, 0);
    store<u64>(streams + stream * STREAM_BYTES, <u64>at << 3, 8);
    at += streamBytes(scratch, stream);
  }
  const b = out + streamBytes(scratch, 0);
  const c = b + streamBytes(scratch, 1);
  const d = c + streamBytes(scratch, 2);
  const quarter = count >> 2;
  const rounds = quarter >> 2;
  encodeRounds(src, quarter, FIRST_ROUNDS, codes, streams);
  // The last words of a stream reach into the one behind it.
  const firstB = load<u64>(b);
  const firstC = load<u64>(c);
  const firstD = load<u64>(d);
  encodeRounds(src + FIRST_ROUNDS * 4, quarter, rounds - FIRST_ROUNDS, codes, streams);
  const done = rounds << 2;
  for (let stream: usize = 0; stream < 4; stream++) {
    const state = streams + stream * STREAM_BYTES;
    const left = (stream < 3 ? quarter : count - 3 * quarter) - done;
    encodeRest(src + stream * quarter + done, left, codes, load<u64>(state), load<u64>(state, 8));
  }
  store<u64>(b, firstB);
  store<u64>(c, firstC);
  store<u64>(d, firstD);
}

/**
 * Answers the bytes written: `huffmanSize`, at most `count` and HUFFMAN_SEGMENT_OVERHEAD. Up to 7 bytes behind them are written
 * over.
 */
export function huffmanEncode(src: usize, count: u32, out: usize, scratch: usize): u32 {
  const size = huffmanSize(src, count, scratch);
  const mode = load<u32>(scratch + MODE);
  const at = writeVarint((<u64>count << 2) | mode, out);
  if (mode == PLAIN) {
    memory.copy(at, src, count);
  } else if (mode == SINGLE) {
    store<u8>(at, load<u8>(src));
  } else {
    assignCodes(scratch);
    const tableBytes = load<u32>(scratch + TABLE_BYTES);
    memory.copy(at, scratch + TABLE, tableBytes);
    if (count < FOUR_STREAMS) encodeRest(src, count, scratch + CODES, 0, <u64>(at + tableBytes) << 3);
    else encodeStreams(src, count, at + tableBytes, scratch);
  }
  return size;
}

// ---- decoding ------------------------------------------------------------------------------------------------------------

/** The count and mode that a segment begins with, or -1. */
function readHead(src: usize, srcEnd: usize): i64 {
  if (srcEnd < src) return -1;
  const head = readVarint(src, srcEnd);
  return head >> 2 > <i64>MAX_COUNT ? -1 : head;
}

/** Symbols of the segment at src, as it says, or -1. */
export function huffmanCount(src: usize, srcEnd: usize): i32 {
  return <i32>(readHead(src, srcEnd) >> 2);
}

/** 8 bytes, of which those at or past `end` are zero and not read. */
// @ts-ignore: decorator
@inline
function wordAt(at: usize, end: usize): u64 {
  return <i32>(end - at) >= 8 ? load<u64>(at) : partAt(at, end);
}

function partAt(at: usize, end: usize): u64 {
  let word: u64 = 0;
  for (let shift: u64 = 0; <i32>(end - at) > 0; shift += 8) word |= <u64>load<u8>(at++) << shift;
  return word;
}

/** Whether the bits from `address` up to a byte are zero. There is a byte before it. */
// @ts-ignore: decorator
@inline
function padded(address: u64): bool {
  return (address & 7) == 0 || load<u8>(<usize>(address >> 3)) >> (<u8>address & 7) == 0;
}

/** Answers the address behind the items, or 0 where these are not whole or no complete code. */
function readTable(src: usize, srcEnd: usize, scratch: usize): usize {
  if (srcEnd - src < 2) return 0;
  let symbol = <u32>load<u8>(src);
  const last = <u32>load<u8>(src, 1);
  const counts = scratch + LENGTH_COUNTS;
  for (let at = counts, end = counts + 64; at < end; at += 16) v128.store(at, i64x2.splat(0));
  let next = scratch + ENTRIES;
  let address = (<u64>src + 2) << 3;
  let word: u64 = 0;
  let bits: u64 = 0;
  let length = FIRST_LENGTH;
  while (symbol <= last) {
    if (bits < 8) {
      word = wordAt(<usize>(address >> 3), srcEnd) >> (address & 7);
      bits = 57;
    }
    const item = <u32>word;
    const what = (item >> 2) & 3;
    let itemBits: u64 = 8;
    let run: u32 = 0;
    if ((item & 3) != 3) {
      length += (item & 1) - ((item >> 1) & 1);
      itemBits = 2;
    } else if (what < 2) {
      length += 2 - (what << 2);
      itemBits = 4;
    } else if (what == 2) {
      run = ((item >> 4) & 15) + 1;
    } else {
      length = (item >> 4) & 15;
    }
    word >>= itemBits;
    bits -= itemBits;
    address += itemBits;
    if (run > 0) {
      symbol += run;
      // The last symbol is one that is used.
      if (symbol > last) return 0;
      continue;
    }
    if (length - 1 >= MAX_LENGTH) return 0;
    tally(counts, length);
    store<u16>(next, <u16>((symbol << 8) | length));
    next += 2;
    symbol++;
  }
  const end = <usize>((address + 7) >> 3);
  if (end > srcEnd || !padded(address)) return 0;

  let space: u32 = 0;
  let place: u32 = 0;
  let longest: u32 = 0;
  for (let length: u32 = 1; length <= MAX_LENGTH; length++) {
    const at = counts + (<usize>length << 2);
    const count = load<u32>(at);
    space += count << (MAX_LENGTH - length);
    store<u32>(at, place);
    place += count;
    if (count > 0) longest = length;
  }
  if (space != 1 << MAX_LENGTH) return 0;
  for (let at = scratch + ENTRIES; at < next; at += 2) {
    const entry = load<u16>(at);
    const ofLength = counts + (<usize>(entry & 255) << 2);
    const place = load<u32>(ofLength);
    store<u32>(ofLength, place + 1);
    store<u16>(scratch + ENTRIES_BY_CODE + (<usize>place << 1), entry);
  }
  store<u32>(scratch + LONGEST, longest);
  return end;
}

/** By as many bits as the longest code has. The lookup by one bit more is twice the one before, then the codes of that length. */
function fillLookup(scratch: usize): void {
  const lookup = scratch + LOOKUP;
  const longest = load<u32>(scratch + LONGEST);
  let entry = scratch + ENTRIES_BY_CODE;
  let code: u32 = 0;
  for (let length: u32 = 1; length <= longest; length++) {
    const half: usize = 1 << length;
    for (let at: usize = 0; at < half; at += 16) v128.store(lookup + half + at, v128.load(lookup + at));
    // The counts have become places: of the length, the one behind its last.
    const end = scratch + ENTRIES_BY_CODE + (<usize>load<u32>(scratch + LENGTH_COUNTS + (<usize>length << 2)) << 1);
    const ones: u32 = (1 << length) - 1;
    for (; entry < end; entry += 2) {
      store<u16>(lookup + (<usize>code << 1), load<u16>(entry));
      // Plus one, from the highest bit down.
      const zeros = ~code & ones;
      const bit: u32 = 0x80000000 >> clz(zeros | 1);
      code = (code & (bit - 1)) | bit;
    }
  }
}

// A stream being read has the address of the bit before its next, so that the next bits of the word loaded from there are an
// offset into the lookup once its lowest bit is cleared. The word's highest bit is set (at most 55 of its 56 bits are used), so
// that its leading zeros tell how far it has been shifted.
const WORD_SYMBOLS: u32 = 5;

// @ts-ignore: decorator
@inline
function loaded(address: u64): u64 {
  return (load<u64>(<usize>(address >> 3)) >> (address & 7)) | (1 << 63);
}

// @ts-ignore: decorator
@inline
function entryOf(lookup: usize, mask: u32, word: u64): u32 {
  return load<u16>(lookup + (<u32>word & mask));
}

/** WORD_SYMBOLS symbols of a stream. Answers the address of the bit before the next. */
// @ts-ignore: decorator
@inline
function decodeWord(address: u64, out: usize, lookup: usize, mask: u32): u64 {
  let word = loaded(address);
  let entry = entryOf(lookup, mask, word);
  store<u8>(out, entry >> 8);
  word >>= entry;
  entry = entryOf(lookup, mask, word);
  store<u8>(out, entry >> 8, 1);
  word >>= entry;
  entry = entryOf(lookup, mask, word);
  store<u8>(out, entry >> 8, 2);
  word >>= entry;
  entry = entryOf(lookup, mask, word);
  store<u8>(out, entry >> 8, 3);
  word >>= entry;
  entry = entryOf(lookup, mask, word);
  store<u8>(out, entry >> 8, 4);
  word >>= entry;
  return address + clz(word);
}

/** The last `count` symbols of a stream. Answers the address of the byte behind it, or 0 where it goes past `end`. */
function decodeRest(address: u64, end: usize, out: usize, count: u32, lookup: usize, mask: u32): usize {
  for (; count >= WORD_SYMBOLS && <i32>(end - <usize>(address >> 3)) >= 8; count -= WORD_SYMBOLS) {
    address = decodeWord(address, out, lookup, mask);
    out += WORD_SYMBOLS;
  }
  while (count > 0) {
    let word = (wordAt(<usize>(address >> 3), end) >> (address & 7)) | (1 << 63);
    for (let left = min<u32>(count, WORD_SYMBOLS); left > 0; left--) {
      const entry = entryOf(lookup, mask, word);
      store<u8>(out++, entry >> 8);
      word >>= entry;
      count--;
    }
    address += clz(word);
    if (address >= <u64>end << 3) return 0;
  }
  address++;
  return padded(address) ? <usize>((address + 7) >> 3) : 0;
}

/** Answers the address of the byte behind the streams, or 0 where they are not whole. */
function decodeStreams(src: usize, srcEnd: usize, out: usize, count: u32, lookup: usize, mask: u32): usize {
  const bytesA = readVarint(src, srcEnd);
  if (bytesA < 0) return 0;
  src += varintBytes(bytesA);
  const bytesB = readVarint(src, srcEnd);
  if (bytesB < 0) return 0;
  src += varintBytes(bytesB);
  const bytesC = readVarint(src, srcEnd);
  if (bytesC < 0) return 0;
  src += varintBytes(bytesC);
  if (bytesA + bytesB + bytesC > <i64>(srcEnd - src)) return 0;
  const quarter = count >> 2;
  const b = src + <usize>bytesA;
  const c = b + <usize>bytesB;
  const d = c + <usize>bytesC;
  let addressA = (<u64>src << 3) - 1;
  let addressB = (<u64>b << 3) - 1;
  let addressC = (<u64>c << 3) - 1;
  let addressD = (<u64>d << 3) - 1;
  let outA = out;
  let outB = outA + quarter;
  let outC = outB + quarter;
  let outD = outC + quarter;
  const safe = srcEnd - 8;
  let rounds = quarter / WORD_SYMBOLS;
  while (rounds > 0) {
    const furthest = <usize>(max(max(addressA, addressB), max(addressC, addressD)) >> 3);
    if (furthest > safe) break;
    // A round goes on by 7 bytes at most.
    let batch = min<u32>(rounds, (<u32>(safe - furthest) >> 3) + 1);
    rounds -= batch;
    do {
      addressA = decodeWord(addressA, outA, lookup, mask);
      addressB = decodeWord(addressB, outB, lookup, mask);
      addressC = decodeWord(addressC, outC, lookup, mask);
      addressD = decodeWord(addressD, outD, lookup, mask);
      outA += WORD_SYMBOLS;
      outB += WORD_SYMBOLS;
      outC += WORD_SYMBOLS;
      outD += WORD_SYMBOLS;
    } while (--batch > 0);
  }
  const left = quarter - <u32>(outA - out);
  if (decodeRest(addressA, b, outA, left, lookup, mask) != b) return 0;
  if (decodeRest(addressB, c, outB, left, lookup, mask) != c) return 0;
  if (decodeRest(addressC, d, outC, left, lookup, mask) != d) return 0;
  return decodeRest(addressD, srcEnd, outD, left + (count & 3), lookup, mask);
}

/**
 * Answers the bytes read, or -1 where the segment is not whole and right, or has more than `room` symbols. Reads nothing at or
 * past `srcEnd`, writes nothing but the symbols (`huffmanCount` of them; of what they are, where it answers -1, nothing is said).
 */
export function huffmanDecode(src: usize, srcEnd: usize, out: usize, room: u32, scratch: usize): i32 {
  const head = readHead(src, srcEnd);
  if (head < 0) return -1;
  const count = <u32>(head >> 2);
  if (count > room) return -1;
  // Differences of addresses are compared with a sign; a segment that says what it should is shorter.
  if (srcEnd - src > <usize>i32.MAX_VALUE) srcEnd = src + i32.MAX_VALUE;
  let at = src + varintBytes(head);
  const mode = <u32>head & 3;
  if (mode == PLAIN) {
    if (srcEnd - at < count) return -1;
    memory.copy(out, at, count);
    return <i32>(at + count - src);
  }
  if (count < 2 || at == srcEnd) return -1;
  if (mode == SINGLE) {
    memory.fill(out, load<u8>(at), count);
    return <i32>(at + 1 - src);
  }
  if (mode != HUFFMAN) return -1;
  at = readTable(at, srcEnd, scratch);
  // Codes take a bit or more.
  if (at == 0 || srcEnd - at < count >> 3) return -1;
  fillLookup(scratch);
  const lookup = scratch + LOOKUP;
  const mask: u32 = (2 << load<u32>(scratch + LONGEST)) - 2;
  if (count < FOUR_STREAMS) at = decodeRest((<u64>at << 3) - 1, srcEnd, out, count, lookup, mask);
  else at = decodeStreams(at, srcEnd, out, count, lookup, mask);
  return at == 0 ? -1 : <i32>(at - src);
}
