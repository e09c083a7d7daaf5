import type { BlockHeader } from '../block/header.js';

/**
 * A place that keeps blocks. It may be far and slow: what it does is asynchronous, and `bytes` stays unchanged until `append`
 * has resolved.
 */
export interface StorageNode {
  /** What errors and statistics call it. */
  readonly name: string;
  append(header: BlockHeader, bytes: Uint8Array): Promise<void>;
  /** Resolves when all that was appended would survive a power cut. */
  sync(): Promise<void>;
  /** The same for what was appended before the call, while appends go on. */
  syncInBackground(): Promise<void>;
  /** Closes what is open. `sync`: as `sync()` would. */
  close(sync: boolean): Promise<void>;
}
