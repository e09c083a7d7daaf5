import process from 'node:process';
import { createInterface } from 'node:readline';
import { decimal, defineSchema, Gap, openAppender, openTape, symbol, timestamp, u32 } from 'ticktape';

// One side of a recording that another process tails: `write` or `tail`, then options as JSON. It says what it has done, and is told what
// to do, in lines.
const schema = defineSchema('peer', timestamp('ts'), symbol('s'), u32('lane'), u32('n'), decimal('price', 2));
const [role, json] = process.argv.slice(2);
const options = JSON.parse(json);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function write() {
  const { lanes, first = 0, ...given } = options;
  const tape = await openTape(schema, { maxSymbols: 64, segmentBytes: 1024 ** 2, onWarning: () => {}, ...given });
  const appenders = Array.from({ length: lanes }, () => openAppender(schema, tape.appenderHandle()));
  let n = first;
  const verbs = {
    /** So many of each lane, in bursts. */
    async append(count) {
      for (const until = n + count; n < until; ) {
        for (let burst = 0; burst < 50 && n < until; burst++, n++) {
          for (const [lane, appender] of appenders.entries())
            appender.append(appender.now(), `S${lane}`, lane, n, n / 4);
        }
        await sleep(1);
      }
      return n;
    },
    flush: async () => void (await tape.flush()),
    close: async () => void (await tape.close()),
  };
  say('ready');
  for await (const line of createInterface({ input: process.stdin })) {
    const [verb, ...args] = JSON.parse(line);
    say((await verbs[verb](...args)) ?? null);
    if (verb === 'close') break;
  }
}

async function tail() {
  const { storage, lanes, count, first = 0, pauses = 0, ...rest } = options;
  const reader = await openTape(schema, { storage, readOnly: true });
  const next = new Array(lanes).fill(first);
  let seen = 0;
  let live = 0;
  const tailed = reader.tail(rest);
  say('ready');
  for await (const batch of tailed) {
    if (batch instanceof Gap) continue;
    const { lane, n, s, price } = batch.columns;
    for (let row = 0; row < batch.length; row++) {
      const of = lane[row];
      const good = n[row] === next[of] && s.at(row) === `S${of}` && price[row] === n[row] / 4;
      if (!good) throw new Error(`lane ${of}: ${n[row]} came where ${next[of]} was to come`);
      next[of]++;
    }
    seen += batch.length;
    globalThis.dbg = () => ({ seen, live, next });
    if (batch.isLive) live += batch.length;
    if (seen >= lanes * count) break;
    if (pauses > 0) await sleep(pauses);
  }
  await reader.close();
  say({ seen, live, next });
}

process.on('SIGUSR2', () => console.error(globalThis.dbg?.()));
await (role === 'write' ? write() : tail());
process.exit(0);
