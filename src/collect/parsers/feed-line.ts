import type { MessageParser } from './parser.js';

const SPACE = ' ';
const NS = /^\d{1,19}$/;
const LAST_NS = 2n ** 63n - 1n;

/** Lines of a captured feed: `<ns> <message>`, the time at which it was received in ns since the Unix epoch. */
export class FeedLines {
  readonly #parser: MessageParser;
  /** Lines that don't begin with such a time. */
  broken = 0;

  constructor(parser: MessageParser) {
    this.#parser = parser;
  }

  /** Answers null, or why the line is rejected: see `MessageParser.parse`. */
  parse(line: string): string | null {
    const space = line.indexOf(SPACE);
    const digits = space < 0 ? '' : line.slice(0, space);
    if (!NS.test(digits)) return this.#broken('no time in ns at its start');
    const tsNs = BigInt(digits);
    if (tsNs > LAST_NS) return this.#broken('its time is out of range');
    return this.#parser.parse(tsNs, line.slice(space + 1));
  }

  #broken(reason: string): string {
    this.broken++;
    return reason;
  }
}
