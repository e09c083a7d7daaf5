#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import process from 'node:process';
import type { Commands } from './command.js';
import { suggest, UsageError } from './command-line.js';
import { Interrupted } from './interrupt.js';

// In the order in which a tape's life goes.
const commands: Commands = {
  init: {
    summary: 'write a commented configuration to begin with',
    load: () => import('./init.js'),
  },
  record: {
    summary: 'record feeds as a configuration says',
    load: () => import('./record.js'),
  },
  top: {
    summary: 'watch a recorder at work: rates, lanes, collectors, storage nodes',
    load: () => import('./top.js'),
  },
  tail: {
    summary: 'print records as they are appended',
    load: () => import('./tail.js'),
  },
  scan: {
    summary: 'print the records of a tape: of a time, of symbols, with values',
    load: () => import('./scan.js'),
  },
  replay: {
    summary: 'give out the records of a tape at the pace at which they came, also to WebSocket clients',
    load: () => import('./replay.js'),
  },
  info: {
    summary: 'say what a tape holds: schema, times, symbols, sizes, copies',
    load: () => import('./info.js'),
  },
  verify: {
    summary: 'read and check every copy of every block of a tape',
    load: () => import('./verify.js'),
  },
  repair: {
    summary: 'restore all copies of every block from good ones',
    load: () => import('./repair.js'),
  },
  demo: {
    summary: 'record a simulated or captured feed, read it back, verify every copy, report',
    load: () => import('./demo.js'),
  },
  bench: {
    summary: 'measure append, flush and scan on this machine',
    load: () => import('./bench.js'),
  },
  completion: {
    summary: 'print a script that has a shell complete all this',
    async load() {
      const { run, ...module } = await import('./completion.js');
      return { run: (args) => run(args, commands), ...module };
    },
  },
};

const NAME_COLUMNS = Math.max(...Object.keys(commands).map(({ length }) => length)) + 2;

const usage = `Usage: ticktape COMMAND [OPTION...]

Records market data so that no crash loses any of it.

Commands:
${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(NAME_COLUMNS)}${summary}`)
  .join('\n')}

  ticktape COMMAND --help   what a command takes
  ticktape --version
`;

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args[0] === 'help' && args.length > 1 ? [args[1], '--help'] : args;
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(usage);
    return 0;
  }
  if (name === '--version') {
    const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
    process.stdout.write(`${(JSON.parse(manifest) as { version: string }).version}\n`);
    return 0;
  }
  if (name === undefined) throw new UsageError('a command is missing');
  if (!Object.hasOwn(commands, name)) {
    const hint = suggest(name, Object.keys(commands));
    throw new UsageError(`there is no command ${JSON.stringify(name)}${hint}`);
  }
  try {
    return await (await commands[name].load()).run(rest);
  } catch (error) {
    if (error instanceof UsageError) error.message = `${error.message} (ticktape ${name} --help)`;
    throw error;
  }
}

// A reader that has seen enough, as in `ticktape … | head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const wrongUsage = error instanceof UsageError;
  const message = error instanceof Error ? error.message : String(error);
  const hint = wrongUsage && !message.endsWith('--help)') ? ' (ticktape --help)' : '';
  process.stderr.write(`ticktape: ${message.replaceAll('\n', ' ')}${hint}\n`);
  if (process.env.TICKTAPE_DEBUG !== undefined) console.error(error);
  process.exitCode = wrongUsage ? 2 : error instanceof Interrupted ? error.status : 1;
}
