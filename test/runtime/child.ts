import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('child.mjs', import.meta.url));

export interface Reply {
  result?: unknown;
  code?: string;
  message?: string;
}

/** A process of the runtime that the test runs on, which does `actions` (see child.mjs). */
export class Child {
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(mode: 'with-ffi' | 'without-ffi', ...actions: string[]) {
    const permissions = mode === 'with-ffi' ? ['-A'] : ['--allow-read', '--allow-write', '--no-prompt'];
    const flags = 'Deno' in globalThis ? ['run', ...permissions, '--no-lock', '--node-modules-dir=manual'] : [];
    const stdio = ['ignore', 'pipe', 'inherit'] as const;
    this.process = spawn(process.execPath, [...flags, script, mode, ...actions], { stdio: [...stdio] });
    this.#lines = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]();
  }

  async reply(): Promise<Reply> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the child process ended without an answer');
    return JSON.parse(value);
  }

  async kill(): Promise<void> {
    const gone = new Promise((resolve) => this.process.once('exit', resolve));
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill('SIGKILL');
    await gone;
  }
}

/** What one action in a process of its own came to. */
export async function inChild(mode: 'with-ffi' | 'without-ffi', action: string): Promise<Reply> {
  const child = new Child(mode, action);
  try {
    return await child.reply();
  } finally {
    await child.kill();
  }
}
