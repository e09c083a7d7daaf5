import { describe, expect, test } from 'vitest';
import { explore, STUCK } from './explore.js';
import { PROPERTIES, type Setup, type Weakness } from './lane.js';
import { LaneModel } from './lane-model.js';

// Every order in which the threads of a small tape can take their steps, and every point at which the process may be killed or
// the power may fail. TICKTAPE_MODEL=1 takes a record more, 2 two, and so on.

const MORE = Number(process.env.TICKTAPE_MODEL ?? 0);
/** Where other programs have the machine, too. */
const TIMEOUT_MS = 600_000;

/** All ways to give `count` records one of these sizes each. */
function sequences(count: number, sizes: readonly number[]): number[][] {
  if (count === 0) return [[]];
  return sequences(count - 1, sizes).flatMap((before) => sizes.map((size) => [...before, size]));
}

/** Explores a ring of each capacity with each sequence of sizes. */
function exploreAll(capacities: readonly number[], all: readonly number[][], setup: Partial<Setup>) {
  const seen = { states: 0, steps: new Set<string>() };
  for (const capacity of capacities) {
    for (const sizes of all) {
      const { states, steps, violation } = explore(new LaneModel({ ...setup, capacity, sizes }));
      if (violation !== null) {
        expect.fail(
          `ring of ${capacity}, records of ${sizes}: not so: ${violation.property}\n${violation.trace.join('\n')}`,
        );
      }
      seen.states += states;
      for (const step of steps) seen.steps.add(step);
    }
  }
  return seen;
}

/** A violation must come of it. Its property. */
function broken(setup: Setup): string | undefined {
  return explore(new LaneModel(setup)).violation?.property;
}

// ---- what holds -------------------------------------------------------------------------------------------------------------------------

interface Case {
  capacities: number[];
  sizes: number[][];
  setup: Partial<Setup>;
  /** As many as there are, but for a few: it must not shrink to nothing unseen. */
  atLeast: number;
  /** That must have come about. */
  steps: string[];
}

const RECOVERED = ['recovery: storeBlock', 'recovery: sealLanes: append to node 0', 'recovery: remove the lane'];

