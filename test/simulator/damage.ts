import type { Dice } from './dice.js';
import type { World } from './world.js';

/** Flips bits in a segment of a storage node: anywhere, in its header and its footer too. `false`: there is none. */
export function rot(world: World, directory: string, dice: Dice): boolean {
  const segments = [...world.storage.files].filter(
    ([name, { size }]) => name.startsWith(`${directory}/`) && name.endsWith('.ttseg') && size > 0,
  );
  if (segments.length === 0) return false;
  const [file, inode] = dice.pick(segments);
  // The header is 4 KiB of mostly zeros, and blocks are small.
  const at = dice.chance(0.2) ? dice.below(inode.size) : dice.between(Math.min(4096, inode.size - 1), inode.size - 1);
  const length = Math.min(dice.pick([1, 1, 8, 512, 4096]), inode.size - at);
  const flips = Uint8Array.from({ length }, () => 1 << dice.below(8));
  inode.damage(at, length, (bytes) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] ^= flips[i];
  });
  world.count('bit rot');
  world.trace('bit rot', file, at, length);
  return true;
}
