import { describe, expect, test } from 'vitest';
import { BLOCK_MAGIC } from '../../dist/src/block/header.js';
import { hash64 } from '../../dist/src/hash.js';
import { Catalog, holdersOf, lastSegmentNumber, listSegments } from '../../dist/src/segment/catalog.js';
import { encodeFooter } from '../../dist/src/segment/footer.js';
import { withSegment } from '../../dist/src/segment/reader.js';
import { EPOCH, TAPE_ID } from '../helpers/bench.js';
import { resealHeader } from '../helpers/blocks.js';
import { MemoryFiles, systemError } from '../helpers/memory-files.js';
import { blocks, rows, SmallTape } from '../helpers/small-tape.js';

const PAGE = 4096;
const sequences = blocks.map(({ header }) => header.sequence);
const found = ({ blocks: all }: Catalog) => all.map(({ sequence }) => sequence);

/** What a reader that comes by finds. */
function look(files: MemoryFiles, ...directories: string[]): Catalog {
  const catalog = new Catalog(files, directories);
  catalog.refresh(TAPE_ID);
  return catalog;
}

/** One storage node, /d0, of which the segment is this. */
function withOne(change: (bytes: Uint8Array) => Uint8Array, sealed = true) {
  const tape = new SmallTape(1, sealed);
  tape.restore(change(tape.originals[0].slice()));
  return tape;
}

const fill = (from: number, to: number, value: number) => (bytes: Uint8Array) => bytes.fill(value, from, to);

describe('a damaged segment is listed with its reason, and', () => {
  test.each<[string, (bytes: Uint8Array) => Uint8Array, RegExp]>([
    ['whose header is all zeros', fill(0, PAGE, 0), /does not begin as a segment/],
    ['whose header is noise', fill(0, PAGE, 0x5a), /does not begin as a segment/],
    [
      'whose header is full of the magic of blocks',
      (bytes) => bytes.fill(BLOCK_MAGIC as never, 0, PAGE),
      /does not begin/,
    ],
    ['whose version was changed', fill(8, 9, 7), /checksum of its header/],
    ['whose tape id was changed', fill(16, 20, 0), /checksum of its header/],
    ['whose footer is zeros', (bytes) => bytes.fill(0, bytes.length - 192), /^never$/],
    [
      'whose footer was changed',
      (bytes) => bytes.fill(1, bytes.length - 192, bytes.length - 190),
      /its footer is damaged/,
    ],
    ['whose footer is cut', (bytes) => bytes.subarray(0, bytes.length - 8), /from byte \d+ on it holds no whole block/],
    [
      'whose header and footer are gone',
      (bytes) => bytes.fill(0xff, bytes.length - 192).fill(0xff, 0, PAGE),
      /does not begin as a segment/,
    ],
  ])('%s: its blocks are found', (_, change, reason) => {
    const { files, segments } = withOne((bytes) => change(Buffer.from(bytes.buffer)));
    const catalog = look(files, '/d0');
    expect(found(catalog)).toEqual(sequences);
    const expected = { path: segments[0], storage: 0, reason: expect.stringMatching(reason) };
    // Zeros behind the last block are how a segment looks that is being written.
    expect(catalog.damaged).toEqual(reason.source === '^never$' ? [] : [expected]);
  });

  test.each<[string, Uint8Array]>([
    ['of no byte', new Uint8Array(0)],
    ['of one byte', new Uint8Array(1)],
    ['of noise', new Uint8Array(100_000).map((_, i) => (i * 7919) >> 3)],
    ['of zeros', new Uint8Array(100_000)],
  ])('%s: it holds nothing', (_, bytes) => {
    const tape = withOne(() => bytes);
    const catalog = look(tape.files, '/d0');
    expect(found(catalog)).toEqual([]);
    expect(catalog.damaged.map(({ path }) => path)).toEqual(tape.segments);
    expect([...catalog.segments.values()][0]).toMatchObject({ header: null, epoch: 0, fingerprint: null, entries: [] });
  });

  test.each([true, false])('without a header, of another tape (with a footer: %s): it holds nothing', (sealed) => {
    const tape = withOne(fill(0, PAGE, 0), sealed);
    const catalog = new Catalog(tape.files, ['/d0']);
    catalog.refresh(TAPE_ID.map((byte) => byte ^ 1));
    expect(found(catalog)).toEqual([]);
    expect([...catalog.segments.values()][0]).toMatchObject({ header: null, epoch: 0, fingerprint: null, entries: [] });
    // Of whatever tape: all of them.
    const any = new Catalog(tape.files, ['/d0']);
    any.refresh(null);
    expect(found(any)).toEqual(sequences);
  });

  test('cut within a block: the blocks before it are found, and the cut one as a copy that is bad', async () => {
    const tape = withOne((bytes) => bytes.subarray(0, bytes.length - 400));
    const catalog = look(tape.files, '/d0');
    expect(catalog.damaged).toMatchObject([{ reason: expect.stringMatching(/cut at byte \d+, within a block/) }]);
    expect(found(catalog)).toEqual(sequences);
    await expect(tape.read()).rejects.toMatchObject({ code: 'BLOCK_DAMAGED' });
  });

  test('without a header: its epoch is that of its blocks', () => {
    for (const sealed of [true, false]) {
      const { files } = withOne(fill(0, 64, 0), sealed);
      expect([...look(files, '/d0').segments.values()][0]).toMatchObject({ header: null, epoch: EPOCH, sealed });
    }
  });

  test('without a header and a footer: blocks that are not whole are none, as recovery may have given their sequences again', () => {
    const { files } = withOne((bytes) => {
      bytes[PAGE + 1000] ^= 1;
      return bytes.fill(0, 0, PAGE);
    }, false);
    expect(found(look(files, '/d0'))).toEqual(sequences.slice(1));
  });
});

