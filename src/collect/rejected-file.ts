import { Buffer } from 'node:buffer';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { formatTimeNs } from '../times.js';

/** Of a message that is longer, this much is kept, and how long it was. */
const MOST_CHARACTERS = 65_536;

/**
 * What was not understood: a line of JSON each, { ts, collector, reason, message }, with `length` where the message was cut, and `base64` in
 * the place of `message` where it is not text. Several threads and processes may append to one file.
 */
export class RejectedFile {
  readonly #path: string;
  #fd: number | null = null;

  constructor(file: string) {
    this.#path = file;
  }

  /** @throws the system's error */
  add(tsNs: bigint, collector: number, reason: string, message: string | Uint8Array): void {
    const ts = formatTimeNs(tsNs);
    const kept =
      typeof message === 'string'
        ? { message: message.slice(0, MOST_CHARACTERS) }
        : { base64: Buffer.from(message.subarray(0, MOST_CHARACTERS)).toString('base64') };
    const { length } = message;
    const line = {
      ts,
      collector,
      reason: reason.slice(0, 1000),
      ...kept,
      ...(length > MOST_CHARACTERS ? { length } : {}),
    };
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    if (this.#fd === null) {
      mkdirSync(path.dirname(this.#path), { recursive: true });
      this.#fd = openSync(this.#path, 'a');
    }
    // In one write, so that the lines of several threads don't mix.
    const written = writeSync(this.#fd, bytes);
    if (written < bytes.length) writeSync(this.#fd, bytes, written);
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}
