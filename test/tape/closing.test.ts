import { type FlusherPlace, type OnFull, openTape } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { Producer, produced } from '../helpers/producer.js';
import { scratch } from '../helpers/scratch.js';
import { readAll } from '../helpers/tape.js';

// Every append either returned, and is on the tape, or threw CLOSED, and is not.

const modes: [journalMode: 'mapped' | 'buffered', onFull: OnFull, flusher: FlusherPlace][] = [
  ['mapped', 'wait', 'worker'],
  ['mapped', 'drop', 'worker'],
  ['buffered', 'wait', 'worker'],
  ['mapped', 'wait', 'inline'],
  ['buffered', 'wait', 'inline'],
];

describe.each(modes)(
  'a %s tape (onFull: %s, flusher: %s) that is closed while threads append',
  (journalMode, onFull, flusher) => {
    test('has what append returned for, and nothing else', async () => {
      for (let round = 0; round < 3; round++) {
        const storage = [scratch()];
        const tape = await openTape(produced, {
          storage,
          journalMode,
          onFull,
          flusher,
          segmentBytes: 1024 ** 2,
          maxSymbols: 1000,
          laneBytes: 65_536,
          capacity: 200 * (round + 1),
        });
        const producers = [1, 2].map(
          (producer) => new Producer({ handle: tape.appenderHandle(), producer, count: 50_000_000 }),
        );
        await Promise.all(producers.map(({ ready }) => ready));
        await new Promise((resolve) => setTimeout(resolve, 4 * round));
        await tape.close();

        const numbers: number[][] = [[], [], []];
        for (const { producer, n } of await readAll(produced, storage)) numbers[producer as number].push(n as number);
        for (const producer of [1, 2]) {
          const outcome = await producers[producer - 1].outcome;
          expect(outcome.error).toBe('CLOSED');
          const found = numbers[producer];
          expect(found.length).toBe(outcome.appended);
          // In order, and without a hole where nothing was dropped.
          for (let i = 1; i < found.length; i++) {
            if (found[i] <= found[i - 1]) expect.fail(`${found[i]} comes after ${found[i - 1]}`);
          }
          if (onFull === 'wait') expect(found.at(-1) ?? -1).toBe(outcome.appended - 1);
          else expect(outcome.appended + outcome.dropped).toBe(outcome.last + 1);
          expect(await producers[producer - 1].again()).toBe('CLOSED');
        }
      }
    });
  },
);
