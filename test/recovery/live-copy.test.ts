import path from 'node:path';
import { openTape } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { Producer, produced } from '../helpers/producer.js';
import { copyOf, scratch } from '../helpers/scratch.js';
import { reopen } from '../helpers/tape.js';

const SMALL = { segmentBytes: 1024 ** 2, maxSymbols: 1000, laneBytes: 65_536, capacity: 300 };

describe.each(['mapped', 'buffered'] as const)(
  'a %s journal, copied at any moment while two threads append',
  (journalMode) => {
    test('gives, when opened, every record of each up to some point, once and in order', async () => {
      const root = scratch();
      const storage = [path.join(root, 'd0'), path.join(root, 'd1')];
      const tape = await openTape(produced, { storage, ...SMALL, journalMode, syncIntervalMs: 0 });
      expect(tape.stats().journal).toBe(journalMode);
      const producers = [1, 2].map(
        (producer) => new Producer({ handle: tape.appenderHandle(), producer, count: 40_000 }),
      );
      await Promise.all(producers.map(({ ready }) => ready));
      const copies: { root: string; appended: number[] }[] = [];
      for (let i = 0; i < 3; i++) {
        await new Promise((resolve) => setTimeout(resolve, 5 + 15 * i));
        const appended = [1, 2].map((lane) => Number(tape.stats().lanes[lane].records));
        copies.push({ root: copyOf(root), appended });
      }
      // The last one at rest.
      const outcomes = await Promise.all(producers.map(({ outcome }) => outcome));
      await tape.flush();
      copies.push({ root: copyOf(root), appended: outcomes.map(({ appended }) => appended) });
      await tape.close();

      for (const [i, { root: copy, appended }] of copies.entries()) {
        const nodes = [path.join(copy, 'd0'), path.join(copy, 'd1')];
        const report = await reopen(produced, { storage: nodes, ...SMALL, journalMode });
        expect(report.lanes).toBe(3);
        const next = [0, 0, 0];
        let sequence = 0n;
        await using reader = await openTape(produced, { storage: nodes, readOnly: true });
        for await (const batch of reader.scan({ columns: ['producer', 'n'] })) {
          if (batch.sequence(0) !== sequence) expect.fail(`sequence ${batch.sequence(0)} comes as ${sequence}`);
          sequence += BigInt(batch.length);
          for (let row = 0; row < batch.length; row++) {
            const [producer, n] = [batch.columns.producer[row], batch.columns.n[row]];
            if (n !== next[producer]++)
              expect.fail(`copy ${i}: ${n} of producer ${producer} comes as ${next[producer] - 1}`);
          }
        }
        // All that append had returned for before the copy was begun; what is buffered may be a few milliseconds behind.
        const certain = journalMode === 'mapped' || i === copies.length - 1;
        for (const producer of [1, 2]) {
          if (certain) expect(next[producer]).toBeGreaterThanOrEqual(appended[producer - 1]);
          expect(next[producer]).toBeLessThanOrEqual(40_000);
        }
      }
    });
  },
);
