import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bytes,
  CHUNK,
  END,
  expectSame,
  guarded,
  kernels,
  OUT,
  putValues,
  SCRATCH,
  SOURCE,
  valuesAt,
} from './memory.js';
import { everyCount, longCounts, wrap } from './values.js';

// ---- the layout, from its description ---------------------------------------------------------------------------------

interface Tokens {
  tokens: number[];
  bits: number;
  low: number[];
}

function tokensOf(values: readonly bigint[]): Tokens {
  const tokens: number[] = [];
  let low = '';
  for (const value of values) {
    const digits = BigInt.asUintN(64, value).toString(2);
    const width = Math.max(digits.length - 3, 0);
    if (digits.length < 3) tokens.push(Number(value));
    else tokens.push(4 * (width + 1) + Number.parseInt(digits.slice(1, 3), 2));
    // The first value's lowest bit first.
    if (width > 0) low += Array.from(digits.slice(-width)).reverse().join('');
  }
  const bits = low.length;
  const packed: number[] = [];
  for (let at = 0; at < bits; at += 8) {
    packed.push(
      Number.parseInt(
        Array.from(low.slice(at, at + 8).padEnd(8, '0'))
          .reverse()
          .join(''),
        2,
      ),
    );
  }
  return { tokens, bits, low: packed };
}

/** Up to so many bytes behind the low bits are written, and read. */
const SLACK = 8;

/** Tokenizes and restores; answers the bytes of low bits, which are at CHUNK, the tokens at SCRATCH. */
function roundTrip(values: readonly bigint[] | BigInt64Array): number {
  const { length } = values;
  putValues(SOURCE, values);
  const size = guarded(SCRATCH, length, () => kernels.tokenize(SOURCE, length, SCRATCH, CHUNK));
  // Once more, now that it is known where they should end.
  guarded(CHUNK, size + SLACK, () => kernels.tokenize(SOURCE, length, SCRATCH, CHUNK));
  expect(Math.ceil(kernels.tokenBits(SCRATCH, length) / 8)).toBe(size);
  // What lies behind the low bits counts for nothing, and the last of them may be the last there are to read but for the slack.
  bytes.copyWithin(END - SLACK - size, CHUNK, CHUNK + size);
  bytes.fill(0xff, END - SLACK);
  guarded(OUT, 8 * length, () => kernels.detokenize(SCRATCH, END - SLACK - size, length, OUT));
  expectSame(valuesAt(OUT, length), values);
  return size;
}

test('every count from 0 to 300: there and back, byte by byte as described', () => {
  everyCount((values) => {
    const expected = tokensOf(values);
    const size = roundTrip(values);
    expectSame(bytes.slice(SCRATCH, SCRATCH + values.length), expected.tokens);
    expectSame(bytes.slice(CHUNK, CHUNK + size), expected.low);
    expect(kernels.tokenBits(SCRATCH, values.length)).toBe(expected.bits);
  });
});

test('long columns', () => {
  longCounts(roundTrip);
});

test('the first and the last value of every token, wherever in a pair', () => {
  for (let token = 0; token < 252; token++) {
    const width = BigInt(Math.max(Math.floor(token / 4) - 1, 0));
    const top = token < 4 ? BigInt(token) : 4n + BigInt(token % 4);
    for (const value of [top << width, ((top + 1n) << width) - 1n].map(wrap)) {
      for (const values of [[value], [value, value], [1n, value], [value, -1n], [-1n, value, value], [7n, 7n, value]]) {
        roundTrip(values);
        expect(bytes[SCRATCH + values.indexOf(value)]).toBe(token);
      }
    }
  }
});

test('by hand', () => {
  putValues(SOURCE, [3n, 9n, 100n, -1n]);
  expect(kernels.tokenize(SOURCE, 4, SCRATCH, CHUNK)).toBe(9);
  // 1001 is 1 00 1: one low bit; 1100100 is 1 10 0100: four; the last one has 61.
  expectSame(bytes.slice(SCRATCH, SCRATCH + 4), [3, 4 * 2, 4 * 5 + 2, 251]);
  expectSame(bytes.slice(CHUNK, CHUNK + 9), [0b1110_1001, 255, 255, 255, 255, 255, 255, 255, 0b11]);
});

test('a token that is none, wherever it stands: refused', () => {
  for (const count of [1, 2, 15, 16, 17, 31, 32, 33, 100]) {
    for (let at = 0; at < count; at++) {
      for (const bad of [252, 253, 254, 255]) {
        bytes.fill(251, SCRATCH, SCRATCH + count);
        expect(kernels.tokenBits(SCRATCH, count)).toBe(61 * count);
        bytes[SCRATCH + at] = bad;
        expect(kernels.tokenBits(SCRATCH, count)).toBe(-1);
      }
    }
  }
});

test('any tokens and bits: restored within bounds', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.uint8Array({ minLength: 1, maxLength: 64 }), (some, noise) => {
      const tokens = some.map((byte) => byte % 252);
      bytes.set(tokens, END - tokens.length);
      const bits = kernels.tokenBits(END - tokens.length, tokens.length);
      const sum = tokens.reduce((total, token) => total + Math.max(Math.floor(token / 4) - 1, 0), 0);
      expect(bits).toBe(sum);
      bytes.set(tokens, SCRATCH);
      const from = END - SLACK - Math.ceil(bits / 8);
      for (let at = from; at < END; at++) bytes[at] = noise[at % noise.length];
      guarded(OUT, 8 * tokens.length, () => kernels.detokenize(SCRATCH, from, tokens.length, OUT));
      expectSame(tokensOf(Array.from(valuesAt(OUT, tokens.length))).tokens, tokens);
    }),
    { numRuns: 200 },
  );
});
