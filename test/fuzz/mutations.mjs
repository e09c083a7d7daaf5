// What is done to a block: to bytes of it in place, or to its header as an object that is then written again. Nothing here knows an
// encoding, nor the fields of a chunk entry by name where it can help it, so that new ones are reached too.
import { blockHeaderBytes, encodeBlockHeader } from '../../dist/src/block/header.js';

/**
 * @typedef {import('./dice.mjs').Dice} Dice
 * @typedef {import('./corpus.mjs').Block} Block
 *
 * @typedef {object} Case what a case has at hand
 * @property {Dice} dice
 * @property {Block} block the block as it was
 * @property {readonly Block[]} donors others, of its schema and not
 * @property {Uint8Array} bytes what becomes of it: a copy of the block at first, with room behind it
 * @property {string[]} how the names of what was done
 */

// ---- bytes in place ------------------------------------------------------------------------------------------------------

const BYTES = [0, 1, 2, 7, 8, 15, 31, 32, 63, 64, 65, 0x7f, 0x80, 0xfe, 0xff];
const LENGTHS = [
  0,
  1,
  2,
  7,
  8,
  63,
  64,
  65,
  127,
  128,
  129,
  255,
  256,
  2 ** 15,
  2 ** 16 - 1,
  2 ** 16,
  2 ** 20,
  2 ** 24,
  2 ** 30,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 8,
  2 ** 32 - 1,
];

/** A number that a length, a count or an index may be mistaken about. */
function hostileLength(/** @type {Case} */ { dice, block }, /** @type {number} */ near) {
  const { count, chunks, blockBytes } = block.header;
  switch (dice.below(8)) {
    case 0:
      return count + dice.between(-1, 1);
    case 1:
      return count * dice.pick([2, 4, 8]) + dice.between(-1, 1);
    case 2:
      return near + dice.pick([-8, -2, -1, 1, 2, 8]);
    case 3:
      return dice.pick(chunks).storedBytes + dice.between(-1, 1);
    case 4:
      return dice.pick(chunks).encodedBytes + dice.between(-1, 1);
    case 5:
      return dice.chance(0.5) ? blockBytes : dice.below(32);
    default:
      return dice.pick(LENGTHS);
  }
}

/** Where in a range: at its start and its end more often, where what leads a decoder stands. @param {Dice} dice */
function place(dice, /** @type {number} */ from, /** @type {number} */ to) {
  const bytes = to - from;
  const which = dice.unit();
  if (which < 0.35) return from + dice.below(Math.min(24, bytes));
  if (which < 0.5) return to - 1 - dice.below(Math.min(24, bytes));
  return from + dice.below(bytes);
}

function putWord(/** @type {Case} */ context, /** @type {number} */ from, /** @type {number} */ to) {
  const { dice, bytes } = context;
  const width = dice.pick([2, 4, 4, 8]);
  let at = place(dice, from, to);
  if (dice.chance(0.5)) at = Math.max(from, at & ~(width - 1));
  const near = at + 4 <= to ? bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24) : 0;
  const low = hostileLength(context, near >>> 0) >>> 0;
  // The upper half of a long one: none, all ones, or the sign alone.
  const high = dice.chance(0.5) ? 0 : dice.pick([0xffffffff, 0x7fffffff, 0x80000000, 1, 0x00200000]);
  for (let i = 0; i < width && at + i < to; i++) bytes[at + i] = (i < 4 ? low : high) >>> (8 * (i & 3));
}

/** Bytes of a donor's chunk, or of another one of this block, over these. */
function splice({ dice, block, donors, bytes }, /** @type {number} */ from, /** @type {number} */ to) {
  const donor = dice.chance(0.4) ? block : dice.pick(donors);
  const { offset, storedBytes } = dice.pick(donor.header.chunks);
  if (storedBytes === 0) return;
  // From start to start as often as from anywhere to anywhere.
  const aligned = dice.chance(0.5);
  const source = offset + (aligned ? 0 : dice.below(storedBytes));
  const at = aligned ? from : from + dice.below(to - from);
  const most = Math.min(to - at, offset + storedBytes - source);
  const length = dice.chance(0.5) ? most : 1 + dice.below(most);
  bytes.set(donor.bytes.subarray(source, source + length), at);
}

