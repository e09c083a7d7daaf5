// What a recorder would do.
import { bold, dim } from 'deno-std/fmt/colors.js';
import type { Config } from '../config/config.js';
import { builtInSchema } from '../schemas.js';
import { row } from './rows.js';

export const planJson = (config: Config): string => JSON.stringify(config);

/** For people. */
export function plan({ path, schema, tape, feeds, metrics, rejected }: Config): string {
  const { storage, redundancy, capacity, compression, journal, ...others } = tape;
  const fields = builtInSchema(schema.name, schema).fields.map(({ name }) => name);
  const collectors = feeds.flatMap((feed) => feed.collectors);
  return [
    '',
    `${bold('ticktape record')} ${dim(`as ${path} says; nothing is done`)}`,
    '',
    row('schema', schema.name, fields.join(', ')),
    ...storage.map((directory, i) => row(i === 0 ? 'storage' : '', directory)),
    row('redundancy', String(redundancy ?? Math.min(2, storage.length)), `of ${storage.length} storage nodes`),
    ...(capacity === undefined ? [] : [row('capacity', `${capacity.toLocaleString('en')} records a block`)]),
    ...(compression === undefined ? [] : [row('compression', shown(compression))]),
    ...(journal === undefined ? [] : [row('journal', journal)]),
    ...Object.entries(others).map(([name, value]) => row(name, shown(value))),
    ...(metrics === undefined ? [] : [row('metrics', `${metrics.host}:${metrics.port}`)]),
    row('rejected', rejected),
    row('collectors', String(collectors.length)),
    '',
    ...collectors.flatMap(({ name, options }) => [
      row(name, options.kind, options.parser ?? ''),
      ...[options.url, options.path, ...(options.subscribe ?? [])]
        .filter((line) => line !== undefined)
        .map((line) => row('', line)),
    ]),
    '',
    '',
  ].join('\n');
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
