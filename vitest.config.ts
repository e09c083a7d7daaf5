import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Vite bundles this file and moves it, and would resolve the package's own name by conditions of its own. A module that the
// runtime itself loads, in its place, resolves by the runtime's. (`require.resolve` does not do on Deno: there it is Node's.)
const selfReference = new URL('test/self-reference.mjs', import.meta.url).href;
const { resolve }: { resolve(specifier: string): string } = await import(selfReference);

export default defineConfig({
  plugins: [
    {
      name: 'ticktape:self-reference',
      enforce: 'pre',
      resolveId: (id) => (id === 'ticktape' || id.startsWith('ticktape/') ? fileURLToPath(resolve(id)) : undefined),
    },
  ],
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Much of the time they wait for disks and for processes.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
    // What is built is loaded as a user's program would load it, not transformed.
    server: { deps: { external: [/\/dist\//, /\/self-reference\.mjs$/] } },
  },
});
