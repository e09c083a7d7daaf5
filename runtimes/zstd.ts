import * as zlib from 'node:zlib';
import { TapeError } from '../src/errors.js';
import type { Zstd } from '../src/runtime.js';
import { checkZstdFrame, corruptFrame, isZstdFrame, zstdFrames } from './zstd-frame.js';

/** What either implementation does. */
type Codec = Omit<Zstd, 'decompressAll'>;

let shared: Promise<Zstd> | undefined;

export function zstd(): Promise<Zstd> {
  shared ??= makeZstd();
  return shared;
}

async function makeZstd(): Promise<Zstd> {
  // Node 20 lacks it, although the typings have it. The checks are the same for both.
  const codec = typeof zlib.zstdCompressSync === 'function' ? native : await wasm();
  function decompress(frame: Uint8Array, size: number): Uint8Array {
    checkZstdFrame(frame, size);
    let content: Uint8Array;
    try {
      content = codec.decompress(frame, size);
    } catch (error) {
      throw error instanceof TapeError ? error : corruptFrame('its blocks do not decode', error);
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
  return { ...codec, decompress, decompressAll };
}

/** A Buffer's `slice` is a view where a Uint8Array's is a copy: nobody should get one unasked. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** Puts the frame in `out`; -1 where it doesn't fit. */
function place(frame: Uint8Array, out: Uint8Array): number {
  if (frame.byteLength > out.byteLength) return -1;
  out.set(frame);
  return frame.byteLength;
}

/** What all ways to compress are told. */
function optionsFor(bytes: Uint8Array, level: number) {
  return {
    params: { [zlib.constants.ZSTD_c_compressionLevel]: level },
    // Deno leaves the content size out of the frame unless told, and every stream does.
    pledgedSrcSize: bytes.byteLength,
  };
}

/** With room behind it. */
function frameOf(bytes: Uint8Array, level: number): Buffer {
  const { byteLength } = bytes;
  // Room for all of it (ZSTD_compressBound and some): a frame that just fills its chunks gets an empty one after it on
  // Node and Bun, and on Deno one over 16 KiB often does.
  const chunkSize = byteLength + (byteLength >> 8) + 128;
  return zlib.zstdCompressSync(bytes, { ...optionsFor(bytes, level), chunkSize });
}

const native: Codec = {
  // Copied, so as not to keep the room.
  compress: (bytes, level) => new Uint8Array(frameOf(bytes, level)),
  compressInto: (bytes, level, out) => place(frameOf(bytes, level), out),
  compressStream,
  decompress(frame, size) {
    // One output chunk, and a byte more so that a full one is not taken for a sign of more: 2 to 10 times the speed. It is all
    // the memory that this takes: zstd decodes a whole frame right into it, where several chunks would be kept and then joined.
    const chunkSize = Math.max(64, size + 1);
    const options = { chunkSize, maxOutputLength: Math.max(1, size) };
    return plain(isDeno ? decompressOnDeno(frame, options) : zlib.zstdDecompressSync(frame, options));
  },
};

const isDeno = 'Deno' in globalThis;

interface Engine {
  _processChunk(bytes: Uint8Array, flush: number): Buffer;
}

/**
 * What `zstdDecompressSync` does, but closed also where it fails: Deno 2.9.5 leaks some 15 KB for every frame that doesn't decode,
 * 3.3 GB after 240,000 of them. `_processChunk` is documented nowhere; a Deno without it gets the one-shot call.
 */
function decompressOnDeno(frame: Uint8Array, options: zlib.ZstdOptions): Buffer {
  const engine = zlib.createZstdDecompress(options);
  const { _processChunk: process } = engine as unknown as Partial<Engine>;
  if (process === undefined) return zlib.zstdDecompressSync(frame, options);
  engine.on('error', () => {});
  try {
    return process.call(
      engine,
      Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength),
      zlib.constants.ZSTD_e_end,
    );
  } finally {
    engine.close();
  }
}

/** Of the content and of the frame that a stream has in hand at a time. */
const STEP_BYTES = 1024 * 1024;
/** Magic number, descriptor, content size 0, and the header of an empty block. */
const EMPTY_FRAME_BYTES = 9;

function compressStream(bytes: Uint8Array, level: number, out: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = zlib.createZstdCompress({ ...optionsFor(bytes, level), chunkSize: STEP_BYTES });
    let made = 0;
    stream.on('error', reject);
    stream.on('data', (chunk: Buffer) => {
      if (made < out.byteLength) out.set(chunk.subarray(0, out.byteLength - made), made);
      made += chunk.byteLength;
      if (made <= out.byteLength + EMPTY_FRAME_BYTES) return;
      stream.destroy();
      resolve(-1);
    });
    stream.on('end', () => {
      // A stream too gets an empty frame after it: where its last chunk is just filled, and on Deno where ending it takes two.
      const ends = [made, made - EMPTY_FRAME_BYTES].filter((end) => end <= out.byteLength);
      resolve(ends.find((end) => isZstdFrame(out.subarray(0, end), bytes.byteLength)) ?? -1);
    });
    let at = 0;
    const next = (error?: Error | null) => {
      if (error) return;
      if (at === bytes.byteLength) {
        stream.end();
        return;
      }
      const step = bytes.subarray(at, at + STEP_BYTES);
      at += step.byteLength;
      stream.write(step, next);
    };
    next();
  });
}

/** Of content. Its malloc answers 0 when it has no more, which the package takes for an address; 2 GiB is all it can have. */
const WASM_MOST_COMPRESSED = 256 * 1024 * 1024;
/** Of content and frame: a whole block of the largest content that seven eighths of it hold. 2 GiB less 76 MiB were seen to do. */
const WASM_MOST_DECOMPRESSED = 1920 * 1024 * 1024;

async function wasm(): Promise<Codec> {
  const { init, compress, decompress } = await import('@bokuweb/zstd-wasm');
  await init();
  function guard(bytes: number, most: number): void {
    if (bytes <= most) return;
    const message = `${bytes} bytes are too many for zstd in WebAssembly: run a Node that has zstd (22.15 or later), Deno or Bun`;
    throw new TapeError('UNSUPPORTED', message);
  }
  function compressInto(bytes: Uint8Array, level: number, out: Uint8Array): number {
    return bytes.byteLength > WASM_MOST_COMPRESSED ? -1 : place(compress(bytes, level), out);
  }
  return {
    compress(bytes, level) {
      guard(bytes.byteLength, WASM_MOST_COMPRESSED);
      return compress(bytes, level);
    },
    compressInto,
    // Its module exports no streaming functions, nor is there a way to continue a frame with the others.
    compressStream: async (bytes, level, out) => compressInto(bytes, level, out),
    decompress(frame, size) {
      guard(size + frame.byteLength, WASM_MOST_DECOMPRESSED);
      return decompress(frame, { defaultHeapSize: size });
    },
  };
}
