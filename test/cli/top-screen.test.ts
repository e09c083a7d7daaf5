import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { duration, nanoseconds, short, shorten, size, whole, widthOf } from '../../dist/src/cli/figures.js';
import { drawPace, drawWaiting } from '../../dist/src/cli/top-screen.js';
import { appendBucketNs } from '../../dist/src/collect/collector-counters.js';
import { Gap } from '../../dist/src/gaps.js';
import { type Look, type Pace, paceOf } from '../../dist/src/metrics/look.js';

const NS = 1_700_000_000_000_000_000n;
const SECOND = 1_000_000_000n;

interface Sizes {
  collectors?: number;
  lanes?: number;
  nodes?: number;
  gaps?: number;
}

const pace = ({ collectors = 2, lanes = 3, nodes = 2, gaps = 1 }: Sizes = {}, changes: Partial<Pace> = {}): Pace => ({
  tapeId: '00112233445566778899aabbccddeeff',
  schema: 'trade',
  state: 'open',
  answering: true,
  epoch: 4,
  takenNs: NS + 3723n * SECOND,
  startedNs: NS,
  heartbeatNs: NS + 3723n * SECOND,
  redundancy: 2,
  appended: 1_234_567,
  appendedPerSecond: 43_210,
  drops: 0,
  records: 1_200_000,
  blocks: 120,
  rawBytes: 80_000_000,
  storedBytes: 10_000_000,
  compressionRatio: 8,
  degraded: { blocks: 0, records: 0 },
  retention: { firstSequence: 0n, records: 0, segments: 0, bytes: 0 },
  collectors: Array.from({ length: collectors }, (_, i) => ({
    collector: i,
    name: `feed-${i}`,
    state: 'running' as const,
    lane: i + 1,
    eventsPerSecond: 21_500 + i,
    messages: 345_678,
    messagesPerSecond: 10,
    bytes: 1,
    rejected: 7,
    gaps: 3,
    restarts: 2,
    appendNs: { p50: 63, p99: 1250, p999: 2_345_678 },
    lastNs: Number(NS) + 3720e9,
  })),
  lanes: Array.from({ length: lanes }, (_, i) => ({
    lane: i,
    records: 600_000 + i,
    recordsPerSecond: 777,
    backlog: 0.25,
    drops: 0,
  })),
  storageNodes: Array.from({ length: nodes }, (_, i) => ({
    path: `/data/disk-${i}/tape`,
    blocks: 80,
    bytes: 5_000_000,
    errors: 0,
    state: 'healthy' as const,
    inFlightBytes: 0,
    writeMs: 1.5,
    slowestWriteMs: 20,
    bytesPerSecond: 2_500_000,
  })),
  gaps: Array.from(
    { length: gaps },
    (_, i) =>
      new Gap({
        collector: 0,
        name: 'feed-0',
        fromNs: NS + BigInt(i) * SECOND,
        toNs: NS + BigInt(i + 90) * SECOND,
        reason: 'closed by peer',
      }),
  ),
  ...changes,
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours
const plain = (text: string) => text.replaceAll(/\x1b\[\d+m/g, '');
const draw = (of: Pace, columns = 160, rows = Infinity) => plain(drawPace(of, { columns, rows }));

describe('the screen', () => {
  test('says it all where there is room', () => {
    const text = draw(pace());
    const lines = text.split('\n');
    expect(lines[0]).toBe('ticktape top  open, up 1 h 02 m, trade, tape 00112233, session 4');
    expect(text).toContain('1,234,567, 43.2 k/s');
    expect(text).toContain('1,200,000 in 120 blocks, 80 MB as 10 MB, 8.00 : 1');
    const row = (name: string) =>
      lines
        .find((line) => line.trimStart().startsWith(name))!
        .trim()
        .split(/ {2,}/);
    expect(row('collector')).toEqual([
      'collector',
      'state',
      'events/s',
      'messages',
      'rejected',
      'gaps',
      'restarts',
      'append p50',
      'p99',
      'p99.9',
      'last message',
    ]);
    expect(row('feed-1')).toEqual([
      'feed-1',
      'running',
      '21.5 k',
      '346 k',
      '7',
      '3',
      '2',
      '63 ns',
      '1.3 µs',
      '2.3 ms',
      '3.0 s ago',
    ]);
    expect(row('lane')).toEqual(['lane', 'records', 'records/s', 'backlog', 'dropped']);
    expect(row('2 ')).toEqual(['2', '600,002', '777', '███░░░░░░░', '25 %', '0']);
    expect(row('/data/disk-1')).toEqual([
      '/data/disk-1/tape',
      'healthy',
      '80',
      '5 MB',
      '2.5 MB',
      '0',
      '1.5 ms',
      '20 ms',
    ]);
    expect(row('2023')).toEqual(['2023-11-14T22:13:20.000000000Z', '1 m 30 s', 'feed-0', 'closed by peer']);
    expect(text).not.toContain('trouble');
  });

  test('says what is amiss', () => {
    const text = draw(
      pace(
        {},
        {
          drops: 12,
          degraded: { blocks: 3, records: 3000 },
          retention: { firstSequence: 9n, records: 1, segments: 2, bytes: 3e6 },
        },
      ),
    );
    expect(text).toContain('12 records dropped; 3,000 records on fewer than 2 storage nodes');
    expect(text).toContain('3 MB let go by retention');
    const silent = pace({}, { answering: false, heartbeatNs: NS + 3000n * SECOND });
    expect(draw(silent).split('\n')[0]).toContain('not answering for 12 m 03 s');
    expect(draw(pace({}, { state: 'failed' })).split('\n')[0]).toContain('failed');
  });

  test('what is not known is shown as that', () => {
    const text = draw(
      pace(
        { nodes: 1, lanes: 1, collectors: 1, gaps: 0 },
        { appendedPerSecond: null, appended: Number.NaN, compressionRatio: 0 },
      ),
    );
    expect(text).toContain('–, –');
    expect(text).not.toMatch(/NaN|null|undefined|Infinity/);
  });

  test('a narrow one keeps names and rates', () => {
    const text = draw(pace({}, {}), 40);
    for (const part of ['feed-0', '21.5 k', '777', 'disk-0/tape', 'healthy', 'closed by peer'])
      expect(text).toContain(part);
    expect(text).not.toContain('p99.9');
    expect(draw(pace(), 20)).toContain('/data/disk-0/tape');
  });

  test('a low one shows some rows of each table and counts the others', () => {
    const text = draw(pace({ collectors: 30, lanes: 30, nodes: 10 }), 100, 24);
    expect(text.split('\n').length).toBeLessThanOrEqual(24);
    const shown = (pattern: RegExp) => text.split('\n').filter((line) => pattern.test(line)).length;
    const more = (what: string) => Number(new RegExp(`… (\\d+) more ${what}$`, 'm').exec(text)?.[1]);
    expect(shown(/^ {2}feed-\d/) + more('collectors')).toBe(30);
    expect(shown(/^ {2}\d+ .*░/) + more('lanes')).toBe(30);
    expect(shown(/^ {2}\/data/) + more('storage nodes')).toBe(10);
    const all = draw(pace({ collectors: 30, lanes: 30, nodes: 10 }), 100);
    expect(all).not.toContain(' more ');
    expect(all).toContain('feed-29');
  });

  test('never a line that is too wide, never one too many, nothing that a terminal would obey', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.constant('\x1b[2J\x07\r\n\x9b1m\u202e'),
      fc.constant('取引所'.repeat(9)),
    );
    const number = fc.oneof(fc.double(), fc.nat(), fc.constant(null));
    fc.assert(
      fc.property(
        fc.record({ columns: fc.integer({ min: 1, max: 200 }), rows: fc.integer({ min: 1, max: 60 }) }),
        fc.record({ collectors: fc.nat(20), lanes: fc.nat(20), nodes: fc.nat(8), gaps: fc.nat(9) }),
        fc.array(text, { minLength: 1, maxLength: 5 }),
        fc.array(number, { minLength: 1, maxLength: 30 }),
        fc.boolean(),
        (screen, sizes, texts, numbers, waiting) => {
          let next = 0;
          const any = <T>(of: T): T => {
            if (typeof of === 'number') return numbers[next++ % numbers.length] as T;
            if (typeof of === 'string' && !['running', 'healthy', 'open'].includes(of))
              return texts[next++ % texts.length] as T;
            if (Array.isArray(of)) return of.map(any) as T;
            if (typeof of !== 'object' || of === null) return of;
            return Object.fromEntries(Object.entries(of).map(([name, value]) => [name, any(value)])) as T;
          };
          const drawn = waiting
            ? drawWaiting(texts.join(' '), screen, 'q quits')
            : drawPace({ ...any(pace(sizes)), schema: 'trade', tapeId: 'ab' }, screen, 'q quits');
          const lines = plain(drawn).split('\n');
          for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(screen.columns);
          if (!waiting) expect(lines.length).toBeLessThanOrEqual(screen.rows);
          expect(lines.join('')).not.toMatch(/\p{C}/u);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('the pace', () => {
  const look = (seconds: number, records: bigint, changes: object = {}): Look => {
    const appendTimes = new Uint32Array(160);
    appendTimes[40] = 99;
    appendTimes[60] = 1;
    return {
      takenNs: NS + BigInt(seconds * 1e9),
      gaps: [],
      session: {
        tapeId: new Uint8Array(16).fill(0xab),
        schema: { name: 'trade' } as never,
        state: 'open',
        epoch: 1,
        startedNs: NS,
        heartbeatNs: NS + BigInt(seconds * 1e9),
        redundancy: 2,
        records: 100,
        blocks: 1,
        rawBytes: 1,
        storedBytes: 1,
        compressionRatio: 1,
        degraded: { blocks: 0, records: 0 },
        retention: { firstSequence: 0n, records: 0, segments: 0, bytes: 0 },
        lanes: [
          { lane: 0, tail: 0n, drained: 0n, head: 0n, capacity: 100, records: 5n, drops: 0n },
          { lane: 2, tail: 90n, drained: 70n, head: 40n, capacity: 100, records, drops: 3n },
        ],
        storageNodes: [
          {
            path: '/d',
            blocks: 1,
            bytes: Number(records) * 10,
            errors: 0,
            state: 'healthy',
            inFlightBytes: 0,
            writeMs: 1,
            slowestWriteMs: 1,
          },
        ],
        collectors: [
          {
            collector: 0,
            name: 'a',
            state: 'running',
            lane: 2,
            messages: Number(records) / 2,
            bytes: 1,
            rejected: 0,
            gaps: 0,
            restarts: 0,
            sinceNs: 1,
            lastNs: 0,
            appendTimes,
          },
        ],
        ...changes,
      },
    };
  };

  test('is of the time between two looks', () => {
    const found = paceOf(look(10, 1000n), look(12, 3000n))!;
    expect(found).toMatchObject({
      appended: 3005,
      appendedPerSecond: 1000,
      drops: 3,
      answering: true,
      tapeId: 'ab'.repeat(16),
    });
    expect(found.lanes).toEqual([
      { lane: 0, records: 5, recordsPerSecond: 0, backlog: 0, drops: 0 },
      { lane: 2, records: 3000, recordsPerSecond: 1000, backlog: 0.5, drops: 3 },
    ]);
    expect(found.storageNodes[0].bytesPerSecond).toBe(10_000);
    expect(found.collectors[0]).toMatchObject({ eventsPerSecond: 1000, messagesPerSecond: 500, lastNs: null });
    expect(found.collectors[0].appendNs).toEqual({
      p50: appendBucketNs(40),
      p99: appendBucketNs(40),
      p999: appendBucketNs(60),
    });
  });

  test('has no rates for the first look, nor across sessions', () => {
    for (const before of [null, look(10, 9000n, { epoch: 0 }), { ...look(10, 0n), session: null }]) {
      const found = paceOf(before, look(12, 3000n))!;
      expect(found.appendedPerSecond).toBeNull();
      expect(found.lanes[1].recordsPerSecond).toBeNull();
      expect(found.storageNodes[0].bytesPerSecond).toBeNull();
    }
    expect(paceOf(look(1, 1n), { ...look(2, 0n), session: null })).toBeNull();
  });

  test('of a process that is silent', () => {
    expect(paceOf(null, look(12, 1n, { heartbeatNs: NS }))!.answering).toBe(false);
  });
});

describe('figures', () => {
  test('in few digits', () => {
    const cases = [
      0, 0.5, 9.4, 10, 999, 999.4, 999.6, 1000, 9994, 12_345, 99_960, 999_949, 999_960, 1_234_567, 12_345_678_901,
    ];
    expect(cases.map(short)).toEqual(
      [
        '0',
        '0.5',
        '9.4',
        '10',
        '999',
        '999',
        '1.00 k',
        '1.00 k',
        '9.99 k',
        '12.3 k',
        '100 k',
        '1000 k',
        '1.00 M',
        '1.23 M',
        '12.3 G',
      ].map((text) => (text === '1000 k' ? expect.stringMatching(/^(1000 k|1\.00 M)$/) : text)),
    );
    expect([null, Number.NaN, Infinity, -1].map(short)).toEqual(['–', '–', '–', '–']);
    expect([1234.4, null].map(whole)).toEqual(['1,234', '–']);
    expect([1_234_000, Number.NaN].map(size)).toEqual(['1.23 MB', '–']);
  });

  test('times', () => {
    expect([0, 7, 999, 1000, 12_345, 123_456, 1_234_567, 99.9e6, 3e9].map(nanoseconds)).toEqual([
      '0 ns',
      '7 ns',
      '999 ns',
      '1.0 µs',
      '12 µs',
      '123 µs',
      '1.2 ms',
      '99.9 ms',
      '3.0 s',
    ]);
    expect([0, 9900, 12_000, 61_000, 3_661_000, 90_000_000].map(duration)).toEqual([
      '0.0 s',
      '9.9 s',
      '12 s',
      '1 m 01 s',
      '1 h 01 m',
      '1 d 01 h',
    ]);
  });

  test('texts are cut by the columns that they take', () => {
    expect(shorten('abcdef', 6)).toBe('abcdef');
    expect(shorten('abcdef', 5)).toBe('abcd…');
    expect(shorten('abcdef', 5, true)).toBe('…cdef');
    expect(shorten('取引所', 5)).toBe('取引…');
    expect(shorten('取引所', 4)).toBe('取…');
    expect(widthOf('取引所')).toBe(6);
    expect(widthOf('e\u0301')).toBe(1);
    expect([shorten('ab', 1), shorten('ab', 0)]).toEqual(['…', '']);
  });
});
