import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const script = fileURLToPath(new URL('tail-peer.mjs', import.meta.url));
const bin = path.resolve(path.dirname(script), '../../node_modules/.bin');
const isNode = !('Deno' in globalThis) && !('Bun' in globalThis);

export type RuntimeName = 'node' | 'deno' | 'bun';

const COMMANDS: Record<RuntimeName, string[]> = {
  node: [isNode ? process.execPath : 'node'],
  deno: [path.join(bin, 'deno'), 'run', '-A', '--no-prompt', '--no-lock', '--node-modules-dir=manual'],
  bun: [path.join(bin, 'bun'), '--bun'],
};

export const ownRuntime: RuntimeName = isNode ? 'node' : 'Deno' in globalThis ? 'deno' : 'bun';

export const isInstalled = (name: RuntimeName): boolean => name === 'node' || existsSync(COMMANDS[name][0]);

/** A process of its own that writes a tape or tails it. It goes with the test. */
export class Peer {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(runtime: RuntimeName, role: 'write' | 'tail', options: object) {
    const [command, ...args] = COMMANDS[runtime];
    this.#process = spawn(command, [...args, script, role, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
    onTestFinished(() => this.kill());
  }

  /** What it says next. */
  async says(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the process ended without a word');
    return JSON.parse(value);
  }

  tell(verb: string, ...args: unknown[]): Promise<unknown> {
    this.#process.stdin!.write(`${JSON.stringify([verb, ...args])}\n`);
    return this.says();
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await gone;
  }
}
