import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { startTicktape, ticktapeCommand } from '../helpers/command-line.js';
import { copyOf, filesOf, lastingScratch, scratch, snapshot } from '../helpers/scratch.js';
import { expectWell, flip, goodCopies, makeTape, placesOf, storageOf } from '../helpers/scrub.js';

const base = path.join(lastingScratch(), 'tape');
await makeTape(base, { nodes: 3, redundancy: 2 });
const BLOCKS = 15;

const ticktape = (...args: string[]) => startTicktape(args).ended;
const copy = () => storageOf(copyOf(base), 3);

function strike(storage: readonly string[]): void {
  const [first] = placesOf(storage);
  flip(first.path, first.offset + first.blockBytes - 20);
  for (const file of filesOf(storage[first.node === 2 ? 1 : 2], /00000002\.ttseg$/)) rmSync(file);
}

describe('verify', () => {
  test('a tape that is well: status 0, for people and as JSON', async () => {
    const storage = copy();
    const { status, stdout, stderr } = await ticktape('verify', ...storage);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const part of ['ticktape verify', '3 storage nodes', '30 good', '2 of each', '0 damaged', '0 missing']) {
      expect(stdout).toContain(part);
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
    expect(stdout).not.toMatch(/\x1b/);
    const json = await ticktape('verify', '--storage', storage.join(','), '--json');
    expect(json).toMatchObject({ status: 0, stderr: '' });
    expect(json.stdout.trimEnd().split('\n').length).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      blocks: BLOCKS,
      copies: 30,
      redundancy: 2,
      damaged: [],
      missing: [],
      surplus: 0,
    });
  });

  test('one that is not: status 1, and what and where', async () => {
    const storage = copy();
    const [{ path: file, offset, sequence, blockBytes }] = placesOf(storage);
    flip(file, offset + blockBytes - 20);
    const { status, stdout, stderr } = await ticktape(
      'verify',
      '--storage',
      storage[0],
      '--storage',
      `${storage[1]},${storage[2]}`,
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/^ticktape: 1 damaged copies; 1 blocks with too few copies\n$/);
    expect(stdout).toContain(`${file} at ${offset}, block ${sequence}`);
    const json = await ticktape('verify', ...storage, '--json');
    expect(json.status).toBe(1);
    expect(JSON.parse(json.stdout).damaged).toMatchObject([{ block: String(sequence), path: file, offset }]);
  });

  test('with other copies wanted, and with a storage node left out', async () => {
    const storage = copy();
    expect(await ticktape('verify', ...storage, '--redundancy', '3')).toMatchObject({ status: 1 });
    const { status, stderr } = await ticktape('verify', storage[0], storage[1]);
    expect(status).toBe(1);
    expect(stderr).toContain(path.join(base, 'd2'));
  });

  test('no tape there', async () => {
    expect(await ticktape('verify', scratch())).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^ticktape: .*no tape there\n$/),
    });
  });
});

