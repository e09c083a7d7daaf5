import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HUFFMAN_SCRATCH_BYTES, HUFFMAN_SEGMENT_OVERHEAD, HUFFMAN_SLACK_BYTES } from '../../dist/assembly/layout.js';
import { bytes, CHUNK, END, expectSame, guarded, kernels, OUT, SCRATCH, SOURCE, untouched } from './memory.js';

const PLAIN = 0;
const SINGLE = 1;
const HUFFMAN = 2;

// ---- the format, from its description ---------------------------------------------------------------------------------

interface Decoded {
  mode: number;
  symbols: Uint8Array;
  bytes: number;
  /** Of the streams, without padding. */
  bits: number;
}

/** Decodes bit by bit. Throws where a segment is not whole, not right, or of more symbols than `room`. */
function decoded(segment: Uint8Array, room: number): Decoded {
  let bit = 0;
  let end = segment.length * 8;
  const take = (count: number): number => {
    if (bit + count > end) throw new Error('cut short');
    let value = 0;
    for (let i = 0; i < count; i++, bit++) value += ((segment[bit >> 3] >> (bit & 7)) & 1) * 2 ** i;
    return value;
  };
  const pad = () => {
    if (take(-bit & 7) !== 0) throw new Error('bits in the padding');
  };
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < 5; i++) {
      const byte = take(8);
      value += (byte & 127) * 128 ** i;
      if (byte < 128) {
        if (byte === 0 && i > 0) throw new Error('a varint longer than it need be');
        return value;
      }
    }
    throw new Error('a varint without end');
  };

  const head = varint();
  const mode = head % 4;
  const count = Math.floor(head / 4);
  if (count > 2 ** 30 || count > room) throw new Error('too many symbols');
  const symbols = new Uint8Array(count);
  if (mode === PLAIN) {
    for (let i = 0; i < count; i++) symbols[i] = take(8);
    return { mode, symbols, bytes: bit / 8, bits: 0 };
  }
  if (count < 2 || mode === 3) throw new Error('no such mode');
  if (mode === SINGLE) return { mode, symbols: symbols.fill(take(8)), bytes: bit / 8, bits: 0 };

  const first = take(8);
  const last = take(8);
  const lengths = new Map<number, number>();
  let length = 6;
  let symbol = first;
  while (symbol <= last) {
    const item = take(2);
    if (item === 3) {
      const what = take(2);
      if (what === 0) length += 2;
      if (what === 1) length -= 2;
      if (what === 2) {
        symbol += take(4) + 1;
        if (symbol > last) throw new Error('a run over the last symbol');
        continue;
      }
      if (what === 3) length = take(4);
    } else {
      length += [0, 1, -1][item];
    }
    if (length < 1 || length > 11) throw new Error('no such length');
    lengths.set(symbol++, length);
  }
  pad();
  /** By code, with a one before its highest bit. */
  const codes = new Map<number, number>();
  let next = 0;
  for (let length = 1; length <= 11; length++) {
    for (const [symbol, its] of lengths) if (its === length) codes.set(2 ** length + next++, symbol);
    next *= 2;
  }
  if (next !== 2 ** 12) throw new Error('no complete code');

  let bits = 0;
  const stream = (from: number, to: number) => {
    const start = bit;
    for (let i = from; i < to; i++) {
      let code = 1;
      let symbol: number | undefined;
      while (symbol === undefined) {
        code = code * 2 + take(1);
        symbol = codes.get(code);
      }
      symbols[i] = symbol;
    }
    bits += bit - start;
    pad();
  };
  if (count < 1024) {
    stream(0, count);
  } else {
    const streamBytes = [varint(), varint(), varint()];
    const quarter = Math.floor(count / 4);
    streamBytes.forEach((length, i) => {
      end = bit + length * 8;
      if (end > segment.length * 8) throw new Error('streams cut short');
      stream(i * quarter, (i + 1) * quarter);
      if (bit !== end) throw new Error('a stream longer than its codes');
    });
    end = segment.length * 8;
    stream(3 * quarter, count);
  }
  return { mode, symbols, bytes: bit / 8, bits };
}

