import { readFileSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import fc from 'fast-check';
import { TapeError } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { describe, expect, test } from 'vitest';
import { scratchFile } from '../helpers/scratch.js';
import { Child, inChild } from './child.js';

const KIB = 1024;
const PAGE = 64 * KIB;

function sharedMemory(pages = 4): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

function bytesOf(memory: WebAssembly.Memory): Uint8Array {
  return new Uint8Array(memory.buffer);
}

function fileOf(bytes: number, name = 'tape'): string {
  const path = scratchFile(name);
  runtime.files.preallocate(path, bytes);
  return path;
}

/** toEqual takes seconds for megabytes. */
function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.byteLength).toBe(expected.byteLength);
  expect(Buffer.compare(actual, expected)).toBe(0);
}

function errorOf(action: () => unknown): TapeError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(TapeError);
    return error as TapeError;
  }
  throw new Error('it did not throw');
}

describe('a view of a file', () => {
  test('shows its bytes, zeros to the end of its last page, and plain memory behind', () => {
    const path = scratchFile('segment');
    const content = Uint8Array.from({ length: PAGE + 5000 }, (_, i) => 1 + (i % 255));
    writeFileSync(path, content, { mode: 0o444 });
    const before = statSync(path, { bigint: true });
    const memory = sharedMemory();
    const bytes = bytesOf(memory);
    bytes.fill(0xee);
    const view = runtime.mapper().view(path, memory, PAGE, PAGE + 5000, 0);
    expect(view.bringIn(0, PAGE + 5000)).toBe(true);
    expect(view.bringIn(PAGE + 4999, 1)).toBe(true);
    expect(view.bringIn(7, 0)).toBe(true);
    expectSame(bytes.slice(PAGE, 2 * PAGE + 5000), content);
    expectSame(bytes.slice(2 * PAGE + 5000, 2 * PAGE + 8192), new Uint8Array(3192));
    expect([bytes[PAGE - 1], bytes[3 * PAGE]]).toEqual([0xee, 0xee]);
    for (const [from, length] of [
      [-1, 2],
      [PAGE + 4999, 2],
      [0, -1],
    ]) {
      expect(() => view.bringIn(from, length)).toThrow('within the view');
    }
    view.unmap();
    view.unmap();
    expectSame(bytes.slice(PAGE, 2 * PAGE + 5000), new Uint8Array(PAGE + 5000));
    bytes[PAGE] = 1;
    expect(() => view.bringIn(0, 1)).toThrow('within the view');
    const after = statSync(path, { bigint: true });
    expect([after.mtimeNs, after.size]).toEqual([before.mtimeNs, before.size]);
  });

  test('shows what is stored in the file meanwhile, from an offset on', () => {
    const path = fileOf(2 * PAGE);
    const [memory, other] = [sharedMemory(), sharedMemory()];
    const view = runtime.mapper().view(path, memory, 0, 100, PAGE);
    expect(view.bringIn(0, 100)).toBe(true);
    runtime.mapper().map(path, other, 0, PAGE, PAGE);
    bytesOf(other)[99] = 7;
    expect(bytesOf(memory)[99]).toBe(7);
  });

  test('says what can not be read, for the file was cut', () => {
    const path = fileOf(2 * PAGE);
    const view = runtime.mapper().view(path, sharedMemory(), 0, 2 * PAGE, 0);
    truncateSync(path, PAGE + 1);
    expect(view.bringIn(0, PAGE + 4096)).toBe(true);
    expect(view.bringIn(PAGE, 2 * PAGE - PAGE)).toBe(false);
    expect(view.bringIn(2 * PAGE - 1, 1)).toBe(false);
  });

  test('is refused with the reason, and plain memory is there', () => {
    const path = fileOf(PAGE);
    const memory = sharedMemory();
    const view = (file: string, length: number) => errorOf(() => runtime.mapper().view(file, memory, 0, length, 0));
    expect(view(`${path}.missing`, 10)).toMatchObject({ code: 'IO', message: expect.stringContaining('ENOENT') });
    expect(view(path, PAGE + 1)).toMatchObject({ code: 'IO', message: expect.stringContaining('65536 bytes') });
    // A directory can be opened to be read, and not mapped.
    expect(view('.', 10).code).toBe('IO');
    bytesOf(memory).fill(1);
    const { view: of } = runtime.mapper();
    expect(() => of(path, memory, 4 * KIB, 10, 0)).toThrow('multiples of 64 KiB');
    expect(() => of(path, memory, 0, 0, 0)).toThrow('within the memory');
    expect(() => of(path, memory, 4 * PAGE, 10, 0)).toThrow('within the memory');
  });
});

