// What columns of ticks look like. A shape fills a column with whole numbers of up to 53 bits; a field then makes values of its
// kind of them. Columns made before it in the same block are at hand, since columns of ticks go together.

/**
 * @typedef {import('./dice.mjs').Dice} Dice
 * @typedef {(dice: Dice, out: Float64Array, earlier: Float64Array[]) => void} Shape
 */

/** A whole number of any size, small ones as often as large ones. @param {Dice} dice */
function whole(dice) {
  const size = Math.floor(dice.unit() * 2 ** dice.below(54));
  return dice.chance(0.2) ? -size : size;
}

/** Times that a session has: ns since the Unix epoch are too wide for a double, so in steps of 2^10 of them. */
const SESSION = 1_700_000_000_000_000;

/** @type {Record<string, Shape>} */
export const SHAPES = {
  constant: (dice, out) => {
    out.fill(whole(dice));
  },
  counting: (dice, out) => {
    const first = whole(dice);
    const step = dice.pick([1, 1, 1, -1, 2, 1000]);
    for (let i = 0; i < out.length; i++) out[i] = first + i * step;
  },
  rising: (dice, out) => {
    const widest = 2 ** dice.below(24);
    let value = whole(dice);
    for (let i = 0; i < out.length; i++) {
      value += dice.below(widest + 1);
      out[i] = value;
    }
  },
  // Some at once, then a pause: what one packet brought has one time, or nearly.
  packets: (dice, out) => {
    const pause = 2 ** dice.between(4, 30);
    const most = dice.pick([1, 4, 40]);
    const noise = dice.pick([0, 0, 3, 1000]);
    let value = SESSION + dice.below(2 ** 40);
    let left = 0;
    for (let i = 0; i < out.length; i++) {
      if (left-- <= 0) {
        value += Math.floor(pause * dice.unit() ** 4);
        left = dice.below(most);
      }
      out[i] = value + (noise === 0 ? 0 : dice.below(noise));
    }
  },
  // A price on its grid of ticks.
  walk: (dice, out) => {
    const tick = dice.pick([1, 1, 5, 25, 100, 250_000_000]);
    const still = dice.unit();
    let steps = dice.below(1_000_000);
    for (let i = 0; i < out.length; i++) {
      if (!dice.chance(still)) steps += dice.between(-3, 3);
      out[i] = steps * tick;
    }
  },
  enumeration: (dice, out) => {
    const choices = dice.between(1, 6);
    for (let i = 0; i < out.length; i++) out[i] = dice.below(choices);
  },
  // Few values, none of them small.
  dictionary: (dice, out) => {
    const choices = Array.from({ length: dice.between(2, 40) }, () => whole(dice));
    for (let i = 0; i < out.length; i++) out[i] = choices[Math.floor(choices.length * dice.unit() ** 3)];
  },
  seldomChanged: (dice, out) => {
    const share = dice.pick([0.002, 0.02, 0.1]);
    let value = whole(dice);
    for (let i = 0; i < out.length; i++) {
      if (dice.chance(share)) value = whole(dice);
      out[i] = value;
    }
  },
  // Sizes: small ones, round ones, and now and then a huge one.
  sizes: (dice, out) => {
    for (let i = 0; i < out.length; i++) {
      out[i] = dice.chance(0.02) ? whole(dice) : dice.chance(0.3) ? 100 * dice.between(1, 10) : dice.below(50);
    }
  },
  // One side of a quote: mostly not there.
  absent: (dice, out) => {
    const absent = dice.pick([0, -1, 2 ** 53 - 1]);
    const share = dice.pick([0.05, 0.3, 0.6, 0.95]);
    const near = dice.below(100_000);
    for (let i = 0; i < out.length; i++) out[i] = dice.chance(share) ? absent : near + dice.below(16);
  },
  bits: (dice, out) => {
    const end = 2 ** dice.between(1, 53);
    for (let i = 0; i < out.length; i++) out[i] = Math.floor(dice.unit() * end);
  },
  // A second timestamp, or the best price of the other side: an earlier column and little more.
  following: (dice, out, earlier) => {
    const source = earlier.length === 0 ? out : dice.pick(earlier);
    const end = dice.pick([1, 2, 16, 4096, 2 ** 20]);
    const together = dice.chance(0.5);
    let distance = 0;
    for (let i = 0; i < out.length; i++) {
      if (!together || i === 0 || source[i] !== source[i - 1]) distance = dice.below(end);
      out[i] = source[i] + distance;
    }
  },
  // An enumeration that an earlier one nearly settles.
  joint: (dice, out, earlier) => {
    const source = earlier.length === 0 ? out : dice.pick(earlier);
    const share = dice.pick([0, 0.01, 0.2]);
    for (let i = 0; i < out.length; i++) out[i] = dice.chance(share) ? dice.below(5) : Math.abs(source[i] * 7) % 5;
  },
};

