import fc from 'fast-check';

const SPACE = fc.constantFrom('', '', '', '', ' ', '\n', '\t \r\n');

/** One of the ways to write a string in JSON: some characters as escapes. */
export const spelledString = (content: string): fc.Arbitrary<string> =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: content.length, maxLength: content.length }).map((dice) => {
    const characters = Array.from({ length: content.length }, (_, i) => {
      const code = content.charCodeAt(i);
      if (dice[i] === 0) return `\\u${code.toString(16).padStart(4, '0')}`;
      return JSON.stringify(content[i]).slice(1, -1);
    });
    return `"${characters.join('')}"`;
  });

/** Text that is to be taken as it is: a number in a spelling that JSON.stringify would not give. */
export class Literal {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** One of the ways to write a value in JSON: members in any order, white space anywhere. */
export function spelled(value: unknown): fc.Arbitrary<string> {
  if (value instanceof Literal) return fc.constant(value.text);
  if (typeof value === 'string') return spelledString(value);
  if (typeof value !== 'object' || value === null) return fc.constant(JSON.stringify(value));
  const parts = Array.isArray(value)
    ? fc.tuple(...value.map((item) => spaced(spelled(item))))
    : fc
        .shuffledSubarray(Object.entries(value), { minLength: Object.keys(value).length })
        .chain((entries) => fc.tuple(...entries.map(([name, item]) => member(name, item))));
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return fc.tuple(SPACE, parts, SPACE).map(([before, all, after]) => before + open + all.join(',') + close + after);
}

const spaced = (text: fc.Arbitrary<string>) => fc.tuple(SPACE, text, SPACE).map((parts) => parts.join(''));

const member = (name: string, value: unknown) =>
  fc.tuple(spaced(spelledString(name)), spaced(spelled(value))).map((parts) => parts.join(':'));

/** The text cut short, or with some of its characters taken away, put in, or others. */
export const damaged = (text: string): fc.Arbitrary<string> =>
  fc.oneof(
    fc.nat({ max: text.length }).map((length) => text.slice(0, length)),
    fc
      .array(
        fc.tuple(fc.nat({ max: text.length }), fc.nat({ max: 2 }), fc.constantFrom(...'{}[]",:\\0123.-eu \n\0x', '')),
        {
          minLength: 1,
          maxLength: 3,
        },
      )
      .map((changes) =>
        changes.reduce((before, [at, length, put]) => before.slice(0, at) + put + before.slice(at + length), text),
      ),
  );
