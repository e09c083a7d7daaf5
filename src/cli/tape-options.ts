import { type CommandLine, type OptionSpec, UsageError } from './command-line.js';

/** Which tape a command is about. */
export const TAPE_OPTIONS: OptionSpec[] = [
  { name: 'storage', value: 'DIR,…', list: true, help: 'its storage nodes, all of them; or give them as operands' },
  { name: 'journal', value: 'DIR', help: 'its journal, if that is not in one of them' },
  {
    name: 'redundancy',
    value: 'N',
    help: 'on how many storage nodes each block should be (default: what it was last recorded with)',
  },
];

export interface TapeArguments {
  storage: string[];
  journal: string | undefined;
  redundancy: number | undefined;
}

/** @throws UsageError */
export function readTapeArguments(commandLine: CommandLine): TapeArguments {
  const storage = [...commandLine.list('storage'), ...commandLine.operands];
  if (storage.length === 0) throw new UsageError('the storage directories of the tape are missing');
  return {
    storage,
    journal: commandLine.text('journal'),
    redundancy: commandLine.whole('redundancy', 1, storage.length, undefined),
  };
}