const cases: Record<string, Case> = {
  'killed, and killed again while it recovers': {
    // Of 5: 1 word may be left at its end, where no padding fits; 8: exactly full.
    capacities: [5, 6, 7, 8],
    sizes: sequences(4 + MORE, [2, 3]),
    setup: { deaths: 2, refuses: true },
    atLeast: 800_000,
    steps: [
      'producer: place: store checksum of padding',
      'producer: encode: REFUSED',
      'producer: #wait: wakes after WAIT_MS',
      'flusher: release: notify',
      'flusher: release: store waiting 0',
      ...RECOVERED,
    ],
  },
  'killed, with larger blocks and records': {
    capacities: [7, 8],
    sizes: [
      [3, 2, 4, 4, 2, 3],
      [4, 4, 3, 3, 2, 4],
      [2, 2, 2, 4, 3, 2],
    ],
    setup: { deaths: 2, maxRows: 3 },
    atLeast: 52_000,
    steps: RECOVERED,
  },
  'closed while it appends, and killed': {
    capacities: [5, 6],
    sizes: sequences(3 + MORE, [2, 3]),
    setup: { closes: true, deaths: 2, refuses: true },
    atLeast: 188_000,
    steps: [
      'producer: #closing: Atomics.wait(sealedAt)',
      'flusher: stopLanes: notify',
      'closer: Journal.close: remove the lane',
      ...RECOVERED,
    ],
  },
  'closed while it appends and drops what finds no room': {
    capacities: [5],
    sizes: sequences(4 + MORE, [2, 3]),
    setup: { closes: true, deaths: 1, onFull: 'drop' },
    atLeast: 106_000,
    steps: ['closer: Journal.close: remove the lane', ...RECOVERED],
  },
  'read while it appends': {
    capacities: [5],
    sizes: sequences(4 + MORE, [2, 3]),
    setup: { reads: true },
    atLeast: 643_000,
    steps: ['reader: steps over the end of the ring', 'reader: copy word 2', 'reader: copy word 0'],
  },
  'read while it is closed, or its flusher fails': {
    capacities: [5],
    sizes: sequences(2 + MORE, [2, 3]),
    setup: { reads: true, closes: true, fails: true },
    atLeast: 1,
    steps: ['reader: lookAtLanes: load sealedAt', 'closer: stopLanes: compareExchange sealedAt', 'reader: copy word 0'],
  },
  'without power, with durability disk': {
    capacities: [5],
    sizes: sequences(3 + MORE, [2, 3]),
    setup: { powerCuts: 1 },
    atLeast: 724_000,
    steps: ['the power fails', 'flusher: sync node 1', 'page 0 of the ring is written back', ...RECOVERED],
  },
  'without power again while it recovers, and with a ring of two pages': {
    capacities: [5],
    sizes: [[2, 2, 2]],
    setup: { powerCuts: 2, ringPages: 2 },
    atLeast: 273_000,
    steps: ['page 1 of the ring is written back', ...RECOVERED],
  },
  'with two blocks under way, and killed': {
    capacities: [5, 7],
    sizes: sequences(4 + MORE, [2, 3]),
    setup: { deaths: 1, maxRows: 1, inFlight: 2 },
    atLeast: 86_000,
    steps: RECOVERED,
  },
  'whose flusher fails': {
    capacities: [5, 6],
    sizes: sequences(3 + MORE, [2, 3]),
    setup: { closes: true, fails: true, deaths: 2, maxRows: 1, inFlight: 2 },
    atLeast: 327_000,
    steps: ['producer: #takeBack: compareExchange sealedAt', 'closer: failTape: notify, unlock', ...RECOVERED],
  },
  'whose flusher fails and that is opened again meanwhile': {
    capacities: [5],
    sizes: sequences(3 + MORE, [2, 3]),
    setup: { closes: true, fails: true, reopens: true, maxRows: 1, inFlight: 2 },
    atLeast: 161_000,
    steps: ['producer: #takeBack: compareExchange sealedAt', 'closer: openTape', ...RECOVERED],
  },
  'where nobody wakes by himself': {
    capacities: [5, 6, 8],
    sizes: sequences(4 + MORE, [2, 3]),
    setup: { timeouts: false, closes: true },
    atLeast: 372_000,
    steps: ['flusher: release: store waiting 0', 'closer: Journal.close: remove the lane'],
  },
  'where nobody wakes by himself, and whose flusher fails': {
    capacities: [5],
    sizes: sequences(3 + MORE, [2, 3]),
    setup: { timeouts: false, closes: true, fails: true },
    atLeast: 123_000,
    steps: ['closer: #fail: notify', 'closer: failTape: notify, unlock', 'producer: #wait: load state'],
  },
  'without power, with durability process': {
    capacities: [5],
    sizes: [[2, 2, 3]],
    setup: { powerCuts: 1, maxRows: 1, inFlight: 2, durability: 'process' },
    atLeast: 55_000,
    steps: ['the power fails', ...RECOVERED],
  },
  'killed and without power': {
    capacities: [5],
    sizes: [
      [2, 2, 3],
      [3, 2, 2],
    ],
    setup: { deaths: 1, powerCuts: 1 },
    atLeast: 308_000,
    steps: ['recovery: syncSegments', ...RECOVERED],
  },
};

test.each(Object.entries(cases))(
  'a tape %s',
  (name, { capacities, sizes, setup, atLeast, steps }) => {
    const seen = exploreAll(capacities, sizes, setup);
    if (MORE > 0) console.log(`${name}: ${seen.states} states`);
    expect(seen.states).toBeGreaterThanOrEqual(atLeast);
    expect([...seen.steps]).toEqual(expect.arrayContaining(steps));
  },
  TIMEOUT_MS,
);

// ---- what the protocol leaves open ------------------------------------------------------------------------------------------------------

// Where one of these is closed in the code, the model gets the same, and the line goes.

const leftOpen: [what: string, property: string, setup: Setup][] = [
  // Pages come to the disk in any order: the record's, but not that of `sealedAt`.
  [
    'threw CLOSED for what is there after a power cut',
    PROPERTIES.refused,
    { capacity: 5, sizes: [2, 2], closes: true, powerCuts: 1 },
  ],
];

describe('left open', () => {
  test.each(leftOpen)('a tape %s', (_, property, setup) => {
    expect(broken(setup)).toBe(property);
  });
});

