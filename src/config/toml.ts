import { type AST, ParseError, parseTOML } from 'toml-eslint-parser';
import type { Mistakes, Place } from './mistake.js';

/** No configuration is longer, in characters. */
const MOST_TEXT = 256 * 1024;
/** After so many lines that are no TOML the rest is not looked at. */
const MOST_UNREADABLE = 20;
/** Open at once, those in texts and comments included: the parser goes as deep as these. */
const MOST_BRACKETS = 500;
/** How far back a value that is not ended is looked for, in lines. */
const MOST_LINES_BACK = 100;

/** A value, with its place and how it is written. */
export type Node = { at: Place; source: string } & (
  | { kind: 'text'; value: string }
  | { kind: 'number'; value: number }
  | { kind: 'boolean'; value: boolean }
  | { kind: 'time'; value: string }
  | { kind: 'array'; value: Node[] }
  | { kind: 'table'; value: Table }
);

export interface Entry {
  name: string;
  /** Of its key. */
  at: Place;
  node: Node;
  /** The name was there before: a mistake that is already told. */
  again: boolean;
}

export class Table {
  readonly entries: Entry[] = [];
  readonly #first = new Map<string, Entry>();

  add(entry: Entry): void {
    this.entries.push(entry);
    if (!entry.again) this.#first.set(entry.name, entry);
  }

  /** The first of that name. */
  get(name: string): Entry | undefined {
    return this.#first.get(name);
  }
}

/** Reads all that can be read of a TOML text, whatever it is, and tells what can't be. */
export function readToml(text: string, mistakes: Mistakes): Table {
  const start = { line: 1, column: 1 };
  const giveUp = (message?: string) => {
    if (message !== undefined) mistakes.tell(start, message);
    mistakes.incomplete = true;
    return new Table();
  };
  if (text.length > MOST_TEXT) {
    return giveUp(`too long for a configuration: ${text.length} characters, of ${MOST_TEXT} at most`);
  }
  const aliases = new Map<string, string>();
  let left = text.replace(/^\ufeff/, ' ');
  for (let leftOut = 0; leftOut < MOST_UNREADABLE && aliases.size < MOST_UNREADABLE; ) {
    const outcome = parse(left);
    if (outcome === null) return giveUp('arrays or tables are nested too deeply');
    if (!(outcome instanceof ParseError)) return new Builder(left, aliases, mistakes).build(outcome.body[0]);
    const renamed = isRepeated(outcome) ? renameAt(left, outcome.index, aliases) : null;
    if (renamed !== null) left = renamed;
    else {
      left = leaveOut(left, outcome, mistakes);
      mistakes.incomplete = true;
      leftOut++;
    }
  }
  return giveUp();
}

const isRepeated = ({ message }: ParseError) => message.includes('multiple times');

/** Null where it is nested too deeply. */
function parse(text: string): AST.TOMLProgram | ParseError | null {
  let depth = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1;
    if (depth > MOST_BRACKETS) return null;
  }
  try {
    return parseTOML(text, { tomlVersion: '1.1' });
  } catch (error) {
    if (error instanceof ParseError) return error;
    throw error;
  }
}

