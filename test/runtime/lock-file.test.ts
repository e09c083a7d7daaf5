import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { lockByFile } from '../../runtimes/lock-file.js';
import { parseHolder, thisProcess } from '../../runtimes/lock-holder.js';
import { scratchFile } from '../helpers/scratch.js';

// The lock for where there is no FFI: a file that names its holder. With live processes it is tested in runtime.test.ts.

const NO_SUCH_PID = 2 ** 22 + 1;

function takesOver(text: string): boolean {
  const file = scratchFile('LOCK');
  writeFileSync(file, text);
  try {
    lockByFile(file).release();
  } catch (error) {
    expect(error).toMatchObject({ code: 'LOCKED', path: file });
    expect(readFileSync(file, 'utf8')).toBe(text);
    return false;
  } finally {
    // Nothing may stay that was put aside.
    expect(readdirSync(path.dirname(file)).filter((name) => name !== 'LOCK')).toEqual([]);
  }
  return true;
}

test('the file names this process, and goes with the lock', () => {
  const file = scratchFile('LOCK');
  const lock = lockByFile(file);
  expect(parseHolder(readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(thisProcess())));
  lock.release();
  expect(statSync(file, { throwIfNoEntry: false })).toBeUndefined();
});

test('a holder that is gone is succeeded', () => {
  const holder = { ...thisProcess(), pid: NO_SUCH_PID };
  expect(takesOver(JSON.stringify(holder))).toBe(true);
});

test('a holder that runs is not', () => {
  expect(takesOver(JSON.stringify(thisProcess()))).toBe(false);
  expect(takesOver(JSON.stringify({ by: 'system', pid: process.pid }))).toBe(false);
});

test.skipIf(process.platform !== 'linux')(
  'a later process of the same number is not taken for it (skipped: only Linux tells when a process started)',
  () => {
    expect(takesOver(JSON.stringify({ ...thisProcess(), start: '1' }))).toBe(true);
    expect(takesOver(JSON.stringify({ ...thisProcess(), boot: 'an earlier one' }))).toBe(true);
  },
);

test('a holder on another host may run', () => {
  const holder = { ...thisProcess(), pid: NO_SUCH_PID, host: `not-${hostname()}` };
  expect(takesOver(JSON.stringify(holder))).toBe(false);
});

test('what was let go of, or is not a holder, is taken over', () => {
  expect(takesOver('{}\n')).toBe(true);
  expect(takesOver('{"pid":')).toBe(true);
  expect(takesOver('{"pid":"1"}')).toBe(true);
});

test('an empty file is a lock being made, until it is too old for that', () => {
  const file = scratchFile('LOCK');
  writeFileSync(file, '');
  expect(() => lockByFile(file)).toThrow('delete this file');
  utimesSync(file, new Date(), new Date(Date.now() - 10_000));
  lockByFile(file).release();
});

test('a lock that somebody took over is theirs', () => {
  const file = scratchFile('LOCK');
  const lock = lockByFile(file);
  writeFileSync(file, 'theirs');
  lock.release();
  expect(readFileSync(file, 'utf8')).toBe('theirs');
});