const NAMES = Object.keys(SHAPES);

/** @typedef {ReturnType<typeof planColumn>} ColumnPlan */

/** How the values of a field come about. @param {Dice} dice */
export const planColumn = (dice) => ({
  shape: dice.pick(NAMES),
  /** The numbers are scrambled to values of all 64 bits. */
  scrambled: dice.chance(0.06),
  /** Decimal places of the numbers of a float. */
  places: dice.below(9),
  /** The share of floats that are something else altogether. */
  odd: dice.pick([0, 0, 0.01, 0.1, 0.9]),
  /** Distinct names of a symbol. */
  names: dice.pick([1, 2, 7, 60]),
  /** The lengths of texts. */
  longest: dice.pick([0, 1, 8, 40]),
});

const ODD_FLOATS = [Number.NaN, -0, Infinity, -Infinity, 5e-324, 1.7e308, Math.PI, 0.1 + 0.2, 2 ** 53, -(2 ** 63)];
const WORDS = ['', 'a', 'fill', '{"e":"trade","p":"', '市場', '\0\0\0\0\0\0\0\0', 'ÿ', 'order rejected: '];

const longs = new BigInt64Array(1);
const float = new Float64Array(longs.buffer);
const unsigned = new BigUint64Array(longs.buffer);
/** What keeps the low bits of a number, by kind. @type {Record<string, Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array>} */
const BOXES = {
  i8: new Int8Array(1),
  i16: new Int16Array(1),
  i32: new Int32Array(1),
  u8: new Uint8Array(1),
  u16: new Uint16Array(1),
  u32: new Uint32Array(1),
};

const encoder = new TextEncoder();

/**
 * What `append` takes for a field of this kind, of the whole number `n`.
 * @param {{ kind: string, scale: number }} field
 * @param {ColumnPlan} plan
 * @param {Dice} dice
 */
export function valueFor({ kind, scale }, plan, dice, /** @type {number} */ n) {
  switch (kind) {
    case 'timestamp':
    case 'i64':
    case 'u64':
      longs[0] = plan.scrambled ? BigInt(n) * 0x9e3779b97f4a7c15n : BigInt(n);
      return kind === 'u64' ? unsigned[0] : longs[0];
    case 'decimal':
      return (n % 10 ** 15) / 10 ** scale;
    case 'f64':
    case 'f32':
      if (plan.scrambled) {
        longs[0] = BigInt(n) * 0x9e3779b97f4a7c15n;
        return float[0];
      }
      return plan.odd > 0 && dice.chance(plan.odd) ? dice.pick(ODD_FLOATS) : n / 10 ** plan.places;
    case 'symbol':
      return `S${Math.abs(n) % plan.names}`;
    case 'text':
      return textOf(plan, dice, n);
    case 'bytes':
      return encoder.encode(textOf(plan, dice, n));
    default:
      BOXES[kind][0] = n;
      return BOXES[kind][0];
  }
}

/** @param {ColumnPlan} plan @param {Dice} dice */
function textOf({ scrambled, longest }, dice, /** @type {number} */ n) {
  const word = WORDS[Math.abs(n) % WORDS.length];
  if (longest < 40) return word.slice(0, longest);
  return scrambled ? word + dice.bits().toString(36).repeat(dice.below(4)) : word + n;
}