describe('a mapped file', () => {
  test('has what is stored in its window, and nothing of what is stored around it', () => {
    const path = fileOf(PAGE);
    const memory = sharedMemory();
    const bytes = bytesOf(memory);
    bytes.fill(0xee);
    runtime.mapper().map(path, memory, PAGE, PAGE, 0);
    expectSame(bytes.subarray(PAGE, 2 * PAGE), new Uint8Array(PAGE));
    bytes.set([1, 2, 3], PAGE);
    bytes.set([4], 2 * PAGE - 1);
    const content = readFileSync(path);
    expect([...content.subarray(0, 4), content[PAGE - 1]]).toEqual([1, 2, 3, 0, 4]);
    expect([bytes[PAGE - 1], bytes[2 * PAGE]]).toEqual([0xee, 0xee]);
  });

  test('is the same in another memory', () => {
    const path = fileOf(PAGE);
    const [one, other] = [sharedMemory(), sharedMemory()];
    runtime.mapper().map(path, one, 0, PAGE, 0);
    runtime.mapper().map(path, other, 3 * PAGE, PAGE, 0);
    bytesOf(one)[7] = 42;
    expect(bytesOf(other)[3 * PAGE + 7]).toBe(42);
  });

  test('is the same in another process, whose atomic operations are atomic here', async () => {
    const path = fileOf(PAGE);
    const memory = sharedMemory();
    runtime.mapper().map(path, memory, PAGE, PAGE, 0);
    const word = new Int32Array(memory.buffer, PAGE, 1);
    Atomics.store(word, 0, 41);
    expect(await inChild('with-ffi', `add=${path}`)).toEqual({ result: 41 });
    expect(Atomics.load(word, 0)).toBe(42);
  });

  test('can be mapped from 64 KiB on, and in part', () => {
    const path = fileOf(2 * PAGE);
    const memory = sharedMemory();
    runtime.mapper().map(path, memory, PAGE, 4 * KIB, PAGE);
    bytesOf(memory)[PAGE + 1] = 9;
    expect(readFileSync(path).indexOf(9)).toBe(PAGE + 1);
  });

  test('may have any characters in its name', () => {
    const path = fileOf(PAGE, 'mårkt 市場 📈.lane');
    const memory = sharedMemory();
    runtime.mapper().map(path, memory, 0, PAGE, 0);
    bytesOf(memory)[0] = 5;
    expect(readFileSync(path)[0]).toBe(5);
  });

  test('keeps what it holds when unmapped, and leaves plain zeroed memory that all threads see', async () => {
    const path = fileOf(PAGE);
    const memory = sharedMemory();
    const bytes = bytesOf(memory);
    const mapping = runtime.mapper().map(path, memory, 0, PAGE, 0);
    bytes.fill(3, 0, PAGE);
    mapping.unmap();
    expectSame(bytes.subarray(0, PAGE), new Uint8Array(PAGE));
    bytes[0] = 8;
    mapping.unmap();
    expect(bytes[0]).toBe(8);
    expectSame(readFileSync(path), Buffer.alloc(PAGE, 3));

    const worker = runtime.spawn(new URL('worker.mjs', import.meta.url), { memory });
    const answer = new Promise((resolve) => worker.onMessage(resolve));
    worker.post({ add: 0 });
    expect(await answer).toEqual({ before: 8 });
    expect(bytes[0]).toBe(9);
    await worker.terminate();
  });

  test('can be mapped again in the same place', () => {
    const [first, second] = [fileOf(PAGE), fileOf(PAGE)];
    const memory = sharedMemory();
    const bytes = bytesOf(memory);
    runtime.mapper().map(first, memory, 0, PAGE, 0).unmap();
    runtime.mapper().map(second, memory, 0, PAGE, 0);
    bytes[0] = 1;
    expect([readFileSync(first)[0], readFileSync(second)[0]]).toEqual([0, 1]);
  });

  test('mapped by a thread is mapped for all, and outlives the thread', async () => {
    const path = fileOf(PAGE);
    const memory = sharedMemory();
    const worker = runtime.spawn(new URL('worker.mjs', import.meta.url), { memory });
    const answer = new Promise((resolve) => worker.onMessage(resolve));
    worker.post({ map: path, add: 2 });
    expect(await answer).toEqual({ before: 0 });
    await worker.terminate();
    bytesOf(memory)[0] = 6;
    expect([...readFileSync(path).subarray(0, 9)]).toEqual([6, 0, 0, 0, 0, 0, 0, 0, 1]);
  });

  test('syncs any range within its window, and none outside or after', () => {
    const path = fileOf(PAGE);
    const memory = sharedMemory();
    const mapping = runtime.mapper().map(path, memory, PAGE, PAGE, 0);
    bytesOf(memory).fill(1, PAGE, 2 * PAGE);
    mapping.sync(0, PAGE);
    mapping.sync(5000, 1);
    mapping.sync(4095, 2);
    mapping.sync(PAGE, 0);
    expect(() => mapping.sync(PAGE - 1, 2)).toThrow('within the window');
    expect(() => mapping.sync(-1, 2)).toThrow('within the window');
    mapping.unmap();
    expect(() => mapping.sync(0, 1)).toThrow('is mapped when it is synced');
  });

  test('can be made and dropped many times without running out of anything', () => {
    const path = fileOf(PAGE);
    const memory = sharedMemory();
    for (let i = 0; i < 3000; i++) runtime.mapper().map(path, memory, 0, PAGE, 0).unmap();
  });

  test('must exist, be a file, and be as long as the window', () => {
    const path = fileOf(PAGE);
    const memory = sharedMemory();
    const map = (file: string, length = PAGE, fileOffset = 0) =>
      errorOf(() => runtime.mapper().map(file, memory, 0, length, fileOffset));
    expect(map(`${path}.missing`)).toMatchObject({
      code: 'IO',
      path: `${path}.missing`,
      message: expect.stringContaining('ENOENT'),
    });
    expect(map('.')).toMatchObject({ code: 'IO', message: expect.stringContaining('EISDIR') });
    expect(map(path, 2 * PAGE)).toMatchObject({ code: 'IO', message: expect.stringContaining('65536 bytes') });
    expect(map(path, PAGE, PAGE)).toMatchObject({ code: 'IO' });
    expect(map(`${path}\0`)).toMatchObject({ code: 'BAD_PATH' });
  });

  test('takes a window of a shared memory, on its boundaries', () => {
    const path = fileOf(PAGE);
    const { map } = runtime.mapper();
    expect(() => map(path, new WebAssembly.Memory({ initial: 1, maximum: 1 }), 0, PAGE, 0)).toThrow('memory is shared');
    expect(() => map(path, sharedMemory(), 4 * KIB, PAGE, 0)).toThrow('multiples of 64 KiB');
    expect(() => map(path, sharedMemory(), 0, PAGE, 4 * KIB)).toThrow('multiples of 64 KiB');
    expect(() => map(path, sharedMemory(), 0, 100, 0)).toThrow('multiple of 4 KiB');
    expect(() => map(path, sharedMemory(), 4 * PAGE, PAGE, 0)).toThrow('within the memory');
  });
});

