import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { runtime } from 'ticktape/runtime';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BLOCK_MAGIC, peekHeaderBytes } from '../../dist/src/block/header.js';
import type { Files } from '../../dist/src/files.js';
import { hash64 } from '../../dist/src/hash.js';
import { segmentName } from '../../dist/src/segment/catalog.js';
import {
  type BlockEntry,
  decodeFooter,
  encodeFooter,
  FOOTER_ENTRY_BYTES,
  TRAILER_BYTES,
} from '../../dist/src/segment/footer.js';
import { decodeSegmentHeader, encodeSegmentHeader } from '../../dist/src/segment/header.js';
import { entryOf, SegmentReader } from '../../dist/src/segment/reader.js';
import { SegmentWriter, sealSegmentFile } from '../../dist/src/segment/writer.js';
import { DirectoryStorageNode } from '../../dist/src/storage/directory.js';
import { EPOCH, sameBytes, TAPE_ID } from '../helpers/bench.js';
import { type Block, resealHeader } from '../helpers/blocks.js';
import { scratch } from '../helpers/scratch.js';
import { blocks, readable, recoverable, schema, segmentFile, withReader, writeSegment } from '../helpers/segments.js';

const PAGE = 4096;

// ---- header ---------------------------------------------------------------------------------------------------------------

describe('the header of a segment', () => {
  const header = { tapeId: TAPE_ID, storageNode: 2, number: 9, createdNs: -5n, epoch: EPOCH, schema };
  const bytes = encodeSegmentHeader(header);
  const decode = (of: Uint8Array) => decodeSegmentHeader((offset, length) => of.slice(offset, offset + length), 'file');

  test('is where header.ts says it is', () => {
    const view = new DataView(bytes.buffer);
    expect(bytes.length).toBe(PAGE);
    expect(Buffer.from(bytes.subarray(0, 8)).toString()).toBe('TTSEGMT1');
    expect([8, 12, 32, 36, 56, 60].map((at) => view.getUint32(at, true))).toEqual([
      1,
      PAGE,
      2,
      9,
      EPOCH,
      schema.json.length,
    ]);
    sameBytes(bytes.subarray(16, 32), TAPE_ID);
    expect([view.getBigUint64(40, true), view.getBigInt64(48, true)]).toEqual([schema.fingerprint, -5n]);
    const { length } = schema.json;
    expect(Buffer.from(bytes.subarray(64, 64 + length)).toString()).toBe(schema.json);
    sameBytes(bytes.subarray(64 + length, PAGE - 8), new Uint8Array(PAGE - 72 - length));
    expect(view.getBigUint64(PAGE - 8, true)).toBe(hash64(bytes.subarray(0, PAGE - 8)));
  });

  test('reads back, with its schema', () => {
    const read = decode(bytes);
    if (typeof read === 'string') expect.fail(read);
    const { schema: recorded, ...decoded } = read;
    const { schema: _, ...given } = header;
    expect(decoded).toEqual({ ...given, headerBytes: PAGE, fingerprint: schema.fingerprint });
    expect(recorded.json).toBe(schema.json);
  });

  test('with any byte changed is none, saying why', () => {
    const reasons = new Map<unknown, number>();
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] ^= 0x10;
      const reason = decode(changed);
      if (typeof reason !== 'string') expect.fail(`byte ${at} was changed, and nothing was noticed`);
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    expect(Object.fromEntries(reasons)).toEqual({
      'it does not begin as a segment of ticktape': 8,
      'the length of its header is wrong': 4,
      'the checksum of its header differs': 4096 - 12,
    });
  });

  test('of a later version is refused; not so a changed bit in the version', () => {
    const later = bytes.slice();
    later[8] = 2;
    expect(decode(later)).toBe('the checksum of its header differs');
    new DataView(later.buffer).setBigUint64(PAGE - 8, hash64(later.subarray(0, PAGE - 8)), true);
    expect(() => decode(later)).toThrow(
      expect.objectContaining({ name: 'TapeError', code: 'BAD_VERSION', path: 'file' }),
    );
  });

  test('whose schema is none, or longer than the header, under a right checksum, is none', () => {
    for (const change of [
      (of: Uint8Array) => of.set([0x5b], 64),
      (of: Uint8Array) => new DataView(of.buffer).setUint32(60, 4096 - 71, true),
      (of: Uint8Array) => new DataView(of.buffer).setUint32(60, 2 ** 32 - 1, true),
    ]) {
      const changed = bytes.slice();
      change(changed);
      new DataView(changed.buffer).setBigUint64(PAGE - 8, hash64(changed.subarray(0, PAGE - 8)), true);
      expect(decode(changed)).toMatch('schema');
    }
  });

  test('cut at any byte is none', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(decode(bytes.slice(0, length))).toMatch(/shorter|cut/);
    }
  });

  test('that says it is longer than any is none before it is read', () => {
    for (const value of [2 ** 32 - 4096, 2 ** 18 + 4096, 0, 4097]) {
      const changed = bytes.slice();
      new DataView(changed.buffer).setUint32(12, value, true);
      let most = 0;
      const read = (offset: number, length: number) => {
        most = Math.max(most, length);
        return changed.slice(offset, offset + length);
      };
      expect(decodeSegmentHeader(read, 'file')).toBe('the length of its header is wrong');
      expect(most).toBeLessThan(2 ** 20);
    }
  });
});

