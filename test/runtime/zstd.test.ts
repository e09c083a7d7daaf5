import * as zlib from 'node:zlib';
import { TapeError } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { describe, expect, test } from 'vitest';
import { checkZstdFrame } from '../../dist/runtimes/zstd-frame.js';
import { sameBytes } from '../helpers/bench.js';
import { golden, goldenContent } from './zstd-golden.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const zstd = await runtime.zstd();

/** A view of shared memory, not at its start: what columns are. */
const shared = (length: number) => new Uint8Array(new SharedArrayBuffer(length + 24), 8, length);

function make(length: number, byteAt: (i: number) => number): Uint8Array {
  const bytes = shared(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(i);
  return bytes;
}

function random(length: number): Uint8Array {
  let state = 1;
  return make(length, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

const kinds: [string, (length: number) => Uint8Array][] = [
  ['random bytes', random],
  ['bytes that compress', (length) => make(length, (i) => ((i * i) >> 8) & 0x3f)],
  ['zeros', shared],
];

/** The runtime's own decoder, a little at a time; none on Node 20. */
async function decodeInSteps(frame: Uint8Array): Promise<Uint8Array> {
  const stream = zlib.createZstdDecompress({ chunkSize: 100 * KIB });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  const ended = new Promise((resolve, reject) => stream.on('end', resolve).on('error', reject));
  for (let at = 0; at < frame.length; at += 10 * KIB) stream.write(frame.subarray(at, at + 10 * KIB));
  stream.end();
  await ended;
  return Buffer.concat(chunks);
}

async function expectFrameOf(content: Uint8Array, frame: Uint8Array): Promise<void> {
  checkZstdFrame(frame, content.length);
  sameBytes(zstd.decompress(frame, content.length), content);
  if (typeof zlib.createZstdDecompress === 'function') sameBytes(await decodeInSteps(frame), content);
}

describe.each(kinds)('%s', (_, contentOf) => {
  test.each([0, 1, 127 * KIB, 128 * KIB, MIB, 5 * MIB + 1])(
    '%i of them come back from every kind of frame',
    async (length) => {
      const content = contentOf(length);
      const [into, streamed] = [shared(length + (length >> 8) + 128), shared(length + (length >> 8) + 128)];
      for (const level of [1, 3, 19]) {
        const frame = zstd.compress(content, level);
        await expectFrameOf(content, frame);
        const intoBytes = zstd.compressInto(content, level, into);
        sameBytes(into.subarray(0, intoBytes), frame);
        const streamedBytes = await zstd.compressStream(content, level, streamed);
        await expectFrameOf(content, streamed.subarray(0, streamedBytes));
      }
    },
  );

  test('fit where there is just room, and not where there is a byte less', async () => {
    const content = contentOf(300_000);
    const whole = zstd.compress(content, 1);
    const out = shared(whole.length);
    expect(zstd.compressInto(content, 1, out)).toBe(whole.length);
    sameBytes(out, whole);
    expect(zstd.compressInto(content, 1, out.fill(7).subarray(1))).toBe(-1);
    // Nothing is written then: `out` may be where the content lies.
    expect(out.every((byte) => byte === 7)).toBe(true);

    const room = shared(400_000);
    const length = await zstd.compressStream(content, 1, room);
    const exact = shared(length);
    expect(await zstd.compressStream(content, 1, exact)).toBe(length);
    await expectFrameOf(content, exact);
    const around = shared(length + 100).fill(7);
    for (const less of [1, 8, 9, 10, length]) {
      expect(await zstd.compressStream(content, 1, around.subarray(0, length - less))).toBe(-1);
    }
    expect(around.subarray(length - 1).every((byte) => byte === 7)).toBe(true);
  });
});

test('a frame may take the place of its content', () => {
  const content = kinds[1][1](50_000);
  const before = content.slice();
  const length = zstd.compressInto(content, 1, content);
  sameBytes(zstd.decompress(content.subarray(0, length), 50_000), before);
});

test('a stream that stops early leaves nothing behind', async () => {
  const content = random(4 * MIB);
  const out = shared(4 * MIB + 1000);
  for (let i = 0; i < 20; i++) {
    const short = out.subarray(0, (i * MIB) / 5);
    expect(await zstd.compressStream(content, 1, short)).toBe(-1);
  }
  const lengths = await Promise.all([1, 3].map((level) => zstd.compressStream(content, level, shared(4 * MIB + 1000))));
  expect(Math.min(...lengths)).toBeGreaterThan(4 * MIB);
});

test('a stream makes one frame also where that just fills a chunk', async () => {
  // With what frame and blocks add to noise, 1 MiB of output is among these.
  const noise = random(MIB + 100);
  const out = shared(2 * MIB);
  const lengths = new Set<number>();
  for (let length = MIB - 60; length < MIB; length++) {
    const bytes = await zstd.compressStream(noise.subarray(0, length), 1, out);
    lengths.add(bytes);
    checkZstdFrame(out.subarray(0, bytes), length);
  }
  expect(lengths).toContain(MIB);
});

describe('a frame made by a stream', () => {
  const content = kinds[1][1](300_000);

  async function frameOfStream(): Promise<Uint8Array> {
    const out = shared(400_000);
    return out.subarray(0, await zstd.compressStream(content, 1, out));
  }

  test('is refused for another size, cut, or with anything behind it', async () => {
    const frame = await frameOfStream();
    const corrupt = expect.objectContaining({ name: 'TapeError', code: 'CORRUPT' });
    for (const size of [0, content.length - 1, content.length + 1, 2 ** 40]) {
      expect(() => zstd.decompress(frame, size)).toThrow(corrupt);
    }
    for (let length = 0; length < frame.length; length += 37) {
      expect(() => zstd.decompress(frame.subarray(0, length), content.length)).toThrow(corrupt);
    }
    expect(() => zstd.decompress(Buffer.concat([frame, frame]), content.length)).toThrow(corrupt);
  });

  test('of any damage makes CORRUPT or as many bytes as asked for', async () => {
    const frame = await frameOfStream();
    let refused = 0;
    for (let at = 0; at < frame.length; at += at < 40 ? 1 : 29) {
      for (const bit of [1, 16, 128]) {
        const damaged = frame.slice();
        damaged[at] ^= bit;
        try {
          expect(zstd.decompress(damaged, content.length).length).toBe(content.length);
        } catch (error) {
          expect(error).toBeInstanceOf(TapeError);
          expect(error).toMatchObject({ code: 'CORRUPT' });
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(50);
  });
});

describe.each(golden)('a frame made by $by', ({ frame }) => {
  test('is decoded', async () => {
    await expectFrameOf(goldenContent(), Buffer.from(frame, 'base64'));
  });
});
