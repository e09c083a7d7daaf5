import { describe, expect, test } from 'vitest';
import { Dice } from './dice.js';
import { SimulatedProcess } from './process.js';
import { Disk, Inode, PAGE, SECTOR, Storage } from './storage.js';
import { World } from './world.js';

const bytes = (length: number, value: number) => new Uint8Array(length).fill(value);

/** What comes of a file in many power cuts: for each, its content. */
function cuts(prepare: (inode: Inode) => void, times = 300): Uint8Array[] {
  return Array.from({ length: times }, (_, seed) => {
    const inode = new Inode(1, new Disk('/d'), true);
    prepare(inode);
    inode.powerCut(new Dice(seed));
    return inode.content().slice();
  });
}

describe('a file after a power cut', () => {
  test('has what was synced, and of each page any version since', () => {
    const results = cuts((inode) => {
      inode.write(bytes(2 * PAGE, 1), 0);
      inode.sync();
      inode.write(bytes(2 * PAGE, 2), 0);
      inode.write(bytes(PAGE, 3), PAGE);
    });
    const sectors = results.flatMap((content) =>
      Array.from({ length: content.length / SECTOR }, (_, i) => content.subarray(i * SECTOR, (i + 1) * SECTOR)),
    );
    // No sector is torn.
    for (const sector of sectors) expect(new Set(sector).size).toBe(1);
    const pairs = new Set(results.map((content) => `${content[0]} ${content[PAGE]}`));
    expect([...pairs].sort()).toEqual(['1 1', '1 2', '1 3', '2 1', '2 2', '2 3']);
    // But pages are, now and then.
    expect(results.some((content) => content[0] !== content[PAGE - 1])).toBe(true);
  });

  test('is all there where it was synced', () => {
    const results = cuts((inode) => {
      inode.write(bytes(3 * PAGE + 100, 1), 0);
      inode.write(bytes(10, 2), 5000);
      inode.sync();
    });
    for (const content of results) {
      expect(content.length).toBe(3 * PAGE + 100);
      expect([content[4999], content[5000], content[5009], content[5010]]).toEqual([1, 2, 2, 1]);
    }
  });

  test('may have any length that it had since the last sync, and zeros where nothing came', () => {
    const results = cuts((inode) => {
      inode.write(bytes(100, 1), 0);
      inode.sync();
      inode.write(bytes(PAGE, 2), PAGE);
      inode.truncate(3 * PAGE);
    });
    expect(new Set(results.map(({ length }) => length))).toEqual(new Set([100, 2 * PAGE, 3 * PAGE]));
    for (const content of results) {
      expect(content.subarray(100, PAGE).every((byte) => byte === 0)).toBe(true);
      expect(content.subarray(2 * PAGE).every((byte) => byte === 0)).toBe(true);
    }
    expect(results.some((content) => content.length === 3 * PAGE && content[PAGE] === 0)).toBe(true);
  });

  test('may have back what was cut off', () => {
    const results = cuts((inode) => {
      inode.write(bytes(2 * PAGE, 1), 0);
      inode.sync();
      inode.truncate(PAGE);
      inode.truncate(2 * PAGE);
    });
    expect(new Set(results.map((content) => content[PAGE] ?? -1))).toEqual(new Set([-1, 0, 1]));
  });

  test('has what a sync began with, though more was written before that ended', () => {
    const results = cuts((inode) => {
      inode.write(bytes(PAGE, 1), 0);
      const mark = inode.mark();
      inode.write(bytes(PAGE, 2), 0);
      inode.sync(mark);
    });
    expect(new Set(results.map((content) => content[0]))).toEqual(new Set([1, 2]));
  });

  test('is not set back by a sync that began before another one and ended after it', () => {
    const results = cuts((inode) => {
      inode.write(bytes(PAGE, 1), 0);
      const mark = inode.mark();
      inode.write(bytes(PAGE, 2), 0);
      inode.sync();
      inode.sync(mark);
    });
    expect(new Set(results.map((content) => content[0]))).toEqual(new Set([2]));
  });

  test('has of a mapped window what was written back, or what is there, or neither', () => {
    const results = cuts((inode) => {
      inode.write(bytes(PAGE, 1), 0);
      inode.sync();
      const window = { bytes: bytes(PAGE, 1), fileOffset: 0 };
      inode.window = window;
      window.bytes.fill(2);
      inode.pull();
      window.bytes.fill(3);
    });
    expect(new Set(results.map((content) => content[0]))).toEqual(new Set([1, 2, 3]));
  });
});

