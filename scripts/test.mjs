// Runs the suite on every runtime, or on the one that `--runtime node|deno|bun` names; other arguments go to vitest.
// What failed is said once more at the very end: of a long log often only the end is kept.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root, runOn, takeRuntimes, versionOf } from './runtimes.mjs';

const MOST_LINES_OF_A_FAILURE = 30;
const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
const args = process.argv.slice(2);
const reports = mkdtempSync(path.join(tmpdir(), 'ticktape-reports-'));

const results = takeRuntimes(args).map((runtime) => {
  const title = `${runtime.title} ${versionOf(runtime)}`;
  const report = path.join(reports, `${runtime.name}.json`);
  console.log(`\n──── ${title} ────`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { status, signal } = runOn(runtime, vitest, ['run', ...reporters, ...args]);
  return { title, passed: status === 0, signal, failures: failuresIn(report) };
});
rmSync(reports, { recursive: true, force: true });

for (const { title, failures } of results) {
  for (const { name, message } of failures) {
    console.log(`\n${title}: ${name}`);
    console.log(message.split('\n').slice(0, MOST_LINES_OF_A_FAILURE).join('\n'));
  }
}
console.log();
for (const { title, passed, signal, failures } of results) {
  const verdict = passed ? 'passed' : `failed, ${failures.length} listed above`;
  console.log(`${title.padEnd(20)} ${verdict}${signal ? ` (${signal})` : ''}`);
}
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;

function failuresIn(report) {
  let files;
  try {
    files = JSON.parse(readFileSync(report, 'utf8')).testResults;
  } catch (error) {
    return [{ name: 'no report of the run', message: String(error) }];
  }
  return files.flatMap(({ name, status, message, assertionResults }) => {
    const file = path.relative(root, name);
    const failed = assertionResults
      .filter((test) => test.status === 'failed')
      .map((test) => ({ name: `${file} > ${test.fullName}`, message: test.failureMessages.join('\n') }));
    return failed.length > 0 || status !== 'failed' ? failed : [{ name: file, message }];
  });
}
