// Decimal numbers in text as whole numbers of their `scale`th place: exact, or refused.

/** What is answered instead of a number; each is more than a field holds. */
export const NOT_DECIMAL: number = 2 ** 60;
export const TOO_FINE: number = 2 ** 61;
export const TOO_LARGE: number = 2 ** 62;

export const isScaled = (value: number): boolean => value <= Number.MAX_SAFE_INTEGER;

/** Exact powers of ten. */
export const POWERS: Float64Array = Float64Array.from({ length: 16 }, (_, exponent) => 10 ** exponent);

const MINUS = 45;
const PLUS = 43;
const POINT = 46;
const ZERO = 48;
const UPPER_E = 69;
const LOWER_E = 101;
/** Beyond it every number but zero is too large or too fine. */
const MOST_EXPONENT = 1_000_000_000;

const isDigit = (code: number) => code >= ZERO && code <= ZERO + 9;

/**
 * The decimal number between `from` and `to`: digits, maybe with a sign before them, decimal places and an exponent behind them.
 * Answers NOT_DECIMAL, TOO_FINE where it has more places than `scale`, TOO_LARGE where it is beyond ±(2⁵³ − 1).
 */
export function decimalOf(text: string, from: number, to: number, scale: number): number {
  const negative = text.charCodeAt(from) === MINUS;
  const first = negative ? from + 1 : from;
  let point = first;
  while (point < to && isDigit(text.charCodeAt(point))) point++;
  if (point === first) return NOT_DECIMAL;
  let last = point;
  if (last < to && text.charCodeAt(last) === POINT) {
    last++;
    while (last < to && isDigit(text.charCodeAt(last))) last++;
    if (last === point + 1) return NOT_DECIMAL;
  }
  let exponent = 0;
  if (last < to) {
    exponent = exponentOf(text, last, to);
    if (Number.isNaN(exponent)) return NOT_DECIMAL;
  }

  let value = 0;
  let tooFine = false;
  // The place of the digit that was taken last: 0 of units, 1 of tenths.
  let place = first - point - exponent;
  for (let at = first; at < last; at++) {
    if (at === point) continue;
    const digit = text.charCodeAt(at) - ZERO;
    place = (at < point ? at + 1 - point : at - point) - exponent;
    if (place > scale) {
      if (digit !== 0) tooFine = true;
      continue;
    }
    value = value * 10 + digit;
    if (value > Number.MAX_SAFE_INTEGER) return TOO_LARGE;
  }
  if (tooFine) return TOO_FINE;
  if (value === 0) return 0;
  for (; place < scale; place++) {
    value *= 10;
    if (value > Number.MAX_SAFE_INTEGER) return TOO_LARGE;
  }
  return negative ? -value : value;
}

/** NaN where it is none. */
function exponentOf(text: string, from: number, to: number): number {
  const letter = text.charCodeAt(from);
  if (letter !== LOWER_E && letter !== UPPER_E) return NaN;
  let at = from + 1;
  const sign = text.charCodeAt(at);
  if (at < to && (sign === MINUS || sign === PLUS)) at++;
  if (at === to) return NaN;
  let exponent = 0;
  for (; at < to; at++) {
    const code = text.charCodeAt(at);
    if (!isDigit(code)) return NaN;
    exponent = Math.min(exponent * 10 + code - ZERO, MOST_EXPONENT);
  }
  return sign === MINUS ? -exponent : exponent;
}
