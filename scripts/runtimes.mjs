// The runtimes that ticktape is for, as this checkout has them: Node is the one that runs this, Deno and Bun come with npm.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const bin = path.join(root, 'node_modules', '.bin');

export const runtimes = [
  { name: 'node', title: 'Node', command: process.execPath, args: [] },
  // Deno would write a lock file of its own next to npm's.
  {
    name: 'deno',
    title: 'Deno',
    command: path.join(bin, 'deno'),
    args: ['run', '-A', '--no-lock', '--node-modules-dir=manual'],
  },
  // --bun: also where a file's first line asks for node, and for what a tool starts in turn.
  { name: 'bun', title: 'Bun', command: path.join(bin, 'bun'), args: ['--bun'] },
];

/** Takes `--runtime NAME` out of `args`: the runtimes that are meant, all where it isn't there. Ends the process on a wrong name. */
export function takeRuntimes(args) {
  const at = args.indexOf('--runtime');
  if (at < 0) return runtimes;
  const [, name] = args.splice(at, 2);
  const chosen = runtimes.filter((runtime) => runtime.name === name);
  if (chosen.length === 0) {
    console.error(`--runtime takes ${runtimes.map((runtime) => runtime.name).join(', ')}, not ${name ?? 'nothing'}`);
    process.exit(2);
  }
  return chosen;
}

/** Older ones have no zstd of their own. */
const NODE_WITH_ZSTD = 24;
const NEWEST_NODE = 26;

/** The Node that runs this, if it is new enough, else the newest that npm has. */
export function newNode(node) {
  if (Number(process.versions.node.split('.')[0]) >= NODE_WITH_ZSTD) return node;
  const { stdout } = spawnSync('npx', ['-y', '-p', `node@${NEWEST_NODE}`, 'node', '-p', 'process.execPath'], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  const command = stdout?.trim().split('\n').at(-1);
  if (command) return { ...node, command };
  console.error(
    `npm has no Node ${NEWEST_NODE} here: this is Node ${process.versions.node}, whose zstd is in WebAssembly`,
  );
  return node;
}

/** Runs a script with a runtime, from the root of the checkout, on this terminal. */
export function runOn({ command, args }, script, scriptArgs) {
  const child = spawnSync(command, [...args, script, ...scriptArgs], { cwd: root, stdio: 'inherit' });
  if (child.error) console.error(`${command} did not start: ${child.error.message}`);
  return child;
}

export function versionOf({ command }) {
  const { stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
  return stdout?.match(/\d+\.\d+\.\d+\S*/)?.[0] ?? 'of unknown version';
}
