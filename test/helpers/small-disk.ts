import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

const MOST_PIECE_BYTES = 1024 ** 2;

const mount = (directory: string, mebibytes: number) =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', directory], { encoding: 'utf8' });
/** Lazily, should a process that is on its way out still have a file of it. */
const unmount = (directory: string) => spawnSync('umount', ['-l', directory]);

/** Why this user can't mount a file system here; null where it can. */
export const whyNoSmallDisks = ((): string | null => {
  const directory = mkdtempSync(path.join(tmpdir(), 'ticktape-test-'));
  try {
    const { status, error, stderr } = mount(directory, 1);
    if (status !== 0) return (error?.message ?? stderr).trim().split('\n')[0];
    unmount(directory);
    return null;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
})();

/** A disk that can be full: a tmpfs, mounted as the directory. It goes with the test. */
export class SmallDisk {
  readonly #filler: string;

  constructor(directory: string, mebibytes = 64) {
    mkdirSync(directory, { recursive: true });
    const { status, stderr } = mount(directory, mebibytes);
    if (status !== 0) throw new Error(stderr);
    onTestFinished(() => void unmount(directory));
    this.#filler = path.join(directory, 'filler');
  }

  /** To the last byte, also of what was freed since the last time. */
  fill(): void {
    const fd = openSync(this.#filler, 'a');
    try {
      for (let bytes = MOST_PIECE_BYTES; bytes >= 1; ) {
        try {
          writeSync(fd, new Uint8Array(bytes));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          bytes /= 4;
        }
      }
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  free(): void {
    rmSync(this.#filler);
  }
}
