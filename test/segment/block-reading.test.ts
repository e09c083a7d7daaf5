import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import {
  type Compression,
  decimal,
  defineSchema,
  i64,
  type Schema,
  symbol,
  TapeError,
  text,
  timestamp,
} from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BlockDecoder, DamagedBlock } from '../../dist/src/block/decoder.js';
import type { BlockFile } from '../../dist/src/block/file-window.js';
import type { BlockHeader, ChunkEntry } from '../../dist/src/block/header.js';
import { piecesOf } from '../../dist/src/block/pieces.js';
import type { FileView, Mapper } from '../../dist/src/runtime.js';
import { type Block, blockOf, decodeBlock, valuesOf, zstd } from '../helpers/blocks.js';
import type { Value } from '../helpers/records.js';
import { scratchFile } from '../helpers/scratch.js';

const KIB = 1024;
const WINDOW = 128 * KIB;
const PAGE = 4 * KIB;

const schema = defineSchema(
  'read',
  timestamp('ts'),
  symbol('s'),
  i64('noise'),
  decimal('p', 2),
  text('note'),
  // Follows the timestamp, so that its chunk refers to that one's.
  i64('exchangeNs'),
);

/** Numbers that no encoding makes small. */
function noise(i: number): bigint {
  let bits = BigInt(i + 1) * 0x9e3779b97f4a7c15n;
  bits = BigInt.asUintN(64, bits ^ (bits >> 30n)) * 0xbf58476d1ce4e5b9n;
  return BigInt.asIntN(64, bits ^ (bits >> 27n));
}

function makeBlock(count: number, sequence: number, compression: Compression = 'fast'): Block {
  const rows = Array.from({ length: count }, (_, i): Value[] => {
    const n = sequence + i;
    const ts = 1_700_000_000_000_000_000n + BigInt(n) * 1_000_003n + (noise(n) & 0xfffffn);
    return [ts, `S${n % 5}`, noise(n), (n % 400) / 100, 'x'.repeat(n % 7), ts + 500n + BigInt(n % 3)];
  });
  return blockOf(schema, rows, { sequence: BigInt(sequence), compression, ring: 8 * 1024 * KIB - 512 });
}

interface Placed {
  block: Block;
  offset: number;
}

/** A file of blocks one behind the other, the first at `from`; the last one ends it. */
function fileOfBlocks(blocks: readonly Block[], from = 4096): { path: string; placed: Placed[] } {
  const path = scratchFile('segment-00000001.ttseg');
  let end = from;
  const placed = blocks.map((block) => {
    const offset = end;
    end += block.bytes.length;
    return { block, offset };
  });
  const bytes = new Uint8Array(end);
  for (const { block, offset } of placed) bytes.set(block.bytes, offset);
  writeFileSync(path, bytes);
  return { path, placed };
}

interface Range {
  from: number;
  to: number;
}

/** The file, and what is read of it. */
function openFile(path: string): BlockFile & { reads: Range[] } {
  const reads: Range[] = [];
  return {
    path,
    reads,
    get fileBytes() {
      return readFileSync(path).length;
    },
    readInto(bytes, offset) {
      reads.push({ from: offset, to: offset + bytes.length });
      const found = readFileSync(path).subarray(offset, offset + bytes.length);
      bytes.set(found);
      return found.length;
    },
  };
}

/** The runtime's mapper, and what is asked of it, by offsets in the file. */
function watched(hook: (path: string) => void = () => {}) {
  const moves: Range[] = [];
  const broughtIn: Range[] = [];
  let open = 0;
  const mapper: Mapper = {
    map: () => expect.unreachable(),
    view(path, memory, offset, length, fileOffset): FileView {
      const view = runtime.mapper().view(path, memory, offset, length, fileOffset);
      moves.push({ from: fileOffset, to: fileOffset + length });
      open++;
      return {
        bringIn(from, bytes) {
          broughtIn.push({ from: fileOffset + from, to: fileOffset + from + bytes });
          hook(path);
          return view.bringIn(from, bytes);
        },
        unmap() {
          open--;
          view.unmap();
        },
      };
    },
  };
  return { mapper, moves, broughtIn, open: () => open };
}

