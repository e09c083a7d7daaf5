// Plans, chunks and blocks by hand, from the words of src/block/plan.ts and src/block/header.ts.
import type { Schema } from 'ticktape';
import { align8, blockHeaderBytes, type ChunkEntry, encodeBlockHeader } from '../../dist/src/block/header.js';
import { hash64 } from '../../dist/src/hash.js';
import { EPOCH, TAPE_ID } from './bench.js';

type Bytes = readonly number[];

const whole = (value: bigint | number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n));
export const u16 = (value: number) => whole(value, 2);
export const u32 = (value: number) => whole(value, 4);
export const i64 = (value: bigint | number) => whole(value, 8);

/** The bytes of each step, and of those that it hands on to. */
export const step = {
  constant: (value: bigint | number) => [0, ...i64(value)],
  packed: [1],
  tokens: [2],
  dictionary: (idBits: number, values: number) => [3, idBits, ...u16(values)],
  planes: (width: number) => [4, width],
  frame: (base: bigint | number, child: Bytes) => [5, ...i64(base), ...child],
  delta: (zigzag: number, first: bigint | number, child: Bytes) => [6, zigzag, ...i64(first), ...child],
  changes: (child: Bytes) => [7, ...child],
  changesOf: (field: number, child: Bytes) => [8, ...u16(field), ...child],
  split: (base: bigint | number, divisor: bigint | number, quotients: Bytes, remainders: Bytes) => [
    9,
    ...i64(base),
    ...i64(divisor),
    ...quotients,
    ...remainders,
  ],
  reference: (field: number, child: Bytes) => [10, ...u16(field), ...child],
  groupDelta: (field: number, zigzag: number, child: Bytes) => [11, ...u16(field), zigzag, ...child],
  sameIds: (field: number, values: number) => [12, ...u16(field), ...u16(values)],
  decimal: (exponent: number, exceptions: number, child: Bytes) => [13, exponent, ...u32(exceptions), ...child],
};

/** `count` times the same value, as bitpack.ts says. */
export const packedSame = (value: bigint | number, count: number): number[] => [
  ...i64(value),
  ...new Array<number>(Math.ceil(count / 128)).fill(0),
];

export interface ForgedChunk {
  field: number;
  part?: number;
  bytes: Bytes;
  /** Left out: as the rest has it. */
  kind?: number;
  encoding?: number;
  compression?: number;
  openBytes?: number;
  encodedBytes?: number;
}

/** A chunk of a plan; its lengths may be told wrongly. */
export const planned = (
  field: number,
  plan: Bytes,
  packed: Bytes = [],
  symbols: Bytes = [],
  lies: { planBytes?: number; openBytes?: number; encodedBytes?: number } = {},
): ForgedChunk => ({
  field,
  encoding: 1,
  bytes: [...u16(lies.planBytes ?? plan.length), ...plan, ...packed, ...symbols],
  openBytes: lies.openBytes ?? 2 + plan.length + packed.length,
  encodedBytes: lies.encodedBytes,
});

/** A block of these chunks, every checksum of which is right. */
export function forgeBlock(schema: Schema, count: number, forged: readonly ForgedChunk[]): Uint8Array {
  const symbols = [{ id: 0, name: 'S', bytes: Uint8Array.of(83) }];
  const headerBytes = blockHeaderBytes(1, forged.length, symbols);
  let free = headerBytes;
  const chunks = forged.map(({ field, part = 0, bytes, kind, encoding = 0, compression = 0, ...sizes }): ChunkEntry => {
    const offset = free;
    free = align8(free + bytes.length);
    return {
      field,
      part,
      kind: kind ?? schema.table.find(({ index }) => index === field)!.kindNumber,
      encoding,
      compression,
      range: null,
      offset,
      storedBytes: bytes.length,
      encodedBytes: sizes.encodedBytes ?? bytes.length,
      openBytes: sizes.openBytes ?? 0,
      checksum: hash64(Uint8Array.from(bytes)),
    };
  });
  const block = new Uint8Array(free);
  block.set(
    encodeBlockHeader({
      tapeId: TAPE_ID,
      fingerprint: schema.fingerprint,
      sequence: 0n,
      count,
      epoch: EPOCH,
      leastNs: 0n,
      greatestNs: 0n,
      blockBytes: free,
      rowBytes: count * schema.recordBytes,
      symbolMask: 1n,
      laneRanges: [{ epoch: EPOCH, lane: 0, from: 0n, to: BigInt(count * schema.recordBytes) }],
      chunks,
      symbols,
    }),
  );
  chunks.forEach(({ offset }, i) => {
    block.set(forged[i].bytes, offset);
  });
  return block;
}
