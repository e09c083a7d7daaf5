import path from 'node:path';
import { parseDuration } from '../times.js';
import { hostAndPort } from './address.js';
import type { Form } from './keys.js';
import type { Mistakes } from './mistake.js';
import { sizeBytes } from './size.js';
import type { Node, Table } from './toml.js';

const MOST_SHOWN = 60;

/** A value as a message shows it: as it is written, on one line. */
export function showNode({ source }: Node): string {
  const line = source.replace(/\s+/g, ' ');
  return line.length > MOST_SHOWN ? `${line.slice(0, MOST_SHOWN)}…` : line;
}

const EXPECTED: Record<Form, string> = {
  text: 'a text in quotes',
  path: 'a path in quotes',
  paths: 'a list of paths, as in ["./d0", "./d1"]',
  texts: 'a list of texts, as in ["one", "two"]',
  whole: 'a whole number',
  duration: 'a duration such as "250ms", "30s" or "1h30m", or a number of ms',
  size: 'a size such as "64MiB" or "100GB", or a number of bytes',
  address: 'an address such as "127.0.0.1:9464"',
  messages: 'a list of messages, each a text or a table that is sent as JSON',
  table: 'a table',
  compression: '"adaptive" or true, "fast", "dense", "off" or false, or { zstd = 1 to 19 }',
};

/** Reads values as they should be written; each that is not is told, and undefined. */
export class Forms {
  readonly #directory: string;
  readonly #mistakes: Mistakes;

  /** @param directory that paths are relative to */
  constructor(directory: string, mistakes: Mistakes) {
    this.#directory = directory;
    this.#mistakes = mistakes;
  }

  read(form: Form, name: string, node: Node): unknown {
    const value = this.#value(form, name, node);
    if (value === null) {
      this.#mistakes.tell(node.at, `${name} is ${showNode(node)}: it must be ${EXPECTED[form]}`);
      return undefined;
    }
    return value;
  }

  /** Null where it is not of that form; undefined where that is told. */
  #value(form: Form, name: string, node: Node): unknown {
    switch (form) {
      case 'text':
        return node.kind === 'text' ? node.value : null;
      case 'whole':
        return node.kind === 'number' && Number.isSafeInteger(node.value) ? node.value : null;
      case 'path':
        return this.#path(node);
      case 'duration':
        return node.kind === 'text' ? durationMs(node.value) : this.#value('whole', name, node);
      case 'size':
        return node.kind === 'text' ? sizeBytes(node.value) : this.#value('whole', name, node);
      case 'address':
        return node.kind === 'text' ? hostAndPort(node.value) : null;
      case 'table':
        return node.kind === 'table' ? node.value : null;
      case 'compression':
        return compression(node);
      case 'paths':
      case 'texts':
        return this.#list(name, node, form === 'paths' ? 'path' : 'text');
      case 'messages':
        return this.#messages(name, node);
    }
  }

  #path(node: Node): string | null {
    if (node.kind !== 'text' || node.value === '' || node.value.includes('\0')) return null;
    return node.value === '-' ? '-' : path.resolve(this.#directory, node.value);
  }

  #list(name: string, node: Node, form: 'path' | 'text'): string[] | null | undefined {
    if (node.kind !== 'array') return null;
    const lines = new Map<unknown, number>();
    const values = node.value.map((element, i) => {
      const value = this.read(form, `${name}[${i}]`, element);
      const first = lines.get(value);
      if (value !== undefined && first !== undefined) {
        this.#mistakes.tell(
          element.at,
          `${name}[${i}] is ${showNode(element)}: it is there twice, first on line ${first}`,
        );
        return undefined;
      }
      lines.set(value, element.at.line);
      return value;
    });
    return values.includes(undefined) ? undefined : (values as string[]);
  }

  #messages(name: string, node: Node): string[] | null | undefined {
    if (node.kind !== 'array') return null;
    const messages = node.value.map((element, i) => {
      if (element.kind === 'text') return element.value;
      if (element.kind === 'table') return JSON.stringify(plain(element));
      this.#mistakes.tell(
        element.at,
        `${name}[${i}] is ${showNode(element)}: it must be a text, or a table that is sent as JSON`,
      );
      return undefined;
    });
    return messages.includes(undefined) ? undefined : (messages as string[]);
  }
}

/** In ms, of which there may be parts. */
function durationMs(text: string): number | null {
  const ns = parseDuration(text);
  return ns === null ? null : Number(ns) / 1e6;
}

function compression(node: Node): unknown {
  if (node.kind === 'boolean') return node.value ? 'adaptive' : 'off';
  if (node.kind === 'text') return node.value;
  if (node.kind !== 'table') return null;
  const level = node.value.get('zstd')?.node;
  return level?.kind === 'number' && node.value.entries.length === 1 ? { zstd: level.value } : null;
}

/** As plain values, for JSON; dates and times as they are written. */
function plain(node: Node): unknown {
  if (node.kind === 'array') return node.value.map(plain);
  if (node.kind === 'table') return plainTable(node.value);
  return node.value;
}

const plainTable = (table: Table): unknown =>
  Object.fromEntries(table.entries.map(({ name, node }) => [name, plain(node)]));
