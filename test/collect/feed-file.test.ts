import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkFeedFile, dealLines } from '../../dist/src/collect/sources/feed-file.js';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'ticktape-feed-'));
  file = path.join(directory, 'feed.gz');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function deal(shares: number, chunkBytes?: number): Promise<string[][]> {
  const dealt: string[][] = Array.from({ length: shares }, () => []);
  for await (const { share, lines, bytes } of dealLines(file, shares, chunkBytes)) {
    const text = new TextDecoder().decode(bytes);
    expect(text.endsWith('\n')).toBe(true);
    const got = text.slice(0, -1).split('\n');
    expect(got.length).toBe(lines);
    dealt[share].push(...got);
  }
  return dealt;
}

const numbered = (count: number, width = 1) => Array.from({ length: count }, (_, i) => String(i).padStart(width, '.'));

describe('lines are dealt out in turn, in order', () => {
  test.each([
    ['few', numbered(3), 10, 64],
    ['as many as shares', numbered(4), 4, 64],
    ['longer than a chunk', numbered(50, 300), 4, 64],
    ['of a chunk exactly', numbered(50, 63), 3, 64],
    ['empty ones too', ['', 'a', '', '', 'b', ''], 3, 8],
    ['more than the inflater gives at once', numbered(60_000, 40), 7, 4096],
  ])('%s', async (_, lines, shares, chunkBytes) => {
    const expected = Array.from({ length: shares }, (_, share) => lines.filter((_, i) => i % shares === share));
    writeFileSync(file, gzipSync(lines.map((text) => `${text}\n`).join('')));
    expect(await deal(shares, chunkBytes)).toEqual(expected);
    if (lines.at(-1) !== '') {
      writeFileSync(file, gzipSync(lines.join('\n')));
      expect(await deal(shares, chunkBytes)).toEqual(expected);
    }
  });

  test('of an empty file none', async () => {
    writeFileSync(file, gzipSync(''));
    expect(await deal(2)).toEqual([[], []]);
  });

  test('of two gzip files one behind the other', async () => {
    writeFileSync(file, Buffer.concat([gzipSync('a\nb\n'), gzipSync('c\n')]));
    expect(await deal(2)).toEqual([['a', 'c'], ['b']]);
  });
});

test('a reader may stop early', async () => {
  writeFileSync(file, gzipSync(numbered(100_000, 40).join('\n')));
  for await (const { share } of dealLines(file, 2, 64)) {
    expect(share).toBe(0);
    break;
  }
});

describe('what is refused, naming the file', () => {
  test('one that is not there', async () => {
    await expect(checkFeedFile(file)).rejects.toMatchObject({ code: 'NOT_FOUND', path: file });
    await expect(deal(1)).rejects.toMatchObject({ code: 'NOT_FOUND', path: file });
  });

  test('a directory', async () => {
    await expect(checkFeedFile(directory)).rejects.toMatchObject({ code: 'IO', path: directory });
  });

  test.each([
    ['', 'an empty one'],
    ['1723161255088176367 {}\n', 'one that is not compressed'],
  ])('%j', async (text) => {
    writeFileSync(file, text);
    await expect(checkFeedFile(file)).rejects.toMatchObject({ code: 'BAD_MAGIC', path: file });
  });

  test('one cut short', async () => {
    const compressed = gzipSync(numbered(10_000).join('\n'));
    writeFileSync(file, compressed.subarray(0, compressed.length >> 1));
    await checkFeedFile(file);
    await expect(deal(3)).rejects.toMatchObject({ code: 'CORRUPT', path: file });
  });

  test('one with a byte changed', async () => {
    const compressed = gzipSync(numbered(10_000).join('\n'));
    compressed[compressed.length >> 1] ^= 0xff;
    writeFileSync(file, compressed);
    await expect(deal(3)).rejects.toMatchObject({ code: 'CORRUPT', path: file });
  });
});
