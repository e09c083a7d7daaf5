import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach } from 'vitest';

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** The path of a file that is not there yet, in a directory that goes with the test. */
export function scratchFile(name: string): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'ticktape-runtime-'));
  directories.push(directory);
  return path.join(directory, name);
}
