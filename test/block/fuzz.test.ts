import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Schema } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { CASES_PER_GROUP, type Decoder, type Failure, Fuzzer } from '../fuzz/fuzzer.mjs';
import { fuzz } from '../fuzz/harness.mjs';
import { WEAK } from '../fuzz/weak-decoders.mjs';

const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node';

const GROUPS = 16;
const CASES_OF_GROUP = 192;

/** Some cases of each of some groups, each of which has another schema. */
function fuzzSlice(makeDecoder?: (schema: Schema) => Decoder) {
  const failures: Failure[] = [];
  const fuzzer = new Fuzzer({ seed: 7, onFailure: (failure: Failure) => failures.push(failure), makeDecoder });
  for (let group = 0; group < GROUPS; group++) {
    const from = group * CASES_PER_GROUP + (group % 8) * 256;
    fuzzer.run(from, from + CASES_OF_GROUP);
  }
  return { fuzzer, failures };
}

test('a damaged block is decoded to columns of the right length, or refused: nothing else', () => {
  const { fuzzer, failures } = fuzzSlice();
  expect(failures).toEqual([]);
  expect(fuzzer.decoded + fuzzer.refused).toBe(GROUPS * CASES_OF_GROUP);
  // All was reached: what of a torn block is decoded is what damage left as it was.
  for (const { decoded, refused } of Object.values(fuzzer.tally)) {
    expect(decoded).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(10);
  }
});

test('a case is the same by itself as among others', () => {
  const run = (...ranges: [from: number, to: number][]) => {
    const fuzzer = new Fuzzer({ seed: 7, onFailure: (failure: Failure) => expect(failure).toBeUndefined() });
    for (const [from, to] of ranges) fuzzer.run(from, to);
    return fuzzer.tally;
  };
  const alone = Array.from({ length: 300 }, (_, i): [number, number] => [i, i + 1]);
  expect(run(...alone)).toEqual(run([0, 300]));
});

describe('a decoder that', () => {
  test.each([
    ['answers a value too many', 'OneValueMore', /has \d+ values, not \d+/],
    ['answers another array', 'OtherArray', /is no \w+Array/],
    ['throws another error', 'ThrowsRangeError', /RangeError: offset is out of bounds/],
    ['checks no checksum', 'ChecksNoChecksum', /a changed chunk is decoded/],
    ['carries over from one block to the next', 'Remembers', /decoded otherwise than before/],
    ['reads behind the block', 'ReadsTooFar', /decoded otherwise/],
    ['writes into the block', 'WritesIntoTheBlock', /the decoder wrote into the block/],
    ['takes more memory than it should', 'TakesMemory', /has \d+ bytes of memory, of \d+/],
  ])('%s is found out', (_, name, what) => {
    const { failures } = fuzzSlice((schema) => new WEAK[name](schema));
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure.what).toMatch(what);
  });
});

describe('the command', () => {
  const script = fileURLToPath(new URL('../fuzz/fuzz.mjs', import.meta.url));
  const prefix = runtime === 'deno' ? ['run', '-A', '--no-lock', '--node-modules-dir=manual'] : [];
  const run = (...args: string[]) => spawnSync(process.execPath, [...prefix, script, ...args], { encoding: 'utf8' });

  test('runs all cases, whatever the number of processes', async () => {
    const options = { runtime, cases: 3 * CASES_PER_GROUP, seed: 7, from: 100 };
    const [one, two] = [await fuzz({ ...options, jobs: 1 }), await fuzz({ ...options, jobs: 2 })];
    expect(one).toMatchObject({ cases: options.cases, failures: 0, hangs: 0, deaths: 0, found: [] });
    expect(two).toMatchObject({ cases: options.cases, failures: 0, decoded: one.decoded, refused: one.refused });
    expect(one.decoded + one.refused).toBe(options.cases);
    expect(one.peakRssBytes).toBeLessThan(one.memoryBoundBytes);
  });

  test('says at which case a process dies or hangs, and goes on behind it', async () => {
    const { found, deaths, cases } = await fuzz({ runtime, cases: 1500, seed: 7, weak: 'Dies' });
    expect([deaths, cases]).toEqual([found.length, 1500 - found.length]);
    expect(deaths).toBeGreaterThan(0);
    const [{ case: number, what }] = found;
    expect(what).toMatch(/ended with status/);
    // The other one hangs where this one dies.
    const options = { runtime, from: number - 10, cases: 20, seed: 7, hangMs: 2500, weak: 'Hangs' };
    const report = await fuzz(options);
    expect(report).toMatchObject({ cases: 19, failures: 1, hangs: 1, deaths: 0 });
    expect(report.found[0]).toMatchObject({
      case: number,
      what: 'nothing for 2.5 s',
      replay: `npm run fuzz -- --runtime ${runtime} --seed 7 --only ${number}`,
    });
    expect(await fuzz({ ...options, from: number, cases: 1 })).toMatchObject({ hangs: 1 });
  });

  test('keeps the blocks of cases that fail', async () => {
    const scratch = mkdtempSync(path.join(tmpdir(), 'ticktape-fuzz-test-'));
    const keep = path.join(scratch, 'kept');
    try {
      expect((await fuzz({ runtime, cases: 100, seed: 7, keep })).failures).toBe(0);
      expect(existsSync(keep)).toBe(false);
      const { found } = await fuzz({ runtime, cases: 3000, seed: 7, keep, weak: 'ThrowsRangeError' });
      expect(found.length).toBeGreaterThan(0);
      expect(readdirSync(keep)).toEqual(
        expect.arrayContaining(found.map(({ case: number }) => `case-${number}.block`)),
      );
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });

  test('says what is wrong with its arguments', () => {
    expect(run('--help')).toMatchObject({ status: 0, stderr: '' });
    for (const args of [['--runtime', 'perl'], ['--cases', '0'], ['--seed', '-1'], ['--only', 'x'], ['--wat']]) {
      const { status, stderr } = run(...args);
      expect([status, stderr.trim().split('\n').length]).toEqual([2, 1]);
      expect(stderr).toContain(args[0]);
    }
  });
});