// ---- footer ---------------------------------------------------------------------------------------------------------------

describe('the footer of a segment', () => {
  const entries: BlockEntry[] = [
    {
      offset: 4096,
      blockBytes: 800,
      count: 20,
      sequence: 2n ** 40n,
      leastNs: -1n,
      greatestNs: 2n ** 62n,
      symbolMask: 2n ** 63n + 1n,
      headerChecksum: 2n ** 64n - 1n,
    },
    {
      offset: 4896,
      blockBytes: 8,
      count: 1,
      sequence: 2n ** 40n + 20n,
      leastNs: 0n,
      greatestNs: 0n,
      symbolMask: 0n,
      headerChecksum: 7n,
    },
  ];
  const END = 4904;
  const decode = (footer: Uint8Array, end = END) => {
    const file = new Uint8Array(end + footer.length);
    file.set(footer, end);
    return decodeFooter((offset, length) => file.slice(offset, offset + length), file.length);
  };

  test('is where footer.ts says it is', () => {
    const footer = encodeFooter(entries, END);
    const view = new DataView(footer.buffer);
    expect(footer.length).toBe(3 * 64);
    expect([view.getBigUint64(0, true), view.getUint32(8, true), view.getUint32(12, true)]).toEqual([4096n, 800, 20]);
    expect([16, 24, 32, 40, 48, 56].map((at) => view.getBigUint64(at, true))).toEqual([
      2n ** 40n,
      2n ** 64n - 1n,
      2n ** 62n,
      2n ** 63n + 1n,
      2n ** 64n - 1n,
      0n,
    ]);
    expect([view.getBigUint64(64, true), view.getUint32(72, true)]).toEqual([4896n, 8]);
    expect(Buffer.from(footer.subarray(128, 136)).toString()).toBe('TTFOOTR1');
    expect([view.getUint32(136, true), view.getUint32(140, true)]).toEqual([1, 2]);
    expect([144, 152, 160, 168, 176, 184].map((at) => view.getBigUint64(at, true))).toEqual([
      BigInt(END),
      hash64(footer.slice(0, 128)),
      BigInt(END + 192),
      0n,
      0n,
      hash64(footer.slice(128, 184)),
    ]);
  });

  test('reads back', () => {
    expect(decode(encodeFooter(entries, END))).toEqual({ entries, offset: END });
    expect(decode(encodeFooter([], 4096), 4096)).toEqual({ entries: [], offset: 4096 });
  });

  test('of more entries than are hashed at once reads back, and a change beyond the first piece is seen', () => {
    const many = Array.from({ length: 9000 }, (_, i) => ({ ...entries[1], offset: 4096 + 8 * i, sequence: BigInt(i) }));
    const end = 4096 + 8 * 9000;
    const footer = encodeFooter(many, end);
    expect(decode(footer, end)?.entries).toEqual(many);
    // The seed of each piece is the hash of the one before.
    const first = hash64(footer.slice(0, 512 * 1024));
    const view = new DataView(footer.buffer);
    expect(view.getBigUint64(9000 * 64 + 24, true)).toBe(hash64(footer.slice(512 * 1024, 9000 * 64), first));
    for (const at of [0, 512 * 1024 - 1, 512 * 1024, 9000 * 64 - 1]) {
      footer[at] ^= 1;
      expect(decode(footer, end)).toBeNull();
      footer[at] ^= 1;
    }
  });

  test('with any byte changed is none', () => {
    const footer = encodeFooter(entries, END);
    for (let at = 0; at < footer.length; at++) {
      footer[at] ^= 0x04;
      if (decode(footer) !== null) expect.fail(`byte ${at} was changed, and nothing was noticed`);
      footer[at] ^= 0x04;
    }
    expect(decode(footer)).not.toBeNull();
  });

  test('that does not end the file, or is cut, is none', () => {
    const footer = encodeFooter(entries, END);
    for (let length = 0; length < footer.length; length++) expect(decode(footer.subarray(0, length))).toBeNull();
    expect(decode(footer, END + 8)).toBeNull();
    const longer = new Uint8Array(footer.length + 8);
    longer.set(footer);
    expect(decode(longer)).toBeNull();
  });

  test('whose entries lie outside the file, or hold more records than a block may, is none', () => {
    for (const lie of [{ offset: END }, { blockBytes: 2 ** 32 - 1 }, { count: 0 }, { count: 2 ** 32 - 1 }]) {
      expect(decode(encodeFooter([{ ...entries[0], ...lie }, entries[1]], END))).toBeNull();
    }
  });
});