describe('preallocate', () => {
  test('makes a file, grows it, never shortens it, and keeps what it holds', () => {
    const path = scratchFile('segment');
    runtime.files.preallocate(path, 0);
    expect(statSync(path).size).toBe(0);
    runtime.files.preallocate(path, 10_000);
    expectSame(readFileSync(path), Buffer.alloc(10_000));
    writeFileSync(path, 'hello');
    runtime.files.preallocate(path, 20_000);
    expectSame(readFileSync(path), Buffer.concat([Buffer.from('hello'), Buffer.alloc(19_995)]));
    runtime.files.preallocate(path, 100);
    expect(statSync(path).size).toBe(20_000);
  });

  test('allocates every byte, holes included', () => {
    const path = scratchFile('segment');
    writeFileSync(path, '');
    truncateSync(path, 1024 * KIB);
    expect(statSync(path).blocks).toBe(0);
    runtime.files.preallocate(path, 3 * 1024 * KIB);
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(3 * 1024 * KIB);
  });

  test('says which file could not be made', () => {
    const path = `${scratchFile('missing')}/segment`;
    const error = errorOf(() => runtime.files.preallocate(path, 4096));
    expect(error).toMatchObject({ code: 'IO', path, message: expect.stringContaining('ENOENT') });
  });

  // A tmpfs refuses at once what it could never hold; another file system might be filled up in the trying.
  const TMPFS = 0x01021994;
  const tmpfs = statSync('/dev/shm', { throwIfNoEntry: false }) !== undefined && statfsSync('/dev/shm').type === TMPFS;
  test.skipIf(!tmpfs)('on a full disk says so and leaves everything as it was (skipped without a tmpfs)', () => {
    const path = `/dev/shm/ticktape-test-${process.pid}`;
    const error = errorOf(() => runtime.files.preallocate(path, 2 ** 44));
    expect(error).toMatchObject({ code: 'DISK_FULL', path, message: expect.stringContaining('make room') });
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });
});

