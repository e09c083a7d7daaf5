import process from 'node:process';
import { createInterface } from 'node:readline';
import { defineSchema, openTape, symbol, timestamp, u32 } from 'ticktape';

// A process of its own for the tests: opens a tape, says how that went, and does what it is told, a line of JSON for each.
const schema = defineSchema('child', timestamp('ts'), symbol('s'), u32('n'));
const options = JSON.parse(process.argv[2]);
const warnings = [];

const plain = (_, value) => {
  if (typeof value === 'bigint') return Number(value);
  if (!(value instanceof Error)) return value;
  const { code, message, path, storageNode } = value;
  return { code, message, path, storageNode };
};
const say = (message) => process.stdout.write(`${JSON.stringify(message, plain)}\n`);

let tape;
let n = 0;

const verbs = {
  async open() {
    tape = await openTape(
      schema,
      options.readOnly ? options : { ...options, onWarning: (text) => warnings.push(text) },
    );
    return { journal: options.readOnly ? null : tape.stats().journal, warnings };
  },
  /** Appends so many; `noise`: with timestamps that nothing compresses. */
  async append(count, noise) {
    const random = new BigInt64Array(1);
    for (let i = 0; i < count; i++) {
      if (noise) crypto.getRandomValues(random);
      tape.append(noise ? random[0] : BigInt(n), `S${n % 5}`, n);
      n++;
    }
    return n;
  },
  async flush() {
    await tape.flush();
    return n;
  },
  /** What flush() resolves with. */
  flushReport: () => tape.flush(),
  stats: () => tape.stats(),
  verify: () => tape.verify(),
  repair: () => tape.repair(),
  takeLane: () => tape.appenderHandle().lane,
  warnings: () => warnings,
  async read() {
    const found = [];
    for await (const { columns, length } of tape.scan()) for (let i = 0; i < length; i++) found.push(columns.n[i]);
    return found.length === 0 || found.every((value, i) => value === i) ? found.length : found;
  },
  async close() {
    await tape.close();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, ...args] = JSON.parse(line);
  try {
    say({ result: (await verbs[verb](...args)) ?? null });
  } catch (error) {
    say({ name: error.name, code: error.code ?? null, message: error.message });
  }
}
