import { closestString } from 'deno-std/text/closest_string.js';
import { levenshteinDistance } from 'deno-std/text/levenshtein_distance.js';
import { type Forms, showNode } from './forms.js';
import type { Key } from './keys.js';
import type { Mistakes, Place } from './mistake.js';
import type { Entry, Node, Table } from './toml.js';

/** A name that was mistyped is not further from the one that was meant. */
const MOST_DISTANCE = 3;

const quote = (name: string) => JSON.stringify(name);

export const listed = (names: readonly string[]): string =>
  names
    .map(quote)
    .join(', ')
    .replace(/, ([^,]*)$/, ' or $1');

/** ` (did you mean …?)`, where one of the names is near. */
export function suggest(name: string, names: readonly string[]): string {
  if (names.length === 0 || name.length > 100) return '';
  const near = closestString(name, [...names]);
  const distance = levenshteinDistance(name.toLowerCase(), near);
  return distance <= MOST_DISTANCE && distance < near.length ? ` (did you mean ${near}?)` : '';
}

/** A table's values by their keys; what is wrong with one, or is no key, is told and left out. */
export class Section {
  readonly table: Table;
  /** Where its header is. */
  readonly at: Place;
  readonly prefix: string;
  readonly #mistakes: Mistakes;
  readonly #values = new Map<string, unknown>();

  /** @param prefix of its keys in messages: `feed.binance.` */
  constructor(
    { table, at, prefix }: { table: Table; at: Place; prefix: string },
    keys: Record<string, Key>,
    forms: Forms,
    mistakes: Mistakes,
  ) {
    this.table = table;
    this.at = at;
    this.prefix = prefix;
    this.#mistakes = mistakes;
    for (const { name, at: place, node, again } of table.entries) {
      if (!Object.hasOwn(keys, name)) {
        mistakes.tell(place, `there is no key ${prefix}${name}${suggest(name, Object.keys(keys))}`);
        continue;
      }
      const value = forms.read(keys[name].form, `${prefix}${name}`, node);
      if (value !== undefined && !again) this.#values.set(name, value);
    }
  }

  /** Its value, if it is there and of the right form. */
  get<T>(name: string): T | undefined {
    return this.#values.get(name) as T | undefined;
  }

  entry(name: string): Entry | undefined {
    return this.table.get(name);
  }

  /** Whether it is there, be it right or wrong. */
  has(name: string): boolean {
    return this.table.get(name) !== undefined;
  }

  /** Tells that a value, or an element of one, is not what it must be. */
  refuse(name: string, expected: string, element?: number): void {
    const { node } = this.table.get(name)!;
    const of: Node = element !== undefined && node.kind === 'array' ? node.value[element] : node;
    const index = element === undefined ? '' : `[${element}]`;
    this.#mistakes.tell(of.at, `${this.prefix}${name}${index} is ${showNode(of)}: ${expected}`);
    this.#values.delete(name);
  }

  missing(name: string, expected: string): void {
    this.#mistakes.missing(this.at, `${this.prefix}${name} is missing: ${expected}`);
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const value = this.get<string>(name);
    if (value === undefined || choices.includes(value as T)) return value as T | undefined;
    this.refuse(name, `it must be ${listed(choices)}${suggest(value, choices)}`);
    return undefined;
  }

  whole(name: string, low: number, high: number, unit = ''): number | undefined {
    const value = this.get<number>(name);
    if (value === undefined || (value >= low && value <= high)) return value;
    this.refuse(name, `it must be from ${low} to ${high}${unit}`);
    return undefined;
  }
}
