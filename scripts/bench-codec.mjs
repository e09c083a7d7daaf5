// Runs the codec's benchmark on every runtime, or on the one that `--runtime node|deno|bun` names, a process a data set, and puts
// the figures together:
//   node scripts/bench-codec.mjs [--json] [options of dist/bench/codec.js]
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { table } from '../dist/bench/codec/table.js';
import { newNode, root, takeRuntimes, versionOf } from './runtimes.mjs';

const RUNTIME = '--runtime=';
const args = process.argv
  .slice(2)
  .flatMap((argument) => (argument.startsWith(RUNTIME) ? ['--runtime', argument.slice(RUNTIME.length)] : [argument]));
const has = (...flags) => args.some((argument) => flags.includes(argument));
const chosen = args.some((argument) => argument === '--runtime');
const runtimes = takeRuntimes(args);

// What is left in it by a child that had to end at once goes with it.
const scratch = mkdtempSync(path.join(tmpdir(), 'ticktape-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

let child;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    child?.kill('SIGKILL');
    process.exit(signal === 'SIGINT' ? 130 : signal === 'SIGTERM' ? 143 : 129);
  });
}

/** What the script prints. Where it fails, it has said why, and this process ends too. */
async function run({ command, args: runtimeArgs }, script, ...scriptArgs) {
  child = spawn(command, [...runtimeArgs, script, ...scriptArgs], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: scratch, TEMP: scratch, TMP: scratch },
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    printed += text;
  });
  const status = await new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(`${command} did not start: ${error.message}`);
      resolve(1);
    });
    child.on('close', (code) => resolve(code ?? 1));
  });
  if (status !== 0) process.exit(status);
  return printed;
}

const [node] = takeRuntimes(['--runtime', 'node']);
if (has('--help', '-h')) {
  process.stdout.write(await run(node, 'dist/bench/codec.js', '--help'));
} else if (has('--columns')) {
  for (const runtime of chosen ? runtimes : [node]) {
    process.stdout.write(await run(runtime, 'dist/bench/codec.js', ...args));
  }
} else {
  const newer = newNode(node);
  const files = JSON.parse(await run(newer, 'dist/bench/codec/files.js', ...args));
  const results = {};
  for (const runtime of runtimes) {
    const used = runtime.name === 'node' ? newer : runtime;
    const version = versionOf(used);
    results[runtime.name] = {};
    for (const [name, baselines] of Object.entries(files)) {
      const measured = JSON.parse(await run(used, 'dist/bench/codec.js', ...args, '--dataset', name))[name];
      Object.assign(measured.baselines, baselines);
      results[runtime.name][name] = { ...measured, version };
    }
  }
  if (has('--json')) console.log(JSON.stringify(results));
  else for (const name of Object.keys(files)) console.log(`${show(name, results)}\n`);
}

/** A data set as a table: a line a way to keep its records. */
function show(name, results) {
  const sets = Object.entries(results).map(([runtime, dataSets]) => ({ runtime, ...dataSets[name] }));
  const [{ records, blockRecords, runs, oneColumn, baselines }] = sets;
  const figure = (value, places) => (value === null || value === undefined ? '' : value.toFixed(places));
  const line = (title, of) => [
    title,
    ...sets.flatMap((set) => {
      const { bytesPerRecord, encodeMrps, decodeMrps, reason } = of(set);
      return [reason === undefined ? figure(bytesPerRecord, 2) : '–', figure(encodeMrps, 1), figure(decodeMrps, 1)];
    }),
  ];
  const head = ['', ...sets.flatMap(({ runtime, version }) => [`${runtime} ${version} bytes`, 'encode', 'decode'])];
  const lines = [head, line('ticktape', (set) => set)];
  for (const baseline of Object.keys(baselines)) lines.push(line(baseline, (set) => set.baselines[baseline]));
  const one = sets.map(({ runtime, oneColumnMvps }) => `${runtime} ${oneColumnMvps.toFixed(0)}`).join(', ');
  return [
    `${name}: ${records} records, blocks of ${blockRecords}; bytes a record, million records/s (median of ${runs} runs)`,
    table(lines),
    `${oneColumn} alone, million values/s: ${one}`,
  ].join('\n');
}
