import path from 'node:path';
import { TapeError } from '../errors.js';
import { type ResolvedOptions, resolveOptions, type TapeOptions } from '../options.js';
import type { Address } from './address.js';
import { Section } from './checks.js';
import { type FeedConfig, MOST_COLLECTORS, readFeeds, SCHEMAS, type SchemaName } from './feeds.js';
import { Forms } from './forms.js';
import { RECORDER_KEYS, RETENTION_KEYS, TAPE_KEYS } from './keys.js';
import { ConfigError, Mistakes } from './mistake.js';
import { readToml, type Table } from './toml.js';

const DEFAULT_COLLECTORS = 10;
const DEFAULT_SCALE = 8;
const MOST_SCALE = 15;

/** What a recorder is to do. All paths are absolute. */
export interface Config {
  /** What was read. */
  path: string;
  schema: { name: SchemaName; priceScale: number; sizeScale: number };
  tape: TapeOptions;
  feeds: FeedConfig[];
  metrics: Address | undefined;
  /** Directory of what could not be recorded. */
  rejected: string;
}

/**
 * Reads a configuration. Its paths are relative to the directory of the file at `path`.
 * @throws ConfigError with all that is wrong with it
 */
export function readConfig(text: string, file: string): Config {
  const mistakes = new Mistakes();
  const root = readToml(text, mistakes);
  const directory = path.dirname(path.resolve(file));
  const forms = new Forms(directory, mistakes);
  const keys = { ...TAPE_KEYS, ...RECORDER_KEYS };
  const section = new Section({ table: root, at: { line: 1, column: 1 }, prefix: '' }, keys, forms, mistakes);

  const tape = readTapeOptions(section, forms, mistakes);
  const name = section.has('schema') ? section.oneOf('schema', SCHEMAS) : 'market';
  const priceScale = section.whole('price_scale', 0, MOST_SCALE) ?? DEFAULT_SCALE;
  const sizeScale = section.whole('size_scale', 0, MOST_SCALE) ?? DEFAULT_SCALE;
  const collectors = section.whole('collectors', 1, MOST_COLLECTORS) ?? DEFAULT_COLLECTORS;
  const rejected = section.get<string>('rejected') ?? path.join(directory, 'rejected');
  const { entries } = section.get<Table>('feed') ?? { entries: [] };
  const feeds = readFeeds(entries, { schema: name, priceScale, sizeScale, collectors, rejected }, forms, mistakes);
  if (!section.has('storage')) section.missing('storage', 'the storage directories, as ["./tape/d0", "./tape/d1"]');
  if (!section.has('feed') || (section.get('feed') !== undefined && entries.length === 0)) {
    section.missing('feed', 'what to record, as a table [feed.NAME]');
  }
  if (mistakes.found.length > 0) throw new ConfigError(file, mistakes.found);
  return {
    path: file,
    schema: { name: name!, priceScale, sizeScale },
    tape,
    feeds,
    metrics: section.get<Address>('metrics'),
    rejected,
  };
}

function readTapeOptions(section: Section, forms: Forms, mistakes: Mistakes): TapeOptions {
  const storage = section.get<string[]>('storage');
  const options: Record<string, unknown> = {};
  for (const [name, { option, form }] of Object.entries(TAPE_KEYS)) {
    let value = section.get<unknown>(name);
    if (value instanceof Object && name === 'retention') value = readRetention(section, forms, mistakes);
    if (value === undefined) continue;
    const expected = refusalOf({ storage: storage ?? ['.'], [option]: value });
    if (expected === null) options[option] = value;
    else if (option === 'redundancy') {
      if (storage !== undefined) section.refuse(name, `${expected}, the number of storage directories`);
    } else section.refuse(name, `${expected}${form === 'duration' ? ' ms' : form === 'size' ? ' bytes' : ''}`);
  }
  return options as unknown as TapeOptions;
}

/** What a tape would say to the option; null where it takes it. */
function refusalOf(options: object): string | null {
  try {
    resolveOptions(options as TapeOptions) satisfies ResolvedOptions;
    return null;
  } catch (error) {
    if (!(error instanceof TapeError)) throw error;
    const { message } = error;
    return message.slice(message.lastIndexOf(': it must be ') + 2).replaceAll("'", '"');
  }
}

function readRetention(section: Section, forms: Forms, mistakes: Mistakes): object | undefined {
  const { node } = section.entry('retention')!;
  const table = section.get<Table>('retention')!;
  const retention = new Section({ table, at: node.at, prefix: 'retention.' }, RETENTION_KEYS, forms, mistakes);
  const options: Record<string, number> = {};
  for (const [key, name, unit] of [
    ['age', 'ageMs', 'ms'],
    ['bytes', 'bytes', 'bytes'],
  ]) {
    const value = retention.get<number>(key);
    if (value === undefined) continue;
    const expected = refusalOf({ storage: ['.'], retention: { [name]: value } });
    if (expected === null) options[name] = value;
    else retention.refuse(key, `${expected} ${unit}`);
  }
  if (table.entries.length === 0) section.refuse('retention', 'it must have age, bytes or both');
  return Object.keys(options).length === 0 ? undefined : options;
}
