import { createHash } from 'node:crypto';
import { bytes, defineSchema, openTape, optional, text, timestamp } from 'ticktape';
import { expect, test } from 'vitest';
import { scratch } from '../helpers/scratch.js';

// Blocks with megabytes of text go through zstd's streaming API; a row buffer holds a quarter of a lane.
const schema = defineSchema('raw', timestamp('ts'), text('message'), optional(bytes('noise')));
const LANE_BYTES = 28 * 1024 ** 2;
const MESSAGE_BYTES = 40_000;

function noise(seed: number): Uint8Array {
  const out = new Uint8Array(32 * 600);
  for (let i = 0; i < out.length; i += 32) {
    out.set(createHash('sha256').update(`${seed} ${i}`).digest(), i);
  }
  return out;
}

test.each(['fast', { zstd: 3 }] as const)(
  'large texts, compression %j: small on disk, and as they were',
  async (compression) => {
    const storage = [scratch()];
    const options = { storage, compression, laneBytes: LANE_BYTES, capacity: 400, segmentBytes: 32 * 1024 ** 2 };
    const tape = await openTape(schema, options);
    const count = 300;
    const message = (i: number) => `${i}: ${'bid 61800.20 ask 61800.30 '.repeat(MESSAGE_BYTES / 26)}`;
    const noisy = (i: number) => (i % 3 === 0 ? noise(i) : null);
    for (let i = 0; i < count; i++) tape.append(BigInt(i), message(i), noisy(i));
    await tape.flush();
    const { rawBytes, storedBytes, blocks } = tape.stats();
    expect(rawBytes).toBeGreaterThan(count * MESSAGE_BYTES);
    expect(blocks).toBeLessThan(5);
    // The noise stays as it is, the texts shrink to next to nothing.
    const noiseBytes = (count / 3) * 32 * 600;
    expect(storedBytes).toBeGreaterThan(noiseBytes);
    expect(storedBytes).toBeLessThan(noiseBytes + 0.02 * count * MESSAGE_BYTES);
    let next = 0;
    for await (const batch of tape.scan()) {
      for (const record of batch.records()) {
        expect(record.ts).toBe(BigInt(next));
        expect(record.message === message(next)).toBe(true);
        const expected = noisy(next);
        if (expected === null) expect(record.noise).toBeNull();
        else expect(Buffer.compare(record.noise!, expected)).toBe(0);
        next++;
      }
    }
    expect(next).toBe(count);
    await tape.close();
  },
);
