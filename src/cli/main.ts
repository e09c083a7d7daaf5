#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { UsageError } from './command-line.js';
import { Interrupted } from './interrupt.js';

interface Command {
  summary: string;
  /** Runs it with what follows its name; answers the exit status. */
  load(): Promise<{ run(args: string[]): Promise<number> }>;
}

const commands: Record<string, Command> = {
  demo: {
    summary: 'record a simulated or captured feed, read it back, verify every copy, report',
    load: () => import('./demo.js'),
  },
  scan: {
    summary: 'print the records of a tape: of a time, of symbols, with values',
    load: () => import('./scan.js'),
  },
  replay: {
    summary: 'give out the records of a tape at the pace at which they came, also to WebSocket clients',
    load: () => import('./replay.js'),
  },
  verify: {
    summary: 'read and check every copy of every block of a tape',
    load: () => import('./verify.js'),
  },
  repair: {
    summary: 'restore all copies of every block from good ones',
    load: () => import('./repair.js'),
  },
};

const usage = `Usage: ticktape COMMAND [OPTION...]

Records market data so that no crash loses any of it.

Commands:
${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(8)} ${summary}`)
  .join('\n')}

  ticktape COMMAND --help   what a command takes
  ticktape --version
`;

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
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
  if (!Object.hasOwn(commands, name)) throw new UsageError(`there is no command ${JSON.stringify(name)}`);
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
