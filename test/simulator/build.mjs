// Copies of what is built, with the simulator beside it, each in a folder of this process: build/simulator-<pid>/<name>/.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { root } from '../../scripts/runtimes.mjs';

const staging = path.join(root, 'build', `simulator-${process.pid}`);
process.on('exit', () => rmSync(staging, { recursive: true, force: true }));

/** @type {string | undefined} */
let compiled;

/** The simulator in JavaScript. */
function compile(/** @type {typeof import('../../scripts/runtimes.mjs').runtimes[number]} */ { command, args }) {
  if (compiled !== undefined) return compiled;
  const out = path.join(staging, 'compiled');
  mkdirSync(out, { recursive: true });
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const project = path.join(root, 'test', 'simulator', 'tsconfig.json');
  const { status, stdout, stderr } = spawnSync(command, [...args, tsc, '-p', project, '--outDir', out], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the simulator does not compile: ${stdout}${stderr}`);
  compiled = path.join(out, 'test');
  return compiled;
}

/**
 * A bug: in the file of dist/, `search` (found there exactly once) is replaced.
 * @typedef {{ file: string, search: string, replace: string }} Patch
 */

/**
 * Answers where the process that runs seeds is.
 * @param {typeof import('../../scripts/runtimes.mjs').runtimes[number]} runtime @param {string} name @param {readonly Patch[]} patches
 */
export function build(runtime, name, patches = []) {
  const folder = path.join(staging, name);
  mkdirSync(folder, { recursive: true });
  cpSync(path.join(root, 'dist'), path.join(folder, 'dist'), { recursive: true });
  cpSync(compile(runtime), path.join(folder, 'test'), { recursive: true });
  // So that its own name leads to this copy.
  cpSync(path.join(root, 'package.json'), path.join(folder, 'package.json'));
  for (const { file, search, replace } of patches) {
    const target = path.join(folder, 'dist', file);
    const text = readFileSync(target, 'utf8');
    const found = text.split(search).length - 1;
    if (found !== 1) throw new Error(`bug ${name}: found ${found} times in dist/${file}: ${search}`);
    writeFileSync(
      target,
      text.replace(search, () => replace),
    );
  }
  return path.join(folder, 'test', 'simulator.js');
}