function fillRange({ dice, bytes }, /** @type {number} */ from, /** @type {number} */ to, /** @type {number} */ byte) {
  const at = place(dice, from, to);
  bytes.fill(byte, at, Math.min(to, at + 1 + dice.below(dice.pick([4, 16, 64, to - from]))));
}

/** @type {Record<string, (context: Case, from: number, to: number) => void>} */
export const IN_PLACE = {
  flipBits({ dice, bytes }, from, to) {
    for (let left = dice.pick([1, 1, 1, 2, 3, 8]); left > 0; left--) bytes[place(dice, from, to)] ^= 1 << dice.below(8);
  },
  setBytes({ dice, bytes }, from, to) {
    for (let left = dice.pick([1, 1, 2, 4]); left > 0; left--) bytes[place(dice, from, to)] = dice.pick(BYTES);
  },
  nudgeByte({ dice, bytes }, from, to) {
    bytes[place(dice, from, to)] += dice.between(-3, 3);
  },
  putWord,
  splice,
  zeroRange: (context, from, to) => fillRange(context, from, to, 0),
  onesRange: (context, from, to) => fillRange(context, from, to, 0xff),
  randomRange({ dice, bytes }, from, to) {
    const whole = dice.chance(0.3);
    const at = whole ? from : place(dice, from, to);
    const end = whole ? to : Math.min(to, at + dice.between(1, 64));
    for (let i = at; i < end; i++) bytes[i] = dice.bits();
  },
  shift({ dice, bytes }, from, to) {
    const by = dice.pick([1, 1, 2, 4, 8, 16]);
    const at = place(dice, from, to);
    if (dice.chance(0.5)) bytes.copyWithin(at, Math.min(to, at + by), to);
    else if (at + by < to) bytes.copyWithin(at + by, at, to - by);
  },
};
const IN_PLACE_NAMES = Object.keys(IN_PLACE);

/** One or more of these on the bytes of a range that is not empty. */
export function damageRange(/** @type {Case} */ context, /** @type {number} */ from, /** @type {number} */ to) {
  const { dice, how } = context;
  for (let left = dice.pick([1, 1, 1, 2, 3]); left > 0; left--) {
    const name = dice.pick(IN_PLACE_NAMES);
    IN_PLACE[name](context, from, to);
    how.push(name);
  }
}

// ---- a header written anew ---------------------------------------------------------------------------------------------------

/**
 * A block in parts. What is in `entry` may be any nonsense that a header can hold.
 * @typedef {object} Draft
 * @property {any} header
 * @property {{ entry: any, content: Uint8Array }[]} chunks
 * @property {Set<number>} fields those that were touched, as the schema or the draft numbers them
 */

/** @returns {Draft} */
const draftOf = (/** @type {Block} */ { header, bytes }) => ({
  header: { ...header, laneRanges: header.laneRanges.map((range) => ({ ...range })), symbols: [...header.symbols] },
  chunks: header.chunks.map((entry) => ({
    entry: { ...entry },
    content: bytes.subarray(entry.offset, entry.offset + entry.storedBytes),
  })),
  fields: new Set(),
});

const LONGS = [0n, 1n, -1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n];

/** Another value in the place of this one, of its type. @returns {any} */
function other(/** @type {Case} */ context, /** @type {unknown} */ value) {
  const { dice } = context;
  if (typeof value === 'bigint') return dice.chance(0.4) ? value + BigInt(dice.between(-2, 2)) : dice.pick(LONGS);
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'number') return dice.chance(0.5) ? dice.below(20) : hostileLength(context, value);
  if (value === null) return { least: dice.pick(LONGS), greatest: dice.pick(LONGS) };
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return value;
  if (typeof value !== 'object' || dice.chance(0.3)) return null;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, other(context, part)]));
}

