import type { Compression, Durability, OnFull, ResolvedOptions } from '../../dist/src/options.js';
import type { Degraded } from '../../dist/src/storage/replicator.js';
import { Dice } from './dice.js';
import type { Shape } from './records.js';

/** What happens in a seed: drawn before anything does. */
export interface Plan {
  options: ResolvedOptions;
  mapped: boolean;
  shape: Shape;
  sessions: number;
  /** Steps of a session, about. */
  steps: number;
  /** Records appended at a step, at most. */
  batch: number;
  /** How often, 0 to 1 of what may be. */
  faults: {
    deaths: number;
    powerCuts: number;
    /** Of disks, that pass: full, failing, away, slow, hanging. */
    troubles: number;
    /** Of what is stored, on R - 1 storage nodes at most. */
    damage: number;
    clockJumps: number;
  };
}

/** How bad it gets: most seeds have faults of one or two kinds only, so that a violation says where to look. */
function faultsOf(dice: Dice, mayDamage: (powerCuts: boolean) => boolean): Plan['faults'] {
  const rate = () => dice.pick([0, 0, 0.3, 1]);
  const deaths = dice.pick([0, 0.3, 0.7, 1]);
  const powerCuts = rate();
  return {
    deaths,
    powerCuts,
    troubles: rate(),
    damage: mayDamage(powerCuts > 0) ? dice.pick([0, 0.5, 1]) : 0,
    clockJumps: dice.chance(0.2) ? 1 : 0,
  };
}

export function planOf(seed: number): Plan {
  const dice = new Dice(seed, 2);
  const storageNodes = dice.between(1, 4);
  const redundancy = dice.between(1, Math.min(3, storageNodes));
  const durability: Durability = dice.pick(['process', 'disk']);
  const storage = Array.from({ length: storageNodes }, (_, i) => `/tape/d${i}`);
  const compression: Compression = dice.pick(['off', 'off', 'fast', 'adaptive']);
  const mapped = dice.chance(0.85);
  const degraded = dice.pick<Degraded>(['continue', 'stop']);
  const onFull: OnFull = dice.pick(['throw', 'drop']);
  return {
    options: {
      storage,
      redundancy,
      durability,
      compression,
      onFull,
      flusher: 'worker',
      degraded,
      writeTimeoutMs: dice.pick([20, 200, 10_000]),
      journal: dice.chance(0.4) ? '/tape/journal' : undefined,
      journalMode: mapped ? 'mapped' : 'buffered',
      read: 'copied',
      capacity: dice.pick([16, 16, 32, 64]),
      laneBytes: 61_440,
      maxSymbols: dice.pick([8, 64]),
      flushIntervalMs: dice.pick([0, 5, 50]),
      syncIntervalMs: dice.pick([0, 10, 100]),
      segmentBytes: dice.pick([4096, 16_384, 65_536]),
      segmentMaxAgeMs: dice.pick([50, 3_600_000]),
      lostStorageNodes: [],
      retention: dice.pick([undefined, undefined, { bytes: 40_000 }, { ageMs: 300 }, { ageMs: 20_000, bytes: 80_000 }]),
      onWarning: () => {},
    },
    mapped,
    shape: { symbols: dice.pick([1, 3, 8]), note: dice.pick([0, 0, 8, 300, 2000]) },
    sessions: dice.between(1, 3),
    steps: dice.pick([10, 20, 20, 60]),
    batch: dice.pick([3, 20, 40]),
    faults: faultsOf(dice, (powerCuts) => redundancy > 1 && (!powerCuts || durability === 'disk')),
  };
}
