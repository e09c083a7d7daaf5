// Decoders that each do one thing that they must not, so that it shows that the fuzzer sees it.
import process from 'node:process';
import { BlockDecoder, DamagedBlock } from '../../dist/src/block/decoder.js';
import { hash64 } from '../../dist/src/hash.js';
import { sharedMemory } from '../../dist/src/kernels.js';
import { zstd } from './corpus.mjs';

/**
 * @typedef {import('../../dist/src/schema.js').Schema} Schema
 * @typedef {import('../../dist/src/schema.js').PlacedField} PlacedField
 * @typedef {import('../../dist/src/block/header.js').BlockHeader} BlockHeader
 */

class Weak extends BlockDecoder {
  /** @type {Uint8Array} */
  bytes;

  constructor(/** @type {Schema} */ schema) {
    super(schema, zstd);
  }

  /** @override */
  room(/** @type {number} */ blockBytes, /** @type {number} */ count) {
    this.bytes = super.room(blockBytes, count);
    return this.bytes;
  }

  /** Whether this is one case of many: by what is in a chunk, so that it is the same when it is run again. */
  struck({ chunks }, { index }, rarity = 1024n) {
    return chunks.some(({ field, checksum }) => field === index && checksum % rarity === 7n);
  }
}

class OneValueMore extends Weak {
  /** @override */
  column(header, field) {
    const column = super.column(header, field);
    if (!this.struck(header, field, 128n) || 'lengths' in column) return column;
    const { values } = column;
    return { ...column, values: new values.constructor(values.length + 1) };
  }
}

class OtherArray extends Weak {
  /** @override */
  column(header, field) {
    const column = super.column(header, field);
    return this.struck(header, field, 128n) && 'values' in column ? { ...column, values: [...column.values] } : column;
  }
}

class ThrowsRangeError extends Weak {
  /** @override */
  column(header, field) {
    if (this.struck(header, field)) throw new RangeError('offset is out of bounds');
    return super.column(header, field);
  }
}

class ChecksNoChecksum extends Weak {
  /** @override */
  column(header, field) {
    const chunks = header.chunks.map((entry) => {
      const { offset, storedBytes } = entry;
      return { ...entry, checksum: hash64(this.bytes.subarray(offset, offset + storedBytes)) };
    });
    return super.column({ ...header, chunks }, field);
  }
}

/** What one damaged block left shows in all later ones. */
class Remembers extends Weak {
  #damaged = false;

  /** @override */
  column(header, field) {
    try {
      const column = super.column(header, field);
      const bytes = 'lengths' in column ? column.bytes : new Uint8Array(column.values.buffer);
      if (this.#damaged && bytes.length > 0) bytes[0] ^= 1;
      return column;
    } catch (error) {
      if (error instanceof DamagedBlock) this.#damaged = true;
      throw error;
    }
  }
}

/** A value of what lies behind the block. */
class ReadsTooFar extends Weak {
  /** @override */
  column(header, field) {
    const column = super.column(header, field);
    if ('values' in column) {
      const { buffer, byteOffset, byteLength } = this.bytes;
      new Uint8Array(column.values.buffer)[0] = new Uint8Array(buffer)[byteOffset + byteLength];
    }
    return column;
  }
}

class WritesIntoTheBlock extends Weak {
  /** @override */
  column(header, field) {
    if (this.struck(header, field)) this.bytes[this.bytes.length - 1] ^= 1;
    return super.column(header, field);
  }
}

class TakesMemory extends Weak {
  /** @override */
  room(blockBytes, count) {
    super.room(blockBytes, count);
    // As if it believed a length: of blocks of some counts alone.
    if (count % 8 !== 3) return this.bytes;
    return new Uint8Array(sharedMemory(16 * 1024 ** 2).buffer, 0, blockBytes);
  }
}

class Hangs extends Weak {
  /** @override */
  column(header, field) {
    while (this.struck(header, field)) Math.sqrt(2);
    return super.column(header, field);
  }
}

class Dies extends Weak {
  /** @override */
  column(header, field) {
    if (this.struck(header, field)) {
      process.kill(process.pid, 'SIGKILL');
      // Until the signal arrives.
      for (;;) Math.sqrt(2);
    }
    return super.column(header, field);
  }
}

/** @type {Record<string, new (schema: Schema) => BlockDecoder>} */
export const WEAK = {
  OneValueMore,
  OtherArray,
  ThrowsRangeError,
  ChecksNoChecksum,
  Remembers,
  ReadsTooFar,
  WritesIntoTheBlock,
  TakesMemory,
  Hangs,
  Dies,
};
