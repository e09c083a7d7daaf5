import type { ResolvedOptions } from '../../dist/src/options.js';
import type { Dice } from './dice.js';
import type { World } from './world.js';

/** What was damaged since all was whole. */
export interface DamageDone {
  /** Directories. */
  storageNodes: Set<string>;
  places: { path: string; from: number; to: number }[];
}

/** Segment headers are left alone: they are 4 KiB. */
const HEADER_BYTES = 4096;

/** Flips bits in a segment of a storage node, of redundancy - 1 at most in all. */
export function damageStorage(world: World, done: DamageDone, options: ResolvedOptions, dice: Dice): void {
  const may = options.storage.filter(
    (directory) => done.storageNodes.has(directory) || done.storageNodes.size < options.redundancy - 1,
  );
  if (may.length === 0) return;
  const directory = dice.pick(may);
  const segments = [...world.storage.files].filter(
    ([name, { size }]) => name.startsWith(`${directory}/`) && name.endsWith('.ttseg') && size > HEADER_BYTES + 64,
  );
  if (segments.length === 0) return;
  const [path, inode] = dice.pick(segments);
  const at = dice.between(HEADER_BYTES, inode.size - 1);
  const length = Math.min(dice.pick([1, 1, 8, 512, 4096]), inode.size - at);
  const flips = Uint8Array.from({ length }, () => 1 << dice.below(8));
  inode.damage(at, length, (bytes) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] ^= flips[i];
  });
  done.storageNodes.add(directory);
  done.places.push({ path, from: at, to: at + length });
  world.count('bit rot');
  world.trace('damage', path, at, length);
}