/** Lengths of a chunk, in an entry: those that say as many bytes as it has. */
function resize(
  /** @type {{ entry: any, content: Uint8Array }} */ chunk,
  /** @type {Uint8Array} */ content,
  /** @type {boolean} */ consistent,
) {
  const { entry } = chunk;
  if (consistent) {
    for (const key of Object.keys(entry)) {
      if (key !== 'offset' && entry[key] === chunk.content.length) entry[key] = content.length;
    }
  }
  entry.storedBytes = content.length;
  chunk.content = content;
}

/** A chunk is extended to no more than this, or a case would cost too much. */
const MOST_CHUNK_BYTES = 8192;

/** @type {Record<string, (context: Case, draft: Draft) => void>} */
export const REDRAFT = {
  entryValue(context, { chunks, fields }) {
    const { dice } = context;
    const { entry } = dice.pick(chunks);
    fields.add(entry.field);
    const key = dice.pick(Object.keys(entry));
    entry[key] = other(context, entry[key]);
    fields.add(entry.field);
  },
  swapValue({ dice }, { chunks, fields }) {
    const a = dice.pick(chunks).entry;
    const b = dice.pick(chunks).entry;
    fields.add(a.field).add(b.field);
    const key = dice.pick(Object.keys(a));
    [a[key], b[key]] = [b[key], a[key]];
  },
  swapContents({ dice }, { chunks, fields }) {
    const a = dice.pick(chunks);
    const b = dice.pick(chunks);
    fields.add(a.entry.field).add(b.entry.field);
    const consistent = dice.chance(0.7);
    const content = a.content;
    resize(a, b.content, consistent);
    resize(b, content, consistent);
  },
  /** A chunk as another one of its field says it is, or with the field's own numbers left as they are. */
  foreignChunk({ dice, donors }, { chunks, fields }) {
    const chunk = dice.pick(chunks);
    const donor = dice.pick(donors);
    const given = dice.pick(donor.header.chunks);
    const { field, part, kind } = chunk.entry;
    fields.add(field);
    chunk.content = donor.bytes.subarray(given.offset, given.offset + given.storedBytes);
    const entry = { ...given, field, part, kind };
    chunk.entry = dice.chance(0.7) ? entry : { ...chunk.entry, storedBytes: chunk.content.length };
  },
  truncate({ dice }, { chunks, fields }) {
    const chunk = dice.pick(chunks);
    const { length } = chunk.content;
    fields.add(chunk.entry.field);
    const left = dice.chance(0.5) ? Math.max(0, length - dice.pick([1, 1, 2, 4, 8, 16])) : dice.below(length + 1);
    const from = dice.chance(0.15) ? length - left : 0;
    resize(chunk, chunk.content.subarray(from, from + left), dice.chance(0.7));
  },
  extend(context, { chunks, fields }) {
    const { dice } = context;
    const chunk = dice.pick(chunks);
    fields.add(chunk.entry.field);
    const { content } = chunk;
    const more = dice.chance(0.7) ? dice.pick([1, 1, 2, 4, 8, 64]) : Math.abs(hostileLength(context, content.length));
    const longer = new Uint8Array(Math.max(content.length, Math.min(MOST_CHUNK_BYTES, content.length + more)));
    longer.set(content.subarray(0, longer.length));
    const filler = dice.pick([0, 0xff, -1]);
    for (let i = content.length; i < longer.length; i++) longer[i] = filler < 0 ? dice.bits() : filler;
    resize(chunk, longer, dice.chance(0.7));
  },
  randomChunk(context, { chunks, fields }) {
    const { dice } = context;
    const chunk = dice.pick(chunks);
    fields.add(chunk.entry.field);
    const length = dice.chance(0.5) ? chunk.content.length : dice.below(600);
    const content = new Uint8Array(length);
    const narrow = dice.chance(0.5) ? 0xff : 0x0f;
    for (let i = 0; i < content.length; i++) content[i] = dice.bits() & narrow;
    resize(chunk, content, dice.chance(0.8));
    if (dice.chance(0.5)) for (const key of ['encoding', 'compression']) chunk.entry[key] = dice.below(12);
  },
  damagedContent(context, { chunks, fields }) {
    const chunk = context.dice.pick(chunks);
    fields.add(chunk.entry.field);
    if (chunk.content.length === 0) return;
    chunk.content = chunk.content.slice();
    damageRange({ ...context, bytes: chunk.content }, 0, chunk.content.length);
  },
  headerValue(context, { header }) {
    const { dice } = context;
    const key = dice.pick(Object.keys(header));
    header[key] = other(context, header[key]);
  },
  count(context, { header, fields, chunks }) {
    const { dice } = context;
    header.count = Math.max(0, hostileLength(context, header.count));
    fields.add(dice.pick(chunks).entry.field);
  },
  orderOfChunks({ dice }, { chunks, fields }) {
    const at = dice.below(chunks.length);
    const chunk = chunks[at];
    fields.add(chunk.entry.field);
    const which = dice.below(3);
    if (which !== 2) chunks.splice(at, 1);
    if (which !== 1) chunks.splice(dice.below(chunks.length + 1), 0, { ...chunk, entry: { ...chunk.entry } });
  },
  listOfHeader(context, { header }) {
    const { dice } = context;
    const list = dice.chance(0.5) ? header.symbols : header.laneRanges;
    if (list.length === 0) return;
    const at = dice.below(list.length);
    const which = dice.below(3);
    if (which === 0) list.splice(at, 1);
    else if (which === 1) list.push(dice.pick(list));
    else {
      const [key, value] = dice.pick(Object.entries(list[at]));
      list[at] = { ...list[at], [key]: typeof value === 'string' ? value : other(context, value) };
    }
  },
};
const REDRAFT_NAMES = Object.keys(REDRAFT);

