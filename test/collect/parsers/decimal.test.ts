import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decimalOf, isScaled, NOT_DECIMAL, TOO_FINE, TOO_LARGE } from '../../../dist/src/collect/parsers/decimal.js';
import { JsonScanner } from '../../../dist/src/collect/parsers/json-scanner.js';
import { scaledOf } from '../../helpers/events.js';

const anyScale = fc.integer({ min: 0, max: 15 });
const digits = (maxLength: number) => fc.stringMatching(new RegExp(`^[0-9]{0,${maxLength}}$`));
/** Of many lengths, with zeros at both ends as often as not, signs and exponents now and then. */
const decimalText = fc
  .tuple(
    fc.constantFrom('', '', '', '-'),
    fc.constantFrom('', '0', '000'),
    digits(18),
    fc.option(fc.tuple(digits(17), fc.constantFrom('', '0', '0000000'))),
    fc.option(fc.tuple(fc.constantFrom('e', 'E'), fc.constantFrom('', '+', '-'), fc.nat({ max: 25 })), { freq: 8 }),
  )
  .map(([sign, zeros, whole, fraction, exponent]) => {
    const places = fraction === null ? '' : `.${fraction.join('')}`;
    return `${sign}${zeros}${whole}${places}${exponent?.join('') ?? ''}`;
  });

/** What the scanner reads, and whether it is behind the value then. */
function scanned(value: string, scale: number): number {
  const json = new JsonScanner();
  json.begin(` ${value} `);
  const number = json.decimal(scale);
  if (isScaled(number)) expect(json.end()).toBe(true);
  return number;
}

test('is exact, or refused: as bigints say', () => {
  let kept = 0;
  fc.assert(
    fc.property(decimalText, anyScale, (text, scale) => {
      const expected = scaledOf(text, scale);
      const got = decimalOf(text, 0, text.length, scale);
      if (expected === null) expect(got).toBeOneOf([NOT_DECIMAL, TOO_FINE, TOO_LARGE]);
      else expect(got).toBe(expected === 0 ? 0 : expected);
      expect(scanned(`"${text}"`, scale)).toBe(got);
      if (expected !== null && expected !== 0) kept++;
    }),
    { numRuns: 5000 },
  );
  expect(kept).toBeGreaterThan(500);
});

test('a JSON number is read the same where JSON takes it', () => {
  fc.assert(
    fc.property(decimalText, anyScale, (text, scale) => {
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      const json = new JsonScanner();
      json.begin(`[${text},${text}]`);
      json.firstElement();
      const got = json.decimal(scale);
      if (isJson) {
        expect(got).toBe(decimalOf(text, 0, text.length, scale));
        expect(json.nextElement()).toBe(true);
      } else if (isScaled(got)) {
        // A number, but with something behind it.
        json.nextElement();
        expect(json.failed).toBe(true);
      } else expect(json.failed).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

describe('at the edges', () => {
  const MAX = '9007199254740991';
  test.each([
    [MAX, 0, 9007199254740991],
    [`-${MAX}`, 0, -9007199254740991],
    ['9007199254740992', 0, TOO_LARGE],
    ['90071992547409.91', 2, 9007199254740991],
    ['90071992547409.92', 2, TOO_LARGE],
    ['90071992547409.910000', 2, 9007199254740991],
    ['999999999999999', 15, TOO_LARGE],
    ['0.000000000000001', 15, 1],
    ['0.0000000000000010', 15, 1],
    ['0.0000000000000001', 15, TOO_FINE],
    ['9007199254740991.5', 0, TOO_FINE],
    ['-0', 2, 0],
    ['-0.00', 2, 0],
    ['0e999999999999999999', 2, 0],
    ['1e999999999999999999', 2, TOO_LARGE],
    ['1e-999999999999999999', 2, TOO_FINE],
    ['1000e-3', 0, 1],
    [`1${'0'.repeat(400)}e-400`, 0, 1],
    ['61800.20', 2, 6180020],
  ])('%s at scale %i', (text, scale, expected) => {
    expect(decimalOf(text, 0, text.length, scale)).toBe(expected);
    expect(scanned(`"${text}"`, scale)).toBe(expected);
  });

  test.each([
    '',
    '.',
    '.5',
    '5.',
    '-',
    '-.5',
    '+5',
    '1.2.3',
    '1e',
    '1e+',
    '1e5.0',
    'x',
    ' 1',
    '1 ',
    '0x10',
    '1_0',
    '١',
    'NaN',
  ])('%j is none', (text) => {
    expect(decimalOf(text, 0, text.length, 2)).toBe(NOT_DECIMAL);
    expect(scanned(`"${text}"`, 2)).toBe(NOT_DECIMAL);
  });

  test.each(['null', 'true', '[1]', '{"a":1}', '""'])('%s is none, and stepped over', (value) => {
    const json = new JsonScanner();
    json.begin(value);
    expect(json.decimal(2)).toBe(NOT_DECIMAL);
    expect(json.end()).toBe(true);
  });
});
