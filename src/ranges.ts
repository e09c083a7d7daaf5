/** Positions or sequences: from `from` on, up to `to` and without it. */
export interface Range {
  from: bigint;
  to: bigint;
}

/** The parts of `runs` that are in none of `ranges`. */
export function subtract(runs: readonly Range[], ranges: readonly Range[]): Range[] {
  let left = [...runs];
  for (const { from, to } of ranges) {
    left = left.flatMap((run) => {
      if (to <= run.from || from >= run.to) return [run];
      const parts: Range[] = [];
      if (from > run.from) parts.push({ from: run.from, to: from });
      if (to < run.to) parts.push({ from: to, to: run.to });
      return parts;
    });
  }
  return left;
}

/** Positions or sequences in all of them, which have none in common. */
export const lengthOf = (ranges: readonly Range[]): number =>
  Number(ranges.reduce((sum, { from, to }) => sum + to - from, 0n));
