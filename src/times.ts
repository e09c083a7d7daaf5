// Times as people write them, to and from ns since the Unix epoch.

const LEAST_NS = -(2n ** 63n);
const GREATEST_NS = 2n ** 63n - 1n;
const NS_PER_SECOND = 1_000_000_000n;

/** Units of a duration, the longest first. */
const UNITS: readonly (readonly [unit: string, ns: bigint])[] = [
  ['d', 86_400n * NS_PER_SECOND],
  ['h', 3_600n * NS_PER_SECOND],
  ['m', 60n * NS_PER_SECOND],
  ['s', NS_PER_SECOND],
  ['ms', 1_000_000n],
  ['us', 1_000n],
  ['ns', 1n],
];
const DURATION = new RegExp(`^(?=\\d)${UNITS.map(([unit]) => `(?:(\\d{1,19})${unit})?`).join('')}$`);
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:([Zz])|([+-])(\d\d):?(\d\d)?)?)?$/;

/** What `parseTime` takes, for messages. */
export const TIMES_TAKEN =
  '2024-08-08, 2024-08-08T23:54:15.088169167Z (UTC where it names no zone, +09:00 is one), now, -15m or -1h30m before now, or a whole ' +
  'number of ns since 1970';

/** What `parseDuration` takes, for messages. */
export const DURATIONS_TAKEN = '250ms, 1s, 15m, 1h30m, 1d: whole numbers of d, h, m, s, ms, us, ns, in that order';

const inRange = (ns: bigint): bigint | null => (ns >= LEAST_NS && ns <= GREATEST_NS ? ns : null);

/** A length of time in ns; null where `text` is none, or longer than an i64 of ns. */
export function parseDuration(text: string): bigint | null {
  const parts = DURATION.exec(text);
  if (parts === null) return null;
  return inRange(UNITS.reduce((sum, [, ns], i) => sum + BigInt(parts[i + 1] ?? 0) * ns, 0n));
}

/** A moment in ns; null where `text` is none, or lies outside of an i64 of ns (years 1677 to 2262). */
export function parseTime(text: string, nowNs: bigint): bigint | null {
  if (text === 'now') return nowNs;
  if (/^[+-]?\d{1,19}$/.test(text)) return inRange(BigInt(text.replace('+', '')));
  if (text.startsWith('-')) {
    const before = parseDuration(text.slice(1));
    return before === null ? null : inRange(nowNs - before);
  }
  const parts = ISO.exec(text);
  if (parts === null) return null;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map((part) => Number(part ?? 0));
  const [zoneHours, zoneMinutes] = [Number(parts[10] ?? 0), Number(parts[11] ?? 0)];
  // `Date` takes a year below 100 as one of the last century, and carries what is too large over into the next unit.
  const fits = year >= 1000 && hour < 24 && minute < 60 && second < 60 && zoneHours < 24 && zoneMinutes < 60;
  const date = new Date(Date.UTC(year, month - 1, day));
  if (!fits || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  const zoneSeconds = (parts[9] === '-' ? -1 : 1) * (zoneHours * 3600 + zoneMinutes * 60);
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second - zoneSeconds;
  return inRange(BigInt(seconds) * NS_PER_SECOND + BigInt((parts[7] ?? '').padEnd(9, '0')));
}

/** `2024-08-08T23:54:15.088169167Z`, with all nine decimals. */
export function formatTimeNs(ns: bigint): string {
  const belowSecond = ((ns % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND;
  const date = new Date(Number((ns - belowSecond) / 1_000_000n));
  return `${date.toISOString().slice(0, -4)}${String(belowSecond).padStart(9, '0')}Z`;
}
