// What a tape was not told, in a file `gaps.ttgap` in every storage directory, each with all of it: a header of GAPS_HEADER_BYTES, then
// entries of GAP_ENTRY_BYTES each, at multiples of that behind it. So nothing in it is a length to be believed, and an entry that is torn or
// damaged is stepped over. Its checksum is seeded with the tape's id: an entry is the tape's, whatever the header says.
//
// An entry is all of a gap, with its end or without. One with its end comes behind the one without and holds for both.
import { Buffer } from 'node:buffer';
import path from 'node:path';
import { show, TapeError } from './errors.js';
import type { Files } from './files.js';
import { hash64 } from './hash.js';
import { ioError } from './io.js';

/** A time in which the tape was not told all that happened: a reader knows from it what was not seen. */
export class Gap {
  /** Which collector missed something; null for all of them. */
  readonly collector: number | null;
  /** Of the collector. */
  readonly name: string;
  /** Wall clock in ns. */
  readonly fromNs: bigint;
  /** Null while it lasts, or where nobody saw its end. */
  readonly toNs: bigint | null;
  readonly reason: string;

  constructor(gap: Pick<Gap, 'collector' | 'name' | 'fromNs' | 'toNs' | 'reason'>) {
    this.collector = gap.collector;
    this.name = gap.name;
    this.fromNs = gap.fromNs;
    this.toNs = gap.toNs;
    this.reason = gap.reason;
  }
}

/** @throws TapeError `BAD_OPTION` where it is not what it should be, whatever its types say */
export function checkGap({ collector, name, fromNs, toNs, reason }: Gap): void {
  const refuse = (option: string, value: unknown, expected: string) => {
    throw new TapeError('BAD_OPTION', `${option} of the gap is ${show(value)}: it must be ${expected}`);
  };
  const isTime = (value: unknown) => typeof value === 'bigint' && value === BigInt.asIntN(64, value);
  if (collector !== null && !(Number.isInteger(collector) && collector >= 0 && collector < 2 ** 31)) {
    refuse('collector', collector, 'its number, or null for all');
  }
  if (typeof name !== 'string') refuse('name', name, 'a string');
  if (typeof reason !== 'string') refuse('reason', reason, 'a string');
  if (!isTime(fromNs)) refuse('fromNs', fromNs, 'a bigint of ns');
  if (toNs !== null && !(isTime(toNs) && toNs >= fromNs)) refuse('toNs', toNs, 'a bigint of ns, fromNs or later');
}

export const GAPS_FILE = 'gaps.ttgap';
const MAGIC_TEXT = 'TTGAPS01';
const FORMAT = 1;
export const GAPS_HEADER_BYTES = 64;
const HEADER_CHECKSUM = 56;
export const GAP_ENTRY_BYTES = 256;
const ENTRY_NAME = 40;
const ENTRY_NAME_BYTES = 48;
const ENTRY_REASON = ENTRY_NAME + ENTRY_NAME_BYTES;
const ENTRY_REASON_BYTES = GAP_ENTRY_BYTES - ENTRY_REASON;
/** Entries that are read at once. */
const PIECE = 1024;

/** What tells a gap from all others of the tape: an epoch never comes back. */
export interface GapId {
  /** Of the session that saw it begin. */
  epoch: number;
  /** Among those of the session. */
  number: number;
}

/** Gaps by their ids. */
export class GapSet {
  readonly #gaps = new Map<string, { id: GapId; gap: Gap }>();

  get size(): number {
    return this.#gaps.size;
  }

  /** Takes in what an entry says. One with an end holds; of several the latest. */
  add(id: GapId, gap: Gap): void {
    const key = `${id.epoch} ${id.number}`;
    const known = this.#gaps.get(key)?.gap;
    if (known !== undefined && (gap.toNs === null || (known.toNs !== null && known.toNs >= gap.toNs))) return;
    this.#gaps.set(key, { id, gap });
  }

  addAll(others: GapSet): void {
    for (const { id, gap } of others.entries()) this.add(id, gap);
  }

  entries(): Iterable<{ id: GapId; gap: Gap }> {
    return this.#gaps.values();
  }

  /** Whether it says all that `others` say. */
  covers(others: GapSet): boolean {
    for (const { id, gap } of others.entries()) {
      const known = this.#gaps.get(`${id.epoch} ${id.number}`);
      if (known === undefined || known.gap.toNs !== gap.toNs) return false;
    }
    return true;
  }

  /** By when they began. */
  sorted(): Gap[] {
    const byTime = (a: Gap, b: Gap) => (a.fromNs < b.fromNs ? -1 : Number(a.fromNs > b.fromNs));
    return [...this.#gaps.values()].map(({ gap }) => gap).sort(byTime);
  }
}

export function encodeGapsHeader(tapeId: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(GAPS_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC_TEXT));
  view.setUint32(8, FORMAT, true);
  view.setUint32(12, GAPS_HEADER_BYTES, true);
  bytes.set(tapeId, 16);
  view.setBigUint64(HEADER_CHECKSUM, hash64(bytes.subarray(0, HEADER_CHECKSUM)), true);
  return bytes;
}

