import type { Completion, OptionSpec } from './command-line.js';

/** What the module of a command exports. */
export interface CommandModule {
  /** Answers the exit status. `args`: what follows the command's name. */
  run(args: string[]): Promise<number>;
  OPTIONS?: readonly OptionSpec[];
  /** What its operands are, for shells that complete them; left out: files. */
  OPERANDS?: Completion;
}

export interface Command {
  summary: string;
  load(): Promise<CommandModule>;
}

export type Commands = Record<string, Command>;
