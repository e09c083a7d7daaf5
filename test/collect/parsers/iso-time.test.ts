import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isoTimeUs } from '../../../dist/src/collect/parsers/iso-time.js';

const usOf = (text: string) => isoTimeUs(`"${text}"`, 1, text.length + 1);

test('as Date.parse says, and microseconds', () => {
  const date = fc.date({ min: new Date(0), max: new Date('2200-01-01'), noInvalidDate: true });
  fc.assert(
    fc.property(date, fc.nat({ max: 999 }), fc.integer({ min: -1439, max: 1439 }), (at, us, offset) => {
      const text = at.toISOString();
      expect(usOf(text)).toBe(at.getTime() * 1000);
      expect(usOf(text.replace('Z', `${String(us).padStart(3, '0')}Z`))).toBe(at.getTime() * 1000 + us);
      expect(usOf(text.replace(/\.\d+/, ''))).toBe(Math.floor(at.getTime() / 1000) * 1_000_000);
      const minutes = Math.abs(offset);
      const zone = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, '0')).join(':');
      const zoned = text.replace('Z', `${offset < 0 ? '-' : '+'}${zone}`);
      if (Date.parse(zoned) >= 0) expect(usOf(zoned)).toBe(Date.parse(zoned) * 1000);
    }),
    { numRuns: 500 },
  );
});

test('what is finer than a microsecond is cut off', () => {
  expect(usOf('1970-01-01T00:00:01.1Z')).toBe(1_100_000);
  expect(usOf('1970-01-01T00:00:01.123456999Z')).toBe(1_123_456);
});

test.each([
  ...[
    '',
    'x',
    '2014-11-07',
    '2014-11-07T08:19:27',
    '2014-11-07 08:19:27Z',
    '2014-11-07T08:19Z',
    '2014-13-07T08:19:27Z',
  ],
  ...[
    '2014-00-07T08:19:27Z',
    '2014-11-31T08:19:27Z',
    '2014-11-00T08:19:27Z',
    '2013-02-29T08:19:27Z',
    '2100-02-29T00:00:00Z',
  ],
  ...[
    '2014-11-07T24:00:00Z',
    '2014-11-07T08:60:27Z',
    '2014-11-07T08:19:60Z',
    '2014-11-07T08:19:27.Z',
    '2014-11-07T08:19:27ZZ',
  ],
  ...[
    '2014-11-07T08:19:27+0100',
    '2014-11-07T08:19:27+24:00',
    '2014-11-07T08:19:27.028459',
    '1969-12-31T23:59:59Z',
    '2014-1１-07T08:19:27Z',
  ],
])('%j is none', (text) => expect(usOf(text)).toBeLessThan(0));
