import { read } from 'node:fs';

const STDIN = 0;
const CHUNK_BYTES = 262_144;
/** How long to wait where it has nothing and does not wait itself. */
const NOTHING_MS = 10;

/** By its descriptor: a thread's own process.stdin is empty, and /dev/stdin can't be opened where that is a socket. */
export async function* readStdin(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let stop!: () => void;
  const stopped = new Promise<0>((resolve) => {
    stop = () => resolve(0);
  });
  signal.addEventListener('abort', stop);
  const bytes = new Uint8Array(CHUNK_BYTES);
  try {
    while (!signal.aborted) {
      const count = await Promise.race([readSome(bytes), stopped]);
      if (count === 0) return;
      // A socket, or a pipe whose other user wants it so, answers at once when there is nothing.
      if (count === 'nothing') await new Promise((resolve) => setTimeout(resolve, NOTHING_MS));
      else yield bytes.slice(0, count);
    }
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function readSome(bytes: Uint8Array): Promise<number | 'nothing'> {
  return new Promise((resolve, reject) => {
    read(STDIN, bytes, 0, bytes.length, null, (error, count) => {
      if (error === null) resolve(count);
      else if (error.code === 'EAGAIN') resolve('nothing');
      // How Windows ends a pipe.
      else if (error.code === 'EOF') resolve(0);
      else reject(error);
    });
  });
}
