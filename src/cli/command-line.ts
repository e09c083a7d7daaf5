import { parseArgs } from 'deno-std/cli/parse_args.js';
import { closestString } from 'deno-std/text/closest_string.js';
import { levenshteinDistance } from 'deno-std/text/levenshtein_distance.js';

/** The command line can't be used. Exit status 2. */
export class UsageError extends Error {}

/** How a shell completes a value: a path, or one of some words. */
export type Completion = 'directory' | 'file' | readonly string[];

/** An option of a command. One without `value` is a flag. */
export interface OptionSpec {
  name: string;
  /** What stands for its value in the help: `N`, `FILE`. */
  value?: string;
  /** May be given more than once, and several values at once with commas between them. */
  list?: boolean;
  help: string;
  /** Left out: by what stands for its value, where that is DIR or FILE. */
  complete?: Completion;
}

/** The one of `words` that `word` may be a slip of, as a question; empty where none is near. */
export function suggest(word: string, words: readonly string[]): string {
  const begun = words.find((candidate) => candidate.startsWith(word));
  const nearest = begun ?? closestString(word, [...words]);
  const isNear = begun !== undefined || levenshteinDistance(word, nearest) <= Math.floor(nearest.length / 2);
  return isNear ? `: did you mean ${nearest}?` : '';
}

/** The options of a command line: texts by name; flags are `true`. */
export class CommandLine {
  readonly operands: string[];
  readonly #values: Record<string, unknown>;

  /** @throws UsageError for an option that isn't among `options`, or that lacks its value */
  constructor(args: string[], options: readonly OptionSpec[]) {
    const names = (hasValue: boolean) =>
      options.filter(({ value }) => (value !== undefined) === hasValue).map(({ name }) => name);
    const unknown: string[] = [];
    this.#values = parseArgs(args, {
      string: [...names(true), '_'],
      boolean: [...names(false), 'help'],
      collect: options.filter(({ list }) => list).map(({ name }) => name),
      alias: { h: 'help' },
      unknown: (argument, key) => {
        if (key === undefined) return true;
        unknown.push(argument.split('=')[0]);
        return false;
      },
    });
    this.operands = (this.#values._ as unknown[]).map(String);
    for (const name of names(true)) {
      if ([this.#values[name]].flat().includes('')) throw new UsageError(`--${name} needs a value`);
    }
    if (unknown.length > 0) {
      const known = [...options.map(({ name }) => `--${name}`), '--help'];
      throw new UsageError(`unknown option ${unknown[0]}${suggest(unknown[0], known)}`);
    }
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    return this.#values[name] as string | undefined;
  }

  /** The values of a list; empty where it is not given. */
  list(name: string): string[] {
    const values = (this.#values[name] as string[]).flatMap((value) => value.split(','));
    if (values.includes('')) throw new UsageError(`--${name} has an empty value`);
    return values;
  }

  /** @throws UsageError unless it is a whole number from `low` to `high` */
  whole<T>(name: string, low: number, high: number, byDefault: T): number | T {
    const text = this.text(name);
    if (text === undefined) return byDefault;
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < low || value > high) {
      const range = `${low.toLocaleString('en')} to ${high.toLocaleString('en')}`;
      throw new UsageError(`--${name} is a whole number from ${range}, not ${JSON.stringify(text)}`);
    }
    return value;
  }
}

/** Options as the lines of a help text. */
export function describeOptions(options: readonly OptionSpec[]): string {
  const left = options.map(({ name, value }) => `  --${name}${value === undefined ? '' : ` ${value}`}`);
  const width = Math.max(...left.map(({ length }) => length)) + 2;
  return options
    .map(({ help }, i) => left[i].padEnd(width) + help.replaceAll('\n', `\n${' '.repeat(width)}`))
    .join('\n');
}
