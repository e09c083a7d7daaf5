import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { TapeError } from '../../errors.js';

const GZIP_MAGIC = [0x1f, 0x8b];
const NEWLINE = 10;

/** @throws TapeError `NOT_FOUND`, `IO`, `BAD_MAGIC` where `path` is no gzip file that can be read */
export async function checkFeedFile(path: string): Promise<void> {
  const head = new Uint8Array(GZIP_MAGIC.length);
  try {
    const file = await open(path);
    try {
      await file.read(head, 0, head.length, 0);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (!GZIP_MAGIC.every((byte, i) => head[i] === byte)) {
    throw new TapeError('BAD_MAGIC', `${path} is not a gzip file: compress the feed with gzip first`, { path });
  }
}

/** Whole lines for one of the shares of a feed. */
export interface FeedChunk {
  share: number;
  /** How many lines: line `i` of a share is line `i * shares + share` of the file. */
  lines: number;
  /** Each line with its newline; at the start of its buffer. */
  bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Deals the lines of a gzip file out to `shares` in turn, in chunks of about `chunkBytes`, so that each share keeps the order of
 * the file and at most a chunk a share is held.
 * @throws TapeError `NOT_FOUND`, `IO`, `CORRUPT`, when the file can't be read to its end
 */
export async function* dealLines(path: string, shares: number, chunkBytes = 65536): AsyncGenerator<FeedChunk> {
  const open = Array.from({ length: shares }, () => ({ bytes: new Uint8Array(chunkBytes), used: 0, lines: 0 }));
  let share = 0;
  let rest = new Uint8Array(0);

  const take = (of: number): FeedChunk => {
    const { bytes, used, lines } = open[of];
    open[of] = { bytes: new Uint8Array(chunkBytes), used: 0, lines: 0 };
    return { share: of, lines, bytes: bytes.subarray(0, used) };
  };
  /** Adds a line, split over `head` and `tail`; answers a chunk that it had no room in. */
  const add = (head: Uint8Array, tail: Uint8Array): FeedChunk | undefined => {
    const size = head.length + tail.length;
    const full = open[share].used > 0 && open[share].used + size > chunkBytes ? take(share) : undefined;
    const to = open[share];
    if (size > to.bytes.length) to.bytes = new Uint8Array(size);
    to.bytes.set(head, to.used);
    to.bytes.set(tail, to.used + head.length);
    to.used += size;
    to.lines++;
    share = (share + 1) % shares;
    return full;
  };

  for await (const data of inflate(path)) {
    let from = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, from)) {
      const full = add(rest, data.subarray(from, end + 1));
      if (full !== undefined) yield full;
      if (rest.length > 0) rest = new Uint8Array(0);
      from = end + 1;
    }
    if (from < data.length) rest = join(rest, data.subarray(from));
  }
  if (rest.length > 0) {
    const full = add(rest, Uint8Array.of(NEWLINE));
    if (full !== undefined) yield full;
  }
  for (let of = 0; of < shares; of++) if (open[of].used > 0) yield take(of);
}

async function* inflate(path: string): AsyncGenerator<Uint8Array> {
  const file = createReadStream(path, { highWaterMark: 262_144 });
  const gunzip = createGunzip({ chunkSize: 262_144 });
  // `pipe` doesn't pass on errors, and `pipeline` would call an early return of the reader one.
  file.on('error', (error) => gunzip.destroy(error));
  try {
    for await (const data of file.pipe(gunzip)) yield data as Uint8Array;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (!code?.startsWith('Z_')) throw unreadable(path, cause);
    throw new TapeError('CORRUPT', `${path} is damaged or cut short (${(cause as Error).message}): get it anew`, {
      path,
      cause,
    });
  } finally {
    file.destroy();
    gunzip.destroy();
  }
}

function unreadable(path: string, cause: unknown): TapeError {
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
    return new TapeError('NOT_FOUND', `there is no file ${path}: check the path`, { path, cause });
  }
  return new TapeError('IO', `can't read ${path}: ${(cause as Error).message}`, { path, cause });
}

function join(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(head.length + tail.length);
  joined.set(head);
  joined.set(tail, head.length);
  return joined;
}