const refusing: Mapper = {
  map: () => expect.unreachable(),
  view: () => {
    throw new TapeError('IO', 'it can not be mapped');
  },
};

/** The ways in which blocks are had. */
const ways: [string, () => BlockDecoder][] = [
  ['mapped', () => decoderWith(runtime.mapper())],
  ['copied', () => decoderWith(null)],
  ['of a file that can not be mapped', () => decoderWith(refusing)],
];

function decoderWith(mapper: Mapper | null, bytes = WINDOW, of: Schema = schema, count = 1): BlockDecoder {
  const decoder = new BlockDecoder(of, zstd, mapper === null ? null : { mapper, count, bytes });
  onTestFinished(() => decoder.release());
  return decoder;
}

const placeOf = ({ block, offset }: Placed) => ({
  offset,
  blockBytes: block.bytes.length,
  count: block.header.count,
});

/** The values of these fields, of the block where it lies. */
function read(
  decoder: BlockDecoder,
  file: BlockFile,
  placed: Placed,
  fields: readonly string[] = schema.fields.map(({ name }) => name),
): Value[][] {
  return decoder.read(file, placeOf(placed), 0, (header) => {
    const wanted = fields.map((name) => schema.table.find((field) => field.name === name)!);
    decoder.prepare(header, wanted);
    return wanted.map((field) => valuesOf(schema, field.index, decoder.column(header, field), header));
  });
}

function expected({ block }: Placed, fields: readonly string[] = schema.fields.map(({ name }) => name)): Value[][] {
  const { header, columns } = decodeBlock(schema, block.bytes, block.header.count);
  return fields.map((name) => {
    const { index } = schema.table.find((field) => field.name === name)!;
    return valuesOf(schema, index, columns[index], header);
  });
}

const chunkOf = (header: BlockHeader, name: string): ChunkEntry[] => {
  const { index } = schema.table.find((field) => field.name === name)!;
  return header.chunks.filter(({ field }) => field === index);
};

const many = Array.from({ length: 14 }, (_, i) => makeBlock(3000, i * 3000));

test('chunks that lie next to each other are one piece', () => {
  const chunk = (offset: number, storedBytes: number) => ({ offset, storedBytes }) as ChunkEntry;
  expect(piecesOf([])).toEqual([]);
  expect(piecesOf([chunk(0, 13), chunk(16, 8), chunk(24, 1), chunk(40, 3)])).toEqual([
    { from: 0, to: 25 },
    { from: 40, to: 43 },
  ]);
  // Between 13 and 24 lies another one, of 8 bytes at most.
  expect(piecesOf([chunk(0, 13), chunk(24, 8)]).length).toBe(2);
  expect(piecesOf([chunk(0, 16), chunk(24, 8)]).length).toBe(2);
  // Of nothing, nothing is read.
  expect(piecesOf([chunk(8, 0), chunk(8, 4), chunk(16, 0)])).toEqual([{ from: 8, to: 12 }]);
});