// ---- what the model would notice ------------------------------------------------------------------------------------------------------

const weaknesses: Record<Weakness, [property: string, setup: Setup]> = {
  'head moves after the first copy': [PROPERTIES.released, { capacity: 5, sizes: [2, 2, 3] }],
  'tail moves before the checksum is stored': [PROPERTIES.damaged, { capacity: 5, sizes: [2, 2, 3] }],
  'checksums are not over the position': [
    PROPERTIES.twice,
    { capacity: 6, sizes: [2, 2, 2, 2], deaths: 1, maxBlocks: 12 },
  ],
  'cachedHead is refreshed from drained': [PROPERTIES.reuse, { capacity: 5, sizes: [2, 2, 3] }],
  'no padding at the end of the ring': [PROPERTIES.damaged, { capacity: 5, sizes: [3, 3, 2] }],
  'any size of record is taken': [STUCK, { capacity: 6, sizes: [3, 4] }],
  'producer reads the state before it publishes': [PROPERTIES.lost, { capacity: 5, sizes: [2, 2], closes: true }],
  'closer reads tail before it says so': [PROPERTIES.lost, { capacity: 5, sizes: [2, 2], closes: true }],
  'drain goes on behind sealedAt': [PROPERTIES.refused, { capacity: 5, sizes: [2, 2], closes: true }],
  'recovery ignores what blocks hold': [PROPERTIES.twice, { capacity: 5, sizes: [2, 2], deaths: 1, maxBlocks: 8 }],
  'recovery believes tail, not checksums': [PROPERTIES.invented, { capacity: 5, sizes: [2, 3], powerCuts: 1 }],
  'recovery goes on behind sealedAt': [PROPERTIES.refused, { capacity: 5, sizes: [2, 2], closes: true, deaths: 1 }],
  'recovery removes the lane first': [PROPERTIES.lost, { capacity: 5, sizes: [2, 2], deaths: 2 }],
  'head moves before copies are synced': [PROPERTIES.lostOnDisk, { capacity: 5, sizes: [2, 2, 3], powerCuts: 1 }],
  // The flusher's thread ends after it stored a block and before it moved `head`.
  'taking back looks at head': [PROPERTIES.refused, { capacity: 5, sizes: [2, 2], fails: true, deaths: 1 }],
  'taking back does not stop the lane': [PROPERTIES.refused, { capacity: 5, sizes: [2, 2], fails: true, deaths: 1 }],
  'a close that fails does not stop the lane': [
    PROPERTIES.refused,
    { capacity: 5, sizes: [2, 2], closes: true, fails: true, reopens: true },
  ],
  'failing wakes nobody': [STUCK, { capacity: 5, sizes: [2, 2, 3], timeouts: false, fails: true }],
  'notified before head moves': [STUCK, { capacity: 5, sizes: [2, 2, 3], timeouts: false }],
  'waiting is set after head was looked at': [STUCK, { capacity: 5, sizes: [2, 2, 3], timeouts: false }],
  // It sets it for its next sleep, after `release` has seen that of the sleep before.
  'release does not clear waiting': [STUCK, { capacity: 5, sizes: [2, 2, 3], timeouts: false }],
  'recovery syncs no old segments': [PROPERTIES.holes, { capacity: 5, sizes: [2, 2, 3], deaths: 1, powerCuts: 1 }],
  'gaps of a session that did not end are not skipped': [
    PROPERTIES.holes,
    { capacity: 5, sizes: [2, 2, 3], powerCuts: 1, durability: 'process' },
  ],
  'reader does not check what it copied': [PROPERTIES.misread, { capacity: 5, sizes: [2, 2, 3], reads: true }],
  // It reads `tail` after the closer did, and `sealedAt` before that is set.
  'reader does not look at the state': [PROPERTIES.given, { capacity: 5, sizes: [2, 2], closes: true, reads: true }],
};

describe('a weaker protocol is found out', () => {
  test.each(Object.entries(weaknesses) as [Weakness, [string, Setup]][])('%s', (weakness, [property, setup]) => {
    expect(broken({ ...setup, weaknesses: [weakness] })).toBe(property);
    // By the weakness, not by what is left open anyway.
    expect(broken(setup)).toBeUndefined();
  });
});
