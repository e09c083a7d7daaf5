// Damages blocks and decodes them. Every case derives from the seed and its number alone: of the blocks, which a group of cases shares,
// and of what is done to one of them.
import { Buffer } from 'node:buffer';
import { BlockDecoder, DamagedBlock } from '../../dist/src/block/decoder.js';
import {
  BLOCK_HEADER_BYTES,
  CHUNK_ENTRY_BYTES,
  decodeBlockHeader,
  LANE_RANGE_BYTES,
  MAX_BLOCK_RECORDS,
  peekHeaderBytes,
} from '../../dist/src/block/header.js';
import { hash64 } from '../../dist/src/hash.js';
import { isVarying } from '../../dist/src/schema.js';
import { makeBlocks, planSchema, zstd } from './corpus.mjs';
import { Dice } from './dice.mjs';
import { damageRange, redraft } from './mutations.mjs';

/**
 * @typedef {import('./corpus.mjs').Block} Block
 * @typedef {import('../../dist/src/block/header.js').BlockHeader} BlockHeader
 * @typedef {import('../../dist/src/block/decoder.js').DecodedColumn} DecodedColumn
 * @typedef {import('../../dist/src/schema.js').Schema} Schema
 * @typedef {import('../../dist/src/schema.js').PlacedField} PlacedField
 * @typedef {import('./mutations.mjs').Case} Case
 * @typedef {Pick<BlockDecoder, 'room' | 'header' | 'column' | 'verify'>} Decoder
 *
 * @typedef {object} Failure
 * @property {number} case
 * @property {string} what
 * @property {string[]} how what was done to the block
 * @property {number} from the first of the cases to run again for it: the case itself, or an earlier one that it needs
 * @property {string} schema as JSON
 * @property {number} count records that the decoder was asked for
 * @property {Uint8Array} bytes the block as it was decoded
 */

const CASES_PER_BLOCK = 256;
const BLOCKS_PER_GROUP = 8;
export const CASES_PER_GROUP = CASES_PER_BLOCK * BLOCKS_PER_GROUP;
const SCHEMAS = 32;
/** Blocks that are whole are decoded between so many cases. */
const CHECK_EVERY = 64;
/** Of so many cases one is decoded again, amid other bytes: they show where a decoder reads what is not the block's. */
const TWICE_EVERY = 16;
const DIRT_BYTES = 64;

/** Counts beyond what the blocks have cost too much to be tried with every decoder. */
const MODEST_COUNT = 8192;
const DECODERS_FOR_HUGE_COUNTS = 2;
const HUGE_SHARE = 0.2;

/** What a decoder's memory may have for a block: what it is made with, and then in proportion to what is decoded. */
export const memoryBound = (/** @type {number} */ blockBytes, /** @type {number} */ count) =>
  4 * 1024 ** 2 + 2 * blockBytes + 96 * count;

const ARRAYS = {
  timestamp: BigInt64Array,
  symbol: Uint32Array,
  decimal: Float64Array,
  f64: Float64Array,
  f32: Float32Array,
  i8: Int8Array,
  i16: Int16Array,
  i32: Int32Array,
  i64: BigInt64Array,
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  u64: BigUint64Array,
};

/** What a decoder did that it must not. */
class Wrong extends Error {}

/** A schema with its decoder, and a block of it that is never damaged. */
class Subject {
  /** @type {Decoder} */
  decoder;
  /** Of the decoder's memory, by the largest that was asked of it. */
  boundBytes = 0;

  constructor(
    /** @type {number} */ seed,
    /** @type {number} */ number,
    /** @type {(schema: Schema) => Decoder} */ make,
  ) {
    this.schema = planSchema(new Dice(seed, 1, number), number);
    this.number = number;
    this.make = make;
    this.decoder = make(this.schema);
    [this.reference] = makeBlocks(this.schema, new Dice(seed, 2, number), 1);
    this.digest = this.digestOf(this.reference);
  }

  renew() {
    this.decoder = this.make(this.schema);
    this.boundBytes = 0;
  }