describe('what stops it:', () => {
  const reseal = (bytes: Uint8Array) => {
    new DataView(bytes.buffer).setBigUint64(PAGE - 8, hash64(bytes.subarray(0, PAGE - 8)), true);
    return bytes;
  };

  test('a good header of another tape', () => {
    const { files } = withOne((bytes) => reseal(fill(16, 17, 1)(bytes)));
    expect(() => look(files, '/d0')).toThrow(expect.objectContaining({ code: 'FOREIGN' }));
  });

  test('a good header of a later version', () => {
    const { files } = withOne((bytes) => reseal(fill(8, 9, 2)(bytes)));
    expect(() => look(files, '/d0')).toThrow(expect.objectContaining({ code: 'BAD_VERSION' }));
  });

  test('two different blocks of one sequence, each time it is looked at', () => {
    const tape = new SmallTape(2, true);
    tape.restore(
      (() => {
        const bytes = tape.originals[0].slice();
        // Another epoch in the header of the first block: it is another one.
        bytes[PAGE + 52] ^= 1;
        const headerBytes = new DataView(bytes.buffer).getUint32(PAGE + 12, true);
        resealHeader(bytes.subarray(PAGE), headerBytes);
        return bytes.subarray(0, bytes.length - 192);
      })(),
    );
    const catalog = new Catalog(tape.files, tape.storage);
    for (let i = 0; i < 2; i++) {
      expect(() => catalog.refresh(TAPE_ID)).toThrow(expect.objectContaining({ code: 'CONFLICT' }));
    }
    tape.files.remove(tape.segments[0]);
    catalog.refresh(TAPE_ID);
    expect(found(catalog)).toEqual(sequences);
  });
});

test('a footer that lies: what it says of a block is checked where the block is read', async () => {
  const tape = new SmallTape(2, true);
  const [whole] = tape.originals;
  const { entries, offset } = withSegment(tape.files, tape.segments[0], (reader) => reader.footer())!;
  for (const lie of [{ leastNs: 5n }, { greatestNs: 2n ** 62n }, { symbolMask: 0n }, { blockBytes: 1000 }]) {
    const bytes = whole.slice();
    bytes.set(encodeFooter([{ ...entries[0], ...lie }, entries[1]], offset), offset);
    tape.restore(bytes);
    const { damaged } = await tape.verify(2);
    expect(damaged.map(({ block }) => block)).toContain(0n);
  }
});

