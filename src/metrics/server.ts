import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Registry } from 'prom-client';
import { TapeError } from '../errors.js';
import type { SessionFigures } from '../stats.js';
import { metricsOf } from './registry.js';

export interface MetricsOptions {
  host: string;
  /** 0: one that is free. */
  port: number;
}

export interface MetricsServer {
  /** Where it listens. */
  host: string;
  port: number;
  /** With `/metrics`, to be given to Prometheus. */
  url: string;
  close(): Promise<void>;
}

/** What a scrape is told of: `() => tape.stats()`, or what `readSession` gives; null where there is no session now. */
export type ReadFigures = () => SessionFigures | null | Promise<SessionFigures | null>;

/**
 * Answers `GET /metrics` over HTTP in Prometheus' text format. It alone does not keep the process alive.
 * @throws TapeError `IO` where the address can't be had
 */
export async function startMetrics({ host, port }: MetricsOptions, read: ReadFigures): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    answer(request, response, read).catch((error) => {
      if (!response.headersSent) send(response, 500, 'text/plain; charset=utf-8', `${(error as Error).message}\n`);
      else response.destroy();
    });
  });
  // Errors of single connections, and those after it listens.
  server.on('clientError', (_, socket) => socket.destroy());
  const asked = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === 'EADDRINUSE' ? 'another process listens there' : cause.message;
      reject(new TapeError('IO', `metrics: can't listen on ${asked}: ${reason}: give another host or port`, { cause }));
    });
    server.listen(port, host, resolve);
  });
  server.on('error', () => {});
  server.unref();
  // Nor does a scraper that keeps its connection for the next time.
  server.on('connection', (socket) => socket.unref());
  const bound = server.address() as AddressInfo;
  const shown = bound.address.includes(':') ? `[${bound.address}]` : bound.address;
  return {
    host: bound.address,
    port: bound.port,
    url: `http://${shown}:${bound.port}/metrics`,
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, read: ReadFigures): Promise<void> {
  const { method = '', url = '' } = request;
  const text = 'text/plain; charset=utf-8';
  if (url.split('?')[0] !== '/metrics') return send(response, 404, text, 'metrics are at /metrics\n');
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return send(response, 405, text, 'GET it\n');
  }
  const figures = await read();
  if (figures === null) return send(response, 503, text, 'no recorder is at work\n');
  send(response, 200, Registry.PROMETHEUS_CONTENT_TYPE, await metricsOf(figures));
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', type);
  response.setHeader('Content-Length', Buffer.byteLength(text));
  response.end(response.req.method === 'HEAD' ? undefined : text);
}
