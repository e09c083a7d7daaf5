// Runs a benchmark of the whole path on every runtime in turn, or on the one that `--runtime node|deno|bun` names:
//   node scripts/bench.mjs dist/bench/flush.js [options of the benchmark]
import { newNode, runOn, takeRuntimes } from './runtimes.mjs';

const RUNTIME = '--runtime=';
const [script, ...given] = process.argv.slice(2);
const args = given.flatMap((argument) =>
  argument.startsWith(RUNTIME) ? ['--runtime', argument.slice(RUNTIME.length)] : [argument],
);
const asks = args.some((argument) => argument === '--help' || argument === '-h');
const runtimes = takeRuntimes(args);
for (const runtime of asks ? runtimes.slice(0, 1) : runtimes) {
  const used = runtime.name === 'node' && !asks ? newNode(runtime) : runtime;
  const { status } = runOn(used, script, args);
  process.exitCode = status ?? 1;
  if (status !== 0) break;
}
