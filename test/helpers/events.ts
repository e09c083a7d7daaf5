import type { MarketSink } from '../../dist/src/collect/parsers/market-sink.js';

/** An event as a parser gives it: its kind, then the arguments. */
export type Event = ['trade' | 'quote' | 'level', ...(bigint | string | number)[]];

/** Keeps what it is given. */
export function collecting(): MarketSink & { events: Event[] } {
  const events: Event[] = [];
  return {
    events,
    trade: (...values) => void events.push(['trade', ...values]),
    quote: (...values) => void events.push(['quote', ...values]),
    level: (...values) => void events.push(['level', ...values]),
  };
}

const JSON_DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** What a decimal in text is as a whole number of its `scale`th place, worked out with bigints; null where it can't be kept. */
export function scaledOf(text: unknown, scale: number): number | null {
  const parts = typeof text === 'string' ? JSON_DECIMAL.exec(text) : null;
  if (parts === null) return null;
  const [, sign, whole, fraction = '', exponent = '0'] = parts;
  const shift = scale - fraction.length + Number(exponent);
  let value = BigInt(whole + fraction);
  if (value === 0n) return 0;
  if (shift > 40 || shift < -400) return null;
  if (shift >= 0) value *= 10n ** BigInt(shift);
  else {
    const unit = 10n ** BigInt(-shift);
    if (value % unit !== 0n) return null;
    value /= unit;
  }
  return value < 2n ** 53n ? Number(sign === '-' ? -value : value) : null;
}
