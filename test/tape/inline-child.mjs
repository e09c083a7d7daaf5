import process from 'node:process';
import { defineSchema, openTape, timestamp, u32 } from 'ticktape';

// Ends by itself, with a tape that is open.
const schema = defineSchema('child', timestamp('ts'), u32('n'));
const tape = await openTape(schema, { storage: [process.argv[2]], flusher: 'inline', flushIntervalMs: 0 });
for (let n = 0; n < 100; n++) tape.append(BigInt(n), n);
const { records } = await tape.flush();
tape.append(100n, 100);
console.log(`${tape.stats().recovery.records} recovered, ${records} flushed`);