/** The fewest bits that codes of up to 11 bits can take (package-merge). */
function fewestBits(symbols: Uint8Array): number {
  const counts = new Array<number>(256).fill(0);
  for (const symbol of symbols) counts[symbol]++;
  const leaves = counts.filter((count) => count > 0).sort((a, b) => a - b);
  let packages = leaves;
  for (let length = 1; length < 11; length++) {
    const pairs = Array.from({ length: packages.length >> 1 }, (_, i) => packages[2 * i] + packages[2 * i + 1]);
    packages = [...leaves, ...pairs].sort((a, b) => a - b);
  }
  return packages.slice(0, 2 * leaves.length - 2).reduce((sum, weight) => sum + weight, 0);
}

// ---- segments of every sort -------------------------------------------------------------------------------------------

/** Numbers from 0 to 1. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

const FIBONACCI = [1, 1];
while (FIBONACCI.length < 40) FIBONACCI.push(FIBONACCI.at(-1)! + FIBONACCI.at(-2)!);

const KINDS: Record<string, (count: number, random: () => number) => Uint8Array> = {
  'one symbol': (count, random) => new Uint8Array(count).fill(random() * 256),
  'two symbols': (count, random) => {
    const two = [random() * 256, random() * 256];
    return Uint8Array.from({ length: count }, () => two[random() < 0.1 ? 1 : 0]);
  },
  'one symbol but for one': (count, random) => {
    const symbols = new Uint8Array(count).fill(7);
    symbols[Math.floor(random() * count)] = 200;
    return symbols;
  },
  'all 256, alike': (count, random) => Uint8Array.from({ length: count }, () => random() * 256),
  'all 256, unlike': (count, random) => Uint8Array.from({ length: count }, (_, i) => (i % 2 ? i >> 1 : random() * 9)),
  'a range of 60': (count, random) =>
    Uint8Array.from({ length: count }, () => 100 + Math.min(59, -9 * Math.log(random()))),
  masks: (count, random) => Uint8Array.from({ length: count }, () => (random() < 0.75 ? 0 : 1 << (random() * 8))),
  'far apart': (count, random) =>
    Uint8Array.from({ length: count }, () => [0, 1, 18, 34, 255][Math.floor(random() * 5)]),
  // Codes of 19 bits, were there no limit: the first few quarters have the short ones, the last the long ones.
  'Fibonacci numbers': (count) => {
    const symbols = new Uint8Array(count);
    for (let at = 0, symbol = 0; at < count; symbol++) {
      at += FIBONACCI[symbol];
      symbols.fill(symbol, at - FIBONACCI[symbol], at);
    }
    return symbols.reverse();
  },
};

function encoded(symbols: Uint8Array): Uint8Array {
  const { length } = symbols;
  // At the very end of the memory, where reading a byte too many traps.
  bytes.set(symbols, END - length);
  const size = guarded(SCRATCH, HUFFMAN_SCRATCH_BYTES, () => kernels.huffmanSize(END - length, length, SCRATCH));
  bytes.set(symbols, SOURCE);
  const written = guarded(CHUNK, size + HUFFMAN_SLACK_BYTES, () =>
    guarded(SCRATCH, HUFFMAN_SCRATCH_BYTES, () => kernels.huffmanEncode(SOURCE, length, CHUNK, SCRATCH)),
  );
  expect(written).toBe(size);
  expect(size).toBeLessThanOrEqual(length + HUFFMAN_SEGMENT_OVERHEAD);
  return bytes.slice(CHUNK, CHUNK + size);
}

/** Decodes a segment that ends where the memory does. */
function decode(segment: Uint8Array, room: number, out = OUT): number {
  bytes.set(segment, END - segment.length);
  return guarded(SCRATCH, HUFFMAN_SCRATCH_BYTES, () =>
    kernels.huffmanDecode(END - segment.length, END, out, room, SCRATCH),
  );
}

function roundTrip(symbols: Uint8Array): Decoded {
  const { length } = symbols;
  const segment = encoded(symbols);
  const reference = decoded(segment, length);
  expectSame(reference.symbols, symbols);
  expect(reference.bytes).toBe(segment.length);

  expect(guarded(OUT, length, () => decode(segment, length))).toBe(segment.length);
  expectSame(bytes.subarray(OUT, OUT + length), symbols);
  expect(kernels.huffmanCount(END - segment.length, END)).toBe(length);
  // More room than symbols, and bytes of something else behind the segment.
  bytes.set(segment, CHUNK);
  bytes.fill(0xff, CHUNK + segment.length, CHUNK + segment.length + 64);
  for (const more of [1, 64]) {
    const end = CHUNK + segment.length + more;
    expect(guarded(OUT, length, () => kernels.huffmanDecode(CHUNK, end, OUT, length + 1000, SCRATCH))).toBe(
      segment.length,
    );
    expectSame(bytes.subarray(OUT, OUT + length), symbols);
  }
  // Far more behind it than a segment can have.
  expect(kernels.huffmanDecode(CHUNK, 2 ** 32 - 1, OUT, length, SCRATCH)).toBe(segment.length);
  expectSame(bytes.subarray(OUT, OUT + length), symbols);
  // An output at the very end.
  bytes.set(segment, CHUNK);
  expect(kernels.huffmanDecode(CHUNK, CHUNK + segment.length, END - length, length, SCRATCH)).toBe(segment.length);
  expectSame(bytes.subarray(END - length, END), symbols);
  if (length > 0) expect(untouched(OUT, length, () => decode(segment, length - 1))).toBe(-1);
  return reference;
}

