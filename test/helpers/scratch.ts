import { createHash } from 'node:crypto';
import {
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, onTestFinished } from 'vitest';

/** An empty directory that goes with the test. */
export function scratch(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'ticktape-test-'));
  // What is opened in it afterwards is closed before: these go in reverse order.
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** The path of a file that is not there yet, in a directory that goes with the test. */
export const scratchFile = (name: string): string => path.join(scratch(), name);

/** One that goes with the test file, or with the `describe` that it is called in. */
export function lastingScratch(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'ticktape-test-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/**
 * A copy of the directory as it is now. Of a live tape: what is left when its process is killed now, as its files are the page
 * cache; the journal comes first, since a lane lets go of a record only when a block has it.
 */
export function copyOf(directory: string): string {
  const copy = path.join(scratch(), 'copy');
  copyInto(directory, copy);
  return copy;
}

export function copyInto(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  const entries = readdirSync(from, { withFileTypes: true });
  entries.sort((a, b) => Number(b.isDirectory()) - Number(a.isDirectory()) || (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    if (entry.isDirectory()) copyInto(source, target);
    else {
      try {
        copyFileSync(source, target);
      } catch (error) {
        // Renamed since: it had just been made.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }
}

/** All files and directories below, with what is in them. */
export function snapshot(
  directory: string,
  options: { times?: boolean; except?: RegExp } = {},
): Record<string, string> {
  const found: Record<string, string> = {};
  const visit = (relative: string) => {
    const full = path.join(directory, relative);
    const stat = lstatSync(full, { bigint: true });
    const time = options.times ? ` ${stat.mtimeNs}` : '';
    if (stat.isDirectory()) {
      if (relative !== '') found[relative] = `directory${time}`;
      for (const name of readdirSync(full).sort()) visit(path.join(relative, name));
    } else if (stat.isSymbolicLink()) {
      found[relative] = `to ${readlinkSync(full)}`;
    } else if (!options.except?.test(relative)) {
      const hash = createHash('sha256').update(readFileSync(full)).digest('hex');
      found[relative] = `${stat.size} bytes ${hash}${time}`;
    }
  };
  visit('');
  return found;
}

/** Paths of the files below whose names match. */
export function filesOf(directory: string, pattern: RegExp): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name))
    .map((name) => path.join(directory, name))
    .sort();
}
