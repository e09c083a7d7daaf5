import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { defineSchema, symbol, timestamp, u32 } from 'ticktape';
import { onTestFinished } from 'vitest';

const script = fileURLToPath(new URL('child.mjs', import.meta.url));

export const onDeno = 'Deno' in globalThis;

/** What child.mjs records. */
export const childSchema = defineSchema('child', timestamp('ts'), symbol('s'), u32('n'));

export interface Reply {
  result?: unknown;
  name?: string;
  code?: string | null;
  message?: string;
}

/** A process of the runtime that the test runs on, with a tape. It goes with the test. */
export class Child {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** `permissions`: of Deno. `within`: a command that runs the process. */
  constructor(options: object, { permissions = ['-A'], within = [] as string[] } = {}) {
    const flags = onDeno ? ['run', ...permissions, '--no-prompt', '--no-lock', '--node-modules-dir=manual'] : [];
    const [command, ...args] = [...within, process.execPath, ...flags, script, JSON.stringify(options)];
    this.#process = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
    onTestFinished(() => this.kill());
  }

  get pid(): number {
    return this.#process.pid!;
  }

  async tell(verb: string, ...args: unknown[]): Promise<Reply> {
    this.#process.stdin!.write(`${JSON.stringify([verb, ...args])}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the child process ended without an answer (${await this.#end()})`);
    return JSON.parse(value);
  }

  /** How it ended: its signal or its status. */
  async #end(): Promise<string> {
    const status = () => this.#process.signalCode ?? this.#process.exitCode;
    if (status() === null) await new Promise((resolve) => this.#process.once('exit', resolve));
    return String(status());
  }

  async kill(): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill('SIGKILL');
    await gone;
  }
}
