import { Buffer } from 'node:buffer';
import {
  CLOSING,
  CONTROL_STATE,
  FULL,
  KIND_I64,
  KIND_U64,
  LANE_ARGUMENTS,
  LANE_CACHED_HEAD,
  LANE_CAPACITY,
  LANE_DRAINED,
  LANE_HEAD,
  LANE_LEFT,
  LANE_SEALED_AT,
  LANE_STATE,
  LANE_SYMBOL,
  LANE_TAIL,
  LANE_WAITING,
  REFUSED,
  SYMBOL_BYTES,
  SYMBOL_LENGTH,
  SYMBOL_NAME,
  SYMBOL_NAME_MAX,
  TAPE_FAILED,
  TOO_LARGE,
} from '../../assembly/layout.js';
import { show, TapeError } from '../errors.js';
import { instantiateKernels, type Kernels } from '../kernels.js';
import type { OnFull } from '../options.js';
import {
  describeKind,
  type Field,
  type Fields,
  isVarying,
  type PlacedField,
  type Schema,
  type ValuesOf,
} from '../schema.js';
import { NEVER } from './lane.js';
import { thisThread } from './this-thread.js';

/** What a thread needs to append to a lane of its own. Structured-cloneable: post it to one worker. */
export interface AppenderHandle {
  readonly memory: WebAssembly.Memory;
  /** u64: of the tape's schema. */
  readonly fingerprint: bigint;
  readonly lane: number;
  /** Where its window starts. */
  readonly at: number;
  readonly symbolCapacity: number;
  readonly onFull: OnFull;
  /** The thread that drives the flusher, where that has none of its own: who waits there for room waits for ever. */
  readonly flusherThread?: string;
}

/** Who waits looks for himself this often at least. Nobody relies on it. */
const WAIT_MS = 20;
/** Number fields besides the timestamp that the kernel takes as arguments. */
const MAX_ARGUMENTS = 10;

type Append<F extends Fields> = (...values: ValuesOf<F>) => number;