/** An entry of the tape with this id. Name and reason are cut to the room that there is. */
export function encodeGap(tapeId: Uint8Array, { epoch, number }: GapId, gap: Gap): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(GAP_ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  const encoder = new TextEncoder();
  view.setUint32(8, epoch, true);
  view.setUint32(12, number, true);
  view.setInt32(16, gap.collector ?? -1, true);
  bytes[20] = gap.toNs === null ? 0 : 1;
  bytes[21] = encoder.encodeInto(gap.name, bytes.subarray(ENTRY_NAME, ENTRY_REASON)).written;
  bytes[22] = encoder.encodeInto(gap.reason, bytes.subarray(ENTRY_REASON)).written;
  view.setBigInt64(24, gap.fromNs, true);
  view.setBigInt64(32, gap.toNs ?? 0n, true);
  view.setBigUint64(0, hash64(bytes.subarray(8), hash64(tapeId)), true);
  return bytes;
}

/** Null for one that is damaged. */
function decodeGap(bytes: Uint8Array, seed: bigint): { id: GapId; gap: Gap } | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, GAP_ENTRY_BYTES);
  if (view.getBigUint64(0, true) !== hash64(bytes.subarray(8), seed)) return null;
  const collector = view.getInt32(16, true);
  const text = (at: number, length: number, most: number) =>
    new TextDecoder().decode(bytes.slice(at, at + Math.min(length, most)));
  const gap = new Gap({
    collector: collector < 0 ? null : collector,
    name: text(ENTRY_NAME, bytes[21], ENTRY_NAME_BYTES),
    reason: text(ENTRY_REASON, bytes[22], ENTRY_REASON_BYTES),
    fromNs: view.getBigInt64(24, true),
    toNs: bytes[20] === 0 ? null : view.getBigInt64(32, true),
  });
  return { id: { epoch: view.getUint32(8, true), number: view.getUint32(12, true) }, gap };
}

/** What one storage node's file says. */
export interface GapsCopy {
  gaps: GapSet;
  /** Bytes of the header and of whole entries. */
  bytes: number;
  /** Null where everything in it is as it was written. */
  damage: string | null;
}

/**
 * What the file at `file` says; null where there is none.
 * @throws TapeError `FOREIGN`, `BAD_VERSION`, and where it can't be read `IO`, `NOT_WRITABLE`
 */
export function readGapsCopy(files: Files, file: string, tapeId: Uint8Array): GapsCopy | null {
  if (!files.exists(file)) return null;
  try {
    const handle = files.open(file, 'read');
    try {
      const header = new Uint8Array(GAPS_HEADER_BYTES);
      handle.read(header, 0);
      let damage = checkHeader(header, tapeId, file);
      const seed = hash64(tapeId);
      const gaps = new GapSet();
      const piece = new Uint8Array(PIECE * GAP_ENTRY_BYTES);
      let bytes = GAPS_HEADER_BYTES;
      for (;;) {
        const got = handle.read(piece, bytes);
        const whole = got - (got % GAP_ENTRY_BYTES);
        for (let at = 0; at < whole; at += GAP_ENTRY_BYTES) {
          const found = decodeGap(piece.subarray(at, at + GAP_ENTRY_BYTES), seed);
          if (found === null) damage ??= `entry at ${bytes + at}`;
          else gaps.add(found.id, found.gap);
        }
        bytes += whole;
        if (got !== whole) damage ??= 'cut short';
        if (got < piece.length) return { gaps, bytes, damage };
      }
    } finally {
      handle.close();
    }
  } catch (cause) {
    throw ioError(cause, file, 'read it');
  }
}

/** What is the matter with the header; null if nothing. @throws TapeError `FOREIGN`, `BAD_VERSION` */
function checkHeader(header: Uint8Array, tapeId: Uint8Array, file: string): string | null {
  const view = new DataView(header.buffer);
  const isMagic = new TextDecoder().decode(header.subarray(0, 8)) === MAGIC_TEXT;
  const checksum = hash64(header.subarray(0, HEADER_CHECKSUM));
  if (!isMagic || view.getBigUint64(HEADER_CHECKSUM, true) !== checksum) return 'header';
  const version = view.getUint32(8, true);
  if (version !== FORMAT) throw new TapeError('BAD_VERSION', `${file}: format ${version} is unknown`, { path: file });
  if (Buffer.compare(header.subarray(16, 32), tapeId) !== 0) {
    throw new TapeError('FOREIGN', `${file}: gaps of another tape: remove it`, { path: file });
  }
  return null;
}

/**
 * The gaps of a tape, by when they began, from what each of its storage nodes knows of them.
 * @throws TapeError `FOREIGN`, `BAD_VERSION`; `IO`, `NOT_WRITABLE` where no copy can be read
 */
export function readGaps(files: Files, directories: readonly string[], tapeId: Uint8Array | null): Gap[] {
  if (tapeId === null) return [];
  const gaps = new GapSet();
  let unread: TapeError | null = null;
  let copies = 0;
  for (const directory of directories) {
    try {
      const copy = readGapsCopy(files, path.join(directory, GAPS_FILE), tapeId);
      if (copy === null) continue;
      copies++;
      gaps.addAll(copy.gaps);
    } catch (error) {
      if (!(error instanceof TapeError) || error.code === 'FOREIGN' || error.code === 'BAD_VERSION') throw error;
      unread ??= error;
    }
  }
  if (unread !== null && copies === 0) throw unread;
  return gaps.sorted();
}