describe.each(ways)('blocks %s', (_way, makeDecoder) => {
  test('are those that were written, in any order, the last one up to the end of the file', () => {
    const { path, placed } = fileOfBlocks(many);
    const file = openFile(path);
    const decoder = makeDecoder();
    for (const one of [...placed, ...placed.toReversed()]) expect(read(decoder, file, one)).toEqual(expected(one));
  });

  test.each([0, 8, 64, PAGE - 8])('end %i bytes before the end of the last page', (before) => {
    const [block] = many;
    const from = Math.ceil((4096 + block.bytes.length) / PAGE) * PAGE - before - block.bytes.length;
    const { path, placed } = fileOfBlocks([block], from);
    expect((from + block.bytes.length + before) % PAGE).toBe(0);
    expect(read(makeDecoder(), openFile(path), placed[0])).toEqual(expected(placed[0]));
  });

  test('end where the window does, and one that is longer', () => {
    const first = many[0].bytes.length;
    const { path, placed } = fileOfBlocks([many[0], many[1], makeBlock(30_000, 7)], 2 * WINDOW - first);
    expect(placed[2].block.bytes.length).toBeGreaterThan(2 * WINDOW);
    const file = openFile(path);
    const decoder = makeDecoder();
    for (const one of [...placed, placed[0]]) expect(read(decoder, file, one)).toEqual(expected(one));
  });

  test('of more records than there was room for, in the middle of a scan', () => {
    const { path, placed } = fileOfBlocks([many[0], many[1], makeBlock(12_000, 3), many[2], makeBlock(20_000, 5)]);
    const file = openFile(path);
    const decoder = makeDecoder();
    for (const one of placed) expect(read(decoder, file, one)).toEqual(expected(one));
  });

  test('of many files in turn', () => {
    const files = [many.slice(0, 3), many.slice(3, 6), many.slice(6, 9)].map((blocks) => {
      const { path, placed } = fileOfBlocks(blocks);
      return { file: openFile(path), placed };
    });
    const decoder = makeDecoder();
    for (const which of [0, 1, 2]) {
      for (const { file, placed } of files) expect(read(decoder, file, placed[which])).toEqual(expected(placed[which]));
    }
  });

  test('of a file that was cut are damaged', () => {
    const { path, placed } = fileOfBlocks(many.slice(0, 3));
    const file = openFile(path);
    const decoder = makeDecoder();
    for (const one of placed) read(decoder, file, one);
    const last = placed[2];
    const { offset, storedBytes } = last.block.header.chunks.at(-1)!;
    truncateSync(path, last.offset + offset + storedBytes - 1);
    expect(read(decoder, file, placed[1])).toEqual(expected(placed[1]));
    expect(() => read(decoder, file, last)).toThrow(DamagedBlock);
    // What is left of it can be read.
    expect(read(decoder, file, last, ['ts'])).toEqual(expected(last, ['ts']));
    // The header is there, and most of the pages behind are not.
    truncateSync(path, Math.ceil((last.offset + last.block.header.chunks[0].offset) / PAGE) * PAGE);
    expect(() => read(decoder, file, last)).toThrow('the file is cut');
    truncateSync(path, last.offset + 200);
    expect(() => read(decoder, file, last, ['ts'])).toThrow('the file is cut');
    truncateSync(path, 0);
    for (const one of placed) expect(() => read(decoder, file, one)).toThrow('the file is cut');
  });

  test('with a byte changed: damaged where it is asked for, and not noticed where it is not', () => {
    const { path, placed } = fileOfBlocks(many.slice(0, 2));
    const bytes = readFileSync(path);
    const [chunk] = chunkOf(placed[1].block.header, 'noise');
    bytes[placed[1].offset + chunk.offset + 9] ^= 4;
    writeFileSync(path, bytes);
    const file = openFile(path);
    const decoder = makeDecoder();
    expect(read(decoder, file, placed[1], ['p', 'ts', 'note'])).toEqual(expected(placed[1], ['p', 'ts', 'note']));
    expect(() => read(decoder, file, placed[1])).toThrow('noise: the checksum of a chunk differs');
    expect(() => decoder.read(file, placeOf(placed[1]), 0, (header) => decoder.verify(header))).toThrow('noise');
    expect(read(decoder, file, placed[0])).toEqual(expected(placed[0]));
  });
});

/** Bytes that are in none of these ranges. */
function outside(ranges: readonly Range[], allowed: readonly Range[]): Range[] {
  return ranges.filter(({ from, to }) => !allowed.some((range) => range.from <= from && to <= range.to));
}

