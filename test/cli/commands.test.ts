import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { startTicktape, ticktapeCommand } from '../helpers/command-line.js';
import { lastingScratch, scratch } from '../helpers/scratch.js';

const ticktape = (...args: string[]) => startTicktape(args).ended;

const usage = (await ticktape('--help')).stdout;
const names = Array.from(usage.matchAll(/^ {2}([a-z]+) {2,}\S/gm), ([, name]) => name);

describe('every command', () => {
  test('is in the help', () => {
    expect(names).toEqual(expect.arrayContaining(['top', 'info', 'verify', 'repair', 'demo', 'bench', 'completion']));
    expect(new Set(names).size).toBe(names.length);
  });

  test.each(names)('%s: --help names each option, and what is no option is wrong usage', async (name) => {
    const module = await import(`../../dist/src/cli/${name}.js`);
    expect(module.run).toBeTypeOf('function');
    const { status, stdout, stderr } = await ticktape(name, '--help');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(`ticktape ${name}`);
    expect(Array.isArray(module.OPTIONS), 'it exports OPTIONS').toBe(true);
    for (const { name: option, value, help } of module.OPTIONS) {
      expect(stdout).toContain(`--${option}${value === undefined ? '' : ` ${value}`}`);
      expect(stdout).toContain(help.split('\n')[0]);
    }
    expect((await ticktape('help', name)).stdout).toBe(stdout);
    const wrong = await ticktape(name, '--no-such-thing');
    expect(wrong).toMatchObject({ status: 2, stdout: '' });
    expect(wrong.stderr).toMatch(
      new RegExp(`^ticktape: unknown option --[a-z-]+[^\\n]* \\(ticktape ${name} --help\\)\\n$`),
    );
  });
});

test('a slip is answered with what was meant', async () => {
  const hint = async (...args: string[]) => (await ticktape(...args)).stderr;
  expect(await hint('verfiy')).toBe('ticktape: there is no command "verfiy": did you mean verify? (ticktape --help)\n');
  expect(await hint('comp')).toContain('did you mean completion?');
  expect(await hint('xyzxyzxyz')).toBe('ticktape: there is no command "xyzxyzxyz" (ticktape --help)\n');
  expect(await hint('info', '--sotrage', 'd')).toContain('unknown option --sotrage: did you mean --storage?');
});

const unrecorded = lastingScratch();