// ---- whole files ------------------------------------------------------------------------------------------------------------

describe('a segment', () => {
  const of = blocks(16, 1, 30, 5);
  const sequences = of.map(({ header }) => header.sequence);

  test('holds its blocks as they were given, one after another, and is exactly as long as they and its footer', () => {
    const directory = scratch();
    const file = segmentFile(directory);
    const offsets = writeSegment(file, of, { seal: true });
    let end = PAGE;
    const content = readFileSync(file);
    of.forEach(({ bytes }, i) => {
      expect(offsets[i]).toBe(end);
      sameBytes(content.subarray(end, end + bytes.length), bytes);
      end += bytes.length;
    });
    expect(content.length).toBe(end + of.length * 64 + 64);
    expect(withReader(file, (reader) => reader.footer())).toMatchObject({ offset: end });
    expect(readable(directory).blocks).toEqual(sequences);
    expect(recoverable(directory)).toMatchObject({ blocks: sequences, report: { openBlocks: 0, tornCopies: 0 } });
  });

  test('without a footer gives the same blocks', () => {
    const directory = scratch();
    writeSegment(segmentFile(directory), of, { seal: false });
    expect(readable(directory).blocks).toEqual(sequences);
    expect(recoverable(directory)).toMatchObject({ blocks: sequences, report: { openBlocks: 4, tornCopies: 0 } });
  });

  test('is there under its name with its header only', () => {
    const directory = scratch();
    const file = segmentFile(directory);
    writeSegment(file, [], { seal: false });
    expect(readdirSync(directory)).toEqual([path.basename(file)]);
    expect(readable(directory).blocks).toEqual([]);
    expect(recoverable(directory).blocks).toEqual([]);
  });
});

