import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { readConfig } from '../../dist/src/config/config.js';
import { startTicktape } from '../helpers/command-line.js';
import { scratch } from '../helpers/scratch.js';

const init = (...args: string[]) => startTicktape(['init', ...args]).ended;

test('writes a configuration that record takes', async () => {
  const file = path.join(scratch(), 'own.toml');
  const { status, stdout, stderr } = await init(file);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain(`ticktape record --config ${file}`);
  expect(readConfig(readFileSync(file, 'utf8'), file).feeds.length).toBe(1);
  const checked = await startTicktape(['record', '--config', file, '--dry-run', '--json']).ended;
  expect(checked).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(checked.stdout)).toMatchObject({
    tape: { redundancy: 2, capacity: 10_000, compression: 'adaptive' },
  });
});

test('does not write over a file, unless it is told to', async () => {
  const file = path.join(scratch(), 'market.toml');
  writeFileSync(file, 'mine');
  const refused = await init(file);
  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toBe(`ticktape: ${file} is there already: give another name, or --force to write over it\n`);
  expect(readFileSync(file, 'utf8')).toBe('mine');
  expect((await init(file, '--force')).status).toBe(0);
  expect(readFileSync(file, 'utf8')).toContain('redundancy = 2');
});

test('says what it can’t write, and what it doesn’t take', async () => {
  const file = path.join(scratch(), 'none', 'market.toml');
  const refused = await init(file);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain(`can't write ${file}`);
  expect(await init('a', 'b')).toMatchObject({
    status: 2,
    stderr: 'ticktape: "b" is too much (ticktape init --help)\n',
  });
  expect((await init('--help')).stdout).toContain('Usage: ticktape init');
});
