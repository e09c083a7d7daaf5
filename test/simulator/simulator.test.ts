import { describe, expect, test } from 'vitest';
import { BUGS, hunt } from './bugs.mjs';
import { simulate } from './harness.mjs';
import { KNOWN } from './known.mjs';
import { Scenario } from './scenario.js';

const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node';

test('nothing is lost, invented, doubled or out of order in any of these seeds', async () => {
  const faults = new Set<string>();
  for (let seed = 1; seed <= 120; seed++) {
    const outcome = await new Scenario(seed).run();
    for (const fault of Object.keys(outcome.faults)) faults.add(fault);
    const isKnown = KNOWN.some(({ pattern }) => pattern.test(outcome.violations[0] ?? ''));
    if (!isKnown && outcome.violations.length > 0) expect.fail(`seed ${seed}: ${outcome.violations.join('\n')}`);
  }
  // Every kind comes within so few seeds.
  for (const fault of ['process death', 'power cut', 'recovery killed', 'repair killed', 'EIO', 'ENOSPC', 'bit rot']) {
    expect(faults).toContain(fault);
  }
}, 180_000);

test('a seed gives the same each time', async () => {
  const hashes = new Set<number>();
  for (const seed of [3, 14, 15]) {
    const first = await new Scenario(seed).run();
    expect(await new Scenario(seed).run()).toEqual(first);
    expect(first.operations).toBeGreaterThan(0);
    hashes.add(first.traceHash);
  }
  expect(hashes.size).toBe(3);
});

// Only Node's is the one that `npm test` is run with.
test.runIf(runtime === 'node')('and on every runtime', async () => {
  const hashes = [];
  for (const name of ['node', 'deno', 'bun']) {
    const report = await simulate({ runtime: name, seeds: 12, from: 1000, name });
    expect(report.seeds).toBe(12);
    hashes.push(report.traceHash);
  }
  expect(hashes).toEqual(new Array(3).fill(hashes[0]));
});

describe('a deliberate bug', () => {
  const names = [
    'recovery takes from lanes what blocks hold',
    'a lane has its name before its header is on the disk',
    'lanes let go of records before their blocks are stored',
    'a roster has its name before it is on the disk',
  ];
  test.each(names)('is found: %s', async (name) => {
    const bugs = BUGS.filter((bug) => bug.name === name);
    const [found] = await hunt({ runtime, bugs, jobs: 1 });
    expect(found.violation).not.toBe(null);
    expect(found.seeds).toBeLessThan(100);
  });
});
