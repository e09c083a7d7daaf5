/**
 * Picks `copies` distinct ones of `candidates`, at random with a preference for the less loaded: each is the less loaded of two
 * different ones drawn at random (the power of two choices). `random` is from 0 up to 1.
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
    let pick = first;
    if (left.length > 1) {
      const second = (first + 1 + Math.floor(random() * (left.length - 1))) % left.length;
      if (load(left[second]) < load(left[first])) pick = second;
    }
    chosen.push(left[pick]);
    left.splice(pick, 1);
  }
  return chosen;
}
