import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { expect, test } from 'vitest';
import { onDeno } from '../helpers/child.js';
import { scratch } from '../helpers/scratch.js';

test("README's source, and the program that runs it", () => {
  const document = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const directory = scratch();
  for (const name of ['ticks.mjs', 'collect.mjs']) {
    const from = document.indexOf(`\`\`\`js\n// ${name}`);
    expect(from).toBeGreaterThan(0);
    const code = document.slice(from + 6, document.indexOf('\n```', from));
    // As if it were installed there.
    const built = new URL('../../dist/src/index.js', import.meta.url).href;
    writeFileSync(path.join(directory, name), code.replaceAll("from 'ticktape'", `from '${built}'`));
  }
  const flags = onDeno ? ['run', '-A', '--node-modules-dir=manual', '--no-lock'] : [];
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, 'collect.mjs'], {
    cwd: directory,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  const lines = stdout.trim().split('\n');
  expect(lines.slice(0, -2).sort()).toEqual(
    ['ended', 'started'].flatMap((type) => [0, 1].map((collector) => `collector-${collector} ${type}`)).sort(),
  );
  for (const [collector, line] of lines.slice(-2).entries()) {
    expect(line).toMatch(new RegExp(`^collector-${collector} \\d+ 0$`));
    expect(Number(line.split(' ')[1])).toBeGreaterThan(3);
  }
});
