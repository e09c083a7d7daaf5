import type { Kernels } from '../kernels.js';
import type { Zstd } from '../runtime.js';
import { DamagedBlock } from './damaged.js';
import { COMPRESSION_HUFFMAN, COMPRESSION_NONE, COMPRESSION_ZSTD } from './header.js';
import type { Workspace } from './workspace.js';

/** How symbols are coded. `zstd`: its level, 0 for not at all. With both, the smaller result is kept. */
export interface EntropyChoice {
  huffman: boolean;
  zstd: number;
}

/** What zstd takes less than an eighth off is left as it is: zstd is most of what a block costs then. */
export const PAYS_SHIFT = 3;
/** Fewer bytes are not worth a zstd frame. */
export const LEAST_ZSTD_BYTES = 64;

export interface Coded {
  compression: number;
  at: number;
  bytes: number;
}

/** The entropy stage of chunks that are being made: symbols to a sequence of Huffman segments or to one zstd frame. */
export class EntropyEncoder {
  readonly #kernels: Kernels;
  readonly #bytes: Uint8Array;
  readonly #space: Workspace;
  readonly #zstd: Zstd;

  constructor(kernels: Kernels, memory: WebAssembly.Memory, space: Workspace, zstd: Zstd) {
    this.#kernels = kernels;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#space = space;
    this.#zstd = zstd;
  }

  /** Codes the workspace's symbols, of which each segment has a code of its own. */
  encode(segments: readonly number[], choice: EntropyChoice): Coded {
    const { symbols, entropy, huffman } = this.#space;
    const plainBytes = segments.reduce((sum, bytes) => sum + bytes, 0);
    let best: Coded = { compression: COMPRESSION_NONE, at: symbols, bytes: plainBytes };
    if (plainBytes === 0) return best;
    if (choice.huffman) {
      let from = symbols;
      let to = entropy;
      for (const bytes of segments) {
        to += this.#kernels.huffmanEncode(from, bytes, to, huffman);
        from += bytes;
      }
      if (to - entropy < plainBytes) best = { compression: COMPRESSION_HUFFMAN, at: entropy, bytes: to - entropy };
    }
    if (choice.zstd > 0 && plainBytes >= LEAST_ZSTD_BYTES) {
      const most = best.compression === COMPRESSION_NONE ? plainBytes - (plainBytes >> PAYS_SHIFT) : best.bytes - 1;
      // Behind the Huffman segments, which may be the better ones.
      const at = entropy + (best.compression === COMPRESSION_HUFFMAN ? best.bytes : 0);
      const content = this.#bytes.subarray(symbols, symbols + plainBytes);
      const frame = this.#zstd.compressInto(content, choice.zstd, this.#bytes.subarray(at, at + most));
      if (frame >= 0) best = { compression: COMPRESSION_ZSTD, at, bytes: frame };
    }
    return best;
  }
}

/**
 * Stores the first `needed` or more of the `plainBytes` symbols that lie coded from `at` to `end` in the workspace.
 * @throws DamagedBlock
 */
export function decodeSymbols(
  parts: { kernels: Kernels; bytes: Uint8Array; space: Workspace; zstd: Zstd },
  compression: number,
  at: number,
  end: number,
  plainBytes: number,
  needed: number,
): void {
  const { kernels, bytes, space, zstd } = parts;
  if (compression === COMPRESSION_ZSTD) {
    bytes.set(unzip(zstd, bytes.subarray(at, end), plainBytes), space.symbols);
    return;
  }
  if (compression !== COMPRESSION_HUFFMAN) throw new DamagedBlock(`compression ${compression} is unknown`);
  let from = at;
  let done = 0;
  while (done < needed) {
    const count = kernels.huffmanCount(from, end);
    // Without a symbol there is no way on.
    if (count <= 0 || count > plainBytes - done) throw new DamagedBlock('its Huffman segments are damaged');
    const read = kernels.huffmanDecode(from, end, space.symbols + done, plainBytes - done, space.huffman);
    if (read < 0) throw new DamagedBlock('its Huffman codes are damaged');
    from += read;
    done += count;
  }
  if (done === plainBytes && from !== end) throw new DamagedBlock('its Huffman segments are longer than its symbols');
}

/** The content of a zstd frame. @throws DamagedBlock */
export function unzip(zstd: Zstd, frame: Uint8Array, size: number): Uint8Array {
  try {
    return zstd.decompress(frame, size);
  } catch (cause) {
    throw new DamagedBlock('its zstd frame is damaged', { cause });
  }
}