describe('a sealed segment', () => {
  const of = blocks(16, 3, 9);
  const sequences = of.map(({ header }) => header.sequence);

  function sealed() {
    const directory = scratch();
    const file = segmentFile(directory);
    const offsets = writeSegment(file, of, { seal: true });
    return { directory, file, offsets, content: readFileSync(file) };
  }

  test('with any byte of its footer changed: the blocks are found by their headers', () => {
    const { directory, file, content } = sealed();
    const fd = openSync(file, 'r+');
    onTestFinished(() => closeSync(fd));
    for (let at = content.length - 4 * 64; at < content.length; at++) {
      writeSync(fd, Uint8Array.of(content[at] ^ 0x20), 0, 1, at);
      const { blocks: found, catalog } = recoverable(directory);
      expect(found).toEqual(sequences);
      expect(catalog.segments.get(file)?.sealed).toBe(false);
      expect(readable(directory).blocks).toEqual(sequences);
      writeSync(fd, content, at, 1, at);
    }
    expect(recoverable(directory).catalog.segments.get(file)?.sealed).toBe(true);
  });

  test('cut anywhere: all whole blocks before the cut are found, and no other', () => {
    const { directory, file, offsets, content } = sealed();
    const ends = of.map(({ bytes }, i) => offsets[i] + bytes.length);
    for (let length = content.length - 1; length >= PAGE; length -= 7) {
      truncateSync(file, length);
      const whole = sequences.filter((_, i) => ends[i] <= length);
      expect(recoverable(directory).blocks).toEqual(whole);
    }
    for (const length of [PAGE - 1, 100, 63, 8, 1, 0]) {
      truncateSync(file, length);
      const reason = expect.stringMatching(/shorter|cut/);
      for (const { blocks: found, catalog } of [recoverable(directory), readable(directory)]) {
        expect(found).toEqual([]);
        expect(catalog.damaged).toEqual([{ path: file, storage: 0, reason }]);
      }
    }
  });

  test('cut anywhere, with the space behind it as a preallocated file has it', () => {
    const { directory, file, offsets, content } = sealed();
    const ends = of.map(({ bytes }, i) => offsets[i] + bytes.length);
    for (let length = content.length - 1; length >= PAGE; length -= 61) {
      truncateSync(file, length);
      truncateSync(file, 65_536);
      // What is cut off may be nothing but zeros that end the block.
      const isWhole = (i: number) =>
        ends[i] <= length || of[i].bytes.subarray(length - offsets[i]).every((b) => b === 0);
      const found = recoverable(directory).blocks;
      expect(found).toEqual(sequences.filter((_, i) => offsets[i] < length && isWhole(i)));
    }
  });
});

describe('a segment without a footer, with a torn block in the middle', () => {
  const of = blocks(16, 40, 8, 3);
  const sequences = of.map(({ header }) => header.sequence);
  const chunkAt = of[1].header.chunks[0].offset;

  test.each<[string, (torn: Uint8Array) => void]>([
    ['nothing of which was written', (torn) => torn.fill(0)],
    ['whose first page is lost', (torn) => torn.fill(0, 0, 64)],
    ['whose magic is not there yet', (torn) => torn.fill(0, 0, 8)],
    ['whose header is damaged', (torn) => torn.set([1], 40)],
    ['whose header says another length', (torn) => torn.set([0xff, 0xff], 72)],
    ['whose header says another header length', (torn) => torn.set([0xf8, 0xff], 12)],
    ['whose values are damaged', (torn) => torn.fill(0xaa, chunkAt, chunkAt + 4)],
    ['whose end is lost', (torn) => torn.fill(0, torn.length - 64)],
    ['full of the magic of blocks', (torn) => torn.set(Buffer.from(BLOCK_MAGIC.repeat(torn.length >> 3)))],
  ])('%s: those behind it are found', (_, tear) => {
    const directory = scratch();
    const file = segmentFile(directory);
    const offsets = writeSegment(file, of, { seal: false });
    const content = readFileSync(file);
    tear(content.subarray(offsets[1], offsets[2]));
    writeFileSync(file, content);
    expect(recoverable(directory).blocks).toEqual(sequences.filter((_, i) => i !== 1));
  });

  test('a whole block within the bytes of another is none of its own', () => {
    const directory = scratch();
    const file = segmentFile(directory);
    // As a raw feed message might hold: another tape's block in a text.
    const offsets = writeSegment(file, of, { seal: false });
    const content = readFileSync(file);
    const foreign = of[3].bytes.slice();
    foreign[16] ^= 1;
    resealHeader(foreign, peekHeaderBytes(foreign));
    const damaged = content.subarray(offsets[1], offsets[2]);
    damaged.fill(0);
    damaged.set(foreign, 64);
    writeFileSync(file, content);
    expect(recoverable(directory).blocks).toEqual(sequences.filter((_, i) => i !== 1));
  });

  test('that says it reaches far beyond the file makes nobody set room aside for it', () => {
    const directory = scratch();
    const file = segmentFile(directory);
    const offsets = writeSegment(file, of, { seal: false });
    const content = readFileSync(file);
    const last = content.subarray(offsets[3]);
    const view = new DataView(last.buffer, last.byteOffset, last.length);
    const { chunks, blockBytes } = of[3].header;
    const { storedBytes } = chunks.at(-1)!;
    const more = 2 ** 29;
    // The last chunk of the last block, half a gigabyte longer than the file.
    view.setUint32(128 + 24 + 48 * (chunks.length - 1) + 12, storedBytes + more, true);
    view.setBigUint64(72, BigInt(Math.ceil((chunks.at(-1)!.offset + storedBytes + more) / 8) * 8), true);
    resealHeader(last, peekHeaderBytes(last));
    writeFileSync(file, content);
    expect(blockBytes).toBeLessThan(10_000);

    const { Memory } = WebAssembly;
    let most = 0;
    WebAssembly.Memory = class extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        most = Math.max(most, descriptor.initial);
        super(descriptor);
      }
    };
    try {
      expect(recoverable(directory)).toMatchObject({ blocks: sequences.slice(0, 3), report: { tornCopies: 1 } });
    } finally {
      WebAssembly.Memory = Memory;
    }
    expect(most).toBeGreaterThan(0);
    expect(most * 65_536).toBeLessThan(2 ** 26);
  });
});

