const MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `250ms`, `30s`, `30d`, `1h30m` in ms; null for what is none. */
export function durationMs(text: string): number | null {
  if (!/^(?:\d{1,15}(?:ms|s|m|h|d))+$/.test(text)) return null;
  let ms = 0;
  for (const [, number, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) ms += Number(number) * MS[unit];
  return ms;
}
