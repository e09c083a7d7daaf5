import type { Dice } from './dice.js';
import type { Scheduler } from './scheduler.js';

/** Puts other functions in the place of an object's own or inherited ones; answers what undoes it. */
function replace(target: object, functions: Record<string, unknown>): () => void {
  const before = Object.keys(functions).map((name) => [name, Object.getOwnPropertyDescriptor(target, name)] as const);
  for (const [name, value] of Object.entries(functions)) {
    Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: false });
  }
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor === undefined) Reflect.deleteProperty(target, name);
      else Object.defineProperty(target, name, descriptor);
    }
  };
}

/** While `use` is at it, what the code under test takes from chance comes from the dice, and the time from the simulated clock. */
export async function withChance<T>(dice: Dice, scheduler: Scheduler, use: () => Promise<T>): Promise<T> {
  const getRandomValues = (bytes: Uint8Array) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = dice.below(256);
    return bytes;
  };
  const setTimeout = (run: () => void, ms = 0) => {
    scheduler.after(ms, run);
    return 0;
  };
  const undo = [
    replace(globalThis, { setTimeout }),
    replace(globalThis.crypto, { getRandomValues }),
    replace(Math, { random: () => dice.unit() }),
    replace(globalThis.performance, { now: () => scheduler.nowMs }),
  ];
  try {
    return await use();
  } finally {
    for (const each of undo) each();
  }
}
