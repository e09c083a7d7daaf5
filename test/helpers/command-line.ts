import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const flags = 'Deno' in globalThis ? ['run', '-A', '--no-lock', '--node-modules-dir=manual'] : [];

/** The program, on the runtime that the test runs on. */
export const ticktapeCommand = [process.execPath, ...flags, main];

export interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

export function startTicktape(
  args: string[],
  env: Record<string, string> = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  const [command, ...before] = ticktapeCommand;
  const child = spawn(command, [...before, ...args], {
    env: { ...process.env, NO_COLOR: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    // Deno tells an exit status above 128 as the signal that a shell means by it.
    child.on('close', (status, signal) =>
      resolve({ status: status ?? 128 + constants.signals[signal!], stdout, stderr }),
    );
  });
  return { child, ended };
}
