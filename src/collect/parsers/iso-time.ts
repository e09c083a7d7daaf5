const PLUS = 43;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const COLON = 58;
const UPPER_T = 84;
const UPPER_Z = 90;
const MICROSECOND_DIGITS = 6;

const DAYS_BEFORE = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/**
 * Microseconds since 1970 of the ISO 8601 time between `at` and `to` (`2014-11-07T08:19:27.028459Z`; what is finer is cut off). Negative
 * where it is none, or of before 1970.
 */
export function isoTimeUs(text: string, at: number, to: number): number {
  const year = 100 * twoDigits(text, at) + twoDigits(text, at + 2);
  const month = twoDigits(text, at + 5);
  const day = twoDigits(text, at + 8);
  const hour = twoDigits(text, at + 11);
  const minute = twoDigits(text, at + 14);
  const second = twoDigits(text, at + 17);
  const isPunctuated =
    text.charCodeAt(at + 4) === MINUS &&
    text.charCodeAt(at + 7) === MINUS &&
    text.charCodeAt(at + 10) === UPPER_T &&
    text.charCodeAt(at + 13) === COLON &&
    text.charCodeAt(at + 16) === COLON;
  const inRange = year >= 1970 && month >= 1 && month <= 12 && hour <= 23 && minute <= 59 && second <= 59;
  if (!isPunctuated || !inRange || !(day >= 1 && day <= daysOf(year, month))) return -1;

  let us = 0;
  let end = at + 19;
  if (text.charCodeAt(end) === POINT) {
    const first = ++end;
    for (let digit = text.charCodeAt(end) - ZERO; digit >= 0 && digit <= 9; digit = text.charCodeAt(++end) - ZERO) {
      if (end - first < MICROSECOND_DIGITS) us = us * 10 + digit;
    }
    if (end === first) return -1;
    for (let digits = end - first; digits < MICROSECOND_DIGITS; digits++) us *= 10;
  }
  let offsetMinutes = 0;
  const zone = text.charCodeAt(end);
  if (zone === UPPER_Z) end++;
  else {
    const hours = twoDigits(text, end + 1);
    const minutes = twoDigits(text, end + 4);
    if ((zone !== PLUS && zone !== MINUS) || text.charCodeAt(end + 3) !== COLON) return -1;
    if (!(hours <= 23 && minutes <= 59)) return -1;
    offsetMinutes = (zone === PLUS ? 1 : -1) * (60 * hours + minutes);
    end += 6;
  }
  if (end !== to) return -1;
  const minutes = (daysSince1970(year, month, day) * 24 + hour) * 60 + minute - offsetMinutes;
  return (minutes * 60 + second) * 1_000_000 + us;
}

/** NaN where they are none: no range holds it. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - ZERO;
  const units = text.charCodeAt(at + 1) - ZERO;
  return tens >= 0 && tens <= 9 && units >= 0 && units <= 9 ? 10 * tens + units : NaN;
}

const isLeap = (year: number) => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;

function daysOf(year: number, month: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function daysSince1970(year: number, month: number, day: number): number {
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400) - 477;
  const afterLeapDay = month > 2 && isLeap(year) ? 1 : 0;
  return 365 * (year - 1970) + leapDays + DAYS_BEFORE[month - 1] + afterLeapDay + day - 1;
}