describe('names after a power cut', () => {
  /** The names in the directory, in each of many power cuts. */
  function names(prepare: (storage: Storage) => void): Set<string> {
    const found = Array.from({ length: 200 }, (_, seed) => {
      const storage = new Storage([new Disk('/t/d')], true);
      storage.makeDirectory('/t/d');
      storage.syncDirectory('/t');
      prepare(storage);
      storage.powerCut(new Dice(seed));
      return storage.list('/t/d').join(' ');
    });
    return new Set(found);
  }

  test('are there where the directory was synced', () => {
    const found = names((storage) => {
      storage.make('/t/d/a');
      storage.rename('/t/d/a', '/t/d/b');
      storage.syncDirectory('/t/d');
    });
    expect(found).toEqual(new Set(['b']));
  });

  test('may be the old ones, or the new ones, or any change alone, where it was not', () => {
    const found = names((storage) => {
      storage.make('/t/d/a');
      storage.syncDirectory('/t/d');
      storage.rename('/t/d/a', '/t/d/b');
      storage.make('/t/d/c');
    });
    expect(found).toEqual(new Set(['a', 'a c', 'b', 'b c']));
  });

  test('may come back where they were removed', () => {
    const found = names((storage) => {
      storage.make('/t/d/a');
      storage.syncDirectory('/t/d');
      storage.remove('/t/d/a');
    });
    expect(found).toEqual(new Set(['', 'a']));
  });

  test('go with a directory that was made and not synced', () => {
    const found = Array.from({ length: 50 }, (_, seed) => {
      const storage = new Storage([new Disk('/t/d')], true);
      storage.makeDirectory('/t/d');
      storage.make('/t/d/a');
      storage.syncDirectory('/t/d');
      storage.powerCut(new Dice(seed));
      return storage.find('/t/d/a') !== undefined;
    });
    expect(new Set(found)).toEqual(new Set([true, false]));
  });
});

describe('a process', () => {
  function started(): { world: World; process: SimulatedProcess } {
    const world = new World(1, [new Disk('/t/d')], true);
    world.storage.makeDirectory('/t/d');
    const process = new SimulatedProcess(world, 'test');
    world.start(process);
    return { world, process };
  }

  test('that is dead can do nothing any more, and what it wrote is there', () => {
    const { world, process } = started();
    const file = process.files.open('/t/d/a', 'make');
    file.write(bytes(10, 1), 0);
    process.fate = { kind: 'death', operation: process.operations + 1 };
    expect(() => process.files.rename('/t/d/a', '/t/d/b')).toThrow('the process is dead');
    expect(() => file.write(bytes(10, 2), 0)).toThrow('the process is dead');
    expect(() => process.files.remove('/t/d/a')).toThrow('the process is dead');
    expect([...world.storage.files.keys()]).toEqual(['/t/d/a']);
    expect(world.storage.find('/t/d/a')!.content()).toEqual(bytes(10, 1));
  });

  test('leaves what it stored into a mapping in the file', () => {
    const { world, process } = started();
    process.files.preallocate('/t/d/a', 65_536);
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
    process.mapper().map('/t/d/a', memory, 65_536, 65_536, 0);
    new Uint8Array(memory.buffer)[65_536 + 7] = 5;
    world.end(process, 'death');
    new Uint8Array(memory.buffer)[65_536 + 8] = 6;
    expect([...world.storage.find('/t/d/a')!.content().subarray(6, 10)]).toEqual([0, 5, 0, 0]);
  });

  test('lets go of its locks', () => {
    const { world, process } = started();
    process.lock('/t/d/lock');
    const other = new SimulatedProcess(world, 'other');
    world.start(other);
    expect(() => other.lock('/t/d/lock')).toThrow(expect.objectContaining({ code: 'LOCKED' }));
    world.end(process, 'death');
    expect(() => other.lock('/t/d/lock')).not.toThrow();
  });

  test('writes later, and what is not yet written when it dies may be there in part or not at all', async () => {
    const lengths = new Set<number>();
    for (let seed = 0; seed < 100; seed++) {
      const world = new World(seed, [new Disk('/t/d')], true);
      world.storage.makeDirectory('/t/d');
      const process = new SimulatedProcess(world, 'test');
      world.start(process);
      const file = process.files.open('/t/d/a', 'make');
      file.writeAsync(bytes(10, 1), 0).catch(() => {});
      expect(world.storage.find('/t/d/a')!.size).toBe(0);
      world.end(process, 'death');
      await world.scheduler.pass(1000);
      lengths.add(world.storage.find('/t/d/a')!.size);
    }
    expect(lengths.has(0)).toBe(true);
    expect(lengths.size).toBeGreaterThan(3);
  });

  test('hears of a full disk after a part of its write', () => {
    const { world, process } = started();
    const file = process.files.open('/t/d/a', 'make');
    file.write(bytes(100, 1), 0);
    world.storage.disks[0].trouble.full = true;
    expect(() => file.write(bytes(100, 2), 50)).toThrow(expect.objectContaining({ code: 'ENOSPC', syscall: 'write' }));
    const { size } = world.storage.find('/t/d/a')!;
    expect(size).toBeGreaterThanOrEqual(100);
    expect(size).toBeLessThan(150);
    file.write(bytes(10, 3), 0);
  });
});
