import { copyFileSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { defineSchema, f64, openTape, symbol, type Tape, type TapeOptions, timestamp } from 'ticktape';
import { runtime } from 'ticktape/runtime';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import * as layout from '../../dist/assembly/layout.js';
import { CollectorCounters } from '../../dist/src/collect/collector-counters.js';
import { backlogOf, findJournal, isAnswering, readSession } from '../../dist/src/metrics/read-session.js';
import type { SessionFigures } from '../../dist/src/stats.js';
import { survey } from '../../dist/src/storage/survey.js';
import { copyOf, filesOf, scratch } from '../helpers/scratch.js';
import { errorOf } from '../helpers/tape.js';

const schema = defineSchema('trade', timestamp('ts'), symbol('symbol'), f64('price'));
const { files } = runtime;

async function live(options: Partial<TapeOptions> = {}, nodes = 3) {
  const directory = scratch();
  const storage = Array.from({ length: nodes }, (_, i) => path.join(directory, `d${i}`));
  const tape = await openTape(schema, { storage, onWarning() {}, ...options });
  let open = true;
  onTestFinished(() => (open ? tape.close() : undefined));
  const close = () => {
    open = false;
    return tape.close();
  };
  return { tape, directory, storage, journal: path.join(storage[0], 'journal'), close };
}

function append(tape: Tape<typeof schema.fields>, records: number): void {
  for (let i = 0; i < records; i++) tape.append(BigInt(i), `S${i % 7}`, i / 2);
}

/** What both sides tell, but for the heartbeat, which goes on. */
const figures = ({ lanes, storageNodes, ...rest }: SessionFigures) => ({
  // A buffered journal's file has `drained` as it was when records last came or went.
  lanes: lanes.map(({ drained, ...lane }) => lane),
  storageNodes: storageNodes.map(({ inFlightBytes, ...node }) => node),
  ...Object.fromEntries(
    [
      'state',
      'epoch',
      'startedNs',
      'redundancy',
      'records',
      'blocks',
      'rawBytes',
      'storedBytes',
      'compressionRatio',
    ].map((name) => [name, rest[name as keyof typeof rest]]),
  ),
  degraded: rest.degraded,
  retention: rest.retention,
  collectors: rest.collectors,
});

const counters = (journal: string) => path.join(journal, 'counters.ttcnt');

describe('a session that is alive', () => {
  test.each(['auto', 'buffered'] as const)(
    'tells other processes what it tells its own: journal %s',
    async (journalMode) => {
      const { tape, journal } = await live({ journalMode, flushIntervalMs: 0 });
      const handle = tape.appenderHandle();
      const collector = new CollectorCounters(handle.memory.buffer, layout.CONTROL, 3);
      collector.begin('binance', handle.lane);
      collector.state = 'running';
      collector.received(5, 700, 1e18);
      for (let i = 0; i < 40; i++) collector.appended(100 * i);
      append(tape, 25_000);
      await tape.flush();
      append(tape, 10);
      await vi.waitFor(
        () => {
          const seen = readSession(files, journal)!;
          expect(figures(seen)).toEqual(figures(tape.stats()));
          expect(seen).toMatchObject({ state: 'open', records: 25_000, redundancy: 2, epoch: 1 });
          expect(seen.lanes.map(({ lane, records }) => [lane, records])).toEqual([
            [0, 25_010n],
            [1, 0n],
          ]);
          expect(seen.collectors).toMatchObject([{ collector: 3, name: 'binance', messages: 5, lane: 1 }]);
          expect(seen.schema.fingerprint).toBe(schema.fingerprint);
          expect(isAnswering(seen, runtime.nowNs())).toBe(true);
        },
        { timeout: 5000 },
      );
    },
  );

  test('its heartbeat goes on, and its backlog is what lanes hold', async () => {
    const { tape, journal } = await live({ flushIntervalMs: 0 });
    append(tape, 1000);
    const first = readSession(files, journal)!;
    await vi.waitFor(() => expect(readSession(files, journal)!.heartbeatNs).toBeGreaterThan(first.heartbeatNs));
    const [lane] = readSession(files, journal)!.lanes;
    expect(backlogOf(lane)).toBe(tape.backlog());
    expect(backlogOf(lane)).toBeGreaterThan(0);
    await tape.flush();
    await vi.waitFor(() => expect(backlogOf(readSession(files, journal)!.lanes[0])).toBe(0));
  });

  test('storage nodes go by the names that they are given, in whatever order', async () => {
    const { tape, storage, journal, directory } = await live({ redundancy: 1 });
    append(tape, 1000);
    await tape.flush();
    const link = path.join(directory, 'link');
    symlinkSync(storage[2], link);
    const own = tape.stats().storageNodes.map(({ blocks, bytes }) => [blocks, bytes]);
    const seen = (given: string[]) => readSession(files, journal, survey(files, given, undefined))!.storageNodes;
    await vi.waitFor(() => expect(seen(storage).map(({ blocks, bytes }) => [blocks, bytes])).toEqual(own));
    expect(seen([link, storage[1], storage[0]]).map((node) => node.path)).toEqual([storage[0], storage[1], link]);
    expect(seen([link, storage[1], storage[0]]).map(({ blocks, bytes }) => [blocks, bytes])).toEqual(own);
    expect(readSession(files, journal)!.storageNodes.map((node) => node.path)).toEqual(storage);
  });

  test('its journal is found from any one of its storage nodes', async () => {
    const { storage, journal } = await live();
    const found = (given: string[]) => findJournal(files, survey(files, given, undefined));
    expect(found([storage[0]])).toBe(journal);
    expect(found([storage[2]])).toBe(journal);
    expect(found([scratch()])).toBeNull();
  });
});

describe('no session', () => {
  test('where there is no tape, none that is open, or one that was closed', async () => {
    expect(readSession(files, path.join(scratch(), 'journal'))).toBeNull();
    const { tape, journal, close } = await live();
    append(tape, 10);
    expect(readSession(files, journal)).not.toBeNull();
    await close();
    expect(readSession(files, journal)).toBeNull();
  });

  test('where it died: what it left is there, and does not answer', async () => {
    const { tape, directory } = await live();
    append(tape, 20_000);
    await tape.flush();
    const journal = path.join(copyOf(directory), 'd0', 'journal');
    const seen = readSession(files, journal)!;
    expect(seen).toMatchObject({ state: 'open', records: 20_000 });
    expect(isAnswering(seen, seen.heartbeatNs + 4_900_000_000n)).toBe(true);
    expect(isAnswering(seen, seen.heartbeatNs + 5_000_000_000n)).toBe(false);
  });

  test('where a later session is on its way', async () => {
    const { journal, close, storage } = await live();
    const left = readFileSync(counters(journal));
    await close();
    await (await openTape(schema, { storage })).close();
    writeFileSync(counters(journal), left);
    expect(readSession(files, journal)).toBeNull();
  });
});

describe('files that are not what they should be', () => {
  async function left() {
    const { tape, directory } = await live();
    append(tape, 1000);
    const copy = copyOf(directory);
    const journal = path.join(copy, 'd0', 'journal');
    const change = (at: number, ...bytes: number[]) => {
      const file = readFileSync(counters(journal));
      file.set(bytes, at);
      writeFileSync(counters(journal), file);
    };
    return { copy, journal, change };
  }
  const refusal = (journal: string) => errorOf(() => readSession(files, journal));

  test('each is told by its path', async () => {
    const cases: [code: string, spoil: (tape: Awaited<ReturnType<typeof left>>) => void][] = [
      ['TRUNCATED', ({ journal }) => truncateSync(counters(journal), 65_535)],
      ['BAD_MAGIC', ({ change }) => change(layout.COUNTERS_MAGIC, 0)],
      ['BAD_VERSION', ({ change }) => change(layout.COUNTERS_VERSION, 2)],
      ['FOREIGN', ({ change }) => change(layout.COUNTERS_TAPE_ID, 0, 0, 0, 0, 0, 0)],
      ['CORRUPT', ({ change }) => change(layout.COUNTERS_EPOCH, 9)],
      ['CORRUPT', ({ change }) => change(layout.COUNTERS_FINGERPRINT, 0, 0, 0, 0, 0, 0)],
      ['CORRUPT', ({ change }) => change(layout.COUNTERS_REDUNDANCY, 0)],
      ['CORRUPT', ({ change }) => change(layout.COUNTERS_REDUNDANCY, 4)],
      ['NOT_FOUND', ({ journal }) => rmSync(path.join(journal, 'tape.json'))],
      ['CORRUPT', ({ journal }) => writeFileSync(path.join(journal, 'tape.json'), '{')],
    ];
    for (const [code, spoil] of cases) {
      const tape = await left();
      spoil(tape);
      const { code: told, message } = await refusal(tape.journal);
      expect(told, message).toBe(code);
      expect(message).toContain(tape.journal);
    }
  });

  test('a lane', async () => {
    const { copy, journal } = await left();
    const [lane] = filesOf(copy, /\.ttlane$/);
    // Of another session, and by a name that no session gives.
    copyFileSync(lane, path.join(path.dirname(lane), 'lane-7-0.ttlane'));
    copyFileSync(lane, path.join(path.dirname(lane), 'lane-1-00.ttlane'));
    expect(readSession(files, journal)!.lanes.length).toBe(1);
    const bytes = readFileSync(lane);
    bytes[60] ^= 1;
    writeFileSync(lane, bytes);
    expect(await refusal(journal)).toMatchObject({ code: 'CORRUPT', message: expect.stringContaining(lane) });
    truncateSync(lane, 100);
    expect(await refusal(journal)).toMatchObject({ code: 'TRUNCATED' });
    rmSync(lane);
    expect(readSession(files, journal)!.lanes).toEqual([]);
  });

  test('whatever figures there are, they are read', async () => {
    const { journal } = await left();
    const good = readFileSync(counters(journal));
    const header = good.subarray(layout.COUNTERS_MAGIC, layout.COUNTERS_REDUNDANCY + 4);
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        let state = seed | 1;
        const bytes = Uint8Array.from({ length: layout.CONTROL_BYTES }, () => {
          state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 1;
          return state >>> 13;
        });
        bytes.set(header, layout.COUNTERS_MAGIC);
        writeFileSync(counters(journal), bytes);
        const seen = readSession(files, journal)!;
        expect(seen.storageNodes.length).toBe(3);
        for (const lane of seen.lanes) expect(backlogOf(lane)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 30 },
    );
  });
});
