import { DURATIONS_TAKEN, parseDuration, parseTime, TIMES_TAKEN } from '../times.js';
import { UsageError } from './command-line.js';

export { formatTimeNs } from '../times.js';

/**
 * A moment in ns since the Unix epoch: ISO 8601 with up to nine decimals and a zone (UTC without one), a date, `now`, before now
 * (`-15m`, `-1h30m`), or ns as an integer.
 * @throws UsageError
 */
export function parseTimeNs(text: string, nowNs: bigint): bigint {
  const ns = parseTime(text, nowNs);
  if (ns === null) throw new UsageError(`${JSON.stringify(text)} is no time: give one as ${TIMES_TAKEN}`);
  return ns;
}

/** A length of time in ns: `250ms`, `1s`, `15m`, `1h30m`, `1d`. @throws UsageError */
export function parseDurationNs(text: string): bigint {
  const ns = parseDuration(text);
  if (ns === null) throw new UsageError(`${JSON.stringify(text)} is no length of time: give one as ${DURATIONS_TAKEN}`);
  return ns;
}

/** The same in ms, of which there may be parts. @throws UsageError */
export const parseDurationMs = (text: string): number => Number(parseDurationNs(text)) / 1e6;
