import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytes, END, kernels, SOURCE } from './memory.js';

const MASK = 2n ** 64n - 1n;
const PRIME_1 = 11400714785074694791n;
const PRIME_2 = 14029467366897019727n;
const PRIME_3 = 1609587929392839161n;
const PRIME_4 = 9650029242287828579n;
const PRIME_5 = 2870177450012600261n;

const rotate = (value: bigint, by: bigint) => ((value << by) | (value >> (64n - by))) & MASK;
const round = (accumulator: bigint, lane: bigint) =>
  (rotate((accumulator + lane * PRIME_2) & MASK, 31n) * PRIME_1) & MASK;

/** XXH64 as the specification words it, step by step. */
function reference(input: Uint8Array, seed: bigint): bigint {
  const read = (at: number, width: number) => {
    let value = 0n;
    for (let i = width - 1; i >= 0; i--) value = (value << 8n) | BigInt(input[at + i]);
    return value;
  };
  let at = 0;
  let accumulator: bigint;
  if (input.length < 32) {
    accumulator = (seed + PRIME_5) & MASK;
  } else {
    const lanes = [seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1].map((lane) => lane & MASK);
    for (; at + 32 <= input.length; at += 32) {
      for (let lane = 0; lane < 4; lane++) lanes[lane] = round(lanes[lane], read(at + lane * 8, 8));
    }
    accumulator = rotate(lanes[0], 1n) + rotate(lanes[1], 7n) + rotate(lanes[2], 12n) + rotate(lanes[3], 18n);
    for (const lane of lanes) accumulator = ((accumulator ^ round(0n, lane)) * PRIME_1 + PRIME_4) & MASK;
  }
  accumulator = (accumulator + BigInt(input.length)) & MASK;
  for (; at + 8 <= input.length; at += 8) {
    accumulator ^= round(0n, read(at, 8));
    accumulator = (rotate(accumulator, 27n) * PRIME_1 + PRIME_4) & MASK;
  }
  if (at + 4 <= input.length) {
    accumulator ^= (read(at, 4) * PRIME_1) & MASK;
    accumulator = (rotate(accumulator, 23n) * PRIME_2 + PRIME_3) & MASK;
    at += 4;
  }
  for (; at < input.length; at++) {
    accumulator ^= (read(at, 1) * PRIME_5) & MASK;
    accumulator = (rotate(accumulator, 11n) * PRIME_1) & MASK;
  }
  accumulator ^= accumulator >> 33n;
  accumulator = (accumulator * PRIME_2) & MASK;
  accumulator ^= accumulator >> 29n;
  accumulator = (accumulator * PRIME_3) & MASK;
  return accumulator ^ (accumulator >> 32n);
}

function xxh64(input: Uint8Array, seed: bigint, address = SOURCE): bigint {
  bytes.set(input, address);
  return BigInt.asUintN(64, kernels.xxh64(address, input.length, seed));
}

/** The buffer that xxHash's own sanity check hashes parts of. */
function sanityBuffer(length: number): Uint8Array {
  let generator = 2654435761n;
  return Uint8Array.from({ length }, () => {
    const byte = Number(generator >> 56n);
    generator = (generator * 11400714785074694797n) & MASK;
    return byte;
  });
}

describe('xxh64', () => {
  const PRIME32 = 2654435761n;

  // cli/xsum_sanity_check.c of xxHash.
  test.each([
    [0, 0n, 0xef46db3751d8e999n],
    [0, PRIME32, 0xac75fda2929b17efn],
    [1, 0n, 0xe934a84adb052768n],
    [1, PRIME32, 0x5014607643a9b4c3n],
    [4, 0n, 0x9136a0dca57457een],
    [14, 0n, 0x8282dcc4994e35c8n],
    [14, PRIME32, 0xc3bd6bf63deb6df0n],
    [222, 0n, 0xb641ae8cb691c174n],
    [222, PRIME32, 0x20cb8ab7ae10c14an],
  ])('%i bytes of the sanity buffer, seed %i', (length, seed, expected) => {
    const input = sanityBuffer(length);
    expect(xxh64(input, seed)).toBe(expected);
    expect(reference(input, seed)).toBe(expected);
  });

  test.each([
    ['a', 0xd24ec4f1a98c6e5bn],
    ['abc', 0x44bc2cf5ad770999n],
    ['Nobody inspects the spammish repetition', 0xfbcea83c8a378bf1n],
  ])('%s', (text, expected) => {
    expect(xxh64(new TextEncoder().encode(text), 0n)).toBe(expected);
  });

  test('agrees with the reference at every length, alignment and seed', () => {
    for (let length = 0; length <= 300; length++) {
      const input = sanityBuffer(length);
      expect(xxh64(input, BigInt(length), SOURCE + (length % 8))).toBe(reference(input, BigInt(length)));
    }
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.bigInt({ min: 0n, max: MASK }),
        fc.nat(7),
        (input, seed, alignment) => {
          expect(xxh64(input, seed, SOURCE + alignment)).toBe(reference(input, seed));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('reads nothing past its input', () => {
    for (let length = 0; length <= 70; length++) {
      const input = sanityBuffer(length);
      expect(xxh64(input, 1n, END - length)).toBe(reference(input, 1n));
    }
  });
});
