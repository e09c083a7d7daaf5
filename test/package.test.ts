import { runtime } from 'ticktape/runtime';
import { expect, test } from 'vitest';
import { load } from './self-reference.mjs';

test('ticktape/runtime is the adapter of the runtime that the test runs on', () => {
  const running = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node';
  expect(runtime.name).toBe(running);
});

test('the runtime loads the built package itself, once', async () => {
  expect((await load('ticktape/runtime')).runtime).toBe(runtime);
});