describe('of a block no more is read than is asked for', () => {
  const { header } = many[0];
  const fields = schema.fields.map(({ name }) => name);

  test.each([...fields.map((name) => [name]), ['ts', 'noise'], ['note', 's'], fields])('%s', (...names) => {
    const { path, placed } = fileOfBlocks([many[0]]);
    const { offset } = placed[0];
    const file = openFile(path);
    read(decoderWith(null), file, placed[0], names);
    const entries = header.chunks.filter((chunk) => names.some((name) => chunkOf(header, name).includes(chunk)));
    // A column may borrow of another one.
    const borrowed = names.includes('exchangeNs') && !names.includes('ts') ? chunkOf(header, 'ts') : [];
    const allowed = [...piecesOf(entries), ...piecesOf(borrowed)].map(({ from, to }) => ({
      from: offset + from,
      to: offset + to,
    }));
    const ofHeader = { from: offset, to: offset + Math.max(1024, header.chunks[0].offset) };
    expect(outside(file.reads, [ofHeader, ...allowed])).toEqual([]);
    const ofChunks = file.reads.filter((range) => allowed.some(({ from, to }) => from <= range.from && range.to <= to));
    const asked = piecesOf(entries).map(({ from, to }) => ({ from: offset + from, to: offset + to }));
    expect(ofChunks.slice(0, asked.length)).toEqual(asked);
    expect(ofChunks.length).toBeLessThanOrEqual(allowed.length);

    const { mapper, broughtIn } = watched();
    const mapped = openFile(path);
    read(decoderWith(mapper), mapped, placed[0], names);
    expect(mapped.reads).toEqual([]);
    const withSlack = [ofHeader, ...allowed].map(({ from, to }) => ({ from, to: to + 64 }));
    expect(outside(broughtIn, withSlack)).toEqual([]);
  });

  test('nothing twice, and nothing for no columns but the header', () => {
    const { path, placed } = fileOfBlocks([many[0]]);
    const file = openFile(path);
    const decoder = decoderWith(null);
    decoder.read(file, placeOf(placed[0]), 0, (found) => {
      const after = file.reads.length;
      const ts = schema.table[0];
      decoder.column(found, ts);
      decoder.column(found, ts);
      decoder.prepare(found, [ts]);
      expect(file.reads.length).toBe(after + 1);
    });
    file.reads.length = 0;
    read(decoder, file, placed[0], []);
    expect(file.reads.every(({ to }) => to <= placed[0].offset + 2048 + header.chunks[0].offset)).toBe(true);
  });
});

