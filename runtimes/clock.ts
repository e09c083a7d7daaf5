const CALIBRATION_INTERVAL_NS = 1_000_000_000n;
const CALIBRATION_SAMPLES = 7;
/** More than any system's clock tick: beyond it somebody has set the clock. */
const STEP_MS = 50;

/**
 * A wall clock out of a cheap monotonic one: its offset to `wallNs` is measured now and then, by the sample that the least
 * time went into. Never goes back. A call costs 45 to 55 ns on Node 20 and 26, of which the bare process.hrtime.bigint() is 35;
 * reading the system's clock through koffi costs 105.
 */
export function calibratedClock(monotonicNs: () => bigint, wallNs: () => bigint): () => bigint {
  let offset = 0n;
  let calibrateAt = -1n;
  let last = 0n;

  function calibrate(): void {
    let tightest = -1n;
    for (let sample = 0; sample < CALIBRATION_SAMPLES; sample++) {
      const before = monotonicNs();
      const wall = wallNs();
      const after = monotonicNs();
      const took = after - before;
      if (tightest >= 0n && took >= tightest) continue;
      tightest = took;
      offset = wall - before - took / 2n;
      calibrateAt = after + CALIBRATION_INTERVAL_NS;
    }
  }

  return () => {
    const monotonic = monotonicNs();
    if (monotonic >= calibrateAt) calibrate();
    const now = monotonic + offset;
    if (now > last) last = now;
    return last;
  };
}

/** The wall clock where only JavaScript's are to be had: `performance` for its resolution, `Date` to notice that it was set. */
export function scriptWallClock(): () => bigint {
  let originMs = performance.timeOrigin;
  return () => {
    const sinceMs = performance.now();
    const dateMs = Date.now();
    if (Math.abs(originMs + sinceMs - dateMs) > STEP_MS) originMs = dateMs - sinceMs;
    return BigInt(Math.round((originMs + sinceMs) * 1000)) * 1000n;
  };
}