describe('repair', () => {
  test('says what it would do, does it, and finds nothing to do then', async () => {
    const storage = copy();
    strike(storage);
    const few = [...goodCopies(storage).values()].filter((good) => good < 2).length;
    const before = snapshot(path.dirname(storage[0]), { except: /lock$/ });
    const dry = await ticktape('repair', ...storage, '--dry-run', '--json');
    expect(dry).toMatchObject({ status: 0, stderr: '' });
    const plan = JSON.parse(dry.stdout);
    expect(plan).toMatchObject({ dryRun: true, blocks: BLOCKS, redundancy: 2, lost: 0, stillUnderReplicated: 0 });
    expect(plan.copiesMade + plan.mendedInPlace).toBeGreaterThanOrEqual(few);
    expect(snapshot(path.dirname(storage[0]), { except: /lock$/ })).toEqual(before);
    const { status, stdout, stderr } = await ticktape('repair', ...storage);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const part of ['ticktape repair', `${plan.mendedInPlace} copies`, `${plan.copiesMade} copies`, '2 of each']) {
      expect(stdout).toContain(part);
    }
    await expectWell(storage, 2, BLOCKS);
    const again = await ticktape('repair', '--json', ...storage);
    expect(JSON.parse(again.stdout)).toMatchObject({
      dryRun: false,
      copiesMade: 0,
      mendedInPlace: 0,
      dropped: 0,
      bytesWritten: 0,
    });
    expect(await ticktape('verify', ...storage)).toMatchObject({ status: 0 });
  });

  test('--retire and --lost', async () => {
    const storage = copy();
    const retired = await ticktape('repair', ...storage, '--retire', storage[2], '--json');
    expect(retired).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(retired.stdout).retired).toEqual([storage[2]]);
    await expectWell(storage.slice(0, 2), 2, BLOCKS);
    const other = copy();
    const missing = await ticktape('repair', other[0], other[1]);
    expect(missing).toMatchObject({ status: 1, stdout: '' });
    expect(missing.stderr).toMatch(/^ticktape: .*d2: .*--lost.*\n$/);
    const lost = await ticktape('repair', other[0], other[1], '--lost', path.join(base, 'd2'));
    expect(lost).toMatchObject({ status: 0, stderr: '' });
    await expectWell(other.slice(0, 2), 2, BLOCKS);
  });

  test('what can not be restored: status 1', async () => {
    const storage = copy();
    for (const { path: file, offset, sequence } of placesOf(storage)) if (sequence === 40n) flip(file, offset + 300);
    const { status, stderr } = await ticktape('repair', ...storage);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^ticktape: 1 blocks have no good copy[^\n]*\n$/);
  });
});

describe('the command line', () => {
  test.each(['verify', 'repair'])('%s --help answers with examples', async (command) => {
    for (const flag of ['--help', '-h']) {
      const { status, stdout, stderr } = await ticktape(command, flag);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      for (const part of ['--storage', '--redundancy', '--json', `  ticktape ${command} `])
        expect(stdout).toContain(part);
    }
  });

  test.each([
    [['verify']],
    [['repair']],
    [['verify', '--storage']],
    [['verify', '--storage', 'a,,b']],
    [['verify', 'a', '--nonsense']],
    [['verify', 'a', '--redundancy', '2']],
    [['repair', 'a', '--redundancy', 'x']],
    [['repair', 'a', '--retire']],
    [['repair', 'a', '--dry-run=maybe', '--what']],
  ])('%j is wrong usage', async (args) => {
    const { status, stdout, stderr } = await ticktape(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^ticktape: [^\n]*--help\)\n$/);
  });

  test.skipIf(process.platform === 'win32')(
    'a reader that closes the pipe ends it quietly (skipped: Windows has no sh)',
    async () => {
      const command = [...ticktapeCommand, 'verify', ...copy(), '--json'].map((word) => `'${word}'`).join(' ');
      const child = spawn('sh', ['-c', `{ ${command}; echo "status $?" >&2; } | { exec 0<&-; sleep 3; }`]);
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text) => {
        stderr += text;
      });
      await new Promise((resolve) => child.on('close', resolve));
      expect(stderr).toBe('status 0\n');
    },
  );
});

describe.skipIf(process.platform === 'win32')('Ctrl-C (skipped: Windows has no signals)', () => {
  const large = path.join(lastingScratch(), 'large');

  test('stops a repair within a moment, says what was done, and another run goes on', async () => {
    await makeTape(large, { nodes: 3, redundancy: 2, sessions: 1, records: 800_000 });
    const storage = storageOf(large, 3);
    for (const file of filesOf(storage[2], /\.ttseg$/)) rmSync(file);
    const { child, ended } = startTicktape(['repair', ...storage]);
    const lock = path.join(storage[0], 'journal', 'repair-lock');
    while (!existsSync(lock)) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const stoppedMs = performance.now();
    child.kill('SIGINT');
    const { status, stdout, stderr } = await ended;
    expect(performance.now() - stoppedMs).toBeLessThan(2000);
    expect({ status, stdout }).toEqual({ status: 130, stdout: '' });
    expect(stderr).toMatch(/^ticktape: stopped by SIGINT; so far [^\n]*\n$/);
    expect(filesOf(large, /\.tmp$/)).toEqual([]);
    expect(await ticktape('repair', ...storage)).toMatchObject({ status: 0, stderr: '' });
    await expectWell(storage, 2);
  });
});