describe('windows', () => {
  test('are moved on where a block does not lie in them, and no more often', () => {
    const { path, placed } = fileOfBlocks(many);
    const bytes = readFileSync(path).length;
    const { mapper, moves, open } = watched();
    const file = openFile(path);
    const decoder = decoderWith(mapper, 256 * KIB);
    for (const one of placed) read(decoder, file, one);
    expect(moves.length).toBeGreaterThan(1);
    // A move begins up to 64 KiB before the block that it is made for.
    expect(moves.length).toBeLessThanOrEqual(Math.ceil(bytes / (128 * KIB)) + 1);
    expect(moves.at(-1)!.to).toBe(bytes);
    expect(file.reads).toEqual([]);
    expect(open()).toBe(1);
    decoder.release(openFile(path));
    expect(open()).toBe(1);
    decoder.release(file);
    expect(open()).toBe(0);
    expect(read(decoder, file, placed[0])).toEqual(expected(placed[0]));
    expect(open()).toBe(1);
  });

  test('are let go of when the memory grows', () => {
    const { path, placed } = fileOfBlocks([many[0], makeBlock(15_000, 3)]);
    const { mapper, open, moves } = watched();
    const file = openFile(path);
    const decoder = decoderWith(mapper, 1024 * KIB);
    for (const one of placed) read(decoder, file, one);
    expect([open(), moves.length]).toEqual([1, 2]);
  });

  test('one for each that is asked for', () => {
    const files = [many[0], many[1]].map((block) => fileOfBlocks([block]));
    const { mapper, open, moves } = watched();
    const opened = files.map(({ path }) => openFile(path));
    const decoder = decoderWith(mapper, WINDOW, schema, 2);
    for (let i = 0; i < 6; i++) {
      decoder.read(opened[i % 2], placeOf(files[i % 2].placed[0]), i, (header) => decoder.verify(header));
    }
    expect([open(), moves.length]).toEqual([2, 2]);
  });

  test('show a file that has grown', () => {
    const { path, placed } = fileOfBlocks(many.slice(0, 2));
    const whole = readFileSync(path);
    truncateSync(path, placed[1].offset);
    const { mapper, moves } = watched();
    const file = openFile(path);
    const decoder = decoderWith(mapper);
    read(decoder, file, placed[0]);
    writeFileSync(path, whole);
    expect(read(decoder, file, placed[1])).toEqual(expected(placed[1]));
    expect([moves.length, file.reads.length]).toEqual([2, 0]);
  });

  test('are left for reads where the pages can not be had', () => {
    const { path, placed } = fileOfBlocks(many.slice(0, 2));
    let failing = false;
    const { mapper, open } = watched();
    const flaky: Mapper = {
      ...mapper,
      view(...args) {
        const view = mapper.view(...args);
        return { bringIn: (from, length) => !failing && view.bringIn(from, length), unmap: () => view.unmap() };
      },
    };
    const file = openFile(path);
    const decoder = decoderWith(flaky);
    let uses = 0;
    const values = decoder.read(file, placeOf(placed[0]), 0, (header) => {
      uses++;
      const ts = decoder.column(header, schema.table[0]);
      failing = true;
      return [ts, decoder.column(header, schema.table[1])].length;
    });
    expect([values, uses, open()]).toEqual([2, 2, 0]);
    expect(read(decoder, file, placed[1])).toEqual(expected(placed[1]));
    expect(file.reads.length).toBeGreaterThan(0);
  });
});

test('bytes that change after they were checked give other values or damage, and nothing else', () => {
  const { path, placed } = fileOfBlocks([makeBlock(9000, 0), makeBlock(9000, 9000, 'dense')]);
  const content = readFileSync(path);
  const field = schema.table.find(({ name }) => name === 'exchangeNs')!;
  let onBringIn = () => {};
  const { mapper } = watched(() => onBringIn());
  const decoder = decoderWith(mapper, 2048 * KIB);
  const file = openFile(path);
  let damaged = 0;
  let changedInTime = 0;
  for (let run = 0; run < 150; run++) {
    const { block, offset } = placed[run % placed.length];
    const [own] = chunkOf(block.header, 'exchangeNs');
    writeOver(path, content);
    const changed = Uint8Array.from(content);
    for (let i = own.offset + (run % 2 === 0 ? 0 : own.openBytes); i < own.offset + own.storedBytes; i++) {
      // The plan stays what it is every other time.
      changed[offset + i] = run % 3 === 0 ? 255 : ((i * 31 + run * 7) ^ (i >> 3)) & 255;
    }
    let ownIsIn = false;
    try {
      decoder.read(file, placeOf({ block, offset }), 0, (header) => {
        decoder.prepare(header, [field]);
        ownIsIn = true;
        // The next that is brought in is the chunk that it borrows of, when its own was checked.
        onBringIn = () => {
          if (!ownIsIn) return;
          changedInTime++;
          ownIsIn = false;
          writeOver(path, changed);
        };
        decoder.column(header, field);
      });
    } catch (error) {
      if (!(error instanceof DamagedBlock)) throw error;
      damaged++;
    }
    onBringIn = () => {};
  }
  expect(changedInTime).toBeGreaterThan(100);
  expect(damaged).toBeGreaterThan(10);
});

/** In place: the file is mapped. */
function writeOver(path: string, bytes: Uint8Array): void {
  writeFileSync(path, bytes, { flag: 'r+' });
}