describe('a file that the system does not give', () => {
  class Failing extends MemoryFiles {
    failing: string | null = null;
    atByte = 0;
    code = 'EIO';
    override open(file: string, mode: 'read' | 'edit' | 'make' | 'new') {
      const handle = super.open(file, mode);
      return new Proxy(handle, {
        get: (target, name) => {
          if (name === 'read') {
            return (into: Uint8Array, at: number) => {
              if (file === this.failing && at + into.length > this.atByte) throw systemError(this.code, file);
              return target.read(into, at);
            };
          }
          const value = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    }
  }

  const failing = (sealed: boolean) => {
    const tape = new SmallTape(2, sealed);
    const files = new Failing();
    for (const file of tape.segments) files.set(file, tape.files.get(file));
    return { tape, files };
  };

  test.each(['EIO', 'EACCES'])('(%s) is damaged, and is read again when it does', (code) => {
    const { tape, files } = failing(true);
    files.failing = tape.segments[0];
    files.code = code;
    const catalog = look(files, ...tape.storage);
    expect(catalog.damaged).toEqual([{ path: tape.segments[0], storage: 0, reason: expect.stringContaining(code) }]);
    expect(catalog.blocks.map(holdersOf)).toEqual(blocks.map(() => new Set([1])));
    files.failing = null;
    catalog.refresh(TAPE_ID);
    expect(catalog.damaged).toEqual([]);
    expect(catalog.blocks.map(holdersOf)).toEqual(blocks.map(() => new Set([0, 1])));
  });

  test('from some byte on: what comes before it is there, and recovery would not seal it', () => {
    const { tape, files } = failing(false);
    files.failing = tape.segments[0];
    files.atByte = PAGE + blocks[0].header.blockBytes;
    const catalog = look(files, ...tape.storage);
    expect(catalog.blocks.map((block) => holdersOf(block).size)).toEqual([2, 1]);
    expect(catalog.segments.get(tape.segments[0])).toMatchObject({ header: null, sealed: false });
  });

  test('after it did: what was found in it stays known', () => {
    const { tape, files } = failing(false);
    const catalog = look(files, ...tape.storage);
    files.failing = tape.segments[0];
    catalog.refresh(TAPE_ID);
    expect(catalog.blocks.map((block) => holdersOf(block).size)).toEqual([2, 2]);
    expect(catalog.damaged.length).toBe(1);
  });
});

test('a block whose copies move to other files stays what it is for a scan that is under way', async () => {
  const tape = new SmallTape(1, true);
  const catalog = look(tape.files, '/d0');
  const before = catalog.blocks;
  tape.files.set('/d0/repair-00000001.ttseg', tape.originals[0]);
  tape.files.remove(tape.segments[0]);
  catalog.refresh(TAPE_ID);
  for (const [i, block] of before.entries()) expect(catalog.blocks[i]).toBe(block);
  expect(before.map(({ copies }) => copies.map(({ path }) => path))).toEqual(
    blocks.map(() => ['/d0/repair-00000001.ttseg']),
  );
  tape.files.remove('/d0/repair-00000001.ttseg');
  catalog.refresh(TAPE_ID);
  expect(catalog.blocks).toEqual([]);
});

describe('segments by repair', () => {
  const names = [
    'segment-00000002.ttseg',
    'repair-00000009.ttseg',
    'segment-00000001.ttseg',
    'repair-00000002.ttseg',
    'repair-00000003.tmp',
    'repair-1.ttseg',
    'other-00000001.ttseg',
  ];
  const files = new MemoryFiles();
  for (const name of names) files.set(`/d0/${name}`, new Uint8Array(1));

  test('are listed with those by the writer, which does not count them', () => {
    expect(listSegments(files, '/d0')).toEqual([
      'segment-00000001.ttseg',
      'repair-00000002.ttseg',
      'segment-00000002.ttseg',
      'repair-00000009.ttseg',
    ]);
    expect(lastSegmentNumber(files, '/d0')).toBe(2);
    expect(lastSegmentNumber(files, '/none')).toBe(0);
  });

  test('hold copies as any other; two on one storage node count as one', async () => {
    const tape = new SmallTape(2, true);
    tape.files.set('/d0/repair-00000001.ttseg', tape.originals[0]);
    tape.files.remove(tape.segments[1]);
    const catalog = look(tape.files, ...tape.storage);
    expect(catalog.blocks.map(({ copies }) => copies.length)).toEqual([2, 2]);
    expect(catalog.blocks.map(holdersOf)).toEqual([new Set([0]), new Set([0])]);
    expect(await tape.verify(2)).toMatchObject({ copies: 4, underReplicated: 2 });
    expect(await tape.verify(1)).toMatchObject({ copies: 4, underReplicated: 0 });
  });
});

describe('a segment that changes while the catalog is read', () => {
  test('is removed between listing and opening it', () => {
    const tape = new SmallTape(2, true);
    class Hasty extends MemoryFiles {
      override list(directory: string): string[] {
        const names = super.list(directory);
        this.remove(tape.segments[0]);
        return names;
      }
    }
    const files = new Hasty();
    for (const file of tape.segments) files.set(file, tape.files.get(file));
    const catalog = look(files, ...tape.storage);
    expect(catalog.blocks.map(holdersOf)).toEqual([new Set([1]), new Set([1])]);
    expect(catalog.damaged).toEqual([]);
  });

  test('is sealed without a block that was not whole: that copy is forgotten', () => {
    const tape = new SmallTape(1, false);
    const catalog = look(tape.files, '/d0');
    expect(found(catalog)).toEqual(sequences);
    const [first] = [...catalog.segments.values()][0].entries;
    const end = first.offset + first.blockBytes;
    const footer = encodeFooter([first], end);
    tape.files.set(tape.segments[0], Buffer.concat([tape.originals[0].subarray(0, end), footer]));
    catalog.refresh(TAPE_ID);
    expect(found(catalog)).toEqual([0n]);
  });

  test.each([true, false])('is mended (sealed: %s): its damage is no more', (sealed) => {
    const tape = withOne(fill(0, 8, 0), sealed);
    const catalog = look(tape.files, '/d0');
    expect(catalog.damaged.length).toBe(1);
    tape.files.set(tape.segments[0], tape.originals[0]);
    catalog.refresh(TAPE_ID);
    expect(catalog.damaged).toEqual([]);
    expect(catalog.blocks.map(({ copies }) => copies.length)).toEqual([1, 1]);
  });
});

describe('the search for blocks takes time and memory by the length of the file', () => {
  const SIZE = 16 * 1024 ** 2;
  /** Bytes read of a file of `SIZE` bytes, and the most at once. */
  function searched(bytes: Uint8Array) {
    const files = new MemoryFiles();
    files.set('/d0/segment-00000001.ttseg', bytes);
    let sum = 0;
    let most = 0;
    const open = files.open.bind(files);
    files.open = (file, mode) => {
      const handle = open(file, mode);
      const read = handle.read.bind(handle);
      handle.read = (into, at) => {
        sum += into.length;
        most = Math.max(most, into.length);
        return read(into, at);
      };
      return handle;
    };
    const start = performance.now();
    const catalog = look(files, '/d0');
    return { blocks: found(catalog), sum, most, ms: performance.now() - start };
  }

  /** What looks like the header of a block of our tape that is `headerBytes` long, every `stride` bytes. */
  function lures(stride: number, headerBytes: number): Uint8Array {
    const bytes = new Uint8Array(SIZE);
    const lure = blocks[0].bytes.slice(0, Math.min(stride, 128));
    new DataView(lure.buffer).setUint32(12, headerBytes, true);
    for (let at = PAGE; at + stride <= SIZE; at += stride) bytes.set(lure, at);
    return bytes;
  }

  test.each<[string, () => Uint8Array]>([
    ['zeros', () => new Uint8Array(SIZE)],
    ['noise', () => new Uint8Array(SIZE).map((_, i) => Math.imul(i, 2654435761) >> 13)],
    ['the magic of blocks', () => new Uint8Array(Buffer.alloc(SIZE, BLOCK_MAGIC))],
    ['beginnings of small headers', () => lures(16, 1024)],
    ['beginnings of headers of a page', () => lures(128, 4096)],
    ['beginnings of headers that are as long as a header may be', () => lures(16, 2 ** 26)],
    ['beginnings of headers of half the file', () => lures(16, SIZE / 2)],
  ])('full of %s', (_, make) => {
    const { blocks: none, sum, most, ms } = searched(make());
    expect(none).toEqual([]);
    expect(sum).toBeLessThan(16 * SIZE);
    expect(most).toBeLessThanOrEqual(SIZE);
    expect(ms).toBeLessThan(20_000);
  });

  test('of small blocks with damage between them, all of which are found', () => {
    const [{ bytes: block }] = blocks;
    const stride = block.length + 64;
    const bytes = new Uint8Array(SIZE).fill(0xee);
    let count = 0;
    for (let at = PAGE; at + stride <= SIZE; at += stride) {
      const copy = block.slice();
      new DataView(copy.buffer).setBigUint64(40, BigInt(count * rows.length), true);
      resealHeader(copy, new DataView(copy.buffer).getUint32(12, true));
      bytes.set(copy, at);
      count++;
    }
    const { blocks: all, sum } = searched(bytes);
    expect(all.length).toBe(count);
    expect(sum).toBeLessThan(8 * SIZE);
  });
});
