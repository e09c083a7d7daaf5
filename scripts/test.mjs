// Runs the suite on every runtime, or on the one that `--runtime node|deno|bun` names; other arguments go to vitest.
import path from 'node:path';
import { root, runOn, takeRuntimes, versionOf } from './runtimes.mjs';

const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
const args = process.argv.slice(2);
const results = takeRuntimes(args).map((runtime) => {
  const title = `${runtime.title} ${versionOf(runtime)}`;
  console.log(`\n──── ${title} ────`);
  const { status, signal } = runOn(runtime, vitest, ['run', ...args]);
  return { title, passed: status === 0, signal };
});

console.log();
for (const { title, passed, signal } of results) {
  console.log(`${title.padEnd(20)} ${passed ? 'passed' : 'failed'}${signal ? ` (${signal})` : ''}`);
}
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