describe('a segment that can not be sealed, as its disk is full', () => {
  const [block] = blocks(16);
  const header = { tapeId: TAPE_ID, storageNode: 0, number: 1, createdNs: 5n, epoch: EPOCH, schema };
  const end = PAGE + block.bytes.length;
  /** Has room for one half of a footer. */
  let isFull = false;
  const files: Files = {
    ...runtime.files,
    open(file, mode) {
      const handle = runtime.files.open(file, mode);
      const writeAsync = async (from: Uint8Array, at: number) => {
        if (!isFull || at < end) return handle.writeAsync(from, at);
        handle.write(from.subarray(0, from.length >> 1), at);
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      };
      return new Proxy(handle, {
        get: (of, name) => {
          if (name === 'writeAsync') return writeAsync;
          const value = Reflect.get(of, name, of);
          return typeof value === 'function' ? value.bind(of) : value;
        },
      });
    },
  };

  async function byItsWriter(file: string) {
    const writer = new SegmentWriter(files, file, header, 2 * block.bytes.length);
    await (await writer.write(block.header, block.bytes)).commit();
    (await writer.write(block.header, block.bytes)).abandon();
    return () => writer.seal();
  }

  async function byRecovery(file: string) {
    const [offset] = writeSegment(file, [block], { seal: false });
    writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from('torn')]));
    const entries = [entryOf(offset, block.header)];
    return () => sealSegmentFile(files, file, entries, end);
  }

  test.each([
    ['its writer', byItsWriter],
    ['recovery', byRecovery],
  ])('keeps no half of a footer, and is sealed by %s once there is room', async (_, make) => {
    const directory = scratch();
    const file = segmentFile(directory);
    const seal = await make(file);
    isFull = true;
    await expect(seal()).rejects.toThrow(expect.objectContaining({ code: 'DISK_FULL', path: file }));
    expect(statSync(file).size).toBe(end);
    expect(readable(directory).blocks).toEqual([0n]);
    isFull = false;
    await seal();
    expect(withReader(file, (reader) => reader.footer())).toMatchObject({ offset: end, entries: [{ count: 16 }] });
    expect(statSync(file).size).toBe(end + FOOTER_ENTRY_BYTES + TRAILER_BYTES);
  });
});

// ---- while it is written ------------------------------------------------------------------------------------------------------

