import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytes, CHUNK, END, expectSame, guarded, kernels, memory, OUT, SCRATCH, SOURCE } from './memory.js';

const COUNTS = [...Array(70).keys(), 127, 128, 129, 1000, 10_003];

/** The bits, eight a byte, least significant first. */
function packed(bits: readonly boolean[]): Uint8Array {
  const mask = new Uint8Array(Math.ceil(bits.length / 8));
  bits.forEach((bit, i) => {
    if (bit) mask[Math.floor(i / 8)] |= 2 ** (i % 8);
  });
  return mask;
}

const anyBits = (count: number) => {
  const [{ bits }] = fc.sample(fc.record({ bits: fc.array(fc.boolean(), { minLength: count, maxLength: count }) }), {
    numRuns: 1,
    seed: count,
  });
  return bits;
};

test.each([0, 1, 2, 3, 4, 5, 6, 7])('presenceMask: bit %i of every byte, whatever the other bits', (bit) => {
  for (const count of COUNTS) {
    const column = Uint8Array.from({ length: count }, (_, i) => Math.imul(i + 7 * bit, 0x9e3779b1) >>> 13);
    // Up to the last byte of the memory: reads nothing past it.
    const from = count % 2 === 0 ? SOURCE : END - count;
    bytes.set(column, from);
    const expected = packed(Array.from(column, (byte) => Math.floor(byte / 2 ** bit) % 2 === 1));
    guarded(OUT, expected.length, () => kernels.presenceMask(from, count, bit, OUT));
    expectSame(bytes.slice(OUT, OUT + expected.length), expected);
  }
});

test('expandMask: a byte a row, and how many are present', () => {
  for (const count of COUNTS) {
    const bits = anyBits(count);
    const mask = packed(bits);
    // Bits behind the last row are not looked at.
    if (count % 8 !== 0) mask[mask.length - 1] |= (0xff << (count % 8)) & 0xff;
    const from = count % 2 === 0 ? SOURCE : END - mask.length;
    bytes.set(mask, from);
    const present = guarded(OUT, count, () => kernels.expandMask(from, count, OUT));
    expect(present).toBe(bits.filter((bit) => bit).length);
    expectSame(
      bytes.slice(OUT, OUT + count),
      bits.map((bit) => Number(bit)),
    );
  }
});

test.each([1, 2, 4, 8])('keepPresent: values of %i bytes, elsewhere and in their own place', (width) => {
  for (const count of COUNTS) {
    const bits = anyBits(count);
    const column = Uint8Array.from({ length: count * width }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 13);
    const expected = bits.flatMap((bit, i) => (bit ? [...column.subarray(i * width, (i + 1) * width)] : []));
    bytes.set(packed(bits), SCRATCH);
    for (const out of [OUT, CHUNK]) {
      bytes.set(column, CHUNK);
      const keep = () => kernels.keepPresent(CHUNK, width, SCRATCH, count, out);
      const kept = out === CHUNK ? keep() : guarded(out, count * width, keep);
      expect(kept).toBe(expected.length / width);
      expectSame(new Uint8Array(memory.buffer).slice(out, out + expected.length), expected);
    }
  }
});

test('keepPresent: of a width that there is not, none', () => {
  for (const width of [0, 3, 16, -1]) expect(kernels.keepPresent(CHUNK, width, SCRATCH, 10, OUT)).toBe(0);
});
