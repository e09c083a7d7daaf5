import { statSync } from 'node:fs';
import process from 'node:process';

// A process for the tests: does what its arguments say and says how it went, one line of JSON an action.
const [mode, ...actions] = process.argv.slice(2);

// Deno has a flag for it; elsewhere it takes a system that ticktape can't map files on.
if (mode === 'without-ffi' && !('Deno' in globalThis)) Object.defineProperty(process, 'platform', { value: 'win32' });

const { runtime } = await import('ticktape/runtime');

const verbs = {
  lock(path) {
    runtime.lock(path);
  },
  map() {
    runtime.mapper();
  },
  /** Counts the file's first word up, in the mapping. */
  add(path) {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    runtime.mapper().map(path, memory, 0, 65536, 0);
    return Atomics.add(new Int32Array(memory.buffer), 0, 1);
  },
  preallocate(path, length) {
    runtime.files.preallocate(path, Number(length));
    const { size, blocks } = statSync(path);
    return { size, allocated: blocks * 512 };
  },
  syncDirectory(path) {
    runtime.files.syncDirectory(path);
  },
  clock() {
    return Number(runtime.nowNs() / 1_000_000n) - Date.now();
  },
  hold() {
    setInterval(() => {}, 1000);
  },
};

for (const action of actions) {
  const [verb, ...args] = action.split('=');
  try {
    console.log(JSON.stringify({ result: verbs[verb](...args) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ code: error.code, message: error.message }));
  }
}
