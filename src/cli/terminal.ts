import process from 'node:process';

// The screen beside the one with the shell's history; no cursor, no wrapping at the edge.
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const REST_OF_LINE = '\x1b[K';
const REST_OF_SCREEN = '\x1b[J';

const CTRL_C = '\x03';

/** A terminal that is drawn on as a whole, and given back as it was, however the program ends. */
export class Terminal {
  #isEntered = false;
  #wake: (news: 'key' | 'size') => void = () => {};
  #keys: string[] = [];
  readonly #onKeys = (data: string | Uint8Array) => {
    this.#keys.push(...String(data));
    this.#wake('key');
  };
  readonly #onSize = () => this.#wake('size');
  readonly #onExit = () => this.leave();

  get size(): { columns: number; rows: number } {
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
  }

  enter(): void {
    this.#isEntered = true;
    process.on('exit', this.#onExit);
    process.stdout.write(ENTER);
    process.stdout.on('resize', this.#onSize);
    const { stdin } = process;
    if (!stdin.isTTY) return;
    stdin.setRawMode(true);
    stdin.setEncoding('utf8');
    stdin.on('data', this.#onKeys);
    stdin.resume();
  }

  /** Idempotent. */
  leave(): void {
    if (!this.#isEntered) return;
    this.#isEntered = false;
    process.off('exit', this.#onExit);
    process.stdout.off('resize', this.#onSize);
    const { stdin } = process;
    if (stdin.isTTY) {
      stdin.off('data', this.#onKeys);
      stdin.setRawMode(false);
      stdin.pause();
    }
    process.stdout.write(LEAVE);
  }

  draw(text: string): void {
    const lines = text.split('\n').map((line) => line + REST_OF_LINE);
    process.stdout.write(`${HOME}${lines.join('\r\n')}${REST_OF_SCREEN}`);
  }

  /** Until `ms` are over, a key that ends the program was pressed, or the terminal has another size. */
  async wait(ms: number): Promise<'time' | 'quit' | 'size'> {
    const endMs = performance.now() + ms;
    for (;;) {
      const keys = this.#keys.splice(0);
      if (keys.includes('q') || keys.includes('Q') || keys.includes(CTRL_C)) return 'quit';
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return 'time';
      const news = await new Promise<'time' | 'key' | 'size'>((resolve) => {
        const timer = setTimeout(() => resolve('time'), leftMs);
        this.#wake = (which) => {
          clearTimeout(timer);
          resolve(which);
        };
      });
      if (news === 'size') return 'size';
    }
  }
}
