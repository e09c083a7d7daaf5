/**
 * Picks `copies` distinct ones of `candidates`, at random with a preference for the less loaded: each is the less loaded of two
 * drawn at random (the power of two choices). `load` grows with what a candidate has been given; `random` is from 0 up to 1.
 */
export function place<T>(
  candidates: readonly T[],
  copies: number,
  load: (candidate: T) => number,
  random: () => number,
): T[] {
  const left = [...candidates];
  const chosen: T[] = [];
  while (chosen.length < copies && left.length > 0) {
    const first = Math.floor(random() * left.length);
    const second = Math.floor(random() * left.length);
    const pick = load(left[second]) < load(left[first]) ? second : first;
    chosen.push(left[pick]);
    left.splice(pick, 1);
  }
  return chosen;
}
