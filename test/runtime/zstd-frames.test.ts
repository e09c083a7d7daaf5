import { TapeError } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { describe, expect, test } from 'vitest';
import { withoutSize } from '../helpers/zstd-frames.js';

const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

describe('decompressAll', async () => {
  const zstd = await runtime.zstd();
  const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 8);
  const other = new TextEncoder().encode('and another frame');
  const frame = zstd.compress(content, 3);

  function refusal(bytes: Uint8Array, mostBytes: number): TapeError {
    try {
      zstd.decompressAll(bytes, mostBytes);
    } catch (error) {
      expect(error).toBeInstanceOf(TapeError);
      return error as TapeError;
    }
    throw new Error('it was not refused');
  }

  test('gives the content of all frames, whether or not they say their sizes', () => {
    const both = join(content, other);
    const skippable = hex('5f2a4d18 03000000 aabbcc');
    for (const first of [frame, withoutSize(frame)]) {
      for (const second of [zstd.compress(other, 1), withoutSize(zstd.compress(other, 1))]) {
        const given = zstd.decompressAll(join(skippable, first, skippable, second), both.length);
        expect(given.constructor).toBe(Uint8Array);
        expect(Buffer.compare(given, both)).toBe(0);
      }
    }
    expect(zstd.decompressAll(new Uint8Array(0), 0).length).toBe(0);
    expect(zstd.decompressAll(withoutSize(zstd.compress(new Uint8Array(0), 1)), 10).length).toBe(0);
  });

  test('refuses more than it may give', () => {
    for (const one of [frame, withoutSize(frame)]) {
      for (const mostBytes of [0, 1, content.length - 1]) expect(refusal(one, mostBytes).code).toBe('TOO_LARGE');
      expect(refusal(join(one, one), 2 * content.length - 1).code).toBe('TOO_LARGE');
      expect(zstd.decompressAll(join(one, one), 2 * content.length).length).toBe(2 * content.length);
    }
  });

  test('makes no room for what a few bytes say', () => {
    // A terabyte in one empty block.
    expect(refusal(hex('28b52ffd e0 0000000000010000 010000'), 2 ** 50).code).toBe('CORRUPT');
    // A hundred times 128 KiB of one byte, in frames that don't and do say so.
    const blocks = Array.from({ length: 100 }, (_, i) => hex(i < 99 ? '020010 00' : '030010 00'));
    expect(refusal(join(hex('28b52ffd 00 58'), ...blocks), 2 ** 20).code).toBe('TOO_LARGE');
    expect(refusal(join(hex('28b52ffd a0 0000c800'), ...blocks), 2 ** 20).code).toBe('TOO_LARGE');
    expect(zstd.decompressAll(join(hex('28b52ffd 00 58'), ...blocks), 2 ** 24).length).toBe(100 * 2 ** 17);
  });

  test('refuses frames that are cut, or have anything behind them', () => {
    for (const one of [frame, withoutSize(frame)]) {
      for (let length = 1; length < one.length; length += length < 30 ? 1 : 97) {
        expect(refusal(join(frame, one.subarray(0, length)), 2 ** 20).code).toBe('CORRUPT');
      }
      expect(refusal(join(one, Uint8Array.of(0)), 2 ** 20).code).toBe('CORRUPT');
    }
    expect(refusal(hex('502a4d18 04000000 aabbcc'), 2 ** 20).code).toBe('CORRUPT');
  });

  test('of any damage makes CORRUPT, or no more than it may give', () => {
    const frames = join(frame, withoutSize(frame));
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 48271) % 0x7fffffff;
      return seed % below;
    };
    for (let round = 0; round < 300; round++) {
      const damaged = frames.slice();
      // Now and then in a header.
      const at = round % 3 === 0 ? frame.length + random(20) : random(frames.length);
      damaged[at] ^= 1 << random(8);
      try {
        expect(zstd.decompressAll(damaged, 700_000).length).toBeLessThanOrEqual(700_000);
      } catch (error) {
        expect(error).toBeInstanceOf(TapeError);
        expect(['CORRUPT', 'TOO_LARGE']).toContain((error as TapeError).code);
      }
    }
  });
});