describe.each(Object.entries(KINDS))('%s', (_name, make) => {
  test('every count from 0 to 300, and those around four streams', () => {
    for (let count = 0; count <= 300; count++) roundTrip(make(count, randomFrom(count)));
    for (let count = 1015; count <= 1050; count++) roundTrip(make(count, randomFrom(count)));
  });

  test('any count up to 70,000', () => {
    fc.assert(
      fc.property(fc.integer({ min: 301, max: 70_000 }), fc.nat(), (count, seed) => {
        roundTrip(make(count, randomFrom(seed)));
      }),
      { numRuns: 6 },
    );
  });
});

test('any symbols', () => {
  const symbols = fc
    .integer({ min: 1, max: 256 })
    .chain((most) => fc.array(fc.nat(most - 1), { maxLength: 2500 }).map((list) => Uint8Array.from(list)));
  fc.assert(
    fc.property(symbols, (list) => {
      roundTrip(list);
    }),
    { numRuns: 200 },
  );
});

test('the modes that data asks for', () => {
  const mode = (kind: string, count: number) => roundTrip(KINDS[kind](count, randomFrom(1))).mode;
  expect(roundTrip(Uint8Array.of(5)).mode).toBe(PLAIN);
  expect(roundTrip(Uint8Array.of(5, 5)).mode).toBe(SINGLE);
  expect(mode('one symbol', 70_000)).toBe(SINGLE);
  expect(mode('all 256, alike', 70_000)).toBe(PLAIN);
  for (const kind of [
    'two symbols',
    'one symbol but for one',
    'a range of 60',
    'masks',
    'far apart',
    'Fibonacci numbers',
  ]) {
    expect(mode(kind, 70_000), kind).toBe(HUFFMAN);
  }
});

test('Huffman where it takes off more than a 32nd, plain where not', () => {
  const modes = new Set<number>();
  // From all 8 bits of entropy to none.
  for (let least = 0; least < 256; least += 4) {
    const random = randomFrom(least);
    const symbols = Uint8Array.from({ length: 4096 }, () => Math.max(least, random() * 256));
    const { mode, bytes: size, bits } = roundTrip(symbols);
    modes.add(mode);
    if (mode === HUFFMAN) expect(size).toBeLessThan(4096 - 128 + 3);
    // A table of 256 symbols takes up to 258 bytes.
    else if (mode === PLAIN) expect(fewestBits(symbols) / 8 + 258 + 3 * 2 + 4).toBeGreaterThan(4096 - 128);
    else expect(bits).toBe(0);
  }
  expect(modes).toEqual(new Set([PLAIN, HUFFMAN]));
});

test('the best codes where none is cut to 11 bits, and next to them where some are', () => {
  let cut = 0;
  for (const [kind, make] of Object.entries(KINDS)) {
    for (const count of [100, 900, 3000, 10_000, 65_536]) {
      const symbols = make(count, randomFrom(count));
      const { mode, bits } = roundTrip(symbols);
      if (mode !== HUFFMAN) continue;
      const fewest = fewestBits(symbols);
      expect(bits, kind).toBeGreaterThanOrEqual(fewest);
      expect(bits, kind).toBeLessThanOrEqual(fewest * (kind === 'Fibonacci numbers' ? 1.01 : 1.0005));
      if (bits > fewest) cut++;
      if (count === 100) expect(bits, kind).toBe(fewest);
    }
  }
  expect(cut).toBeGreaterThan(0);
});

// ---- by hand ----------------------------------------------------------------------------------------------------------

const text = (characters: string) => new TextEncoder().encode(characters);