const NAME = /(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')/y;

/** The text with a name of its own for a key or table that is there again, so that what it holds is checked too. */
function renameAt(text: string, index: number, aliases: Map<string, string>): string | null {
  NAME.lastIndex = index;
  const found = NAME.exec(text)?.[0];
  if (found === undefined) return null;
  const alias = `\u0001${aliases.size}`;
  aliases.set(alias, /^["']/.test(found) ? found.slice(1, -1) : found);
  return `${text.slice(0, index)}"\\u0001${aliases.size - 1}"${text.slice(index + found.length)}`;
}

/** The text without what can't be read there: its line, or all lines of a value that is not ended. */
function leaveOut(text: string, error: ParseError, mistakes: Mistakes): string {
  const lines = text.split('\n');
  const at = Math.min(error.lineNumber, lines.length) - 1;
  let from = at;
  const readable = (count: number) => {
    const outcome = parse(lines.slice(0, count).join('\n'));
    return !(outcome instanceof ParseError) || isRepeated(outcome);
  };
  while (from > 0 && at - from < MOST_LINES_BACK && !readable(from)) from--;
  let end = at + 1;
  let message = lowered(error.message);
  if (from < at) {
    message = /=\s*(?:#.*)?$/.test(lines[from].trimEnd())
      ? 'the value is missing'
      : `not ended, or wrong on line ${at + 1}: ${message}`;
    if (/^\s*(?:\[|[\w."'-]+\s*=)/.test(lines[at])) end = at;
  } else {
    const near = lines[at].slice(Math.max(0, error.column), Math.max(0, error.column) + 20).trim();
    message = `${message}${near === '' ? ' at the end of the line' : ` at ${JSON.stringify(near)}`}`;
  }
  for (let line = from; line < end; line++) lines[line] = '';
  const column = from < at ? 1 : error.column + 1;
  mistakes.tell({ line: from + 1, column }, `not TOML: ${message}`);
  return lines.join('\n');
}

const lowered = (message: string) => message.charAt(0).toLowerCase() + message.slice(1);

const placeOf = ({ loc }: AST.TOMLNode): Place => ({ line: loc.start.line, column: loc.start.column + 1 });

class Builder {
  readonly #text: string;
  readonly #aliases: Map<string, string>;
  readonly #mistakes: Mistakes;
  /** By table: the entry that stands for a renamed one. */
  readonly #renamed = new Map<string, Entry>();

  constructor(text: string, aliases: Map<string, string>, mistakes: Mistakes) {
    this.#text = text;
    this.#aliases = aliases;
    this.#mistakes = mistakes;
  }

  build(top: AST.TOMLTopLevelTable): Table {
    const root = new Table();
    for (const item of top.body) {
      if (item.type === 'TOMLKeyValue') this.#keyValue(root, item);
      else {
        const table = this.#tableAt(root, item.key, item.kind === 'array');
        for (const keyValue of item.body) this.#keyValue(table, keyValue);
      }
    }
    return root;
  }

  #keyValue(table: Table, { key, value }: AST.TOMLKeyValue): void {
    const last = key.keys[key.keys.length - 1];
    this.#entry(this.#descend(table, key.keys.slice(0, -1)), last, () => this.#node(value));
  }

  #tableAt(root: Table, key: AST.TOMLKey, ofArray: boolean): Table {
    const last = key.keys[key.keys.length - 1];
    const parent = this.#descend(root, key.keys.slice(0, -1));
    const made = (): Node => ({ at: placeOf(key), source: this.#source(key), kind: 'table', value: new Table() });
    if (!ofArray) return tableOf(this.#entry(parent, last, made));
    const entry = this.#entry(parent, last, () => ({ ...made(), kind: 'array', value: [] }));
    if (entry.node.kind === 'array') entry.node.value.push(made());
    return tableOf(entry);
  }

  #descend(table: Table, keys: (AST.TOMLBare | AST.TOMLQuoted)[]): Table {
    let at = table;
    for (const key of keys) {
      const made = (): Node => ({
        at: placeOf(key),
        source: this.#source(key),
        kind: 'table',
        value: new Table(),
      });
      at = tableOf(this.#entry(at, key, made));
    }
    return at;
  }

  /** The entry of a key, made if need be. */
  #entry(table: Table, key: AST.TOMLBare | AST.TOMLQuoted, make: () => Node): Entry {
    const written = key.type === 'TOMLBare' ? key.name : key.value;
    const alias = this.#aliases.get(written);
    const there = alias === undefined ? table.get(written) : this.#renamed.get(written);
    if (there !== undefined) return there;
    const at = placeOf(key);
    const name = alias ?? written;
    const entry = { name, at, node: make(), again: alias !== undefined };
    table.add(entry);
    if (alias !== undefined) {
      this.#renamed.set(written, entry);
      const first = table.get(name);
      const where = first === undefined ? '' : `, as it was given on line ${first.at.line}`;
      this.#mistakes.tell(at, `${name} is there twice${where}: remove one`);
    }
    return entry;
  }

  #source({ range }: AST.TOMLNode): string {
    return this.#text.slice(...range);
  }

  #node(content: AST.TOMLContentNode): Node {
    const common = { at: placeOf(content), source: this.#source(content) };
    if (content.type === 'TOMLArray') {
      return { ...common, kind: 'array', value: content.elements.map((element) => this.#node(element)) };
    }
    if (content.type === 'TOMLInlineTable') {
      const table = new Table();
      for (const keyValue of content.body) this.#keyValue(table, keyValue);
      return { ...common, kind: 'table', value: table };
    }
    switch (content.kind) {
      case 'string':
        return { ...common, kind: 'text', value: content.value };
      case 'integer':
      case 'float':
        return { ...common, kind: 'number', value: content.value };
      case 'boolean':
        return { ...common, kind: 'boolean', value: content.value };
      default:
        return { ...common, kind: 'time', value: content.datetime };
    }
  }
}

/** A table, or the last one of an array of tables. The parser has refused keys that lead through anything else. */
function tableOf({ node }: Entry): Table {
  const last = node.kind === 'array' ? node.value.at(-1) : node;
  return last?.kind === 'table' ? last.value : new Table();
}
