// Deliberate bugs: what the simulator is worth is whether it finds them.
import { simulate } from './harness.mjs';

/** Within so many seeds each is found. */
export const MOST_SEEDS = 2000;

/** @typedef {{ name: string, patches: import('./build.mjs').Patch[] }} Bug */

/**
 * @param {string} name
 * @param {...[file: string, search: string, replace: string]} patches
 * @returns {Bug}
 */
const bug = (name, ...patches) => ({
  name,
  patches: patches.map(([file, search, replace]) => ({ file, search, replace })),
});

/** @type {readonly Bug[]} */
export const BUGS = [
  bug('recovery believes blocks without looking at their chunks', [
    'src/journal/recovery.js',
    '(header) => decoder.verify(header)',
    '() => {}',
  ]),
  bug('recovery takes from lanes what blocks hold', ['src/journal/recovery.js', 'held.get(keyOf(lane)) ?? []', '[]']),
  bug('recovery removes lanes before their records are in blocks', [
    'src/journal/recovery.js',
    'if (lanes.length > 0)\n        await sealLanes(',
    'for (const { path: file } of lanes)\n        files.remove(file);\n    if (lanes.length > 0)\n        await sealLanes(',
  ]),
  bug('recovery takes records whose symbols have no names', [
    'src/journal/recovery.js',
    'return named ? step : 0',
    'return step',
  ]),
  bug(
    'recovery writes a footer before the blocks are synced',
    ['src/segment/writer.js', 'handle.sync();\n            files.syncDirectory(path.dirname(file));', ''],
    ['src/session.js', 'syncSegments(files, plan.openSegments);', ''],
    [
      'src/segment/writer.js',
      'await writeFooter(handle, entries, end);\n            handle.sync();',
      'await writeFooter(handle, entries, end);',
    ],
  ),
  bug('lanes that recovery removed come back after a power cut', [
    'src/journal/recovery.js',
    'if (lanes.length > 0)\n        files.syncDirectory(journal);',
    '',
  ]),
  bug('a lane has its name before its header is on the disk', ['src/journal/journal.js', 'handle.sync()', '']),
  bug('a roster has its name before it is on the disk', ['src/storage/identity.js', 'handle.sync();', '']),
  bug('an epoch comes back', ['src/session.js', 'return last + 1;', 'return Math.max(last, 1);']),
  bug('gaps that a power cut left are not skipped', ['src/session.js', 'skipUnclosed(catalog, roster)', '[]']),
  bug('a block is visible before all of it is written', [
    'src/segment/writer.js',
    'bytes.subarray(MAGIC_BYTES), at + MAGIC_BYTES',
    'bytes, at',
  ]),
  bug('blocks are committed out of order', [
    'src/storage/replicator.js',
    'mayCommit &&= isCommitted',
    'mayCommit &&= true',
  ]),
  bug(
    'lanes let go of records before their blocks are stored',
    [
      'src/flush/flusher.js',
      'this.#sealedBlocks++;',
      `this.#sealedBlocks++;
        for (const { lane, position } of to)
            this.#parts.kernels.release(map.lanes + lane * map.laneStride, position);`,
    ],
    ['src/flush/flusher.js', 'for (const { lane, position } of sealed.to)', 'for (const { lane, position } of [])'],
  ),
  bug('a write that fails counts as done', [
    'src/storage/replicator.js',
    'if (!copy.isLeft)\n                this.#failed(copy, error);',
    'isDone = !copy.isLeft;\n            copy.stored ??= { commit: async () => {}, sync: async () => {}, abandon() {} };',
  ]),
  bug("with durability 'disk' a block is stored before it is synced", [
    'src/storage/replicator.js',
    'flight.copies.every(({ state }) => state === this.#last)',
    'flight.copies.every(({ state }) => isVisible(state))',
  ]),
  bug('close does not sync', ['src/storage/replicator.js', 'await node.close()', 'null']),
  bug('a footer is written before the blocks are synced', ['src/segment/writer.js', 'await this.sync();', '']),
  bug("a segment's name is not synced", [
    'src/segment/writer.js',
    'await this.#files.syncDirectoryAsync(path.dirname(this.path))',
    'null',
  ]),
  bug('the checksum of a chunk is not looked at', [
    'src/block/decoder.js',
    'if (BigInt.asUintN(64, sum) !== checksum)',
    'if (false)',
  ]),
  bug('retention removes segments before the mark is written', [
    'src/storage/retention.js',
    'if (await this.#moveMark(plan.firstSequence, reached)) {',
    `for (const segment of plan.remove)
                if (reached.has(segment.storage))
                    await this.#remove(segment);
            if (await this.#moveMark(plan.firstSequence, reached)) {`,
  ]),
  bug('retention by age takes what is young', [
    'src/storage/retention-plan.js',
    'newestNs >= oldNs',
    'newestNs > oldNs + 10n ** 9n',
  ]),
  bug('a repair makes no copies where there are too few', [
    'src/storage/scrub/plan.js',
    'if (have.size < redundancy)\n            this.#short.push(block);',
    'this.#additions.length = 0;',
  ]),
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