  /** The room with these bytes in it. */
  place(/** @type {Uint8Array} */ bytes, /** @type {number} */ count) {
    const room = this.decoder.room(bytes.length, count);
    this.boundBytes = Math.max(this.boundBytes, memoryBound(bytes.length, count));
    const memoryBytes = room.buffer.byteLength;
    if (memoryBytes > this.boundBytes) {
      throw new Wrong(`the decoder has ${memoryBytes} bytes of memory, of ${this.boundBytes} for what it decoded`);
    }
    room.set(bytes);
    return room;
  }

  /** The header of a block that is whole, as the decoder reads it. */
  headerOf(/** @type {Block} */ { bytes, header }) {
    this.place(bytes, header.count);
    return this.decoder.header();
  }

  /** @throws Wrong where it is not a column of the field */
  column(/** @type {BlockHeader} */ header, /** @type {PlacedField} */ field) {
    const column = this.decoder.column(header, field);
    checkColumn(field, column, header.count);
    return column;
  }

  /** Of all columns of a block that is whole. */
  digestOf(/** @type {Block} */ block) {
    const header = this.headerOf(block);
    this.decoder.verify(header);
    let digest = 0n;
    for (const field of this.schema.table) digest = digestOfColumn(this.column(header, field), digest);
    return digest;
  }

  /**
   * Of these columns, whatever they hold, with other bytes in the decoder's memory behind the block.
   * @param {Uint8Array} bytes @param {number} count @param {BlockHeader | null} known @param {PlacedField[]} columns
   */
  digestAmid(/** @type {number} */ dirt, bytes, count, known, columns) {
    const room = this.place(bytes, count);
    const end = room.byteOffset + room.byteLength;
    new Uint8Array(room.buffer, end, Math.min(DIRT_BYTES, room.buffer.byteLength - end)).fill(dirt);
    let digest = 0n;
    try {
      const header = known ?? this.decoder.header();
      for (const field of columns) digest = digestOfColumn(this.decoder.column(header, field), digest);
    } catch (error) {
      if (!(error instanceof DamagedBlock)) throw error;
      digest++;
    }
    return digest;
  }
}

/** @param {DecodedColumn} column */
function digestOfColumn(column, /** @type {bigint} */ seed) {
  const parts = 'lengths' in column ? [column.lengths, column.bytes] : [column.values];
  if (column.present !== null) parts.push(column.present);
  return parts.reduce(
    (digest, { buffer, byteOffset, byteLength }) => hash64(new Uint8Array(buffer, byteOffset, byteLength), digest),
    seed,
  );
}

/** @param {PlacedField} field @param {DecodedColumn} column */
function checkColumn(field, column, /** @type {number} */ count) {
  const { name, kind, optional } = field;
  if (optional !== (column.present !== null) || (optional && column.present?.length !== count)) {
    throw new Wrong(`${name} (${kind}) doesn't say which of its ${count} values are present`);
  }
  if (isVarying(field)) {
    const { lengths, bytes } = /** @type {{ lengths: Uint32Array, bytes: Uint8Array }} */ (column);
    if (!(lengths instanceof Uint32Array) || !(bytes instanceof Uint8Array)) {
      throw new Wrong(`${name} (${kind}) is no column of texts`);
    }
    if (lengths.length !== count) throw new Wrong(`${name} (${kind}) has ${lengths.length} lengths, not ${count}`);
    let sum = 0;
    for (let i = 0; i < lengths.length; i++) sum += lengths[i];
    if (sum !== bytes.length) throw new Wrong(`${name} (${kind}) has ${bytes.length} bytes, and lengths of ${sum}`);
    return;
  }
  const { values } = /** @type {{ values: import('../../dist/src/block/decoder.js').Values }} */ (column);
  const expected = ARRAYS[kind];
  if (!(values instanceof expected)) throw new Wrong(`${name} (${kind}) is no ${expected.name}`);
  if (values.length !== count) throw new Wrong(`${name} (${kind}) has ${values.length} values, not ${count}`);
}