test('a directory is synced, and what keeps it from that is said', async () => {
  const path = scratchFile('missing');
  runtime.files.syncDirectory(dirname(path));
  expect(errorOf(() => runtime.files.syncDirectory(path))).toMatchObject({ code: 'IO', path });
  // Windows has no such thing; Deno's is the same system without FFI.
  const reply = await inChild('without-ffi', `syncDirectory=${path}`);
  expect(reply).toMatchObject(runtime.name === 'deno' ? { code: 'IO' } : { result: null });
});

describe('lock', () => {
  test('has one holder in a process, and can be had again once released', () => {
    const path = scratchFile('LOCK');
    const lock = runtime.lock(path);
    const error = errorOf(() => runtime.lock(path));
    expect(error).toMatchObject({ code: 'LOCKED', path });
    expect(error.message).toContain(`another writer (process ${process.pid}) has the tape`);
    lock.release();
    lock.release();
    runtime.lock(path).release();
  });

  test('is not let go of by an earlier holder', () => {
    const path = scratchFile('LOCK');
    const earlier = runtime.lock(path);
    earlier.release();
    const lock = runtime.lock(path);
    earlier.release();
    expect(errorOf(() => runtime.lock(path)).code).toBe('LOCKED');
    lock.release();
  });

  test('says what kept it from being made', () => {
    const path = `${scratchFile('missing')}/LOCK`;
    expect(errorOf(() => runtime.lock(path))).toMatchObject({ code: 'IO', path });
  });

  // Without FFI, one side locks in its own way; the other has to heed it all the same.
  for (const mode of ['with-ffi', 'without-ffi'] as const) {
    test(`of another process ${mode} is refused, and free when that process is killed`, async () => {
      const path = scratchFile('LOCK');
      const holder = new Child(mode, `lock=${path}`, 'hold');
      try {
        expect(await holder.reply()).toEqual({ result: null });
        const error = errorOf(() => runtime.lock(path));
        expect(error).toMatchObject({ code: 'LOCKED', path });
        expect(error.message).toContain(`process ${holder.process.pid}`);
        expect(await inChild(mode, `lock=${path}`)).toMatchObject({ code: 'LOCKED' });
      } finally {
        await holder.kill();
      }
      runtime.lock(path).release();
      expect(await inChild(mode, `lock=${path}`)).toEqual({ result: null });
    });

    test(`held here is refused to another process ${mode}`, async () => {
      const path = scratchFile('LOCK');
      const lock = runtime.lock(path);
      const { code, message } = await inChild(mode, `lock=${path}`);
      expect(code).toBe('LOCKED');
      expect(message).toContain(`process ${process.pid}`);
      lock.release();
      expect(await inChild(mode, `lock=${path}`)).toEqual({ result: null });
    });
  }
});

