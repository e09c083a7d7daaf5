import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';

/** How a connection is ended: with a goodbye, or at once. */
export type Cut = 'close' | 'terminate';

/**
 * A WebSocket server that plays messages, to `/0` the first share of them, to `/1` the next, as fast as they are taken. It ends connections in
 * between, and only where the other side has received all that it was sent: it has answered a ping that came behind. So each message is received
 * exactly once, whoever connects again.
 */
export class FeedServer {
  /** How often a connection was ended, by share. */
  readonly cuts: number[];
  /** What was subscribed to, by share: each connection's. */
  readonly subscribed: string[][];
  /** Resolves when everything was received. */
  readonly played: Promise<void>;
  readonly #server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  readonly #shares: readonly (readonly (string | Uint8Array)[])[];
  readonly #sent: number[];
  /** Of these, what the other side is known to have. */
  readonly #received: number[];
  readonly #cutAfter: (share: number, sent: number) => { messages: number; how: Cut };
  #done!: () => void;
  #failed!: (error: Error) => void;

  /** `cutAfter`: behind how many more messages a connection is ended, and how. */
  constructor(
    shares: readonly (readonly (string | Uint8Array)[])[],
    cutAfter: (share: number, sent: number) => { messages: number; how: Cut },
  ) {
    this.#shares = shares;
    this.#cutAfter = cutAfter;
    this.#sent = shares.map(() => 0);
    this.#received = shares.map(() => 0);
    this.cuts = shares.map(() => 0);
    this.subscribed = shares.map(() => []);
    this.played = new Promise((resolve, reject) => {
      this.#done = resolve;
      this.#failed = reject;
    });
    this.played.catch(() => {});
    this.#server.on('connection', (socket, request) => {
      const share = Number(request.url?.slice(1));
      socket.on('message', (message) => this.subscribed[share].push(String(message)));
      socket.on('error', () => {});
      this.#play(socket, share).catch(this.#failed);
    });
  }

  static async start(...given: ConstructorParameters<typeof FeedServer>): Promise<FeedServer> {
    const server = new FeedServer(...given);
    if (server.#server.address() === null) await once(server.#server, 'listening');
    onTestFinished(() => server.close());
    return server;
  }

  url(share: number): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${share}`;
  }

  close(): void {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
  }

  async #play(socket: WebSocket, share: number): Promise<void> {
    const messages = this.#shares[share];
    const { messages: most, how } = this.#cutAfter(share, this.#sent[share]);
    const until = Math.min(messages.length, this.#sent[share] + most);
    while (this.#sent[share] < until) {
      const message = messages[this.#sent[share]++];
      if (this.#sent[share] % 100 !== 0) socket.send(message);
      else
        await new Promise<void>((resolve, reject) =>
          socket.send(message, (error) => (error ? reject(error) : resolve())),
        );
    }
    if (socket.readyState !== socket.OPEN) throw new Error(`${share}: the other side left`);
    socket.ping();
    await Promise.race([
      once(socket, 'pong'),
      once(socket, 'close').then(() => {
        throw new Error(`${share}: the other side left before it had everything`);
      }),
    ]);
    this.#received[share] = until;
    if (until < messages.length) {
      this.cuts[share]++;
      if (how === 'close') socket.close(1001, 'later');
      else socket.terminate();
    } else if (this.#received.every((received, i) => received === this.#shares[i].length)) this.#done();
  }
}
