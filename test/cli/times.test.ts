import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UsageError } from '../../dist/src/cli/command-line.js';
import { formatTimeNs, parseDurationMs, parseDurationNs, parseTimeNs } from '../../dist/src/cli/times.js';

const LEAST = -(2n ** 63n);
const GREATEST = 2n ** 63n - 1n;
const ns = fc.oneof(
  fc.bigInt({ min: LEAST, max: GREATEST }),
  fc.constantFrom(LEAST, GREATEST, 0n, -1n, 1n, -1_000_000_000n, -999_999_999n),
  // Around the ends of seconds and of days.
  fc.tuple(fc.bigInt({ min: -100_000n, max: 100_000n }), fc.bigInt({ min: -2n, max: 2n })).map(([days, off]) => {
    return days * 86_400_000_000_000n + off;
  }),
);

test('a time that was written is read back, whatever i64 it is', () => {
  fc.assert(
    fc.property(ns, (time) => {
      const text = formatTimeNs(time);
      expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
      expect(parseTimeNs(text, 0n)).toBe(time);
      expect(parseTimeNs(String(time), 0n)).toBe(time);
    }),
    { numRuns: 1000 },
  );
});

test('the order of texts is that of times', () => {
  fc.assert(
    fc.property(ns, ns, (a, b) => {
      expect(formatTimeNs(a) < formatTimeNs(b)).toBe(a < b);
    }),
  );
});

test('milliseconds are as Date has them, in every day of leap years and others', () => {
  for (const year of [1700, 1900, 1970, 2000, 2023, 2024, 2100, 2261]) {
    for (let day = 0; day < 366; day++) {
      const date = new Date(Date.UTC(year, 0, 1 + day, 23, 59, 59, 999));
      const time = BigInt(date.getTime()) * 1_000_000n;
      expect(parseTimeNs(date.toISOString(), 0n)).toBe(time);
      expect(formatTimeNs(time)).toBe(date.toISOString().replace('Z', '000000Z'));
      const midnight = BigInt(Date.UTC(year, 0, 1 + day)) * 1_000_000n;
      expect(parseTimeNs(date.toISOString().slice(0, 10), 0n)).toBe(midnight);
    }
  }
});

test('a zone moves a time by its offset', () => {
  const offset = fc.tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }));
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }), offset, (time, [sign, hours, minutes]) => {
      const zone = `${sign}${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`;
      const ahead = BigInt(hours * 60 + minutes) * 60_000_000_000n * (sign === '+' ? 1n : -1n);
      const local = formatTimeNs(time + ahead).replace('Z', zone);
      expect(parseTimeNs(local, 0n)).toBe(time);
      expect(parseTimeNs(local.replace(/:(\d\d)$/, '$1'), 0n)).toBe(time);
    }),
  );
});

test.each([
  ['2024-08-08T23:54:15.088169167Z', 1_723_161_255_088_169_167n],
  ['2024-08-08 23:54:15.088169167', 1_723_161_255_088_169_167n],
  ['2024-08-09T01:54:15.088169167+02:00', 1_723_161_255_088_169_167n],
  ['2024-08-09T01:54:15.088169167+02', 1_723_161_255_088_169_167n],
  ['2024-08-08T23:54', 1_723_161_240_000_000_000n],
  ['2024-08-08T23:54:15.5', 1_723_161_255_500_000_000n],
  ['1969-12-31T23:59:59.999999999Z', -1n],
  ['2024-02-29', 1_709_164_800_000_000_000n],
  ['1970-01-01', 0n],
  ['0', 0n],
  ['-5', -5n],
])('%s', (text, time) => expect(parseTimeNs(text, 7n)).toBe(time));

test('times that are told from now on backwards', () => {
  const now = 1_000_000_000_000_000_000n;
  expect(parseTimeNs('now', now)).toBe(now);
  expect(parseTimeNs('-15m', now)).toBe(now - 900_000_000_000n);
  expect(parseTimeNs('-1h30m', now)).toBe(now - 5_400_000_000_000n);
  expect(parseTimeNs('-250ms', now)).toBe(now - 250_000_000n);
});

test.each([
  '',
  'yesterday',
  '2024-13-01',
  '2023-02-29',
  '1900-02-29',
  '2024-04-31',
  '2024-08-08T24:00',
  '2024-08-08T23:60',
  '2024-08-08T23:59:60',
  '2024-08-08T23:54:15.0881691671Z',
  '2024-08-08T23:54:15.',
  '2024-08-08T23',
  '2024-08-08Z',
  '2024-08-08T23:54:15+24:00',
  '2024-08-08T23:54:15+2',
  ' 2024-08-08',
  '2024-8-8',
  '1600-01-01',
  '0050-01-01',
  '2263-01-01',
  '9223372036854775808',
  '-9223372036854775809',
  '1e9',
  '-',
  '-15x',
  '+15m',
])('%j is no time, and the error says what is one', (text) => {
  expect(() => parseTimeNs(text, 0n)).toThrow(UsageError);
  expect(() => parseTimeNs(text, 0n)).toThrow(/2024-08-08T23:54:15.*now.*-15m.*ns since 1970/);
});

test('any text is a time, or a UsageError', () => {
  const likely = fc.stringMatching(/^[-+0-9TZ:. dhmsnu]{0,30}$/);
  fc.assert(
    fc.property(fc.oneof(likely, fc.string()), (text) => {
      for (const parse of [() => parseTimeNs(text, 0n), () => parseDurationNs(text)]) {
        try {
          const time = parse();
          expect(time >= LEAST && time <= GREATEST).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test('durations', () => {
  expect(parseDurationNs('250ms')).toBe(250_000_000n);
  expect(parseDurationNs('1s')).toBe(1_000_000_000n);
  expect(parseDurationNs('15m')).toBe(900_000_000_000n);
  expect(parseDurationNs('1h30m')).toBe(5_400_000_000_000n);
  expect(parseDurationNs('1d')).toBe(86_400_000_000_000n);
  expect(parseDurationNs('1d2h3m4s5ms6us7ns')).toBe(93_784_005_006_007n);
  expect(parseDurationNs('0s')).toBe(0n);
  expect(parseDurationMs('1s')).toBe(1000);
  expect(parseDurationMs('1500us')).toBe(1.5);
});

test.each(['', '15', 'm', '-1s', '1.5s', '1m1h', '1s1s', '1 s', '1w', '106752d', '1M'])(
  '%j is no duration, and the error says what is one',
  (text) => {
    expect(() => parseDurationNs(text)).toThrow(UsageError);
    expect(() => parseDurationMs(text)).toThrow(/250ms, 1s, 15m, 1h30m/);
  },
);
