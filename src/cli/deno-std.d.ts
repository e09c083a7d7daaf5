// What is used of deno-std: the package has no declarations of its own.

declare module 'deno-std/cli/parse_args.js' {
  export interface ParseOptions {
    string?: string[];
    boolean?: string[];
    collect?: string[];
    alias?: Record<string, string>;
    unknown?: (argument: string, key?: string, value?: unknown) => unknown;
  }
  export function parseArgs(args: string[], options: ParseOptions): { _: (string | number)[]; [name: string]: unknown };
}

declare module 'deno-std/text/closest_string.js' {
  export function closestString(word: string, words: string[]): string;
}

declare module 'deno-std/text/levenshtein_distance.js' {
  export function levenshteinDistance(a: string, b: string): number;
}

declare module 'deno-std/fmt/bytes.js' {
  export function format(bytes: number, options?: { binary?: boolean }): string;
}

declare module 'deno-std/fmt/colors.js' {
  export function setColorEnabled(enabled: boolean): void;
  export function bold(text: string): string;
  export function dim(text: string): string;
  export function cyan(text: string): string;
  export function green(text: string): string;
  export function red(text: string): string;
  export function yellow(text: string): string;
}

declare module 'deno-std/text/closest_string.js' {
  export function closestString(givenWord: string, possibleWords: readonly string[]): string;
}

declare module 'deno-std/text/levenshtein_distance.js' {
  export function levenshteinDistance(one: string, other: string): number;
}
