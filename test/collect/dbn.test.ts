import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { TapeError } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MBO_BYTES, parseDbn, readDbn } from '../../dist/src/collect/sources/dbn.js';
import { withoutSize } from '../helpers/zstd-frames.js';

const zstd = await runtime.zstd();
const encoder = new TextEncoder();

interface Mbo {
  tsEvent: bigint;
  orderId: bigint;
  price: bigint;
  action: string;
  tsRecv: bigint;
  sequence: number;
}

const order: Mbo = {
  tsEvent: 1703422805243925307n,
  orderId: 6412777162812n,
  price: 4799_000_000_000n,
  action: 'A',
  tsRecv: 1703462400000000000n,
  sequence: 682,
};

function mboRecord({ tsEvent, orderId, price, action, tsRecv, sequence }: Mbo): Uint8Array {
  const bytes = new Uint8Array(56);
  const view = new DataView(bytes.buffer);
  bytes[0] = 14;
  bytes[1] = 160;
  view.setUint16(2, 1, true);
  view.setUint32(4, 17077, true);
  view.setBigUint64(8, tsEvent, true);
  view.setBigUint64(16, orderId, true);
  view.setBigInt64(24, price, true);
  view.setUint32(32, 2, true);
  bytes[36] = 40;
  bytes[38] = action.charCodeAt(0);
  bytes[39] = 'B'.charCodeAt(0);
  view.setBigUint64(40, tsRecv, true);
  view.setInt32(48, -5, true);
  view.setUint32(52, sequence, true);
  return bytes;
}

/** Of a type that is not read, `words` long. */
function otherRecord(words: number, rtype = 0): Uint8Array {
  const bytes = new Uint8Array(4 * words).fill(160);
  bytes[0] = words;
  bytes[1] = rtype;
  return bytes;
}

function metadata(symbols: string[] = ['ESH4']): Uint8Array {
  const bytes = new Uint8Array(8 + 120 + 22 * symbols.length);
  const view = new DataView(bytes.buffer);
  bytes.set(encoder.encode('DBN\x01'));
  view.setUint32(4, bytes.length - 8, true);
  bytes.set(encoder.encode('GLBX.MDP3'), 8);
  view.setBigUint64(26, 1703462400000000000n, true);
  view.setBigUint64(34, 1703548800000000000n, true);
  bytes[58] = 1;
  view.setUint32(112, symbols.length, true);
  symbols.forEach((symbol, i) => {
    bytes.set(encoder.encode(symbol), 116 + 22 * i);
  });
  return bytes;
}

const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

function changed(bytes: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, at);
  return copy;
}

function refusal(bytes: Uint8Array): { code: string; message: string } {
  try {
    parseDbn(bytes, 'day.dbn');
  } catch (error) {
    expect(error).toBeInstanceOf(TapeError);
    expect(error).toMatchObject({ path: 'day.dbn', message: expect.stringContaining('day.dbn') });
    return error as TapeError;
  }
  throw new Error('it was not refused');
}