describe('a segment that is being written', () => {
  const of = blocks(16, 16, 16);

  test('the magic of a block goes last, when it is committed', async () => {
    const file = segmentFile(scratch());
    const [{ header, bytes }] = of;
    const segment = { tapeId: TAPE_ID, storageNode: 0, number: 1, createdNs: 5n, epoch: EPOCH, schema };
    const writer = new SegmentWriter(runtime.files, file, segment, bytes.length);
    const copy = await writer.write(header, bytes);
    const written = readFileSync(file).subarray(PAGE);
    sameBytes(written.subarray(0, 8), new Uint8Array(8));
    sameBytes(written.subarray(8), bytes.subarray(8));
    expect(writer.isSettled).toBe(false);
    await copy.commit();
    sameBytes(readFileSync(file).subarray(PAGE), bytes);
    await writer.seal();
    expect(withReader(file, (reader) => reader.footer())?.entries.length).toBe(1);
  });

  test('a block whose magic is not there yet hides none behind it, and is found once it is there', () => {
    const directory = scratch();
    const file = segmentFile(directory);
    const offsets = writeSegment(file, of, { seal: false });
    const content = readFileSync(file);
    content.fill(0, offsets[1], offsets[1] + 8);
    writeFileSync(file, content);
    const { blocks: found, catalog } = readable(directory);
    expect(found).toEqual([0n, 32n]);
    content.set(Buffer.from(BLOCK_MAGIC), offsets[1]);
    writeFileSync(file, content);
    catalog.refresh(TAPE_ID);
    expect(catalog.blocks.map(({ sequence }) => sequence)).toEqual([0n, 16n, 32n]);
  });

  test('a block that appears between two looks at its place is not stepped over', () => {
    const directory = scratch();
    const file = segmentFile(directory);
    const offsets = writeSegment(file, of, { seal: false });
    const whole = readFileSync(file);
    const empty = Buffer.from(whole).fill(0, offsets[0]);
    // After each look at the file the writer has done all of its work, as far as the next look can tell.
    for (let look = 1; look <= 4; look++) {
      writeFileSync(file, empty);
      let looks = 0;
      class Hasty extends SegmentReader {
        override read(offset: number, length: number): Uint8Array {
          const bytes = super.read(offset, length);
          if (offset >= PAGE && ++looks === look) writeFileSync(file, whole);
          return bytes;
        }
      }
      const reader = new Hasty(runtime.files, file);
      const found = [...reader.walk(PAGE, true)].map(({ header }) => header.sequence);
      reader.close();
      const all = of.map(({ header }) => header.sequence);
      expect(found).toEqual(all.slice(0, found.length));
    }
  });

  test('may be sealed between two looks', () => {
    const directory = scratch();
    const file = segmentFile(directory);
    writeSegment(file, of.slice(0, 2), { seal: false });
    const { catalog } = readable(directory);
    expect(catalog.blocks.length).toBe(2);
    const other = scratch();
    writeSegment(segmentFile(other), of, { seal: true });
    renameSync(segmentFile(other), file);
    catalog.refresh(TAPE_ID);
    expect(catalog.blocks.map(({ copies }) => copies.length)).toEqual([1, 1, 1]);
  });
});

// ---- a directory of them ----------------------------------------------------------------------------------------------------------

