// Runs the suite on every runtime, or on the one that `--runtime node|deno|bun` names; other arguments go to vitest.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const bin = path.join(root, 'node_modules', '.bin');
const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');

const runtimes = [
  { name: 'node', title: 'Node', command: process.execPath, args: [] },
  // Deno would write a lock file of its own next to npm's.
  {
    name: 'deno',
    title: 'Deno',
    command: path.join(bin, 'deno'),
    args: ['run', '-A', '--no-lock', '--node-modules-dir=manual'],
  },
  // --bun: vitest's workers too.
  { name: 'bun', title: 'Bun', command: path.join(bin, 'bun'), args: ['--bun'] },
];

const args = process.argv.slice(2);
let chosen = runtimes;
const at = args.indexOf('--runtime');
if (at >= 0) {
  const [, name] = args.splice(at, 2);
  chosen = runtimes.filter((runtime) => runtime.name === name);
  if (chosen.length === 0) {
    console.error(`--runtime takes ${runtimes.map((runtime) => runtime.name).join(', ')}, not ${name ?? 'nothing'}`);
    process.exit(2);
  }
}

function versionOf({ command }) {
  const { stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
  return stdout?.match(/\d+\.\d+\.\d+\S*/)?.[0] ?? 'of unknown version';
}

const results = chosen.map((runtime) => {
  const title = `${runtime.title} ${versionOf(runtime)}`;
  console.log(`\n──── ${title} ────`);
  const child = spawnSync(runtime.command, [...runtime.args, vitest, 'run', ...args], { cwd: root, stdio: 'inherit' });
  if (child.error) console.error(`${runtime.command} did not start: ${child.error.message}`);
  return { title, passed: child.status === 0, signal: child.signal };
});

console.log();
for (const { title, passed, signal } of results) {
  console.log(`${title.padEnd(20)} ${passed ? 'passed' : 'failed'}${signal ? ` (${signal})` : ''}`);
}
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
