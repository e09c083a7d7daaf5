import { decimal, defineSchema, type Schema, symbol, text, timestamp, u32 } from '../../dist/src/schema.js';

/** Records whose whole content follows from who made them and which one of his they are; but for the time, which the model keeps. */
export const schema = defineSchema(
  'simulated',
  timestamp('ts'),
  symbol('symbol'),
  decimal('price', 2),
  u32('producer'),
  u32('n'),
  text('note'),
);

export type Records = typeof schema extends Schema<infer F> ? F : never;

/** How records of a seed look. */
export interface Shape {
  symbols: number;
  /** Characters of a note at most. */
  note: number;
}

const mix = (producer: number, n: number) => {
  let hash = Math.imul(producer + 1, 0x9e3779b1) ^ Math.imul(n + 1, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
};

const LETTERS = 'abcdefghijklmnopqrstuvwxyz'.repeat(80);

export function contentOf(producer: number, n: number, { symbols, note }: Shape) {
  const hash = mix(producer, n);
  const start = hash % 26;
  return {
    symbol: `S${(hash >>> 3) % symbols}`,
    price: (hash % 1_000_000) / 100,
    note: note === 0 ? '' : LETTERS.slice(start, start + ((hash >>> 7) % note)),
  };
}