test('a segment of one stream, byte by byte', () => {
  // a 0, b 10, c 110, d 111: abacabad is 0 10 0 110 0 10 0 111.
  expect([...encoded(text('abacabad'.repeat(4)))]).toEqual([
    ...[0x82, 0x01], // 32 * 4 + 2
    ...[0x61, 0x64], // a to d
    ...[0b0001_1111, 0b0000_0101], // length 1, one longer, one longer, the same
    ...[0b00110010, 0b10111001, 0b01001100, 0b00101110, 0b10010011, 0b11001011, 0b11100100],
  ]);
});

test('a segment of four streams, byte by byte', () => {
  // a 0, d 1
  const symbols = text('ad'.repeat(514)).subarray(0, 1027);
  expect([...encoded(symbols)]).toEqual([
    ...[0x8e, 0x20], // 1027 * 4 + 2
    ...[0x61, 0x64], // a to d
    ...[0b0001_1111, 0b0001_1011, 0b0000_0000], // length 1, two that don't occur, the same
    ...[32, 32, 32],
    ...new Array(128).fill(0b10101010),
    0b00000010, // 3 symbols more
  ]);
});

test('plain and single segments, byte by byte', () => {
  expect([...encoded(text(''))]).toEqual([0]);
  expect([...encoded(text('q'))]).toEqual([4, 0x71]);
  expect([...encoded(text('abc'))]).toEqual([12, 0x61, 0x62, 0x63]);
  expect([...encoded(text('q'.repeat(1000)))]).toEqual([0xa1, 0x1f, 0x71]);
});

// ---- hostile segments -------------------------------------------------------------------------------------------------

/** The kernel refuses what the reference refuses, and decodes the rest to the same. Answers whether it decoded. */
function checkHostile(segment: Uint8Array, room: number): boolean {
  let reference: Decoded | undefined;
  try {
    reference = decoded(segment, room);
  } catch {
    // Refused.
  }
  const read = guarded(OUT, room, () => decode(segment, room));
  expect(read).toBe(reference?.bytes ?? -1);
  if (reference) expectSame(bytes.subarray(OUT, OUT + reference.symbols.length), reference.symbols);
  return reference !== undefined;
}

const VICTIMS: [string, number][] = [
  ['one symbol', 20],
  ['all 256, alike', 20],
  ['two symbols', 90],
  ['a range of 60', 150],
  ['far apart', 100],
  ['masks', 1100],
  ['a range of 60', 1024],
  ['Fibonacci numbers', 1030],
  ['all 256, unlike', 1025],
];

test.each(VICTIMS)('%s, %i: cut short at any byte: refused', (kind, count) => {
  const segment = encoded(KINDS[kind](count, randomFrom(3)));
  for (let cut = 0; cut < segment.length; cut++) {
    expect(guarded(OUT, count, () => decode(segment.slice(0, cut), count))).toBe(-1);
  }
});

test.each(VICTIMS)('%s, %i: any byte changed', (kind, count) => {
  const segment = encoded(KINDS[kind](count, randomFrom(3)));
  let taken = 0;
  let refused = 0;
  for (let at = 0; at < segment.length; at++) {
    const good = segment[at];
    // Every change of the head, the table and the lengths; of the codes, one bit.
    const changes = at < 40 ? Array.from({ length: 255 }, (_, i) => i + 1) : [1 << (at % 8)];
    for (const change of changes) {
      segment[at] = good ^ change;
      if (checkHostile(segment, count)) taken++;
      else refused++;
    }
    segment[at] = good;
  }
  expect(taken).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(0);
});

test('any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(3000), (segment, room) => {
      checkHostile(segment, room);
    }),
    { numRuns: 1000 },
  );
});

test('any streams behind a table', () => {
  // Codes of 1, 2, 3 and 3 bits.
  const table = [0, 3, 0b0001_1111, 0b0000_0101];
  let taken = 0;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 900 }), fc.integer({ min: 2, max: 3000 }), (streams, count) => {
      if (checkHostile(Uint8Array.of(...varint(count * 4 + HUFFMAN), ...table, ...streams), 3000)) taken++;
    }),
    { numRuns: 1000 },
  );
  expect(taken).toBeGreaterThan(0);
});

function varint(value: number): number[] {
  return value < 128 ? [value] : [128 + (value % 128), ...varint(Math.floor(value / 128))];
}

