const BYTES: Record<string, number> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** `100GB`, `64MiB`, `1.5 GB` in bytes; null for what is none. */
export function sizeBytes(text: string): number | null {
  const [, number, unit] = /^(\d{1,15}(?:\.\d{1,9})?) ?([kKMGT]?i?B)$/.exec(text) ?? [];
  const bytes = BYTES[unit];
  return bytes === undefined ? null : Math.round(Number(number) * bytes);
}