/** A producer thread's handle on its own lane. Use it from one thread only. */
export class Appender<F extends Fields = Fields> {
  /**
   * Appends a record: a value a field, in the schema's order. Once it returns, the record outlives this process.
   * Answers its position in the lane in bytes, or -1 where it was dropped (`onFull: 'drop'`).
   * @throws TapeError `BAD_VALUE`, `TOO_LARGE`, `SYMBOLS_FULL`, `FULL`, `CLOSED`, `FLUSHER_FAILED`: the record is not on the tape
   */
  readonly append: Append<F>;
  /**
   * `append`, but the value of each decimal field is a whole number of its last place: 61800.20 at scale 2 is 6180020. What isn't one from
   * −(2⁵³ − 1) to 2⁵³ − 1 is `BAD_VALUE`. For what comes as text, or as integers: no double lies between it and the tape.
   */
  readonly appendScaled: Append<F>;
  readonly #schema: Schema<F>;
  readonly #handle: AppenderHandle;
  readonly #nowNs: () => bigint;
  readonly #kernels: Kernels;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #longs: BigInt64Array;
  readonly #symbolIds = new Map<string, number>();
  /** Why it appends no more, once it doesn't. */
  #ended = closed;
  /** What the compiled append calls on its slow paths. */
  readonly #host: {
    left: boolean;
    closed(): never;
    badType(index: number, given: unknown): never;
    intern(index: number, name: string): number;
    refused(code: number, values: unknown[], scaled: boolean): number | undefined;
  };

  constructor(schema: Schema<F>, handle: AppenderHandle, nowNs: () => bigint) {
    if (schema.fingerprint !== handle.fingerprint) {
      throw new TapeError('SCHEMA_MISMATCH', `schema ${schema.name} is not the one that this tape was opened with`);
    }
    this.#schema = schema;
    this.#handle = handle;
    this.#nowNs = nowNs;
    this.#kernels = instantiateKernels(handle.memory);
    this.#view = new DataView(handle.memory.buffer);
    this.#words = new Int32Array(handle.memory.buffer);
    this.#longs = new BigInt64Array(handle.memory.buffer);
    this.#host = {
      left: false,
      closed: () => {
        throw this.#ended();
      },
      badType: (index, given) => this.#badType(schema.fields[index], given),
      intern: (index, name) => this.#intern(schema.fields[index], name),
      refused: (code, values, scaled) => this.#refused(code, values, scaled),
    };
    this.append = this.#compile(false);
    const scales = schema.fields.some(({ kind }) => kind === 'decimal');
    this.appendScaled = scales ? this.#compile(true) : this.append;
  }

  /** Wall clock in ns since the Unix epoch; never steps back. */
  now(): bigint {
    return this.#nowNs();
  }

  /** The share of the lane, 0 to 1, whose records are not yet on their storage nodes. */
  backlog(): number {
    const { at } = this.#handle;
    const used = Atomics.load(this.#longs, (at + LANE_TAIL) >> 3) - Atomics.load(this.#longs, (at + LANE_HEAD) >> 3);
    return Number(used) / Number(this.#view.getBigUint64(at + LANE_CAPACITY, true));
  }

  /** Gives the lane back once what is in it has been flushed. Appending throws from here on. */
  close(): void {
    if (this.#host.left) return;
    this.#host.left = true;
    Atomics.store(this.#words, (this.#handle.at + LANE_STATE) >> 2, LANE_LEFT);
  }

  /**
   * The append function of this schema, written out: one kernel call with the values as arguments, no loop, no array, no
   * allocation. `scaled`: the one that takes whole numbers for decimals.
   */
  #compile(scaled: boolean): Append<F> {
    const { fields, table, varying, recordBytes } = this.#schema;
    const { at } = this.#handle;
    const value = (index: number) => `v${index}`;
    const parameters = fields.map((_, index) => value(index)).join(', ');
    const checks = table.map(
      (field) => `if (${badType(field, value(field.index))}) host.badType(${field.index}, ${value(field.index)});`,
    );
    const symbols = fields.flatMap((field, index) => {
      if (field.kind !== 'symbol') return [];
      const id = orZero(field, value(index), `ids.get(v${index})`);
      return [`let s${index} = ${id}; if (s${index} === undefined) s${index} = host.intern(${index}, v${index});`];
    });
    const argument = (field: PlacedField) =>
      field.kind === 'symbol' ? `s${field.index}` : orZero(field, value(field.index), value(field.index));
    const presence = presenceBytes(this.#schema, value);
    const numbers = table.slice(1);
    const direct =
      varying.length === 0 &&
      numbers.length + presence.length <= MAX_ARGUMENTS &&
      numbers.every(({ kindNumber }) => kindNumber !== KIND_I64 && kindNumber !== KIND_U64);
    const kernel = (name: string) => `kernels.${name}${scaled ? 'Scaled' : ''}`;
    let call: string;
    if (direct) {
      const given = [...numbers.map(argument), ...presence];
      const padding = new Array(MAX_ARGUMENTS - given.length).fill('0');
      call = `position = ${kernel('append')}(${[at, value(table[0].index), ...given, ...padding].join(', ')});`;
    } else {
      const lengths = varying.map((field) => {
        const { kind, index } = field;
        const length = kind === 'text' ? `byteLength(v${index}, 'utf8')` : `v${index}.length`;
        return `const l${index} = ${orZero(field, value(index), length)};`;
      });
      const sum = varying.map(({ index }) => ` + l${index}`).join('');
      const word = (i: number) => at + LANE_ARGUMENTS + 8 * i;
      const stores = table.map((field, i) => {
        if (isVarying(field)) return `view.setFloat64(${word(i)}, l${field.index}, true);`;
        const wide = field.kind === 'timestamp' || field.kind === 'i64';
        if (wide) return `view.setBigInt64(${word(i)}, ${argument(field)}, true);`;
        if (field.kind === 'u64') return `view.setBigUint64(${word(i)}, ${argument(field)}, true);`;
        return `view.setFloat64(${word(i)}, ${argument(field)}, true);`;
      });
      presence.forEach((byte, i) => {
        stores.push(`view.setFloat64(${word(table.length + i)}, ${byte}, true);`);
      });
      const copies = varying.map(({ kind, index, optional }) => {
        const copy =
          kind === 'text'
            ? `buffer.write(v${index}, free, l${index}, 'utf8'); free += l${index};`
            : `buffer.set(v${index}, free); free += l${index};`;
        return optional ? `if (v${index} !== null) { ${copy} }` : copy;
      });
      call = `
        ${lengths.join('\n')}
        const bytes = ${recordBytes}${sum};
        const size = bytes > ${0x7ffffff0} ? ${0x7ffffff0} : (bytes + 7) & ~7;
        const record = kernels.reserve(${at}, size);
        if (record < 0) position = record;
        else {
          let free = record + ${recordBytes};
          ${copies.join('\n')}
          ${stores.join('\n')}
          position = ${kernel('appendStaged')}(${at}, record, size);
        }`;
    }
    const body = `'use strict';
      return function append(${parameters}) {
        if (host.left) host.closed();
        ${checks.join('\n')}
        ${symbols.join('\n')}
        for (;;) {
          let position;
          ${call}
          if (position >= 0) return position;
          position = host.refused(position, [${parameters}], ${scaled});
          if (position !== undefined) return position;
        }
      };`;
    const buffer = Buffer.from(this.#handle.memory.buffer as unknown as ArrayBuffer);
    return new Function('kernels', 'ids', 'view', 'buffer', 'byteLength', 'least', 'greatest', 'host', body)(
      this.#kernels,
      this.#symbolIds,
      this.#view,
      buffer,
      Buffer.byteLength,
      -(2n ** 63n),
      2n ** 63n - 1n,
      this.#host,
    ) as Append<F>;
  }

  #badType(field: Field, given: unknown): never {
    throw new TapeError('BAD_VALUE', `field ${field.name} (${describeKind(field)}) can't hold ${show(given)}`, {
      field: field.name,
    });
  }

  #badScaled(field: Field, given: unknown): never {
    const what = `field ${field.name} (${describeKind(field)}): appendScaled takes whole numbers of its last place up to 2⁵³ − 1`;
    throw new TapeError('BAD_VALUE', `${what}, not ${show(given)}`, { field: field.name });
  }

  #intern(of: Field, name: string): number {
    const { name: field } = of;
    if (typeof name !== 'string' || name === '' || !name.isWellFormed()) this.#badType(of, name);
    const bytes = new TextEncoder().encode(name);
    if (bytes.length > SYMBOL_NAME_MAX) {
      throw new TapeError(
        'BAD_VALUE',
        `field ${field}: ${JSON.stringify(name.slice(0, 80))} is longer than ${SYMBOL_NAME_MAX} bytes`,
        {
          field,
        },
      );
    }
    const at = this.#handle.at + LANE_SYMBOL;
    const staged = new Uint8Array(this.#handle.memory.buffer, at, SYMBOL_BYTES).fill(0);
    staged[SYMBOL_LENGTH] = bytes.length;
    staged.set(bytes, SYMBOL_NAME);
    const id = this.#kernels.intern(at, this.#handle.symbolCapacity);
    if (id < 0) {
      throw new TapeError(
        'SYMBOLS_FULL',
        `${name}: the tape has room for ${this.#handle.symbolCapacity} symbols: raise maxSymbols`,
        {
          field,
        },
      );
    }
    this.#symbolIds.set(name, id);
    return id;
  }

  /** What `append` answers for a record that the kernel did not simply take; undefined: try again. */
  #refused(code: number, values: unknown[], scaled: boolean): number | undefined {
    const { at, lane, onFull, flusherThread } = this.#handle;
    if (code === FULL) {
      if (this.#hasFailed()) throw flusherFailed();
      // What makes room from here on is for nobody any more.
      if (this.#sealedAt() !== NEVER) return this.#leave();
      if (onFull === 'throw') {
        throw new TapeError('FULL', `lane ${lane} is full: the storage nodes don't keep up; append again later`);
      }
      if (onFull === 'drop') {
        this.#kernels.countDrop(at);
        return -1;
      }
      if (flusherThread === thisThread) {
        throw new TapeError(
          'FULL',
          `lane ${lane} is full, and this thread can't wait, as it drives the flusher itself: await flush() and append again`,
        );
      }
      this.#wait();
      return undefined;
    }
    if (code === CLOSING) return this.#closing();
    if (code === TOO_LARGE) {
      const largest = this.#view.getBigUint64(at + LANE_CAPACITY, true) >> 2n;
      throw new TapeError('TOO_LARGE', `a record may have ${largest} bytes in this lane: raise laneBytes`);
    }
    // Never one of the presence bytes behind the fields: they hold any byte.
    const field = this.#schema.table[REFUSED - code];
    if (scaled && field.kind === 'decimal') return this.#badScaled(field, values[field.index]);
    return this.#badType(field, values[field.index]);
  }

  /** Sleeps until the flusher has made room since the kernel found none, or is no more; or for WAIT_MS. */
  #wait(): void {
    const { at } = this.#handle;
    const waitingAt = (at + LANE_WAITING) >> 2;
    Atomics.store(this.#words, waitingAt, 1);
    const found = this.#longs[(at + LANE_CACHED_HEAD) >> 3];
    if (Atomics.load(this.#longs, (at + LANE_HEAD) >> 3) !== found || this.#hasFailed()) return;
    // Whoever changes one of the two looks at LANE_WAITING after that and clears it before it notifies. So a change behind this look
    // ends the sleep, or keeps it from beginning, also where it was meant for the sleep before.
    Atomics.wait(this.#words, waitingAt, 1, WAIT_MS);
  }

  #hasFailed(): boolean {
    return Atomics.load(this.#words, CONTROL_STATE >> 2) === TAPE_FAILED;
  }

  /** Where a closing tape stopped taking records of this lane, or NEVER. */
  #sealedAt(): bigint {
    return BigInt.asUintN(64, Atomics.load(this.#longs, (this.#handle.at + LANE_SEALED_AT) >> 3));
  }

  #leave(why = closed): never {
    this.#ended = why;
    this.close();
    return this.#host.closed();
  }

  /** The record was published while the tape closed: it counts if the flusher's last look at the lane came after it. */
  #closing(): number {
    const { at } = this.#handle;
    const position = this.#view.getBigUint64(at + LANE_ARGUMENTS, true);
    for (;;) {
      const sealedAt = this.#sealedAt();
      if (sealedAt !== NEVER) return position < sealedAt ? Number(position) : this.#leave();
      if (this.#hasFailed()) return this.#takeBack(position);
      Atomics.wait(this.#words, (at + LANE_SEALED_AT) >> 2, -1, WAIT_MS);
    }
  }

  /** Stops the lane before the last record, which nobody will drain, so that the next open does not take it; unless a block may have it. */
  #takeBack(position: bigint): number {
    const { at } = this.#handle;
    if (Atomics.load(this.#longs, (at + LANE_DRAINED) >> 3) > position) return Number(position);
    // The tape may close meanwhile, and stop the lane behind the record.
    const before = Atomics.compareExchange(this.#longs, (at + LANE_SEALED_AT) >> 3, NEVER, position);
    const sealedAt = BigInt.asUintN(64, before);
    if (sealedAt === NEVER) return this.#leave(flusherFailed);
    return position < sealedAt ? Number(position) : this.#leave();
  }
}

const closed = () => new TapeError('CLOSED', 'the tape or this appender is closed: open another to append');

const flusherFailed = () =>
  new TapeError(
    'FLUSHER_FAILED',
    'the flusher stopped: close the tape and open it again; its lanes keep what is in them',
  );

/**
 * JavaScript that is true where the value is not of the field's type; ranges are the kernel's to check, but for those of bigints,
 * which WASM would cut to 64 bits. Two comparisons: `BigInt.asIntN(64, v) !== v` is 2 ns less on V8 and 6 ns more on JavaScriptCore.
 * With variables: a negative literal is an expression that allocates 24 bytes each time.
 */
function badType(field: PlacedField, value: string): string {
  const wrong = wrongType(field, value);
  return field.optional && field.kind !== 'symbol' ? `${value} !== null && (${wrong})` : wrong;
}

function wrongType({ kind }: PlacedField, value: string): string {
  switch (kind) {
    case 'timestamp':
    case 'i64':
      return `typeof ${value} !== 'bigint' || ${value} > greatest || ${value} < least`;
    case 'u64':
      return `typeof ${value} !== 'bigint' || ${value} > ${2n ** 64n - 1n}n || ${value} < 0n`;
    case 'symbol':
      return 'false';
    case 'text':
      return `typeof ${value} !== 'string' || !${value}.isWellFormed()`;
    case 'bytes':
      return `!(${value} instanceof Uint8Array)`;
    default:
      return `typeof ${value} !== 'number'`;
  }
}

/** JavaScript for `given`, but 0 where the value of an optional field is absent. */
function orZero({ kind, optional }: Field, value: string, given: string): string {
  if (!optional) return given;
  return `(${value} === null ? ${kind === 'i64' || kind === 'u64' ? '0n' : '0'} : ${given})`;
}

/** JavaScript for each of the record's presence bytes. */
function presenceBytes({ optionals, presence }: Schema, value: (index: number) => string): string[] {
  return Array.from({ length: presence.bytes }, (_, byte) => {
    const bits = optionals
      .slice(8 * byte, 8 * byte + 8)
      .map(({ index }, bit) => `(${value(index)} === null ? 0 : ${1 << bit})`);
    return bits.join(' | ');
  });
}
