// The other process of bench/tail.ts: appends a record every so often, with the time at which it began to.
import process from 'node:process';
import { createInterface } from 'node:readline';
import { decimal, defineSchema, openTape, symbol, timestamp, u8 } from 'ticktape';

export const schema = defineSchema(
  'tailed',
  timestamp('ts'),
  symbol('symbol'),
  decimal('price', 2),
  decimal('size', 3),
  u8('side'),
);

/** Does what it is told, a line each: so many records, so many microseconds apart. */
export async function writeTape(storage: string[]): Promise<void> {
  const tape = await openTape(schema, { storage, redundancy: 1 });
  process.stdout.write('open\n');
  for await (const line of createInterface({ input: process.stdin })) {
    const [records, everyUs] = line.split(' ').map(Number);
    let nextNs = tape.now();
    for (let i = 0; i < records; i++) {
      let now = tape.now();
      while (now < nextNs) now = tape.now();
      tape.append(now, 'BTCUSDT', 61_800 + (i % 100) / 10, 0.25, i % 3);
      nextNs = now + BigInt(everyUs * 1000);
    }
    process.stdout.write('done\n');
  }
  await tape.close();
}
