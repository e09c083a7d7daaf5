import { Buffer } from 'node:buffer';
import { TapeError } from '../../errors.js';
import { Backoff, type BackoffOptions, pause } from '../backoff.js';

export interface WebSocketOptions {
  url: string;
  /** Sent after connecting. */
  subscribe?: readonly string[];
  /** How often the other side is asked whether it is there, where the runtime can. Default 15,000. */
  pingIntervalMs?: number;
  /** A connection on which nothing comes for so long counts as lost. Default 60,000. */
  idleTimeoutMs?: number;
  /** Default 10,000. */
  connectTimeoutMs?: number;
  /** How long after a disconnect it connects again. */
  reconnect?: BackoffOptions;
  /** A longer message is rejected; where the runtime can, before all of it came, and with the connection. Default 16 MiB. */
  mostMessageBytes?: number;
}

/** Who takes what comes. */
export interface WebSocketListener {
  readonly signal: AbortSignal;
  now(): bigint;
  /** A message, in order. While this does not return, nothing more is read: the other side waits. */
  message(data: string | Uint8Array): void;
  /** What comes from `fromNs` on is missed. `end` is called before the first message after it. */
  gap(reason: string, fromNs?: bigint): { end(): void };
}

/** What is used of a WebSocket, the runtime's or that of `ws`. */
interface Socket {
  binaryType: string;
  readonly readyState: number;
  send(data: string): void;
  close(code?: number): void;
  ping?(): void;
  terminate?(): void;
  on?(event: 'pong', listener: () => void): void;
  addEventListener(type: string, listener: (event: SocketEvent) => void): void;
}
interface SocketEvent {
  data?: unknown;
  code?: number;
  reason?: string;
  message?: string;
  error?: unknown;
}

const OPEN = 1;
/** How long a connection that was closed may take to say goodbye. */
const CLOSE_MS = 500;
/** How finely silence is timed. */
const TICKS = 4;

/**
 * Listens until the signal is aborted; connects again where the connection is lost, which is a gap each time.
 * @throws TapeError `BAD_OPTION`; what `message` throws
 */
export async function listenToWebSocket(options: WebSocketOptions, listener: WebSocketListener): Promise<void> {
  const { signal } = listener;
  const open = await opener(options);
  const backoff = new Backoff(options.reconnect);
  const missed = new Missed(listener);
  while (!signal.aborted) {
    const connectedMs = performance.now();
    const reason = await connection(open, options, listener, missed);
    if (signal.aborted) break;
    missed.begin(reason);
    await pause(backoff.next(performance.now() - connectedMs), signal);
  }
}

/** What was missed since the last message, until the next. */
class Missed {
  readonly #listener: WebSocketListener;
  #startedNs: bigint;
  #lastNs = 0n;
  #gap: { end(): void } | null = null;

  constructor(listener: WebSocketListener) {
    this.#listener = listener;
    this.#startedNs = listener.now();
  }

  begin(reason: string): void {
    this.#gap ??= this.#listener.gap(reason, this.#lastNs > 0n ? this.#lastNs : this.#startedNs);
  }

  /** Takes a message. */
  message(data: string | Uint8Array): void {
    this.#gap?.end();
    this.#gap = null;
    this.#listener.message(data);
    this.#lastNs = this.#listener.now();
  }
}

/** One connection. Resolves with why it ended. @throws what `message` throws */
function connection(
  open: () => Socket,
  options: WebSocketOptions,
  { signal }: WebSocketListener,
  missed: Missed,
): Promise<string> {
  const { subscribe = [], pingIntervalMs = 15_000, idleTimeoutMs = 60_000, connectTimeoutMs = 10_000 } = options;
  return new Promise((resolve, reject) => {
    let socket: Socket;
    try {
      socket = open();
    } catch (error) {
      return resolve(`can't connect: ${(error as Error).message}`);
    }
    socket.binaryType = 'arraybuffer';
    let ticker: ReturnType<typeof setInterval> | undefined;
    let pinger: ReturnType<typeof setInterval> | undefined;
    let isOver = false;
    let silentTicks = 0;
    let trouble: string | null = null;

    const over = (settle: () => void) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      clearInterval(ticker);
      clearInterval(pinger);
      signal.removeEventListener('abort', onAbort);
      drop(socket);
      settle();
    };
    const lost = (reason: string) => over(() => resolve(reason));
    const onAbort = () => lost('stopped');
    signal.addEventListener('abort', onAbort);

    // A thread that was busy for long finds one of them due, not all: it is not the other side that was silent.
    const onTick = () => {
      if (++silentTicks > TICKS) lost(`nothing came for ${idleTimeoutMs} ms`);
    };
    const timer = setTimeout(() => lost(`no connection within ${connectTimeoutMs} ms`), connectTimeoutMs);

    socket.addEventListener('open', () => {
      if (isOver) return;
      clearTimeout(timer);
      ticker = setInterval(onTick, idleTimeoutMs / TICKS);
      try {
        for (const message of subscribe) socket.send(message);
      } catch (error) {
        return lost(`can't subscribe: ${(error as Error).message}`);
      }
      if (typeof socket.ping !== 'function') return;
      socket.on?.('pong', () => {
        silentTicks = 0;
      });
      pinger = setInterval(() => {
        try {
          if (socket.readyState === OPEN) socket.ping?.();
        } catch {
          // It closes, and says so itself.
        }
      }, pingIntervalMs);
    });
    socket.addEventListener('message', ({ data }) => {
      if (isOver) return;
      silentTicks = 0;
      try {
        missed.message(typeof data === 'string' ? data : bytesOf(data));
      } catch (error) {
        over(() => reject(error));
      }
    });
    socket.addEventListener('error', (event) => {
      const { error } = event;
      trouble = (error instanceof Error && error.message) || event.message || trouble;
    });
    socket.addEventListener('close', ({ code, reason }) => {
      const said = trouble ?? (reason ? reason : null);
      lost(`disconnected${code === undefined ? '' : ` (${code})`}${said === null ? '' : `: ${said}`}`);
    });
  });
}

const bytesOf = (data: unknown): Uint8Array =>
  data instanceof ArrayBuffer
    ? new Uint8Array(data)
    : ArrayBuffer.isView(data)
      ? (data as Uint8Array)
      : Buffer.from(String(data));

/** Ends the connection, also where the other side never answers. */
function drop(socket: Socket): void {
  try {
    socket.close();
  } catch {
    // It was not open yet.
  }
  if (socket.terminate === undefined) return;
  const timer = setTimeout(() => socket.terminate?.(), CLOSE_MS);
  (timer as { unref?(): void }).unref?.();
  socket.addEventListener('close', () => clearTimeout(timer));
}

/** What opens a connection: the runtime's own WebSocket, or that of `ws` where it has none. @throws TapeError `BAD_OPTION` */
async function opener({ url, mostMessageBytes = MOST_MESSAGE_BYTES }: WebSocketOptions): Promise<() => Socket> {
  if (!/^wss?:\/\/\S+$/i.test(url)) {
    throw new TapeError('BAD_OPTION', `url is ${JSON.stringify(url)}: it must begin with ws:// or wss://`);
  }
  const { WebSocket: own } = globalThis as { WebSocket?: new (url: string) => unknown };
  if (own !== undefined) return () => new own(url) as Socket;
  const { WebSocket: packaged } = await import('ws');
  return () => new packaged(url, { maxPayload: mostMessageBytes }) as unknown as Socket;
}

export const MOST_MESSAGE_BYTES = 16 * 1024 ** 2;