test('streams moved against their lengths, bits in the padding: refused', () => {
  const symbols = text('ad'.repeat(514)).subarray(0, 1027);
  const segment = encoded(symbols);
  for (const [from, to] of [
    [7, 8],
    [8, 9],
    [9, 8],
    [8, 7],
  ]) {
    const moved = segment.slice();
    moved[from]--;
    moved[to]++;
    expect(checkHostile(moved, 1027)).toBe(false);
  }
  for (const length of [7, 8, 9]) {
    for (const value of [0, 31, 33, 127]) {
      const wrong = segment.slice();
      wrong[length] = value;
      expect(checkHostile(wrong, 1027)).toBe(false);
    }
    // 2^35 - 1 bytes.
    const far = [...segment.slice(0, length), 255, 255, 255, 255, 127, ...segment.slice(length + 1)];
    expect(checkHostile(Uint8Array.from(far), 1027)).toBe(false);
  }
  for (let bit = 3; bit < 8; bit++) {
    const wrong = segment.slice();
    wrong[wrong.length - 1] |= 1 << bit;
    expect(checkHostile(wrong, 1027)).toBe(false);
  }
});

test('codes that are not complete, or more than there are: refused', () => {
  const streams = new Array(40).fill(0);
  const item = (length: number) => 15 + 16 * length;
  const segment = (...lengths: number[]) =>
    Uint8Array.of(16 * 4 + HUFFMAN, 0, lengths.length - 1, ...lengths.map(item), ...streams);
  expect(checkHostile(segment(1, 2, 3, 3), 16)).toBe(true);
  expect(checkHostile(segment(1, 2, 3, 4), 16)).toBe(false);
  expect(checkHostile(segment(1, 2, 2, 3), 16)).toBe(false);
  expect(checkHostile(segment(1), 16)).toBe(false);
  expect(checkHostile(segment(1, 1, 11), 16)).toBe(false);
  expect(checkHostile(segment(0, 1, 1), 16)).toBe(false);
  expect(checkHostile(segment(1, 12, 1), 16)).toBe(false);
  expect(checkHostile(segment(...new Array(256).fill(8)), 16)).toBe(true);
  expect(checkHostile(segment(...new Array(256).fill(1)), 16)).toBe(false);
  // Every length there is.
  expect(checkHostile(segment(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11), 16)).toBe(true);
});

test('heads that are wrong: refused', () => {
  const count = (...head: number[]) => {
    const segment = Uint8Array.from(head);
    bytes.set(segment, END - segment.length);
    return kernels.huffmanCount(END - segment.length, END);
  };
  expect(count(...varint(2 ** 30 * 4))).toBe(2 ** 30);
  expect(count(...varint(2 ** 30 * 4 + 3))).toBe(2 ** 30);
  expect(count(...varint(2 ** 30 * 4 + 4))).toBe(-1);
  expect(count(255, 255, 255, 255, 127)).toBe(-1);
  expect(count(255, 255, 255, 255, 255, 1)).toBe(-1);
  expect(count(0x80, 0)).toBe(-1);
  expect(count(0x84)).toBe(-1);
  expect(count()).toBe(-1);
  expect(kernels.huffmanCount(CHUNK, CHUNK - 1)).toBe(-1);
  expect(untouched(OUT, 100, () => kernels.huffmanDecode(CHUNK, CHUNK - 1, OUT, 100, SCRATCH))).toBe(-1);
  const refused = (room: number, ...segment: number[]) =>
    expect(untouched(OUT, 100, () => decode(Uint8Array.from(segment), room))).toBe(-1);
  // Mode 3; single and Huffman of one symbol or none; single without its symbol.
  refused(100, 8 * 4 + 3, 1, 2, 3, 4, 5, 6, 7, 8);
  refused(100, 1, 65);
  refused(100, 4 + SINGLE, 65);
  refused(100, 4 + HUFFMAN, 0, 1, 0b0001_1111, 0, 0);
  refused(100, 8 + SINGLE);
  // Counts far over what there is, or may be.
  refused(100, ...varint(2 ** 30 * 4 + SINGLE), 65);
  refused(2 ** 32 - 1, ...varint(2 ** 30 * 4 + PLAIN), 65);
  refused(2 ** 32 - 1, ...varint(2 ** 30 * 4 + HUFFMAN), 0, 1, 0b0001_1111, 0, 0);
  refused(1000, ...varint(1000 * 4 + HUFFMAN), 0, 1, 0b0001_1111, 0, 0, 0, 0);
});