describe('parseDbn', () => {
  const good = join(metadata(), mboRecord(order), mboRecord({ ...order, sequence: 683 }));

  test('says what the file is of', () => {
    const { dataset, startNs, endNs, symbols } = parseDbn(join(metadata(['ESH4', 'x'.repeat(22), ''])), 'day.dbn');
    expect({ dataset, startNs, endNs, symbols }).toEqual({
      dataset: 'GLBX.MDP3',
      startNs: 1703462400000000000n,
      endNs: 1703548800000000000n,
      symbols: ['ESH4', 'x'.repeat(22), ''],
    });
  });

  test('gives the market-by-order records as they are, and counts others', () => {
    const one = fc.oneof(
      fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((sequence) => ({ kept: mboRecord({ ...order, sequence }) })),
      fc
        .tuple(fc.integer({ min: 4, max: 255 }), fc.nat(255))
        .filter(([, rtype]) => rtype !== 160)
        .map(([words, rtype]) => ({ left: otherRecord(words, rtype) })),
    );
    fc.assert(
      fc.property(fc.array(one, { maxLength: 40 }), (records) => {
        const bytes = join(metadata(), ...records.map((record) => ('kept' in record ? record.kept : record.left)));
        const kept = records.flatMap((record) => ('kept' in record ? [record.kept] : []));
        const dbn = parseDbn(bytes, 'day.dbn');
        expect(dbn.count).toBe(kept.length);
        expect(dbn.skipped).toBe(records.length - kept.length);
        expect(Buffer.compare(dbn.records, join(...kept))).toBe(0);
      }),
    );
  });

  test('reads from a view into other bytes', () => {
    const shifted = join(Uint8Array.of(1, 2, 3), good).subarray(3);
    expect(parseDbn(shifted, 'day.dbn')).toEqual(parseDbn(good, 'day.dbn'));
  });

  test('refuses what is no DBN of version 1', () => {
    expect(refusal(new Uint8Array(0)).code).toBe('BAD_MAGIC');
    expect(refusal(encoder.encode('DBZ\x01')).code).toBe('BAD_MAGIC');
    for (const version of [0, 2, 3, 255]) {
      expect(refusal(changed(good, 3, version))).toMatchObject({
        code: 'BAD_VERSION',
        message: expect.stringContaining(`version ${version}`),
      });
    }
    expect(refusal(changed(good, 60, 1)).code).toBe('UNSUPPORTED');
    expect(refusal(changed(good, 108, 1)).code).toBe('UNSUPPORTED');
  });

  test('refuses a file that is cut, wherever it is not between two records', () => {
    const whole = [metadata().length, metadata().length + 56];
    for (let length = 3; length < good.length; length++) {
      if (whole.includes(length))
        expect(parseDbn(good.subarray(0, length), 'day.dbn').count).toBe(whole.indexOf(length));
      else expect(refusal(good.subarray(0, length)).code).toBe('TRUNCATED');
    }
  });

  test('refuses lengths that cannot be', () => {
    expect(refusal(changed(good, 4, 119, 0, 0, 0)).message).toContain('too short');
    expect(refusal(changed(good, 4, 0xff, 0xff, 0xff, 0xff)).code).toBe('TRUNCATED');
    expect(refusal(changed(good, 112, 0xff, 0xff, 0xff, 0xff)).message).toContain('4294967295 symbols');
    const first = metadata().length;
    for (const words of [0, 1, 3]) {
      expect(refusal(changed(good, first, words))).toMatchObject({
        code: 'CORRUPT',
        message: expect.stringContaining(`record 0, at byte ${first}, is shorter than its header`),
      });
    }
    for (const words of [4, 13, 15]) expect(refusal(changed(good, first, words)).message).toContain('market by order');
    expect(refusal(changed(good, first + 56, 255))).toMatchObject({
      code: 'TRUNCATED',
      message: expect.stringContaining('record 1, '),
    });
  });

  test('of any bytes makes whole records or a TapeError', () => {
    const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(changes, fc.nat(good.length), (bytes, length) => {
        const damaged = good.slice(0, length);
        for (const [at, byte] of bytes) damaged.fill(byte, at, at + 1);
        try {
          const { count, records } = parseDbn(damaged, 'day.dbn');
          expect(records.length).toBe(count * MBO_BYTES);
        } catch (error) {
          expect(error).toBeInstanceOf(TapeError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('readDbn', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'ticktape-dbn-'));
    file = path.join(directory, 'day.dbn.zst');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const records = join(...Array.from({ length: 5000 }, (_, i) => mboRecord({ ...order, sequence: i })));

  test.each([
    ['plain', () => join(metadata(), records)],
    ['in one frame', () => zstd.compress(join(metadata(), records), 3)],
    ['in two frames', () => join(zstd.compress(metadata(), 3), zstd.compress(records, 3))],
    [
      'in frames that do not say their size',
      () => join(withoutSize(zstd.compress(metadata(), 3)), withoutSize(zstd.compress(records, 3))),
    ],
  ])('reads a file %s', async (_, bytes) => {
    writeFileSync(file, bytes());
    const dbn = await readDbn(file);
    expect(dbn).toMatchObject({ dataset: 'GLBX.MDP3', symbols: ['ESH4'], count: 5000, skipped: 0 });
    expect(Buffer.compare(dbn.records, records)).toBe(0);
  });

  const refused = async (code: string) =>
    expect(readDbn(file)).rejects.toMatchObject({
      name: 'TapeError',
      code,
      path: file,
      message: expect.stringContaining(file),
    });

  test('says what is wrong with a file that it cannot read', async () => {
    await refused('NOT_FOUND');
    writeFileSync(file, 'ts,price\n');
    await refused('BAD_MAGIC');
    const frames = join(zstd.compress(metadata(), 3), zstd.compress(records, 3));
    writeFileSync(file, frames.subarray(0, frames.length - 1));
    await refused('CORRUPT');
    writeFileSync(file, join(frames, encoder.encode('tail')));
    await refused('CORRUPT');
    writeFileSync(file, zstd.compress(encoder.encode('{"not":"DBN"}'), 3));
    await refused('BAD_MAGIC');
    file = directory;
    await refused('IO');
  });

  const capture = path.join(import.meta.dirname, '../../../shared/data/cme-esh4-20231225.mbo.dbn.zst');
  test.skipIf(!existsSync(capture))(`reads a real one (skipped without ${path.basename(capture)})`, async () => {
    const { dataset, symbols, count, skipped, records: found } = await readDbn(capture);
    expect({ dataset, symbols, count, skipped }).toEqual({
      dataset: 'GLBX.MDP3',
      symbols: ['ESH4'],
      count: 68_792,
      skipped: 0,
    });
    const view = new DataView(found.buffer, found.byteOffset, found.byteLength);
    const at = (record: number) => ({
      tsEvent: view.getBigUint64(record * MBO_BYTES + 8, true),
      price: view.getBigInt64(record * MBO_BYTES + 24, true),
      action: String.fromCharCode(view.getUint8(record * MBO_BYTES + 38)),
      tsRecv: view.getBigUint64(record * MBO_BYTES + 40, true),
      sequence: view.getUint32(record * MBO_BYTES + 52, true),
    });
    expect(at(0)).toEqual({
      tsEvent: 1703422805243925307n,
      price: 4_799_000_000_000n,
      action: 'A',
      tsRecv: 1703462400000000000n,
      sequence: 682,
    });
    expect(at(count - 1)).toEqual({
      tsEvent: 1703548799446724905n,
      price: 4_810_500_000_000n,
      action: 'M',
      tsRecv: 1703548799446821072n,
      sequence: 59_585,
    });
  });
});
