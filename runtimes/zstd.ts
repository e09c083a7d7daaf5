import * as zlib from 'node:zlib';
import { TapeError } from '../src/errors.js';
import type { Zstd } from '../src/runtime.js';
import { checkZstdFrame, corruptFrame, zstdFrames } from './zstd-frame.js';

/** What either implementation does; the checks are the same for both. */
interface Codec {
  compress(bytes: Uint8Array, level: number): Uint8Array;
  /** `size`: of the content, or the most that it may be where the frame doesn't say. */
  decompress(frame: Uint8Array, size: number): Uint8Array;
}

let shared: Promise<Zstd> | undefined;

export function zstd(): Promise<Zstd> {
  shared ??= makeZstd();
  return shared;
}

async function makeZstd(): Promise<Zstd> {
  // Node 20 lacks it, although the typings have it.
  const codec = typeof zlib.zstdCompressSync === 'function' ? native : await wasm();
  function decompress(frame: Uint8Array, size: number): Uint8Array {
    checkZstdFrame(frame, size);
    let content: Uint8Array;
    try {
      content = codec.decompress(frame, size);
    } catch (error) {
      throw corruptFrame('its blocks do not decode', error);
    }
    if (content.byteLength !== size) throw corruptFrame(`it held ${content.byteLength} bytes, not ${size}`);
    return content;
  }
  function decompressAll(bytes: Uint8Array, mostBytes: number): Uint8Array {
    const tooLarge = () => new TapeError('TOO_LARGE', `The zstd frames hold more than ${mostBytes} bytes.`);
    const contents: Uint8Array[] = [];
    let total = 0;
    for (const frame of zstdFrames(bytes)) {
      const room = Math.min(frame.contentBytes ?? frame.mostBytes, mostBytes - total);
      if (frame.contentBytes !== undefined && frame.contentBytes > room) throw tooLarge();
      const whole = bytes.subarray(frame.from, frame.to);
      if (frame.contentBytes !== undefined) {
        contents.push(decompress(whole, room));
      } else {
        try {
          contents.push(codec.decompress(whole, room));
        } catch (error) {
          // A decoder that runs out of room says no more than that it failed.
          throw room < frame.mostBytes ? tooLarge() : corruptFrame('its blocks do not decode', error);
        }
      }
      total += contents.at(-1)!.byteLength;
    }
    const all = new Uint8Array(total);
    let at = 0;
    for (const content of contents) {
      all.set(content, at);
      at += content.byteLength;
    }
    return all;
  }
  return { compress: (bytes, level) => codec.compress(bytes, level), decompress, decompressAll };
}

/** A Buffer's `slice` is a view where a Uint8Array's is a copy: nobody should get one unasked. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

const native: Codec = {
  compress(bytes, level) {
    const { byteLength } = bytes;
    const options = {
      params: { [zlib.constants.ZSTD_c_compressionLevel]: level },
      // Deno leaves the content size out of the frame unless told.
      pledgedSrcSize: byteLength,
      // Room for all of it (ZSTD_compressBound and some): a frame that just fills its chunks gets an empty one after it on
      // Node and Bun, and on Deno one over 16 KiB often does.
      chunkSize: byteLength + (byteLength >> 8) + 128,
    };
    // Copied, so as not to keep the room.
    return new Uint8Array(zlib.zstdCompressSync(bytes, options));
  },
  decompress(frame, size) {
    // One output chunk, and a byte more so that a full one is not taken for a sign of more: 2 to 10 times the speed.
    const chunkSize = Math.max(64, size + 1);
    return plain(zlib.zstdDecompressSync(frame, { chunkSize, maxOutputLength: Math.max(1, size) }));
  },
};

/** Its malloc answers 0 when it has no more, which the package takes for an address; 2 GiB is all it can have. */
const WASM_MOST_BYTES = 256 * 1024 * 1024;

async function wasm(): Promise<Codec> {
  const { init, compress, decompress } = await import('@bokuweb/zstd-wasm');
  await init();
  function guard(bytes: number): void {
    if (bytes > WASM_MOST_BYTES) throw new RangeError(`${bytes} bytes are too many for zstd in WebAssembly`);
  }
  return {
    compress(bytes, level) {
      guard(bytes.byteLength);
      return compress(bytes, level);
    },
    decompress(frame, size) {
      guard(size + frame.byteLength);
      return decompress(frame, { defaultHeapSize: size });
    },
  };
}
