import { describe, expect, test } from 'vitest';
import { explore, STUCK } from './explore.js';
import { type Mend, PROPERTIES, type Setup, type Weakness } from './lane.js';
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

const MENDED_WAIT: Mend[] = ['wait on cachedHead', 'producer clears waiting'];
const MENDED_TAKING_BACK: Mend[] = ['take back what is not drained only'];

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

const RECOVERED = [
  'recovery: copyBlock to node 1',
  'recovery: sealLanes: append to node 0',
  'recovery: remove the lane',
];

const cases: Record<string, Case> = {
  'killed, and killed again while it recovers': {
    // Of 5: 1 word may be left at its end, where no padding fits; 8: exactly full.
    capacities: [5, 6, 7, 8],
    sizes: sequences(4 + MORE, [2, 3]),
    setup: { deaths: 2, refuses: true },
    atLeast: 690_000,
    steps: [
      'producer: place: store checksum of padding',
      'producer: encode: REFUSED',
      'producer: #wait: wakes after WAIT_MS',
      'flusher: release: notify',
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
    atLeast: 49_000,
    steps: RECOVERED,
  },
  'closed while it appends, and killed': {
    capacities: [5, 6],
    sizes: sequences(3 + MORE, [2, 3]),
    setup: { closes: true, deaths: 2, refuses: true },
    atLeast: 175_000,
    steps: [
      'producer: #closing: Atomics.wait(sealedAt)',
      'flusher: close: notify',
      'closer: Journal.close: remove the lane',
      ...RECOVERED,
    ],
  },
  'closed while it appends and drops what finds no room': {
    capacities: [5],
    sizes: sequences(4 + MORE, [2, 3]),
    setup: { closes: true, deaths: 1, onFull: 'drop' },
    atLeast: 108_000,
    steps: ['closer: Journal.close: remove the lane', ...RECOVERED],
  },
  'read while it appends': {
    capacities: [5],
    sizes: sequences(4 + MORE, [2, 3]),
    setup: { reads: true },
    atLeast: 730_000,
    steps: ['reader: steps over the end of the ring', 'reader: copy word 2', 'reader: copy word 0'],
  },
  'without power, with durability disk': {
    capacities: [5],
    sizes: sequences(3 + MORE, [2, 3]),
    setup: { powerCuts: 1 },
    atLeast: 890_000,
    steps: ['the power fails', 'flusher: sync node 1', 'page 0 of the ring is written back', ...RECOVERED],
  },
  'without power again while it recovers, and with a ring of two pages': {
    capacities: [5],
    sizes: [[2, 2, 2]],
    setup: { powerCuts: 2, ringPages: 2 },
    atLeast: 320_000,
    steps: ['page 1 of the ring is written back', ...RECOVERED],
  },
  'whose flusher fails, with what is mended below': {
    capacities: [5, 6],
    sizes: sequences(3 + MORE, [2, 3]),
    setup: { closes: true, fails: true, deaths: 2, changes: MENDED_TAKING_BACK },
    atLeast: 215_000,
    steps: ['producer: #takeBack: store tail', 'closer: #close: store state FAILED, unlock', ...RECOVERED],
  },
  'whose flusher fails and that is opened again meanwhile, with what is mended below': {
    capacities: [5],
    sizes: sequences(3 + MORE, [2, 3]),
    setup: { closes: true, fails: true, reopens: true, changes: ['taking back seals the lane'] },
    atLeast: 147_000,
    steps: ['producer: #takeBack: compareExchange sealedAt', 'closer: openTape', ...RECOVERED],
  },
  'where nobody wakes by himself, with what is mended below': {
    capacities: [5, 6, 8],
    sizes: sequences(4 + MORE, [2, 3]),
    setup: { timeouts: false, closes: true, changes: MENDED_WAIT },
    atLeast: 261_000,
    steps: ['producer: #wait: store waiting 0', 'closer: Journal.close: remove the lane'],
  },
  'killed and without power, with what is mended below': {
    capacities: [5],
    sizes: [
      [2, 2, 3],
      [3, 2, 2],
    ],
    setup: { deaths: 1, powerCuts: 1, changes: ['recovery syncs old segments first'] },
    atLeast: 352_000,
    steps: ['recovery: sealSegmentFile: sync node 0', ...RECOVERED],
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

const holes: [what: string, property: string, setup: Setup][] = [
  // Between `place` and `#wait` head may move: the value that is waited for is the new one then. What WAIT_MS is for.
  ['sleeps though there is room', STUCK, { capacity: 5, sizes: [2, 2, 3], timeouts: false }],
  // `release` clears LANE_WAITING when the producer has set it again already, for its next sleep.
  ['is not woken', STUCK, { capacity: 5, sizes: [2, 2, 3], timeouts: false, changes: ['wait on cachedHead'] }],
  // TAPE_FAILED wakes nobody. What WAIT_MS is for too.
  [
    'does not hear that the flusher failed',
    STUCK,
    { capacity: 5, sizes: [2, 2, 3], timeouts: false, fails: true, changes: [...MENDED_WAIT, ...MENDED_TAKING_BACK] },
  ],
  // The flusher's thread ends after it stored a block and before it moved `head`.
  ['takes back what a block holds', PROPERTIES.refused, { capacity: 5, sizes: [2, 2], fails: true, deaths: 1 }],
  [
    'takes back what the next open has recovered',
    PROPERTIES.refused,
    {
      capacity: 5,
      sizes: [2, 2],
      closes: true,
      fails: true,
      reopens: true,
      changes: MENDED_TAKING_BACK,
    },
  ],
  // Pages come to the disk in any order: the record's, but not that of `sealedAt`.
  [
    'threw CLOSED for what is there after a power cut',
    PROPERTIES.refused,
    { capacity: 5, sizes: [2, 2], closes: true, powerCuts: 1 },
  ],
  // And blocks too: a later one, but not the one before it. Their records may be lost; but scans throw BLOCK_MISSING then.
  [
    'leaves a hole after a power cut, with durability process',
    PROPERTIES.holes,
    { capacity: 5, sizes: [2, 2, 3], powerCuts: 1, durability: 'process' },
  ],
  [
    'leaves a hole when the power fails while it recovers from being killed',
    PROPERTIES.holes,
    { capacity: 5, sizes: [2, 2, 3], deaths: 1, powerCuts: 1 },
  ],
];

describe('left open', () => {
  test.each(holes)('a tape %s', (_, property, setup) => {
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
  'taking back leaves the checksum': [PROPERTIES.refused, { capacity: 5, sizes: [2, 2], fails: true, deaths: 1 }],
  'notified before head moves': [STUCK, { capacity: 5, sizes: [2, 2, 3], timeouts: false, changes: MENDED_WAIT }],
  'waiting is set after head was looked at': [
    STUCK,
    { capacity: 5, sizes: [2, 2, 3], timeouts: false, changes: MENDED_WAIT },
  ],
  'reader does not check what it copied': [PROPERTIES.misread, { capacity: 5, sizes: [2, 2, 3], reads: true }],
};

describe('a weaker protocol is found out', () => {
  test.each(Object.entries(weaknesses) as [Weakness, [string, Setup]][])('%s', (weakness, [property, setup]) => {
    expect(broken({ ...setup, changes: [...(setup.changes ?? []), weakness] })).toBe(property);
    // By the weakness, not by what is left open anyway.
    if (weakness !== 'taking back leaves the checksum') expect(broken(setup)).toBeUndefined();
  });
});
