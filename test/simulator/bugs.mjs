// Deliberate bugs: what the simulator is worth is whether it finds them.
import { simulate } from './harness.mjs';

/** Within so many seeds each is found. */
export const MOST_SEEDS = 2000;

/** @typedef {{ name: string, patches: import('./build.mjs').Patch[] }} Bug */

/** @type {readonly Bug[]} */
export const BUGS = [
  {
    name: 'recovery believes blocks without checking their chunks',
    patches: [{ file: 'src/journal/recovery.js', search: 'decoder.verify(header)', replace: 'header' }],
  },
  {
    name: 'recovery ignores which lane positions blocks hold',
    patches: [
      {
        file: 'src/journal/recovery.js',
        search: 'held.get(keyOf(lane)) ?? []',
        replace: '[]',
      },
    ],
  },
  {
    name: 'recovery removes lanes before their records are in blocks',
    patches: [
      {
        file: 'src/journal/recovery.js',
        search: 'if (lanes.length > 0)\n        await sealLanes(',
        replace:
          'for (const { path: file } of lanes) files.remove(file);\n    if (lanes.length > 0)\n        await sealLanes(',
      },
    ],
  },
];

/** Looks for each of the bugs. */
export async function hunt({ runtime, from = 1, jobs = 1, bugs = BUGS, onProgress = () => {} }) {
  const hunted = [];
  for (const { name, patches } of bugs) {
    onProgress(name);
    const label = `bug-${BUGS.findIndex((bug) => bug.name === name)}`;
    const { seeds, found } = await simulate({
      runtime,
      seeds: MOST_SEEDS,
      from,
      jobs,
      patches,
      name: label,
      stop: true,
    });
    const first = found[0];
    hunted.push({
      name,
      seeds: first === undefined ? seeds : first.seed - from + 1,
      violation: first?.violations[0] ?? null,
    });
  }
  return hunted;
}
