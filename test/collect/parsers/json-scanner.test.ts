import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonScanner, KeyTable, NO_MEMBER, UNKNOWN_KEY } from '../../../dist/src/collect/parsers/json-scanner.js';
import { damaged, spelled } from '../../helpers/json.js';

function takes(text: string): boolean {
  const json = new JsonScanner();
  json.begin(text);
  json.skip();
  return json.end();
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test('takes what JSON.parse takes', () => {
  fc.assert(
    fc.property(
      fc.json({ maxDepth: 5 }).chain((text) => spelled(JSON.parse(text))),
      (text) => takes(text),
    ),
    { numRuns: 500 },
  );
});

test('and nothing else', () => {
  let refused = 0;
  fc.assert(
    fc.property(
      fc
        .json({ maxDepth: 3 })
        .chain((text) => spelled(JSON.parse(text)))
        .chain(damaged),
      (text) => {
        expect(takes(text), text).toBe(isJson(text));
        if (!isJson(text)) refused++;
      },
    ),
    { numRuns: 3000 },
  );
  expect(refused).toBeGreaterThan(500);
});

test.each([
  ...[
    '',
    ' ',
    '01',
    '-',
    '-01',
    '1.',
    '.1',
    '1e',
    '1e+',
    '+1',
    'tru',
    'nulll',
    'True',
    '"',
    '"\\"',
    '"\\x"',
    '"\\u12g4"',
  ],
  ...[
    '"\\u123"',
    '"\n"',
    '"\u0001"',
    '[',
    '[1',
    '[1,',
    '[1,]',
    '[,1]',
    '[1 2]',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
  ],
  ...[
    '{"a":1,}',
    '{a:1}',
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{"a\n":1}',
    '[1}',
    '{"a":1]',
    '1 1',
    '\u00a01',
    '\ufeff1',
    "'a'",
    '\u000b1',
  ],
  ...[
    '[]',
    '{}',
    ' [ ] ',
    ' { } ',
    '"\\ud83d"',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"',
    '-0.0e-0',
    '"\u2028"',
    '"\u007f"',
  ],
])('%j', (text) => expect(takes(text)).toBe(isJson(text)));

test('256 values in each other, and no more', () => {
  const nested = (depth: number) => `${'[{"a":'.repeat(depth / 2)}1${'}]'.repeat(depth / 2)}`;
  expect(takes(nested(256))).toBe(true);
  expect(takes(nested(258))).toBe(false);
  expect(takes('['.repeat(1_000_000))).toBe(false);
});

describe('keys', () => {
  const names = ['a', 'b', 'data', 'datb', 'bids', 'lastUpdateId', 'Aa'];
  const keys = new KeyTable(names);

  function keysOf(text: string): number[] {
    const json = new JsonScanner();
    json.begin(text);
    const found: number[] = [];
    for (let key = json.firstMember(keys); key !== NO_MEMBER; key = json.nextMember(keys)) {
      found.push(key);
      json.skip();
    }
    expect(json.end()).toBe(true);
    return found;
  }

  test('by number, also with escapes', () => {
    expect(keysOf(JSON.stringify(Object.fromEntries(names.map((name) => [name, {}]))))).toEqual([...names.keys()]);
    expect(keysOf('{"d\\u0061ta":1,"\\u0061":[],"x":{}}')).toEqual([2, 0, UNKNOWN_KEY]);
  });

  test('two of the same hash are refused', () => expect(() => new KeyTable(['Aa', 'BB'])).toThrow('hashes'));

  test('no other key is one of them', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.constantFrom('BB', 'aa', 'dat', 'data ', 'bid', 'C#', 'AaBB')), (name) => {
        expect(keysOf(JSON.stringify({ [`${name}`]: 1 }))).toEqual([names.indexOf(name)]);
      }),
    );
  });
});
