import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { TEMPLATE } from '../config/template.js';
import { TapeError } from '../errors.js';
import { CommandLine, describeOptions, type OptionSpec, UsageError } from './command-line.js';

const DEFAULT_FILE = 'market.toml';

const OPTIONS: OptionSpec[] = [{ name: 'force', help: 'write over a file that is there' }];

const HELP = `Usage: ticktape init [OPTION...] [FILE]

Writes a configuration for ticktape record, with every key explained, to FILE (default ${DEFAULT_FILE}).

${describeOptions(OPTIONS)}

  ticktape init
  ticktape record --config ${DEFAULT_FILE}
`;

export async function run(args: string[]): Promise<number> {
  const commandLine = new CommandLine(args, OPTIONS);
  if (commandLine.flag('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const [file = DEFAULT_FILE, surplus] = commandLine.operands;
  if (surplus !== undefined) throw new UsageError(`${JSON.stringify(surplus)} is too much`);
  try {
    writeFileSync(file, TEMPLATE, { flag: commandLine.flag('force') ? 'w' : 'wx' });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new TapeError('BAD_PATH', `${file} is there already: give another name, or --force to write over it`, {
        path: file,
        cause,
      });
    }
    throw new TapeError('IO', `can't write ${file}: ${(cause as Error).message}`, { path: file, cause });
  }
  process.stdout.write(`${file} written: look it over, then run ticktape record --config ${file}\n`);
  return 0;
}
