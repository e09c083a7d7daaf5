import type { Files } from './files.js';

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

/** The gaps of a tape, by when they began, from what each of its storage nodes knows of them. */
export function readGaps(_files: Files, _directories: readonly string[], _tapeId: Uint8Array | null): Gap[] {
  return [];
}
