export const wrap = (value: bigint) => BigInt.asIntN(64, value);

/** Whole numbers from 0 to 2^53 in an order that looks like none, always the same one. */
export function noise(seed: number): () => number {
  let a = Math.imul(seed + 1, 0x9e3779b1);
  const half = () => {
    a = (a + 0x6d2b79f5) | 0;
    let mixed = Math.imul(a ^ (a >>> 15), a | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return () => (half() >>> 11) * 2 ** 32 + half();
}
