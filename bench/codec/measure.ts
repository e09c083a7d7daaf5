import { Buffer } from 'node:buffer';
import process from 'node:process';
import type { Zstd } from '../../src/runtime.js';
import { decodedOf, structBytes, structsOf } from './columns.js';
import type { DataSet } from './data.js';
import type { BenchOptions } from './options.js';
import type { TapeCodec } from './tape-codec.js';

/** What one way to keep the records takes; speeds are in million records a second, `null` where they are not measured. */
export interface Figures {
  bytesPerRecord: number | null;
  encodeMrps: number | null;
  decodeMrps: number | null;
  /** Why it was not measured. */
  reason?: string;
}

export interface Measured extends Figures {
  records: number;
  blockRecords: number;
  runs: number;
  /** Million values of `oneColumn` a second, decoded without the others. */
  oneColumnMvps: number;
  oneColumn: string;
  baselines: Record<string, Figures>;
}

/** Runs that are not counted go on for so long: engines compile hot code anew. */
const WARM_UP_MS = 500;

/** A way to keep records. Its runs go over all blocks once, and answer how many ns they took. */
interface Way {
  encode(): number;
  decode(): number;
  /** Of all blocks of the last run. */
  readonly bytes: number;
}

/** @throws Error where what is decoded is not what was encoded, in any of the runs */
export function measure(
  data: DataSet,
  codec: TapeCodec,
  options: BenchOptions,
  zstd: Zstd,
  onRun: (run: number) => void,
): Measured {
  const tape = new Tape(data, codec);
  const rows = new CompressedRows(data, options.blockRecords, zstd);
  const ways = [tape, rows];

  const startedMs = performance.now();
  const bytes: number[] = [];
  do {
    for (const way of ways) way.encode();
    // What a new encoder makes of the data, once.
    if (bytes.length === 0) bytes.push(...ways.map((way) => way.bytes));
    for (const way of ways) way.decode();
    tape.decodeOne();
  } while (performance.now() - startedMs < WARM_UP_MS);

  const ns = { encode: ways.map((): number[] => []), decode: ways.map((): number[] => []), one: [] as number[] };
  for (let run = 0; run < options.runs; run++) {
    // In turn, so that what else the machine does falls on all of them.
    ways.forEach((way, i) => {
      ns.encode[i].push(way.encode());
    });
    ways.forEach((way, i) => {
      ns.decode[i].push(way.decode());
    });
    ns.one.push(tape.decodeOne());
    onRun(run + 1);
  }
  const [ofTape, ofRows] = ways.map((_, i) => ({
    bytesPerRecord: bytes[i] / data.count,
    encodeMrps: millionsPerSecond(data.count, ns.encode[i]),
    decodeMrps: millionsPerSecond(data.count, ns.decode[i]),
  }));
  return {
    records: data.count,
    ...ofTape,
    oneColumnMvps: millionsPerSecond(data.count, ns.one),
    oneColumn: data.oneColumn,
    blockRecords: options.blockRecords,
    runs: options.runs,
    baselines: { 'rows+zstd1': ofRows },
  };
}

/** At the median of the times. */
function millionsPerSecond(count: number, ns: number[]): number {
  const sorted = ns.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return (count / median) * 1e3;
}

function nsOf(work: () => void): number {
  const before = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - before);
}

/** The blocks of a tape. */
class Tape implements Way {
  readonly #codec: TapeCodec;
  readonly #fields: string[];
  readonly #expected: Uint8Array[];
  readonly #widths: number[];
  readonly #oneColumn: number;
  #blocks: Uint8Array[] = [];

  constructor({ schema, columns, oneColumn }: DataSet, codec: TapeCodec) {
    this.#codec = codec;
    const expected = decodedOf(schema, columns);
    this.#fields = schema.fields.map(({ name }) => name);
    this.#expected = expected.map(bytesOf);
    this.#widths = expected.map(({ BYTES_PER_ELEMENT }) => BYTES_PER_ELEMENT);
    this.#oneColumn = this.#fields.indexOf(oneColumn);
  }

  get bytes(): number {
    return this.#blocks.reduce((sum, { length }) => sum + length, 0);
  }

  encode(): number {
    this.#blocks = [];
    let ns = 0;
    for (let block = 0; block < this.#codec.blocks; block++) {
      this.#codec.placeRows(block);
      let bytes!: Uint8Array;
      ns += nsOf(() => {
        bytes = this.#codec.encode();
      });
      this.#blocks.push(bytes.slice());
    }
    return ns;
  }

  decode(): number {
    return this.#decode(undefined);
  }

  decodeOne(): number {
    return this.#decode(this.#oneColumn);
  }

  #decode(only: number | undefined): number {
    let ns = 0;
    let first = 0;
    this.#blocks.forEach((bytes, block) => {
      const count = this.#codec.countOf(block);
      this.#codec.placeBlock(bytes, count);
      let columns!: ReturnType<TapeCodec['decode']>;
      ns += nsOf(() => {
        columns = this.#codec.decode(only);
      });
      this.#fields.forEach((name, field) => {
        if (only !== undefined && field !== only) return;
        const width = this.#widths[field];
        const expected = this.#expected[field].subarray(first * width, (first + count) * width);
        const at = difference(bytesOf(columns[field]), expected);
        if (at >= 0) {
          throw new Error(`record ${first + Math.floor(at / width)}: ${name} came back as another value than went in`);
        }
      });
      first += count;
    });
    return ns;
  }
}

/** What many do: packed structs of the fields, as many a frame as a block has, in zstd at level 1. */
class CompressedRows implements Way {
  readonly #zstd: Zstd;
  readonly #blocks: Uint8Array[] = [];
  #frames: Uint8Array[] = [];

  constructor({ schema, columns, count }: DataSet, blockRecords: number, zstd: Zstd) {
    this.#zstd = zstd;
    const structs = structsOf(schema, columns, count);
    const blockBytes = blockRecords * structBytes(schema);
    for (let at = 0; at < structs.length; at += blockBytes) this.#blocks.push(structs.subarray(at, at + blockBytes));
  }

  get bytes(): number {
    return this.#frames.reduce((sum, { length }) => sum + length, 0);
  }

  encode(): number {
    return nsOf(() => {
      this.#frames = this.#blocks.map((block) => this.#zstd.compress(block, 1));
    });
  }

  decode(): number {
    let ns = 0;
    this.#frames.forEach((frame, i) => {
      let content!: Uint8Array;
      ns += nsOf(() => {
        content = this.#zstd.decompress(frame, this.#blocks[i].length);
      });
      if (difference(content, this.#blocks[i]) >= 0) throw new Error('zstd gave back other rows than went in');
    });
    return ns;
  }
}

const bytesOf = (of: ArrayBufferView) => new Uint8Array(of.buffer, of.byteOffset, of.byteLength);

/** The first byte that differs, or -1. */
function difference(actual: Uint8Array, expected: Uint8Array): number {
  if (Buffer.compare(actual, expected) === 0) return -1;
  const at = expected.findIndex((byte, i) => byte !== actual[i]);
  return at < 0 ? Math.min(actual.length, expected.length) : at;
}