describe('without FFI', () => {
  test('files can not be mapped, and the error says why', async () => {
    const { code, message } = await inChild('without-ffi', 'map');
    expect(code).toBe('UNSUPPORTED');
    expect(message).toContain(runtime.name === 'deno' ? '--allow-ffi' : 'win32');
  });

  test('preallocate allocates every byte too', async () => {
    const path = scratchFile('segment');
    writeFileSync(path, 'hello');
    const { result } = await inChild('without-ffi', `preallocate=${path}=2500000`);
    expect(result).toMatchObject({ size: 2_500_000 });
    expect((result as { allocated: number }).allocated).toBeGreaterThanOrEqual(2_500_000);
    expectSame(readFileSync(path), Buffer.concat([Buffer.from('hello'), Buffer.alloc(2_499_995)]));
  });

  test('the clock is close to the system clock', async () => {
    const { result } = await inChild('without-ffi', 'clock');
    expect(Math.abs(result as number)).toBeLessThanOrEqual(60);
  });
});

describe('zstd', async () => {
  const zstd = await runtime.zstd();
  const content = Uint8Array.from({ length: 50_000 }, (_, i) => (i * i) >> 8);
  const frame = zstd.compress(content, 3);

  test('gives back what it was given, at any level', () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 3000 }))
        .map(([bytes, times]) => Uint8Array.from({ length: bytes.length * times }, (_, i) => bytes[i % bytes.length])),
    );
    fc.assert(
      fc.property(anyBytes, fc.integer({ min: 1, max: 19 }), (bytes, level) => {
        const back = zstd.decompress(zstd.compress(bytes, level), bytes.byteLength);
        expectSame(back, bytes);
      }),
      { numRuns: 200 },
    );
  });

  test('gives plain arrays, whose slices are copies', () => {
    expect(frame.constructor).toBe(Uint8Array);
    expect(zstd.decompress(frame, content.byteLength).constructor).toBe(Uint8Array);
  });

  test('takes views of shared memory', () => {
    const shared = bytesOf(sharedMemory());
    shared.set(content, 100);
    const packed = zstd.compress(shared.subarray(100, 100 + content.byteLength), 1);
    shared.set(packed, 3 * PAGE);
    const back = zstd.decompress(shared.subarray(3 * PAGE, 3 * PAGE + packed.byteLength), content.byteLength);
    expectSame(back, content);
  });

  test('writes one frame, with its content size, whatever its length', () => {
    // Around 16 KiB of output node:zlib puts an empty frame behind the first, unless it is kept from it.
    let random = 1;
    const noise = Uint8Array.from({ length: 33_000 }, () => {
      random = (random * 48271) % 0x7fffffff;
      return random;
    });
    for (const middle of [16_384, 32_768]) {
      for (let length = middle - 40; length < middle + 40; length++) {
        const bytes = noise.subarray(0, length);
        expect(zstd.decompress(zstd.compress(bytes, 1), length).byteLength).toBe(length);
      }
    }
  });

  function refusal(bytes: Uint8Array, size: number): string {
    const error = errorOf(() => zstd.decompress(bytes, size));
    expect(error.code).toBe('CORRUPT');
    return error.message;
  }

  test('refuses a frame of another size than asked for', () => {
    for (const size of [0, 1, content.byteLength - 1, content.byteLength + 1, 2 ** 40]) {
      expect(refusal(frame, size)).toContain(`holds ${content.byteLength} bytes, not ${size}`);
    }
  });

  test('refuses a frame cut anywhere, or with anything behind it', () => {
    for (let length = 0; length < frame.byteLength; length += length < 30 ? 1 : 97) {
      refusal(frame.subarray(0, length), content.byteLength);
    }
    expect(refusal(Buffer.concat([frame, frame]), content.byteLength)).toContain('bytes follow it');
    expect(refusal(Buffer.concat([frame, Buffer.alloc(1)]), content.byteLength)).toContain('1 bytes follow it');
  });

  test('refuses a frame that is none, or says too much', () => {
    const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
    expect(refusal(hex(''), 0)).toContain('cut off');
    expect(refusal(Buffer.from('{"not":"zstd"}'), 14)).toContain('magic number');
    expect(refusal(hex('28b52ffd 00 58 010000'), 0)).toContain('no content size');
    expect(refusal(hex('28b52ffd 28 00 010000'), 0)).toContain('reserved bit');
    expect(refusal(hex('28b52ffd 21 07 00 010000'), 0)).toContain('dictionary');
    expect(refusal(hex('28b52ffd 20 00 070000'), 0)).toContain('reserved type');
    // 2^40 bytes of content in eight bytes of size, and one empty block.
    expect(refusal(hex('28b52ffd e0 0000000000010000 010000'), 2 ** 40)).toContain('0 bytes at most');
    expect(refusal(hex('28b52ffd e0 0000000000010000 010000'), content.byteLength)).toContain('holds 1099511627776');
    expect(refusal(hex('28b52ffd e0 ffffffffffffffff 010000'), 0)).toContain('not 0');
    // One repeated byte, 128 KiB of it, cannot be a gigabyte.
    expect(refusal(hex('28b52ffd a0 00000040 030010 00'), 2 ** 30)).toContain('131072 bytes at most');
  });

  test('of any damage makes CORRUPT or as many bytes as asked for', () => {
    const flips = fc.array(fc.tuple(fc.nat({ max: frame.byteLength - 1 }), fc.nat({ max: 7 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(flips, (bits) => {
        const damaged = frame.slice();
        for (const [at, bit] of bits) damaged[at] ^= 1 << bit;
        try {
          expect(zstd.decompress(damaged, content.byteLength).byteLength).toBe(content.byteLength);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CORRUPT' });
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('nowNs', () => {
  test('is the wall clock', () => {
    for (let i = 0; i < 100; i++) {
      const before = Date.now();
      const now = Number(runtime.nowNs() / 1000n) / 1000;
      expect(now).toBeGreaterThan(before - 2);
      expect(now).toBeLessThan(Date.now() + 3);
    }
  });

  test('never goes back, and does go on', () => {
    const first = runtime.nowNs();
    let last = first;
    for (let i = 0; i < 100_000; i++) {
      const now = runtime.nowNs();
      if (now < last) throw new Error(`${now} after ${last}`);
      last = now;
    }
    expect(last).toBeGreaterThan(first);
  });
});

describe('a worker', () => {
  const url = new URL('worker.mjs', import.meta.url);

  test('shares memory and talks', async () => {
    const memory = sharedMemory(1);
    const worker = runtime.spawn(url, { memory });
    const answers: unknown[] = [];
    const both = new Promise<void>((resolve) => {
      worker.onMessage((message) => {
        if (answers.push(message) === 2) resolve();
      });
    });
    worker.post({ add: 5 });
    worker.post({ add: 5 });
    await both;
    expect(answers).toEqual([{ before: 0 }, { before: 1 }]);
    expect(new Int32Array(memory.buffer)[5]).toBe(2);
    await worker.terminate();
  });

  test('that dies of an error or ends by itself says so once, also to who asks late', async () => {
    for (const [message, reason] of [
      [{ fail: 'broken pipe' }, 'broken pipe'],
      [{ exit: 3 }, 'exit code 3'],
    ] as const) {
      const worker = runtime.spawn(url, { memory: sharedMemory(1) });
      const failures: Error[] = [];
      const failed = new Promise<void>((resolve) => {
        worker.onFailure((error) => {
          failures.push(error);
          resolve();
        });
      });
      worker.post(message);
      await failed;
      const late = await new Promise<Error>((resolve) => worker.onFailure(resolve));
      await worker.terminate();
      expect(failures).toEqual([late]);
      expect(late.message).toContain(reason);
    }
  });

  test('that can not be loaded says so', async () => {
    const worker = runtime.spawn(new URL('missing.mjs', import.meta.url), {});
    const error = await new Promise<Error>((resolve) => worker.onFailure(resolve));
    expect(error.message).toContain('missing.mjs');
  });

  test('that is terminated has not failed', async () => {
    const worker = runtime.spawn(url, { memory: sharedMemory(1) });
    const failures: Error[] = [];
    worker.onFailure((error) => failures.push(error));
    worker.keepAlive(false);
    worker.keepAlive(true);
    const answer = new Promise((resolve) => worker.onMessage(resolve));
    worker.post({ add: 0 });
    await answer;
    await worker.terminate();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(failures).toEqual([]);
  });
});
