/** The bytes with each of the bits from byte `from` up to `to` changed in turn, one at a time. The array is the same each time. */
export function* flips(
  bytes: Uint8Array,
  from = 0,
  to = bytes.length,
): Generator<{ at: number; bit: number; bytes: Uint8Array }> {
  const changed = bytes.slice();
  for (let at = from; at < to; at++) {
    for (let bit = 0; bit < 8; bit++) {
      changed[at] ^= 1 << bit;
      yield { at, bit, bytes: changed };
      changed[at] ^= 1 << bit;
    }
  }
}