/** A block, and what the cases need to know of it. */
function open(/** @type {Subject} */ subject, /** @type {Block} */ block) {
  const header = subject.headerOf(block);
  const view = new DataView(block.bytes.buffer, block.bytes.byteOffset, block.bytes.byteLength);
  const entries = BLOCK_HEADER_BYTES + header.laneRanges.length * LANE_RANGE_BYTES;
  /** Where each entry has its checksum: found by looking for it, as what else is in an entry is not for this to know. */
  const checksumAt = header.chunks.map(({ checksum }, i) => {
    const from = entries + i * CHUNK_ENTRY_BYTES;
    for (let at = from; at <= from + CHUNK_ENTRY_BYTES - 8; at++) {
      if (view.getBigUint64(at, true) === checksum) return at;
    }
    throw new Error(`chunk entry ${i} has no checksum`);
  });
  return {
    block: { header, bytes: block.bytes },
    digest: subject.digestOf(block),
    headerBytes: peekHeaderBytes(block.bytes),
    checksumAt,
    /** Chunks that have bytes. */
    filled: header.chunks.flatMap(({ storedBytes }, i) => (storedBytes > 0 ? [i] : [])),
  };
}

/** @typedef {ReturnType<typeof open>} Opened */

/** How often each is done. @type {readonly [string, number][]} */
const SORTS = [
  ['chunk', 0.64],
  ['tornChunk', 0.08],
  ['tornHeader', 0.03],
  ['header', 0.08],
  ['redraft', 0.17],
];

export class Fuzzer {
  /** By sort of case. */
  tally = Object.fromEntries(SORTS.map(([sort]) => [sort, { decoded: 0, refused: 0 }]));
  #seed;
  #make;
  /** @type {(failure: Failure) => void} */
  #onFailure;
  /** @type {Map<number, Subject>} */
  #subjects = new Map();
  /** @type {{ number: number, subject: Subject, blocks: Block[], donors: Block[] } | undefined} */
  #group;
  /** @type {{ number: number, opened: Opened } | undefined} */
  #open;
  /** The last block that the decoder did not take as it is. */
  #unready = -1;
  /** Whether the case is decoded twice. */
  #twice = false;
  /** The case's block, in a buffer of its own. */
  #work = new Uint8Array(2 ** 20);
  #view = new DataView(this.#work.buffer);
  /** Of the case: what was done, and the bytes and the count that the decoder was given. @type {string[]} */
  #how = [];
  #given = { bytes: this.#work, count: 0 };

  /**
   * @param {object} options
   * @param {number} options.seed
   * @param {(failure: Failure) => void} options.onFailure
   * @param {(schema: Schema) => Decoder} [options.makeDecoder]
   */
  constructor({ seed, onFailure, makeDecoder = (schema) => new BlockDecoder(schema, zstd) }) {
    this.#seed = seed;
    this.#make = makeDecoder;
    this.#onFailure = onFailure;
  }

  get decoded() {
    return Object.values(this.tally).reduce((sum, { decoded }) => sum + decoded, 0);
  }

  get refused() {
    return Object.values(this.tally).reduce((sum, { refused }) => sum + refused, 0);
  }

