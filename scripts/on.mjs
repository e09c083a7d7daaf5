// Runs a script of the checkout on every runtime, or on the one that `--runtime node|deno|bun` names:
//   node scripts/on.mjs SCRIPT [--runtime NAME] [arguments of the script]
import { runOn, takeRuntimes } from './runtimes.mjs';

const [script, ...args] = process.argv.slice(2);
const results = takeRuntimes(args).map((runtime) => runOn(runtime, script, args));
process.exitCode = results.every(({ status }) => status === 0) ? 0 : 1;
