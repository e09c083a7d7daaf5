// Runs the benchmark of the whole path on every runtime in turn, or on the one that `--runtime node|deno|bun` names:
//   node scripts/bench-flush.mjs [--json] [options of dist/bench/flush.js]
import { newNode, runOn, takeRuntimes } from './runtimes.mjs';

const RUNTIME = '--runtime=';
const args = process.argv
  .slice(2)
  .flatMap((argument) => (argument.startsWith(RUNTIME) ? ['--runtime', argument.slice(RUNTIME.length)] : [argument]));
const asks = args.some((argument) => argument === '--help' || argument === '-h');
const runtimes = takeRuntimes(args);
for (const runtime of asks ? runtimes.slice(0, 1) : runtimes) {
  const used = runtime.name === 'node' && !asks ? newNode(runtime) : runtime;
  const { status } = runOn(used, 'dist/bench/flush.js', args);
  process.exitCode = status ?? 1;
  if (status !== 0) break;
}