const align8 = (/** @type {number} */ bytes) => Math.ceil(bytes / 8) * 8;

/**
 * Changes header and chunks and writes the block again, with right checksums. Mostly its lengths and offsets fit each other too: what
 * doesn't is refused with the header.
 * @param {Case} context
 * @param {(content: Uint8Array) => bigint} checksumOf
 * @returns {{ bytes: Uint8Array, count: number, fields: Set<number> }} the bytes: a view of `context.bytes` where it has room for them
 */
export function redraft(context, checksumOf) {
  const { dice, how, block } = context;
  const draft = draftOf(block);
  const { header, chunks, fields } = draft;
  for (let left = dice.pick([1, 1, 1, 2, 4]); left > 0 && chunks.length > 0; left--) {
    const name = dice.pick(REDRAFT_NAMES);
    REDRAFT[name](context, draft);
    how.push(name);
  }
  const heal = dice.chance(0.85);
  header.chunks = chunks.map(({ entry }) => entry);
  let end = blockHeaderBytes(header.laneRanges.length, chunks.length, header.symbols);
  const headerBytes = end;
  for (const { entry, content } of chunks) {
    entry.checksum = checksumOf(content);
    if (heal) {
      entry.offset = end;
      entry.storedBytes = content.length;
    }
    end = align8(end + content.length);
  }
  if (heal) header.blockBytes = end;
  const bytes = end <= context.bytes.length ? context.bytes.subarray(0, end) : new Uint8Array(end);
  bytes.fill(0);
  bytes.set(encodeBlockHeader(header));
  let at = headerBytes;
  for (const { content } of chunks) {
    bytes.set(content, at);
    at = align8(at + content.length);
  }
  return { bytes, count: header.count, fields };
}
