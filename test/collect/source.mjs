import process from 'node:process';

// A source for the tests: what it does, its options say. `shared`: i32 words that outlive its threads: [attempts, released].

export default function source(context) {
  const { how, count = 10, shared, failures = 1 } = context.options;
  const attempt = shared === undefined ? 0 : Atomics.add(new Int32Array(shared), 0, 1);
  const values = (n) => [context.now(), context.collector, attempt * 1000 + n];
  const fails = attempt < failures;

  async function* generate() {
    for (let n = 0; n < count; n++) yield values(n);
    if (how === 'throws' && fails) throw new Error(`failure ${attempt}`);
    if (how === 'exits' && fails) process.exit(3);
    if (how === 'endless') {
      if (!context.signal.aborted) await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
      yield values(count);
    }
    if (how === 'stubborn') for (let n = count; ; n++) yield values(n);
  }

  async function appends() {
    for (let n = 0; n < count; n++) {
      context.append(...values(n));
      context.received(1, 100);
    }
    if (how === 'blocks') for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    if (how === 'rejects') {
      context.rejected('not JSON {', 'broken');
      context.rejected(Uint8Array.of(255, 254), 'not UTF-8');
      context.rejected('y'.repeat(1_000_000), 'too long');
    }
    if (how === 'gaps') {
      const gap = context.gap('by hand', 5n);
      gap.end(9n);
      gap.end(10n);
      context.gap('open', 7n);
    }
    if (how === 'lags') {
      // Appends when it has long been given up.
      if (fails) {
        setTimeout(() => {
          try {
            context.append(...values(999));
          } catch (error) {
            globalThis.late = error.code;
          }
        }, 50);
        throw new Error('gives up');
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  return ['appends', 'blocks', 'rejects', 'gaps', 'lags'].includes(how) ? appends() : generate();
}
