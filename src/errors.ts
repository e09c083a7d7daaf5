/** What went wrong, for programs: stable across versions. */
export type TapeErrorCode =
  | 'BAD_CONFIG' // a configuration file has mistakes, each named with its line
  | 'BAD_OPTION' // an option is missing, of the wrong type or out of range
  | 'BAD_SCHEMA' // the schema itself can't be used
  | 'BAD_SOURCE' // a collector's source can't be loaded
  | 'BAD_VALUE' // a value doesn't fit its field
  | 'BAD_PATH' // a path holds a NUL, climbs with `..`, or two storage nodes share one
  | 'BAD_MAGIC' // the file is not what its name says
  | 'BAD_VERSION' // the file is of a format that this version doesn't know
  | 'BLOCK_DAMAGED' // no good copy of a block is left
  | 'BLOCK_MISSING' // sequences are missing between two blocks
  | 'CLOSED' // the tape was closed
  | 'CONFLICT' // two different blocks claim the same sequences
  | 'CORRUPT' // a checksum doesn't match
  | 'DISK_FULL' // no space to preallocate
  | 'FLUSHER_FAILED' // the flusher stopped; lanes hold what it did not seal
  | 'FOREIGN' // the file belongs to another tape
  | 'FULL' // the lane is full and onFull is 'throw'
  | 'IO' // the operating system refused
  | 'LOCKED' // another writer has the tape
  | 'NO_LANE' // all lanes are taken
  | 'NOT_FOUND' // nothing there to read
  | 'NOT_WRITABLE' // the directory can't be written
  | 'READ_ONLY' // the tape was opened for reading
  | 'SCHEMA_MISMATCH' // the tape was recorded with another schema
  | 'STORAGE_MISSING' // a storage node of the tape is not among those given
  | 'SYMBOLS_FULL' // the symbol table has no room
  | 'TOO_LARGE' // a record doesn't fit a lane
  | 'TRUNCATED' // the file is shorter than it says
  | 'UNSUPPORTED'; // not to be had on this runtime, or not allowed

/** What the error is about; the fields that apply. */
export interface TapeErrorDetails {
  cause?: unknown;
  path?: string;
  field?: string;
  /** First sequence of the block. */
  block?: bigint;
  storageNode?: string;
}

/** Every error that ticktape raises: a stable `code`, a message that says what to do, and what it is about. */
export class TapeError extends Error {
  readonly code: TapeErrorCode;
  readonly path: string | undefined;
  readonly field: string | undefined;
  readonly block: bigint | undefined;
  readonly storageNode: string | undefined;

  constructor(code: TapeErrorCode, message: string, details: TapeErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'TapeError';
    this.code = code;
    this.path = details.path;
    this.field = details.field;
    this.block = details.block;
    this.storageNode = details.storageNode;
  }
}

/** A value as a message shows it, whatever it is. */
export function show(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'bigint') return `${value}n`.slice(0, 200);
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  try {
    return JSON.stringify(value).slice(0, 200);
  } catch {
    // A function, a symbol, undefined; an object that holds itself or a bigint.
    return typeof value;
  }
}

/** Asserts an invariant that holds unless ticktape itself is wrong. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Error(`ticktape: broken invariant: ${invariant}`);
}
