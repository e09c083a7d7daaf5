/**
 * How many collectors each feed has: as many as it asks for; the others share what is left of `collectors`, one each at least and
 * `most` at most.
 */
export function shareCollectors(collectors: number, feeds: readonly { wanted?: number; most: number }[]): number[] {
  const shares = feeds.map(({ wanted }) => wanted ?? 1);
  let left = collectors - shares.reduce((sum, share) => sum + share, 0);
  for (let given = true; left > 0 && given; ) {
    given = false;
    feeds.forEach(({ wanted, most }, i) => {
      if (wanted !== undefined || shares[i] >= most || left <= 0) return;
      shares[i]++;
      left--;
      given = true;
    });
  }
  return shares;
}

/** What the collector at `place` of `count` has of a list that is dealt out. */
export const deal = <T>(list: readonly T[], place: number, count: number): T[] =>
  list.filter((_, i) => i % count === place);