  /** What the memories of all decoders may have. */
  get memoryBoundBytes() {
    let sum = 0;
    for (const { boundBytes } of this.#subjects.values()) sum += boundBytes;
    return sum;
  }

  /** Runs cases `from` to `to` - 1, which are of one group. */
  run(/** @type {number} */ from, /** @type {number} */ to, /** @type {(number: number) => void} */ onCase = () => {}) {
    const { stackTraceLimit } = Error;
    // Most cases throw, and what costs most of that is the stack.
    Error.stackTraceLimit = 0;
    try {
      let checked = from;
      for (let number = from; number < to; number++) {
        onCase(number);
        if (!this.#isReady(number)) continue;
        this.#try(number, checked);
        if ((number + 1) % CHECK_EVERY === 0 || number + 1 === to) {
          this.#check(number, checked);
          checked = number + 1;
        }
      }
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  /** Whether there is a block to damage: the decoder has to take it as it is. Says so once where it doesn't. */
  #isReady(/** @type {number} */ number) {
    const block = Math.floor(number / CASES_PER_BLOCK);
    if (block === this.#unready) return false;
    try {
      this.#openBlock(number);
      return true;
    } catch (error) {
      this.#unready = block;
      this.#fail(number, number, error, { how: ['nothing'], bytes: new Uint8Array(), count: 0 });
      return false;
    }
  }

  #try(/** @type {number} */ number, /** @type {number} */ checked) {
    try {
      this.#case(number);
    } catch (error) {
      // Again, by itself, and with a stack.
      const { bytes, count } = this.#given;
      const failure = { how: [...this.#how], bytes: bytes.slice(), count };
      this.#group?.subject.renew();
      let again;
      Error.stackTraceLimit = 30;
      try {
        this.#case(number);
      } catch (second) {
        again = second;
      }
      Error.stackTraceLimit = 0;
      this.#group?.subject.renew();
      this.#fail(number, again === undefined ? checked : number, again ?? error, failure);
    }
  }

  /** Whether blocks that are whole are still what they were. */
  #check(/** @type {number} */ number, /** @type {number} */ checked) {
    if (!this.#isReady(number)) return;
    const { subject } = this.#loadGroup(number);
    const { block, digest } = this.#openBlock(number);
    try {
      if (subject.digestOf(block) !== digest) throw new Wrong('a block that is whole is decoded otherwise than before');
      if (subject.digestOf(subject.reference) !== subject.digest) {
        throw new Wrong('the block of reference is decoded otherwise than before');
      }
    } catch (error) {
      subject.renew();
      const { bytes, header } = block;
      this.#fail(number, checked, error, { how: ['nothing'], bytes, count: header.count });
    }
  }

  /** @param {Pick<Failure, 'how' | 'bytes' | 'count'>} failure */
  #fail(/** @type {number} */ number, /** @type {number} */ from, /** @type {any} */ error, failure) {
    const what = error instanceof Wrong ? error.message : String(error?.stack || error);
    const schema = this.#group?.subject.schema.json ?? '';
    this.#onFailure({ case: number, what, from, schema, ...failure });
  }

  #subject(/** @type {number} */ number) {
    let subject = this.#subjects.get(number);
    if (subject === undefined) {
      subject = new Subject(this.#seed, number, this.#make);
      this.#subjects.set(number, subject);
    }
    return subject;
  }

  #loadGroup(/** @type {number} */ number) {
    const group = Math.floor(number / CASES_PER_GROUP);
    if (this.#group?.number === group) return this.#group;
    const dice = new Dice(this.#seed, 3, group);
    const subject = this.#subject(dice.below(SCHEMAS));
    const other = this.#subject(dice.below(SCHEMAS));
    const blocks = makeBlocks(subject.schema, dice, BLOCKS_PER_GROUP);
    this.#open = undefined;
    this.#group = { number: group, subject, blocks, donors: [...blocks, subject.reference, other.reference] };
    return this.#group;
  }

  #openBlock(/** @type {number} */ number) {
    const { subject, blocks } = this.#loadGroup(number);
    const block = Math.floor(number / CASES_PER_BLOCK);
    if (this.#open?.number !== block) {
      this.#open = { number: block, opened: open(subject, blocks[block % BLOCKS_PER_GROUP]) };
      const { bytes } = this.#open.opened.block;
      if (bytes.length > this.#work.length) {
        this.#work = new Uint8Array(2 * bytes.length);
        this.#view = new DataView(this.#work.buffer);
      }
    }
    return this.#open.opened;
  }

  #case(/** @type {number} */ number) {
    const { subject, donors } = this.#loadGroup(number);
    const opened = this.#openBlock(number);
    const { block } = opened;
    this.#work.set(block.bytes);
    this.#how.length = 0;
    this.#give(block.bytes.length, block.header.count);
    this.#twice = number % TWICE_EVERY === 0;
    const dice = new Dice(this.#seed, 4, number);
    const context = { dice, block, donors, bytes: this.#work, how: this.#how };
    let left = dice.unit();
    const [sort] = SORTS.find(([, share]) => {
      left -= share;
      return left < 0;
    }) ?? ['chunk'];
    const whole = this.#run(sort, subject, opened, context);
    this.tally[sort][whole ? 'decoded' : 'refused']++;
  }

  /** Whether the decoder took it for whole. @param {Subject} subject @param {Opened} opened @param {Case} context */
  #run(/** @type {string} */ sort, subject, opened, context) {
    switch (sort) {
      case 'tornChunk':
        return this.#tornChunk(subject, opened, context);
      case 'tornHeader':
        return this.#tornHeader(subject, opened, context);
      case 'header':
        return this.#header(subject, opened, context);
      case 'redraft':
        return this.#redraft(subject, opened, context);
      default:
        return this.#chunk(subject, opened, context);
    }
  }

  /** Says that the decoder is given so many bytes of the buffer. */
  #give(/** @type {number} */ blockBytes, /** @type {number} */ count) {
    this.#given.bytes = this.#work.subarray(0, blockBytes);
    this.#given.count = count;
    return this.#given;
  }

  #sealChunk(/** @type {Opened} */ { block, checksumAt }, /** @type {number} */ chunk) {
    const { offset, storedBytes } = block.header.chunks[chunk];
    const checksum = hash64(this.#work.subarray(offset, offset + storedBytes));
    this.#view.setBigUint64(checksumAt[chunk], checksum, true);
    return checksum;
  }

  #sealHeader(/** @type {number} */ headerBytes) {
    this.#view.setBigUint64(headerBytes - 8, hash64(this.#work.subarray(0, headerBytes - 8)), true);
  }

  /** Rubbish in one chunk or two, under right checksums. @param {Subject} subject @param {Opened} opened @param {Case} context */
  #chunk(subject, opened, context) {
    const { block, filled, headerBytes } = opened;
    const { dice } = context;
    if (filled.length === 0) return this.#decode(subject, opened.block.header, []);
    const chunks = [...block.header.chunks];
    const fields = [];
    for (let left = dice.chance(0.1) ? 2 : 1; left > 0; left--) {
      const chunk = dice.pick(filled);
      const { offset, storedBytes, field } = chunks[chunk];
      damageRange(context, offset, offset + storedBytes);
      chunks[chunk] = { ...chunks[chunk], checksum: this.#sealChunk(opened, chunk) };
      fields.push(field);
    }
    // What the decoder would read of the header is known: most of the time of a case would go there.
    const header = dice.chance(0.9) ? { ...block.header, chunks } : null;
    if (header === null) this.#sealHeader(headerBytes);
    return this.#decode(subject, header, this.#columns(subject, dice, fields));
  }

  /** Rubbish in a chunk, and its checksum tells. @param {Subject} subject @param {Opened} opened @param {Case} context */
  #tornChunk(subject, opened, context) {
    const { block, filled } = opened;
    const { dice } = context;
    if (filled.length === 0) return this.#decode(subject, opened.block.header, []);
    const { offset, storedBytes, field } = block.header.chunks[dice.pick(filled)];
    damageRange(context, offset, offset + storedBytes);
    const changed = !this.#same(block.bytes);
    const whole = this.#decode(
      subject,
      null,
      subject.schema.table.filter(({ index }) => index === field),
      dice.chance(0.5),
    );
    if (whole === changed) throw new Wrong(changed ? 'a changed chunk is decoded' : 'a whole chunk is refused');
    return whole;
  }

