import { spawn } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { scratch } from './scratch.js';

const script = fileURLToPath(new URL('../cli/live-recorder.mjs', import.meta.url));
const flags = 'Deno' in globalThis ? ['run', '-A', '--no-lock', '--node-modules-dir=manual'] : [];

/** A process that records a little all the time, until it is told to end. It goes with the test. */
export async function startRecorder(journalMode: 'auto' | 'buffered' = 'auto') {
  const directory = scratch();
  const child = spawn(process.execPath, [...flags, script, directory, journalMode], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const gone = new Promise<void>((resolve) => child.on('close', () => resolve()));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    void gone.then(() => reject(new Error('the recorder ended')));
  });
  return {
    directory,
    storage: ['d0', 'd1', 'd2'].map((name) => path.join(directory, name)),
    end() {
      child.stdin.end();
      return gone;
    },
    kill() {
      child.kill('SIGKILL');
      return gone;
    },
  };
}
