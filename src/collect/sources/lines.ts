// Lines of a file or of stdin, gzip or not, however long they are and whatever is in them.
import { Buffer } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { runtime } from 'ticktape/runtime';
import { TapeError } from '../../errors.js';

const NEWLINE = 10;
const RETURN = 13;
const GZIP_MAGIC = [0x1f, 0x8b];
const CHUNK_BYTES = 262_144;
/** A longer line is not kept. */
export const MOST_LINE_BYTES = 16 * 1024 ** 2;
/** What is kept of a longer one, to say which it was. */
const KEPT_BYTES = 1024;

/** A line that is not text. */
export interface BadLine {
  reason: string;
  /** Its bytes, or the first of them. */
  bytes: Uint8Array;
}

/**
 * Lines without their ends, some at a time. `path`: `-` is stdin.
 * @throws TapeError `NOT_FOUND`, `IO`, `CORRUPT` where it can't be read to its end
 */
export async function* readLines(
  path: string,
  signal: AbortSignal,
  mostBytes = MOST_LINE_BYTES,
): AsyncGenerator<(string | BadLine)[]> {
  const splitter = new LineSplitter(mostBytes);
  for await (const bytes of readBytes(path, signal)) {
    const lines = splitter.add(bytes);
    if (lines.length > 0) yield lines;
  }
  const last = splitter.end();
  if (last.length > 0) yield last;
}

/** Cuts bytes into lines. */
export class LineSplitter {
  readonly #mostBytes: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** Of the line that has not ended, while it is not too long. */
  #parts: Uint8Array[] = [];
  #length = 0;
  #isFirst = true;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** The lines that end in `bytes`. */
  add(bytes: Uint8Array): (string | BadLine)[] {
    const lines: (string | BadLine)[] = [];
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      if (this.#length === 0) lines.push(this.#line(bytes.subarray(from, end), end - from));
      else {
        this.#keep(bytes.subarray(from, end));
        lines.push(this.#take());
      }
      from = end + 1;
    }
    if (from < bytes.length) this.#keep(bytes.subarray(from));
    return lines;
  }

  /** The last line, where nothing ended it. */
  end(): (string | BadLine)[] {
    return this.#length === 0 ? [] : [this.#take()];
  }

  #keep(part: Uint8Array): void {
    const kept = this.#length < this.#mostBytes ? part : part.subarray(0, 0);
    if (kept.length > 0) this.#parts.push(kept.slice());
    this.#length += part.length;
    if (this.#length <= this.#mostBytes || this.#parts.length === 0) return;
    // Too long: its beginning is enough.
    this.#parts = [Buffer.concat(this.#parts).subarray(0, KEPT_BYTES)];
  }

  #take(): string | BadLine {
    const line = this.#line(Buffer.concat(this.#parts), this.#length);
    this.#parts = [];
    this.#length = 0;
    return line;
  }

  #line(bytes: Uint8Array, length: number): string | BadLine {
    if (length > this.#mostBytes) {
      return {
        reason: `${length} bytes in one line: ${this.#mostBytes} at most`,
        bytes: bytes.subarray(0, KEPT_BYTES),
      };
    }
    const end = bytes.at(-1) === RETURN ? bytes.length - 1 : bytes.length;
    try {
      const line = this.#decoder.decode(bytes.subarray(0, end));
      const text = this.#isFirst && line.startsWith('\ufeff') ? line.slice(1) : line;
      this.#isFirst = false;
      return text;
    } catch {
      return { reason: 'not UTF-8', bytes };
    }
  }
}

async function* readBytes(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const file = path === '-' ? null : createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const chunks: AsyncIterator<Uint8Array> = file === null ? runtime.stdin(signal) : file[Symbol.asyncIterator]();
  const stop = () => void file?.destroy();
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    // A file of one byte is no gzip.
    let head: Uint8Array = new Uint8Array(0);
    let isDone = false;
    while (head.length < GZIP_MAGIC.length && !isDone) {
      const { value, done } = await chunks.next();
      isDone = done === true;
      if (!isDone) head = head.length === 0 ? value : Buffer.concat([head, value]);
    }
    const rest = { [Symbol.asyncIterator]: () => chunks };
    if (!GZIP_MAGIC.every((byte, i) => head[i] === byte)) {
      if (head.length > 0) yield head;
      for await (const bytes of rest) yield bytes;
      return;
    }
    yield* inflate(head, rest, path);
  } catch (cause) {
    // Who stops reads no further.
    if (signal.aborted) return;
    if (cause instanceof TapeError) throw cause;
    throw unreadable(path, cause);
  } finally {
    signal.removeEventListener('abort', stop);
    file?.destroy();
  }
}

async function* inflate(head: Uint8Array, rest: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: 262_144 });
  const feed = async () => {
    const write = (bytes: Uint8Array) =>
      new Promise<void>((resolve) => {
        if (gunzip.write(bytes)) resolve();
        else gunzip.once('drain', resolve).once('close', resolve);
      });
    await write(head);
    for await (const bytes of rest) {
      if (gunzip.destroyed) return;
      await write(bytes);
    }
    gunzip.end();
  };
  feed().catch((error) => gunzip.destroy(error));
  try {
    for await (const bytes of gunzip) yield bytes as Uint8Array;
  } catch (cause) {
    if (!(cause as NodeJS.ErrnoException).code?.startsWith('Z_')) throw cause;
    const { message } = cause as Error;
    throw new TapeError('CORRUPT', `${path} is damaged or cut short (${message}): get it anew`, { path, cause });
  } finally {
    gunzip.destroy();
  }
}

function unreadable(path: string, cause: unknown): TapeError {
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
    return new TapeError('NOT_FOUND', `there is no file ${path}: check the path`, { path, cause });
  }
  return new TapeError('IO', `can't read ${path}: ${(cause as Error).message}`, { path, cause });
}
