import type { BlockHeader } from '../block/header.js';
import type { TapeError } from '../errors.js';

/** A copy of a block that lies on a storage node, and that nobody reads before it is committed. */
export interface StoredCopy {
  /** From here on who reads the storage node finds the block. */
  commit(): Promise<void>;
  /** Resolves when the committed copy would survive a power cut. */
  sync(): Promise<void>;
  /** It is not to be committed any more. */
  abandon(): void;
}

/** A place that keeps blocks. It may be far and slow, so that all that it does is asynchronous. */
export interface StorageNode {
  /** What errors and statistics call it. */
  readonly name: string;
  /** One at a time, though a copy may be committed or synced meanwhile. `bytes` stays unchanged until it has resolved. */
  write(header: BlockHeader, bytes: Uint8Array): Promise<StoredCopy>;
  /** Resolves when all that was committed before the call would survive a power cut. */
  sync(): Promise<void>;
  /**
   * As `sync`, and closes what is open. Copies that are neither committed nor abandoned never will be. Resolves with an error where all that
   * was committed would survive a power cut, and something else could not be done.
   */
  close(): Promise<TapeError | void>;
}