describe('a storage node', () => {
  const nodeOf = (
    directory: string,
    options: {
      segmentBytes?: number;
      segmentMaxAgeMs?: number;
      nowNs?: () => bigint;
      onSync?: (file: string) => void;
    } = {},
  ) => {
    const { segmentBytes = 1024 ** 2, segmentMaxAgeMs = 1000, nowNs = () => 0n, onSync = () => {} } = options;
    const files: Files = {
      ...runtime.files,
      open(file, mode) {
        const opened = runtime.files.open(file, mode);
        const syncAsync = opened.syncAsync.bind(opened);
        opened.syncAsync = async () => {
          onSync(file.replace(/\.tmp$/, ''));
          await syncAsync();
        };
        return opened;
      },
    };
    return new DirectoryStorageNode(
      directory,
      { ...runtime, files, nowNs },
      {
        tapeId: TAPE_ID,
        schema,
        epoch: EPOCH,
        ordinal: 0,
        segmentBytes,
        segmentMaxAgeMs,
      },
    );
  };

  const store = async (node: DirectoryStorageNode, { header, bytes }: Block) => {
    const copy = await node.write(header, bytes);
    await copy.commit();
  };

  test('begins another segment when one is full, and loses no block at the seam', async () => {
    const directory = scratch();
    const of = blocks(...new Array(30).fill(1000));
    const node = nodeOf(directory, { segmentBytes: 60_000 });
    for (const block of of) await store(node, block);
    await node.close();
    const files = readdirSync(directory).sort();
    expect(files.length).toBeGreaterThan(1);
    expect(files).toEqual(files.map((_, i) => segmentName(i + 1)));
    expect(recoverable(directory)).toMatchObject({
      blocks: of.map(({ header }) => header.sequence),
      report: { openBlocks: 0, tornCopies: 0 },
    });
  });

  test('and when it is old', async () => {
    const directory = scratch();
    let nowNs = 0n;
    const node = nodeOf(directory, { nowNs: () => nowNs });
    const of = blocks(16, 16, 16);
    await store(node, of[0]);
    nowNs = 999_999_999n;
    await store(node, of[1]);
    expect(readdirSync(directory).length).toBe(1);
    nowNs = 1_000_000_000n;
    await store(node, of[2]);
    expect(readdirSync(directory).length).toBe(2);
    await node.close();
    expect(readable(directory).blocks).toEqual([0n, 16n, 32n]);
  });

  test('puts a block that is larger than a segment in one of its own', async () => {
    const directory = scratch();
    const [small, large, last] = blocks(16, 3000, 16);
    const node = nodeOf(directory, { segmentBytes: 4096 });
    for (const block of [small, large, last]) await store(node, block);
    await node.close();
    expect(recoverable(directory).blocks).toEqual([0n, 16n, 3016n]);
  });

  test('seals every segment that is full once it is synced, also where two ask for it at once', async () => {
    const directory = scratch();
    let nowNs = 0n;
    const synced: string[] = [];
    const node = nodeOf(directory, { nowNs: () => nowNs, onSync: (file) => synced.push(path.basename(file)) });
    for (const block of blocks(16, 16, 16)) {
      await store(node, block);
      nowNs += 1_000_000_000n;
    }
    const isSealed = (number: number) =>
      withReader(segmentFile(directory, number), (reader) => reader.footer()) !== null;
    expect(isSealed(3)).toBe(false);
    await Promise.all([node.sync(), node.sync(), node.sync()]);
    expect(synced.sort()).toEqual([1, 2, 3].map(segmentName));
    expect([1, 2, 3].map(isSealed)).toEqual([true, true, false]);
    await node.close();
    expect([1, 2, 3].map(isSealed)).toEqual([true, true, true]);
    expect(readable(directory).blocks).toEqual([0n, 16n, 32n]);
  });

  test('never gives a segment a footer whose sync failed, and goes on in another', async () => {
    const directory = scratch();
    let isBroken = true;
    const node = nodeOf(directory, {
      onSync(file) {
        if (isBroken && file.endsWith(segmentName(1))) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      },
    });
    const [first, second] = blocks(16, 16);
    await store(node, first);
    await expect(node.sync()).rejects.toMatchObject({ code: 'IO', path: segmentFile(directory, 1) });
    isBroken = false;
    await store(node, second);
    // Until the end nobody is told that all of it is on the disk.
    await expect(node.close()).rejects.toMatchObject({ code: 'IO', path: segmentFile(directory, 1) });
    expect(withReader(segmentFile(directory, 1), (reader) => reader.footer())).toBe(null);
    expect(recoverable(directory)).toMatchObject({ blocks: [0n, 16n], report: { openBlocks: 1, tornCopies: 0 } });
  });

  test('goes on behind the segments that are there, and touches none of them', async () => {
    const directory = scratch();
    const [first, second] = blocks(16, 16);
    writeSegment(segmentFile(directory, 41), [first], { seal: true, number: 41 });
    const before = statSync(segmentFile(directory, 41), { bigint: true }).mtimeNs;
    const node = nodeOf(directory);
    await store(node, second);
    await node.close();
    expect(readdirSync(directory).sort()).toEqual([segmentName(41), segmentName(42)]);
    expect(statSync(segmentFile(directory, 41), { bigint: true }).mtimeNs).toBe(before);
    expect(withReader(segmentFile(directory, 42), (reader) => reader.header())).toMatchObject({ number: 42 });
  });
});