  /** Rubbish in the header, and its checksum tells. @param {Subject} subject @param {Opened} opened @param {Case} context */
  #tornHeader(subject, { block, headerBytes }, context) {
    damageRange(context, 0, headerBytes);
    const changed = !this.#same(block.bytes);
    const whole = this.#decode(subject, null, []);
    if (whole === changed) throw new Wrong(changed ? 'a changed header is read' : 'a whole header is refused');
    return whole;
  }

  /** Rubbish in the header, under a right checksum. @param {Subject} subject @param {Opened} opened @param {Case} context */
  #header(subject, { block, headerBytes }, context) {
    const { dice } = context;
    damageRange(context, 0, headerBytes - 8);
    const bytes = this.#work.subarray(0, block.bytes.length);
    const said = peekHeaderBytes(bytes);
    this.#sealHeader(said > 0 && said <= bytes.length ? said : headerBytes);
    const header = decodeBlockHeader(bytes);
    const count = typeof header === 'string' ? block.header.count : header.count;
    this.#give(bytes.length, this.#affordable(subject, dice, count, block.header.count));
    return this.#decode(subject, null, this.#columns(subject, dice, [dice.pick(subject.schema.table).index]));
  }

  /** Another header and other chunks, under right checksums. @param {Subject} subject @param {Opened} opened @param {Case} context */
  #redraft(subject, { block }, context) {
    const { dice } = context;
    const { bytes, count, fields } = redraft(context, hash64);
    this.#given.bytes = bytes;
    this.#given.count = this.#affordable(subject, dice, count, block.header.count);
    const columns = this.#given.count > MODEST_COUNT ? [...fields].slice(0, 1) : [...fields];
    return this.#decode(subject, null, this.#columns(subject, dice, columns), dice.chance(0.1));
  }

  /** The count that a reader asks for: what the header says, unless that costs too much here, or no reader would. */
  #affordable(
    /** @type {Subject} */ { number },
    /** @type {Dice} */ dice,
    /** @type {number} */ said,
    /** @type {number} */ otherwise,
  ) {
    if (said < 1 || said > MAX_BLOCK_RECORDS) return otherwise;
    if (said <= MODEST_COUNT) return said;
    return number < DECODERS_FOR_HUGE_COUNTS && dice.chance(HUGE_SHARE) ? said : otherwise;
  }

  /** These columns, and now and then another, which may refer to one of them, or all. @returns {PlacedField[]} */
  #columns(/** @type {Subject} */ { schema }, /** @type {Dice} */ dice, /** @type {number[]} */ fields) {
    const { table } = schema;
    const more = this.#given.count > MODEST_COUNT ? 1 : dice.unit();
    if (more < 1 / 16) return [...table];
    const columns = table.filter(({ index }) => fields.includes(index));
    if (more < 1 / 4) columns.push(dice.pick(table));
    return columns;
  }

  #same(/** @type {Uint8Array} */ bytes) {
    return Buffer.compare(this.#work.subarray(0, bytes.length), bytes) === 0;
  }

  /**
   * Whether the decoder takes what it was given for whole.
   * @param {Subject} subject
   * @param {BlockHeader | null} known the header, where it isn't to be read
   * @param {PlacedField[]} columns
   * @param {boolean} [verify] whether all checksums are checked before
   */
  #decode(subject, known, columns, verify = false) {
    const { bytes, count } = this.#given;
    const room = subject.place(bytes, count);
    let whole = true;
    try {
      const header = known ?? subject.decoder.header();
      if (header.count !== count) throw new Wrong(`a header of ${header.count} records for ${count}`);
      if (verify) subject.decoder.verify(header);
      for (const field of columns) {
        try {
          subject.column(header, field);
        } catch (error) {
          if (!(error instanceof DamagedBlock)) throw error;
          whole = false;
        }
      }
    } catch (error) {
      if (!(error instanceof DamagedBlock)) throw error;
      whole = false;
    }
    if (Buffer.compare(room, bytes) !== 0) throw new Wrong('the decoder wrote into the block');
    if (this.#twice && count <= MODEST_COUNT) {
      const digest = subject.digestAmid(0, bytes, count, known, columns);
      // Leaves another block's columns in the decoder's memory.
      subject.digestOf(subject.reference);
      const again = subject.digestAmid(0xff, bytes, count, known, columns);
      if (digest !== again) throw new Wrong('the same block is decoded otherwise when it is decoded again');
    }
    return whole;
  }
}
