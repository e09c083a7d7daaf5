import { TapeError } from '../errors.js';

/** A place in a text; both count from 1. */
export interface Place {
  line: number;
  column: number;
}

export interface Mistake extends Place {
  message: string;
}

/** All that is wrong with a text, as it is found. */
export class Mistakes {
  readonly found: Mistake[] = [];
  /** Lines were left out, as they could not be read: what seems to be missing may be in them. */
  incomplete = false;

  tell({ line, column }: Place, message: string): void {
    this.found.push({ line, column, message });
  }

  /** Tells that something is not there. */
  missing(at: Place, message: string): void {
    if (!this.incomplete) this.tell(at, message);
  }
}

/** A configuration that can't be used, with all that is wrong with it, in the order of its lines. */
export class ConfigError extends TapeError {
  readonly mistakes: readonly Mistake[];

  constructor(path: string, mistakes: readonly Mistake[]) {
    const sorted = mistakes.toSorted((a, b) => a.line - b.line || a.column - b.column);
    super('BAD_CONFIG', sorted.map(({ line, message }) => `${path}:${line}: ${message}`).join('\n'), { path });
    this.name = 'ConfigError';
    this.mistakes = sorted;
  }
}