describe('a reader that has seen enough', () => {
  /** What the program says and how it ends when nobody reads its output. */
  function unread(...args: string[]) {
    const [command, ...before] = ticktapeCommand;
    const child = spawn(command, [...before, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    return new Promise<{ status: number | null; stderr: string }>((resolve) =>
      child.on('close', (status) => resolve({ status, stderr })),
    );
  }

  test.each([['--help'], ['completion', 'bash'], ['top', '--json', '--interval', '100ms', unrecorded]])(
    'is no failure: %s',
    async (...args) => {
      expect(await unread(...args)).toEqual({ status: 0, stderr: '' });
    },
  );
});

describe('completion', () => {
  test.each(['bash', 'zsh', 'fish'])('%s: names every command and every option', async (shell) => {
    const { status, stdout, stderr } = await ticktape('completion', shell);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const name of names) {
      expect(stdout).toContain(name);
      const { OPTIONS } = await import(`../../dist/src/cli/${name}.js`);
      for (const { name: option } of OPTIONS) expect(stdout).toMatch(new RegExp(`(--|-l )${option}\\b`));
    }
  });

  test('of no shell, or an unknown one', async () => {
    for (const args of [[], ['tcsh'], ['bash', 'zsh']]) {
      expect(await ticktape('completion', ...args)).toMatchObject({
        status: 2,
        stderr: 'ticktape: give one shell: bash, zsh, fish (ticktape completion --help)\n',
      });
    }
  });

  const has = (shell: string) => spawnSync(shell, ['--version']).status === 0;

  test.skipIf(!has('zsh'))('zsh takes the script', async () => {
    const { stdout } = await ticktape('completion', 'zsh');
    expect(spawnSync('zsh', ['-n'], { input: stdout, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });

  test.skipIf(!has('fish'))('fish takes the script', async () => {
    const { stdout } = await ticktape('completion', 'fish');
    expect(spawnSync('fish', ['-n'], { input: stdout, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });

  test.skipIf(!has('bash'))('bash completes commands, options, directories, files and words', async () => {
    const script = path.join(scratch(), 'completion.bash');
    writeFileSync(script, (await ticktape('completion', 'bash')).stdout);
    const work = scratch();
    for (const name of ['tape0', 'tape1', 'a dir']) mkdirSync(path.join(work, name));
    writeFileSync(path.join(work, 'tape.gz'), '');
    const complete = (...words: string[]): string[] => {
      const quoted = words.map((word) => `'${word}'`).join(' ');
      const { stdout, stderr } = spawnSync(
        'bash',
        [
          '--norc',
          '-c',
          `. "$1"; COMP_WORDS=(ticktape ${quoted}); COMP_CWORD=${words.length}; _ticktape; printf '%s\\n' "\${COMPREPLY[@]}"`,
          'bash',
          script,
        ],
        { cwd: work, encoding: 'utf8' },
      );
      expect(stderr).toBe('');
      return stdout
        .split('\n')
        .filter((line) => line !== '')
        .sort();
    };
    expect(complete('')).toEqual([...names, '--help', '--version'].sort());
    expect(complete('ver')).toEqual(['verify']);
    expect(complete('verify', '--re')).toEqual(['--redundancy']);
    expect(complete('verify', '--')).toEqual(['--help', '--journal', '--json', '--redundancy', '--storage']);
    expect(complete('verify', 'ta')).toEqual(['tape0', 'tape1']);
    expect(complete('verify', 'tape0', 'a')).toEqual(['a dir']);
    expect(complete('verify', '--storage', 'tape0,ta')).toEqual(['tape0,tape0', 'tape0,tape1']);
    expect(complete('verify', '--journal', '=', 'ta')).toEqual(['tape0', 'tape1']);
    expect(complete('verify', '--journal', '=')).toEqual(['a dir', 'tape0', 'tape1']);
    expect(complete('verify', '--redundancy', '')).toEqual([]);
    expect(complete('demo', '--feed', 'tape.')).toEqual(['tape.gz']);
    expect(complete('completion', '')).toEqual(['bash', 'fish', 'zsh']);
    expect(complete('nonsense', 'ta')).toEqual([]);
  });
});

test('bench: every figure, with its unit, and nothing left behind', async () => {
  const directory = scratch();
  const { status, stdout, stderr } = await ticktape(
    'bench',
    '--records',
    '100000',
    '--runs',
    '1',
    '--storage',
    directory,
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  for (const part of [
    'append',
    ' ns ',
    'records/s',
    'B/s as rows',
    'bytes a record',
    'medians of 1 runs of 100,000 records',
  ]) {
    expect(stdout).toContain(part);
  }
  const json = await ticktape('bench', '--records', '100000', '--runs', '2', '--storage', directory, '--json');
  const result = JSON.parse(json.stdout);
  expect(result).toMatchObject({ records: 100_000, runs: 2, rawBytesPerRecord: 48 });
  for (const name of [
    'appendNs',
    'flushedRecordsPerSecond',
    'scannedRecordsPerSecond',
    'scannedColumnRecordsPerSecond',
  ]) {
    expect(result[name], name).toBeGreaterThan(0);
  }
  expect(result.storedBytesPerRecord).toBeGreaterThan(0);
  expect(result.storedBytesPerRecord).toBeLessThan(48);
  expect(spawnSync('ls', ['-A', directory], { encoding: 'utf8' }).stdout).toBe('');
  expect(await ticktape('bench', '--storage', path.join(directory, 'none'))).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^ticktape: can't make a directory in .*\n$/),
  });
});
