import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { openTape, readSchema } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { expect } from 'vitest';
import { readSession } from '../../dist/src/metrics/read-session.js';
import { scratch } from './scratch.js';

/** A directory with a configuration for two storage nodes and these lines. */
export class RecorderDirectory {
  readonly root = scratch();
  readonly config = path.join(this.root, 'market.toml');
  readonly storage: string[];

  constructor(lines: readonly string[], nodes = 2) {
    this.storage = Array.from({ length: nodes }, (_, i) => path.join(this.root, `d${i}`));
    writeFileSync(this.config, `storage = ${JSON.stringify(this.storage)}\n${lines.join('\n')}\n`);
  }

  /** Records that are in its lanes or stored, in the session that has it open; 0 without one. */
  #appended(): number {
    try {
      const session = readSession(runtime.files, path.join(this.storage[0], 'journal'));
      return session?.lanes.reduce((sum, { records }) => sum + Number(records), 0) ?? 0;
    } catch {
      // Half made, at the very beginning.
      return 0;
    }
  }

  /** Until a recorder has so many; what it says by then when it ends before. */
  async until(records: number, ended: Promise<{ stderr: string }>): Promise<void> {
    let end: string | undefined;
    void ended.then(({ stderr }) => {
      end = stderr;
    });
    while (this.#appended() < records) {
      if (end !== undefined) expect.fail(`it ended: ${end}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** All records on the tape. */
  async read(): Promise<Record<string, unknown>[]> {
    const tape = await openTape(readSchema(this.storage), { storage: this.storage, readOnly: true });
    const found: Record<string, unknown>[] = [];
    for await (const batch of tape.scan()) found.push(...batch.records());
    await tape.close();
    return found;
  }

  /**
   * Of a simulated feed: every collector's events are on the tape from its first one on, in order, none twice and none missing. Answers how many each
   * has.
   */
  async expectContiguous(collectors: number): Promise<number[]> {
    const next = new Array<number>(collectors).fill(0);
    const tape = await openTape(readSchema(this.storage), { storage: this.storage, readOnly: true });
    for await (const { columns, length } of tape.scan()) {
      const { collector, id } = columns as unknown as { collector: Uint8Array; id: Float64Array };
      for (let row = 0; row < length; row++) {
        if (id[row] !== ++next[collector[row]]) {
          expect.fail(`collector ${collector[row]}: event ${id[row]} in the place of ${next[collector[row]]}`);
        }
      }
    }
    await tape.close();
    expect(next.length).toBe(collectors);
    return next;
  }
}

export const SIMULATED = ['[feed.sim]', 'kind = "simulator"', 'seed = 7'];
