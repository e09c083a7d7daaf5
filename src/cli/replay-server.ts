import process from 'node:process';
import { type WebSocket, WebSocketServer } from 'ws';
import { TapeError } from '../errors.js';

export interface Address {
  host: string;
  /** 0: any that is free. */
  port: number;
}

/** Bytes that wait for a client at most: one that is further behind is disconnected. */
const MOST_QUEUED = 8 * 1024 ** 2;
/** While even the fastest client has so many waiting, the replay waits. */
const QUEUE_FULL = 1024 ** 2;
/** For so long at most: then none of them takes anything. */
const STALLED_MS = 10_000;
/** To say good-bye. */
const CLOSING_MS = 2_000;
const POLL_MS = 2;
/** Of what clients send, which is not looked at. */
const MOST_RECEIVED = 1024;
const TRY_AGAIN_LATER = 1013;

/** Gives lines of text to whoever is connected, a frame each. */
export class ReplayServer {
  readonly url: string;
  readonly #server: WebSocketServer;
  readonly #signal: AbortSignal;
  /** That are given records. */
  readonly #clients = new Set<WebSocket>();
  readonly #first: Promise<void>;

  /** @throws TapeError `IO` where the address can't be had */
  static async start(address: Address, signal: AbortSignal): Promise<ReplayServer> {
    const { host, port } = address;
    const server = new WebSocketServer({ host, port, maxPayload: MOST_RECEIVED, perMessageDeflate: false });
    try {
      await new Promise<void>((resolve, reject) => {
        server.on('listening', resolve);
        server.on('error', reject);
      });
    } catch (cause) {
      server.close();
      throw new TapeError(
        'IO',
        `can't listen on ${host}:${port} (${(cause as Error).message}): give another --listen`,
        {
          cause,
        },
      );
    }
    return new ReplayServer(server, host, signal);
  }

  private constructor(server: WebSocketServer, host: string, signal: AbortSignal) {
    this.#server = server;
    this.#signal = signal;
    const { port } = server.address() as { port: number };
    this.url = `ws://${host.includes(':') ? `[${host}]` : host}:${port}`;
    this.#first = new Promise((resolve) => {
      server.on('connection', (client) => {
        this.#clients.add(client);
        client.on('close', () => this.#clients.delete(client));
        // A close follows on it.
        client.on('error', () => {});
        resolve();
      });
    });
  }

  /** Resolves when a client has connected. @throws the signal's reason */
  async firstClient(): Promise<void> {
    await this.#unlessAborted(this.#first);
  }

  async #unlessAborted(work: Promise<void>): Promise<void> {
    const signal = this.#signal;
    signal.throwIfAborted();
    let onAbort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort);
    });
    try {
      await Promise.race([work, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Each of the lines to each client. Waits while the fastest of them has too much before it. @throws the signal's reason */
  async send(lines: string): Promise<void> {
    const frames = lines.split('\n');
    frames.pop();
    for (const client of this.#clients) {
      for (const frame of frames) client.send(frame);
      if (client.bufferedAmount > MOST_QUEUED) this.#drop(client, 'too slow: it is more than 8 MiB behind the fastest');
    }
    const untilMs = performance.now() + STALLED_MS;
    while (this.#areAllBehind()) {
      await this.#unlessAborted(new Promise((resolve) => setTimeout(resolve, POLL_MS)));
      if (performance.now() < untilMs) continue;
      for (const client of this.#clients) this.#drop(client, 'too slow: it took nothing for 10 s');
    }
  }

  #areAllBehind(): boolean {
    for (const { bufferedAmount } of this.#clients) if (bufferedAmount < QUEUE_FULL) return false;
    return this.#clients.size > 0;
  }

  /** It is told why, if it still listens. */
  #drop(client: WebSocket, reason: string): void {
    this.#clients.delete(client);
    process.stderr.write(`a client was disconnected: ${reason}\n`);
    client.close(TRY_AGAIN_LATER, reason);
    setTimeout(() => client.terminate(), CLOSING_MS).unref();
  }

  /** The replay is over: clients get what waits for them and then a close frame. Lets go of the address. */
  async end(): Promise<void> {
    await this.#close(1000, 'the replay is over', STALLED_MS);
  }

  /** The replay ends here. */
  async stop(): Promise<void> {
    await this.#close(1001, 'the replay was stopped', CLOSING_MS);
  }

  async #close(code: number, reason: string, mostMs: number): Promise<void> {
    const closed = [...this.#clients].map(
      (client) =>
        new Promise((resolve) => {
          client.on('close', resolve);
          client.close(code, reason);
        }),
    );
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, mostMs);
    });
    await Promise.race([Promise.all(closed), late]);
    clearTimeout(timer);
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
  }
}
